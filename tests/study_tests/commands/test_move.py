"""Copying, renaming and deleting studies: what is asked, what is said, what is left alone."""

import hashlib
import io
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.conftest import Cli
from tests.earlier import earlier_database


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """The URL of a journal with a study of three trials."""
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    study = optuna.create_study(storage=storage, study_name="kept", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    return "journal:///study.log"


def test_readers_change_nothing(tmp_path: Path, cli: Cli, journal: str) -> None:
    """A journal and a database of Optuna 2.6 are read by all that reads, and stay as they are."""
    earlier_database(tmp_path / "old.db", "v2.6.0.a")
    files = [tmp_path / "study.log", tmp_path / "old.db"]
    before = [hashlib.md5(file.read_bytes()).hexdigest() for file in files]
    (tmp_path / "out").mkdir()
    for url in (journal, "sqlite:///old.db"):
        for command in (
            *(["list"], ["status"], ["export", "--out", "out/trials.csv"]),
            *(
                ["export", "--curves", "--out", "out/trials.parquet"],
                ["report", "--out", "out/r.md"],
            ),
        ):
            assert cli(*command, "--storage", url)[::2] == (0, ""), command
        for command in (["dashboard", "--refresh"], ["delete", "--study", "kept", "--yes"]):
            code, _, said = cli(*command, "--storage", url)
            assert (code, said.count("\n")) == (1, 1)
            assert f"`emoji-study copy --storage {url} --to sqlite:///FILE`" in said
    assert [hashlib.md5(file.read_bytes()).hexdigest() for file in files] == before
    assert {path.name for path in tmp_path.iterdir()} == {"study.log", "old.db", "out"}


def test_asked_first(
    tmp_path: Path, cli: Cli, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is created or changed without a yes, which is an error where nobody can say it."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    copy = ["copy", "--storage", journal, "--to", "sqlite:///new/study.db"]
    code, _, said = cli(*copy)
    assert (code, said) == (
        1,
        "Error: Copy study 'kept' with 3 trials and 0 files to sqlite:///new/study.db? There is "
        "no terminal to answer on; --yes does.\n",
    )
    assert not (tmp_path / "new").exists()
    assert cli(*copy, "--yes")[::2] == (0, "")
    at = ["--storage", "sqlite:///new/study.db"]
    for command, question in (
        (["rename", "best", "--study", "kept"], "Rename 'kept' to 'best'?"),
        (["delete", "--study", "kept"], "Delete study 'kept' with 3 trials and all files"),
        ([*copy, "--name", "second"], "Copy study 'kept'"),
    ):
        for answer, code in (("n\n", 1), ("y\n", 0)):
            typed = io.StringIO(answer)
            monkeypatch.setattr(typed, "isatty", lambda: True)
            monkeypatch.setattr("sys.stdin", typed)
            found, said, _ = cli(*command, *([] if "--to" in command else at))
            assert (found, question in said, "Nothing was changed." in said) == (code, True, code)
        if command[0] == "rename":
            assert cli("rename", "kept", "--study", "best", *at, "--yes")[0] == 0
    assert "second" in cli("list", *at)[1]
    assert "kept" not in cli("list", *at)[1]


def test_refused(cli: Cli, journal: str) -> None:
    """A study that is not there, and a name that is taken or can be none, are said in a line."""
    to = ["--storage", journal, "--to", "sqlite:///study.db"]
    assert cli("copy", *to, "--yes")[0] == 0
    for command, said in (
        (["copy", *to], "There is a study named 'kept' already; --name gives the copy another."),
        (["copy", *to, "--study", "x"], "no study named 'x' in this storage; it holds: kept."),
        (["copy", *to, "--name", " "], "A name must have 1 to 512 characters, but got ' '."),
        (["delete", "--study", "x", "--storage", "sqlite:///study.db"], "it holds: kept."),
        (["rename", "kept", "--study", "kept", "--storage", "sqlite:///study.db"], "already;"),
    ):
        code, _, error = cli(*command, "--yes")
        assert (code, said in error, error.count("\n")) == (1, True, 1), error
    assert cli("copy", *to, "--all", "--study", "kept", "--yes")[0] == 2
