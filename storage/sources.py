"""What lies behind a storage's URL, whether it can be used as it is, and what to do if not."""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DatabaseError

from storage.errors import (
    StorageAccessError,
    StorageError,
    StorageUnreachableError,
    to_install,
)
from storage.journals import is_journal
from storage.outages import first_line, outage
from storage.schema import OLDEST_WITH_REPORTS, REPORTS, Schema, State, read_schema
from storage.strangers import describe_file, near
from storage.urls import file_path, journal_path, parse_url, redact, sqlite_path

_EXTRAS = {"postgresql": "postgres", "mysql": "mysql"}
UNCHANGING = {"immutable": "1"}
"""Of a file in a folder where nobody can write, for a write-ahead log needs two more files.

Source: https://www.sqlite.org/wal.html (section 5, read-only databases).
"""


def look(url: str, *, writes: bool, timeout_s: float) -> Schema | Path:
    """Say what a database holds, or which file is a journal, for one who reads or ``writes``.

    A file is only ever opened by SQLite, unless it is none of SQLite's: closing it otherwise would
    drop the locks that other connections of this process hold on it
    (https://www.sqlite.org/howtocorrupt.html, section 2.2).

    Args:
        timeout_s: How long to wait for an SQLite file that somebody has locked.
    """
    path = file_path(url)
    if path is None:
        return read_schema(url, {})
    if path.is_dir():
        raise StorageAccessError(f"{named(url)} is a folder.")
    if journal_path(url) is None:
        if not path.exists():
            return Schema()
        if writes and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            raise StorageAccessError(f"{named(url)} cannot be written: no permission.")
        try:
            return read_schema(unchanging(path, {"mode": "ro"}), {"timeout": timeout_s})
        except DatabaseError as error:
            if "not a database" not in str(error):
                raise
        if not is_journal(path):
            what = describe_file(path) or "cannot be opened: file is not a database"
            raise StorageAccessError(f"{named(url)} {what}")
    if writes and not path.exists():
        raise StorageAccessError(
            f"{named(url)} would be a journal, which is only read here: write to a database, such "
            "as sqlite:///FILE."
        )
    if writes:
        raise StorageAccessError(f"{named(url)} is a journal of Optuna's. {_only_read(url)}.")
    return path


def unchanging(path: Path, mode: Mapping[str, str] = UNCHANGING) -> str:
    """Return the URL of an SQLite file that is opened in a mode, if its folder can be written."""
    mode = mode if os.access(path.parent, os.W_OK) else UNCHANGING
    found = URL.create("sqlite", database=path.resolve().as_uri(), query={**mode, "uri": "true"})
    return found.render_as_string()


def may_create(schema: Schema, url: str) -> bool:
    """Whether a study database is yet to be created; a server's may hold other things, too."""
    empty = schema.state in (State.EMPTY, State.PARTIAL)
    return empty or (schema.state is State.FOREIGN and sqlite_path(url) is None)


def require_usable(schema: Schema, url: str, *, create: bool, write: bool) -> None:
    """Raise unless a database can be read, written or created."""
    path, state = sqlite_path(url), schema.state
    if (
        state is State.CURRENT
        or (state is State.READABLE and not (create or write))
        or (create and may_create(schema, url))
    ):
        return
    upgrade = shlex.join(["optuna", "storage", "upgrade", "--storage", redact(url)])
    if path is not None and not path.exists():
        what = f"does not exist{near(path)}."
    elif path is None and may_create(schema, url):
        what = "is no study database; `emoji-study run` creates it there."
    elif state is State.PARTIAL:
        raise StorageUnreachableError(
            f"{named(url)} is not complete yet: another process is creating it, or was killed "
            "while it did; `emoji-study run` completes it."
        )
    elif state is State.READABLE:
        what = f"was written by Optuna 2.6 to 3.1. {_only_read(url)}; `{upgrade}` upgrades it."
    elif state is State.OLD:
        what = (
            "was written by Optuna 2.5 or an older one, which is not read: copy it for safety, "
            f"{_before_upgrade(schema, url)}then `{upgrade}` upgrades it."
        )
    elif state is State.LATER:
        what = (
            f"was written by a later Optuna (schema {schema.version}): it takes a later "
            "emoji-study, which brings that."
        )
    elif state is State.EMPTY:
        what = "is empty; `emoji-study run` makes it a study database."
    else:
        what = "is a database of another program, not a study database."
    raise StorageAccessError(f"{named(url)} {what}")


def _before_upgrade(schema: Schema, url: str) -> str:
    """Return what makes Optuna's own upgrade of its oldest tables succeed."""
    if schema.version == OLDEST_WITH_REPORTS:
        return ""
    if REPORTS in schema.tables:
        return f"drop the empty table {REPORTS}, which a later one has added, "
    if parse_url(url).get_backend_name() == "postgresql":
        return "`ALTER TYPE studydirection RENAME TO studydirection_old`, "
    return ""


def named(url: str) -> str:
    """Return what errors call a storage."""
    path = file_path(url)
    return f"Storage {redact(url)}" if path is None else f"Storage file {path}"


@contextmanager
def refusing(url: str) -> Iterator[None]:
    """Turn what opening a storage raises into one of our errors, in one line."""
    try:
        yield
    except StorageError:
        raise
    except ImportError:
        extra = _EXTRAS[parse_url(url).get_backend_name()]
        raise StorageAccessError(
            f"{named(url)} needs a database driver that is not installed: " + to_install(extra)
        ) from None
    except Exception as error:  # a driver raises anything for an option that it cannot use
        raise refusal(named(url), error) from None


def refusal(storage: str, error: Exception) -> StorageAccessError:
    """Return what to raise where a storage cannot be opened, by whether it may be later."""
    kind = StorageAccessError if outage(error) is None else StorageUnreachableError
    cause = getattr(error, "orig", None) or error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    system = isinstance(cause, OSError) and cause.strerror
    reason = f"{system}." if system else first_line(cause)
    return kind(f"{storage} cannot be opened: {reason}")


def _only_read(url: str) -> str:
    copy = ["emoji-study", "copy", "--storage", redact(url), "--to", "sqlite:///FILE"]
    return f"It is only read here; `{shlex.join(copy)}` copies a study into a database"
