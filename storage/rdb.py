"""Opening a storage: a database with the settings that let several processes share it.

Optuna owns the schema. Its own defaults are made for one process; what is changed here, and why:

- SQLite waits up to a minute for a lock rather than five seconds, keeps a write-ahead log so that
  readers never block a writer, and takes the write lock at the start of every transaction of a
  worker: without that, two workers can both claim one waiting trial.
- Server databases get a small pool, for there may be hundreds of workers, and a check of each
  connection before its use, for idle ones are cut.
- A file that is removed, replaced or emptied while it is open ends whoever has it open.
- Running trials send heartbeats; one that falls silent is failed and queued again (``queue``).

A reader changes nothing, not even a table: so tables of Optuna 2.6 to 3.1 and journals are read as
they are, and what they lack is never asked for.
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

import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import StorageAccessError, StorageLostError, to_install
from storage.journals import open_journal
from storage.outages import is_starting, outage
from storage.reading import Database
from storage.schema import Schema, State, read_schema
from storage.served import ServedStorage
from storage.sources import (
    look,
    may_create,
    refusal,
    refusing,
    require_usable,
    unchanging,
)
from storage.urls import canonical, file_path, server_address, sqlite_path

HEARTBEAT_INTERVAL_S = 60
GRACE_PERIOD_S = 300

STARTING_S = 120.0  # how long a command waits for a server; what runs already waits longer
_SQLITE_TIMEOUT_S = 60
_MAX_CREATIONS = 10


def open_storage(url: str, *, create: bool = False, write: bool = False) -> BaseStorage:
    """Open a storage; a database or a server of one with Optuna's cache of finished trials.

    Args:
        url: Of SQLite, PostgreSQL or MySQL, ``grpc://HOST:PORT`` of a server of one of them, or
            ``journal:///FILE``. A file behind ``sqlite:///`` may be a journal as well.
        create: Create the database, and its folder, where it does not exist yet.
        write: Open it for a process that changes trials. Readers need no lock.

    Raises:
        StorageUrlError: If the URL is malformed or not supported.
        StorageAccessError: If the storage does not exist, cannot be written, or belongs to
            another program.
        StorageUnreachableError: If it does not answer, or is locked.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of every trial
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
    with refusing(url):
        found = look(url, writes=create or write, timeout_s=_SQLITE_TIMEOUT_S)
        if isinstance(found, Path):
            return open_journal(found)
        require_usable(found, url, create=create, write=write)
        if path is not None and create:
            path.parent.mkdir(parents=True, exist_ok=True)
            if found.state is State.EMPTY:
                _keep_log(path)
        reads = not (create or write)
        if path is not None and reads and not os.access(path.parent, os.W_OK):
            url = unchanging(path)
        # Of a database that was upgraded a table is missing.
        create = create or (write and bool(found.lacking))
        checked = found.state is State.READABLE
        url = canonical(url)
        storage = _connect(url, sqlite=path is not None, create=create, checked=checked)
    if reads:
        storage.lacking = found.lacking
    if path is not None:
        _watch_file(storage, path)
        if write:
            _serialize_writers(storage)
    _engines.add(storage.engine)
    return get_storage(storage)


def find_storage(url: str) -> BaseStorage | None:
    """Open a storage for writing, as ``open_storage``; None where it is yet to be created."""
    if server_address(url) is None:
        with refusing(url):
            found = look(url, writes=True, timeout_s=_SQLITE_TIMEOUT_S)
        if isinstance(found, Schema) and may_create(found, url):
            return None
    return open_storage(url, write=True)


def await_server(url: str, *, say: Callable[[str], None]) -> None:
    """Wait for a server that is only starting, as after a reboot of all machines, and ``say`` so.

    Whatever else may be wrong, and a server that does not start, is for ``open_storage`` to tell.
    """
    if server_address(url) is not None or file_path(url) is not None:
        return
    began = time.monotonic()
    for n in itertools.count():
        try:
            read_schema(url, {})
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


def _connect(url: str, *, sqlite: bool, create: bool, checked: bool) -> Database:
    """Open a database, and create its tables if asked; Optuna does not check what is ``checked``.

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
                    skip_compatibility_check=checked,
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
                raise refusal(f"Storage file {path}", error) from None
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
