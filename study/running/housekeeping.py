"""What a run can do without: an error there is told, and ends nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from storage.outages import failure, first_line, outage


@contextmanager
def housekeeping(what: str, say: Callable[[str], None], *, remedy: str = "") -> Iterator[None]:
    """Say in one line what went wrong in a block, which ends there, and what to do about it."""
    try:
        yield
    except Exception as error:
        if outage(error) is None and failure(error) is not None:
            return  # a database that is lost is told by whoever needs it
        reason = outage(error) or f"{type(error).__name__}: {first_line(error)}"
        say(f"Warning: {what} ({reason}){remedy and f'; {remedy}'}.")
