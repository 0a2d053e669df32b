"""Studies whose answers are known, built in code from a seed."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from search_spaces import Scalar
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from storage.values import Arm, Experiment
from study.emoji import MULTITASK

VALIDATION_MSE, VALIDATION_ACCURACY, _, *LATENT_METRICS = MULTITASK.metrics

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "auto_encoder": CategoricalDistribution(("CNN", "linear")),
    "epoch": IntDistribution(20, 20),
    "batch_size": CategoricalDistribution((16, 32, 64)),
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "weight_decay": FloatDistribution(1e-5, 1e-2, log=True),
    "batch_normalization": CategoricalDistribution((True, False)),
    "bottleneck_dim": CategoricalDistribution((16, 32, 64)),
    "strategy": CategoricalDistribution(("joint", "sequential", "branched")),
    "classification_lambda": FloatDistribution(1e-3, 10.0, log=True),
    "classification_layer_num": IntDistribution(1, 3),
    "dropout": FloatDistribution(0.0, 0.7),
    "class_weights": CategoricalDistribution((False, True)),
}

SETTINGS = {
    "kind": "autoencoder",
    "space": "extended",
    "sampler": "tpe",
    "pruner": "median",
    "seed": 0,
    "fixed": {"epoch": 20},
    "data": None,
    "data_fingerprint": "0123456789abcdef",
    "split": "group",
    "data_seed": 42,
    "sides": "ttvtx" * 35,
    "min_accuracy": None,
    "pareto": False,
    "code_version": "0.1.0",
}

MULTITASK_SETTINGS = {**SETTINGS, "kind": "multitask", "sampler": "random", "min_accuracy": 0.7}

EXPERIMENT = {"name": "leakage", "question": "Which?", "arms": [], "sides": {}}

CLASS_COUNTS = {
    "train": {"animal": 12, "human face": 60, "other": 18, "person": 30},
    "validation": {"animal": 4, "human face": 20, "other": 6, "person": 10},
}
"""Images of each class; the largest is half of either split."""

MARKUP = "<b>loss</b> became NaN </script><script>alert('x')</script> & more"
"""A failure message that would break a page that does not escape it."""

START = datetime(2025, 1, 1, 12, 0, 0, tzinfo=UTC)


def trial(
    number: int,
    *,
    state: TrialState = TrialState.COMPLETE,
    value: float | None = None,
    params: Mapping[str, Scalar] | None = None,
    curve: tuple[float, ...] = (),
    attrs: Mapping[str, Any] | None = None,
    started: datetime | None = None,
    completed: datetime | None = None,
) -> TrialRecord:
    """Return one trial; its distributions follow from the names of its parameters."""
    params = params or {}
    return TrialRecord(
        number=number,
        trial_id=number + 1,
        state=state,
        values=() if value is None else (value,),
        params=params,
        distributions={name: DISTRIBUTIONS[name] for name in params},
        intermediate_values=dict(enumerate(curve)),
        user_attrs=attrs or {},
        started=started,
        completed=completed,
    )


def study(
    *trials: TrialRecord, name: str = "study", settings: Mapping[str, Any] | None = None
) -> StudyRecord:
    """Return a study of these trials."""
    return StudyRecord(
        name=name,
        directions=("minimize",),
        user_attrs={} if settings is None else {"settings": settings},
        trials=trials,
    )


Values = Sequence[float | None]


def trained(
    values: Mapping[str, Values],
    arms: Iterable[Arm],
    *,
    own: Callable[[str, int], Mapping[str, Any]] = lambda arm, pair: {},
    settings: Mapping[str, Any] = SETTINGS,
    more: Iterable[TrialRecord] = (),
    **changes: Any,
) -> StudyRecord:
    """Return an experiment that follows a search.

    Args:
        values: The objective of each arm, pair by pair; infinite for a training that diverged,
            None for one that is missing.
        own: Gives further attributes of a trial.
        more: Trials beside these.
        changes: Of the experiment.
    """
    trials = []
    for arm, column in values.items():
        for pair, value in enumerate(column):
            if value is None:
                continue
            found = {attrs.ARM: arm, attrs.PAIR: pair, **own(arm, pair)}
            state, diverged = TrialState.COMPLETE, value == math.inf
            if diverged:
                state = TrialState.FAIL
                found[attrs.FAILURE] = f"{attrs.DIVERGED}: validation MSE is NaN in epoch 3"
            value = None if diverged else value
            trials.append(trial(len(trials), state=state, value=value, attrs=found))
    fields: dict[str, Any] = {"name": "test", "question": "Which?", "follows": "search"}
    fields |= {"sides": {"group": ("tvx",) * len(next(iter(values.values())))}} | changes
    parted = tuple(replace(arm, split="group") for arm in arms)
    stored = json.loads(json.dumps(Experiment(arms=parted, **fields).to_dict()))
    made = study(*trials, *more, name=f"search-{fields['name']}", settings=settings)
    return replace(made, user_attrs={**made.user_attrs, attrs.EXPERIMENT: stored})


def with_choice(n_others: int, n_trials: int = 40) -> StudyRecord:
    """Return trials of which some have no batch normalisation; the batch sizes are even."""
    values = np.random.default_rng(0).permutation(np.linspace(0.1, 0.5, n_trials)).tolist()
    trials = []
    for i, value in enumerate(values):
        params: dict[str, Scalar] = {"auto_encoder": "CNN", "batch_size": [16, 32][i % 2]}
        params["batch_normalization"] = i >= n_others
        trials.append(trial(i, value=value, params=params))
    return study(*trials)


def _end(number: int, rng: np.random.Generator, *, prunes: bool = True) -> tuple[TrialState, int]:
    """Return how a trial ends, and after how many epochs."""
    if number % 20 == 19:
        return TrialState.FAIL, 3
    if number % 8 == 7 and prunes:
        return TrialState.PRUNED, int(rng.integers(5, 11))
    return TrialState.COMPLETE, 20


def _ended(number: int, end: tuple[TrialState, int], value: float, **more: Any) -> TrialRecord:
    """Return a trial of a minute that was to train for 20 epochs."""
    state, epochs = end
    run = {"epochs_run": epochs, "training_seconds": 2.5 * epochs, "best_epoch": epochs}
    own = {"seed": 1000 + number, "device": "cpu", "threads": 1, **run, **more.pop("attrs")}
    return trial(
        number,
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        curve=tuple(map(float, more.pop("curve")))[:epochs],
        attrs=own | ({"failure": MARKUP} if state == TrialState.FAIL else {}),
        completed=more["started"] + timedelta(minutes=1),
        **more,
    )


def planted(n_trials: int = 120, *, seed: int = 0) -> StudyRecord:
    """Return a study in which learning rate and family matter and weight decay does not.

    Every eighth trial is pruned after 5 to 10 of 20 epochs and every twentieth fails with
    markup in its message. Linear models are worse by 0.05; ``log10(learning_rate)`` is best at
    -2; two workers run for a minute per trial.
    """
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(n_trials):
        params: dict[str, Scalar] = {
            "auto_encoder": str(rng.choice(["CNN", "linear"])),
            "epoch": 20,
            "batch_size": int(rng.choice([16, 32, 64])),
            "learning_rate": float(10 ** rng.uniform(-4, -1)),
            "weight_decay": float(10 ** rng.uniform(-5, -2)),
        }
        if params["auto_encoder"] == "CNN":
            params["batch_normalization"] = bool(rng.integers(2))
        else:
            params["bottleneck_dim"] = int(rng.choice([16, 32, 64]))
        distance = np.log10(params["learning_rate"]) + 2
        value = 0.015 + 0.02 * distance**2 + 0.05 * (params["auto_encoder"] == "linear")
        value = float(value + rng.uniform(0, 0.002))
        end = _end(number, rng)
        decay = np.exp(-np.arange(20) / 4)
        curve = value + 0.2 * (decay - decay[-1]) + rng.uniform(0, 0.001, size=20) * decay
        curve[-1] = value
        own = {"code_version": "0.1.0", "data_fingerprint": "0123456789abcdef"}
        own |= {"parameter_count": 200_000 if params["auto_encoder"] == "CNN" else 25_000_000}
        own |= {"worker": f"host:{number % 2}"}
        more = {"attrs": own, "params": params, "curve": curve}
        more["started"] = START + timedelta(minutes=number // 2)
        trials.append(_ended(number, end, value, **more))
    return study(*trials, name="planted", settings=SETTINGS)


def classified(correct: Sequence[int], *, min_accuracy: float = 0.0) -> dict[str, Any]:
    """Return the attributes of a trial that gets so many images of each class right.

    It takes what it does not know for the next class.
    """
    counts = list(CLASS_COUNTS["validation"].values())
    accuracy = sum(correct) / sum(counts)
    recalls = [right / n for right, n in zip(correct, counts, strict=True)]
    confusion = np.diag(correct)
    for i, n in enumerate(counts):
        confusion[i, (i + 1) % len(correct)] = n - correct[i]
    return {
        "validation_accuracy": accuracy,
        "validation_balanced_accuracy": sum(recalls) / len(recalls),
        "validation_cross_entropy": 2.0 - accuracy,
        "confusion": confusion.tolist(),
        **({"infeasible": True} if accuracy < min_accuracy else {}),
    }


def multitask(
    *trials: TrialRecord,
    name: str = "multitask",
    settings: Mapping[str, Any] = MULTITASK_SETTINGS,
    class_counts: Mapping[str, Mapping[str, int]] | None = CLASS_COUNTS,
) -> StudyRecord:
    """Return a study of these trials, which classify."""
    made = study(*trials, name=name, settings=settings)
    more = {} if class_counts is None else {"class_counts": class_counts}
    directions = ("minimize", "maximize") if settings["pareto"] else ("minimize",)
    return replace(made, directions=directions, user_attrs={**made.user_attrs, **more})


def planted_multitask(
    n_trials: int = 120, *, seed: int = 0, pareto: bool = False, min_accuracy: float | None = 0.7
) -> StudyRecord:
    """Return a study in which error depends on the learning rate, accuracy on the loss weight.

    The larger ``classification_lambda``, the higher both the accuracy and, slightly, the error;
    sequential trials lack it and classify poorly. Every eighth trial is pruned before it
    classifies (not where there are two objectives, which also report no curves), and every
    twentieth fails. Trials below ``min_accuracy`` break the constraint.
    """
    rng = np.random.default_rng(seed)
    counts = np.asarray(list(CLASS_COUNTS["validation"].values()))
    trials = []
    for number in range(n_trials):
        params: dict[str, Scalar] = {
            "auto_encoder": str(rng.choice(["CNN", "linear"])),
            "epoch": 20,
            "learning_rate": float(10 ** rng.uniform(-4, -1)),
            "weight_decay": float(10 ** rng.uniform(-5, -2)),
            "strategy": str(rng.choice(["joint", "sequential", "branched"])),
            "classification_layer_num": int(rng.integers(1, 4)),
            "class_weights": bool(rng.integers(2)),
        }
        if params["strategy"] == "sequential":
            weight = 0.0
        else:
            params["classification_lambda"] = float(10 ** rng.uniform(-3, 1))
            weight = (np.log10(params["classification_lambda"]) + 3) / 4
        if params["classification_layer_num"] != 1:
            params["dropout"] = float(rng.uniform(0, 0.7))
        distance = np.log10(params["learning_rate"]) + 2
        value = 0.015 + 0.02 * distance**2 + 0.02 * (params["auto_encoder"] == "linear")
        value = float(value + 0.01 * weight + rng.uniform(0, 0.002))
        shares = np.clip(0.45 + 0.45 * weight + rng.uniform(-0.15, 0.15, size=4), 0, 1)
        end = _end(number, rng, prunes=not pareto)
        curve = value + 0.2 * (np.exp(-np.arange(20) / 4) - np.exp(-19 / 4))
        own: dict[str, Any] = {"worker": "host:1", "parameter_count": 300_000}
        if end[0] == TrialState.COMPLETE:
            right = [int(n) for n in np.round(shares * counts)]
            own |= classified(right, min_accuracy=min_accuracy or 0.0)
        more = {"attrs": own, "params": params, "curve": () if pareto else curve}
        more["started"] = START + timedelta(minutes=number)
        trials.append(_ended(number, end, value, **more))
    settings = {**MULTITASK_SETTINGS, "min_accuracy": min_accuracy, "pareto": pareto}
    return multitask(*trials, settings=settings)
