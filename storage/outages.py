"""Telling a database that is away for a while from an error that will not go away."""

import sqlite3

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
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
    if isinstance(error, SQLAlchemyError):
        return _database_outage(error)
    return _server_outage(error)


def is_starting(reason: str) -> bool:
    """Say whether an outage is what one sees of a server that is starting, or not started yet.

    A name that is unknown, or a wrong password, is not; a wrong port looks the same.

    Args:
        reason: As ``outage`` gives it.
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
    if _is_missing(error):
        return "The study is not there any more: it was deleted while it was in use."
    if isinstance(error, StorageInternalError | SQLAlchemyError):
        cause = error.__cause__ or error
        return failure(cause) or f"The storage failed: {first_line(cause)}"
    details = _rpc_details(error)
    return None if details is None else f"The storage failed: {details}"


def _is_missing(error: BaseException) -> bool:
    """Say whether a database lacks what a key stands for; clients of a server know no more."""
    if not isinstance(error, KeyError):
        return False
    return models.NOT_FOUND_MSG in str(error) or _rpc_code(error.__cause__) == "NOT_FOUND"


def _database_outage(error: SQLAlchemyError) -> str | None:
    if isinstance(error, PoolTimeoutError):
        return first_line(error)
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        return outage(error.orig)
    away = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    return first_line(error.orig or error) if away else None


def _server_outage(error: BaseException) -> str | None:
    """Say why a server of a database (``storage.served``) does not answer.

    Optuna's own methods answer any error of the database with the code for unknown ones.
    """
    name, details = _rpc_code(error), _rpc_details(error)
    # A server that is stopped cancels what it is answering.
    away = name in ("UNAVAILABLE", "CANCELLED") or (
        name == "UNKNOWN" and "raised during the commit" in str(details)
    )
    return (details or name) if away else None


def _rpc_code(error: BaseException | None) -> str | None:
    """Return the name of a gRPC error's code, without importing gRPC; None for other errors."""
    code = getattr(error, "code", None)
    name = getattr(code(), "name", None) if callable(code) else None
    return None if name is None else str(name)


def _rpc_details(error: BaseException) -> str | None:
    """Return the first line of what a gRPC error says; None for other errors."""
    if _rpc_code(error) is None:
        return None
    details = getattr(error, "details", None)
    text = str(details()) if callable(details) else ""
    return text.strip().partition("\n")[0]


def first_line(error: BaseException) -> str:
    """Return an error in one line, without SQL or links."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
