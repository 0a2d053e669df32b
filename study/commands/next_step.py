"""What a command says at its end: the command that comes next."""

from storage.urls import redact
from study.requests import DEFAULT_STORAGE
from study.shell import at_storage, join

NEXT = "Next: "


def next_step(*command: str, url: str) -> str:
    """Say which command comes next, for the storage that this one used."""
    return f"{NEXT}{placed(*command, url=url)}"


def placed(*command: str, url: str) -> str:
    """Return a command of this program for the storage that this one used."""
    storage = None if url == DEFAULT_STORAGE else redact(url)
    return at_storage(join(["emoji-study", *command]), storage)
