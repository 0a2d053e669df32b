"""One attempt of a worker, as its supervisor starts it: jobs in, exit codes and errors out."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from storage import attrs
from study.running.attempt import EXIT_ERROR, EXIT_OUTAGE
from study.running.job import WorkerJob
from study.settings import StudySettings
from tests.conftest import Wait
from tests.study_tests.studies import TRAINED, ask, job_of, wanting, watched

pytestmark = pytest.mark.whole


def new_study(folder: Path, toys: StudySettings, **fixed: Any) -> WorkerJob:
    """Create a study that wants a trial of slow rounds; return the job of its workers."""
    (folder / "data" / "slow").touch()
    job = job_of(folder, toys)
    wanting(job.url, replace(toys, fixed={**toys.fixed, **fixed}))
    return job


@contextmanager
def attempt(job: str) -> Iterator[Any]:
    """Start an attempt, and kill it at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "study.running.attempt"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write(job + "\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def test_job_round_trip(tmp_path: Path, toys: StudySettings) -> None:
    """A job comes back as it was from its one line, with and without data of its own."""
    job = job_of(tmp_path / "a b\n", toys)
    for each in (job, replace(job, data=None, url="postgresql://user:s3cret@host/database")):
        assert "\n" not in each.to_json()
        assert WorkerJob.from_json(each.to_json()) == each


@pytest.mark.parametrize("broken", [False, True])
def test_errors(tmp_path: Path, toys: StudySettings, broken: bool) -> None:
    """What another attempt would meet again is the last line; of a bug there is a traceback."""
    job = new_study(tmp_path, toys, start="here")
    with attempt(job.to_json()[: -9 if broken else None]) as process:
        assert process.wait() == EXIT_ERROR
        answer, written = process.stdout.read(), process.stderr.read()
    if broken:
        assert (answer, "Traceback" in written) == ("", True)
        return
    assert json.loads(answer)["error"].startswith("Trial 0 failed: TypeError: unsupported operand")
    assert written == ""
    states = [trial.state for trial in watched(job).get_trials()]
    assert states == [TrialState.FAIL, TrialState.WAITING]


def test_password_is_not_shown(tmp_path: Path, toys: StudySettings, wait_until: Wait) -> None:
    """Neither the list of processes nor an error shows the password of the storage."""
    url = "postgresql+psycopg://user:s3cret@127.0.0.1:1/database"
    with attempt(replace(job_of(tmp_path, toys), url=url).to_json()) as process:
        command = Path(f"/proc/{process.pid}/cmdline")
        wait_until(lambda: b"study.running.attempt" in command.read_bytes())
        shown = command.read_text()
        output, errors = process.communicate()
    assert "s3cret" not in shown + output + errors
    assert process.returncode == EXIT_OUTAGE


def test_lost_supervisor(tmp_path: Path, toys: StudySettings, wait_until: Wait) -> None:
    """A worker that has lost its supervisor gives its trial back, as one that is told to stop."""
    job = new_study(tmp_path, toys, rounds=10**6)
    with attempt(job.to_json()) as process:
        wait_until(lambda: bool(ask(tmp_path, TRAINED) == [(1,)]) or process.poll() is not None)
        process.stdin.close()
        assert (process.wait(), process.stderr.read()) == (0, "")
    failed, again = watched(job).get_trials()
    assert (failed.state, again.state) == (TrialState.FAIL, TrialState.WAITING)
    assert failed.user_attrs[attrs.FAILURE].startswith("interrupted after rounds ")
    assert {attrs.ERRORS, attrs.DEATHS}.isdisjoint(again.user_attrs)
    assert len(list((tmp_path / "artifacts" / "unfinished").iterdir())) == 1
