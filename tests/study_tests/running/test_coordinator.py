"""Studies run by real worker processes: exact counts, equal results, and killed workers."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search_spaces.designs import DESIGNS
from storage import attrs, queue
from storage.rdb import open_storage
from study.errors import StudyError
from study.running.budget import acknowledge, request
from study.running.coordinator import RunOutcome, run_study
from study.running.worker import MAX_DIVERGED
from study.settings import StudySettings
from tests.study_tests.studies import claim, job_of, open_study, space_of, start_design, watched

Wait = Callable[[Callable[[], bool]], None]


def run(
    folder: Path,
    settings: StudySettings,
    *,
    n_trials: int,
    n_workers: int,
    **changes: Any,
) -> tuple[RunOutcome, list[FrozenTrial]]:
    """Run a study in ``folder``, which has one or gets one; return its trials, too."""
    job = job_of(folder, settings)
    study = open_study(open_storage(job.url, create=True, write=True), "study", settings)
    start_design(study, settings)
    target = request(study, n_trials)
    changed = replace(job, **changes)
    outcome = run_study(study, watched(job), changed, target=target, n_workers=n_workers)
    if outcome.done:
        acknowledge(study, target)
    return outcome, study.get_trials()


def point(trial: FrozenTrial) -> tuple[tuple[str, Any], ...]:
    """Return a trial's parameters as a key."""
    return tuple(sorted(trial.params.items()))


def trials_of(folder: Path) -> list[FrozenTrial]:
    """Return the trials of the study in ``folder``."""
    storage = open_storage(f"sqlite:///{folder / 'study.db'}")
    return optuna.load_study(study_name="study", storage=storage).get_trials()


def curves(trials: list[FrozenTrial]) -> dict[Any, Mapping[int, float]]:
    """Return the validation curve of each point."""
    return {point(trial): trial.intermediate_values for trial in trials}


def test_two_workers_finish_exactly_what_was_asked_for(
    tmp_path: Path, settings: StudySettings
) -> None:
    """Each of several requests adds its trials, no more and no fewer; both workers take part."""
    tpe = replace(settings, sampler="tpe", fixed={**settings.fixed, "epoch": 1})
    for n_trials, total in ((7, 7), (1, 8)):
        outcome, trials = run(tmp_path, tpe, n_trials=n_trials, n_workers=2)
        assert outcome.target == total
        assert not outcome.interrupted
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * total
        assert outcome.progress.finished == outcome.progress.complete == total
    workers = {trial.user_attrs[attrs.WORKER] for trial in trials}
    assert len(workers) > 1
    assert queue.worker_id() not in workers
    assert {trial.user_attrs[attrs.THREADS] for trial in trials} == {1}
    assert len(list((tmp_path / "artifacts").iterdir())) == len(attrs.FILES) * len(trials)


@pytest.mark.parametrize("sampler", DESIGNS)
def test_number_of_workers_does_not_matter(
    tmp_path: Path, settings: StudySettings, sampler: str
) -> None:
    """One worker and two train the same points to the same curves, bit for bit."""
    settings = replace(settings, sampler=sampler)
    _, alone = run(tmp_path / "alone", settings, n_trials=5, n_workers=1)
    _, shared = run(tmp_path / "shared", settings, n_trials=5, n_workers=2)
    assert [t.values for t in shared] == [t.values for t in alone]
    assert len({trial.user_attrs[attrs.WORKER] for trial in alone}) == 1
    assert len(curves(alone)) > 1
    assert all(len(trial.intermediate_values) == 2 for trial in alone)
    assert curves(shared) == curves(alone)
    assert [point(trial) for trial in shared] == [point(trial) for trial in alone]


