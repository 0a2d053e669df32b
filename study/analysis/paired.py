"""Whether two arms differ, pair by pair: one rule for experiments, confirmations and ablations."""

import math
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import TypeVar

import numpy as np
from scipy import optimize, special, stats

from study.analysis.estimates import (
    MIN_SPLITS,
    Interval,
    Scale,
    by_split,
    corrected,
    count_splits,
    is_even,
    mean_interval,
    mean_on,
    variance_factor,
)
from study.formats import (
    MINUS,
    counted,
    format_change,
    format_count,
    format_number,
    format_percent,
    format_points,
)
from study.metrics import Metric

SIGNIFICANT = 0.05
"""Probability with which a table of comparisons tells any difference where there is none."""

EQUAL_SHARE, EQUAL_POINTS = 0.1, 0.05
"""What is called equal: values within 10 % of each other; of shares, within 5 points as well."""

POWER = 0.8
"""Probability with which a difference is found that is said to be found."""

MANY = 1000
"""Pairs beyond which nobody will go to tell a difference."""

K = TypeVar("K", bound=Hashable)

_N_RESAMPLES = 9999  # flips of signs; all that there are up to 13 numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Values of two arms in the pairs in which both finished.

    Args:
        sides: The split of each pair, see ``judged_on``; empty if there are none.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    sides: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two arms in one metric, and how differences are taken."""

    pairs: Pairs
    metric: Metric
    scale: Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much the second arm of some pairs exceeds the first.

    Args:
        n_pairs: Pairs in which both finished.
        mean, interval: The mean with its 95 % t interval, on the scale; None if there is none.
        margin: Up to what difference, on the scale, they are called equal.
        n_above, n_below: Pairs in which the second is above, and below, the first.
        p_value: Adjusted for all comparisons of the table; None with too few pairs.
        needed: Independent numbers with which a difference as large as this one would be told
            with ``POWER``; infinite if no number will do, None if that cannot be said, or if the
            two differ or are equal.
    """

    scale: Scale
    n_pairs: int
    mean: float | None
    interval: Interval | None
    margin: float
    n_above: int
    n_below: int
    p_value: float | None
    told: bool = False
    equal: bool = False
    needed: float | None = None

    @property
    def higher(self) -> bool:
        """Whether the second is told to be higher."""
        return self.told and self._side > 0

    @property
    def lower(self) -> bool:
        """Whether the second is told to be lower."""
        return self.told and self._side < 0

    @property
    def _side(self) -> float:
        return self.mean if self.mean is not None else self.n_above - self.n_below

    def written(self, end: float | None) -> str:
        """Write a difference: in per cent, if it is a share, else as a number, with its sign."""
        if end is None or self.scale in ("ratio", "share"):
            return format_change(end)
        if self.scale == "points":
            return format_points(end)
        return f"{'+' if end >= 0 else MINUS}{format_number(abs(end))}"

    @property
    def within(self) -> str:
        """Say up to what difference the two are called equal."""
        if self.scale == "plain":
            return f"within {format_number(self.margin, chosen=True)}"
        return f"within {self.written(self.margin).lstrip('+').replace('.0', '')}"

    def asking(self, noun: str) -> str:
        """Say behind a semicolon how many pairs would tell such a difference, if that is known."""
        if self.needed is None:
            return ""
        if self.needed > MANY:
            return f"; telling it takes more than {format_count(MANY)} {noun}s of these data"
        needed = format_count(round(self.needed))
        return f"; about {needed} {noun}s would tell it, were it as large as here"


def paired(
    before: Mapping[int, float], after: Mapping[int, float], sides: Sequence[str] = ()
) -> Pairs:
    """Return the values of two arms, by the number of their pair, where both have one."""
    both = sorted(before.keys() & after.keys())
    return Pairs(
        before=tuple(before[pair] for pair in both),
        after=tuple(after[pair] for pair in both),
        sides=tuple(sides[pair] for pair in both) if sides else (),
    )


