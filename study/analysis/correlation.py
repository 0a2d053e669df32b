"""How each parameter goes with a metric, by family: correlations, groups, partial correlations."""

import math
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from scipy import stats

from search_spaces import Scalar
from storage.attrs import WARM_START
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    family_of,
    grouped,
    is_ours,
    kind_of,
    parameter_names,
    ranked,
    ranked_once,
    sampler_of,
)
from study.analysis.estimates import Interval
from study.analysis.magnitude import tamed
from study.metrics import Metric
from study.sampling.names import ADAPTIVE_SAMPLERS, SAMPLERS

MIN_TRIALS, MIN_INTERVAL_TRIALS = 3, 10
"""Below the latter, a bootstrap knows too little of the scatter for an interval, and the p-value
of a rank correlation is that of a permutation test."""

MIN_GROUP = 5
"""Trials of a group below which chi-squared is no approximation to the Kruskal-Wallis H."""

N_RESAMPLES, MIN_RESAMPLES = 1000, 200
"""Bootstrap resamples behind each interval, and the fewest where there are many trials, whose
intervals are short: the ends are then known to 2 and to 5 hundredths of its length."""

RESAMPLED_TRIALS = 2_000_000
"""Trials in all resamples together, which bounds the time to seconds."""

N_STARTUP_TRIALS = 10
"""Trials that ``TPESampler`` and ``GPSampler`` draw at random before they model anything."""

NON_ADAPTIVE_SAMPLERS = (*(name for name in SAMPLERS if name not in ADAPTIVE_SAMPLERS), "paired")
"""Samplers of studies whose points were fixed before there was any result."""

_LOG_PARAMETERS = ("learning_rate", "weight_decay")
"""Of ours, varied over orders of magnitude, also where a grid lists them as plain numbers."""

_MIN_DEFINED = 0.95
"""Share of the resamples that must have a coefficient for an interval."""

_CHUNK = 250_000
"""Numbers per array of the bootstrap, 2 MB."""

