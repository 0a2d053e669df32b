"""Samplers and pruners by name."""

import warnings
from collections.abc import Mapping
from contextlib import suppress

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler

from search_spaces import Scalar, SearchSpace
from search_spaces.designs import DESIGNS
from storage.internals import live_trial, own_copy
from storage.writing import TriedError, suggesting
from study.errors import StudyError
from study.sampling.stalled import StalledPruner
from study.sampling.untried import UntriedSampler, untried_points

ADAPTIVE_SAMPLERS = ("tpe", "gp")
"""Samplers whose choices follow earlier results, so that their trials are no random sample."""

SAMPLERS = (*DESIGNS, *ADAPTIVE_SAMPLERS)
PRUNERS = ("median", "halving", "hyperband", "none")

HALVING_MIN_EPOCHS = 100
"""The notebook's shorter trainings; the first rung of shorter ones would be an epoch or two."""

HYPERBAND_MIN_TRIALS = 100
"""Smaller studies cannot fill Hyperband's brackets."""


def default_pruner(space: str, sampler: str, *, n_trials: int, max_steps: int | None) -> str:
    """Return the pruner's name for a new study.

    A grid is there to be complete, so nothing of it is pruned. In the notebook's space, with
    trainings as long as the notebook's, TPE has the lowest median of epochs with successive
    halving (replays, ``docs/results.md``). Elsewhere the first epochs tell less, since there are
    schedules or few epochs in all: Hyperband, where there are enough trials for its brackets,
    else the median.

    Args:
        space: Name of the search space.
        sampler: One of ``SAMPLERS``.
        n_trials: That the study begins with.
        max_steps: Of the longest training of the study; None if that is not known.
    """
    if sampler == "grid":
        return "none"
    if max_steps is None:
        return "median"
    if space == "notebook" and max_steps >= HALVING_MIN_EPOCHS:
        return "halving"
    return "hyperband" if n_trials >= HYPERBAND_MIN_TRIALS else "median"


def check_names(sampler: str, pruner: str) -> None:
    """Raise a StudyError if a name is unknown."""
    if sampler not in SAMPLERS:
        raise StudyError(f"`sampler` must be one of {', '.join(SAMPLERS)}, but got {sampler!r}.")
    if pruner not in PRUNERS:
        raise StudyError(f"`pruner` must be one of {', '.join(PRUNERS)}, but got {pruner!r}.")


def make_sampler(name: str, *, seed: int, params: Mapping[str, Scalar]) -> BaseSampler:
    """Build the sampler for one trial.

    It is built afresh for each: what adaptive samplers know is in the storage, not in them.

    Args:
        name: One of ``SAMPLERS``, or that of an experiment.
        seed: As ``seeds.sampler_seed`` gives it.
        params: The trial's point, if a design decides it; then nothing is left to choose.
    """
    if name not in ADAPTIVE_SAMPLERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return optuna.samplers.PartialFixedSampler(
                dict(params), optuna.samplers.RandomSampler(seed=seed)
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # Grouped: the spaces are conditional, and each branch is to be modelled jointly.
        adaptive = (
            optuna.samplers.GPSampler(seed=seed)
            if name == "gp"
            else optuna.samplers.TPESampler(
                multivariate=True, group=True, constant_liar=True, seed=seed
            )
        )
    return UntriedSampler(adaptive, seed=seed)


def suggest_untried(
    trial: optuna.Trial, space: SearchSpace, fixed: Mapping[str, Scalar], *, seed: int
) -> tuple[optuna.Trial, dict[str, Scalar]]:
    """Let the sampler choose a point, and store it, which no other trial has while there are such.

    Samplers alone do not see to that: they draw their first trials independently, and two workers
    that choose at one moment do not know of each other. So the transaction that stores a point
    looks whether another trial has it, and if so, the next untried one is taken.

    Args:
        trial: A live trial, whose study has its sampler.
        space: Where the points lie.
        fixed: Parameters with one value.
        seed: Of the points that are taken instead.

    Returns:
        The trial, from here on, and its active parameters.
    """
    chosen: dict[str, Scalar] = {}
    with suppress(TriedError), suggesting(trial, untried=True):
        chosen = space.suggest(trial, fixed)
        return trial, chosen
    frozen = own_copy(trial)
    for point in untried_points(trial.study, frozen, space, fixed, seed=seed):
        with suppress(TriedError):
            return _told(trial, space, fixed, point, untried=True), point
    return _told(trial, space, fixed, chosen, untried=False), chosen


def _told(
    trial: optuna.Trial,
    space: SearchSpace,
    fixed: Mapping[str, Scalar],
    point: Mapping[str, Scalar],
    *,
    untried: bool,
) -> optuna.Trial:
    """Store a given point as that of a trial; return the trial anew, which knows of no other."""
    study = trial.study
    own, study.sampler = study.sampler, make_sampler("random", seed=0, params=point)
    try:
        again = live_trial(study, trial)
        with suggesting(again, untried=untried):
            space.suggest(again, fixed)
    finally:
        study.sampler = own
    return again


def make_pruner(name: str, *, max_steps: int | None) -> BasePruner:
    """Build a pruner.

    Args:
        name: One of ``PRUNERS``.
        max_steps: Of the longest training of the study; None if that is not known.
    """
    known, max_steps = max_steps is not None, max_steps or 1
    first_rung = max(1, max_steps // 27)
    match name:
        case "median":
            median = MedianPruner(
                n_startup_trials=5, n_warmup_steps=max_steps // 10, n_min_trials=3
            )
            return StalledPruner(median, patience=max(1, max_steps // 20))
        case "halving":
            return SuccessiveHalvingPruner(min_resource=first_rung, reduction_factor=3)
        case "hyperband":
            return HyperbandPruner(
                min_resource=first_rung,
                max_resource=max_steps if known else "auto",
                reduction_factor=3,
            )
        case _:
            return NopPruner()
