"""How two metrics go together, and what is left of that where the setting behind both is equal.

A setting that decides both metrics makes them go together without any tie between them, or hides
the tie that there is. So each pair is looked at twice: over all trials, and among trials of equal
values of the setting that explains most of both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from storage.records import StudyRecord, TrialRecord
from study.analysis import each_training_once, kind_of, metrics_of, objectives_of, parameter_names
from study.analysis.correlation import (
    MIN_INTERVAL_TRIALS,
    MIN_TRIALS,
    Coefficient,
    correlate,
    default_resamples,
    linear_interval,
    percentile_interval,
    resamples,
)
from study.analysis.magnitude import tamed
from study.analysis.pairs import bins
from study.metrics import Metric

MIN_LEVEL = 5
"""Trials of a level below which its own coefficient is not told."""

FAR_APART = 0.5
"""Difference of the coefficients of two levels from which on they are told one by one."""

MIN_EXPLAINED = 0.1
"""Share of the variance of both metrics' ranks that a setting explains to be one behind both."""


class Tie(StrEnum):
    """What a pair of metrics comes to."""

    UNCERTAIN = "cannot be told"
    TOGETHER = "what is better in one is better in the other"
    TRADE_OFF = "a trade-off, what is better in one is worse in the other"
    COMMON_CAUSE = "a setting makes both, and nothing is left where it is equal"
    REVERSED = "over all trials it is the other way round than where the setting is equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The trials with one value, or range of values, of the setting behind both."""

    words: str
    n_trials: int
    pearson: Coefficient
    spearman: Coefficient


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """A trial's two values, and the place of its level."""

    trial: TrialRecord
    first: float
    second: float
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPair:
    """How two metrics go together over complete trials, each training once.

    Args:
        pearson, spearman: Over all of them, of the values as stored.
        parameter: The setting that explains most of both, None if none explains enough of both.
        explained: Share of the variance of the ranks of either metric between its levels.
        levels: Its values or ranges, in order; empty without a parameter.
        within_pearson, within_spearman: Over all levels together, what is left within them.
    """

    first: Metric
    second: Metric
    pearson: Coefficient
    spearman: Coefficient
    parameter: str | None = None
    explained: tuple[float, float] = (0.0, 0.0)
    levels: tuple[Level, ...] = ()
    within_pearson: Coefficient = field(default_factory=Coefficient)
    within_spearman: Coefficient = field(default_factory=Coefficient)
    points: tuple[MetricPoint, ...]

    @property
    def tie(self) -> Tie:
        """What is left where the setting behind both is equal, or over all trials without one."""
        whole = _direction(self.spearman) * self._sign
        if self.parameter is None:
            return {1: Tie.TOGETHER, -1: Tie.TRADE_OFF, 0: Tie.UNCERTAIN}[whole]
        inside = _direction(self.within_spearman) * self._sign
        if inside and whole == -inside:
            return Tie.REVERSED
        if inside:
            return Tie.TOGETHER if inside > 0 else Tie.TRADE_OFF
        value = self.within_spearman.value
        small = value is not None and abs(value) < abs(self.spearman.value or 0.0) / 2
        return Tie.COMMON_CAUSE if whole and small else Tie.UNCERTAIN

    @property
    def uneven(self) -> bool:
        """Whether the coefficients of its levels are far apart."""
        told = [v for level in self.levels if (v := level.spearman.value) is not None]
        return len(told) > 1 and max(told) - min(told) >= FAR_APART

    @property
    def trade_off_within(self) -> bool:
        """Whether, where the setting is equal, the better in one are the worse in the other."""
        return _direction(self.within_spearman) * self._sign < 0

    @property
    def _sign(self) -> int:
        """What turns a coefficient into one of losses, which both are to be low."""
        return int(self.first.sign * self.second.sign)


def get_metric_pairs(record: StudyRecord) -> tuple[MetricPair, ...]:
    """Correlate each two metrics of a study, over all trials and within levels of a setting.

    The setting is the one of which the levels explain most of the ranks of that metric of which
    they explain less; a range with more than six values is cut into quarters. The coefficients
    within are those of values, or ranks, minus the mean of their level. P-values are not given:
    the intervals, over resampled trials, say what can be told.

    Source: within-group correlation: Snedecor, Cochran, "Statistical Methods", 1989, section
        10.6; that a common cause may make or reverse a correlation: Simpson, "The Interpretation
        of Interaction in Contingency Tables", 1951; intervals as in ``get_correlations``.
    """
    metrics = tuple(dict.fromkeys((*objectives_of(record), *metrics_of(record))))
    trials = each_training_once(record.complete)
    found = (_pair(record, trials, *two) for two in combinations(metrics, 2))
    return tuple(pair for pair in found if len(pair.points) >= MIN_TRIALS)


