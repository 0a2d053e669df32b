"""Settings as columns of a least-squares fit: each is judged with the others held fixed."""

from collections.abc import Mapping, Sequence

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

MAX_CHOICES = 6


def fit_columns(trials: Sequence[TrialRecord]) -> dict[str, np.ndarray]:
    """Return the columns of each setting that all trials have and that a fit can hold."""
    return {
        name: found
        for name in trials[0].params
        if all(name in t.distributions for t in trials)
        and (found := _columns(trials, name)) is not None
    }


def partial_p_values(trials: Sequence[TrialRecord]) -> Mapping[str, float]:
    """Ask of each setting whether it tells the order of trials, all others held fixed.

    A sampler that learns moves all settings at once, so that one without effect seems to have
    some; with the others in the fit it does not. Normal scores of the ranks are fitted by the
    place of a number in its range and the square of that, and by a column per choice.

    Args:
        trials: Complete ones, best first.

    Returns:
        P-values of F tests; of settings that only some trials have there is none, nor any where
        trials are fewer than twice the coefficients.

    Source: normal scores: van der Waerden, "Order tests for the two-sample problem", 1952.
    """
    columns = fit_columns(trials) if trials else {}
    y, one = normal_scores(len(trials)), np.ones((len(trials), 1))
    whole = np.hstack([one, *columns.values()])
    if 2 * whole.shape[1] > len(trials):
        return {}
    rank, left = np.linalg.matrix_rank(whole), unexplained(whole, y)
    free = len(trials) - rank
    found = {}
    for name in columns:
        rest = np.hstack([one, *(own for other, own in columns.items() if other != name)])
        n = rank - np.linalg.matrix_rank(rest)
        if n > 0 and left > 0:
            ratio = (unexplained(rest, y) - left) / n / (left / free)
            found[name] = float(stats.f.sf(ratio, n, free))
    return found


def normal_scores(n: int) -> np.ndarray:
    """Return the quantiles of a normal distribution that stand for ranks from the best on."""
    return np.asarray(stats.norm.ppf((np.arange(n) + 0.5) / n))


def unexplained(x: np.ndarray, y: np.ndarray) -> float:
    """Return what a least-squares fit by the columns of ``x`` leaves of ``y``, squared."""
    found, *_ = np.linalg.lstsq(x, y)
    return float(((y - x @ found) ** 2).sum())


def _columns(trials: Sequence[TrialRecord], name: str) -> np.ndarray | None:
    """Return what a fit has of a parameter: place and its square, or a column per choice."""
    places = places_of(trials, name)
    if places is not None:
        return np.column_stack([places, places**2])
    values = [repr(trial.params[name]) for trial in trials]
    choices = sorted(set(values))[1:]
    if not 0 < len(choices) < MAX_CHOICES:
        return None
    return np.array([[value == choice for choice in choices] for value in values], dtype=float)


def places_of(trials: Sequence[TrialRecord], name: str) -> np.ndarray | None:
    """Return where in its range each value lies, from 0 to 1; None for what has no order."""
    found = [_place(trial.params[name], trial.distributions[name]) for trial in trials]
    places = np.array([np.nan if place is None else place for place in found])
    return None if np.isnan(places).any() or np.ptp(places) == 0 else places


def _place(value: Scalar, distribution: BaseDistribution) -> float | None:
    match distribution:
        case CategoricalDistribution(choices=choices):
            numbers = numbers_in(choices)
            if len(numbers) < max(3, len(choices)) or value not in numbers:
                return None
            return numbers.index(float(value)) / (len(numbers) - 1)
        case FloatDistribution() | IntDistribution() if is_number(value):
            return None if distribution.single() else Parameter("", distribution).quantile(value)
        case _:
            return None


def numbers_in(choices: Sequence[object]) -> list[float]:
    """Return the numbers among choices, in ascending order."""
    return sorted(choice for choice in choices if is_number(choice))
