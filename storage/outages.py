"""Telling a database that is away for a while from an error that will not go away."""

import sqlite3

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage.errors import StorageError, StorageUnreachableError
from storage.internals import models

_STARTING = (
    *("starting up", "shutting down"),  # PostgreSQL
    *("Connection refused", "No such file or directory"),  # nobody listens, or no socket yet
)


def outage(error: BaseException) -> str | None:
    """Say in one line why a database cannot be used for now; None for any other error.

    A server that does not answer or is starting is expected back, as is the lock that another
    process holds on an SQLite file. That a file is damaged, or the disk full, needs a person.
    """
    if isinstance(error, StorageUnreachableError):
        return str(error)
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return outage(error.__cause__)
    if isinstance(error, sqlite3.Error):
        reason = first_line(error)
        return reason if "locked" in reason or "busy" in reason else None
    if isinstance(error, PoolTimeoutError):
        return first_line(error)
    if isinstance(error, DBAPIError):
        if isinstance(error.orig, sqlite3.Error):
            return outage(error.orig)
        away = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
        return first_line(error.orig or error) if away else None
    code, details = _of_a_server(error)
    # A server (``storage.served``) that is stopped cancels what it is answering, and Optuna's own
    # methods answer any error of the database with the code for unknown ones.
    away = code in ("UNAVAILABLE", "CANCELLED") or (
        code == "UNKNOWN" and "raised during the commit" in details
    )
    return (details or code) if away else None


def is_refusal(error: BaseException) -> bool:
    """Say whether a database refused a value that it was given: too long, or of another type."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(cause, DataError | InterfaceError | ProgrammingError) and not outage(cause)


def is_starting(reason: str) -> bool:
    """Say whether an outage is what one sees of a server that is starting, or not started yet.

    A name that is unknown, or a wrong password, is not; a wrong port looks the same.
    """
    return any(sign in reason for sign in _STARTING)


def failure(error: BaseException) -> str | None:
    """Say in one line why a database or a study in it cannot be used; None for other errors.

    Beside outages that is what needs a person: a file that is damaged or gone, or a study that
    was deleted.
    """
    if isinstance(error, StorageError):
        return str(error)
    away = outage(error)
    if away is not None:
        return f"The storage is away: {away}"
    if isinstance(error, KeyError) and (
        models.NOT_FOUND_MSG in str(error) or _of_a_server(error.__cause__)[0] == "NOT_FOUND"
    ):
        return "The study is not there any more: it was deleted while it was in use."
    if isinstance(error, StorageInternalError | SQLAlchemyError):
        cause = error.__cause__
        said = None if cause is None else failure(cause)
        return said or f"The storage failed: {first_line(cause or error)}"
    code, details = _of_a_server(error)
    return None if code is None else f"The storage failed: {details}"


def _of_a_server(error: BaseException | None) -> tuple[str | None, str]:
    """Return name of the code and first line of a gRPC error, not importing gRPC; else None."""
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    name = getattr(code(), "name", None) if callable(code) else None
    if name is None:
        return None, ""
    text = str(details()) if callable(details) else ""
    return str(name), text.strip().partition("\n")[0]


def first_line(error: BaseException) -> str:
    """Return an error in one line, without SQL or links."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
