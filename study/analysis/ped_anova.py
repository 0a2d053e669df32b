"""Optuna's importances: by which settings the best tenth of the trials differ from the others."""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Scalar
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    each_training_once,
    is_ours,
    kind_of,
    parameter_names,
    ranked,
    ranked_once,
)
from study.analysis.optuna_parts import TrialSample, frozen_trial
from study.metrics import Metric

MIN_OTHERS = 0.1
"""Share of the trials that must differ from the most frequent choice, lest it be hardly varied."""

MIN_TRIALS = 10

TOP_SHARE = 0.1
"""The importance is that of reaching this best part of the trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The share of one parameter.

    Args:
        share: Of the importance of all, in [0, 1].
        used_by_top: Whether any of the best trials had the parameter.
    """

    name: str
    share: float
    used_by_top: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HardlyVaried:
    """A choice that nearly all trials made alike, so no importance says much of it."""

    name: str
    value: Scalar
    n_alike: int
    n_trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PedAnovaInfo:
    """Shares of PED-ANOVA for one metric.

    Args:
        parameters: Most important first, by shares that sum to 1; empty with too few trials,
            where none varies, and where the best tenth cannot be told from the rest.
        hardly_varied: Those of ``parameters`` in which too few trials differ to compare them.
        n_trials: Complete trials with a finite value of the metric, and pruned ones that count.
    """

    parameters: tuple[Share, ...]
    constant: tuple[str, ...]
    hardly_varied: tuple[HardlyVaried, ...]
    n_trials: int
    n_pruned: int
    n_top: int


def get_ped_anova(record: StudyRecord, *, metric: Metric | None = None) -> PedAnovaInfo:
    """Compute how far each parameter's values differ between the best tenth and all trials.

    PED-ANOVA looks at one parameter at a time, at those of a condition where it is met. So it
    is blind to parameters that only matter together, and gives their importance to others. Its
    shares always sum to 1: a parameter without effect keeps a share, the larger the fewer trials
    there are, and where nothing matters all of them are of that sort.

    What matters is a trial's rank, not its value. So of the objective, by which trials are pruned,
    pruned ones count as well, behind all complete ones: first those that came further, then those
    with the better value, which is how Optuna's TPE ranks them. A pruned trial says nothing of
    other metrics. A training counts once. Of another program's study the shares are those that
    Optuna tells, which counts each copy and leaves pruned trials out.

    Args:
        metric: By which the best tenth is chosen, None for the objective.

    Source: Watanabe, Bansal, Hutter, "PED-ANOVA", IJCAI 2023, arXiv:2304.10255; conditional
        parameters: arXiv:2601.20800; order of pruned trials: ``optuna.samplers.TPESampler``.
    """
    metric = metric or kind_of(record).objective
    ours = is_ours(record)
    complete = ranked(record, metric=metric)
    complete = ranked_once(complete) if ours else complete
    pruned = _pruned(record, metric) if metric.objective and ours else []
    best_first = [*(((value,), trial) for value, trial in complete), *pruned]
    trials = [
        frozen_trial(trial.number, place, trial.params, trial.distributions)
        for place, (_, equal) in enumerate(groupby(best_first, key=lambda item: item[0]))
        for _, trial in equal
    ]
    top = _best(trials)
    names = [
        name
        for name in parameter_names(record)
        if (values := [trial.params[name] for trial in trials if name in trial.params])
        # That a trial has a parameter at all is a choice, too.
        and (len(set(values)) > 1 or (len(values) < len(trials) and not ours))
    ]
    parameters: list[Share] = []
    if names and len(trials) >= max(MIN_TRIALS, len(top) + 1):
        found = _shares(trials, names)
        parameters = [
            Share(name=n, share=found[n], used_by_top=any(n in trial.params for trial in top))
            for n in sorted(names, key=lambda name: -found[name])
        ]
    return PedAnovaInfo(
        parameters=tuple(parameters),
        constant=tuple(name for name in parameter_names(record) if name not in names),
        hardly_varied=tuple(_hardly_varied(names, trials)) if parameters else (),
        n_trials=len(trials),
        n_pruned=len(pruned),
        n_top=len(top),
    )


def _pruned(record: StudyRecord, metric: Metric) -> list[tuple[tuple[float, ...], TrialRecord]]:
    """Return the pruned trials with a value, best first, each behind what it is ranked by."""
    found: list[tuple[tuple[float, ...], TrialRecord]] = []
    for trial in each_training_once(record.trials):
        if trial.state == TrialState.PRUNED and trial.intermediate_values:
            step, value = max(trial.intermediate_values.items())
            loss = metric.sign * value if math.isfinite(value) else math.inf
            found.append(((-step, loss), trial))
    return sorted(found, key=lambda item: item[0])


def _best(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the best part of the trials, with all that share the value of its last."""
    n = math.ceil(TOP_SHARE * len(trials))
    return [t for i, t in enumerate(trials) if i < n or t.value == trials[n - 1].value]


def _shares(trials: Sequence[FrozenTrial], names: Sequence[str]) -> dict[str, float]:
    with warnings.catch_warnings():
        # A condition that hardly any trial meets adds nothing.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        warnings.filterwarnings("ignore", message="Target and region quantiles select")
        return get_param_importances(
            TrialSample(trials),
            evaluator=PedAnovaImportanceEvaluator(target_quantile=TOP_SHARE),
            params=list(names),
        )


def _hardly_varied(names: Sequence[str], trials: Sequence[FrozenTrial]) -> Iterator[HardlyVaried]:
    """Yield the categorical parameters in which fewer than ``MIN_OTHERS`` of the trials differ."""
    for name in names:
        having = [trial for trial in trials if name in trial.params]
        if not isinstance(having[0].distributions[name], CategoricalDistribution):
            continue
        ((value, n_alike),) = Counter(t.params[name] for t in having).most_common(1)
        if len(having) - n_alike < MIN_OTHERS * len(having):
            yield HardlyVaried(name=name, value=value, n_alike=n_alike, n_trials=len(having))
