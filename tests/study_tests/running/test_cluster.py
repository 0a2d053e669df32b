"""Workers on a Dask cluster of real processes."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from optuna.trial import TrialState

from storage import attrs
from storage.records import StudyRecord, load_study_record
from study.settings import StudySettings
from tests.servers import opened
from tests.study_tests.studies import ask

pytestmark = pytest.mark.whole

Wait = Callable[[Callable[[], bool]], None]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler on loopback with two worker processes of one thread each."""
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
        for _ in range(2):
            options = ("--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--no-nanny")
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


def run_command(folder: Path, settings: StudySettings, *options: str) -> list[str]:
    """Return a command that runs a study named ``study`` on a cluster."""
    return [
        *(sys.executable, "-m", "study", "run", "autoencoder", "--study", "study"),
        *("--storage", f"sqlite:///{folder / 'study.db'}", "--data", str(settings.data)),
        *("--sampler", "random", "--pruner", "none", "--set", "auto_encoder=CNN"),
        *("--set", "batch_size=16", "--backend", "dask", *options),
    ]


def read(folder: Path) -> StudyRecord:
    """Return the study."""
    with opened(f"sqlite:///{folder / 'study.db'}") as storage:
        return load_study_record(storage, "study")


def test_cluster(scheduler: str, tmp_path: Path, settings: StudySettings) -> None:
    """Two workers of a cluster finish a study exactly, as workers of this machine would."""
    options = ("--scheduler", scheduler, "--trials", "8", "--workers", "2", "--epochs", "10")
    done = subprocess.run(
        run_command(tmp_path, settings, *options), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "8 of 8 trials finished" in done.stdout
    trials = read(tmp_path).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 8
    assert [trial.user_attrs[attrs.DESIGN_INDEX] for trial in trials] == list(range(8))
    assert len({trial.user_attrs[attrs.WORKER] for trial in trials}) == 2


def test_interrupted_cluster(
    scheduler: str, tmp_path: Path, settings: StudySettings, wait_until: Wait
) -> None:
    """Ctrl-C at the coordinator gives back the trials of the cluster; the command continues."""
    options = ("--scheduler", scheduler, "--trials", "2", "--workers", "2", "--epochs", "300")
    arguments = run_command(tmp_path, settings, *options)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as coordinator:
        wait_until((tmp_path / "study.db").exists)

        def trained() -> bool:
            with opened(f"sqlite:///{tmp_path / 'study.db'}", create=True) as storage:
                studies = storage.get_all_studies()
                trials = [t for s in studies for t in storage.get_all_trials(s._study_id)]
            return sum(bool(trial.intermediate_values) for trial in trials) == 2

        wait_until(trained)
        coordinator.send_signal(signal.SIGINT)
        output, _ = coordinator.communicate()
    assert coordinator.returncode == 130
    assert "Interrupted" in output
    states = [trial.state for trial in read(tmp_path).trials]
    assert states.count(TrialState.FAIL) == states.count(TrialState.WAITING) == 2
    assert subprocess.run(arguments, check=False, capture_output=True).returncode == 0
    record = read(tmp_path)
    finished = [trial for trial in record.trials if trial.finished]
    assert len(finished) == 2
    assert all(int(trial.user_attrs[attrs.RESUMED_EPOCHS]) > 0 for trial in finished)


@pytest.mark.parametrize(
    ("address", "required", "message"),
    [
        ("tls://127.0.0.1:1", "", "needs certificates: name them in Dask's configuration"),
        ("tcp://127.0.0.1:1", "true", "is not encrypted, but Dask's configuration requires that"),
    ],
)
def test_no_certificates(
    tmp_path: Path,
    settings: StudySettings,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    required: str,
    message: str,
) -> None:
    """A scheduler that cannot be spoken to as Dask is configured is refused in one line."""
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION", required or "false")
    arguments = run_command(tmp_path, settings, "--scheduler", address, "--trials", "1")
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"Error: Dask scheduler {address} {message}" in done.stderr


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


def test_cluster_of_this_machine(
    tmp_path: Path, settings: StudySettings, wait_until: Wait
) -> None:
    """Without a scheduler workers are tasks of this process, which nobody else can reach."""
    arguments = run_command(
        tmp_path, settings, "--trials", "2", "--workers", "2", "--epochs", "99"
    )
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as coordinator:
        try:
            query = "SELECT COUNT(DISTINCT trial_id) FROM trial_intermediate_values"
            wait_until(lambda: ask(tmp_path, query) == [(2,)])
            assert listening(coordinator.pid) == set()
        finally:
            coordinator.send_signal(signal.SIGINT)
        assert coordinator.wait() == 130
    states = [trial.state for trial in read(tmp_path).trials]
    assert states.count(TrialState.FAIL) == states.count(TrialState.WAITING) == 2


def test_no_scheduler(tmp_path: Path, settings: StudySettings) -> None:
    """A scheduler that does not answer is named in one line."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
    done = subprocess.run(
        run_command(tmp_path, settings, "--scheduler", address, "--trials", "1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"Error: Dask scheduler {address} cannot be reached" in done.stderr
