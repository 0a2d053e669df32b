"""Studies run by real worker processes: exact counts, equal results, and killed workers."""

import os
import random
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from storage import attrs, queue
from storage.errors import StorageAccessError
from storage.rdb import open_storage
from study.analysis.remaining import grid_trainings
from study.running.budget import acknowledge, request
from study.running.coordinator import RunOutcome, run_study
from study.running.worker import run_worker
from study.settings import StudySettings
from tests.conftest import Wait
from tests.servers import opened
from tests.study_tests.studies import (
    claim,
    dead_worker,
    job_of,
    open_study,
    space_of,
    start_design,
    toy_run,
    toy_settings,
    wanting,
    watched,
    when_trained,
)


def run(
    folder: Path, settings: StudySettings, *, n_trials: int, n_workers: int
) -> tuple[RunOutcome, list[FrozenTrial]]:
    """Run the study in ``folder``; return its trials, too."""
    job = job_of(folder, settings)
    study = open_study(open_storage(job.url, write=True), "study", settings)
    start_design(study, settings)
    target = request(study, n_trials)
    workers = {
        "n_workers": n_workers,
        "stop": Event(),
        "trainings": grid_trainings(space_of(settings), settings.fixed),
    }
    outcome = run_study(study, watched(job), job, target=target, **workers)
    acknowledge(study, target)
    # Where nothing is left to do, nobody is started.
    signed = set((folder / "data").iterdir())
    assert run_study(study, watched(job), job, target=target, **workers) == outcome
    assert signed == set((folder / "data").iterdir())
    return outcome, study.get_trials()


def point(trial: FrozenTrial) -> tuple[tuple[str, Any], ...]:
    """Return a trial's parameters as a key."""
    return tuple(sorted(trial.params.items()))


def curves(trials: list[FrozenTrial]) -> dict[Any, Mapping[int, float]]:
    """Return the curve of each point that has finished."""
    return {point(t): t.intermediate_values for t in trials if t.state != TrialState.FAIL}


