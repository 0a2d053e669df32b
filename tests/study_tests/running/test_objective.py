"""What is stored of trainings that classify as well; constraints and two objectives."""

import io
import json
import math
import re
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from optuna.artifacts import get_all_artifact_meta
from optuna.pruners import BasePruner, NopPruner, ThresholdPruner
from optuna.trial import FrozenTrial, TrialState
from PIL import Image

from emoji_ae.dataset import load_dataset
from emoji_ae.drawing.strips import N_SAMPLES, pick
from emoji_ae.labels import CLASSES
from emoji_ae.splits import Split
from storage import attrs, queue
from storage.artifacts import open_artifacts, read_artifact
from storage.rdb import open_storage
from storage.records import load_study_record
from study.emoji.data import StudyData
from study.emoji.experiments import auxiliary_task
from study.errors import StudyError
from study.kinds import Data, Finished, Run, Source
from study.running.objective import current_commit
from study.running.worker import run_trial, run_worker
from study.settings import StudySettings
from tests.study_tests.studies import (
    claim_point,
    job_of,
    objective_of,
    open_study,
    url_of,
    wanting,
)
from tests.study_tests.toy_kind import ToyTrainer

N_VALIDATION = 8

STILL = 1e-12
"""A learning rate that changes no weight, so that the first epoch is the best, and all equal."""

FREE: dict[str, Any] = {
    **auxiliary_task(Source(), {"lambdas": (0.5,)}).shared,
    "epoch": 4,
    "width": 8,
    "latent_channels": 16,
    "learning_rate": 1e-2,
    "batch_size": 8,
}
"""What is fixed in the extended space; strategy and classifier are left to each trial."""

JOINT = {"strategy": "joint", "auxiliary_task": True, "classification_lambda": 0.5}
SEQUENTIAL = {"strategy": "sequential"}

OF_AUTOENCODER = {
    *(attrs.SEED, attrs.REPLICATE, attrs.WORKER, attrs.DEVICE, attrs.THREADS),
    *(attrs.CODE_VERSION, attrs.ENVIRONMENT, attrs.DATA_FINGERPRINT, attrs.CURVES_DIGEST),
    *(attrs.EPOCHS_RUN, attrs.TRAINING_SECONDS, attrs.PARAMETER_COUNT, attrs.BEST_EPOCH),
    attrs.MULTIPLY_ADDS,
    *(attrs.LAST_VALIDATION_MSE, attrs.LAST_TRAIN_MSE, attrs.VALIDATION_MSE),
}
OF_CLASSIFIER = {
    *(attrs.VALIDATION_CROSS_ENTROPY, attrs.VALIDATION_ACCURACY),
    attrs.VALIDATION_BALANCED_ACCURACY,
}
COLUMNS = [
    *("epoch", "train_mse", "validation_mse", "seconds"),
    *("train_cross_entropy", "train_total", "train_accuracy"),
    *("validation_cross_entropy", "validation_total", "validation_accuracy"),
    "validation_balanced_accuracy",
]

Values = Mapping[str, Any]


@pytest.fixture(scope="module")
def free(multitask: StudySettings) -> StudySettings:
    """Settings under which every trial says which strategy it is, and trains a small model."""
    return replace(multitask, space="extended", fixed=FREE)


@pytest.fixture(scope="module")
def data(tiny_data: Path, multitask: StudySettings) -> StudyData:
    """The tiny data set as a study sees it."""
    return StudyData(load_dataset(tiny_data), Split.from_sides(multitask.sides))


def run_studied(
    folder: Path, settings: StudySettings, n_trials: int, *, points: Iterable[Values] = ()
) -> optuna.Study:
    """Run a study in ``folder`` as a worker does; some points may be queued in advance."""
    job = job_of(folder, settings)
    study = wanting(job.url, settings, n_trials)
    for params in points:
        study.enqueue_trial(dict(params))
    run_worker(job, threading.Event())
    return study


RunOne = Callable[..., FrozenTrial]


@pytest.fixture
def run(tmp_path: Path, url: str, free: StudySettings, data: StudyData) -> RunOne:
    """Return a function that runs one trial, in this process, in a study that it may continue."""

    def run_one(
        params: Values,
        *,
        settings: StudySettings = free,
        pruner: BasePruner | None = None,
        stop: bool = False,
        name: str = "study",
    ) -> FrozenTrial:
        study = open_study(open_storage(url, create=True, write=True), name, settings)
        study.pruner = pruner or NopPruner()
        study.sampler = optuna.samplers.RandomSampler(seed=0)
        trial = claim_point(study, params)
        objective = objective_of(settings, tmp_path / "artifacts", data=data)
        event = threading.Event()
        if stop:
            event.set()
        run_trial(study, trial, objective, event)
        return study.get_trials()[trial.number]

    return run_one


