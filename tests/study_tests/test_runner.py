"""One trial at a time, with real trainings: whatever the end, everything is stored."""

import io
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import torch
from optuna.artifacts import get_all_artifact_meta
from optuna.pruners import BasePruner, ThresholdPruner
from optuna.trial import TrialState
from PIL import Image

from emoji_ae.dataset import load_dataset
from emoji_ae.splits import split_dataset
from storage import attrs, queue
from storage.artifacts import open_artifacts, read_artifact
from storage.rdb import open_storage
from study.budget import top_up
from study.data import StudyData, study_data
from study.errors import StudyError
from study.objectives import TrainingObjective
from study.runner import require_same_version, run_trial, stop_signals
from study.seeds import trial_seed
from study.settings import StudySettings
from study.workers import open_study

ALWAYS_PRUNES = ThresholdPruner(upper=0.0)
"""Every error is above it."""

AT_START = {
    attrs.SEED,
    attrs.REPLICATE,
    attrs.WORKER,
    attrs.DEVICE,
    attrs.THREADS,
    attrs.CODE_VERSION,
    attrs.DATA_FINGERPRINT,
    attrs.DESIGN_INDEX,
}
AT_END = {
    attrs.EPOCHS_RUN,
    attrs.TRAINING_SECONDS,
    attrs.PARAMETER_COUNT,
    attrs.LAST_VALIDATION_MSE,
    attrs.LAST_TRAIN_MSE,
    attrs.CURVES_DIGEST,
}
OF_THE_BEST = {attrs.VALIDATION_MSE, attrs.BEST_EPOCH}

DIVERGING = 1e30
"""A learning rate whose first step makes the next error NaN."""


@pytest.fixture(scope="module")
def data(tiny_data: Path) -> StudyData:
    """The tiny data set as a study sees it."""
    dataset = load_dataset(tiny_data)
    return study_data(dataset, split_dataset(dataset, method="group", seed=42))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where artifacts go."""
    return tmp_path / "artifacts"


Run = Callable[..., optuna.Study]


@pytest.fixture
def run(url: str, settings: StudySettings, data: StudyData, store: Path) -> Run:
    """Return a function that runs one trial of a new study."""

    def run_one(
        *,
        pruner: BasePruner | None = None,
        stop: threading.Event | None = None,
        ticket: dict[str, Any] | None = None,
        **fixed: Any,
    ) -> optuna.Study:
        decided = replace(settings, fixed={**settings.fixed, **fixed})
        study = open_study(open_storage(url, create=True, write=True), "study", decided)
        study.pruner = pruner or optuna.pruners.NopPruner()
        study.sampler = optuna.samplers.RandomSampler(seed=0)
        if ticket is None:
            top_up(study, decided, 1)
        else:
            queue.enqueue(study, {}, ticket)
        claimed = queue.claim(study)
        assert claimed is not None
        objective = TrainingObjective(
            settings=decided, data=data, artifacts=store, device=torch.device("cpu")
        )
        run_trial(study, claimed, objective, stop or threading.Event())
        return study

    return run_one


def set_event() -> threading.Event:
    """Return an event that has happened."""
    event = threading.Event()
    event.set()
    return event


def files(study: optuna.Study, store: Path) -> dict[str, bytes]:
    """Return the artifacts of a study's first trial."""
    trial = study.get_trials()[0]
    found = {}
    for meta in get_all_artifact_meta(trial, storage=study._storage):
        content = read_artifact(
            open_artifacts(store), study._storage, trial._trial_id, meta.filename
        )
        assert content is not None
        found[meta.filename] = content
    return found


