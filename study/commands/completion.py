"""Completion by the user's shell: names of stored studies, and the words as bash has them."""

import os
import re
import shlex
from contextlib import suppress

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    split_arg_string,
)

from study.shell import quote

_SPECIAL = re.compile(r"[^\w@%+=:,./-]")


class _Bash(BashComplete):
    """Reads the line itself, as bash takes URLs apart at their colons, and quotes what it offers.

    A blank or a quote of a name gets a backslash, unless the user has opened quotes, which bash
    closes.
    """

    source_template = (
        BashComplete.source_template.replace(
            'COMP_WORDS="${COMP_WORDS[*]}"', 'COMP_WORDS="${COMP_LINE:0:COMP_POINT}"'
        )
        .replace("read type value", "read -r type value")
        .replace("COMPREPLY+=($value)", 'COMPREPLY+=("$value")')
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is being completed, and that one."""
        words = split_arg_string(os.environ["COMP_WORDS"] + "x")  # the last may be empty
        incomplete = words.pop()[:-1]
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Write an offered word as it can stand in the line."""
        value = item.value
        try:
            shlex.split(os.environ["COMP_WORDS"] + "x")
        except ValueError:  # within quotes
            return f"{item.type},{value}"
        told = _SPECIAL.sub(r"\\\g<0>", value) if value.isprintable() else quote(value)
        return f"{item.type},{told}"


def prepare() -> None:
    """Let bash ask in this way."""
    add_completion_class(_Bash)


def stored_studies(ctx: click.Context, incomplete: str) -> list[str]:
    """Return the names of stored studies that begin so; none if anything is wrong."""
    with suppress(Exception):  # a shell that completes has no place for errors
        from storage.names import stored_names

        names = stored_names(str(ctx.params["storage"]))
        return [name for name in names if name.startswith(incomplete)]
    return []