Trials = Literal["all", "independent"]
_Sum = Callable[[np.ndarray], np.ndarray]
_Tested = TypeVar("_Tested", "Coefficient", "CategoricalEffect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """A coefficient of correlation.

    There is none where the parameter or the metric does not vary or fewer than three trials have
    the parameter.

    Args:
        interval: Of 95 %: of a rank correlation over resampled trials, of a linear one
            by Fisher's z. None, too, with fewer than ten trials, or where more than 5 % of the
            resamples have no coefficient.
        p, p_adjusted: Two-sided; the latter adjusted for all of the table's.
    """

    value: float | None = None
    interval: Interval | None = None
    p: float | None = None
    p_adjusted: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCorrelation:
    """Correlation of one ordered parameter with the metric within a family.

    Args:
        n_trials: Complete trials of the family that have the parameter.
        partial: Rank correlation with the controls held fixed; None without a Spearman
            coefficient, with no more than ``n_controls + 3`` trials, or where the controls
            determine the parameter or the metric.
        n_controls: The other ordered parameters that all of these trials have and that vary
            among them.
    """

    name: str
    log: bool
    n_trials: int
    pearson: Coefficient
    spearman: Coefficient
    partial: float | None
    n_controls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryGroup:
    """Trials with one value of a parameter, and their median."""

    value: Scalar
    n_trials: int
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalEffect:
    """Whether the metric differs between the values of a parameter without order.

    Args:
        h: Kruskal-Wallis H, corrected for ties; None, like all of the test, without two groups or
            where the metric does not vary.
        p, p_adjusted: By chi-squared; the latter for all of the table's.
        eta_squared: Effect size from 0 to 1.
    """

    name: str
    groups: tuple[CategoryGroup, ...]
    h: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    eta_squared: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyCorrelations:
    """The parameters of one family, in the order of the space; those without an order apart."""

    family: str
    n_trials: int
    parameters: tuple[ParameterCorrelation, ...]
    categorical: tuple[CategoricalEffect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationsInfo:
    """Correlations of all families.

    Args:
        not_numeric: Parameters whose values have no order, hence no correlation.
        n_trials: Complete trials with a finite value of the metric that were used.
        n_independent: Those that were not chosen by results, used or not.
        tested: Whether results are known to have had no part in the choice of the trials used.
            A sampler that learns bends correlations: it samples good regions more densely, and
            moves parameters together.
    """

    metric: Metric
    families: tuple[FamilyCorrelations, ...]
    not_numeric: tuple[str, ...]
    trials: Trials
    n_trials: int
    n_independent: int
    n_resamples: int
    tested: bool

    @property
    def sure(self) -> bool:
        """Whether any coefficient has an interval."""
        return any(p.spearman.interval is not None for f in self.families for p in f.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One ordered parameter: which of a family's trials have it, and their values or logs."""

    name: str
    log: bool
    having: np.ndarray
    values: np.ndarray


def get_correlations(
    record: StudyRecord,
    *,
    metric: Metric | None = None,
    trials: Trials = "all",
    n_resamples: int | None = None,
) -> CorrelationsInfo:
    """Correlate every parameter with a metric, family by family.

    A parameter that only some trials have is judged among those. Booleans count as 0 and 1, and
    parameters that were searched on a logarithmic scale enter as their logarithm. P-values and
    intervals suppose that trials do not depend on each other, which those of an adaptive
    sampler do. The p-value of Pearson's coefficient also supposes normal distributions. With
    few trials the intervals are somewhat short, and where all ranks agree they have no length.
    P-values are adjusted over all families and parameters, those of each test for themselves.

    Args:
        record: Its complete trials with a finite value count, each training once.
        metric: None for the objective. Its values are taken as stored: a positive coefficient
            means that larger values of the parameter go with a higher metric, be that better or
            worse.
        trials: Whether all of these count or only ``independent_trials``.
        n_resamples: Bootstrap resamples for the 95 % percentile intervals, ranked anew within
            each; None for 1000, down to 200 for more than 2,000 trials.

    Source: ``scipy.stats.pearsonr``, ``spearmanr`` and ``kruskal``; p-values of rank
        correlations of few trials by ``scipy.stats.permutation_test``; intervals: Efron,
        Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; effect size of H:
        Tomczak, Tomczak, "The need to report effect size estimates revisited", 2014; partial rank
        correlation: Kim, "ppcor: An R Package for a Fast Calculation to Semi-partial Correlation
        Coefficients", 2015; adjustment: Benjamini, Hochberg, "Controlling the False Discovery
        Rate", 1995, by ``scipy.stats.false_discovery_control``.
    """
    kind = kind_of(record)
    metric = metric or kind.objective
    valued = ranked(record, metric=metric)
    independent = {trial.number for trial in independent_trials(record)}
    used = ranked_once(v for v in valued if trials == "all" or v[1].number in independent)
    if n_resamples is None:
        n_resamples = default_resamples(len(used))
    names = parameter_names(record)
    values = {name: [t.params[name] for _, t in used if name in t.params] for name in names}
    ordered = [
        name
        for name, found in values.items()
        if found and all(isinstance(value, int | float) for value in found)
    ]
    unordered = [n for n in names if n not in ordered and n != kind.family and used]
    members = grouped(used, lambda item: family_of(item[1], kind.family))
    correlated, compared = {}, {}
    log_names = _LOG_PARAMETERS if is_ours(record) else ()
    for family, own in sorted(members.items()):
        correlated[family] = _correlate(ordered, own, log_names, n_resamples=n_resamples)
        effects = [_compare_groups(name, own) for name in unordered]
        compared[family] = [effect for effect in effects if effect.groups]
    pearson = _adjusted([p.pearson for parameters in correlated.values() for p in parameters])
    spearman = _adjusted([p.spearman for parameters in correlated.values() for p in parameters])
    kruskal = _adjusted([effect for effects in compared.values() for effect in effects])
    return CorrelationsInfo(
        metric=metric,
        families=tuple(
            FamilyCorrelations(
                family=family,
                n_trials=len(members[family]),
                parameters=tuple(
                    replace(p, pearson=next(pearson), spearman=next(spearman)) for p in parameters
                ),
                categorical=tuple(next(kruskal) for _ in compared[family]),
            )
            for family, parameters in correlated.items()
        ),
        not_numeric=tuple(unordered),
        trials=trials,
        n_trials=len(used),
        n_independent=sum(trial.number in independent for _, trial in valued),
        n_resamples=n_resamples,
        tested=trials == "independent" or sampler_of(record) in NON_ADAPTIVE_SAMPLERS,
    )


def independent_trials(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """Return the trials whose parameters no result has influenced.

    These are all trials of a sampler that is not adaptive, and those that an adaptive one drew
    at random: they started before the tenth of the trials from which it learns ended. A
    ``TPESampler`` learns from complete and pruned trials, a ``GPSampler`` from complete ones.
    Where times are missing, the first ten trials count. Trials that began with the best point
    of another study do not, nor do any where the sampler is unknown.

    Source: ``_sample_relative`` of ``TPESampler`` and ``sample_relative`` of ``GPSampler`` in
        Optuna 5.0, with their default ``n_startup_trials`` of 10.
    """
    sampler = sampler_of(record)
    drawn = [trial for trial in record.trials if WARM_START.of(trial) is None]
    if sampler in NON_ADAPTIVE_SAMPLERS:
        return tuple(drawn)
    if sampler not in ADAPTIVE_SAMPLERS:
        return ()
    learnt = record.complete if sampler != "tpe" else [t for t in record.trials if t.finished]
    if len(learnt) < N_STARTUP_TRIALS:
        return tuple(drawn)
    ends = sorted(trial.completed for trial in learnt if trial.completed is not None)
    last = ends[N_STARTUP_TRIALS - 1] if len(ends) == len(learnt) else None

    def is_early(trial: TrialRecord) -> bool:
        if last is None or trial.started is None:
            return trial.number < N_STARTUP_TRIALS
        return trial.started < last

    return tuple(filter(is_early, drawn))


def _correlate(
    names: Sequence[str],
    members: Sequence[tuple[float, TrialRecord]],
    log_names: Collection[str],
    *,
    n_resamples: int,
) -> tuple[ParameterCorrelation, ...]:
    """Correlate the ordered parameters of a family's trials; those of the same trials at once."""
    measured, _ = tamed(np.asarray([value for value, _ in members]))
    columns = _columns(names, [trial for _, trial in members], log_names)
    found = {}
    for group in grouped(columns, lambda column: column.having.tobytes()).values():
        y = measured[group[0].having]
        both = correlate([column.values for column in group], y, n_resamples=n_resamples)
        partials = _partials(group, columns, measured)
        for column, (pearson, spearman) in zip(group, both, strict=True):
            partial, n_controls = partials[column.name]
            found[column.name] = ParameterCorrelation(
                name=column.name,
                log=column.log,
                n_trials=len(y),
                pearson=pearson,
                spearman=spearman,
                partial=partial,
                n_controls=n_controls,
            )
    return tuple(found[column.name] for column in columns)


def _columns(
    names: Sequence[str], trials: Sequence[TrialRecord], log_names: Collection[str]
) -> list[_Column]:
    """Return the parameters that any of the trials has."""
    columns = []
    for name in names:
        owners = [trial for trial in trials if name in trial.params]
        if not owners:
            continue
        values = np.asarray([float(trial.params[name] or 0) for trial in owners])
        distributions = [trial.distributions.get(name) for trial in owners]
        log = name in log_names or all(getattr(d, "log", False) for d in distributions)
        log = log and bool((values > 0).all())
        columns.append(
            _Column(
                name=name,
                log=log,
                having=np.asarray([name in trial.params for trial in trials]),
                values=np.log10(values) if log else tamed(values)[0],
            )
        )
    return columns


def correlate(
    rows: Sequence[np.ndarray], y: np.ndarray, *, n_resamples: int
) -> list[tuple[Coefficient, Coefficient]]:
    """Return the linear and the rank correlation of each of several numbers of trials with one.

    There are intervals of ten trials or more; that of ranks is over so many resamples of them, and
    there is none without any.
    """
    enough = len(y) >= MIN_TRIALS and np.ptp(y) > 0
    varying = [i for i, row in enumerate(rows) if enough and np.ptp(row) > 0]
    resampled = {}
    if varying and n_resamples and len(y) >= MIN_INTERVAL_TRIALS:
        values = np.stack([rows[i] for i in varying])
        found = resampled_correlations(values, y, n_resamples=n_resamples)
        resampled = dict(zip(varying, found, strict=True))
    return [
        (_pearson(row, y), _spearman(row, y, resampled.get(i)))
        if i in varying
        else (Coefficient(), Coefficient())
        for i, row in enumerate(rows)
    ]


def _pearson(x: np.ndarray, y: np.ndarray) -> Coefficient:
    with warnings.catch_warnings():
        # Values that agree in all but their last digits are still ranked correctly.
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        found = stats.pearsonr(x, y)
    value = _finite(found.statistic)
    interval = linear_interval(value, len(x))
    return Coefficient(value=value, interval=interval, p=_finite(found.pvalue))


def linear_interval(value: float | None, n: int) -> Interval | None:
    """Return the 95 % interval of a linear correlation of ``n`` pairs, None of fewer than ten.

    It supposes roughly normal values. Of skewed ones it holds the truth in 87 to 97 of 100
    simulated studies of 10 to 100 trials, where resampled trials would in 74 to 97.

    Source: Fisher, "On the 'probable error' of a coefficient of correlation", Metron 1, 1921.
    """
    if value is None or n < MIN_INTERVAL_TRIALS:
        return None
    if abs(value) >= 1:
        return Interval(value, value)
    reach = 1.96 / math.sqrt(n - 3)
    return Interval(math.tanh(math.atanh(value) - reach), math.tanh(math.atanh(value) + reach))


def _spearman(x: np.ndarray, y: np.ndarray, resampled: np.ndarray | None) -> Coefficient:
    """Return the coefficient; the p-value of few trials is that of a permutation test."""
    found = stats.spearmanr(x, y)
    p = found.pvalue
    if len(x) < MIN_INTERVAL_TRIALS:
        ranks = stats.rankdata(x), stats.rankdata(y)
        p = stats.permutation_test(
            (ranks[0],),
            lambda permuted, axis: (permuted * ranks[1]).sum(axis=axis),
            permutation_type="pairings",
            vectorized=True,
            rng=0,
        ).pvalue
    interval = None if resampled is None else percentile_interval(resampled)
    return Coefficient(value=_finite(found.statistic), interval=interval, p=_finite(p))


def _partials(
    group: Sequence[_Column], columns: Sequence[_Column], measured: np.ndarray
) -> Mapping[str, tuple[float | None, int]]:
    """Return the partial correlation and the number of controls of parameters of equal trials."""
    having = group[0].having
    rows, names = [measured[having]], []
    for column in columns:
        values = column.values[having[column.having]]
        if not (having & ~column.having).any() and np.ptp(values) > 0:
            names.append(column.name)
            rows.append(values)
    varies = np.ptp(measured[having]) > 0
    matrix = np.atleast_2d(np.corrcoef([stats.rankdata(row) for row in rows])) if varies else None
    found = {}
    for column in group:
        n_controls = len(set(names) - {column.name})
        partial = None
        if matrix is not None and column.name in names and having.sum() > n_controls + 3:
            partial = _partial(matrix, 1 + names.index(column.name))
        found[column.name] = partial, n_controls
    return found


def _partial(matrix: np.ndarray, i: int) -> float | None:
    """Return the correlation of variables 0 and i with all others held fixed.

    What the others leave of the two is the Schur complement of their block, which is the inverse
    of the two variables' block of the inverse matrix, and is there also where controls determine
    each other.
    """
    pair = [0, i]
    others = [k for k in range(len(matrix)) if k not in pair]
    cross = matrix[np.ix_(pair, others)]
    inverse = np.linalg.pinv(matrix[np.ix_(others, others)], rcond=1e-10, hermitian=True)
    left = matrix[np.ix_(pair, pair)] - cross @ inverse @ cross.T
    if left.diagonal().min() < 1e-9:
        return None
    return float(np.clip(left[0, 1] / math.sqrt(left[0, 0] * left[1, 1]), -1, 1))


def resampled_correlations(
    values: np.ndarray, measured: np.ndarray, *, n_resamples: int
) -> np.ndarray:
    """Correlate ranks of several parameters and a metric in bootstrap resamples of their trials.

    A resample is held as the number of times that it has each trial. From these numbers follow
    the ranks within the resample, ties included, without sorting it: a value's mid-rank is the
    number of trials below it plus half of those at it and a half.

    Args:
        values: Of the parameters, shape ``(p, n)``.

    Returns:
        Spearman's coefficients, of shape ``(p, n_resamples)``; NaN where a resample has only one
        value.
    """
    rows = [_sum_by_value(row) for row in values]
    sum_by_metric, places = _sum_by_value(measured), np.unique(measured, return_inverse=True)[1]
    found = []
    for counts in resamples(len(measured), n_resamples):
        ranks, square = _centred_ranks(sum_by_metric(counts))
        weighted = counts * ranks[places]
        found.append([_resampled_spearman(row, counts, weighted, square) for row in rows])
    return np.concatenate(found, axis=-1).clip(-1, 1)


def _resampled_spearman(
    sum_by_value: _Sum, counts: np.ndarray, weighted: np.ndarray, square: np.ndarray
) -> np.ndarray:
    """Correlate the ranks of a row with those of the metric, shape ``(n_resamples,)``.

    Args:
        weighted: Each trial's rank by the metric, as often as a resample holds the trial.
        square: The sum of squares of these ranks in each resample.
    """
    ranks, own_square = _centred_ranks(sum_by_value(counts))
    squares = square * own_square
    squares[squares == 0] = np.nan
    return np.asarray(np.einsum("ij,ij->j", sum_by_value(weighted), ranks) / np.sqrt(squares))


def _sum_by_value(row: np.ndarray) -> _Sum:
    """Return what adds up the rows of a table, one for each trial, that have the same value.

    The sums are in the order of the values, and exact for ranks and counts.
    """
    order = np.argsort(row, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(row[order]) != 0])
    if len(starts) == len(row):
        return lambda table: table[order]
    return lambda table: np.add.reduceat(table[order], starts, axis=0)


def _centred_ranks(totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mid-rank of each value minus their mean, and the sum of squares over trials.

    Args:
        totals: How often each resample holds each value, in ascending order.
    """
    ranks = np.cumsum(totals, axis=0) - 0.5 * totals - 0.5 * totals.sum(axis=0)
    return ranks, np.einsum("ij,ij,ij->j", totals, ranks, ranks)


def resamples(n_trials: int, n_resamples: int) -> Iterator[np.ndarray]:
    """Yield bootstrap resamples as how often each has each trial, in portions.

    Each is of shape ``(n_trials, size)``, and all sizes together are ``n_resamples``.
    """
    rng = np.random.default_rng(0)
    for size in portions(n_resamples, n_trials):
        drawn = rng.integers(0, n_trials, size=(n_trials, size)) * size + np.arange(size)
        counts = np.bincount(drawn.ravel(), minlength=n_trials * size)
        yield counts.reshape(n_trials, size).astype(float)


def portions(n_resamples: int, n_trials: int) -> Iterator[int]:
    """Yield sizes of portions of resamples that fit into little memory."""
    most = max(1, _CHUNK // n_trials)
    for start in range(0, n_resamples, most):
        yield min(most, n_resamples - start)


def default_resamples(n_trials: int) -> int:
    """Return the number of bootstrap resamples of so many trials."""
    return max(MIN_RESAMPLES, min(N_RESAMPLES, RESAMPLED_TRIALS // max(1, n_trials)))


def percentile_interval(resampled: np.ndarray) -> Interval | None:
    """Return the 95 % percentile interval, None where too many resamples have NaN."""
    defined = resampled[np.isfinite(resampled)]
    if len(defined) < _MIN_DEFINED * len(resampled):
        return None
    return Interval(*map(float, np.quantile(defined, [0.025, 0.975])))


def _compare_groups(name: str, members: Sequence[tuple[float, TrialRecord]]) -> CategoricalEffect:
    """Test whether the metric differs between the values of a parameter.

    With k groups of n trials in all, eta squared is (H - k + 1) / (n - k), not below 0.
    """
    groups: dict[tuple[str, str], tuple[Scalar, list[float]]] = {}
    for measured, trial in members:
        if name in trial.params:
            value = trial.params[name]
            key = (str(value), type(value).__name__)
            groups.setdefault(key, (value, []))[1].append(measured)
    tested = [group for _, group in groups.values() if len(group) >= MIN_GROUP]
    effect = CategoricalEffect(
        name=name,
        groups=tuple(
            CategoryGroup(value=value, n_trials=len(group), median=float(np.median(group)))
            for _, (value, group) in sorted(groups.items(), key=lambda item: item[0])
        ),
    )
    if len(tested) < 2 or np.ptp(np.concatenate(tested)) == 0:
        return effect
    h, p = stats.kruskal(*tested)
    k, n = len(tested), sum(map(len, tested))
    eta_squared = max(0.0, float((h - k + 1) / (n - k)))
    return replace(effect, h=_finite(h), p=_finite(p), eta_squared=eta_squared)


def _adjusted(found: Sequence[_Tested]) -> Iterator[_Tested]:
    known = [each.p for each in found if each.p is not None]
    adjusted = iter(stats.false_discovery_control(known) if known else [])
    for each in found:
        yield each if each.p is None else replace(each, p_adjusted=float(next(adjusted)))


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
