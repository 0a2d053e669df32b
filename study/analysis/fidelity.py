"""What short trainings say about long ones, and what pruners would have done with them."""

import copy
import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from storage.records import StudyRecord, TrialRecord
from study.analysis import kind_of, margin
from study.analysis.correlation import (
    default_resamples,
    percentile_interval,
    resampled_correlations,
)
from study.analysis.optuna_parts import frozen_trial, quiet_optuna
from study.analysis.spent import EARLIEST
from study.formats import format_percent, plural
from study.kind_info import KindInfo
from study.sampling.names import StalledPruner

MIN_TRIALS = 10

MAX_BEST_PRUNED = 0.05
"""Share of the orders in which a suggested pruner may end the best trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FidelityPoint:
    """How well the values at one step of the trainings tell the final ones.

    Args:
        step: As people count it.
        n_trials: Complete trials behind the coefficient.
        spearman: Rank correlation between their best value up to this step and their final
            one, None where either does not vary.
        low, high: Its 95 % interval over resampled trials, None where more than 5 % of the
            resamples have no coefficient.
        n_pruned_before: Pruned trials that ended before this step; the share is that in all.
        pruned_worst: The coefficient with all pruned trials, had they ended behind every
            complete one, in the order of their last values: the pruner was right each time.
        pruned_best: The same, had they ended before every complete one, those first that look
            worst here: the pruner was wrong each time. Where all pruned trials look worse than
            the complete ones, no other outcome of them has a lower coefficient.
    """

    step: int
    n_trials: int
    spearman: float | None
    low: float | None
    high: float | None
    n_pruned_before: int
    share_pruned_before: float
    pruned_worst: float | None
    pruned_best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FidelityInfo:
    """How early the final order of trials shows.

    The coefficients are those of complete trials. Where others were pruned, these are the
    survivors, and how they are ordered says little about how all trials would have been.

    Args:
        points: By step; empty after a refusal.
        n_complete, n_pruned: Trials with a curve.
        n_epochs: The last step that all of the complete trials reached.
        longest: The last step of the longest complete trial.
    """

    points: tuple[FidelityPoint, ...]
    n_complete: int
    n_pruned: int
    n_epochs: int
    longest: int
    n_resamples: int
    refusal: str | None
    caution: str | None

    def first_above(self, spearman: float) -> FidelityPoint | None:
        """Return the point from which on every coefficient is at least so high, if any is."""
        first = None
        for point in reversed(self.points):
            if point.spearman is None or point.spearman < spearman:
                break
            first = point
        return first


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunerSetting:
    """A pruner to replay.

    Args:
        name: For people; has ``{steps}`` where the steps of a training are called by their name.
        make: Builds it, given the steps of the longest training.
        option: What ``run --pruner`` calls it.
    """

    name: str
    make: Callable[[int], BasePruner]
    option: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunerReplay:
    """What one pruner would have done.

    Args:
        share_saved: Share of all steps that it would have saved, mean over the orders.
        n_best_pruned: Orders in which no trial with the best final value survived.
        low, high: 95 % Wilson interval of the share of these, which speaks of other orders of the
            same trials, not of other trials.
        mean_regret: Final value of the best survivor minus the best one, as errors, mean over
            the orders; where nothing survives, that of the worst trial.
        mean_relative_regret: The same in units of the size of the best value, or of its distance
            from the median where shares of a value mean nothing, unless that is 0.
    """

    name: str
    option: str | None
    share_saved: float
    n_best_pruned: int
    share_best_pruned: float
    low: float
    high: float
    mean_regret: float
    mean_relative_regret: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunersInfo:
    """What several pruners would have done with the complete trials of a study.

    Trials run one after the other, so a pruner knows more of earlier trials than with several
    workers.

    Args:
        replays: In the order of the settings; empty after a refusal.
        n_replayed: How many of them were replayed: the best, and others at random.
        n_orders: Orders in which they were replayed, the first being that of their starts.
        every: One in so many reports is what a pruner gets.
    """

    replays: tuple[PrunerReplay, ...]
    n_complete: int
    n_replayed: int
    n_orders: int
    every: int
    refusal: str | None
    caution: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """A training, as errors: its values after steps as people count them, and its final one.

    Args:
        steps, values: Ascending, of one length.
        ahead: What a step that is counted from 0 has more of cost than it says.
    """

    steps: np.ndarray
    values: np.ndarray
    final: float
    ahead: int

    @property
    def cost(self) -> int:
        """Steps that were run."""
        return int(self.steps[-1]) + self.ahead

    def thinned(self, places: np.ndarray, every: int) -> "_Curve":
        """Keep the ``every``-th of all steps, among which these have places, and its last one."""
        kept = (places + 1) % every == 0
        kept[-1] = True
        return replace(self, steps=self.steps[kept], values=self.values[kept])


class _Trials(InMemoryStorage):
    """A storage for pruners: reports are added to the trials in place, without any copy."""

    def __init__(self) -> None:
        super().__init__()
        self.trials: list[FrozenTrial] = []

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self.trials if states is None or trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        # Successive halving counts on lists of trials from before that do not show it.
        trial = copy.copy(self.trials[trial_id])
        trial.system_attrs = {**trial.system_attrs, key: value}
        self.trials[trial_id] = trial


def _median(share: float, steps: int) -> BasePruner:
    return MedianPruner(n_startup_trials=5, n_warmup_steps=int(share * steps), n_min_trials=3)


def _median_of_stalled(steps: int) -> BasePruner:
    # A report of the replay stands for as many steps as `run` waits for an improvement.
    return StalledPruner(_median(0.1, steps), patience=1)


def _halving(part: int, steps: int) -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=max(1, steps // part), reduction_factor=3)


def _hyperband(part: int, steps: int) -> BasePruner:
    lowest = max(1, steps // part)
    return HyperbandPruner(min_resource=lowest, max_resource=steps, reduction_factor=3)


PRUNER_SETTINGS = (
    PrunerSetting(
        name="median, from 10\N{NO-BREAK SPACE}% of the {steps} on, once a trial stands still",
        make=_median_of_stalled,
        option="median",
    ),
    *(
        PrunerSetting(
            name=f"median, from {format_percent(share)} of the {{steps}} on",
            make=partial(_median, share),
        )
        for share in (0.1, 0.25, 0.5)
    ),
    *(
        PrunerSetting(
            name=f"{name} by 3, from a {part}th of the {{steps}} on",
            make=partial(make, part),
            option=option if part == 27 else None,
        )
        for name, option, make in (
            ("successive halving", "halving", _halving),
            ("hyperband", "hyperband", _hyperband),
        )
        for part in (27, 9)
    ),
)
"""What ``replay_pruners`` replays unless told otherwise; those with an option are what
``study.sampling.names.make_pruner`` builds for ``run --pruner``."""


def get_fidelity(record: StudyRecord, *, n_points: int = 20, seed: int = 0) -> FidelityInfo:
    """Correlate the best value up to a step with the final one, for several steps.

    Args:
        record: Its complete trials with a finite value and a curve count, feasible or not. Values
            that are not numbers are the worst ones.
        n_points: Steps to look at, at most, evenly spaced on a logarithmic scale.

    Source: rank correlation between budgets: Falkner, Klein, Hutter, "BOHB: Robust and Efficient
        Hyperparameter Optimization at Scale", ICML 2018, arXiv:1807.01774; intervals: Efron,
        Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    kind = kind_of(record)
    complete, pruned = ([_curve(t, kind) for t in trials] for trials in _reporting(record, kind))
    n_resamples = default_resamples(len(complete))
    lasts = [int(curve.steps[-1]) for curve in complete]
    n_epochs = min(lasts, default=0)
    refusal = _refusal(f"The fidelity of short {_trainings(kind)}", len(complete))
    points: tuple[FidelityPoint, ...] = ()
    if refusal is None:
        known = np.unique(np.concatenate([curve.steps for curve in complete]))
        known = known[known <= n_epochs]
        places = np.unique(np.geomspace(1, len(known), n_points).round().astype(int)) - 1
        epochs = known[places]
        points = _points(epochs, complete, pruned, n_resamples=n_resamples, seed=seed)
    return FidelityInfo(
        points=points,
        n_complete=len(complete),
        n_pruned=len(pruned),
        n_epochs=n_epochs,
        longest=max(lasts, default=0),
        n_resamples=n_resamples,
        refusal=refusal,
        caution=None if refusal else _caution(len(complete), len(pruned)),
    )


