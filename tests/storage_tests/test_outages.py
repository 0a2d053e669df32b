"""Errors of databases: which of them pass by themselves, and what is said of them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import grpc
import optuna
import pytest
import sqlalchemy
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from sqlalchemy import exc

from storage.errors import StorageAccessError, StorageUnreachableError
from storage.outages import failure, first_line, is_starting, outage
from storage.rdb import open_storage
from storage.served import ServedStorage, make_server
from tests.servers import free_port


def error_of(action: Callable[[], object]) -> Exception:
    """Return the error that an action ends with."""
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("there was none")


def connect(url: str) -> None:
    """Open a connection to a database, without any of our own code, and use it."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM nothing")


def test_locked_file(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock of another process ends some time."""
    monkeypatch.setattr("storage.rdb._SQLITE_TIMEOUT_S", 0)
    study = optuna.create_study(storage=open_storage(url, create=True, write=True))
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        error = error_of(lambda: study.set_user_attr("name", "value"))
    assert isinstance(error, StorageInternalError)
    assert outage(error) == outage(error.__cause__ or error) == "database is locked"


def test_damaged_file(tmp_path: Path, url: str) -> None:
    """A file that is damaged stays so, whatever it was that could not be read."""
    study = optuna.create_study(storage=open_storage(url, create=True))
    with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
        connection.execute("DROP TABLE study_user_attributes")
    error = error_of(lambda: study.set_user_attr("name", "value"))
    assert isinstance(error, StorageInternalError)
    assert outage(error) is None
    (tmp_path / "text.db").write_text("a few words\n" * 1000)
    damaged = error_of(lambda: connect(f"sqlite:///{tmp_path / 'text.db'}"))
    assert isinstance(damaged, exc.DatabaseError)
    assert outage(damaged) is None


def test_full_disk(tmp_path: Path) -> None:
    """A file that has no more room needs a person."""

    def fill() -> None:
        engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'small.db'}")
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=2")
            for i in range(9):
                connection.exec_driver_sql(f"CREATE TABLE t{i} (name TEXT)")

    error = error_of(fill)
    assert isinstance(error, exc.OperationalError)
    assert "full" in str(error)
    assert outage(error) is None


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_no_server(driver: str) -> None:
    """A server that does not answer is expected back; its name is said, without a password."""
    port = free_port()
    error = error_of(lambda: connect(f"{driver}://user:s3cret@127.0.0.1:{port}/database"))
    said = outage(error)
    assert said is not None
    assert "127.0.0.1" in said
    assert "s3cret" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("host", "starting"), [("127.0.0.1:{port}", True), ("no-such-host.invalid", False)]
)
@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_server_that_may_be_starting(driver: str, host: str, starting: bool) -> None:
    """Where nobody listens a server may start; a host that has no address will not get one."""
    where = host.format(port=free_port())
    said = outage(error_of(lambda: connect(f"{driver}://user:s3cret@{where}/database")))
    assert said is not None
    assert is_starting(said) == starting


def test_no_connection_is_free(tmp_path: Path) -> None:
    """All connections of the pool being in use passes as well."""
    engine = sqlalchemy.create_engine(
        f"sqlite:///{tmp_path / 'study.db'}",
        poolclass=sqlalchemy.QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=0,
    )
    with engine.connect():
        error = error_of(engine.connect)
    assert "QueuePool limit" in str(outage(error))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("locked"),
        KeyError("busy"),
        OSError(28, "No space left on device"),
        StorageAccessError("Storage file x cannot be written: no permission."),
        StorageInternalError("without a cause"),
        DuplicatedStudyError("there is one"),
        exc.ArgumentError("no database"),
        exc.IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
        exc.ProgrammingError("SELECT", {}, Exception("syntax error")),
        exc.OperationalError("SELECT", {}, sqlite3.OperationalError("no such table: trials")),
    ],
)
def test_errors_that_stay(error: Exception) -> None:
    """Whatever is no outage is not waited for."""
    assert outage(error) is None


def test_failure_without_a_cause() -> None:
    """A database that failed is said to have, also where nobody knows more than that."""
    assert failure(StorageInternalError("one\ntwo")) == "The storage failed: one"


def test_own_error() -> None:
    """What was found out when a storage was opened keeps its words."""
    assert outage(StorageUnreachableError("Nobody answers.")) == "Nobody answers."


def test_server_that_is_gone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of a database is away when it does not answer, or when its database does not."""
    monkeypatch.setattr("storage.rdb._SQLITE_TIMEOUT_S", 0)
    port = free_port()
    served = open_storage(url, create=True, write=True)
    study_id = optuna.create_study(storage=served)._study_id
    server = make_server(served, host="127.0.0.1", port=port, n_threads=2)
    server.start()
    client = ServedStorage(host="127.0.0.1", port=port)
    arguments = {"study_id": study_id, "worker": "host:1"}
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        locked = error_of(lambda: client.call("claim", arguments))
        inside = error_of(lambda: client.set_study_user_attr(study_id, "name", "value"))
    assert isinstance(locked, grpc.RpcError)
    assert "database is locked" in str(outage(locked))
    assert outage(inside) is not None
    server.stop(grace=None).wait()
    gone = error_of(lambda: client.call("claim", arguments))
    assert isinstance(gone, grpc.RpcError)
    assert outage(gone) is not None
    client.close()


def test_first_line() -> None:
    """An error is said in one line, and one without words by its name."""
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError("\n one \n")) == "one"
    assert first_line(ValueError()) == "ValueError"