def check_files(study: optuna.Study, store: Path, data: StudyData, *, n_epochs: int) -> None:
    """Check that a trial has its two files, with the curve and the validation texts."""
    found = files(study, store)
    assert set(found) == {attrs.RECONSTRUCTIONS_FILE, attrs.CURVES_FILE}
    curve = pd.read_csv(io.BytesIO(found[attrs.CURVES_FILE]))
    assert list(curve.columns) == ["epoch", "train_mse", "validation_mse", "seconds"]
    assert curve["epoch"].tolist() == list(range(n_epochs))
    reports = study.get_trials()[0].intermediate_values
    for step, value in reports.items():
        assert curve["validation_mse"][step] == pytest.approx(value, rel=1e-6)
    with Image.open(io.BytesIO(found[attrs.RECONSTRUCTIONS_FILE])) as image:
        assert image.info[attrs.TEXTS_ENTRY].count('", "') + 1 == len(data.validation.images)
        assert data.validation_texts[0] in image.info[attrs.TEXTS_ENTRY]


def test_complete(run: Run, settings: StudySettings, store: Path, data: StudyData) -> None:
    """A complete trial's value is its lowest report, and all that is known is stored."""
    study = run(epoch=3)
    (trial,) = study.get_trials()
    assert trial.state == TrialState.COMPLETE
    assert list(trial.intermediate_values) == [0, 1, 2]
    assert trial.value == min(trial.intermediate_values.values())
    assert set(trial.user_attrs) == AT_START | AT_END | OF_THE_BEST
    stored = trial.user_attrs
    config = settings.search_space.to_config(trial.params)
    assert stored[attrs.SEED] == trial_seed(settings.seed, config, 0)
    assert stored[attrs.WORKER] == queue.worker_id()
    assert stored[attrs.THREADS] == torch.get_num_threads()
    assert stored[attrs.DATA_FINGERPRINT] == settings.data_fingerprint
    assert stored[attrs.CODE_VERSION] == settings.code_version
    assert (stored[attrs.REPLICATE], stored[attrs.DEVICE]) == (0, "cpu")
    assert stored[attrs.VALIDATION_MSE] == trial.value
    assert trial.intermediate_values[stored[attrs.BEST_EPOCH] - 1] == trial.value
    assert stored[attrs.LAST_VALIDATION_MSE] == trial.intermediate_values[2]
    assert stored[attrs.EPOCHS_RUN] == 3
    assert stored[attrs.PARAMETER_COUNT] > 100_000
    assert stored[attrs.TRAINING_SECONDS] > 0
    check_files(study, store, data, n_epochs=3)


def test_value_is_not_the_last_report(run: Run) -> None:
    """A training that ends worse than it was has the value of its best epoch."""
    study = run(epoch=4, learning_rate=0.1, batch_normalization=True, weight_decay=1e-5)
    (trial,) = study.get_trials()
    values = list(trial.intermediate_values.values())
    assert values[-1] > min(values)
    assert trial.value == min(values)
    assert trial.user_attrs[attrs.BEST_EPOCH] == values.index(min(values)) + 1


def test_pruned(run: Run, store: Path, data: StudyData) -> None:
    """A pruned trial keeps everything, too."""
    study = run(epoch=3, pruner=ALWAYS_PRUNES)
    (trial,) = study.get_trials()
    assert trial.state == TrialState.PRUNED
    assert list(trial.intermediate_values) == [0]
    assert set(trial.user_attrs) == AT_START | AT_END | OF_THE_BEST
    assert trial.user_attrs[attrs.EPOCHS_RUN] == 1
    check_files(study, store, data, n_epochs=1)


@pytest.mark.parametrize(("epoch", "warmup"), [(1, 0), (3, 2)])
def test_last_epoch_is_never_pruned(run: Run, epoch: int, warmup: int) -> None:
    """A training that was paid for counts, even where the pruner would stop it at its end."""
    pruner = ThresholdPruner(upper=0.0, n_warmup_steps=warmup)
    (trial,) = run(epoch=epoch, pruner=pruner).get_trials()
    assert trial.state == TrialState.COMPLETE
    assert len(trial.intermediate_values) == epoch


