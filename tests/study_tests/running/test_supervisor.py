"""The supervisor of a worker: real workers that die, lose their database, and are stopped."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from storage import attrs
from storage.rdb import open_storage
from storage.records import finished_trials
from study.errors import StudyError
from study.running.budget import request
from study.running.job import WorkerJob
from study.running.supervisor import ALLOCATOR, MAX_DEATHS, _wait_s, supervise
from study.settings import StudySettings
from tests.study_tests.studies import half_a_database, job_of, open_study, start_design

Wait = Callable[[Callable[[], bool]], None]

DIES = """
import os, signal, sys
if "study.running.attempt" in sys.orig_argv:
    sys.stdin.readline()
    {death}
"""
"""A sitecustomize module that lets every attempt die once it has read its job."""


class Stop(threading.Event):
    """An event whose waits are noted, and kept short, so that nobody waits in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits_s.append(timeout)
        return super().wait(min(timeout, 0.05))

    @property
    def pauses_s(self) -> list[float]:
        """The waits between attempts."""
        return [seconds for seconds in self.waits_s if seconds >= 1]


def new_study(job: WorkerJob, settings: StudySettings, *, n_trials: int = 1) -> optuna.Study:
    """Create a study that wants trials."""
    study = open_study(open_storage(job.url, create=True, write=True), "study", settings)
    start_design(study, settings)
    request(study, n_trials)
    return study


def watched(job: WorkerJob) -> optuna.Study:
    """Open the study for reading."""
    return optuna.load_study(study_name="study", storage=open_storage(job.url))


def trials_of(job: WorkerJob) -> list[FrozenTrial]:
    """Return the trials of the study."""
    return watched(job).get_trials()


def kill_each(monkeypatch: pytest.MonkeyPatch, folder: Path, death: str) -> None:
    """Make every attempt die by some statement."""
    (folder / "sitecustomize.py").write_text(DIES.format(death=death))
    monkeypatch.setenv("PYTHONPATH", str(folder))


class Supervision:
    """A supervisor in a thread of its own, which is stopped at the end of a ``with`` block.

    Args:
        job: What the worker is told.
        count_finished: Returns the finished trials.
    """

    def __init__(self, job: WorkerJob, count_finished: Callable[[], int | None]) -> None:
        self.stop = Stop()
        self.said: list[str] = []
        self.error: StudyError | None = None
        self._job = job
        self._count_finished = count_finished
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def _run(self) -> None:
        try:
            supervise(
                self._job, self.stop, count_finished=self._count_finished, say=self.said.append
            )
        except StudyError as error:
            self.error = error

    def end(self) -> None:
        """Wait for the end, which must not be an error."""
        self.thread.join()
        assert self.error is None, self.error