def test_grid(tmp_path: Path, settings: StudySettings) -> None:
    """Two requests of twelve train 24 different points of the 32."""
    fixed: dict[str, Any] = {"auto_encoder": "CNN", "epoch": 1, "batch_size": 64}
    grid = replace(settings, sampler="grid", fixed=fixed)
    outcome, trials = run(tmp_path, grid, n_trials=12, n_workers=2)
    assert outcome.progress.finished == len({point(trial) for trial in trials}) == 12
    outcome, trials = run(tmp_path, grid, n_trials=12, n_workers=2)
    assert outcome.progress.finished == len({point(trial) for trial in trials}) == 24
    assert {point(trial) for trial in trials} < {
        tuple(sorted(params.items())) for params in space_of(grid).grid(fixed)
    }


HOPELESS = {"auto_encoder": "CNN", "epoch": 2, "batch_size": 16, "learning_rate": 1e30}
"""Whatever else is chosen, the training diverges."""


def test_diverging_grid(tmp_path: Path, settings: StudySettings) -> None:
    """A grid in which everything diverges is gone through once, with nothing finished."""
    hopeless = replace(settings, sampler="grid", fixed={**HOPELESS, "weight_decay": 0.001})
    for _ in range(2):
        outcome, trials = run(tmp_path, hopeless, n_trials=3, n_workers=2)
        assert (outcome.progress.finished, outcome.target) == (0, 3)
        assert [trial.state for trial in trials] == [TrialState.FAIL] * 2
        assert all(t.user_attrs[attrs.FAILURE].startswith(attrs.DIVERGED) for t in trials)


def test_diverging_without_end(tmp_path: Path, settings: StudySettings) -> None:
    """A design that does not end is given up when every worker has seen only divergence."""
    hopeless = replace(settings, fixed=HOPELESS)
    with pytest.raises(StudyError, match=rf"^{MAX_DIVERGED} trainings in a row diverged: `emoji"):
        run(tmp_path, hopeless, n_trials=3, n_workers=2)
    trials = trials_of(tmp_path)
    assert [trial.state for trial in trials] == [TrialState.FAIL] * (2 * MAX_DIVERGED)
    workers = [trial.user_attrs[attrs.WORKER] for trial in trials]
    assert {workers.count(worker) for worker in workers} == {MAX_DIVERGED}