def replay_pruners(
    record: StudyRecord,
    settings: Sequence[PrunerSetting] = PRUNER_SETTINGS,
    *,
    n_orders: int = 20,
    max_trials: int = 60,
    max_reports: int = 20,
    seed: int = 0,
) -> PrunersInfo:
    """Let pruners decide on trainings whose end is known.

    Optuna's own pruners see the stored values as those of a study in memory, trial after trial,
    in the order of their starts and in random ones. A trial that a pruner ends has cost its
    steps up to there; all others keep their final value.

    Args:
        max_trials: Of more trials, the best and a random choice are replayed.
        max_reports: Of longer curves, pruners see each second, third, ... value and the last.

    Source: ``MedianPruner``, ``SuccessiveHalvingPruner`` and ``HyperbandPruner`` of Optuna;
        interval: Wilson, "Probable Inference, the Law of Succession, and Statistical
        Inference", JASA 22, 1927, by ``scipy.stats.binomtest``.
    """
    kind = kind_of(record)
    complete, pruned = _reporting(record, kind)
    refusal = _refusal("A replay of pruners", len(complete))
    rng = np.random.default_rng(seed)
    curves = [_curve(trial, kind) for trial in _choose(complete, max_trials, rng, kind)]
    known = np.unique(np.concatenate([[], *(curve.steps for curve in curves)]))
    every = max(1, math.ceil(len(known) / max_reports))
    replays: list[PrunerReplay] = []
    if refusal is None:
        thinned = [c.thinned(np.searchsorted(known, c.steps), every) for c in curves]
        shuffled = (rng.permutation(len(thinned)) for _ in range(n_orders - 1))
        orders = [thinned, *([thinned[i] for i in order] for order in shuffled)]
        unit = margin(kind.objective, sorted(curve.final for curve in curves), 1.0)
        with quiet_optuna():
            replays = [
                _replay(setting, orders, known, steps=plural(kind.step), unit=unit)
                for setting in settings
            ]
    return PrunersInfo(
        replays=tuple(replays),
        n_complete=len(complete),
        n_replayed=len(curves) if refusal is None else 0,
        n_orders=n_orders,
        every=every,
        refusal=refusal,
        caution=None if refusal else _caution(len(complete), len(pruned)),
    )


