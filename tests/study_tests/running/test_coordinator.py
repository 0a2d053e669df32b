"""Studies run by real worker processes: exact counts, equal results, and killed workers."""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from storage import attrs, queue
from storage.rdb import open_storage
from study.analysis.remaining import grid_trainings
from study.errors import StudyError
from study.running.budget import acknowledge, request
from study.running.coordinator import RunOutcome, run_study
from study.running.worker import MAX_DIVERGED, run_worker
from study.settings import StudySettings
from tests.study_tests.studies import (
    claim,
    dead_worker,
    job_of,
    open_study,
    space_of,
    start_design,
    toy_settings,
    wanting,
    watched,
    when_trained,
)

Wait = Callable[[Callable[[], bool]], None]

EIGHT = {"rounds": 100}
"""Leaves the few points of the toy: a grid of eight."""


def run(
    folder: Path, settings: StudySettings, *, n_trials: int, n_workers: int
) -> tuple[RunOutcome, list[FrozenTrial]]:
    """Run a study in ``folder``, which has one or gets one; return its trials, too."""
    job = job_of(folder, settings)
    study = open_study(open_storage(job.url, create=True, write=True), "study", settings)
    start_design(study, settings)
    target = request(study, n_trials)
    grid = settings.sampler == "grid"
    trainings = grid_trainings(space_of(settings), settings.fixed) if grid else ()
    workers = {"n_workers": n_workers, "trainings": trainings}
    outcome = run_study(study, watched(job), job, target=target, **workers)
    if outcome.done:
        acknowledge(study, target)
    return outcome, study.get_trials()


def alone(folder: Path, settings: StudySettings, n_trials: int) -> list[FrozenTrial]:
    """Return the trials of a study whose only worker is this process."""
    folder.mkdir()
    job = job_of(folder, settings)
    study = wanting(job.url, settings, n_trials)
    run_worker(job, threading.Event())
    return study.get_trials()


def point(trial: FrozenTrial) -> tuple[tuple[str, Any], ...]:
    """Return a trial's parameters as a key."""
    return tuple(sorted(trial.params.items()))


def curves(trials: list[FrozenTrial]) -> dict[Any, Mapping[int, float]]:
    """Return the validation curve of each point that has finished."""
    return {point(t): t.intermediate_values for t in trials if t.state != TrialState.FAIL}


@pytest.mark.parametrize(
    "sampler",
    ["grid", "tpe", *(pytest.param(s, marks=pytest.mark.slow) for s in ("random", "qmc"))],
)
def test_two_workers_finish_exactly_what_was_asked_for(
    tmp_path: Path, wait_until: Wait, sampler: str
) -> None:
    """Each of several requests adds its trials, no more and no fewer; both workers take part.

    With a design, one worker and two train the same points to the same curves; of few points even
    a sampler that learns trains each but once. What a dead run has left is taken over.
    """
    settings = toy_settings(tmp_path, sampler=sampler, space="few", fixed=EIGHT)
    study = wanting(job_of(tmp_path, settings).url, settings, 7)
    claim(study).set_user_attr(attrs.WORKER, dead_worker())
    slow = tmp_path / "data" / "slow"
    slow.touch()
    with when_trained(tmp_path, wait_until, slow.unlink, n_trials=2):
        outcome, trials = run(tmp_path, settings, n_trials=7, n_workers=2)
    progress = outcome.progress
    assert (progress.complete, progress.failed, outcome.target) == (7, 1, 7)
    assert not outcome.interrupted
    assert (trials[0].state, trials[1].user_attrs[attrs.RETRY_OF]) == (TrialState.FAIL, 0)
    assert len({trial.user_attrs[attrs.WORKER] for trial in trials[1:]}) == 2

    outcome, trials = run(tmp_path, settings, n_trials=1, n_workers=50)
    assert (outcome.progress.complete, outcome.target, len(trials)) == (8, 8, 9)
    workers = {trial.user_attrs[attrs.WORKER] for trial in trials[1:]}
    assert queue.worker_id() not in workers
    # None of them was started to look on, nor is one where nothing is left to do.
    job = job_of(tmp_path, settings)
    assert run_study(study, watched(job), job, target=8, n_workers=2) == outcome
    signed = {path.name for path in (tmp_path / "data").iterdir()}
    assert signed == {worker.rpartition(":")[2] for worker in workers}
    assert {trial.user_attrs[attrs.THREADS] for trial in trials[1:]} == {1}
    assert [t.user_attrs[attrs.DESIGN_INDEX] for t in trials] == [0, *range(8)]
    if sampler in ("grid", "tpe"):
        assert len(curves(trials)) == 8
    if sampler != "tpe":
        expected = alone(tmp_path / "alone", settings, 8)
        assert [point(trial) for trial in trials[1:]] == [point(trial) for trial in expected]
        assert curves(trials) == curves(expected)


