"""At which ends of their ranges parameters still get better, as the trials show it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy import stats

from search_spaces import Parameter, Scalar, is_number
from storage.records import TrialRecord

N_BEST = 5
NEAR_END = 0.25
"""Share of a range from its end within which at least half of the best trials must lie."""
NEAR_HALF = 0.5
"""Share of a range from its end within which values must get better towards it."""
MIN_IN_HALF = 8
"""Trials there, below which nothing can be told."""
MIN_FREE = 3  # degrees of freedom
MAX_CHOICES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class EndInfo:
    """One end of a parameter's range, near which the best trials lie.

    Args:
        p: Chance of so steep a trend towards the end if there were none; None where too few
            trials lie in that half of the range.
    """

    name: str
    value: float
    end: float
    upper: bool
    p: float | None


def get_ends(trials: Sequence[TrialRecord]) -> tuple[tuple[EndInfo, ...], int]:
    """Test whether trials get better up to an end of a range.

    Of the trials in the half of the range at that end, normal scores of the ranks are regressed
    on the distance to the end, together with the parameter that explains most: a sampler that
    learns moves all parameters at once, so that one without effect seems to have some.

    Args:
        trials: Complete ones, best first.

    Returns:
        The ends near which most of the best trials lie; and how many ends could have been, by
        which levels are to be divided.

    Source: normal scores: van der Waerden, "Order tests for the two-sample problem", 1952.
    """
    if len(trials) < N_BEST:
        return (), 0
    best = trials[0]
    scores = _scores(len(trials))
    columns = {
        name: found
        for name in best.params
        if all(name in t.distributions for t in trials)
        and (found := _columns(trials, name)) is not None
    }
    main = min(columns, key=lambda name: _unexplained(columns[name], scores), default="")
    ends, n_ends = [], 0
    for name, value in best.params.items():
        rows = [i for i, trial in enumerate(trials) if name in trial.distributions]
        if len(rows) < N_BEST or not is_number(value):
            continue
        places = _places([trials[i] for i in rows], name)
        if places is None:
            continue
        other = None if name == main or not main else columns[main][rows]
        low_high = _ends(best.distributions[name])
        for upper, end in zip((False, True), low_high, strict=True):
            n_ends += 1
            distance = 1 - places if upper else places
            if np.median(distance[:N_BEST]) <= NEAR_END:
                p = _trend(distance, _scores(len(rows)), other)
                ends.append(EndInfo(name=name, value=value, end=end, upper=upper, p=p))
    return tuple(ends), n_ends


def _scores(n: int) -> np.ndarray:
    return np.asarray(stats.norm.ppf((np.arange(n) + 0.5) / n))


def _trend(distance: np.ndarray, scores: np.ndarray, other: np.ndarray | None) -> float | None:
    """Return the p-value, one-sided, of scores that get worse with the distance."""
    half = distance <= NEAR_HALF
    constant = np.ones((len(scores), 1))
    x = (constant if other is None else np.column_stack([constant, other]))[half]

    def rest(y: np.ndarray) -> np.ndarray:
        return np.asarray(y[half] - x @ np.linalg.lstsq(x, y[half])[0])

    if half.sum() < MIN_IN_HALF:
        return None
    away, score = rest(distance), rest(scores)
    free, spread = len(x) - np.linalg.matrix_rank(x) - 1, away @ away
    if free < MIN_FREE or np.isclose(spread, 0):
        return None
    slope = away @ score / spread
    error = np.sqrt(((score - slope * away) ** 2).sum() / free / spread)
    return float(stats.t.sf(slope / error, free)) if error > 0 else None


def _unexplained(columns: np.ndarray, scores: np.ndarray) -> float:
    """Return what a least-squares fit leaves of the scores."""
    x = np.column_stack([np.ones(len(scores)), columns])
    found, *_ = np.linalg.lstsq(x, scores)
    return float(((scores - x @ found) ** 2).sum())


def _columns(trials: Sequence[TrialRecord], name: str) -> np.ndarray | None:
    """Return what a fit has of a parameter: place and its square, or a column per choice."""
    places = _places(trials, name)
    if places is not None:
        return np.column_stack([places, places**2])
    values = [repr(trial.params[name]) for trial in trials]
    choices = sorted(set(values))[1:]
    if not 0 < len(choices) < MAX_CHOICES:
        return None
    return np.array([[value == choice for choice in choices] for value in values], dtype=float)


def _places(trials: Sequence[TrialRecord], name: str) -> np.ndarray | None:
    """Return where in its range each value lies, from 0 to 1; None for what has no order."""
    found = [_place(trial.params[name], trial.distributions[name]) for trial in trials]
    places = np.array([np.nan if place is None else place for place in found])
    return None if np.isnan(places).any() or np.ptp(places) == 0 else places


def _place(value: Scalar, distribution: BaseDistribution) -> float | None:
    match distribution:
        case CategoricalDistribution(choices=choices):
            numbers = _numbers(choices)
            if len(numbers) < max(3, len(choices)) or value not in numbers:
                return None
            return numbers.index(float(value)) / (len(numbers) - 1)
        case FloatDistribution() | IntDistribution() if is_number(value):
            return None if distribution.single() else Parameter("", distribution).quantile(value)
        case _:
            return None


def _ends(distribution: BaseDistribution) -> tuple[float, float]:
    """Return the lowest and the highest value of a range of numbers."""
    if isinstance(distribution, CategoricalDistribution):
        numbers = _numbers(distribution.choices)
        return numbers[0], numbers[-1]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low, distribution.high


def _numbers(choices: Sequence[object]) -> list[float]:
    return sorted(choice for choice in choices if is_number(choice))
