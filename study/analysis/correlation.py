"""How each parameter goes with a metric, by family: correlations, groups, partial correlations.

Must not know plotly.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution
from scipy import stats

from storage.attrs import WARM_START
from storage.records import Scalar, StudyRecord, TrialRecord
from study.analysis import family_of, kind_of, parameter_names, ranked, sampler_of
from study.metrics import Metric
from study.sampling.names import ADAPTIVE_SAMPLERS, SAMPLERS

MIN_TRIALS = 3
"""Trials below which a correlation coefficient says nothing at all."""

MIN_INTERVAL_TRIALS = 10
"""Trials below which a bootstrap knows too little of their scatter for an interval, and the
p-value of a rank correlation is that of a permutation test."""

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
"""Varied over orders of magnitude, also where a grid lists them as plain numbers."""

_MIN_DEFINED = 0.95
"""Share of the resamples that must have a coefficient for an interval."""

_CHUNK = 250_000
"""Numbers per array of the bootstrap, 2 MB."""

Trials = Literal["all", "independent"]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCorrelation:
    """Correlation of one ordered parameter with the metric within a family.

    Args:
        name: The parameter.
        log: Whether its decimal logarithm was used.
        n_trials: Complete trials of the family that have the parameter.
        pearson: Coefficient of the linear correlation, or None where the parameter or the
            metric does not vary or fewer than three trials have it.
        pearson_low: Lower end of its 95 % interval over resampled trials; None without a
            coefficient, with fewer than ten trials, or where more than 5 % of the resamples
            have no coefficient.
        pearson_high: Upper end of it.
        pearson_p: Two-sided p-value of it, unadjusted.
        pearson_p_adjusted: The same, adjusted for all of the table's.
        spearman: Coefficient of the rank correlation, or None as above.
        spearman_low: Lower end of its interval, as above.
        spearman_high: Upper end of it.
        spearman_p: Two-sided p-value of it, unadjusted.
        spearman_p_adjusted: The same, adjusted for all of the table's.
        partial: Rank correlation with the controls held fixed; None without a Spearman
            coefficient, with no more than ``n_controls + 3`` trials, or where the controls
            determine the parameter or the metric.
        n_controls: The other ordered parameters that all of these trials have and that vary
            among them.
    """

    name: str
    log: bool
    n_trials: int
    pearson: float | None
    pearson_low: float | None
    pearson_high: float | None
    pearson_p: float | None
    pearson_p_adjusted: float | None
    spearman: float | None
    spearman_low: float | None
    spearman_high: float | None
    spearman_p: float | None
    spearman_p_adjusted: float | None
    partial: float | None
    n_controls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryGroup:
    """The trials with one value of a parameter without order.

    Args:
        value: The value.
        n_trials: Complete trials of the family that have it.
        median: Median of the metric over them.
        tested: Whether it has the five trials that the test asks for.
    """

    value: Scalar
    n_trials: int
    median: float
    tested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalEffect:
    """Whether the metric differs between the values of a parameter without order.

    Args:
        name: The parameter.
        n_trials: Trials of the groups that were tested.
        groups: Every value that occurs, by its text.
        h: Kruskal-Wallis H, corrected for ties; None without two groups to test or where the
            metric does not vary.
        p: P-value of it by chi-squared, unadjusted.
        p_adjusted: The same, adjusted for all of the table's.
        eta_squared: Effect size from 0 to 1, None as above.
    """

    name: str
    n_trials: int
    groups: tuple[CategoryGroup, ...]
    h: float | None
    p: float | None
    p_adjusted: float | None
    eta_squared: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyCorrelations:
    """The parameters of one family.

    Args:
        family: Its name.
        n_trials: Its complete trials with a finite value of the metric.
        parameters: The numeric and boolean ones, in the order of the space.
        categorical: Those whose values have no order, likewise.
    """

    family: str
    n_trials: int
    parameters: tuple[ParameterCorrelation, ...]
    categorical: tuple[CategoricalEffect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationsInfo:
    """Correlations of all families.

    Args:
        metric: What the parameters are correlated with.
        families: Sorted by name.
        not_numeric: Parameters whose values have no order, hence no correlation.
        trials: Which trials were used, ``"all"`` or ``"independent"`` ones only.
        n_trials: Complete trials with a finite value of the metric that were used.
        n_independent: Complete trials with a finite value that were not chosen by results,
            used or not.
        n_resamples: Bootstrap resamples behind the intervals.
        sampler: The study's sampler, None if unknown.
        adaptive: Whether it chose trials by earlier results, which bends correlations: good
            regions are sampled more densely, and parameters move together.
    """

    metric: Metric
    families: tuple[FamilyCorrelations, ...]
    not_numeric: tuple[str, ...]
    trials: Trials
    n_trials: int
    n_independent: int
    n_resamples: int
    sampler: str | None
    adaptive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One ordered parameter of a family.

    Args:
        name: The parameter.
        log: Whether ``values`` are logarithms.
        having: Which of the family's trials have it, bool, shape ``(n,)``.
        values: Of these trials, in their order.
    """

    name: str
    log: bool
    having: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where the values of a row stand among each other.

    Args:
        order: Indices that sort the row.
        starts: Where a run of equal values begins in it.
        runs: The run of each value.
    """

    order: np.ndarray
    starts: np.ndarray
    runs: np.ndarray

    @classmethod
    def of(cls, row: np.ndarray) -> "_Places":
        """Sort a row."""
        _, runs, lengths = np.unique(row, return_inverse=True, return_counts=True)
        return cls(
            order=np.argsort(row, kind="stable"),
            starts=np.cumsum(lengths) - lengths,
            runs=runs,
        )

    def centred_ranks(self, counts: np.ndarray) -> np.ndarray:
        """Return the mid-ranks minus their mean in resamples, given how often they hold each.

        Args:
            counts: Shape ``(n, n_resamples)``.
        """
        totals = counts[self.order]
        if len(self.starts) < len(self.order):
            totals = np.add.reduceat(totals, self.starts, axis=0)
        ranks: np.ndarray = np.cumsum(totals, axis=0) - 0.5 * totals - 0.5 * len(counts)
        own: np.ndarray = ranks[self.runs]
        return own


def get_correlations(
    record: StudyRecord,
    *,
    metric: Metric | None = None,
    trials: Trials = "all",
    n_resamples: int | None = None,
    seed: int = 0,
) -> CorrelationsInfo:
    """Correlate every parameter with a metric, family by family.

    A parameter that only some trials have is judged among those. Booleans count as 0 and 1, and
    parameters that were searched on a logarithmic scale enter as their logarithm. P-values and
    intervals suppose that trials do not depend on each other, which those of an adaptive
    sampler do. The p-value of Pearson's coefficient also supposes normal distributions. With
    few trials the intervals are somewhat short, and where all ranks agree they have no length.

    Args:
        record: The study; only its complete trials with a finite value count.
        metric: None for the objective. Its values are taken as stored: a positive coefficient
            means that larger values of the parameter go with a higher metric, be that better or
            worse.
        trials: Whether all of these trials count or only ``independent_trials``.
        n_resamples: Bootstrap resamples of the trials for the 95 % percentile intervals, ranked
            anew within each resample; None for 1000, down to 200 for more than 2,000 trials.
        seed: Of the resampling and of the permutations.

    Returns:
        Pearson, Spearman and partial Spearman coefficients of ordered parameters, Kruskal-Wallis
        tests of the others. P-values are adjusted over all families and parameters, those of
        each test for themselves.

    Source: ``scipy.stats.pearsonr``, ``spearmanr`` and ``kruskal``; p-values of rank
        correlations of few trials by ``scipy.stats.permutation_test``; intervals: Efron,
        Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; effect size of H:
        Tomczak, Tomczak, "The need to report effect size estimates revisited", Trends in Sport
        Sciences 1(21), 2014; partial rank correlation: Kim, "ppcor: An R Package for a Fast
        Calculation to Semi-partial Correlation Coefficients", Communications for Statistical
        Applications and Methods 22(6), 2015; adjustment: Benjamini, Hochberg, "Controlling the
        False Discovery Rate", Journal of the Royal Statistical Society B 57, 1995, by
        ``scipy.stats.false_discovery_control``.
    """
    kind = kind_of(record)
    metric = metric or kind.objective
    valued = ranked(record, metric=metric)
    independent = {trial.number for trial in independent_trials(record)}
    used = [item for item in valued if trials == "all" or item[1].number in independent]
    if n_resamples is None:
        n_resamples = default_resamples(len(used))
    names = parameter_names(record)
    ordered = [name for name in names if _is_ordered(name, [t for _, t in used])]
    unordered = [n for n in names if n not in ordered and n != kind.family and used]
    families = []
    for family in sorted({family_of(trial, kind.family) for _, trial in used}):
        members = [item for item in used if family_of(item[1], kind.family) == family]
        effects = [_compare_groups(name, members) for name in unordered]
        families.append(
            FamilyCorrelations(
                family=family,
                n_trials=len(members),
                parameters=_correlate(ordered, members, n_resamples=n_resamples, seed=seed),
                categorical=tuple(effect for effect in effects if effect.groups),
            )
        )
    sampler = sampler_of(record)
    return CorrelationsInfo(
        metric=metric,
        families=_with_adjusted_p_values(families),
        not_numeric=tuple(unordered),
        trials=trials,
        n_trials=len(used),
        n_independent=sum(trial.number in independent for _, trial in valued),
        n_resamples=n_resamples,
        sampler=sampler,
        adaptive=sampler in ADAPTIVE_SAMPLERS,
    )


def independent_trials(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """Return the trials whose parameters no result has influenced.

    These are all trials of a sampler that is not adaptive, and those that an adaptive one drew
    at random: they started before the tenth of the trials from which it learns ended. A
    ``TPESampler`` learns from complete and pruned trials, a ``GPSampler`` from complete ones.
    Where times are missing, the first ten trials count. Trials that began with the best point
    of another study do not, nor do any where the sampler is unknown.

    Args:
        record: The study.

    Returns:
        Trials of any state, in the order of their numbers.

    Source: ``_sample_relative`` of ``TPESampler`` and ``sample_relative`` of ``GPSampler`` in
        Optuna 5.0, with their default ``n_startup_trials`` of 10.
    """
    sampler = sampler_of(record)
    drawn = [trial for trial in record.trials if WARM_START not in trial.user_attrs]
    if sampler in NON_ADAPTIVE_SAMPLERS:
        return tuple(drawn)
    if sampler not in ADAPTIVE_SAMPLERS:
        return ()
    learnt = record.complete
    if sampler == "tpe":
        learnt = tuple(trial for trial in record.trials if trial.finished)
    if len(learnt) < N_STARTUP_TRIALS:
        return tuple(drawn)
    ends = sorted(trial.completed for trial in learnt if trial.completed is not None)
    last = ends[N_STARTUP_TRIALS - 1] if len(ends) == len(learnt) else None
    return tuple(
        trial
        for trial in drawn
        if (
            trial.number < N_STARTUP_TRIALS
            if last is None or trial.started is None
            else trial.started < last
        )
    )


def _correlate(
    names: Sequence[str],
    members: Sequence[tuple[float, TrialRecord]],
    *,
    n_resamples: int,
    seed: int,
) -> tuple[ParameterCorrelation, ...]:
    """Correlate the ordered parameters of a family's trials."""
    measured = np.asarray([value for value, _ in members])
    columns = _columns(names, [trial for _, trial in members])
    intervals = _intervals(columns, measured, n_resamples=n_resamples, seed=seed)
    partials = _partials(columns, measured)
    found = []
    for column in columns:
        x, y = column.values, measured[column.having]
        pearson = pearson_p = spearman = spearman_p = None
        if _can_correlate(x, y):
            pearson, pearson_p = _pearson(x, y)
            spearman, spearman_p = _spearman(x, y, seed=seed)
        linear, rank = intervals.get(column.name, (None, None))
        partial, n_controls = partials[column.name]
        found.append(
            ParameterCorrelation(
                name=column.name,
                log=column.log,
                n_trials=len(x),
                pearson=pearson,
                pearson_low=linear and linear[0],
                pearson_high=linear and linear[1],
                pearson_p=pearson_p,
                pearson_p_adjusted=None,
                spearman=spearman,
                spearman_low=rank and rank[0],
                spearman_high=rank and rank[1],
                spearman_p=spearman_p,
                spearman_p_adjusted=None,
                partial=partial,
                n_controls=n_controls,
            )
        )
    return tuple(found)


