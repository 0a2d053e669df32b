"""What earlier versions stored is read, made pages of, and gone on with."""

import shutil
import threading
from pathlib import Path

import pytest

from emoji_ae.checkpoint import load_checkpoint
from storage.rdb import open_storage
from storage.records import TrialRecord, load_study_record
from study.report import read_report_data
from study.running.job import WorkerJob
from study.running.worker import run_worker
from tests.conftest import Cli

ASSETS = Path(__file__).parent / "assets"


@pytest.fixture(params=["0.1.0"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of what a version stored, see ``assets/make.py``, where ``cli`` runs."""
    return Path(shutil.copytree(ASSETS / request.param, tmp_path, dirs_exist_ok=True))


def said(cli: Cli, *args: str) -> str:
    """Run the command to a good end; return what it printed."""
    code, out, errors = cli(*args)
    assert code == 0, errors
    return out


def test_read(cli: Cli, stored: Path) -> None:
    """Lists, states, tables, checkpoints and pages of the version are those that it made."""
    storage = ("--storage", "sqlite:///study.db")
    listed = said(cli, "list", *storage)
    for name in ("search", "classes", "search-confirmation", "imported"):
        assert name in listed
        assert "Study " in said(cli, "status", "--study", name, *storage)
    said(cli, "export", "--study", "search", *storage, "--out", "again.csv")
    before, after = (
        [line.split(",")[:3] for line in (stored / name).read_text().splitlines()]
        for name in ("search.csv", "again.csv")
    )
    assert before == after
    said(cli, "import-csv", "search.csv", "--study", "table", *storage)
    said(cli, "report", "--from", "page.html", "--out", "from-page.html")
    said(cli, "report", "--study", "search", *storage, "--out", "again.html")
    pages = [read_report_data(stored / f"{name}.html") for name in ("page", "from-page", "again")]
    assert len({data.studies[0].best.value for data in pages if data.studies[0].best}) == 1
    assert all(data.pictures == pages[0].pictures and data.pictures for data in pages)
    assert all(data.gallery == pages[0].gallery and data.gallery for data in pages)
    for name in ("search", "classes"):
        trials = load_study_record(open_storage("sqlite:///study.db"), name).trials
        checkpoint = load_checkpoint(stored / name / "checkpoint.pt")
        assert checkpoint.seed == trials[0].user_attrs["seed"]


LONG = "sqlite:///long.db"


def trials_of_long() -> tuple[TrialRecord, ...]:
    """Return the trials of the study whose training was killed."""
    return load_study_record(open_storage(LONG), "long").trials


class Later(threading.Event):
    """A request to stop that comes when it was asked for a few times."""

    n_asked = 0

    def is_set(self) -> bool:
        """Ask."""
        self.n_asked += 1
        return self.n_asked > 5


def test_go_on(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that was killed under the version goes on from its state."""
    monkeypatch.chdir(stored)
    (before,) = trials_of_long()
    assert before.state.name == "RUNNING"
    (state,) = Path("artifacts/unfinished").iterdir()
    written = state.read_bytes()
    job = WorkerJob(
        url=LONG, study="long", artifacts=Path("artifacts"), data=None, device="cpu", threads=1
    )
    run_worker(job, Later())
    killed, resumed, *_ = trials_of_long()
    assert (killed.state.name, resumed.state.name) == ("FAIL", "FAIL")
    n_resumed = resumed.user_attrs["resumed_epochs"]
    assert 0 < n_resumed <= len(before.intermediate_values)
    assert n_resumed < len(resumed.intermediate_values) < resumed.params["epoch"] == 100
    (state,) = Path("artifacts/unfinished").iterdir()
    assert state.read_bytes() != written