def suggest_pruner(
    info: PrunersInfo, *, max_best_pruned: float = MAX_BEST_PRUNED, offered: bool = False
) -> PrunerReplay | None:
    """Return the pruner that saves most of those that hardly ever end the best trial, if any.

    Args:
        max_best_pruned: Share of the orders in which it may end the best trial.
        offered: Whether it must be one that ``run --pruner`` offers.
    """
    harmless = [
        replay
        for replay in info.replays
        if replay.share_best_pruned <= max_best_pruned
        and replay.share_saved > 0
        and (replay.option is not None or not offered)
    ]
    return max(harmless, key=lambda replay: replay.share_saved, default=None)


def _points(
    epochs: np.ndarray,
    complete: Sequence[_Curve],
    pruned: Sequence[_Curve],
    *,
    n_resamples: int,
    seed: int,
) -> tuple[FidelityPoint, ...]:
    final = np.asarray([curve.final for curve in complete])
    early = _best_so_far(complete, epochs)
    early_pruned = _best_so_far(pruned, epochs)
    last = _worst_if_missing([curve.values[-1] for curve in pruned])
    varying = [i for i, row in enumerate(early) if row.min() < row.max() and np.ptp(final) > 0]
    intervals = {}
    if varying:
        ranks = stats.rankdata(early[varying], axis=1)
        _, resampled = resampled_correlations(ranks, final, n_resamples=n_resamples, seed=seed)
        intervals = {i: percentile_interval(resampled[k]) for k, i in enumerate(varying)}
    points = []
    for i, epoch in enumerate(map(int, epochs)):
        n_before = sum(curve.steps[-1] < epoch for curve in pruned)
        low, high = intervals.get(i, (None, None))
        both = np.concatenate([early[i], early_pruned[i]])
        points.append(
            FidelityPoint(
                step=epoch,
                n_trials=len(complete),
                spearman=_spearman(early[i], final),
                low=low,
                high=high,
                n_pruned_before=n_before,
                share_pruned_before=n_before / (len(complete) + len(pruned)),
                pruned_worst=_spearman(both, _one_after_the_other(final, last)),
                pruned_best=_spearman(both, -_one_after_the_other(-final, early_pruned[i])),
            )
        )
    return tuple(points)


def _best_so_far(curves: Sequence[_Curve], epochs: np.ndarray) -> np.ndarray:
    """Return the lowest value up to each step or the end, shape ``(n_epochs, n_curves)``.

    It is infinite before the first report.
    """
    columns = []
    for curve in curves:
        lowest = np.minimum.accumulate([np.inf, *_worst_if_missing(curve.values)])
        columns.append(lowest[np.searchsorted(curve.steps, epochs, side="right")])
    return np.asarray(columns).reshape(len(curves), len(epochs)).T