def _columns(names: Sequence[str], trials: Sequence[TrialRecord]) -> list[_Column]:
    """Return the parameters that any of the trials has."""
    columns = []
    for name in names:
        owners = [trial for trial in trials if name in trial.params]
        if not owners:
            continue
        values = np.asarray([float(trial.params[name] or 0) for trial in owners])
        log = _is_log(name, owners) and bool((values > 0).all())
        columns.append(
            _Column(
                name=name,
                log=log,
                having=np.asarray([name in trial.params for trial in trials]),
                values=np.log10(values) if log else values,
            )
        )
    return columns


def _can_correlate(x: np.ndarray, y: np.ndarray) -> bool:
    return len(x) >= MIN_TRIALS and np.ptp(x) > 0 and np.ptp(y) > 0


def _pearson(x: np.ndarray, y: np.ndarray) -> tuple[float | None, float | None]:
    """Return the coefficient and its p-value."""
    with warnings.catch_warnings():
        # Values that agree in all but their last digits are still ranked correctly.
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        found = stats.pearsonr(x, y)
    return _finite(found.statistic), _finite(found.pvalue)


def _spearman(x: np.ndarray, y: np.ndarray, *, seed: int) -> tuple[float | None, float | None]:
    """Return the coefficient and its p-value, the latter of few trials by permutation."""
    found = stats.spearmanr(x, y)
    if len(x) >= MIN_INTERVAL_TRIALS:
        return _finite(found.statistic), _finite(found.pvalue)
    ranks = stats.rankdata(x), stats.rankdata(y)
    test = stats.permutation_test(
        (ranks[0],),
        lambda permuted, axis: (permuted * ranks[1]).sum(axis=axis),
        permutation_type="pairings",
        vectorized=True,
        rng=seed,
    )
    return _finite(found.statistic), _finite(test.pvalue)


