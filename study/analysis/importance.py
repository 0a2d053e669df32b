"""Which parameters decided whether a trial came out among the best."""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import ClassVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from storage.records import Scalar, StudyRecord, TrialRecord
from study.analysis import is_ours, kind_of, parameter_names, ranked, sampler_of
from study.formats import format_percent
from study.metrics import Metric
from study.sampling.names import ADAPTIVE_SAMPLERS

MIN_OTHERS = 0.1
"""Share of the trials that must differ from the most frequent choice, lest it be hardly varied."""

MIN_TRIALS, RELIABLE_TRIALS = 10, 50
"""From the latter on, at least five trials lie in the top decile, as Optuna advises."""

TOP_SHARE = 0.1
"""The importance is that of reaching this best part of the region."""

WHOLE_SPACE, BEST_TENTH = 1.0, 0.1
"""Regions; the latter asks what tells the very best from the good."""

_MAX_RESAMPLES, _MIN_RESAMPLES, _RESAMPLED_TRIALS = 200, 25, 25_000
"""So many trials in all resamples together bound the time to seconds."""

_MAX_DRAWN = 1000
"""Trials that a resample holds at most, divided by the root of the region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterImportance:
    """The importance of one parameter, by whichever method.

    Args:
        share: Of what, the method says.
        low, high: Its 95 % interval.
        best_rank, worst_rank: Places among the parameters, from 1, that the interval's
            uncertainty allows.
        used_by_top: Whether any of the best trials had the parameter, where that counts.
    """

    name: str
    share: float
    low: float
    high: float
    best_rank: int
    worst_rank: int
    used_by_top: bool = True

    @property
    def matters(self) -> bool:
        """Whether the importance can be told from zero, of a method that allows that."""
        return self.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HardlyVaried:
    """A choice that nearly all trials of the region made alike, so its share says little.

    Args:
        n_alike: Trials that chose the value.
        n_trials: Trials of the region that have the parameter.
    """

    name: str
    value: Scalar
    n_alike: int
    n_trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportanceInfo:
    """Parameter importances, with all that is needed to judge them.

    Args:
        parameters: Most important first, by shares that sum to 1; empty after a refusal.
        constant: Parameters left out because they do not vary.
        hardly_varied: Those of ``parameters`` in which too few trials differ to compare them.
        n_trials: Complete trials with a finite value of the metric, and pruned ones that count.
        n_region, n_top: How many of them lie in the region, and of these count as the best.
        region: The part of the space that the importance speaks of.
    """

    metric: Metric
    parameters: tuple[ParameterImportance, ...]
    constant: tuple[str, ...]
    hardly_varied: tuple[HardlyVaried, ...]
    n_trials: int
    n_pruned: int
    n_region: int
    n_top: int
    n_resamples: int
    sampler: str | None
    adaptive: bool
    evaluator: ClassVar[str] = "PED-ANOVA"
    region: str
    refusal: str | None
    caution: str | None


class TrialSample(Study):
    """A study whose complete trials can be exchanged, so that resampling copies none of them."""

    def __init__(self, n_objectives: int = 1) -> None:
        storage = InMemoryStorage()
        with quiet_optuna():
            study = optuna.create_study(storage=storage, directions=["minimize"] * n_objectives)
        super().__init__(study_name=study.study_name, storage=storage)
        self.sample: Sequence[FrozenTrial] = ()

    def get_trials(self, *args: object, **kwargs: object) -> list[FrozenTrial]:
        return list(self.sample)


def get_importances(
    record: StudyRecord,
    *,
    metric: Metric | None = None,
    region: float = WHOLE_SPACE,
    n_resamples: int | None = None,
    seed: int = 0,
) -> ImportanceInfo:
    """Compute how much each parameter mattered for reaching the best tenth of a region.

    PED-ANOVA compares where the best trials lie with where all trials lie, one parameter at a
    time. It handles conditional parameters, which fANOVA leaves out. Its shares are never
    negative, so a parameter without effect keeps a few per cent: the interval tells how far
    the share depends on the trials at hand, and is no test against zero.

    What matters is a trial's rank, not its value. So of the objective, by which trials are pruned,
    pruned ones count as well, behind all complete ones: first those that came further, then those
    with the better value, which is how Optuna's TPE ranks them. Without them, a study
    of which the pruner left a handful would explain nothing, and any other would compare its
    best with the good only. A pruned trial says nothing of other metrics. Of another program's
    study the shares are those that Optuna tells, which leaves pruned trials out.

    Args:
        record: Its complete trials with a finite value count, and pruned ones.
        metric: By which the best tenth is chosen, None for the objective.
        region: The best part of the trials that is looked at: 1 asks what made a trial one of
            the best tenth of all, 0.1 what made it one of the best hundredth once it was among
            the best tenth.
        n_resamples: Bootstrap resamples of the trials for the 95 % percentile interval; None for
            200, down to 25 for 1,000 trials and more. Of more trials a resample draws 1,000 (3,163
            for the best tenth), and its scatter is scaled to that of all.

    Source: Watanabe, Bansal, Hutter, "PED-ANOVA", IJCAI 2023, arXiv:2304.10255; conditional
        parameters: arXiv:2601.20800; order of pruned trials: ``optuna.samplers.TPESampler``;
        intervals: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; with
        fewer draws than trials: Bickel, Götze, van Zwet, "Resampling fewer than n observations",
        1997.
    """
    metric = metric or kind_of(record).objective
    complete = ranked(record, metric=metric)
    ours = is_ours(record)
    pruned = _pruned(record, metric) if metric.objective and ours else []
    best_first = [*(((value,), trial) for value, trial in complete), *pruned]
    trials = [
        frozen_trial(trial.number, place, trial.params, trial.distributions)
        for place, (_, equal) in enumerate(groupby(best_first, key=lambda item: item[0]))
        for _, trial in equal
    ]
    inside, top = _best(trials, region), _best(trials, _target(region))
    which = "complete and pruned trials" if pruned else "complete trials"
    names = [
        name
        for name in parameter_names(record)
        if (values := [trial.params[name] for trial in inside if name in trial.params])
        # That a trial has a parameter at all is a choice, too.
        and (len(set(values)) > 1 or (len(values) < len(inside) and not ours))
    ]
    refusal = _refusal(metric, (len(trials), len(inside), len(top)), names, region, which)
    n_drawn = min(len(trials), math.ceil(_MAX_DRAWN / math.sqrt(region)))
    if n_resamples is None:
        fitting = _RESAMPLED_TRIALS // max(1, n_drawn)
        n_resamples = max(_MIN_RESAMPLES, min(_MAX_RESAMPLES, fitting))
    parameters: tuple[ParameterImportance, ...] = ()
    if refusal is None:
        study, rng = TrialSample(), np.random.default_rng(seed)
        shares = _shares(study, trials, names, region=region)
        resamples = (
            [trials[i] for i in rng.integers(0, len(trials), size=n_drawn)]
            for _ in range(n_resamples)
        )
        resampled = np.asarray(
            [_shares(study, drawn, names, region=region) for drawn in resamples]
        )
        if n_drawn < len(trials):
            scatter = resampled - resampled.mean(axis=0)
            resampled = np.clip(shares + scatter * math.sqrt(n_drawn / len(trials)), 0, 1)
        low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
        parameters = tuple(
            replace(found, used_by_top=any(found.name in trial.params for trial in top))
            for found in by_importance(names, shares, low, high, resampled)
        )
    sampler = sampler_of(record)
    part = "all" if region == WHOLE_SPACE else f"the best {format_percent(region)} of the"
    return ImportanceInfo(
        metric=metric,
        parameters=parameters,
        constant=tuple(name for name in parameter_names(record) if name not in names),
        hardly_varied=tuple(_hardly_varied(names, inside)) if refusal is None else (),
        n_trials=len(trials),
        n_pruned=len(pruned),
        n_region=len(inside),
        n_top=len(top),
        n_resamples=n_resamples,
        sampler=sampler,
        adaptive=sampler in ADAPTIVE_SAMPLERS,
        region=f"{part} {which}, as the sampler placed them",
        refusal=refusal,
        caution=None
        if refusal
        else _caution((len(complete), len(inside), len(top)), region, which),
    )


def rank_ranges(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best and the worst place of each parameter in 95 % of the samples.

    Args:
        samples: Importances, shape ``(n_samples, n_parameters)``; the largest has place 1.
    """
    ranks = stats.rankdata(-samples, axis=1, method="min")
    best, worst = np.quantile(ranks, [0.025, 0.975], axis=0, method="inverted_cdf")
    return best, worst


