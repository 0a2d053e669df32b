"""Means of what is compared by ratios, and of what is not."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from study.analysis.estimates import Estimate, Interval, by_split, estimate, mean_interval
from study.analysis.paired import Scale
from study.metrics import Metric


def mean_on(scale: Scale, values: Sequence[float], sides: Sequence[str] = ()) -> float:
    """Return the mean of at least one value as differences of them are taken.

    Args:
        sides: The split of each, see ``estimates.by_split``; empty for independent ones.
    """
    if scale != "ratio":
        return fmean(by_split(values, sides)[0])
    return math.exp(fmean(by_split(list(map(math.log, values)), sides)[0]))


def estimate_on(
    scale: Scale,
    values: Mapping[int, float],
    metric: Metric,
    sides: Sequence[str],
    *,
    overlapping: bool = True,
) -> Estimate | None:
    """Return the mean of values, by the number of their pair, as differences of them are taken.

    Values that are compared by ratios have a geometric mean, whose ratio to another one is the
    mean ratio; its interval is that of the mean logarithm. All others have the plain mean of
    ``estimate``.

    Args:
        sides: The split of each pair, also of those without a value.
        overlapping: Whether they were judged on those splits' validation data.
    """
    own = [sides[pair] for pair in values]
    if scale != "ratio" or not values:
        return estimate(list(values.values()), metric, sides=own, overlapping=overlapping)
    units, overlap = by_split(list(map(math.log, values.values())), own)
    found = mean_interval(units, overlap if overlapping else 0.0)
    interval = None if found is None else Interval(*map(math.exp, found))
    return Estimate(mean=math.exp(fmean(units)), interval=interval, n=len(values))