def _partials(
    columns: Sequence[_Column], measured: np.ndarray
) -> Mapping[str, tuple[float | None, int]]:
    """Return the partial rank correlation of each parameter, and the number of its controls."""
    found = {}
    for members in _of_same_trials(columns):
        having = members[0].having
        rows = [measured[having]]
        names = []
        for column in columns:
            if (having & ~column.having).any():
                continue
            values = column.values[having[column.having]]
            if np.ptp(values) > 0:
                names.append(column.name)
                rows.append(values)
        varies = np.ptp(measured[having]) > 0
        matrix = np.atleast_2d(np.corrcoef([stats.rankdata(r) for r in rows])) if varies else None
        for column in members:
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


def _of_same_trials(columns: Sequence[_Column]) -> list[list[_Column]]:
    """Group parameters by the trials that have them."""
    groups: dict[bytes, list[_Column]] = {}
    for column in columns:
        groups.setdefault(column.having.tobytes(), []).append(column)
    return list(groups.values())


def _intervals(
    columns: Sequence[_Column], measured: np.ndarray, *, n_resamples: int, seed: int
) -> Mapping[str, tuple[Interval | None, Interval | None]]:
    """Return the intervals of Pearson's and Spearman's coefficient of each parameter.

    Parameters of the same trials share their resamples.
    """
    found = {}
    for members in _of_same_trials(columns):
        y = measured[members[0].having]
        varying = [column for column in members if _can_correlate(column.values, y)]
        if len(y) < MIN_INTERVAL_TRIALS or not varying:
            continue
        linear, rank = resampled_correlations(
            np.stack([c.values for c in varying]), y, n_resamples=n_resamples, seed=seed
        )
        for i, column in enumerate(varying):
            found[column.name] = percentile_interval(linear[i]), percentile_interval(rank[i])
    return found


