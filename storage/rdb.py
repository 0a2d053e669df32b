"""Opening a study database, with the settings that let several processes share it.

Optuna owns the schema. Its own defaults are made for one process; what is changed here, and why:

- SQLite waits up to a minute for a lock rather than five seconds, keeps a write-ahead log so that
  readers never block a writer, and takes the write lock at the start of every transaction of a
  worker: without that, two workers can both claim one waiting trial.
- Server databases get a small pool, for there may be hundreds of workers, and a check of each
  connection before its use, for idle ones are cut.
- A file that is removed, replaced or emptied while it is open ends whoever has it open.
- Running trials send heartbeats; one that falls silent is failed and queued again (``queue``).
"""

import itertools
import os
import random
import sqlite3
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import WeakSet

import sqlalchemy
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import (
    StorageAccessError,
    StorageLostError,
    StorageUnreachableError,
    to_install,
)
from storage.internals import models
from storage.outages import first_line, is_starting, outage
from storage.reading import Database
from storage.served import ServedStorage
from storage.urls import parse_url, redact, server_address, sqlite_path

HEARTBEAT_INTERVAL_S = 60
GRACE_PERIOD_S = 300

STARTING_S = 120.0  # how long a command waits for a server; what runs already waits longer
_SQLITE_TIMEOUT_S = 60
_MAX_CREATIONS = 10
_TABLES = {*models.BaseModel.metadata.tables, "alembic_version"}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql"}
_UNCHANGING = "immutable=1"
"""Of a file in a folder where nobody can write, for a write-ahead log needs two more files.

Source: https://www.sqlite.org/wal.html (section 5, read-only databases).
"""


def open_storage(url: str, *, create: bool = False, write: bool = False) -> BaseStorage:
    """Open a database, or a server of one, with Optuna's cache of finished trials.

    Args:
        url: Of SQLite, PostgreSQL or MySQL, or ``grpc://HOST:PORT`` of a server of one of them.
        create: Create the database, and its folder, where it does not exist yet.
        write: Open it for a process that changes trials. Readers need no lock.

    Raises:
        StorageUrlError: If the URL is malformed or not supported.
        StorageAccessError: If the database does not exist, cannot be written, or belongs to
            another program.
        StorageUnreachableError: If it does not answer, or is locked.
    """
    address = server_address(url)
    if address is not None:
        try:
            return ServedStorage(*address)
        except ImportError:
            raise StorageAccessError(
                f"Storage grpc://{address[0]}:{address[1]} needs gRPC, which is not installed: "
                + to_install("grpc")
            ) from None
    path = sqlite_path(url)
    if path is not None:
        tables = _check_sqlite_file(path, create=create, write=write)
        if create and not tables:
            _keep_log(path)
        if not (create or write) and not os.access(path.parent, os.W_OK):
            url = f"sqlite:///{path.resolve().as_uri()}?{_UNCHANGING}&uri=true"
    try:
        if path is None and not (create or _server_tables(url) >= _TABLES):
            raise StorageAccessError(
                f"Storage {redact(url)} is no study database; `emoji-study run` creates it there."
            )
        storage = _connect(url, sqlite=path is not None, create=create)
    except ImportError:
        extra = _EXTRAS[parse_url(url).get_backend_name()]
        raise StorageAccessError(
            f"Storage {redact(url)} needs a database driver that is not installed: "
            + to_install(extra)
        ) from None
    except (SQLAlchemyError, OptunaError, RuntimeError) as error:
        raise _refusal(f"Storage {redact(url)}", error) from None
    if path is not None:
        _watch_file(storage, path)
        if write:
            _serialize_writers(storage)
    _engines.add(storage.engine)
    return get_storage(storage)


def find_storage(url: str) -> BaseStorage | None:
    """Open a storage for writing, as ``open_storage``; None where it is yet to be created."""
    path = sqlite_path(url)
    try:
        if path is None:
            there = server_address(url) is not None or _server_tables(url) >= _TABLES
        else:
            there = path.exists() and _check_sqlite_file(path, create=True, write=True) >= _TABLES
    except (SQLAlchemyError, ImportError):
        there = True  # opening it tells what is wrong
    return open_storage(url, write=True) if there else None


def await_server(url: str, *, say: Callable[[str], None]) -> None:
    """Wait for a server that is only starting, as after a reboot of all machines, and ``say`` so.

    Whatever else may be wrong, and a server that does not start, is for ``open_storage`` to tell.
    """
    if server_address(url) is not None or sqlite_path(url) is not None:
        return
    began = time.monotonic()
    for n in itertools.count():
        try:
            _server_tables(url)
            return
        except (SQLAlchemyError, ImportError) as error:
            reason = outage(error)
        if reason is None or not is_starting(reason):
            return
        if not n:
            say(
                f"The storage is away ({reason}); waiting up to {STARTING_S:.0f} s for it. "
                "Ctrl-C ends that."
            )
        if time.monotonic() - began > STARTING_S:
            return
        time.sleep(1.0)


_engines: WeakSet[sqlalchemy.Engine] = WeakSet()  # they hold this process's connections


def close_all() -> None:
    """Close all connections of this process to databases, as its end would.

    The last connection to an SQLite file folds the write-ahead log into it; without that, a file
    that is copied alone, or read where nothing can be written, lacks what is in the log.
    """
    for engine in list(_engines):
        engine.dispose()


