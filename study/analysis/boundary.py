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

from search_spaces import is_number
from storage.records import TrialRecord
from study.analysis.held_fixed import (
    fit_columns,
    normal_scores,
    numbers_in,
    places_of,
    unexplained,
)

N_BEST = 5
NEAR_END = 0.25
"""Share of a range from its end within which at least half of the best trials must lie."""
NEAR_HALF = 0.5
"""Share of a range from its end within which values must get better towards it."""
MIN_IN_HALF = 8
"""Trials there, below which nothing can be told."""
MIN_FREE = 3  # degrees of freedom
MAX_FITTED = 1 / 3
"""Coefficients of a fit, by its trials; that of the parameter which explains most comes first."""
NEAR_BEST = 1 / 3
"""Share of the median distance from the best value, below which distances count as much alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndInfo:
    """One end of a parameter's range, near which the best trials lie.

    Args:
        p: Chance of so steep a trend towards the end if there were none; None where too few
            trials lie in that half of the range.
        p_turn: Chance of values that get so much worse at the end itself, if they did not; None
            where too few trials lie in that half, or at fewer than four places.
    """

    name: str
    value: float
    end: float
    upper: bool
    p: float | None
    p_turn: float | None


def get_ends(
    trials: Sequence[TrialRecord], values: Sequence[float]
) -> tuple[tuple[EndInfo, ...], int]:
    """Test whether trials get better up to an end of a range.

    Of the trials in the half of the range at that end, normal scores of the ranks are regressed
    on the distance to the end, together with as many others, those that explain most first, as
    so many trials can tell apart: a sampler that learns moves all parameters at once, so that one
    without effect seems to have some. A line
    cannot tell that values turn before the end. So the same trials are fitted by a cubic as well,
    of the logarithms of how far values are from the best: bad trials would bend it otherwise.

    Args:
        trials: Complete ones, best first.
        values: Theirs, finite.

    Returns:
        The ends near which most of the best trials lie; and how many ends could have been, by
        which levels are to be divided.

    Source: normal scores: van der Waerden, "Order tests for the two-sample problem", 1952.
    """
    if len(trials) < N_BEST or values[0] == values[-1]:
        return (), 0
    best = trials[0]
    scores, depths = normal_scores(len(trials)), _depths(np.asarray(values))
    columns, one = fit_columns(trials), np.ones((len(trials), 1))
    by_effect = sorted(
        columns, key=lambda name: unexplained(np.hstack([one, columns[name]]), scores)
    )
    ends, n_ends = [], 0
    for name, value in best.params.items():
        rows = [i for i, trial in enumerate(trials) if name in trial.distributions]
        if len(rows) < N_BEST or not is_number(value):
            continue
        places = places_of([trials[i] for i in rows], name)
        if places is None:
            continue
        others = [columns[other][rows] for other in by_effect if other != name]
        low_high = _ends(best.distributions[name])
        for upper, end in zip((False, True), low_high, strict=True):
            n_ends += 1
            distance = 1 - places if upper else places
            if np.median(distance[:N_BEST]) <= NEAR_END:
                p, p_turn = _tests(distance, normal_scores(len(rows)), depths[rows], others)
                ends.append(
                    EndInfo(name=name, value=value, end=end, upper=upper, p=p, p_turn=p_turn)
                )
    return tuple(ends), n_ends


def _depths(values: np.ndarray) -> np.ndarray:
    """Return the logarithms of how far each value is from the first, the best one."""
    values = values / np.abs(values).max()  # so that no sum overflows
    gaps = np.abs(values - values[0])
    alike = max(NEAR_BEST * float(np.median(gaps[gaps > 0])), np.finfo(float).tiny)
    return np.asarray(np.log(gaps + alike))


def _tests(
    distance: np.ndarray, scores: np.ndarray, depths: np.ndarray, others: Sequence[np.ndarray]
) -> tuple[float | None, float | None]:
    """Return the p-values of an end, see ``EndInfo``."""
    half = distance <= NEAR_HALF
    away = distance[half]
    line = np.column_stack([away, np.ones(len(away))])
    for i, other in enumerate(others):
        wider = np.column_stack([line, other[half]])
        if i and wider.shape[1] > MAX_FITTED * len(away):
            break
        line = wider
    cubic = np.column_stack([line, away**2, away**3])
    return _rises(line, scores[half]), _rises(cubic, -depths[half])


def _rises(x: np.ndarray, y: np.ndarray) -> float | None:
    """Return the p-value, one-sided, of the first column's coefficient being above 0.

    None where rows are too few, or other columns say the same.
    """
    inverse, free = np.linalg.pinv(x), len(x) - np.linalg.matrix_rank(x)
    known = np.allclose(inverse[0] @ x, np.eye(x.shape[1])[0])
    if len(x) < MIN_IN_HALF or free < MIN_FREE or not known:
        return None
    left = y - x @ (inverse @ y)
    error = np.sqrt(left @ left / free * (inverse[0] @ inverse[0]))
    return float(stats.t.sf(inverse[0] @ y / error, free)) if error > 0 else None


def _ends(distribution: BaseDistribution) -> tuple[float, float]:
    """Return the lowest and the highest value of a range of numbers."""
    if isinstance(distribution, CategoricalDistribution):
        numbers = numbers_in(distribution.choices)
        return numbers[0], numbers[-1]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low, distribution.high
