"""Copying, renaming and deleting studies: what is asked, what is said, what is left alone."""

import io
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.conftest import Cli
from tests.earlier import earlier_database

AT = ("--storage", "sqlite:///new/study.db")
COPY = ("copy", "--storage", "journal:///study.log", "--to", AT[1])


@pytest.fixture(autouse=True)
def journal(tmp_path: Path) -> Path:
    """A journal with a study of three trials."""
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    study = optuna.create_study(storage=storage, study_name="kept", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    return tmp_path / "study.log"


def test_readers_change_nothing(tmp_path: Path, cli: Cli, journal: Path) -> None:
    """A journal and a database of Optuna 2.6 are read by all that reads, and stay as they are."""
    old = tmp_path / "old.db"
    earlier_database(old, "v2.6.0.a")
    before = (journal.read_bytes(), old.read_bytes())
    for url in ("journal:///study.log", "sqlite:///old.db"):
        for line in ("list", "status", "export --out out/a.csv --curves", "report --out out/r.md"):
            assert cli(*line.split(), "--storage", url)[::2] == (0, ""), line
        code, _, said = cli("delete", "--study", "kept", "--storage", url, "--yes")
        assert (code, said.count("\n")) == (1, 1)
        assert f"`emoji-study copy --storage {url} --to sqlite:///FILE`" in said
    assert (journal.read_bytes(), old.read_bytes()) == before
    assert {path.name for path in tmp_path.iterdir()} == {"study.log", "old.db", "out"}


def test_asked_first(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is created or changed without a yes; where nobody can say it, a line says how."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    question = f"Copy study 'kept' with 3 trials and 0 files to {AT[1]}?"
    said = f"{question} Nothing was changed: nobody can answer here, so give --yes.\n"
    assert cli(*COPY)[::2] == (1, said)
    assert not (tmp_path / "new").exists()
    for command, asked in (
        (COPY, question),
        (("rename", "best", "--study", "kept", *AT), "Rename 'kept' to 'best'?"),
        (("delete", "--study", "best", *AT), "Delete study 'best' with 3 trials and all files"),
    ):
        for answer, code in (("n\n", 1), ("y\n", 0)):
            typed = io.StringIO(answer)
            monkeypatch.setattr(typed, "isatty", lambda: True)
            monkeypatch.setattr("sys.stdin", typed)
            found, out, _ = cli(*command)
            assert (found, asked in out, "Nothing was changed." in out) == (code, True, code)
    assert "kept" not in cli("list", *AT)[1]


def test_several(cli: Cli) -> None:
    """All studies are copied under their names; what is for one alone says so."""
    for more in ((), ("--name", "other")):
        assert cli(*COPY, *more, "--yes")[::2] == (0, "")
    third = ("--storage", "sqlite:///third.db")
    copy = ("copy", *AT, "--to", third[1], "--all", "--yes")
    assert "one study, but these are 2: leave it out, or" in cli(*copy, "--name", "x")[2]
    assert "Copied studies 'kept', 'other' with 6 trials to sqlite:///third" in cli(*copy)[1]
    assert "already; --study NAME --name NEW copies it alone, under another." in cli(*copy)[2]
    for name in ("kept", "other"):
        assert cli("delete", "--study", name, *third, "--yes")[0] == 0
    back = cli("copy", *third, "--to", AT[1], "--all", "--yes")
    assert back[::2] == (1, "Error: The storage holds no study that could be copied.\n")


def test_refused(cli: Cli) -> None:
    """A study that is not there, and a name that is taken or can be none, are said in a line."""
    assert cli(*COPY, "--yes")[::2] == (0, "")
    for command, said in (
        (COPY, "There is a study named 'kept' already; --name gives the copy another."),
        ((*COPY, "--study", "x"), "no study named 'x' in this storage; it holds: kept."),
        ((*COPY[:-1], "journal:///new.log"), "journal, which is only read here: write to a data"),
        ((*COPY, "--name", " "), "The name of a study must not be blank, but got ' '."),
        ((*COPY, "--name", "x" * 513), "at most 512 characters, but got 513, which begin 'xxx"),
        (("delete", "--study", "x", *AT), "it holds: kept."),
        (("rename", "kept", "--study", "kept", *AT), "named 'kept' already; take another."),
    ):
        code, _, error = cli(*command, "--yes")
        assert (code, said in error, error.count("\n")) == (1, True, 1), error
    assert cli(*COPY, "--all", "--study", "kept", "--yes")[0] == 2