def _connect(url: str, *, sqlite: bool, create: bool) -> Database:
    """Open a database, and create its tables if asked.

    Creating them takes several transactions. Where two processes do it at the same time, one
    fails at what the other has done already, and succeeds a moment later.
    """
    options: dict[str, Any] = {"connect_args": {"timeout": _SQLITE_TIMEOUT_S}}
    if not sqlite:
        options = {"pool_size": 1, "max_overflow": 2, "pool_pre_ping": True, "pool_recycle": 1800}
    until = time.monotonic() + _SQLITE_TIMEOUT_S
    for n in itertools.count(1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return Database(
                    url,
                    engine_kwargs=options,
                    heartbeat_interval=HEARTBEAT_INTERVAL_S,
                    grace_period=GRACE_PERIOD_S,
                    skip_table_creation=not create,
                )
        except (SQLAlchemyError, OptunaError) as error:
            locked = sqlite and time.monotonic() < until  # SQLite does not always wait for a lock
            if not create or n == _MAX_CREATIONS or (outage(error) is not None and not locked):
                raise
            time.sleep(random.uniform(0.1, 0.3))
    raise AssertionError("unreachable")


def _server_tables(url: str) -> set[str]:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    return set(sqlalchemy.inspect(engine).get_table_names())


def _check_sqlite_file(path: Path, *, create: bool, write: bool) -> set[str]:
    """Raise unless ``path`` is, or may become, a database of Optuna's; return its tables.

    The file is only ever opened by SQLite: closing it otherwise would drop the locks that other
    connections of this process hold on it (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    try:
        if not path.exists():
            if not create:
                raise StorageAccessError(
                    f"Storage file {path} does not exist; `emoji-study run` creates it."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            return set()
        if path.is_dir():
            raise StorageAccessError(f"Storage file {path} is a folder.")
        if write and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            raise StorageAccessError(f"Storage file {path} cannot be written: no permission.")
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        mode = "mode=ro" if os.access(path.parent, os.W_OK) else _UNCHANGING
        tables = {name for (name,) in _query(path, mode, query)}
    except StorageAccessError:
        raise
    except (OSError, sqlite3.Error) as error:
        raise _refusal(f"Storage file {path}", error) from None
    if (tables - _TABLES and not tables >= _TABLES) or not (tables or create):
        raise StorageAccessError(
            f"Storage file {path} is a database of another program, not a study database."
        )
    if not create and not tables >= _TABLES:
        raise StorageUnreachableError(
            f"Storage file {path} is not complete yet: another process is creating it, or was "
            "killed while it did; `emoji-study run` completes it."
        )
    return tables


def _keep_log(path: Path) -> None:
    """Create a file, or take an empty one, and let it have a write-ahead log for good.

    SQLite does not wait for a lock here, so that two processes that create one file at the same
    moment would end one another.
    """
    until = time.monotonic() + _SQLITE_TIMEOUT_S
    while True:
        try:
            _query(path, "mode=rwc", "PRAGMA journal_mode=WAL")
            return
        except sqlite3.Error as error:
            if outage(error) is None or time.monotonic() > until:
                raise _refusal(f"Storage file {path}", error) from None
            time.sleep(random.uniform(0.01, 0.03))


def _query(path: Path, mode: str, statement: str) -> list[tuple[str, ...]]:
    uri = f"{path.resolve().as_uri()}?{mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_SQLITE_TIMEOUT_S)) as connection:
        return connection.execute(statement).fetchall()


def _watch_file(storage: RDBStorage, path: Path) -> None:
    """Let nothing begin that would read or write a file that is not the one at ``path`` any more.

    SQLite goes on with a file that was removed or replaced, and what it writes is lost; where it
    connects anew, it creates an empty one.
    """
    opened = path.stat()
    size = opened.st_size

    def check(*_: Any) -> None:
        nonlocal size
        try:
            now = path.stat()
        except FileNotFoundError:
            raise StorageLostError(
                f"Storage file {path} was removed or moved away while it was in use: put it back, "
                "or what it held is lost."
            ) from None
        if (now.st_dev, now.st_ino) != (opened.st_dev, opened.st_ino):
            raise StorageLostError(
                f"Storage file {path} was replaced by another one while it was in use: what was "
                "stored in the old one meanwhile is not in the new one."
            )
        if now.st_size < size and not _is_whole(path):
            raise StorageLostError(
                f"Storage file {path} was cut short while it was in use: what it held is lost, in "
                "part or as a whole."
            )
        size = now.st_size

    sqlalchemy.event.listen(storage.engine, "do_connect", check)
    sqlalchemy.event.listen(storage.engine, "begin", check)


def _is_whole(path: Path) -> bool:
    """Say whether a file that has become smaller holds a whole database, as after a VACUUM."""
    try:
        check = _query(path, "mode=ro", "PRAGMA quick_check(1)")
    except sqlite3.Error as error:
        return outage(error) is not None
    return path.stat().st_size > 0 and check == [("ok",)]


def _serialize_writers(storage: RDBStorage) -> None:
    """Make every transaction of this process take SQLite's write lock at its start.

    Source: https://docs.sqlalchemy.org/en/20/dialects/sqlite.html (section on transactional DDL).
    """
    engine = storage.engine
    engine.dispose()

    @sqlalchemy.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy, not the driver, begins transactions
        connection.execute("PRAGMA synchronous=NORMAL")  # safe with the write-ahead log

    @sqlalchemy.event.listens_for(engine, "begin")
    def _begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _refusal(storage: str, error: Exception) -> StorageAccessError:
    """Return what to raise where a storage cannot be opened, by whether it may be later."""
    kind = StorageAccessError if outage(error) is None else StorageUnreachableError
    cause: Any = error if getattr(error, "orig", None) else error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    system = isinstance(cause, OSError) and cause.strerror
    reason = f"{system}." if system else first_line(cause)
    return kind(f"{storage} cannot be opened: {reason}")