def files_of(folder: Path, trial: FrozenTrial) -> dict[str, bytes]:
    """Return the files of a trial of the study in ``folder``."""
    storage = open_storage(url_of(folder))
    names = [meta.filename for meta in get_all_artifact_meta(trial, storage=storage)]
    store = open_artifacts(folder / "artifacts")
    found = {name: read_artifact(store, storage, trial._trial_id, name) for name in names}
    return {name: content for name, content in found.items() if content is not None}


def curve_of(folder: Path, trial: FrozenTrial) -> pd.DataFrame:
    """Return the curves of a trial of the study in ``folder``, one row per epoch."""
    return pd.read_csv(io.BytesIO(files_of(folder, trial)[attrs.CURVES_FILE]))


def check_files(folder: Path, trial: FrozenTrial, data: StudyData) -> None:
    """Check that a trial has its files, among them pictures of the first and other images."""
    found = files_of(folder, trial)
    assert tuple(found) == attrs.FILES
    assert sum(map(len, found.values())) <= 60_000
    with Image.open(io.BytesIO(found[attrs.RECONSTRUCTIONS_FILE])) as image:
        texts = [column["text"] for column in json.loads(image.info[attrs.PICTURES_ENTRY])]
    rows = data.split.validation
    samples = [data.dataset.texts[rows[i]] for i in pick(len(rows), N_SAMPLES)]
    assert texts[:N_SAMPLES] == samples
    assert len(texts) == N_SAMPLES + 3


def single(value: float) -> float:
    """Return the number of single precision that a number of the curve stands for."""
    return float(np.float32(value))


def check_classification(trial: FrozenTrial, chosen: Mapping[Any, Any]) -> None:
    """Check a trial's figures against the epoch whose classifier was kept, and each other."""
    found = trial.user_attrs
    confusion = np.array(found[attrs.CONFUSION])
    assert confusion.shape == (len(CLASSES), len(CLASSES))
    assert confusion.sum() == N_VALIDATION
    counts = confusion.sum(axis=1)
    recalls = confusion.diagonal()[counts > 0] / counts[counts > 0]
    assert found[attrs.VALIDATION_ACCURACY] == confusion.trace() / N_VALIDATION
    assert found[attrs.VALIDATION_BALANCED_ACCURACY] == pytest.approx(recalls.mean(), rel=1e-6)
    for name in OF_CLASSIFIER:
        assert found[name] == single(chosen[name]), name


def fixing(settings: StudySettings, **params: Any) -> StudySettings:
    """Return settings that fix these parameters as well."""
    return replace(settings, fixed={**settings.fixed, **params})


def test_complete(run: RunOne, tmp_path: Path, free: StudySettings, data: StudyData) -> None:
    """A complete trial has all figures of both tasks, of the best epoch by the first of them."""
    settings = fixing(free, epoch=6, learning_rate=0.1)
    trial = run(JOINT, settings=settings)
    assert trial.state == TrialState.COMPLETE
    assert set(trial.user_attrs) == OF_AUTOENCODER | OF_CLASSIFIER | {attrs.CONFUSION}
    curve = curve_of(tmp_path, trial)
    assert list(curve.columns) == COLUMNS
    assert curve["epoch"].tolist() == list(range(6))
    assert not curve.isna().any(axis=None)
    reports = {i: single(value) for i, value in curve["validation_mse"].items()}
    assert trial.intermediate_values == reports
    best = min(reports, key=lambda epoch: reports[epoch])
    assert trial.value == trial.user_attrs[attrs.VALIDATION_MSE] == reports[best]
    assert best not in (5, curve["validation_total"].idxmin())
    assert trial.user_attrs[attrs.BEST_EPOCH] == best + 1
    assert trial.user_attrs[attrs.EPOCHS_RUN] == 6
    check_classification(trial, curve.iloc[best])
    check_files(tmp_path, trial, data)
    assert trial.user_attrs[attrs.WORKER] == queue.worker_id()
    assert trial.user_attrs[attrs.THREADS] == torch.get_num_threads()
    assert trial.user_attrs[attrs.DATA_FINGERPRINT] == settings.data_fingerprint
    assert trial.user_attrs[attrs.CODE_VERSION] == settings.code_version
    assert (trial.user_attrs[attrs.REPLICATE], trial.user_attrs[attrs.DEVICE]) == (0, "cpu")
    versions = f", torch {torch.__version__}, optuna {optuna.__version__}, "
    assert versions in trial.user_attrs[attrs.ENVIRONMENT]
    assert trial.user_attrs[attrs.TRAINING_SECONDS] > 0


