"""Telling a database that is away for a while from an error that will not go away."""

import sqlite3

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage.errors import StorageUnreachableError


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
    code = getattr(error, "code", None)
    name = getattr(code(), "name", None) if callable(code) else None
    details = getattr(error, "details", None)
    text = str(details()) if callable(details) else ""
    # A server that is stopped cancels what it is answering.
    away = name in ("UNAVAILABLE", "CANCELLED") or (
        name == "UNKNOWN" and "raised during the commit" in text
    )
    return (text.strip().splitlines() or [str(name)])[0] if away else None


def first_line(error: BaseException) -> str:
    """Return an error in one line, without SQL or links."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
