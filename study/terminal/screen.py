"""What reaches a terminal: stored texts are shown there, and never obeyed."""

import io
import os
import sys

MAX_LINE = 2000
"""Characters that are shown of a message; a stored text may have a million."""

_DAMAGED = "\N{REPLACEMENT CHARACTER}"
_OBEYED = (
    *range(0x00, 0x09),  # controls, but for tab and line feed
    *range(0x0B, 0x20),
    *range(0x7F, 0xA0),
    *(0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # directions
    *range(0xD800, 0xE000),  # halves of characters
)
_TABLE = dict.fromkeys(_OBEYED, _DAMAGED)


def printable(text: str) -> str:
    """Return a text without characters that a terminal obeys, such as escape sequences.

    Each becomes the sign of a damaged character; so do those that turn the direction of reading.
    """
    return text.translate(_TABLE)


def shortened(text: str, most: int = MAX_LINE) -> str:
    """Return a text of at most so many characters, which says so if there were more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def say(text: str, *, err: bool = False) -> None:
    """Print a text on standard output, or on standard error, whose failure ends nothing."""
    stream = sys.stderr if err else sys.stdout
    try:
        stream.write(f"{printable(text)}\n")
        stream.flush()
    except OSError as error:
        if not err:
            error.filename = "Standard output"
            raise


def log(text: str) -> None:
    """Print a message as one line, cut where it is long, on standard error."""
    say(shortened(" ".join(text.splitlines())), err=True)


def say_error(text: str) -> None:
    """Print what is wrong, as ``log`` does."""
    log(f"Error: {text}")


def forgive_screens() -> None:
    """Let a screen that lacks a character show ``?`` in its place, and do without a closed one."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