def test_killed_worker(
    tmp_path: Path, settings: StudySettings, wait_until: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    """A worker that is killed in the middle of a trial loses no trial, nor does the run end."""
    long = replace(settings, fixed={**settings.fixed, "epoch": 40})
    url = f"sqlite:///{tmp_path / 'study.db'}"
    open_study(open_storage(url, create=True, write=True), "study", long)
    killed: list[FrozenTrial] = []

    def kill_one() -> None:
        study = optuna.load_study(study_name="study", storage=open_storage(url))

        def kill_where_trained() -> bool:
            for trial in study.get_trials(states=(TrialState.RUNNING,)):
                if trial.intermediate_values:
                    pid = int(trial.user_attrs[attrs.WORKER].rpartition(":")[2])
                    os.kill(pid, signal.SIGKILL)
                    killed.append(trial)
                    return True
            return False

        wait_until(kill_where_trained)

    killer = threading.Thread(target=kill_one)
    killer.start()
    outcome, trials = run(tmp_path, long, n_trials=3, n_workers=2)
    killer.join()
    assert len(killed) == 1
    assert "A worker died by SIGKILL; next attempt in 1 s.\n" in capfd.readouterr().err
    assert outcome.progress.finished == outcome.target == 3
    assert outcome.progress.running == outcome.progress.waiting == 0
    lost = trials[killed[0].number]
    assert lost.state == TrialState.FAIL
    assert attrs.FAILURE not in lost.user_attrs
    (again,) = [t for t in trials if t.state != TrialState.FAIL and point(t) == point(lost)]
    assert again.user_attrs[attrs.DESIGN_INDEX] == lost.user_attrs[attrs.DESIGN_INDEX]
    for step, value in killed[0].intermediate_values.items():
        assert again.intermediate_values[step] == value


def test_other_data(tmp_path: Path, settings: StudySettings) -> None:
    """Workers that find other data refuse to work, and no trial is touched."""
    message = (
        rf"^Study 'study' was made with other data \(fingerprint {settings.data_fingerprint}, "
        r"here [0-9a-f]{16}-[0-9a-f]{8}\); give its file with --data\.$"
    )
    with pytest.raises(StudyError, match=message):
        run(tmp_path, settings, n_trials=3, n_workers=2, data=None)
    assert trials_of(tmp_path) == []


def test_other_version(tmp_path: Path, settings: StudySettings) -> None:
    """Workers go on with a study of another version, and their trials say which they are."""
    earlier = replace(settings, code_version="0.0.1")
    _, (trial,) = run(tmp_path, earlier, n_trials=1, n_workers=1)
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs[attrs.CODE_VERSION] == settings.code_version


def test_other_trainings(tmp_path: Path, settings: StudySettings) -> None:
    """Workers whose trainings would give other results refuse to work."""
    earlier = replace(settings, code_version="0.0.1", training=7)
    with pytest.raises(StudyError, match=r"made with emoji-study 0\.0\.1, whose trainings give"):
        run(tmp_path, earlier, n_trials=1, n_workers=1)
    assert trials_of(tmp_path) == []


def test_one_worker_fails(tmp_path: Path, settings: StudySettings) -> None:
    """An error that is no divergence ends the run with its message, and the trial tells it."""
    impossible = replace(settings, fixed={**settings.fixed, "batch_size": 1})
    with pytest.raises(StudyError, match=r"Trial \d failed: ConfigError: `batch_size` must be"):
        run(tmp_path, impossible, n_trials=3, n_workers=1)
    states = [trial.state for trial in trials_of(tmp_path)]
    assert states == [TrialState.FAIL, TrialState.WAITING]


def test_small_space(tmp_path: Path, settings: StudySettings) -> None:
    """Two workers of a sampler that learns train each of eight points once."""
    fixed = {**settings.fixed, "epoch": 1, "weight_decay": 1e-5}
    tpe = replace(settings, sampler="tpe", fixed=fixed)
    outcome, trials = run(tmp_path, tpe, n_trials=8, n_workers=2)
    assert outcome.progress.complete == 8
    assert len({tuple(trial.params.items()) for trial in trials}) == len(trials) == 8


def test_nothing_left_to_do(tmp_path: Path, settings: StudySettings) -> None:
    """A study that has what was asked for starts no worker, which could not even work here."""
    short = replace(settings, fixed={**settings.fixed, "epoch": 1})
    run(tmp_path, short, n_trials=1, n_workers=1)
    job = replace(job_of(tmp_path, short), data=tmp_path / "no.parquet")
    study = open_study(open_storage(job.url, write=True), "study", short)
    outcome = run_study(study, watched(job), job, target=1, n_workers=2)
    assert (outcome.progress.finished, outcome.target, outcome.interrupted) == (1, 1, False)


def test_no_more_workers_than_trials(tmp_path: Path, settings: StudySettings) -> None:
    """Workers that could only look on are not started."""
    short = replace(settings, fixed={**settings.fixed, "epoch": 1})
    outcome, trials = run(tmp_path, short, n_trials=2, n_workers=50)
    assert outcome.progress.complete == len(trials) == 2


def test_unfinished_trials_of_dead_runs(tmp_path: Path, settings: StudySettings) -> None:
    """A run takes over what a coordinator left that is gone with all its workers."""
    short = replace(settings, fixed={**settings.fixed, "epoch": 1})
    job = job_of(tmp_path, short)
    study = open_study(open_storage(job.url, create=True, write=True), "study", short)
    start_design(study, short)
    request(study, 2)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim(study).set_user_attr(
        attrs.WORKER, f"{queue.worker_id().rpartition('-')[0]}-0:{dead.pid}"
    )
    outcome, trials = run(tmp_path, short, n_trials=2, n_workers=1)
    assert outcome.progress.complete == outcome.target == 2
    assert [t.user_attrs[attrs.DESIGN_INDEX] for t in trials] == [0, 0, 1]
    assert trials[0].state == TrialState.FAIL
    assert trials[1].user_attrs[attrs.RETRY_OF] == 0