def resampled_correlations(
    values: np.ndarray, measured: np.ndarray, *, n_resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Correlate several parameters with a metric in bootstrap resamples of their trials.

    A resample is held as the number of times that it has each trial. From these numbers follow
    the ranks within the resample, ties included, without sorting it: a value's mid-rank is the
    number of trials below it plus half of those at it and a half.

    Args:
        values: Of the parameters, shape ``(p, n)``.
        measured: The metric, shape ``(n,)``.
        n_resamples: How many.
        seed: Of the resampling.

    Returns:
        Pearson's and Spearman's coefficients, each of shape ``(p, n_resamples)``; NaN where a
        resample has only one value.
    """
    n = len(measured)
    rng = np.random.default_rng(seed)
    both = np.vstack([values, measured])
    both = (both - both.mean(axis=1, keepdims=True)) / both.std(axis=1, keepdims=True)
    places = [_Places.of(row) for row in both]
    chunk = max(1, _CHUNK // n)
    linear, rank = [], []
    for start in range(0, n_resamples, chunk):
        size = min(chunk, n_resamples - start)
        drawn = rng.integers(0, n, size=(n, size)) * size + np.arange(size)
        counts = np.bincount(drawn.ravel(), minlength=n * size).reshape(n, size).astype(float)
        linear.append(_resampled_pearson(both, counts))
        rank.append(_resampled_spearman(places, counts))
    return np.hstack(linear), np.hstack(rank)


def _resampled_pearson(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Correlate every standardised row with the last one, shape ``(p, n_resamples)``."""
    n = len(counts)
    means = rows @ counts / n
    variances = rows**2 @ counts / n - means**2
    covariances = (rows[:-1] * rows[-1]) @ counts / n - means[:-1] * means[-1]
    # Of values of variance 1, so that what rounding leaves of a constant counts as nothing.
    variances[variances < 1e-12] = np.nan
    linear: np.ndarray = covariances / np.sqrt(variances[:-1] * variances[-1])
    return linear.clip(-1, 1)


def _resampled_spearman(places: Sequence[_Places], counts: np.ndarray) -> np.ndarray:
    """Correlate the ranks of every row with those of the last, shape ``(p, n_resamples)``."""
    metric = places[-1].centred_ranks(counts)
    weighted = counts * metric
    square = (weighted * metric).sum(axis=0)
    rows = []
    for place in places[:-1]:
        ranks = place.centred_ranks(counts)
        squares = square * np.einsum("ij,ij,ij->j", counts, ranks, ranks)
        squares[squares == 0] = np.nan
        rows.append(np.einsum("ij,ij->j", weighted, ranks) / np.sqrt(squares))
    return np.asarray(rows).clip(-1, 1)


def default_resamples(
    n_trials: int,
    *,
    total: int = RESAMPLED_TRIALS,
    fewest: int = MIN_RESAMPLES,
    most: int = N_RESAMPLES,
) -> int:
    """Return the number of bootstrap resamples for so many trials, fewer for very many.

    Args:
        n_trials: In each resample.
        total: Trials in all resamples together.
        fewest: Resamples in any case.
        most: Resamples where there are few trials.
    """
    return max(fewest, min(most, total // max(1, n_trials)))


def percentile_interval(resampled: np.ndarray) -> Interval | None:
    """Return the 95 % percentile interval, None where too few resamples have a number.

    Args:
        resampled: One number per resample, NaN where it has none.
    """
    defined = resampled[np.isfinite(resampled)]
    if len(defined) < _MIN_DEFINED * len(resampled):
        return None
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)


def _compare_groups(name: str, members: Sequence[tuple[float, TrialRecord]]) -> CategoricalEffect:
    """Test whether the metric differs between the values of a parameter.

    With k groups of n trials in all, eta squared is (H - k + 1) / (n - k), not below 0.
    """
    values: dict[tuple[str, str], list[float]] = {}
    kinds: dict[tuple[str, str], Scalar] = {}
    for measured, trial in members:
        if name in trial.params:
            value = trial.params[name]
            key = (str(value), type(value).__name__)
            kinds[key] = value
            values.setdefault(key, []).append(measured)
    tested = [group for group in values.values() if len(group) >= MIN_GROUP]
    n = sum(map(len, tested))
    h = p = eta_squared = None
    if len(tested) > 1 and np.ptp(np.concatenate(tested)) > 0:
        found = stats.kruskal(*tested)
        h, p = _finite(found.statistic), _finite(found.pvalue)
        k = len(tested)
        eta_squared = max(0.0, float((found.statistic - k + 1) / (n - k)))
    return CategoricalEffect(
        name=name,
        n_trials=n,
        groups=tuple(
            CategoryGroup(
                value=kinds[key],
                n_trials=len(group),
                median=float(np.median(group)),
                tested=len(group) >= MIN_GROUP,
            )
            for key, group in sorted(values.items())
        ),
        h=h,
        p=p,
        p_adjusted=None,
        eta_squared=eta_squared,
    )


def _with_adjusted_p_values(
    families: Sequence[FamilyCorrelations],
) -> tuple[FamilyCorrelations, ...]:
    """Fill in the adjusted p-values, each test's over all families."""
    parameters = [p for family in families for p in family.parameters]
    pearson = iter(_adjusted([p.pearson_p for p in parameters]))
    spearman = iter(_adjusted([p.spearman_p for p in parameters]))
    kruskal = iter(_adjusted([e.p for family in families for e in family.categorical]))
    return tuple(
        replace(
            family,
            parameters=tuple(
                replace(p, pearson_p_adjusted=next(pearson), spearman_p_adjusted=next(spearman))
                for p in family.parameters
            ),
            categorical=tuple(replace(e, p_adjusted=next(kruskal)) for e in family.categorical),
        )
        for family in families
    )


def _adjusted(p_values: Sequence[float | None]) -> list[float | None]:
    known = [p for p in p_values if p is not None]
    adjusted = iter(stats.false_discovery_control(known) if known else [])
    return [None if p is None else float(next(adjusted)) for p in p_values]


def _is_ordered(name: str, trials: Sequence[TrialRecord]) -> bool:
    values = [trial.params[name] for trial in trials if name in trial.params]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _is_log(name: str, trials: Sequence[TrialRecord]) -> bool:
    if name in _LOG_PARAMETERS:
        return True
    distributions = [trial.distributions.get(name) for trial in trials]
    return all(isinstance(d, FloatDistribution | IntDistribution) and d.log for d in distributions)


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
