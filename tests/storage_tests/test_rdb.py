"""Opening SQLite files: what is created, what is refused, and that locks hold."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError

from storage.errors import StorageAccessError, StorageLostError, StorageUnreachableError
from storage.internals import database_of
from storage.outages import outage
from storage.rdb import close_all, open_storage
from tests.servers import close_storage, next_line, opened, process

TAKE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
connection.execute("BEGIN IMMEDIATE")
connection.close()
"""


def is_locked(path: Path) -> bool:
    """Say whether another process cannot take the write lock of a file."""
    taking = [sys.executable, "-c", TAKE_LOCK, path]
    done = subprocess.run(taking, stderr=subprocess.PIPE, text=True, check=False)
    return done.stderr.endswith("database is locked\n")


def new_database(url: str) -> optuna.Study:
    """Create a database with one study."""
    storage = open_storage(url, create=True, write=True)
    return optuna.create_study(storage=storage, study_name="study")


def names(url: str, **options: bool) -> list[str]:
    """Return the names of the studies of a database."""
    return [study.study_name for study in open_storage(url, **options).get_all_studies()]


def file_of(statement: str) -> bytes:
    """Return a file of SQLite."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(statement)
        connection.commit()
        return connection.serialize()


def test_create(tmp_path: Path) -> None:
    """A file and its folders appear once, with a write-ahead log, only by ``create``."""
    path = tmp_path / "50% #1 & more" / "new" / "my study.db"
    url = f"sqlite:///{path}"
    message = r"my study\.db does not exist, nor does the folder"
    for write in (False, True):
        with pytest.raises(StorageAccessError, match=message):
            open_storage(url, write=write)
    assert list(tmp_path.iterdir()) == []
    new_database(url)
    assert names(url) == names(url, create=True, write=True) == ["study"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    (tmp_path / "file").touch()
    with pytest.raises(StorageAccessError, match=r"cannot be opened: (Not a dir|File ex)\w+\.$"):
        open_storage(f"sqlite:///{tmp_path / 'file' / 'study.db'}", create=True)


CREATE = """
import sys
from storage.rdb import open_storage
print(flush=True)
sys.stdin.readline()  # both at the same moment
open_storage(sys.argv[1], create=True, write=True)
"""


def test_two_that_create(database: str) -> None:
    """Of two processes that create a database at one moment none is ended by the other."""
    with process(CREATE, database) as one, process(CREATE, database) as other:
        assert next_line(one) == next_line(other) == ""
        for creating in (one, other):
            creating.stdin.write("\n")
            creating.stdin.flush()
        assert (one.wait(), other.wait()) == (0, 0)
    with opened(database) as storage:
        assert storage.get_all_studies() == []


def test_no_study_database(tmp_path: Path, url: str) -> None:
    """Whatever else lies there is refused in one line, by all, and left as it is."""
    path = tmp_path / "study.db"
    foreign = file_of("CREATE TABLE bookmarks (url TEXT)")
    damaged = file_of("CREATE TABLE studies (name TEXT)")[:100] + random.Random(0).randbytes(8092)
    for content, message in (
        (b"some words\n" * 100, "study.db is a text, and no database"),
        (foreign, "study.db is a database of another program, not a study database"),
        (damaged, "study.db cannot be opened: "),
        (None, "study.db is a folder"),
    ):
        if content is None:
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(content)
        for create, write in ((False, False), (False, True), (True, True)):
            with pytest.raises(StorageAccessError, match=message) as caught:
                open_storage(url, create=create, write=write)
            assert "\n" not in str(caught.value)
        assert path.is_dir() if content is None else path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["study.db"]


def test_database_in_the_making(tmp_path: Path, url: str) -> None:
    """An empty file is none, a half-filled one out of reach; who creates makes it one."""
    path = tmp_path / "study.db"
    table = file_of("CREATE TABLE studies (study_id INTEGER)")
    for content, error, message in (
        (table, StorageUnreachableError, r"not complete yet.*completes it\.$"),
        (b"", StorageAccessError, "is empty; `emoji-study run` makes it"),
    ):
        path.write_bytes(content)
        for write in (False, True):
            with pytest.raises(error, match=message):
                open_storage(url, write=write)
        assert path.read_bytes() == content
    new_database(url)
    assert names(url) == ["study"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_to_write(tmp_path: Path) -> None:
    """Such a file can be read, but not worked on; such a folder takes no file, and no log."""
    folder = tmp_path / "folder"
    path, url = folder / "study.db", f"sqlite:///{folder / 'study.db'}"
    new_database(url)
    for kept, modes in ((path, (0o444, 0o644)), (folder, (0o555, 0o755))):
        kept.chmod(modes[0])
        try:
            with pytest.raises(StorageAccessError, match=r"cannot be written: no permission\.$"):
                open_storage(url, write=True)
            assert names(url) == ["study"]
            if kept == folder:
                with pytest.raises(StorageAccessError, match="cannot be opened: "):
                    open_storage(f"sqlite:///{folder / 'other.db'}", create=True, write=True)
        finally:
            kept.chmod(modes[1])


def test_a_lock_blocks_writers(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers wait a minute, readers get through; a file locked as a whole is out of reach."""
    new_database(url)
    for write in (False, True):
        with database_of(open_storage(url, write=write)).engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000
    monkeypatch.setattr("storage.rdb._SQLITE_TIMEOUT_S", 0)
    writer, reader = open_storage(url, write=True), open_storage(url)
    key = writer.get_study_id_from_name("study")
    with closing(sqlite3.connect(tmp_path / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageInternalError, match="during the commit") as caught:
            writer.set_study_user_attr(key, "name", "value")
        assert outage(caught.value) == "database is locked"
        assert reader.get_study_user_attrs(key) == {}
        assert names(url) == ["study"]
        other.execute("ROLLBACK")
        writer.set_study_user_attr(key, "name", "value")
        assert reader.get_study_user_attrs(key) == {"name": "value"}
        close_all()
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnreachableError, match=r"opened: database is locked$"):
            open_storage(url)


