"""How good the best of so many trials is expected to be, and what choosing by validation costs."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import starmap
from typing import ClassVar

import numpy as np
from optuna.trial import TrialState
from scipy import stats

from storage.records import StudyRecord
from study.analysis import kind_of, margin, ranked, ranked_once, sampler_of
from study.analysis.correlation import (
    NON_ADAPTIVE_SAMPLERS,
    default_resamples,
    independent_trials,
    portions,
)
from study.analysis.estimates import Interval
from study.analysis.spent import get_spent
from study.metrics import Metric
from study.sampling.names import ADAPTIVE_SAMPLERS

MIN_TRIALS = 5

N_POINTS = 60
"""Numbers of trials that are looked at, evenly spaced on a logarithmic scale."""

TOLERANCE = 0.05
"""Share, as ``margin`` takes it, that counts as close to the best value."""

RELIABLE_PART = 10
"""From two trials to this part of all, a tenth, intervals hold the truth as often as they say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedBest:
    """The best of so many trials: expected value with its 95 % interval, and training time.

    There is no interval where simulations showed it to be too short.
    """

    n: int
    value: float
    interval: Interval | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedBestInfo:
    """How the best value grows with the number of trials.

    Args:
        points: From one trial to all of them; empty after a refusal.
        n_trials: Trials that were used: complete, with a finite value, each training once, and
            of a study with a fixed design those that its design chose.
        n_reliable: Up to this n, from 2 on, there are intervals.
        close: The worst value that counts as close to the best seen.
        n_close: The smallest number of trials whose expected best is at least that good.
        seconds_per_trial: The study's training time, that of trials which were pruned, failed or
            answered from another's training too, for each of these; None where none was stored.
    """

    metric: Metric
    points: tuple[ExpectedBest, ...] = ()
    n_trials: int
    best: float | None = None
    tolerance: ClassVar[float] = TOLERANCE
    n_reliable: int
    close: float | None = None
    n_close: int | None = None
    seconds_per_trial: float | None
    n_resamples: int
    refusal: str | None
    caution: str | None = None


def get_expected_best(record: StudyRecord) -> ExpectedBestInfo:
    """Estimate the expected best of n trials, for n up to the number of trials.

    The estimate is the mean over all sets of n trials of the study, hence without bias for a
    search of n trials by the same design. The intervals are for each n alone, by percentiles of
    resampled trials that are moved apart for their small number. They get too short where n comes
    near the number of trials, for no resample is better than the best seen, and for one trial,
    whose mean hangs on how far the worst ones reach; so they stand from 2 to a tenth of all.

    Args:
        record: Its complete trials with a finite value count, each training once. One that
            breaks the constraint is no candidate: it counts as the worst that keeps it.

    Source: Tang, Lee, Xin, Liu, Yu, Lin, "Showing Your Work Doesn't Always Work", ACL 2020,
        arXiv:2004.13705; the question: Dodge, Gururangan, Card, Schwartz, Smith, "Show Your
        Work", EMNLP 2019, arXiv:1909.03004; percentiles: Hesterberg, "What Teachers Should Know
        About the Bootstrap", The American Statistician 69, 2015, section 3.3.
    """
    metric = kind_of(record).objective
    sampler = sampler_of(record)
    used = ranked(record, metric=metric)
    if sampler in NON_ADAPTIVE_SAMPLERS:
        independent = {trial.number for trial in independent_trials(record)}
        used = [item for item in used if item[1].number in independent]
    used = ranked_once(used)
    n_resamples = default_resamples(len(used))
    sign = metric.sign
    kept = [sign * value for value, trial in used if trial.feasible]
    errors = np.asarray([*kept, *kept[-1:] * (len(used) - len(kept))])
    n_pruned = sum(trial.state == TrialState.PRUNED for trial in record.trials)
    all_seconds = get_spent(record).training_seconds
    seconds = all_seconds / len(used) if all_seconds and used else None
    info = ExpectedBestInfo(
        metric=metric,
        n_trials=len(used),
        n_reliable=len(used) // RELIABLE_PART,
        seconds_per_trial=seconds,
        n_resamples=n_resamples,
        refusal=_refusal(len(used), len(kept)),
    )
    if info.refusal is not None:
        return info
    close = errors[0] + margin(metric, errors.tolist(), TOLERANCE)
    numbers = np.unique(np.geomspace(1, len(used), N_POINTS).round().astype(int)).tolist()
    sure = [n for n in numbers if 2 <= n <= info.n_reliable]
    ends = np.sort(sign * _band(errors, sure, n_resamples=n_resamples), axis=0)
    intervals = dict(zip(sure, starmap(Interval, ends.T.tolist()), strict=True))
    points = tuple(
        ExpectedBest(
            n=n,
            value=sign * expected_minimum(errors, n),
            interval=intervals.get(n),
            seconds=None if seconds is None else n * seconds,
        )
        for n in numbers
    )
    return replace(
        info,
        points=points,
        best=sign * kept[0],
        close=float(sign * close),
        n_close=_n_close(errors, close),
        caution=_caution(sampler, n_pruned),
    )


