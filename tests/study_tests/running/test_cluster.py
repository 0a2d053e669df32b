"""Workers on a Dask cluster of real processes."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dask
import psutil
import pytest
from distributed import LocalCluster
from optuna.trial import TrialState

from storage import attrs
from study.errors import StudyError
from study.requests import Place
from study.running.cluster import open_cluster
from study.settings import StudySettings
from tests.conftest import Wait
from tests.study_tests.studies import TRAINED, ask, stored, toy_run, url_of

pytestmark = pytest.mark.whole


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler on loopback with a worker process of two threads."""
    folder = {"temporary-directory": str(tmp_path / "dask")}
    with (
        dask.config.set(folder),
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
    ):
        yield cluster.scheduler_address


def listens(process: psutil.Process) -> bool:
    """Say whether a process listens at any address of the internet, or one that it started."""
    own = any(c.status == psutil.CONN_LISTEN for c in process.net_connections("inet"))
    return own or any(map(listens, process.children()))


def test_cluster(scheduler: str, tmp_path: Path, toys: StudySettings, wait_until: Wait) -> None:
    """Two workers of a cluster finish a study exactly, as workers of this machine would.

    Ctrl-C at the coordinator gives back the trials of the cluster; the command continues. Without
    a scheduler workers are tasks of its own process, which nobody else can reach.
    """
    slow = tmp_path / "data" / "slow"
    slow.touch()
    options = ("--set", "rounds=400", "--trials", "2", "--workers", "2", "--backend", "dask")
    command = toy_run(url_of(tmp_path), toys.data, *options)
    there = [*command, "--scheduler", scheduler]
    with subprocess.Popen(there, stdout=subprocess.PIPE, text=True) as coordinator:
        wait_until(lambda: ask(tmp_path, TRAINED) == [(2,)])
        coordinator.send_signal(signal.SIGINT)
        output, _ = coordinator.communicate()
    assert coordinator.returncode == 130
    assert "Interrupted" in output
    states = [trial.state for trial in stored(tmp_path).trials]
    assert states.count(TrialState.FAIL) == states.count(TrialState.WAITING) == 2

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as coordinator:
        try:
            wait_until(lambda: ask(tmp_path, TRAINED) == [(4,)])
            assert not listens(psutil.Process(coordinator.pid))
        finally:
            slow.unlink()
        output, _ = coordinator.communicate()
    assert coordinator.returncode == 0
    assert "2 of 2 trials finished" in output
    trials = stored(tmp_path).trials
    finished = [trial for trial in trials if trial.finished]
    assert sorted(t.user_attrs[attrs.DESIGN_INDEX] for t in finished) == [0, 1]
    assert finished == list(trials[2:])
    assert all(int(trial.user_attrs[attrs.RESUMED_EPOCHS]) > 0 for trial in finished)
    workers = {trial.user_attrs[attrs.WORKER].rpartition(":")[2] for trial in trials}
    assert workers < {path.name for path in (tmp_path / "data").iterdir()}
    assert len(workers) == 4


@pytest.mark.parametrize(
    ("address", "encrypted", "message"),
    [
        ("tls://127.0.0.1:1", False, "needs certificates: name them in Dask's configuration"),
        ("tcp://127.0.0.1:1", True, "is not encrypted, but Dask's configuration requires that"),
        ("tcp://127.0.0.1:1", False, "cannot be reached: "),
    ],
)
def test_schedulers_that_are_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, encrypted: bool, message: str
) -> None:
    """A scheduler that does not answer, or not as Dask is configured, is named in one line."""
    monkeypatch.setattr("study.running.cluster.CONNECT_TIMEOUT_S", 0.5)
    place = Place(url="sqlite:///study.db", backend="dask", scheduler=address)
    with (
        dask.config.set({"distributed.comm.require-encryption": encrypted}),
        pytest.raises(StudyError, match=f"^Dask scheduler {address} {message}.*$"),
        open_cluster(place),
    ):
        pass
