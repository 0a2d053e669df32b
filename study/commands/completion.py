"""Completion by the user's shell: names of stored studies, and the words as bash has them."""

import os
from contextlib import suppress

import click
from click.shell_completion import BashComplete, add_completion_class, split_arg_string


class _Bash(BashComplete):
    """Reads the line itself: bash takes a storage's URL apart at its colons."""

    source_template = BashComplete.source_template.replace(
        'COMP_WORDS="${COMP_WORDS[*]}"', 'COMP_WORDS="${COMP_LINE:0:COMP_POINT}"'
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is being completed, and that one."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)
        incomplete = "" if line[-1:].isspace() else words.pop()
        return words[1:], incomplete


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