def by_importance(
    names: Sequence[str],
    shares: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    samples: np.ndarray,
) -> tuple[ParameterImportance, ...]:
    """Return parameters by falling share, with their ranks in samples of the shares."""
    best, worst = rank_ranges(samples)
    return tuple(
        ParameterImportance(
            name=names[i],
            share=float(shares[i]),
            low=float(low[i]),
            high=float(high[i]),
            best_rank=int(best[i]),
            worst_rank=int(worst[i]),
        )
        for i in np.argsort(-shares, kind="stable")
    )


def frozen_trial(
    number: int,
    value: float | None,
    params: Mapping[str, Scalar],
    distributions: Mapping[str, BaseDistribution],
    state: TrialState = TrialState.COMPLETE,
    values: Sequence[float] | None = None,
) -> FrozenTrial:
    """Return a trial for Optuna's evaluators and pruners; nothing of it is checked."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=value,
        values=values,
        datetime_start=None,
        datetime_complete=None,
        params=dict(params),
        distributions=dict(distributions),
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from writing a line per study and trial."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _pruned(record: StudyRecord, metric: Metric) -> list[tuple[tuple[float, ...], TrialRecord]]:
    """Return the pruned trials with a value, best first, each behind what it is ranked by."""
    found: list[tuple[tuple[float, ...], TrialRecord]] = []
    for trial in record.trials:
        if trial.state == TrialState.PRUNED and trial.intermediate_values:
            step, value = max(trial.intermediate_values.items())
            loss = metric.sign * value if math.isfinite(value) else math.inf
            found.append(((-step, loss), trial))
    return sorted(found, key=lambda item: item[0])


def _best(trials: Sequence[FrozenTrial], quantile: float) -> list[FrozenTrial]:
    """Return the best part of the trials, with all that share the value of its last."""
    n = math.ceil(quantile * len(trials))
    return [t for i, t in enumerate(trials) if i < n or t.value == trials[n - 1].value]


def _target(region: float) -> float:
    """Return the best tenth of a region; 0.1 * 0.1 is above 0.01, which would add a trial."""
    return round(TOP_SHARE * region, 9)


def _refusal(
    metric: Metric, sizes: tuple[int, int, int], names: Sequence[str], region: float, which: str
) -> str | None:
    n_trials, n_region, n_top = sizes
    if n_trials < MIN_TRIALS:
        what = "value" if metric.objective else metric.label
        return (
            f"Importances need at least {MIN_TRIALS} {which} with a finite {what}; "
            f"this study has {n_trials}."
        )
    if n_region < MIN_TRIALS:
        return (
            f"The best {format_percent(region)} of {n_trials} {which} are {n_region}, fewer than "
            f"the {MIN_TRIALS} that importances need."
        )
    if not names:
        among = which if region == WHOLE_SPACE else f"best {format_percent(region)} of the trials"
        return f"No parameter varies among the {among}, so none can be more important."
    if n_top == n_region:
        return "The best tenth cannot be told from the rest: too many trials share one value."
    return None


def _caution(sizes: tuple[int, int, int], region: float, which: str) -> str | None:
    n_complete, n_region, n_top = sizes
    reasons = []
    if n_region < RELIABLE_TRIALS:
        needed = math.ceil(RELIABLE_TRIALS / region)
        inside = which if region == WHOLE_SPACE else "best trials"
        reasons.append(
            f"The best tenth of {n_region} {inside} is fewer than 5, too few for steady "
            f"shares; take at least {needed} {which}."
        )
    if n_complete < n_top:
        reasons.append(
            f"Only {n_complete} trials are complete, so the best {n_top} hold pruned ones, which "
            "might have ended otherwise."
        )
    expected = math.ceil(TOP_SHARE * n_region)
    if n_top >= 2 * expected:
        reasons.append(
            f"Because of equal values, {n_top} trials count as the best tenth instead of "
            f"{expected}."
        )
    return " ".join(reasons) or None


def _shares(
    study: TrialSample, trials: Sequence[FrozenTrial], names: Sequence[str], *, region: float
) -> np.ndarray:
    """Return the share of each parameter, 0 for one that none of these trials has."""
    study.sample = trials
    evaluator = PedAnovaImportanceEvaluator(
        target_quantile=_target(region), region_quantile=region
    )
    present = [name for name in names if any(name in trial.params for trial in trials)]
    with warnings.catch_warnings():
        # A condition that hardly any trial meets adds nothing, and the interval shows that.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        warnings.filterwarnings("ignore", message="Target and region quantiles select")
        found = get_param_importances(study, evaluator=evaluator, params=present)
    return np.asarray([found.get(name, 0.0) for name in names])


def _hardly_varied(names: Sequence[str], trials: Sequence[FrozenTrial]) -> Iterator[HardlyVaried]:
    """Yield the categorical parameters in which fewer than ``MIN_OTHERS`` of the trials differ."""
    for name in names:
        having = [trial for trial in trials if name in trial.params]
        if not isinstance(having[0].distributions[name], CategoricalDistribution):
            continue
        ((value, n_alike),) = Counter(t.params[name] for t in having).most_common(1)
        if len(having) - n_alike < MIN_OTHERS * len(having):
            yield HardlyVaried(name=name, value=value, n_alike=n_alike, n_trials=len(having))