def _pair(
    record: StudyRecord, trials: Sequence[TrialRecord], first: Metric, second: Metric
) -> MetricPair:
    both = [(first.of(trial), second.of(trial), trial) for trial in trials]
    told = [(a, b, trial) for a, b, trial in both if a is not None and b is not None]
    x, y = (tamed(np.asarray([item[i] for item in told], dtype=float))[0] for i in (0, 1))
    n_resamples = default_resamples(len(trials))
    ((pearson, spearman),) = correlate([x], y, n_resamples=n_resamples)
    behind = _behind(record, [trial for *_, trial in told], x, y)
    places = np.zeros(len(told), dtype=int) if behind is None else behind[2]
    pair = MetricPair(
        first=first,
        second=second,
        pearson=pearson,
        spearman=spearman,
        points=tuple(
            MetricPoint(trial=trial, first=a, second=b, level=int(place))
            for (a, b, trial), place in zip(told, places, strict=True)
        ),
    )
    if behind is None:
        return pair
    parameter, words, _, explained = behind
    levels = (_level(text, x[places == i], y[places == i]) for i, text in enumerate(words))
    linear = _within(np.stack([x, y]), places, n_resamples=0)
    interval = linear_interval(linear.value, len(told) - len(words) + 1)
    ranks = np.stack([_ranks(values, places) for values in (x, y)])
    return replace(
        pair,
        parameter=parameter,
        explained=explained,
        levels=tuple(levels),
        within_pearson=replace(linear, interval=interval),
        within_spearman=_within(ranks, places, n_resamples=n_resamples),
    )


def _behind(
    record: StudyRecord, trials: Sequence[TrialRecord], x: np.ndarray, y: np.ndarray
) -> tuple[str, Sequence[str], np.ndarray, tuple[float, float]] | None:
    """Return the setting that explains most of both, its levels and the level of each trial."""
    if len(trials) < MIN_INTERVAL_TRIALS:
        return None
    wording, found = kind_of(record).wording, []
    ranks = stats.rankdata(x), stats.rankdata(y)
    for name in parameter_names(record):
        if not all(name in trial.params for trial in trials):
            continue
        words, own = bins(name, list(trials), wording)
        places = np.asarray(own)
        explained = (_explained(ranks[0], places), _explained(ranks[1], places))
        if 2 <= len(words) <= len(trials) // 2 and min(explained) > MIN_EXPLAINED:
            found.append((name, words, places, explained))
    return max(found, key=lambda one: min(one[3]), default=None)


def _explained(ranks: np.ndarray, places: np.ndarray) -> float:
    """Return the share of the ranks' variance that lies between the levels, adjusted for chance.

    Source: epsilon squared: Kelley, "An unbiased correlation ratio measure", PNAS 21, 1935.
    """
    total = float(((ranks - ranks.mean()) ** 2).sum())
    n, k = len(ranks), len(np.unique(places))
    if total == 0 or n <= k:
        return 0.0
    inside = float((_centred(ranks, places) ** 2).sum())
    return max(0.0, 1 - inside / (n - k) / (total / (n - 1)))


def _centred(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return values minus the mean of their level."""
    n = np.bincount(places)
    means = np.bincount(places, weights=values) / np.maximum(n, 1)
    return np.asarray(values - means[places])


def _ranks(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the ranks of values within their level, from 0 to 1."""
    inside = pd.Series(values).groupby(places)
    return np.asarray(inside.rank() / (inside.transform("size") + 1))


def _level(words: str, x: np.ndarray, y: np.ndarray) -> Level:
    pearson = spearman = Coefficient()
    if len(x) >= MIN_LEVEL:
        ((pearson, spearman),) = correlate([x], y, n_resamples=0)
    return Level(words=words, n_trials=len(x), pearson=pearson, spearman=spearman)


def _within(rows: np.ndarray, places: np.ndarray, *, n_resamples: int) -> Coefficient:
    """Correlate two rows within levels, with an interval over so many resamples, if any."""
    n = rows.shape[1]
    scaled = np.stack([_centred(row, places) for row in rows])
    sizes = np.sqrt((scaled**2).mean(axis=1, keepdims=True))
    if n <= len(np.unique(places)) + 2 or (sizes <= 0).any() or not np.isfinite(sizes).all():
        return Coefficient()
    scaled = scaled / sizes
    value = float(np.clip((scaled[0] * scaled[1]).mean(), -1, 1))
    inside = (places[None, :] == np.unique(places)[:, None]).astype(float)
    found = []
    for counts in resamples(n, n_resamples):
        totals = np.maximum(inside @ counts, 1.0)
        x, y = scaled
        p, q = ((inside * row) @ counts for row in (x, y))
        xy = (x * y) @ counts - (p * q / totals).sum(axis=0)
        xx = (x * x) @ counts - (p * p / totals).sum(axis=0)
        yy = (y * y) @ counts - (q * q / totals).sum(axis=0)
        square = xx * yy
        square[square < 1e-12] = np.nan
        found.append(np.clip(xy / np.sqrt(square), -1, 1))
    interval = percentile_interval(np.concatenate(found)) if found else None
    return Coefficient(value=value, interval=interval)


def _direction(found: Coefficient) -> int:
    """Return the sign of a coefficient whose interval excludes 0, else 0."""
    if found.value is None or found.interval is None:
        return 0
    low, high = found.interval
    return int(math.copysign(1, found.value)) if low > 0 or high < 0 else 0
