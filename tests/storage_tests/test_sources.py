"""Whatever else holds studies: what is read as it is, and what is said of the rest."""

import pickle
import shutil
import sqlite3
from contextlib import closing
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
from tests.servers import opened

READ, WRITE, CREATE = {}, {"write": True}, {"create": True, "write": True}


def refused(url: str, **options: bool) -> str:
    """Return why a storage is not opened, in one line, by which no file changes."""
    folder = Path(url.partition(":///")[2]).parent
    before = {p: p.is_file() and p.read_bytes() for p in folder.glob("*")}
    with pytest.raises((StorageAccessError, StorageUrlError)) as caught:
        open_storage(url, **options)
    assert {p: p.is_file() and p.read_bytes() for p in folder.glob("*")} == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("version", ["v2.6.0.a", "v3.0.0.b", "v3.0.0.c", "v3.0.0.d"])
def test_earlier_tables(tmp_path: Path, url: str, version: str) -> None:
    """Tables of Optuna 2.6 to 3.1 are read as Optuna reads them upgraded, and not written."""
    path, upgraded = tmp_path / "study.db", tmp_path / "upgraded.db"
    earlier_database(path, version)
    before = path.read_bytes()
    with opened(url) as storage:
        assert silences(storage, 1) == {}
        summary, record = load_summaries(storage)[0], load_study_record(storage, "old")
        trials, best = storage.get_all_trials(1), storage.get_best_trial(1)
        assert [storage.get_trial(trial_key(trial)) for trial in trials] == trials
    assert path.read_bytes() == before
    for options in (WRITE, CREATE):
        said = refused(url, **options)
        assert "written by Optuna 2.6 to 3.1. It is only read here; `emoji-study copy" in said
    with pytest.raises(StorageAccessError, match="only read here"):
        find_storage(url)
    shutil.copy(path, upgraded)
    upgrade(upgraded, "head")
    theirs = RDBStorage(f"sqlite:///{upgraded}", skip_table_creation=True).get_all_trials(1)
    assert trials == theirs
    assert best == theirs[0]
    feasible = [t.number for t in record.complete if t.feasible]
    assert (record.other_attrs, feasible) == ({"by": "me"}, [1])
    assert (summary.progress.complete, summary.progress.running) == (2, 1)
    for options, lacking in ((READ, 1), (WRITE, 0)):
        with opened(f"sqlite:///{upgraded}", **options) as storage:
            assert load_summaries(storage)[0].progress.complete == 2
            assert len(database_of(storage).lacking) == lacking
            assert silences(storage, 1) == {}


def test_oldest_and_later_tables(tmp_path: Path, url: str) -> None:
    """Tables that are too old are upgraded by the command that is named, later ones not read."""
    path = tmp_path / "study.db"
    for version in ("v0.9.0.a", "v2.4.0.a"):
        upgrade(path, version)
        for options in (READ, CREATE):
            said = refused(url, **options)
            assert "written by Optuna 2.5 or an older one" in said
            assert f"safety, then `optuna storage upgrade --storage {url}`" in said
    path.unlink()
    upgrade(path, "v1.3.0.a")
    with pytest.raises(RuntimeError, match="no longer compatible"):
        RDBStorage(url)  # it adds tables all the same
    assert "safety, drop the empty table trial_intermediate_values, which" in refused(url)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE trial_intermediate_values")
    upgrade(path, "head")
    assert open_storage(url).get_all_studies() == []
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
        database.commit()
    assert "(schema v9.0.0.a): it takes a later emoji-study" in refused(url)


def test_journal(tmp_path: Path) -> None:
    """It is read like a database and never written; of a damaged one the line is told."""
    path = tmp_path / "study.log"
    theirs = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(storage=theirs, study_name="kept", direction="maximize")
    for value in (1.0, 3.0):
        trial = study.ask()
        trial.report(trial.suggest_float("x", 0, 1), step=10)
        study.tell(trial, value)
    study.ask()
    for url in (f"journal:///{path}", f"sqlite:///{path}"):
        storage = open_storage(url)
        assert storage.get_all_trials(0) == theirs.get_all_trials(0)
        assert silences(storage, 0) == {}
        record, summary = load_study_record(storage, "kept"), load_summaries(storage)[0]
        assert [trial.value for trial in record.trials] == [1.0, 3.0, None]
        assert (summary.best and summary.best.values, summary.progress.running) == ((3.0,), 1)
        for options in (WRITE, CREATE):
            said = refused(url, **options)
            assert "is a journal of Optuna's. It is only read here; `emoji-study copy" in said
        with pytest.raises(StorageAccessError, match="is a journal, which is only read"):
            storage.set_study_user_attr(0, "name", 1)
    theirs.set_trial_state_values(2, TrialState.FAIL)
    assert load_study_record(storage, "kept").trials[2].state == TrialState.FAIL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines) + b'{"op_code": 4, "wor')
    assert len(load_study_record(open_storage(url), "kept").trials) == 3
    for harm, line in ((b"{]\n", 3), (b'{"op_code": 99}\n', 3), (b'{"op_code": -1}\n', 1)):
        path.write_bytes(b"".join([*lines[: line - 1], harm, *lines[line:]]))
        assert f"or damaged: its line {line} cannot be read." in refused(f"journal:///{path}")
    for other, what in ((tmp_path / "none", "does not exist"), (tmp_path, "is a folder")):
        assert refused(f"journal:///{other}").endswith(f"{other} {what}.")


def test_strangers(tmp_path: Path, url: str) -> None:
    """What a file is, and the command that makes a study of it, where there is one."""
    study, path = optuna.create_study(study_name="pickled"), tmp_path / "study.db"
    for content, said in (
        (pickle.dumps(study), "looks like a pickle"),
        (b"REDIS0011\xfa", "is a dump of Redis"),
        (b"PAR1\x15", "is a Parquet table"),
        (b"<!DOCTYPE html>\n<html", "is a page; of a report of emoji-study `emoji-study report"),
        (b"import optuna, numpy\n", "is a text, and no database."),
        ("é\n".encode(), "is a text, and no database."),
        (b"\x89PNG\r\n", ("cannot be opened: file is not a", "is no journal of Optuna's.")),
    ):
        path.write_bytes(content)
        by_sqlite, by_journal = (said, said) if isinstance(said, str) else said
        for options in (READ, CREATE):
            assert f"study.db {by_sqlite}" in refused(url, **options)
        assert f"study.db {by_journal}" in refused(f"journal:///{path}")
    assert "would be a journal, which is only read here" in refused("journal:///new", **CREATE)
    table = tmp_path / "results.csv"
    table.write_text("number,value\n0,1\n")
    database = f"--storage sqlite:///{tmp_path / 'results.db'}"
    said = f"is a text, and no database; `emoji-study import-csv {table} {database}` makes"
    assert said in refused(f"sqlite:///{table}")
    said = refused("redis://user:s3cret@host:6379/0")
    assert 'JournalRedisBackend("redis://user:***@host:6379/0")' in said