def judged_on(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    """Return the split of each pair, from those of both arms.

    Where arms have splits of their own, that is one after the other: two pairs share what the
    first arms share, and what the second ones do. What is hard in both arms cancels in the mean of
    many pairs, but what only one of them finds hard does not.
    """
    if tuple(before) == tuple(after):
        return tuple(before)
    return tuple(first + second for first, second in zip(before, after, strict=True))


def compare_all(samples: Mapping[K, Pairs], metric: Metric, scale: Scale) -> dict[K, Difference]:
    """Compare the two arms of each sample in one metric, by ``compare_together``."""
    return compare_together(
        {name: Compared(pairs=p, metric=metric, scale=scale) for name, p in samples.items()}
    )


def compare_together(table: Mapping[K, Compared]) -> dict[K, Difference]:
    """Compare two arms each that have a pair; all of them are read together.

    The rule by which two are told apart, everywhere: the p-value, adjusted for all comparisons
    of the table (Holm), is below ``SIGNIFICANT``. Arms that are equal to the last bit are no
    comparison. The p-value is that of a paired t-test on the scale. If there are so many pairs
    that flipping the signs of their differences could also tell, the exact test that does so has
    to agree: the larger p-value counts. That test needs no normal distribution, but cannot have
    a p-value below 0.5 ** (n - 1), so it must not forbid what few pairs show. Where differences
    do not scatter there is no t: they are certain, but for shares and equal numbers, whose equal
    steps may be chance, so that test stands alone.

    Two are equal if both ends of the margin are excluded by t-tests at ``SIGNIFICANT``, adjusted
    likewise (two one-sided tests). What is neither told nor equal cannot be told.

    Where pairs are on several splits of the same data, variances are the corrected ones of
    ``estimates.corrected``; signs are flipped for the splits at hand.

    Source: ``scipy.stats.ttest_1samp``, ``scipy.stats.permutation_test``; Holm, Scandinavian
        Journal of Statistics 6, 1979; Schuirmann, Journal of Pharmacokinetics and
        Biopharmaceutics 15, 1987, by ``statsmodels.stats.weightstats``.
    """
    cells = {c: cell for c, cell in table.items() if len(cell.pairs)}
    units = {c: by_split(_differences(cell), cell.pairs.sides) for c, cell in cells.items()}
    found = {c: _difference(cell, *units[c]) for c, cell in cells.items()}
    tested = {c: some for c, some in units.items() if len(some[0]) >= MIN_SPLITS}
    differing = {c: some for c, some in tested.items() if any(some[0])}
    # Shares of few examples go in steps, so their differences may be equal by chance.
    coarse = {c: cells[c].metric.is_share or is_even(cells[c].pairs.before) for c in differing}
    p_values = dict.fromkeys(tested, 1.0) | holm(
        {c: _p_value(*some, len(differing), coarse=coarse[c]) for c, some in differing.items()}
    )
    p_apart = holm({c: _p_apart(*some, _margin(cells[c])) for c, some in tested.items()})
    n_open = sum(p_value >= SIGNIFICANT for p_value in p_values.values())
    for cell in tested:
        told = p_values[cell] < SIGNIFICANT
        equal = not told and p_apart[cell] < SIGNIFICANT
        needed = None if told or equal else _needed(*units[cell], SIGNIFICANT / n_open)
        found[cell] = replace(
            found[cell], p_value=p_values[cell], told=told, equal=equal, needed=needed
        )
    return found


def scale_of(metric: Metric, values: Iterable[float]) -> Scale:
    """Return the scale of a metric: ratios of errors above 0 say most, but not of all numbers."""
    return "ratio" if not metric.maximise and all(value > 0 for value in values) else "share"


def compare(pairs: Pairs, metric: Metric, scale: Scale) -> Difference:
    """Compare two arms alone, in at least one pair."""
    return compare_all({"": pairs}, metric, scale)[""]


def describe_power(sides: Sequence[str], n_comparisons: int, noun: str) -> str:
    """Say which differences pairs on such splits can tell, before they are trained."""
    (n, overlap), told = count_splits(sides), counted(len(sides), noun)
    told += "" if n == len(sides) else f" on {counted(n, 'split')}"
    if n < MIN_SPLITS:
        return f"{told}: too few to tell any difference from chance; {MIN_SPLITS} are needed."
    size = detectable(n, SIGNIFICANT / n_comparisons, overlap)
    return (
        f"{told}, {counted(n_comparisons, 'comparison')}: a difference is told in "
        f"{format_percent(POWER)} of all cases if it is {format_number(size, 2)} times its own "
        f"scatter, so one of {format_percent(0.02 * size)} where that is {format_percent(0.02)}."
    )


def detectable(n: int, level: float, overlap: float = 0.0) -> float:
    """Return the mean, in standard deviations, that ``n`` numbers tell from 0 with ``POWER``."""
    found = optimize.brentq(lambda size: power(size * math.sqrt(n), n, level) - POWER, 0, 1e4)
    return float(found) * math.sqrt(variance_factor(n, overlap))


def power(distance: float, n: float, level: float) -> float:
    """Return with which probability a two-sided t-test at a level tells ``n`` numbers from 0.

    The other side is left out. Of statsmodels' ``TTestPower`` some answers are wrong or not a
    number for few pairs and small levels, such as 5 pairs at 0.05 / 30.

    Args:
        distance: Of their mean from 0, in standard errors.
    """
    free = n - 1
    variances = 2 * special.gammaincinv(free / 2, (np.arange(200) + 0.5) / 200) / free
    bound = special.stdtrit(free, 1 - level / 2) * np.sqrt(variances)
    return float(special.ndtr(distance - bound).mean())


def _differences(cell: Compared) -> list[float]:
    before, after = np.asarray(cell.pairs.before), np.asarray(cell.pairs.after)
    alike = np.isclose(before, after, rtol=1e-12, atol=0.0)  # but for rounding
    if cell.scale == "ratio":
        before, after = np.log(before), np.log(after)
    return list(map(float, np.where(alike, 0.0, after - before)))


def _difference(cell: Compared, units: Sequence[float], overlap: float) -> Difference:
    """Say by how much two arms differ, but for what depends on the other comparisons."""
    pairs, scale = cell.pairs, cell.scale
    size = _size(pairs) if scale == "share" else 1.0
    found = mean_interval(units, overlap)

    def told(number: float) -> float:
        return math.expm1(number) if scale == "ratio" else number / size

    return Difference(
        scale=scale,
        n_pairs=len(pairs),
        mean=told(fmean(units)) if size else None,
        interval=Interval(*map(told, found)) if size and found else None,
        margin=told(_margin(cell)) if size else 0.0,
        n_above=sum(a > b for b, a in zip(pairs.before, pairs.after, strict=True)),
        n_below=sum(a < b for b, a in zip(pairs.before, pairs.after, strict=True)),
        p_value=None,
    )


def _size(pairs: Pairs) -> float:
    """Return the size of the first arm's mean, which differences are shares of."""
    return abs(mean_on("plain", pairs.before, pairs.sides))


def _margin(cell: Compared) -> float:
    """Return what differences are at most, as they are taken, to be equal."""
    if cell.scale == "ratio":
        return math.log1p(EQUAL_SHARE)
    size = EQUAL_SHARE * _size(cell.pairs)
    return min(EQUAL_POINTS, size) if cell.metric.is_share else size


def _p_value(units: Sequence[float], overlap: float, n_comparisons: int, *, coarse: bool) -> float:
    """Return the p-value, not adjusted, of numbers whose mean may be 0, see ``compare_all``."""
    lowest = 0.5 ** (len(units) - 1)
    if is_even(units):
        return 1.0 if not fmean(units) else lowest if coarse else 0.0
    p_value = float(stats.ttest_1samp(corrected(units, overlap), 0.0).pvalue)
    if lowest * n_comparisons >= SIGNIFICANT:
        return p_value
    flipped = stats.permutation_test(
        (units,),
        lambda some, axis: np.mean(some, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_N_RESAMPLES,
        rng=0,
    )
    return max(p_value, float(flipped.pvalue))


def _p_apart(units: Sequence[float], overlap: float, margin: float) -> float:
    """Return the p-value, not adjusted, of numbers whose mean may be outside of a margin."""
    from statsmodels.stats.weightstats import ttost_paired  # takes a tenth of a second

    if is_even(units):
        return float(abs(fmean(units)) >= margin)
    p_value, *_ = ttost_paired(corrected(units, overlap), np.zeros(len(units)), -margin, margin)
    return float(p_value)


def _needed(units: Sequence[float], overlap: float, level: float) -> float | None:
    if is_even(units):
        return None
    effect = abs(fmean(units)) / stdev(units)

    def enough(n: int) -> bool:
        return power(effect * math.sqrt(n / variance_factor(n, overlap)), n, level) >= POWER

    more = range(len(units) + 1, MANY + 1)
    place = bisect_left(more, True, key=enough)
    return more[place] if place < len(more) else math.inf


def holm(p_values: Mapping[K, float]) -> dict[K, float]:
    """Adjust p-values for their number; statsmodels' function collects garbage for 0.2 s first."""
    adjusted: dict[K, float] = {}
    highest = 0.0
    for i, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        adjusted[name] = highest = max(highest, min(1.0, (len(p_values) - i) * p_value))
    return adjusted
