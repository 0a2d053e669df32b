"""Correlation of each parameter with a metric, by family; must not know plotly."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution
from scipy import stats

from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    ARCHITECTURE,
    VALIDATION_MSE,
    Metric,
    family_of,
    parameter_names,
    ranked,
    sampler_of,
)
from study.samplers import ADAPTIVE_SAMPLERS

MIN_TRIALS = 3
"""Trials below which a correlation coefficient says nothing at all."""

_LOG_PARAMETERS = ("learning_rate", "weight_decay")
"""Varied over orders of magnitude, also where a grid lists them as plain numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCorrelation:
    """Correlation of one parameter with the metric within a family.

    Args:
        name: The parameter.
        log: Whether its decimal logarithm was used.
        n_trials: Complete trials of the family that have the parameter.
        pearson: Coefficient of the linear correlation, or None where the parameter or the
            metric does not vary or fewer than three trials have it.
        pearson_p: Two-sided p-value of it, unadjusted.
        spearman: Coefficient of the rank correlation, or None as above.
        spearman_p: Two-sided p-value of it, unadjusted.
    """

    name: str
    log: bool
    n_trials: int
    pearson: float | None
    pearson_p: float | None
    spearman: float | None
    spearman_p: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyCorrelations:
    """The numeric and boolean parameters of one family.

    Args:
        family: Architecture.
        n_trials: Its complete trials with a finite value of the metric.
        parameters: In the order of the space.
    """

    family: str
    n_trials: int
    parameters: tuple[ParameterCorrelation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationsInfo:
    """Correlations of all families.

    Args:
        metric: What the parameters are correlated with.
        families: Sorted by name.
        not_numeric: Parameters whose values have no order, hence no correlation.
        sampler: The study's sampler, None if unknown.
        adaptive: Whether it chose trials by earlier results, which bends correlations: good
            regions are sampled more densely, and parameters move together.
    """

    metric: Metric
    families: tuple[FamilyCorrelations, ...]
    not_numeric: tuple[str, ...]
    sampler: str | None
    adaptive: bool


def get_correlations(record: StudyRecord, *, metric: Metric = VALIDATION_MSE) -> CorrelationsInfo:
    """Correlate every ordered parameter with a metric, family by family.

    Args:
        record: The study; only its complete trials with a finite value count.
        metric: Its values are taken as stored: a positive coefficient means that larger values
            of the parameter go with a higher metric, be that better or worse.

    Returns:
        Pearson and Spearman coefficients; booleans count as 0 and 1, and parameters that were
        searched on a logarithmic scale enter as their logarithm.

    Source: ``scipy.stats.pearsonr`` and ``scipy.stats.spearmanr``.
    """
    best_first = ranked(record, metric=metric)
    names = parameter_names(record)
    ordered = [name for name in names if _is_ordered(name, [t for _, t in best_first])]
    families = []
    for family in sorted({family_of(trial) for _, trial in best_first}):
        members = [(value, trial) for value, trial in best_first if family_of(trial) == family]
        families.append(
            FamilyCorrelations(
                family=family,
                n_trials=len(members),
                parameters=tuple(
                    _correlate(name, having)
                    for name in ordered
                    if (having := [(v, t) for v, t in members if name in t.params])
                ),
            )
        )
    sampler = sampler_of(record)
    return CorrelationsInfo(
        metric=metric,
        families=tuple(families),
        not_numeric=tuple(
            name for name in names if name not in ordered and name != ARCHITECTURE and best_first
        ),
        sampler=sampler,
        adaptive=sampler in ADAPTIVE_SAMPLERS,
    )


def _correlate(name: str, members: Sequence[tuple[float, TrialRecord]]) -> ParameterCorrelation:
    measured = np.asarray([value for value, _ in members])
    values = np.asarray([float(trial.params[name] or 0) for _, trial in members])
    log = _is_log(name, [trial for _, trial in members]) and bool((values > 0).all())
    if log:
        values = np.log10(values)
    pearson = pearson_p = spearman = spearman_p = None
    if len(members) >= MIN_TRIALS and np.ptp(values) > 0 and np.ptp(measured) > 0:
        with warnings.catch_warnings():
            # Values that agree in all but their last digits are still ranked correctly.
            warnings.simplefilter("ignore", stats.NearConstantInputWarning)
            linear = stats.pearsonr(values, measured)
        rank = stats.spearmanr(values, measured)
        pearson, pearson_p = _finite(linear.statistic), _finite(linear.pvalue)
        spearman, spearman_p = _finite(rank.statistic), _finite(rank.pvalue)
    return ParameterCorrelation(
        name=name,
        log=log,
        n_trials=len(members),
        pearson=pearson,
        pearson_p=pearson_p,
        spearman=spearman,
        spearman_p=spearman_p,
    )


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