def test_lock_of_a_new_file(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds the file of another process that creates it waits, where SQLite does not."""
    waited: list[float] = []
    with closing(sqlite3.connect(tmp_path / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def sleep(seconds: float) -> None:
            other.execute("ROLLBACK" if waited else "SELECT 1")
            waited.append(seconds)

        monkeypatch.setattr("storage.rdb.time.sleep", sleep)
        new_database(url)
        assert len(waited) == 2
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_opening_again_keeps_lock_and_log(tmp_path: Path, url: str) -> None:
    """A write lock survives that its process opens the storage again, and so does the log.

    Another process would take itself for the last one and delete the log if this one lost its
    shared lock on the file, and what is written here afterwards would be lost with it.
    """
    path = tmp_path / "study.db"
    engine = database_of(new_database(url)._storage).engine
    engine.connect().close()  # one connection stays open, in the pool
    with engine.begin():
        open_storage(url)
        open_storage(url, write=True)
        assert is_locked(path)
    open_storage(url, create=True, write=True)
    assert not is_locked(path)
    assert (tmp_path / "study.db-wal").exists()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda file: file.rename(file.with_suffix(".moved")), "removed or moved away"),
        (lambda file: shutil.copy(file, file.with_suffix(".copy")).replace(file), "replaced by"),
        (lambda file: os.truncate(file, 0), "cut short"),
        (lambda file: os.truncate(file, 20_000), "cut short"),
    ],
)
def test_file_that_goes_while_it_is_open(tmp_path: Path, harm: Callable, said: str) -> None:
    """Nothing more is read from it or written to it, and no empty file takes its place."""
    for write in (True, False):
        file = tmp_path / str(write) / "study.db"
        close_storage(open_storage(f"sqlite:///{file}", create=True))
        storage = open_storage(f"sqlite:///{file}", write=write)
        assert storage.get_all_studies() == []
        harm(file)
        before = set(file.parent.iterdir())
        for _ in range(2):
            with pytest.raises(StorageLostError, match=said):
                storage.get_all_studies()
            close_storage(storage)
        assert before >= set(file.parent.iterdir())


def test_file_that_is_made_smaller(tmp_path: Path, url: str) -> None:
    """A file that shrinks and stays whole, as others may tidy it up, is used on."""
    study, path = new_database(url), tmp_path / "study.db"
    for text in ("x" * 100_000, ""):
        study.set_user_attr("long", text)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        study._storage.get_all_studies()
        study._storage.remove_session()
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < size
    assert len(study._storage.get_all_studies()) == 1