def _worst_if_missing(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Turn NaN into infinity."""
    array = np.asarray(values, dtype=float)
    return np.where(np.isnan(array), np.inf, array)


def _one_after_the_other(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the ranks of both, those of the second behind all of the first."""
    return np.concatenate([stats.rankdata(first), len(first) + stats.rankdata(second)])


def _spearman(x: np.ndarray, y: np.ndarray) -> float | None:
    x, y = stats.rankdata(x), stats.rankdata(y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def _replay(
    setting: PrunerSetting,
    orders: Sequence[Sequence[_Curve]],
    known: np.ndarray,
    *,
    steps: str,
    unit: float,
) -> PrunerReplay:
    best = min(curve.final for curve in orders[0])
    worst = max(curve.final for curve in orders[0])
    n_epochs = sum(curve.cost for curve in orders[0])
    saved, regrets = [], []
    for i, order in enumerate(orders):
        n_run, survivors = _run(setting.make(len(known)), order, known, name=f"order {i}")
        saved.append(1 - n_run / n_epochs)
        regrets.append(min(survivors, default=worst) - best)
    n_best_pruned = sum(regret > 0 for regret in regrets)
    interval = stats.binomtest(n_best_pruned, len(orders)).proportion_ci(method="wilson")
    mean_regret = float(np.mean(regrets))
    return PrunerReplay(
        name=setting.name.format(steps=steps),
        option=setting.option,
        share_saved=float(np.mean(saved)),
        n_best_pruned=n_best_pruned,
        share_best_pruned=n_best_pruned / len(orders),
        low=float(interval.low),
        high=float(interval.high),
        mean_regret=mean_regret,
        mean_relative_regret=mean_regret / unit if unit else None,
    )


def _run(
    pruner: BasePruner, curves: Sequence[_Curve], known: np.ndarray, *, name: str
) -> tuple[int, list[float]]:
    """Return the steps that were trained under a pruner, and the final values it let through.

    The pruner counts the known steps, whatever their distance.

    The name decides, by Optuna's rule, which bracket of Hyperband a trial belongs to.
    """
    storage = _Trials()
    study = optuna.create_study(study_name=name, storage=storage, pruner=pruner)
    n_run = 0
    survivors = []
    for curve in curves:
        storage.trials.append(frozen_trial(len(storage.trials), None, {}, {}, TrialState.RUNNING))
        places = np.searchsorted(known, curve.steps).tolist()
        for step, place, value in zip(
            curve.steps.tolist(), places, curve.values.tolist(), strict=True
        ):
            storage.trials[-1].intermediate_values[place] = value
            if place < places[-1] and pruner.prune(study, storage.trials[-1]):
                storage.trials[-1].state = TrialState.PRUNED
                n_run += step + curve.ahead
                break
        else:
            storage.trials[-1].state = TrialState.COMPLETE
            n_run += curve.cost
            survivors.append(curve.final)
    return n_run, survivors


def _choose(
    trials: Sequence[TrialRecord], n: int, rng: np.random.Generator, kind: KindInfo
) -> Sequence[TrialRecord]:
    """Return at most n of a study's trials in their order, the best one among them."""
    if len(trials) <= n:
        return trials
    best = min(range(len(trials)), key=lambda i: _final(trials[i], kind))
    others = [i for i in range(len(trials)) if i != best]
    kept = {best, *map(int, rng.choice(others, size=n - 1, replace=False))}
    return [trials[i] for i in sorted(kept)]


def _reporting(record: StudyRecord, kind: KindInfo) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Return complete trials with a value, by start, and pruned ones; those with a curve."""
    reporting = [trial for trial in record.trials if trial.intermediate_values]
    complete = [
        trial
        for trial in reporting
        if trial.state == TrialState.COMPLETE and math.isfinite(_final(trial, kind))
    ]
    complete.sort(key=lambda trial: (trial.started or EARLIEST, trial.number))
    return complete, [trial for trial in reporting if trial.state == TrialState.PRUNED]


def _curve(trial: TrialRecord, kind: KindInfo) -> _Curve:
    stored = np.asarray(sorted(trial.intermediate_values))
    values = np.asarray([trial.intermediate_values[step] for step in stored.tolist()], dtype=float)
    return _Curve(
        steps=stored + kind.first_step,
        values=kind.objective.sign * values,
        final=_final(trial, kind),
        ahead=int(stored[0] == 0) - kind.first_step,
    )


def _final(trial: TrialRecord, kind: KindInfo) -> float:
    return math.nan if trial.value is None else kind.objective.sign * trial.value


def _trainings(kind: KindInfo) -> str:
    return "trainings" if kind.name else "trials"


def _refusal(what: str, n_complete: int) -> str | None:
    text = (
        f"{what} needs at least {MIN_TRIALS} complete trials with a finite value and a learning "
        f"curve; this study has {n_complete}."
    )
    return text if n_complete < MIN_TRIALS else None


def _caution(n_complete: int, n_pruned: int) -> str | None:
    text = (
        f"{n_pruned} of {n_complete + n_pruned} trials were pruned and their ends are unknown, "
        "so this speaks of the trials that a pruner had let through."
    )
    return text if n_pruned else None
