"""How the results of complete trials are distributed, by family."""

import math
from dataclasses import dataclass

import numpy as np

from storage.records import StudyRecord
from study.analysis import family_of, grouped, kind_of, ranked, ranked_once
from study.analysis.estimates import Interval
from study.metrics import Metric

MAX_STEPS, CONFIDENCE = 500, 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionStep:
    """One step of an empirical distribution function.

    Args:
        share: Share of the trials with at most this value, above 0 and up to 1.
        band: Its ends at that value, as shares.
    """

    value: float
    share: float
    band: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyDistribution:
    """The distribution of one family.

    Args:
        n_trials: Complete ones with a finite value of the metric.
        band: Half the height of the band, as a share of the trials.
        steps: By rising value, the last one with a share of 1.
    """

    family: str
    n_trials: int
    lower_quartile: float
    median: float
    upper_quartile: float
    band: float
    steps: tuple[DistributionStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionInfo:
    """The distributions of all families, by name; of one named ``"all"`` where there is one."""

    metric: Metric
    families: tuple[FamilyDistribution, ...]

    @property
    def n_trials(self) -> int:
        """Trials of all families."""
        return sum(family.n_trials for family in self.families)

    @property
    def thinned(self) -> bool:
        """Whether some family has more values than steps."""
        return any(family.n_trials > MAX_STEPS for family in self.families)


def get_distribution(record: StudyRecord, *, metric: Metric | None = None) -> DistributionInfo:
    """Compute each family's empirical distribution function of a metric, with a band.

    The band holds the whole distribution function from which the trials were drawn, with 95 %
    probability, if they do not depend on each other; those of an adaptive sampler do.

    Complete trials with a finite value count, feasible or not, each training once. A function of
    more than 500 values has steps at 500 evenly spaced shares of the trials, the lowest and the
    highest among them.

    Source: Radosavovic, Johnson, Xie, Lo, Dollár, "On Network Design Spaces for Visual
        Recognition", ICCV 2019, arXiv:1905.13214; band: Dvoretzky, Kiefer, Wolfowitz, "Asymptotic
        Minimax Character of the Sample Distribution Function", 1956, with the constant of
        Massart, "The Tight Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality", 1990.
    """
    kind = kind_of(record)
    metric = metric or kind.objective
    once = ranked_once(ranked(record, metric=metric))
    families = grouped(once, lambda item: family_of(item[1], kind.family))
    return DistributionInfo(
        metric=metric,
        families=tuple(
            _distribution(family, [value for value, _ in own])
            for family, own in sorted(families.items())
        ),
    )


def _distribution(family: str, values: list[float]) -> FamilyDistribution:
    ascending = np.sort(values)
    n = len(ascending)
    band = math.sqrt(math.log(2 / (1 - CONFIDENCE)) / (2 * n))
    counts = np.arange(1, n + 1)
    if n > MAX_STEPS:
        counts = np.linspace(1, n, MAX_STEPS).round().astype(int)
    lower, middle, upper = np.quantile(ascending, [0.25, 0.5, 0.75])
    return FamilyDistribution(
        family=family,
        n_trials=n,
        lower_quartile=float(lower),
        median=float(middle),
        upper_quartile=float(upper),
        band=band,
        steps=tuple(
            DistributionStep(
                value=float(ascending[count - 1]),
                share=float(count / n),
                band=Interval(max(0.0, count / n - band), min(1.0, count / n + band)),
            )
            for count in counts
        ),
    )