def test_light() -> None:
    """A supervisor is loaded without torch, Optuna or SQLAlchemy, for it only waits."""
    script = (
        "import sys, study.running.supervisor, study.running.attempt, study.terminal.signals; "
        "print([m for m in ('torch', 'optuna', 'sqlalchemy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_done(tmp_path: Path, settings: StudySettings) -> None:
    """A worker that does all its work is started once, with its share of the threads."""
    job = replace(job_of(tmp_path, settings), threads=2)
    new_study(job, settings, n_trials=2)
    said: list[str] = []
    stop = Stop()
    supervise(job, stop, count_finished=partial(finished_trials, watched(job)), say=said.append)
    trials = trials_of(job)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert len({trial.user_attrs[attrs.WORKER] for trial in trials}) == 1
    assert {trial.user_attrs[attrs.THREADS] for trial in trials} == {2}
    assert (said, stop.pauses_s) == ([], [])


def test_error(tmp_path: Path, settings: StudySettings) -> None:
    """A worker that cannot work here is not started again; its own words are the error."""
    job = replace(job_of(tmp_path, settings), data=tmp_path / "no.parquet")
    new_study(job, settings)
    said: list[str] = []
    with pytest.raises(StudyError, match=r"^`.*no\.parquet` must be a parquet file, but got no"):
        supervise(job, threading.Event(), count_finished=lambda: 0, say=said.append)
    assert said == []


def test_stopped_before_it_began(tmp_path: Path, settings: StudySettings) -> None:
    """Where it is time to stop already, no worker is started."""
    stop = Stop()
    stop.set()
    supervise(job_of(tmp_path, settings), stop, count_finished=lambda: 0, say=str)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("death", "reason", "question"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "by SIGKILL", "is memory short?"),
        ("os.abort()", "by SIGABRT", "is memory short?"),
        ("os._exit(3)", "with exit code 3", "is memory short?"),
        ("os._exit(75)", "with exit code 75", "is memory short?"),
        ("os._exit(0)", "without an answer", "does PYTHONPATH lead to another program's"),
        ("print('[]', flush=True); os._exit(0)", "without an answer", "does PYTHONPATH lead to"),
    ],
)
def test_keeps_dying(
    tmp_path: Path,
    settings: StudySettings,
    monkeypatch: pytest.MonkeyPatch,
    death: str,
    reason: str,
    question: str,
) -> None:
    """Attempts that die one after the other get ever longer pauses, and end after five more."""
    kill_each(monkeypatch, tmp_path, death)
    said: list[str] = []
    stop = Stop()
    message = (
        rf"^A worker died {MAX_DEATHS + 1} times in a row, the last time {reason}: {question}.*$"
    )
    with pytest.raises(StudyError, match=message):
        supervise(job_of(tmp_path, settings), stop, count_finished=lambda: 7, say=said.append)
    assert stop.pauses_s == [1, 2, 4, 8, 16]
    assert said == [f"A worker died {reason}; next attempt in {s:.0f} s." for s in stop.pauses_s]


