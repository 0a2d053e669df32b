"""Workers on a Dask cluster of real processes."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import dask
import distributed  # noqa: F401  # has the defaults of Dask's configuration
import pytest
from optuna.trial import TrialState

from storage import attrs
from storage.records import StudyRecord, load_study_record
from study.errors import StudyError
from study.requests import Place
from study.running.cluster import open_cluster
from tests.servers import opened
from tests.study_tests.studies import TRAINED, ask
from tests.study_tests.toy import TOY_FILE

pytestmark = pytest.mark.whole

Wait = Callable[[Callable[[], bool]], None]


@pytest.fixture
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler on loopback with a worker process of two threads."""
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
                    stderr=subprocess.PIPE,
                    text=True,
                    cwd=tmp_path_factory.mktemp("dask"),
                )
            )
            stack.callback(process.terminate)
            return process

        leader = start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        address = announced(leader, r"Scheduler at:\s+(tcp://\S+)")
        options = ("--nworkers", "1", "--nthreads", "2", "--no-dashboard", "--no-nanny")
        announced(start("dask_worker", address, *options), r"Registered to:\s+(tcp://\S+)")
        yield address


def announced(process: subprocess.Popen[str], pattern: str) -> str:
    """Return what a process says of itself; the rest of its log is read and dropped."""
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(pattern, line)
        if found:
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found.group(1)
    raise AssertionError(f"{process.args} ended")


def run_command(folder: Path, *options: str) -> list[str]:
    """Return a command that runs a study of two slow trials on a cluster."""
    (folder / "data").mkdir()
    (folder / "data" / "slow").touch()
    return [
        *(sys.executable, "-m", "study", "run", f"{TOY_FILE}:TOY", "--study", "study"),
        *("--storage", f"sqlite:///{folder / 'study.db'}", "--data", str(folder / "data")),
        *("--sampler", "random", "--pruner", "none", "--threads", "1"),
        *(
            "--set",
            "rate=0.5",
            "--set",
            "rounds=2000",
            "--trials",
            "2",
            "--workers",
            "2",
            "--backend",
            "dask",
            *options,
        ),
    ]


def read(folder: Path) -> StudyRecord:
    """Return the study."""
    with opened(f"sqlite:///{folder / 'study.db'}") as storage:
        return load_study_record(storage, "study")


def test_cluster(scheduler: str, tmp_path: Path, wait_until: Wait) -> None:
    """Two workers of a cluster finish a study exactly, as workers of this machine would.

    Ctrl-C at the coordinator gives back the trials of the cluster; the command continues.
    """
    command = run_command(tmp_path, "--scheduler", scheduler)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as coordinator:
        wait_until(lambda: ask(tmp_path, TRAINED) == [(2,)])
        coordinator.send_signal(signal.SIGINT)
        output, _ = coordinator.communicate()
    assert coordinator.returncode == 130
    assert "Interrupted" in output
    states = [trial.state for trial in read(tmp_path).trials]
    assert states.count(TrialState.FAIL) == states.count(TrialState.WAITING) == 2
    (tmp_path / "data" / "slow").unlink()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 trials finished" in done.stdout
    trials = read(tmp_path).trials
    finished = [trial for trial in trials if trial.finished]
    assert sorted(t.user_attrs[attrs.DESIGN_INDEX] for t in finished) == [0, 1]
    assert finished == list(trials[2:])
    assert all(int(trial.user_attrs[attrs.RESUMED_EPOCHS]) > 0 for trial in finished)
    workers = {trial.user_attrs[attrs.WORKER].rpartition(":")[2] for trial in trials[:2]}
    assert workers < {path.name for path in (tmp_path / "data").iterdir()}
    assert len(workers) == 2


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


def listening(pid: int) -> set[str]:
    """Return the TCP addresses at which a process listens, or one that it started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = {
        address
        for task in tasks
        for child in task.read_text().split()
        for address in listening(int(child))
    }
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            sockets.add(os.readlink(descriptor))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1])
    return found


def test_cluster_of_this_machine(tmp_path: Path, wait_until: Wait) -> None:
    """Without a scheduler workers are tasks of this process, which nobody else can reach."""
    command = run_command(tmp_path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as coordinator:
        try:
            wait_until(lambda: ask(tmp_path, TRAINED) == [(2,)])
            assert listening(coordinator.pid) == set()
        finally:
            coordinator.send_signal(signal.SIGINT)
        assert coordinator.wait() == 130
    states = [trial.state for trial in read(tmp_path).trials]
    assert states.count(TrialState.FAIL) == states.count(TrialState.WAITING) == 2
