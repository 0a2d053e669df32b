"""Samplers and pruners by name."""

import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import get_args

import optuna
from optuna import pruners, samplers
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search_spaces import Scalar, SearchSpace
from search_spaces.designs import DESIGNS
from storage.errors import to_install
from storage.internals import live_trial, own_copy
from storage.writing import TriedError, suggesting
from study.choices import Pruner, Sampler
from study.errors import StudyError
from study.sampling.untried import UntriedSampler, untried_points

SAMPLERS = get_args(Sampler)
ADAPTIVE_SAMPLERS = tuple(name for name in SAMPLERS if name not in DESIGNS)
"""Samplers whose choices follow earlier results, so that their trials are no random sample."""
HALVING_MIN_EPOCHS = 100
"""The notebook's shorter trainings; the first rung of shorter ones would be an epoch or two."""
HYPERBAND_MIN_TRIALS = 100
"""Smaller studies cannot fill Hyperband's brackets."""


def default_pruner(space: str, sampler: str, *, n_trials: int, max_steps: int | None) -> Pruner:
    """Return the pruner's name for a new study.

    A grid is there to be complete, so nothing of it is pruned. In the notebook's space, with
    trainings as long as the notebook's, TPE has the lowest median of epochs with successive
    halving (replays, ``docs/results.md``). Elsewhere the first epochs tell less, since there are
    schedules or few epochs in all: Hyperband, where there are enough trials for its brackets,
    else the median. The longest training has ``max_steps``; None if that is not known.
    """
    if sampler == "grid":
        return "none"
    if max_steps is None:
        return "median"
    if space == "notebook" and max_steps >= HALVING_MIN_EPOCHS:
        return "halving"
    return "hyperband" if n_trials >= HYPERBAND_MIN_TRIALS else "median"


def require_library(sampler: str) -> None:
    """Raise a StudyError if a sampler needs a library that is not installed."""
    if sampler == "gp" and find_spec("torch") is None:
        raise StudyError(f"`gp` needs torch, which is not installed: {to_install('train')}")


def make_sampler(name: str, *, seed: int, params: Mapping[str, Scalar]) -> samplers.BaseSampler:
    """Build the sampler for one trial, of the point ``params`` if a design or experiment has one.

    It is built afresh for each: what adaptive samplers know is in the storage, not in them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if name == "gp":
            return UntriedSampler(samplers.GPSampler(seed=seed), seed=seed)
        if name == "tpe":
            # Grouped: the spaces are conditional, and each branch is to be modelled jointly.
            tpe = samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
            return UntriedSampler(tpe, seed=seed)
        return samplers.PartialFixedSampler(dict(params), samplers.RandomSampler(seed=seed))


def suggest_untried(
    trial: optuna.Trial, space: SearchSpace, fixed: Mapping[str, Scalar], *, seed: int
) -> tuple[optuna.Trial, dict[str, Scalar]]:
    """Let the sampler choose a point, and store it, which no other trial has while there are such.

    Samplers alone do not see to that: they draw their first trials independently, and two workers
    that choose at one moment do not know of each other. So the transaction that stores a point
    looks whether another trial has it, and if so, the next untried one is taken. Returns the
    trial, from here on, and its active parameters.
    """
    study = trial.study
    chosen: dict[str, Scalar] = {}
    with suppress(TriedError), suggesting(trial, untried=True):
        chosen = space.suggest(trial, fixed)
        return trial, chosen

    def told(point: Mapping[str, Scalar], *, untried: bool) -> optuna.Trial:
        """Store a given point; return the trial anew, which knows of no other."""
        own, study.sampler = study.sampler, make_sampler("random", seed=0, params=point)
        try:
            again = live_trial(study, trial)
            with suggesting(again, untried=untried):
                space.suggest(again, fixed)
        finally:
            study.sampler = own
        return again

    for point in untried_points(study, own_copy(trial), space, fixed, seed=seed):
        with suppress(TriedError):
            return told(point, untried=True), point
    return told(chosen, untried=False), chosen


def make_pruner(name: str, *, max_steps: int | None) -> pruners.BasePruner:
    """Build a ``Pruner``; trainings have ``max_steps`` at most, None if nobody knows."""
    n = max_steps or 1
    first_rung = max(1, n // 27)
    match name:
        case "median":
            median = pruners.MedianPruner(
                n_startup_trials=5, n_warmup_steps=n // 10, n_min_trials=3
            )
            return StalledPruner(median, patience=max(1, n // 20))
        case "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=first_rung, reduction_factor=3)
        case "hyperband":
            longest = "auto" if max_steps is None else n
            return pruners.HyperbandPruner(
                min_resource=first_rung, max_resource=longest, reduction_factor=3
            )
        case _:
            return pruners.NopPruner()


class StalledPruner(pruners.BasePruner):
    """Prunes a trial that another pruner would prune, once it has stopped improving.

    A trial that still improves steadily is left alone. Optuna's ``PatientPruner`` does the
    same, except that it never prunes a trial whose values stand still, as those of a collapsed
    training do. ``patience`` are the steps without a new best value, at least 1.
    """

    def __init__(self, wrapped: pruners.BasePruner, *, patience: int) -> None:
        self._wrapped = wrapped
        self._patience = patience

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Say whether to prune."""
        if len(trial.intermediate_values) <= self._patience:
            return False
        sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
        values = [sign * value for _, value in sorted(trial.intermediate_values.items())]
        before, recent = values[: -self._patience], values[-self._patience :]
        if min(recent) < min(before):
            return False
        return self._wrapped.prune(study, trial)