def expected_minimum(values: np.ndarray, n: int) -> float:
    """Return the mean over all sets of n values, from 1 to all of them, of the lowest of each."""
    return float(np.sort(values) @ _weights(len(values), n))


def overtuning(tests: Sequence[float]) -> list[float]:
    """Return by how much each incumbent's test error exceeds the lowest of those up to it.

    Args:
        tests: Test errors of the incumbents of a search, in their order.

    Source: Schneider, Bischl, Feurer, "Overtuning in Hyperparameter Optimization", AutoML 2025,
        arXiv:2506.19540.
    """
    errors = np.asarray(tests, dtype=float)
    found: list[float] = (errors - np.minimum.accumulate(errors)).tolist()
    return found


def _weights(n_values: int, n: int) -> np.ndarray:
    """Return how likely each of the sorted values is the lowest of n of them.

    The i-th of N, from 1, is so in C(N - i, n - 1) of C(N, n) sets; each number follows from the
    one before by a factor, so that no binomial coefficient is ever written out.
    """
    rest = n_values - np.arange(1, n_values)
    factors = np.maximum(rest - n + 1, 0) / rest
    weights = np.cumprod(np.concatenate([[n / n_values], factors]))
    # Numbers near the smallest double make a product many times slower and add nothing.
    weights[weights < 1e-100] = 0
    return weights


def _band(errors: np.ndarray, numbers: Sequence[int], *, n_resamples: int) -> np.ndarray:
    """Return the ends of the interval of each expected minimum, shape ``(2, len(numbers))``."""
    if not numbers:
        return np.empty((2, 0))
    rng = np.random.default_rng(0)
    ascending = np.sort(errors)
    n = len(errors)
    weights = np.stack([_weights(n, k) for k in numbers])
    tail = stats.norm.cdf(stats.t.ppf(0.025, n - 1) * np.sqrt(n / (n - 1)))
    found = []
    for size in portions(n_resamples, n):
        drawn = np.sort(rng.integers(0, n, size=(size, n)), axis=1)
        found.append(ascending[drawn] @ weights.T)
    return np.asarray(np.quantile(np.concatenate(found), [tail, 1 - tail], axis=0))


def _n_close(errors: np.ndarray, bound: float) -> int:
    """Return the smallest n whose expected minimum, which falls with n, is within a bound."""
    numbers = range(1, len(errors))
    return 1 + bisect_left(numbers, True, key=lambda n: expected_minimum(errors, n) <= bound)


def _refusal(n_trials: int, n_kept: int) -> str | None:
    if n_trials < MIN_TRIALS:
        return (
            f"The expected best needs at least {MIN_TRIALS} complete trials with a finite value; "
            f"this study has {n_trials}."
        )
    if not n_kept:
        return "No complete trial keeps the constraint, so none is expected to be the best."
    return None


def _caution(sampler: str | None, n_pruned: int) -> str | None:
    reasons = []
    if sampler in ADAPTIVE_SAMPLERS:
        reasons.append(
            "The sampler chose trials by earlier results, so this is the best of n trials picked "
            "from this search, not that of a search of n trials."
        )
    elif sampler not in NON_ADAPTIVE_SAMPLERS:
        reasons.append(
            "How trials were chosen is unknown; this holds if no result had a part in it."
        )
    if n_pruned:
        reasons.append(
            f"{n_pruned} pruned trials have no value and are left out, so n counts trials that a "
            "pruner lets through."
        )
    return " ".join(reasons) or None
