"""The supervisor of a worker: real workers that die, lose their database, and are stopped."""

import re
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from storage.rdb import close_all
from study.errors import StudyError
from study.running.job import WorkerJob
from study.running.supervisor import ALLOCATOR, MAX_DEATHS, _wait_s, supervise
from study.settings import StudySettings
from tests.conftest import Wait
from tests.study_tests.studies import job_of, wanting, watched

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


@pytest.fixture
def job(tmp_path: Path, toys: StudySettings) -> WorkerJob:
    """The job of a worker, of a study that is not there yet."""
    return job_of(tmp_path, toys)


def kill_each(monkeypatch: pytest.MonkeyPatch, folder: Path, death: str) -> None:
    """Make every attempt die by some statement."""
    (folder / "sitecustomize.py").write_text(DIES.format(death=death))
    monkeypatch.setenv("PYTHONPATH", str(folder))


@contextmanager
def supervising(
    job: WorkerJob, stop: Stop, said: list[str], count_finished: Callable[[], int | None]
) -> Iterator["Future[None]"]:
    """Supervise in a thread of its own, which is stopped if the block fails."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(supervise, job, stop, count_finished=count_finished, say=said.append)
        try:
            yield future
            future.result()
        finally:
            stop.set()


def test_keeps_dying(job: WorkerJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts that die one after the other get ever longer pauses, and end after five more."""
    for death, reason, question in (
        ("os.kill(os.getpid(), signal.SIGKILL)", "by SIGKILL", "is memory short?"),
        ("os._exit(75)", "with exit code 75", "is memory short?"),
        ("print('[]', flush=True); os._exit(0)", "without an answer", "does PYTHONPATH lead to"),
    ):
        kill_each(monkeypatch, tmp_path, death)
        said: list[str] = []
        stop = Stop()
        message = f"died {MAX_DEATHS + 1} times in a row, the last time {reason}: {question}"
        with pytest.raises(StudyError, match=re.escape(message)):
            supervise(job, stop, count_finished=lambda: 7, say=said.append)
        assert stop.pauses_s == [1, 2, 4, 8, 16]
        pauses = [1, 2, 4, 8, 16]
        assert said == [f"A worker died {reason}; next attempt in {s}.0 s." for s in pauses]


def test_progress_counts(job: WorkerJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the study goes on, by whomever, deaths are no reason to give up."""
    kill_each(monkeypatch, tmp_path, "os._exit(3)")
    counts = iter([0, 0, 0, 1, 1, None, 2, *[2] * 99])
    stop = Stop()
    with pytest.raises(StudyError, match="died 6 times in a row"):
        supervise(job, stop, count_finished=counts.__next__, say=str)
    assert stop.pauses_s == [1, 2, 1, 2, 4, 8, 16]


def test_attempt_that_never_reads_its_job(job: WorkerJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends at once, its input still unread, counts as dead like any other."""
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    for _ in range(2):
        with pytest.raises(StudyError, match="6 times in a row, the last time with exit code 1"):
            supervise(job, Stop(), count_finished=lambda: 0, say=str)


def test_outage(
    job: WorkerJob,
    toys: StudySettings,
    tmp_path: Path,
    wait_until: Wait,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A worker is started again until its database is back, and for no longer than a day."""
    (tmp_path / "elsewhere").mkdir()
    elsewhere = job_of(tmp_path / "elsewhere", toys)
    wanting(elsewhere.url, toys)
    close_all()  # what is in the log comes to the file
    with closing(sqlite3.connect(tmp_path / "study.db")) as half:  # another process creates it
        half.execute("CREATE TABLE studies (study_id INTEGER)")
    with monkeypatch.context() as patched:
        patched.setattr("study.running.supervisor.PATIENCE_S", -1.0)
        with pytest.raises(StudyError, match=r"^The storage stayed away for a day: .* not"):
            supervise(job, Stop(), count_finished=lambda: None, say=str)
    said: list[str] = []
    with supervising(job, Stop(), said, lambda: None) as future:
        wait_until(lambda: len(said) == 2 or future.done())
        (tmp_path / "elsewhere" / "study.db").replace(tmp_path / "study.db")
    assert [trial.state for trial in watched(job).get_trials()] == [TrialState.COMPLETE]
    assert said[:2] == [
        f"The storage is away (Storage file {tmp_path}/study.db is not complete yet: another "
        "process is creating it, or was killed while it did; `emoji-study run` completes it.); "
        f"next attempt in {seconds}.0 s."
        for seconds in (1, 2)
    ]
    assert capfd.readouterr() == ("", "")


def test_longest_pause() -> None:
    """However long a database is away, attempts are never more than half a minute apart."""
    assert [_wait_s(n) for n in (1, 2, 5, 6, 7, 5000)] == [1, 2, 16, 30, 30, 30]


def test_stopped(job: WorkerJob, toys: StudySettings, tmp_path: Path, wait_until: Wait) -> None:
    """A worker that is stopped gives its trial back before its supervisor ends."""
    study = wanting(job.url, replace(toys, fixed={**toys.fixed, "rounds": 10**6}))
    (tmp_path / "data" / "slow").touch()
    said: list[str] = []
    stop = Stop()
    with supervising(job, stop, said, lambda: 0):
        wait_until(lambda: any(trial.intermediate_values for trial in study.get_trials()))
        stop.set()
    assert said == []
    assert [t.state for t in study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]
    signed = set((tmp_path / "data").iterdir())
    supervise(job, stop, count_finished=lambda: 0, say=str)  # now no worker is started
    assert set((tmp_path / "data").iterdir()) == signed


def test_environment(job: WorkerJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker gets its threads and glibc's settings, unless the user has set the latter."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    name, other = ALLOCATOR
    monkeypatch.setenv(name, "12345")
    monkeypatch.delenv(other, raising=False)
    out = tmp_path / "environment"
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", name, other)
    show = f"open({str(out)!r}, 'w').write(' '.join(os.environ[n] for n in {names})); os._exit(3)"
    kill_each(monkeypatch, tmp_path, show)
    with pytest.raises(StudyError, match="with exit code 3"):
        supervise(replace(job, threads=3), Stop(), count_finished=lambda: 0, say=str)
    assert out.read_text().split() == ["3", "3", "3", "12345", ALLOCATOR[other]]
