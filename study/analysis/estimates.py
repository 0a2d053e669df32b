"""Means over seeds and splits of data, by ratios or plainly, and how sure they are."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from study.metrics import Metric

MIN_SPLITS = 3
"""Independent numbers below which nothing is said of their scatter."""

Scale = Literal["ratio", "share", "points", "plain"]
"""How differences are taken: as ratios minus 1, by logarithms; plainly, and told as shares of the
size of the first ones' mean; plainly, of what are shares, and told in points; or plainly.
"""

_EVEN = 1e-5  # scatter, as a share of the mean, that equal numbers have by single precision


class Interval(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float

    def written(self, write: Callable[[float], str]) -> str:
        """Write both ends, each as the number itself is written."""
        return f"{write(self.low)} to {write(self.high)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The mean of ``n`` values with its 95 % t interval; no interval with too few of them."""

    mean: float
    interval: Interval | None
    n: int


def estimate(
    values: Sequence[float],
    metric: Metric | None = None,
    *,
    scale: Scale = "plain",
    sides: Sequence[str] = (),
    overlapping: bool = True,
) -> Estimate | None:
    """Return the mean of values with its 95 % t interval, None without a value.

    Values that are compared by ratios have a geometric mean, whose ratio to another one is the
    mean ratio; its interval is that of the mean logarithm. The interval of values of which none
    is negative is cut at 0, that of a metric that is to be high at the highest value that there
    can be.

    Args:
        sides: The split that each was trained with, see ``by_split``; empty for independent ones.
        overlapping: Whether they were judged on those splits' validation data, see
            ``corrected``; test data are the same in all splits.
    """
    if not values:
        return None
    units, overlap = by_split(_on(scale, values), sides)
    mean, found = fmean(units), mean_interval(units, overlap if overlapping else 0.0)
    if scale == "ratio":
        mean, found = math.exp(mean), found and Interval(*map(math.exp, found))
    if found is not None and min(values) >= 0:
        found = found._replace(low=max(0.0, found.low))
    if found is not None and metric is not None and metric.maximise and metric.high is not None:
        found = found._replace(high=min(metric.high, found.high))
    return Estimate(mean=mean, interval=found, n=len(values))


def estimate_on(
    scale: Scale,
    values: Mapping[int, float],
    metric: Metric,
    sides: Sequence[str],
    *,
    overlapping: bool = True,
) -> Estimate | None:
    """Return ``estimate`` of values by the number of their pair, of which ``sides`` has all."""
    found, own = list(values.values()), [sides[pair] for pair in values]
    return estimate(found, metric, scale=scale, sides=own, overlapping=overlapping)


def mean_on(scale: Scale, values: Sequence[float], sides: Sequence[str]) -> float:
    """Return the mean of at least one value, see ``estimate``."""
    mean = fmean(by_split(_on(scale, values), sides)[0])
    return math.exp(mean) if scale == "ratio" else mean


def _on(scale: Scale, values: Sequence[float]) -> Sequence[float]:
    return list(map(math.log, values)) if scale == "ratio" else values


def by_split(values: Sequence[float], sides: Sequence[str] = ()) -> tuple[list[float], float]:
    """Return one number for each split, and which part of their validation data two splits share.

    Trainings with one split are judged on the same data, so they are no independent numbers:
    their mean is one. If there is but one split, each training counts for itself, and whatever
    is said holds for that split alone.
    """
    places = [_judged_on(text) for text in sides] if sides else range(len(values))
    found: dict[Hashable, list[float]] = {}
    for place, value in zip(places, values, strict=True):
        found.setdefault(place, []).append(value)
    if len(found) < 2:
        return list(values), 0.0
    rows = [set(place) for place in found if isinstance(place, tuple)]
    shares = [2 * len(a & b) / (len(a) + len(b)) for a, b in combinations(rows, 2)]
    return list(map(fmean, found.values())), fmean(shares) if shares else 0.0


def count_splits(sides: Sequence[str]) -> tuple[int, float]:
    """Return how many independent numbers trainings with these splits give, as ``by_split``."""
    units, overlap = by_split([0.0] * len(sides), sides)
    return len(units), overlap


def _judged_on(sides: str) -> Hashable:
    """Return the rows that are for validation, or the text itself if it names none."""
    return tuple(row for row, side in enumerate(sides) if side == "v") or sides


def corrected(values: Sequence[float], overlap: float) -> np.ndarray:
    """Spread numbers about their mean, so that tests for independent ones may be asked of them.

    Applies to what was judged on several validation sets of the same data, of which two share
    the part ``overlap``. Their mean scatters as those of other data would by 1 / n + r / (1 - r)
    times the variance between them, r being that part, and not by 1 / n: more splits of the same
    data say little more. For sets drawn at random r / (1 - r) is the number of validation rows
    by that of training rows, as in the source. It is exact if all that makes splits differ are
    the rows that judge; seeds, which they do not share, make it err on the safe side.

    Source: Nadeau, Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    """
    found = np.asarray(values, dtype=float)
    wider = math.sqrt(variance_factor(len(found), overlap))
    spread: np.ndarray = found.mean() * (1 - wider) + found * wider
    return spread


def variance_factor(n: float, overlap: float) -> float:
    """Return how many times the variance of independent ones the mean of ``n`` numbers has."""
    return 1 + n * overlap / (1 - overlap)


def is_even(values: Sequence[float] | np.ndarray) -> bool:
    """Whether numbers do not scatter, but for rounding."""
    return bool(np.ptp(values) <= _EVEN * abs(np.mean(values)))


def half_interval(parts: Sequence[tuple[float, float]]) -> float:
    """Return half of the 95 % t interval of a mean that scatters for several reasons.

    Args:
        parts: The variance for each reason, and its degrees of freedom.

    Source: Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
        Biometrics Bulletin 2, 1946.
    """
    variance = sum(part for part, _ in parts)
    if not variance:
        return 0.0
    freedom = 1 / sum((part / variance) ** 2 / free for part, free in parts)  # never overflows
    return float(stats.t.ppf(0.975, freedom)) * math.sqrt(variance)


def mean_variance(values: np.ndarray) -> tuple[float, float]:
    """Return the variance of the mean of independent numbers, and its degrees of freedom."""
    return float(np.var(values, ddof=1)) / len(values), len(values) - 1


def mean_interval(values: Sequence[float], overlap: float = 0.0) -> Interval | None:
    """Return the 95 % t interval of a mean, None with too few values."""
    if len(values) < MIN_SPLITS:
        return None
    if is_even(values):  # scipy warns of a loss of precision
        return Interval(fmean(values), fmean(values))
    found = stats.ttest_1samp(corrected(values, overlap), 0.0).confidence_interval(0.95)
    return Interval(float(found.low), float(found.high))
