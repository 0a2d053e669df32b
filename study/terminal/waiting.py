"""Words for who waits at a terminal; slow modules must not be imported here."""

import sys


def waiting(what: str) -> None:
    """Say on standard error what takes seconds; a file or a pipe is not told."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{what} …\n")
