"""Samplers and pruners by name, and what the pruners do to known curves."""

from collections.abc import Callable
from typing import get_args

import optuna
import pytest
from optuna.pruners import HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import PartialFixedSampler
from optuna.trial import TrialState

from study.choices import Pruner
from study.experiment import PAIRED
from study.sampling.names import (
    ADAPTIVE_SAMPLERS,
    SAMPLERS,
    StalledPruner,
    default_pruner,
    make_pruner,
    make_sampler,
)
from study.sampling.untried import UntriedSampler

MAX_EPOCHS = 40

Curve = Callable[[int], float]


def test_names() -> None:
    """Every name builds its sampler or pruner, without a warning, for trainings of any length."""
    for name in (*SAMPLERS, PAIRED):
        built = type(make_sampler(name, seed=0, params={}))
        assert built is (UntriedSampler if name in ADAPTIVE_SAMPLERS else PartialFixedSampler)
    pruners = (StalledPruner, SuccessiveHalvingPruner, HyperbandPruner, NopPruner)
    for max_epochs in (1, 200, None):
        built = [make_pruner(name, max_steps=max_epochs) for name in get_args(Pruner)]
        assert [type(pruner) for pruner in built] == [*pruners]


def test_pruners_of_a_length() -> None:
    """Rungs, warm-up and patience are parts of the longest training, where that is known."""
    thirds = {"_reduction_factor": 3}
    expected = {
        ("median", 200): {"_patience": 10},
        ("median", None): {"_patience": 1},
        ("halving", 200): {"_min_resource": 7, **thirds},
        ("halving", None): {"_min_resource": 1, **thirds},
        ("hyperband", 200): {"_min_resource": 7, "_max_resource": 200, **thirds},
        ("hyperband", None): {"_min_resource": 1, "_max_resource": "auto", **thirds},
    }
    for (name, n), values in expected.items():
        assert vars(make_pruner(name, max_steps=n)).items() >= values.items(), (name, n)
    median = vars(make_pruner("median", max_steps=200))["_wrapped"]
    own = {"_n_startup_trials": 5, "_n_warmup_steps": 20, "_n_min_trials": 3}
    assert vars(median).items() >= own.items()


@pytest.mark.parametrize("name", [*SAMPLERS, PAIRED])
def test_first_point(name: str) -> None:
    """What a design decides, or a trial was enqueued with, holds; the seed decides the rest."""

    def first(seed: int) -> float:
        given = {"x": 0.25, "kind": "b"}
        adaptive = name in ADAPTIVE_SAMPLERS
        sampler = make_sampler(name, seed=seed, params={} if adaptive else given)
        study = optuna.create_study(sampler=sampler)
        if adaptive:
            study.enqueue_trial(given)
        trial = study.ask()
        assert trial.suggest_float("x", 0, 1) == 0.25
        assert trial.suggest_categorical("kind", ["a", "b"]) == "b"
        return trial.suggest_float("y", 0, 1)

    assert first(1) == first(1) != first(2)


def test_default_pruner() -> None:
    """A grid is completed; long trainings of the notebook's space are halved, others less so."""
    for space, sampler, n_trials, max_epochs, pruner in (
        ("notebook", "grid", 1000, 200, "none"),
        ("notebook", "tpe", 1, 100, "halving"),
        ("notebook", "tpe", 40, 99, "median"),
        ("extended", "tpe", 99, 200, "median"),
        ("extended", "qmc", 100, 200, "hyperband"),
        ("notebook", "tpe", 100, None, "median"),
    ):
        found = default_pruner(space, sampler, n_trials=n_trials, max_steps=max_epochs)
        assert found == pruner, (space, sampler, n_trials, max_epochs)


def falling(level: float) -> Curve:
    """Return a curve that falls from 1 above ``level`` to ``level``, ever more slowly."""
    return lambda step: level + 0.9**step


def run(study: optuna.Study, curve: Curve) -> int:
    """Report a curve as the objective does, and return the number of epochs until the end."""
    trial = study.ask()
    for step in range(MAX_EPOCHS):
        trial.report(curve(step), step=step)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step + 1
    study.tell(trial, curve(MAX_EPOCHS - 1))
    return MAX_EPOCHS


@pytest.mark.parametrize(
    ("n_before", "curve", "earliest", "latest"),
    [
        # The best epoch is behind it, or all are the same, as those of a dead model.
        (8, lambda step: 0.9 + step / 1e4, MAX_EPOCHS // 10 + 1, MAX_EPOCHS // 2 - 1),
        (8, lambda _: 0.9, 1, MAX_EPOCHS // 2 - 1),
        # The best, one that improves in every epoch, and one that has no company yet.
        (8, falling(0.05), MAX_EPOCHS, MAX_EPOCHS),
        (8, lambda step: 2 - step / 100, MAX_EPOCHS, MAX_EPOCHS),
        (4, lambda _: 0.9, MAX_EPOCHS, MAX_EPOCHS),
    ],
)
def test_median(n_before: int, curve: Curve, earliest: int, latest: int) -> None:
    """A training above the median that has stopped improving is stopped midway, no other."""
    study = optuna.create_study(pruner=make_pruner("median", max_steps=MAX_EPOCHS))
    for i in range(n_before):
        assert run(study, falling(0.1 + i / 1000)) == MAX_EPOCHS
    assert earliest <= run(study, curve) <= latest