def test_progress_forgives_deaths(
    tmp_path: Path, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the study goes on, by whomever, deaths are no reason to give up."""
    kill_each(monkeypatch, tmp_path, "os._exit(3)")
    counts = iter([0, 0, 0, 1, 1, None, 2, *[2] * 99])
    stop = Stop()
    with pytest.raises(StudyError, match="died 6 times in a row"):
        supervise(job_of(tmp_path, settings), stop, count_finished=counts.__next__, say=str)
    assert stop.pauses_s == [1, 2, 1, 2, 4, 8, 16]


def test_killed_in_a_training(tmp_path: Path, settings: StudySettings, wait_until: Wait) -> None:
    """A worker that is killed in the middle is started again, and goes on where it was."""
    job = job_of(tmp_path, settings)
    long = replace(settings, fixed={**settings.fixed, "epoch": 60})
    study = new_study(job, long, n_trials=2)

    def killed() -> bool:
        """Kill the worker if it is in the middle of a training."""
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            if trial.intermediate_values:
                os.kill(int(trial.user_attrs[attrs.WORKER].rpartition(":")[2]), signal.SIGKILL)
                return True
        return False

    with Supervision(job, partial(finished_trials, watched(job))) as supervision:
        wait_until(killed)
        supervision.end()
    assert supervision.said == ["A worker died by SIGKILL; next attempt in 1 s."]
    trials = study.get_trials()
    assert sorted(trial.state.name for trial in trials) == ["COMPLETE", "COMPLETE", "FAIL"]
    (lost,) = [trial for trial in trials if trial.state == TrialState.FAIL]
    (again,) = [t for t in trials if t.user_attrs.get(attrs.RETRY_OF) == lost.number]
    assert again.user_attrs[attrs.DESIGN_INDEX] == lost.user_attrs[attrs.DESIGN_INDEX]
    assert again.intermediate_values.items() >= lost.intermediate_values.items()
    assert len(again.intermediate_values) == 60


def test_outage(tmp_path: Path, settings: StudySettings, wait_until: Wait) -> None:
    """A worker whose database is away is started again until it is back, then does its work."""
    elsewhere = job_of(tmp_path / "elsewhere", settings)
    new_study(elsewhere, settings)
    whole = tmp_path / "whole.db"
    with (
        closing(sqlite3.connect(tmp_path / "elsewhere" / "study.db")) as source,
        closing(sqlite3.connect(whole)) as target,
    ):
        source.backup(target)
    job = job_of(tmp_path, settings)
    half_a_database(tmp_path / "study.db")
    with Supervision(job, lambda: None) as supervision:
        wait_until(lambda: len(supervision.said) == 2 or not supervision.thread.is_alive())
        whole.replace(tmp_path / "study.db")
        supervision.end()
    assert [trial.state for trial in trials_of(job)] == [TrialState.COMPLETE]
    assert supervision.said[:2] == [
        f"The storage is away (Storage file {tmp_path}/study.db is not complete yet: another "
        "process is creating it, or was killed while it did; `emoji-study run` completes it.); "
        f"next attempt in {seconds} s."
        for seconds in (1, 2)
    ]


def test_longest_pause(tmp_path: Path, settings: StudySettings, wait_until: Wait) -> None:
    """However long a database is away, attempts are never more than half a minute apart."""
    half_a_database(tmp_path / "study.db")
    with Supervision(job_of(tmp_path, settings), lambda: None) as supervision:
        wait_until(lambda: len(supervision.said) == 7 or not supervision.thread.is_alive())
        supervision.stop.set()
        supervision.end()
    assert supervision.stop.pauses_s[:6] == [1, 2, 4, 8, 16, 30]


def test_patience_ends(
    tmp_path: Path, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that stays away longer than anybody waits for it is an error."""
    monkeypatch.setattr("study.running.supervisor.PATIENCE_S", -1.0)
    half_a_database(tmp_path / "study.db")
    with pytest.raises(StudyError, match=r"^The storage stayed away for a day: .* not complete"):
        supervise(job_of(tmp_path, settings), Stop(), count_finished=lambda: None, say=str)


def test_stopped(tmp_path: Path, settings: StudySettings, wait_until: Wait) -> None:
    """A worker that is stopped gives its trial back before its supervisor ends."""
    job = job_of(tmp_path, settings)
    study = new_study(job, replace(settings, fixed={**settings.fixed, "epoch": 10**6}))
    with Supervision(job, partial(finished_trials, watched(job))) as supervision:
        wait_until(lambda: any(trial.intermediate_values for trial in study.get_trials()))
        supervision.stop.set()
        supervision.end()
    assert supervision.said == []
    assert [t.state for t in study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]


def test_endless_outage() -> None:
    """The pause stays the longest one, however often the database was away."""
    assert [_wait_s(n) for n in (1, 2, 5, 6, 7, 5000)] == [1, 2, 16, 30, 30, 30]


def test_attempt_that_never_reads_its_job(
    tmp_path: Path, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends at once, its input still unread, counts as dead like any other."""
    job = job_of(tmp_path, settings)
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    for _ in range(20):
        with Supervision(job, lambda: 0) as supervision:
            supervision.thread.join()
        assert "died 6 times in a row, the last time with exit code 1" in str(supervision.error)


def test_environment(
    tmp_path: Path, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker gets its threads and glibc's settings, unless the user has set the latter."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    name, other = ALLOCATOR
    monkeypatch.setenv(name, "12345")
    monkeypatch.delenv(other, raising=False)
    out = tmp_path / "environment"
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", name, other)
    show = f"open({str(out)!r}, 'w').write(' '.join(os.environ[n] for n in {names})); os._exit(3)"
    kill_each(monkeypatch, tmp_path, show)
    job = replace(job_of(tmp_path, settings), threads=3)
    with pytest.raises(StudyError, match="with exit code 3"):
        supervise(job, Stop(), count_finished=lambda: 0, say=str)
    assert out.read_text().split() == ["3", "3", "3", "12345", ALLOCATOR[other]]
