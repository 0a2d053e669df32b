"""One attempt of a worker, as its supervisor starts it: jobs in, exit codes and errors out."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from storage import attrs
from storage.rdb import open_storage
from study.running.attempt import EXIT_ERROR, EXIT_OUTAGE
from study.running.budget import request
from study.running.job import WorkerJob
from study.settings import StudySettings
from tests.study_tests.studies import ask, half_a_database, job_of, open_study, start_design

pytestmark = pytest.mark.whole

Wait = Callable[[Callable[[], bool]], None]

LONG = 10**6
"""Epochs that nobody waits for."""


def new_study(folder: Path, settings: StudySettings, *, n_trials: int = 1) -> WorkerJob:
    """Create a study that wants trials; return the job of its workers."""
    job = job_of(folder, settings)
    study = open_study(open_storage(job.url, create=True, write=True), "study", settings)
    start_design(study, settings)
    request(study, n_trials)
    return job


def states(job: WorkerJob) -> list[TrialState]:
    """Return the states of all trials."""
    study = optuna.load_study(study_name="study", storage=open_storage(job.url))
    return [trial.state for trial in study.get_trials()]


@contextmanager
def attempt(job: WorkerJob) -> Iterator[subprocess.Popen[str]]:
    """Start an attempt, and kill it at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "study.running.attempt"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(job.to_json() + "\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def outcome(job: WorkerJob) -> tuple[int, str | None, str]:
    """Run an attempt to its end; return its exit code, its error and what it wrote besides."""
    with attempt(job) as process:
        code = process.wait()
        assert process.stdout is not None
        assert process.stderr is not None
        answer = process.stdout.read()
        error = json.loads(answer)["error"] if answer else None
        return code, error, process.stderr.read()


def test_job_round_trip(tmp_path: Path, settings: StudySettings) -> None:
    """A job comes back as it was from its one line, with and without a data set file."""
    job = job_of(tmp_path / "a b\n", settings)
    for each in (job, replace(job, data=None, url="postgresql://user:s3cret@host/database")):
        assert "\n" not in each.to_json()
        assert WorkerJob.from_json(each.to_json()) == each


def test_done(tmp_path: Path, settings: StudySettings) -> None:
    """A worker that has nothing left to do ends silently, and its trials say which it was."""
    job = new_study(tmp_path, settings, n_trials=2)
    for _ in range(2):
        assert outcome(job) == (0, None, "")
    assert states(job) == [TrialState.COMPLETE] * 2


def test_error(tmp_path: Path, settings: StudySettings) -> None:
    """What another attempt would meet again is the last line of the output."""
    job = new_study(tmp_path, settings)
    code, error, written = outcome(replace(job, data=tmp_path / "no.parquet"))
    assert (code, written) == (EXIT_ERROR, "")
    assert error == f"`{tmp_path}/no.parquet` must be a parquet file, but got no such file."
    code, error, written = outcome(replace(job, study="other"))
    assert code == EXIT_ERROR
    assert states(job) == []


def test_failed_trial(tmp_path: Path, settings: StudySettings) -> None:
    """A trial that fails ends the attempt with its reason; the next attempt tries it again."""
    job = new_study(tmp_path, replace(settings, fixed={**settings.fixed, "batch_size": 1}))
    for n in range(2):
        code, error, written = outcome(job)
        assert (code, written) == (EXIT_ERROR, "")
        assert str(error).startswith(f"Trial {n} failed: ConfigError: `batch_size` must be")
    assert states(job) == [TrialState.FAIL, TrialState.FAIL, TrialState.WAITING]


def test_outage(tmp_path: Path, settings: StudySettings) -> None:
    """A database that cannot be used for now has an exit code of its own, and its reason."""
    half_a_database(tmp_path / "study.db")
    code, error, written = outcome(job_of(tmp_path, settings))
    assert (code, written) == (EXIT_OUTAGE, "")
    assert "study.db is not complete yet" in str(error)


def test_password_is_not_shown(tmp_path: Path, settings: StudySettings, wait_until: Wait) -> None:
    """Neither the list of processes nor an error shows the password of the storage."""
    url = "postgresql+psycopg://user:s3cret@127.0.0.1:1/database"
    with attempt(replace(job_of(tmp_path, settings), url=url)) as process:
        command = Path(f"/proc/{process.pid}/cmdline")
        wait_until(lambda: b"study.running.attempt" in command.read_bytes())
        shown = command.read_text()
        output, errors = process.communicate()
    assert "s3cret" not in shown + output + errors
    assert process.returncode == EXIT_OUTAGE


def is_training(folder: Path) -> bool:
    """Say whether a trial is running that has reported an epoch."""
    return bool(ask(folder, "SELECT 1 FROM trial_intermediate_values"))


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "closed input"])
def test_told_to_stop(tmp_path: Path, settings: StudySettings, wait_until: Wait, how: str) -> None:
    """A worker that is told to stop, or has lost its supervisor, gives its trial back."""
    job = new_study(tmp_path, replace(settings, fixed={**settings.fixed, "epoch": LONG}))
    with attempt(job) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        wait_until(lambda: is_training(tmp_path) or process.poll() is not None)
        if how == "closed input":
            process.stdin.close()
        else:
            os.kill(process.pid, signal.Signals[how])
        assert (process.wait(), process.stderr.read()) == (0, "")
    trials = optuna.load_study(study_name="study", storage=open_storage(job.url)).get_trials()
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.WAITING]
    assert trials[0].user_attrs[attrs.FAILURE].startswith("interrupted after epoch ")
    assert {attrs.ERRORS, attrs.DEATHS}.isdisjoint(trials[1].user_attrs)
    assert len(list((tmp_path / "artifacts" / "unfinished").iterdir())) == 1


def test_told_to_stop_at_once(tmp_path: Path, settings: StudySettings, wait_until: Wait) -> None:
    """A worker hears that it is to stop also while it is still being loaded."""
    job = new_study(tmp_path, replace(settings, fixed={**settings.fixed, "epoch": LONG}))

    def handles_signals() -> bool:
        status = Path(f"/proc/{process.pid}/status").read_text()
        (caught,) = [line.split()[1] for line in status.splitlines() if line[:7] == "SigCgt:"]
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    with attempt(job) as process:
        wait_until(handles_signals)
        process.terminate()
        assert process.wait() == 0
    assert set(states(job)) <= {TrialState.FAIL, TrialState.WAITING}


def test_bug(tmp_path: Path, settings: StudySettings) -> None:
    """An error that is no user's keeps its traceback, and is no line for people."""
    job = replace(job_of(tmp_path, settings), url="no job at all")
    broken = job.to_json()[:-9]

    class Broken(WorkerJob):
        """A job that cannot be read."""

        def to_json(self) -> str:
            return broken

    code, error, written = outcome(Broken(**{n: getattr(job, n) for n in WorkerJob.__slots__}))
    assert (code, error) == (EXIT_ERROR, None)
    assert "Traceback" in written
