"""What earlier versions stored is read, made pages of, and gone on with."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emoji_ae.checkpoint import load_checkpoint
from storage.rdb import open_storage
from storage.records import load_study_record
from study.cli import main
from study.report import read_report_data

ASSETS = Path(__file__).parent / "assets"

Run = Callable[..., str]


@pytest.fixture(params=["0.1.0"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of what a version stored, see ``assets/make.py``."""
    return Path(shutil.copytree(ASSETS / request.param, tmp_path / "stored"))


@pytest.fixture
def run(stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command there, to a good end; it returns the output."""
    monkeypatch.chdir(stored)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args: str) -> str:
        monkeypatch.setattr(sys, "argv", ["emoji-study", *args])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        seen = capsys.readouterr()
        assert ended.value.code == 0, seen.err
        return seen.out

    return run


def test_read(run: Run, stored: Path) -> None:
    """Lists, states, tables, checkpoints and pages of the version are those that it made."""
    storage = ("--storage", "sqlite:///study.db")
    listed = run("list", *storage)
    for name in ("search", "classes", "search-confirmation", "imported"):
        assert name in listed
        assert "Study " in run("status", "--study", name, *storage)
    run("export", "--study", "search", *storage, "--out", "again.csv")
    before, after = (
        [line.split(",")[:3] for line in (stored / name).read_text().splitlines()]
        for name in ("search.csv", "again.csv")
    )
    assert before == after
    run("report", "--from", "page.html", "--out", "from-page.html")
    run("report", "--study", "search", *storage, "--out", "again.html")
    pages = [read_report_data(stored / f"{name}.html") for name in ("page", "from-page", "again")]
    assert len({data.studies[0].best.value for data in pages if data.studies[0].best}) == 1
    assert all(data.pictures == pages[0].pictures and data.pictures for data in pages)
    assert all(data.gallery == pages[0].gallery and data.gallery for data in pages)
    trials = load_study_record(open_storage("sqlite:///study.db"), "classes").trials
    checkpoint = load_checkpoint(stored / "classes" / "checkpoint.pt")
    assert checkpoint.seed == trials[0].user_attrs["seed"]


def test_go_on(run: Run) -> None:
    """A training that was killed under the version goes on from its state, to its end."""
    url = "sqlite:///long.db"
    before = load_study_record(open_storage(url), "long").trials
    assert [trial.state.name for trial in before] == ["RUNNING"]
    shared = ("--study", "long", "--storage", url, "--trials", "1")
    run("run", "autoencoder", "--space", "extended", *shared)
    killed, resumed = load_study_record(open_storage(url), "long").trials
    assert (killed.state.name, resumed.state.name) == ("FAIL", "COMPLETE")
    assert 0 < resumed.user_attrs["resumed_epochs"] <= len(before[0].intermediate_values)
    assert len(resumed.intermediate_values) == resumed.params["epoch"] == 100
    assert not list(Path("artifacts/unfinished").iterdir())