def test_interrupted(run: Run, store: Path, data: StudyData) -> None:
    """An interrupted trial fails with its reason and all its files, and waits once more."""
    study = run(epoch=3, stop=set_event())
    trial, again = study.get_trials()
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[attrs.FAILURE] == "interrupted after epoch 1"
    assert set(trial.user_attrs) == AT_START | AT_END | OF_THE_BEST | {attrs.FAILURE}
    check_files(study, store, data, n_epochs=1)
    assert again.state == TrialState.WAITING
    assert again.system_attrs["fixed_params"] == trial.params
    assert again.user_attrs == {attrs.DESIGN_INDEX: 0, attrs.REPLICATE: 0, attrs.RETRY_OF: 0}


def test_interrupted_before_pruning(run: Run) -> None:
    """Where both would stop a trial, it is interrupted: pruned ones would not run again."""
    study = run(epoch=3, stop=set_event(), pruner=ALWAYS_PRUNES)
    assert [t.state for t in study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]


def test_interrupted_replicate(run: Run, settings: StudySettings) -> None:
    """A deliberate repetition has a seed of its own, and stays one when it is interrupted."""
    study = run(epoch=3, stop=set_event(), ticket={attrs.REPLICATE: 2})
    trial, again = study.get_trials()
    config = settings.search_space.to_config(trial.params)
    assert trial.user_attrs[attrs.REPLICATE] == 2
    assert trial.user_attrs[attrs.SEED] == trial_seed(settings.seed, config, 2)
    assert again.user_attrs == {attrs.REPLICATE: 2, attrs.RETRY_OF: 0}


def test_interrupted_trial_runs_the_same_again(
    run: Run, settings: StudySettings, data: StudyData, store: Path
) -> None:
    """The repetition has the same parameters, seed and beginning of the curve."""
    study = run(epoch=3, stop=set_event())
    claimed = queue.claim(study)
    assert claimed is not None
    decided = replace(settings, fixed={**settings.fixed, "epoch": 3})
    objective = TrainingObjective(
        settings=decided, data=data, artifacts=store, device=torch.device("cpu")
    )
    run_trial(study, claimed, objective, threading.Event())
    first, second = study.get_trials()
    assert second.state == TrialState.COMPLETE
    assert second.params == first.params
    assert second.user_attrs[attrs.SEED] == first.user_attrs[attrs.SEED]
    assert second.intermediate_values[0] == first.intermediate_values[0]
    assert len(second.intermediate_values) == 3


def test_diverged(run: Run, store: Path, data: StudyData) -> None:
    """A diverged training fails its trial only, with the epoch and all its files."""
    study = run(epoch=3, learning_rate=DIVERGING)
    (trial,) = study.get_trials()
    assert trial.state == TrialState.FAIL
    reason = trial.user_attrs[attrs.FAILURE]
    assert reason.startswith(f"{attrs.DIVERGED}: Training diverged in epoch ")
    n_epochs = trial.user_attrs[attrs.EPOCHS_RUN]
    assert f"epoch {n_epochs}:" in reason
    assert set(trial.user_attrs) >= AT_START | AT_END | {attrs.FAILURE}
    assert all(math.isfinite(value) for value in trial.intermediate_values.values())
    check_files(study, store, data, n_epochs=n_epochs)


def test_files_are_in_one_order(
    url: str, settings: StudySettings, data: StudyData, store: Path
) -> None:
    """Every trial has its picture first, whatever its end, for the dashboard's gallery."""
    study = open_study(open_storage(url, create=True, write=True), "study", settings)
    objective = TrainingObjective(
        settings=settings, data=data, artifacts=store, device=torch.device("cpu")
    )
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    top_up(study, settings, 12)
    for number in range(12):
        study.pruner = ALWAYS_PRUNES if number % 2 else optuna.pruners.NopPruner()
        claimed = queue.claim(study)
        assert claimed is not None
        run_trial(study, claimed, objective, threading.Event())
    reader = open_storage(url)
    for trial in reader.get_all_trials(study._study_id):
        metas = get_all_artifact_meta(trial, storage=reader)
        expected = [attrs.RECONSTRUCTIONS_FILE, attrs.CURVES_FILE]
        assert [meta.filename for meta in metas] == expected


