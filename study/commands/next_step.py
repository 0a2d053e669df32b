"""What a command says at its end: the command that comes next."""

import shlex

from storage.urls import redact
from study.formats import at_storage
from study.requests import DEFAULT_STORAGE

NEXT = "Next: "


def next_step(*command: str, url: str) -> str:
    """Say which command comes next, for the storage that this one used."""
    storage = None if url == DEFAULT_STORAGE else redact(url)
    return f"{NEXT}{at_storage(shlex.join(['emoji-study', *command]), storage)}"