def test_sequential(run: RunOne, tmp_path: Path, free: StudySettings) -> None:
    """The autoencoder's epochs are reported, the classifier's follow in the curve alone."""
    settings = fixing(free, epoch=5, learning_rate=0.1)
    trial = run(SEQUENTIAL, settings=settings)
    curve = curve_of(tmp_path, trial)
    assert list(curve.columns) == COLUMNS
    assert curve["epoch"].tolist() == list(range(10))
    first, after = curve.iloc[:5], curve.iloc[5:]
    assert first[COLUMNS[4:]].isna().all(axis=None)
    assert not after.isna().any(axis=None)
    reports = {i: single(value) for i, value in first["validation_mse"].items()}
    assert trial.intermediate_values == reports
    assert trial.value == min(reports.values())
    assert {single(value) for value in after["validation_mse"]} == {trial.value}
    assert reports[trial.user_attrs[attrs.BEST_EPOCH] - 1] == trial.value
    assert trial.user_attrs[attrs.EPOCHS_RUN] == 5
    assert trial.user_attrs[attrs.LAST_VALIDATION_MSE] == reports[4]
    chosen = after.loc[after["validation_cross_entropy"].idxmin()]
    assert chosen["epoch"] != after["validation_accuracy"].idxmax()
    check_classification(trial, chosen)


def test_pruned(run: RunOne, tmp_path: Path, free: StudySettings) -> None:
    """A pruned trial keeps all that it has reached, feasible or not; a frozen part has nothing."""
    always = ThresholdPruner(upper=0.0)
    trial = run(JOINT, settings=replace(free, min_accuracy=1.0), pruner=always)
    assert trial.state == TrialState.PRUNED
    assert list(trial.intermediate_values) == [0]
    assert trial.user_attrs[attrs.EPOCHS_RUN] == 1
    check_classification(trial, curve_of(tmp_path, trial).iloc[0])
    assert trial.constraints == {"0": 1.0 - trial.user_attrs[attrs.VALIDATION_ACCURACY]}
    assert trial.user_attrs[attrs.INFEASIBLE] is True

    trial = run(SEQUENTIAL, pruner=always, name="sequential")
    assert trial.state == TrialState.PRUNED
    assert list(trial.intermediate_values) == [0]
    assert not set(trial.user_attrs) & (OF_CLASSIFIER | {attrs.CONFUSION})
    assert trial.user_attrs[attrs.VALIDATION_MSE] == trial.intermediate_values[0]
    assert list(curve_of(tmp_path, trial).columns) == COLUMNS[:4]


def test_early_stopped(run: RunOne, free: StudySettings) -> None:
    """A training that ended before its last epoch says so, and is complete; others do not."""
    patient = fixing(free, learning_rate=STILL, patience=2, epoch=6)
    trial = run(JOINT, settings=patient)
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs[attrs.EARLY_STOPPED] is True
    assert trial.user_attrs[attrs.EPOCHS_RUN] == 3
    whole = run(JOINT, settings=fixing(patient, epoch=3), name="whole")
    pruned = run(JOINT, settings=patient, pruner=ThresholdPruner(upper=0.0), name="pruned")
    assert not {attrs.EARLY_STOPPED} & (set(whole.user_attrs) | set(pruned.user_attrs))


def test_diverged(run: RunOne, tmp_path: Path, free: StudySettings) -> None:
    """A diverged training fails its trial with its curve, and leaves no state behind."""
    large = {"depth": 1, "learning_rate": 1e12, "classification_layer_num": 3}
    settings = fixing(free, **large, classification_width=64, dropout=0.0)
    trial = run(SEQUENTIAL, settings=replace(settings, min_accuracy=0.5))
    assert trial.state == TrialState.FAIL
    reason = f"{attrs.DIVERGED}: Training of the classifier diverged in epoch 1:"
    assert trial.user_attrs[attrs.FAILURE].startswith(reason)
    assert attrs.CONFUSION not in trial.user_attrs
    assert len(curve_of(tmp_path, trial)) == trial.user_attrs[attrs.EPOCHS_RUN]
    assert all(map(math.isfinite, trial.intermediate_values.values()))
    assert list((tmp_path / "artifacts").rglob("*.pt")) == []