def test_unexpected_error(run: Run, store: Path, tmp_path: Path, url: str) -> None:
    """An error that the next trial would meet as well fails the trial and is passed on."""
    (tmp_path / "artifacts").touch()
    message = "^Trial 0 failed: StorageAccessError: Artifact folder .* cannot be created"
    with pytest.raises(StudyError, match=message):
        run()
    (trial,) = optuna.load_study(study_name="study", storage=open_storage(url)).get_trials()
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[attrs.FAILURE].startswith("StorageAccessError: ")
    assert "\n" not in trial.user_attrs[attrs.FAILURE]


def test_impossible_parameters(run: Run) -> None:
    """A stored point that no model can be built from fails its trial with the rule."""
    with pytest.raises(StudyError, match=r"ConfigError: `batch_size` must be .* but got 1\."):
        run(batch_size=1)


def test_judged_dead(url: str, settings: StudySettings, data: StudyData, store: Path) -> None:
    """A worker whose trial was taken from it in the middle drops it and can go on."""
    study = open_study(open_storage(url, create=True, write=True), "study", settings)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    top_up(study, settings, 1)
    claimed = queue.claim(study)
    assert claimed is not None
    trial_id = claimed._trial_id
    objective = TrainingObjective(
        settings=settings, data=data, artifacts=store, device=torch.device("cpu")
    )

    class Taken(threading.Event):
        """Another worker fails the trial while this one trains."""

        def is_set(self) -> bool:
            other = open_storage(url, write=True)
            other.set_trial_state_values(trial_id, TrialState.FAIL)
            return False

    run_trial(study, claimed, objective, Taken())
    (trial,) = study.get_trials()
    assert trial.state == TrialState.FAIL
    assert attrs.FAILURE not in trial.user_attrs


def test_require_same_version(settings: StudySettings) -> None:
    """Another version is refused with both."""
    require_same_version(settings, study="s")
    later = replace(settings, code_version="9.9")
    message = rf"^Study 's' was made with emoji-study 9\.9, but this is {settings.code_version};"
    with pytest.raises(StudyError, match=message):
        require_same_version(later, study="s")


WORKER = """
import sys
from pathlib import Path
from study.jobs import WorkerJob
from study.runner import run_worker

url, artifacts, data = sys.argv[1:]
job = WorkerJob(
    url=url, study="study", artifacts=Path(artifacts), data=Path(data), device="cpu", threads=1
)
run_worker(job)
print([name for name in ("sklearn", "pandas") if name in sys.modules])
"""


@pytest.mark.parametrize(("sampler", "pruner"), [("random", "none"), ("tpe", "median")])
def test_worker_is_light(
    url: str, settings: StudySettings, store: Path, tiny_data: Path, sampler: str, pruner: str
) -> None:
    """A worker that samples, trains and answers trials never imports scikit-learn or pandas."""
    decided = replace(settings, sampler=sampler, pruner=pruner)
    study = open_study(open_storage(url, create=True, write=True), "study", decided)
    point = {"learning_rate": 0.01, "weight_decay": 0.001, "batch_normalization": False}
    for params in ({}, point, point):
        queue.enqueue(study, params, {})

    done = subprocess.run(
        [sys.executable, "-c", WORKER, url, store, tiny_data], capture_output=True, text=True
    )

    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    trials = study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert [trial.user_attrs.get(attrs.REUSED_FROM) for trial in trials] == [None, None, 1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_signals(number: signal.Signals) -> None:
    """Within the block a signal is an event, behind it everything is as it was."""
    before = signal.getsignal(number)
    with stop_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(60)
    assert signal.getsignal(number) is before


def test_stop_signals_in_a_thread() -> None:
    """A thread can run a worker as well, only without signals."""
    seen: list[bool] = []

    def body() -> None:
        with stop_signals() as stop:
            seen.append(stop.is_set())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [False]
