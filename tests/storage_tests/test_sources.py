"""Whatever else holds studies: what is read as it is, and what is said of the rest."""

import hashlib
import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from storage.errors import StorageAccessError, StorageUrlError
from storage.internals import database_of, trial_key
from storage.queue import silences
from storage.rdb import find_storage, open_storage
from storage.records import load_study_record, load_summaries
from tests.earlier import earlier_database, upgrade
from tests.servers import close_storage


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Fail if the block creates, changes or removes a file."""

    def digests() -> dict[str, str]:
        return {p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in folder.iterdir()}

    before = digests()
    yield
    assert digests() == before


def refused(url: str, **options: bool) -> str:
    """Return why a storage is not opened, in one line."""
    with pytest.raises((StorageAccessError, StorageUrlError)) as caught:
        open_storage(url, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("version", ["v2.6.0.a", "v3.0.0.b", "v3.0.0.c", "v3.0.0.d"])
def test_earlier_tables(tmp_path: Path, version: str) -> None:
    """Tables of Optuna 2.6 to 3.1 are read as Optuna reads them when it has upgraded them.

    Nothing of them changes, and they are not written.
    """
    path = tmp_path / "study.db"
    url = f"sqlite:///{path}"
    earlier_database(path, version)
    shutil.copy(path, tmp_path / "upgraded.db")
    with unchanged(tmp_path):
        storage = open_storage(url)
        assert silences(storage, 1) == {}
        summary, record = load_summaries(storage)[0], load_study_record(storage, "old")
        trials = storage.get_all_trials(1)
        again = [storage.get_trial(trial_key(trial)) for trial in trials]
        best = storage.get_best_trial(1)
        close_storage(storage)
        assert "only read here; `emoji-study copy" in refused(url, write=True)
        assert "`optuna storage upgrade --storage sqlite:" in refused(url, create=True)
        with pytest.raises(StorageAccessError, match="written by Optuna"):
            find_storage(url)
    upgrade(tmp_path / "upgraded.db", "head")
    theirs = RDBStorage(f"sqlite:///{tmp_path / 'upgraded.db'}").get_all_trials(1)
    assert trials == again == theirs
    assert [trial.distributions for trial in trials] == [trial.distributions for trial in theirs]
    assert best == theirs[0]
    assert (record.user_attrs, record.other_attrs) == ({}, {"by": "me"})
    assert [t.number for t in record.complete if t.feasible] == [1]
    assert (summary.progress.complete, summary.progress.running) == (2, 1)


def test_upgraded_tables(tmp_path: Path, url: str) -> None:
    """A database that Optuna upgraded lacks a table, which who writes makes and nobody else."""
    earlier_database(tmp_path / "study.db", "head")
    with unchanged(tmp_path):
        storage = open_storage(url)
        assert load_summaries(storage)[0].progress.complete == 2
        close_storage(storage)
    storage = open_storage(url, write=True)
    assert silences(storage, 1) == {}
    assert not database_of(storage).lacking


def test_oldest_and_later_tables(tmp_path: Path, url: str) -> None:
    """Tables that are too old are upgraded by the command that is named, later ones not read."""
    path = tmp_path / "study.db"
    for version in ("v0.9.0.a", "v2.4.0.a"):
        path.unlink(missing_ok=True)
        earlier_database(path, version, filled=False)
        with unchanged(tmp_path):
            for create, write in ((False, False), (True, True)):
                said = refused(url, create=create, write=write)
                assert "Optuna 2.5 or an older one" in said
                assert f"`optuna storage upgrade --storage {url}`" in said
    upgrade(path, "head")
    assert open_storage(url).get_all_studies() == []
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
        database.commit()
    assert "(schema v9.0.0.a): it takes a later emoji-study" in refused(url)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with a study of three trials, of which one is running."""
    path = tmp_path / "study.log"
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(storage=storage, study_name="kept", direction="maximize")
    for value in (1.0, 3.0):
        trial = study.ask()
        trial.report(trial.suggest_float("x", 0, 1), step=10)
        trial.set_user_attr("note", "Ü")
        study.tell(trial, value)
    study.ask()
    return path


@pytest.mark.parametrize("scheme", ["journal", "sqlite"])
def test_journal(tmp_path: Path, journal: Path, scheme: str) -> None:
    """A journal is read like a database, also behind ``sqlite``, and never written or locked."""
    url = f"{scheme}:///{journal}"
    theirs = JournalStorage(JournalFileBackend(str(journal))).get_all_trials(0)
    with unchanged(tmp_path):
        storage = open_storage(url)
        record, summary = load_study_record(storage, "kept"), load_summaries(storage)[0]
        assert storage.get_all_trials(0) == theirs
        assert silences(storage, 0) == {}
        for options in ({"write": True}, {"create": True, "write": True}):
            assert "is a journal of Optuna's. It is only read here" in refused(url, **options)
        with pytest.raises(StorageAccessError, match=f"copy --storage {scheme}:///"):
            find_storage(url)
        with pytest.raises(StorageAccessError, match="is a journal, which is only read"):
            storage.set_study_user_attr(0, "name", 1)
    assert record.directions == ("maximize",)
    assert [(t.state, t.value) for t in record.trials[1:]] == [
        (TrialState.COMPLETE, 3.0),
        (TrialState.RUNNING, None),
    ]
    assert summary.best is not None
    assert (summary.best.number, summary.progress.running, summary.study_id) == (1, 1, 0)
    other = JournalStorage(JournalFileBackend(str(journal)))
    other.set_trial_state_values(2, TrialState.FAIL)
    assert load_study_record(storage, "kept").trials[2].state == TrialState.FAIL


def test_journal_that_cannot_be_read(tmp_path: Path, journal: Path) -> None:
    """What is missing or damaged is said with its line; a line in the making is left out."""
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 4, "wor')
    assert len(load_study_record(open_storage(f"journal:///{journal}"), "kept").trials) == 3
    for harm, line in ((b"{]\n", 3), (b'{"op_code": 99}\n', 3), (b"SQLite format 3\0\n", 1)):
        lines = whole.splitlines(keepends=True)
        lines[line - 1] = harm
        journal.write_bytes(b"".join(lines))
        assert f"or damaged: its line {line} cannot be read." in refused(f"journal:///{journal}")
    journal.unlink()
    for path, what in ((journal, "does not exist"), (tmp_path, "is a folder")):
        assert refused(f"journal:///{path}").endswith(f"{path} {what}.")
    assert list(tmp_path.iterdir()) == []


def test_strangers(tmp_path: Path, url: str) -> None:
    """Of a pickle and of Redis a command is told that makes a database of it."""
    study = optuna.create_study(study_name="pickled")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    for content, said in (
        (pickle.dumps(study), "looks like a pickle"),
        (b"REDIS0011\xfa", "is a dump of Redis"),
        (b"PAR1\x15", "is a Parquet table"),
    ):
        (tmp_path / "study.db").write_bytes(content)
        for options in ({}, {"create": True, "write": True}):
            assert f"study.db {said}" in refused(url, **options)
    for scheme in ("redis", "rediss"):
        said = refused(f"{scheme}://user:s3cret@host:6379/0")
        assert f'JournalRedisBackend("{scheme}://user:***@host:6379/0")' in said