def test_constraint(tmp_path: Path, toys: StudySettings) -> None:
    """The best reaches the second metric, up to single precision; an adaptive sampler is told."""
    points = [{"rate": 1.5, "start": 0.0, "rounds": n} for n in (4, 3)]
    settings = replace(toys, fixed={}, sampler="tpe")
    free = run_studied(tmp_path, settings, 2, points=points).get_trials()
    sizes = [trial.user_attrs["size"] for trial in free]
    assert free[0].value < free[1].value
    assert sizes[0] < sizes[1]
    assert [trial.constraints for trial in free] == [{}, {}]  # nobody asked for one
    for name, needed in (("reached", sizes[1] + 4e-7), ("missed", sizes[1] + 1e-6)):
        (tmp_path / name).mkdir()
        asked = replace(settings, min_accuracy=needed)
        study = run_studied(tmp_path / name, asked, 2, points=points)
        record = load_study_record(study._storage, study.study_name)
        for trial, size in zip(study.get_trials(), sizes, strict=True):
            assert trial.constraints == {"0": round(needed - size, 6)}
        assert [t.feasible for t in record.trials] == [False, name == "reached"]
        if name == "reached":
            assert record.best == record.trials[1]
            assert study.best_trial.number == 1
        else:  # none is the best, for us as for Optuna
            assert record.best is None
            with pytest.raises(ValueError, match="No feasible trials"):
                _ = study.best_trial


def test_the_commit_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial tells git's commit of the folder it runs in, and whether files differ from it."""
    monkeypatch.chdir(tmp_path)
    told = current_commit.__wrapped__
    assert told() is None
    (tmp_path / "model.py").write_text("A = 1")
    who = "-c user.name=N -c user.email=n@example.org"
    for words in ("init -q", "add .", f"{who} commit -qm First"):
        subprocess.run(["git", *words.split()], check=True)
    assert re.fullmatch("commit [0-9a-f]{10}", told() or "")
    (tmp_path / "model.py").write_text("A = 2")
    assert re.fullmatch("commit [0-9a-f]{10} with changes", told() or "")


@pytest.mark.parametrize("pareto", [False, True])
def test_two_objectives(tmp_path: Path, toys: StudySettings, pareto: bool) -> None:
    """What stands still above the median is pruned; of two objectives nothing is, nor reported."""
    settings = replace(toys, fixed={"rounds": 40}, pruner="median", pareto=pareto)
    points = [{"rate": rate} for rate in (*[1.0] * 6, 2.0, 2.0)]
    study = run_studied(tmp_path, settings, len(points), points=points)
    trials = study.get_trials()
    pruned = [trial.state == TrialState.PRUNED for trial in trials]
    assert pruned == [False] * 6 + [not pareto] * 2
    for trial in trials:
        loss, size = trial.user_attrs["loss"], trial.user_attrs["size"]
        n_steps = trial.user_attrs[attrs.EPOCHS_RUN]
        assert (n_steps < 40) == (trial.state == TrialState.PRUNED)
        assert len(trial.intermediate_values) == (0 if pareto else n_steps)
        if trial.state == TrialState.COMPLETE:
            assert trial.values == ([loss, size] if pareto else [loss])
    record = load_study_record(study._storage, "study")
    assert record.directions == (("minimize", "maximize") if pareto else ("minimize",))
    assert record.best.value == min(t.values[0] for t in trials if t.values)


class Given(ToyTrainer):
    """Returns what it was made of, instead of training."""

    def __init__(self, training: Any) -> None:
        self.training = training

    def train(self, config: Any, data: Data, run: Run) -> Any:
        return self.training


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (None, "`train` of the kind 'toy' must return a study.kinds.Finished, .* a NoneType"),
        ({"best": None}, "diverged.*The training ended without anything to keep"),
        ({"best_step": 1}, "`best_step` counts .* must be below 1, the .*, but is 1"),
        ({"best": {"size": 1.0}}, "must have the metric 'loss', but has size"),
        ({"best": {"loss": 0.5, "size": math.nan}}, "diverged.*size is nan"),
        (
            {"best": {"loss": "0.5", "size": 1.0}},
            "'loss' of the kind 'toy' must be a number.* str",
        ),
        ({"best": {"loss": -0.5, "size": 1.0}}, "'loss' .* is -0.5, but its `low` is 0: mend"),
    ],
)
def test_what_a_training_must_return(
    tmp_path: Path, toys: StudySettings, changes: Values | None, message: str
) -> None:
    """A kind that breaks the protocol is told how in a line; nothing to keep is a divergence."""
    given: Any = {"steps": [{"loss": 0.5}], "best": {"loss": 0.5, "size": 1.0}, "best_step": 0}
    training = None if changes is None else Finished(**given | changes, write=Path.touch)
    study = wanting(url_of(tmp_path), toys)
    objective = replace(objective_of(toys, tmp_path / "artifacts"), trainer=Given(training))
    with suppress(StudyError):
        run_trial(study, claim_point(study, {}), objective, threading.Event())
    (failed, *_) = study.get_trials()
    assert failed.state == TrialState.FAIL
    assert re.search(message, failed.user_attrs[attrs.FAILURE])