def test_two_workers_finish_exactly_what_was_asked_for(
    tmp_path: Path, wait_until: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    """Requests add up through a dead run and a kill; the curves are one worker's."""
    fixed = {"rounds": 100}  # a grid of eight
    settings = toy_settings(tmp_path, sampler="grid", space="few", fixed=fixed)
    job, data = job_of(tmp_path, settings), tmp_path / "data"
    study = wanting(job.url, settings, 7)
    claim(study).set_user_attr(attrs.WORKER, dead_worker())
    (data / "slow").touch()
    killed: list[FrozenTrial] = []

    def kill_one() -> None:
        killed.extend(trial for trial in watched(job).get_trials() if trial.intermediate_values)
        pid = killed[0].user_attrs[attrs.WORKER].rpartition(":")[2]
        os.kill(int(pid), signal.SIGKILL)
        (data / "slow").unlink()

    with when_trained(tmp_path, wait_until, kill_one, n_trials=2):
        outcome, trials = run(tmp_path, settings, n_trials=7, n_workers=2)
    assert "A worker died by SIGKILL; next attempt in 1.0 s.\n" in capfd.readouterr().err
    progress = outcome.progress
    assert (progress.complete, progress.failed, outcome.target) == (7, 2, 7)
    assert progress.running == progress.waiting == 0
    assert not outcome.interrupted
    assert (trials[0].state, trials[1].user_attrs[attrs.RETRY_OF]) == (TrialState.FAIL, 0)
    workers = {trial.user_attrs[attrs.WORKER] for trial in trials[1:]}
    assert {trial.user_attrs[attrs.WORKER] for trial in killed} <= workers
    assert len({trial.user_attrs[attrs.WORKER] for trial in killed}) == 2
    assert queue.worker_id() not in workers
    assert {trial.user_attrs[attrs.THREADS] for trial in trials[1:]} == {1}
    lost = trials[killed[0].number]
    assert lost.state == TrialState.FAIL
    assert attrs.FAILURE not in lost.user_attrs
    (again,) = [t for t in trials if t.user_attrs.get(attrs.RETRY_OF) == lost.number]
    assert (again.state, again.params) == (TrialState.COMPLETE, lost.params)
    assert killed[0].intermediate_values.items() <= again.intermediate_values.items()

    signed = set(data.iterdir())
    outcome, trials = run(tmp_path, settings, n_trials=1, n_workers=50)
    assert (outcome.progress.complete, outcome.target, len(trials)) == (8, 8, 10)
    assert len(set(data.iterdir()) - signed) == 1  # none was started to look on
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert sorted(t.user_attrs[attrs.DESIGN_INDEX] for t in finished) == list(range(8))

    alone = tmp_path / "alone"
    alone.mkdir()
    expected = wanting(job_of(alone, settings).url, settings, 8)
    run_worker(job_of(alone, settings), threading.Event())
    assert curves(trials) == curves(expected.get_trials())
    assert [len(curve) for curve in curves(trials).values()] == [100] * 8


def attempts_of(coordinator: int) -> list[int]:
    """Return the worker processes of a coordinator that can train already."""
    threads = Path(f"/proc/{coordinator}/task").iterdir()
    children = [int(pid) for task in threads for pid in (task / "children").read_text().split()]
    lines = ((pid, Path(f"/proc/{pid}/cmdline").read_bytes()) for pid in children)
    return [pid for pid, line in lines if b"study.running.attempt" in line]


def trials_of(database: str) -> list[FrozenTrial]:
    """Return the trials of the only study of a database, none before it is there."""
    with suppress(StorageAccessError), opened(database) as storage:
        studies = storage.get_all_studies()
        return [t for study in studies for t in storage.get_all_trials(study._study_id)]
    return []


@pytest.mark.slow
def test_kill_storm(database: str, tmp_path: Path, toys: StudySettings, wait_until: Wait) -> None:
    """Sixty trials, three workers, 32 kills at drawn moments: each point once, curves complete."""
    n_trials, n_kills, n_rounds = 60, 32, 100
    rng = random.Random(0)
    (tmp_path / "data" / "slow").touch()
    options = ("--trials", str(n_trials), "--workers", "3", "--set", f"rounds={n_rounds}")
    artifacts = ("--artifacts", str(tmp_path / "artifacts"))
    run = toy_run(database, toys.data, *options, *artifacts)
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as coordinator:
        for i in range(n_kills):
            due = (i + 1) * n_trials / (n_kills + 2) - rng.random()

            def is_due(due: float = due) -> bool:
                assert coordinator.poll() is None, "the coordinator is gone"
                n_done = sum(t.state == TrialState.COMPLETE for t in trials_of(database))
                return n_done >= due and bool(attempts_of(coordinator.pid))

            wait_until(is_due)
            os.kill(rng.choice(attempts_of(coordinator.pid)), signal.SIGKILL)
        output, _ = coordinator.communicate()
    assert coordinator.returncode == 0, output
    trials = trials_of(database)
    finished = [t for t in trials if t.state == TrialState.COMPLETE]
    assert {t.state for t in trials} == {TrialState.COMPLETE, TrialState.FAIL}
    assert sorted(t.user_attrs[attrs.DESIGN_INDEX] for t in finished) == list(range(n_trials))
    assert all(sorted(t.intermediate_values) == list(range(n_rounds)) for t in finished)
    assert all(attrs.FAILURE not in t.user_attrs for t in trials)
    assert not list((tmp_path / "artifacts" / "unfinished").iterdir())
    again = {t.user_attrs[attrs.RETRY_OF]: t for t in trials if attrs.RETRY_OF in t.user_attrs}
    assert len(again) >= n_kills // 4, "the kills hit nothing"
    twice = (
        max(0, len(trials[n].intermediate_values) - t.user_attrs.get(attrs.RESUMED_EPOCHS, 0))
        for n, t in again.items()
    )
    assert sum(twice) <= 0.05 * n_trials * n_rounds
    if database.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
