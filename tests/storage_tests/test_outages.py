"""Errors of databases: which of them pass by themselves, and what is said of them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from sqlalchemy import exc

from storage.errors import StorageAccessError, StorageUnreachableError
from storage.outages import failure, first_line, is_starting, outage
from storage.rdb import open_storage
from tests.servers import free_port


def error_of(url: str, *statements: str) -> Exception:
    """Use a database, without any of our own code; return the error that this ends with."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with pytest.raises(exc.DatabaseError) as caught, engine.connect() as connection:
        list(map(connection.exec_driver_sql, statements))
    return caught.value


def test_files(tmp_path: Path, url: str) -> None:
    """The locks of others pass by themselves; a file that is no database or full does not."""
    with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        locked = error_of(f"{url}?timeout=0", "CREATE TABLE a (b TEXT)")
    assert outage(locked) == "database is locked"
    pool = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0}
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.QueuePool, **pool)
    with engine.connect(), pytest.raises(exc.TimeoutError) as used:
        engine.connect()
    assert "QueuePool limit" in str(outage(used.value))
    (tmp_path / "text.db").write_text("a few words\n" * 1000)
    assert outage(error_of(f"sqlite:///{tmp_path / 'text.db'}", "SELECT * FROM a")) is None
    tables = (f"CREATE TABLE t{i} (name TEXT)" for i in range(9))
    full = error_of(f"sqlite:///{tmp_path / 'small.db'}", "PRAGMA max_page_count=2", *tables)
    assert "full" in str(full)
    assert outage(full) is None


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_no_server(driver: str) -> None:
    """A server is expected back, which may start where the host is known; no password is said."""
    for where, starting in ((f"127.0.0.1:{free_port()}", True), ("no-such-host.invalid", False)):
        url = f"{driver}://user:s3cret@{where}/database"
        said = str(outage(error_of(url)))
        assert is_starting(said) == starting
        assert where.partition(":")[0] in said
        for create in (False, True):
            with pytest.raises(StorageUnreachableError, match="cannot be opened: ") as caught:
                open_storage(url, create=create, write=create)
            assert "s3cret" not in f"{said}{caught.value}"
            assert "\n" not in f"{said}{caught.value}"


def test_words() -> None:
    """Whatever is no outage is not waited for; what is one, or was found to be, is one line."""
    for error in (
        ValueError("locked"),
        OSError(28, "No space left on device"),
        StorageAccessError("Storage file x cannot be written: no permission."),
        StorageInternalError("without a cause"),
        exc.ArgumentError("no database"),
        exc.IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
        exc.ProgrammingError("SELECT", {}, Exception("syntax error")),
        exc.OperationalError("SELECT", {}, sqlite3.OperationalError("no such table: trials")),
    ):
        assert outage(error) is None
    assert outage(StorageUnreachableError("Nobody answers.")) == "Nobody answers."
    assert failure(StorageInternalError("one\ntwo")) == "The storage failed: one"
    assert (first_line(ValueError("\n one \n")), first_line(ValueError())) == ("one", "ValueError")