def test_diverging_grid(tmp_path: Path) -> None:
    """A grid in which everything diverges is gone through once, with nothing finished."""
    fixed = {"rate": 4.0, "rounds": 5}
    settings = toy_settings(tmp_path, sampler="grid", space="few", fixed=fixed)
    for _ in range(2):
        outcome, trials = run(tmp_path, settings, n_trials=3, n_workers=1)
        assert (outcome.progress.finished, outcome.target, outcome.exhausted) == (0, 3, True)
        assert [trial.state for trial in trials] == [TrialState.FAIL] * 2
        assert all(t.user_attrs[attrs.FAILURE].startswith(attrs.DIVERGED) for t in trials)


def test_diverging_without_end(tmp_path: Path) -> None:
    """A design that does not end is given up when every worker has seen only divergence."""
    settings = toy_settings(tmp_path, fixed={"rate": 4.0, "rounds": 5})
    with pytest.raises(StudyError, match=rf"^{MAX_DIVERGED} trainings in a row diverged: `emoji"):
        run(tmp_path, settings, n_trials=3, n_workers=2)
    trials = watched(job_of(tmp_path, settings)).get_trials()
    assert [trial.state for trial in trials] == [TrialState.FAIL] * (2 * MAX_DIVERGED)
    workers = [trial.user_attrs[attrs.WORKER] for trial in trials]
    assert {workers.count(worker) for worker in workers} == {MAX_DIVERGED}


def test_killed_worker(
    tmp_path: Path, settings: StudySettings, wait_until: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    """A worker that is killed in the middle of a trial loses no trial, nor does the run end.

    Two workers, one of them killed, train the same curves as one does, bit for bit.
    """
    fixed = {**settings.fixed, "epoch": 20, "width": 4, "depth": 3, "latent_channels": 8}
    small = replace(settings, space="extended", fixed=fixed)
    expected = alone(tmp_path / "alone", small, 2)
    job = job_of(tmp_path, small)
    wanting(job.url, small, 2)
    killed: list[FrozenTrial] = []

    def kill_one() -> None:
        trained = [trial for trial in watched(job).get_trials() if trial.intermediate_values]
        os.kill(int(trained[0].user_attrs[attrs.WORKER].rpartition(":")[2]), signal.SIGKILL)
        killed.append(trained[0])

    with when_trained(tmp_path, wait_until, kill_one):
        outcome, trials = run(tmp_path, small, n_trials=2, n_workers=2)
    assert "A worker died by SIGKILL; next attempt in 1 s.\n" in capfd.readouterr().err
    assert outcome.progress.finished == outcome.target == 2
    assert outcome.progress.running == outcome.progress.waiting == 0
    lost = trials[killed[0].number]
    assert lost.state == TrialState.FAIL
    assert attrs.FAILURE not in lost.user_attrs
    (again,) = [t for t in trials if t.state != TrialState.FAIL and point(t) == point(lost)]
    assert again.user_attrs[attrs.DESIGN_INDEX] == lost.user_attrs[attrs.DESIGN_INDEX]
    assert killed[0].intermediate_values.items() <= again.intermediate_values.items()
    assert curves(trials) == curves(expected)
    assert [len(curve) for curve in curves(trials).values()] == [20, 20]
