"""What short trainings say about long ones, and what pruners would have done with them."""

import copy
import itertools
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

from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis import each_training_once, kind_of, margin
from study.analysis.correlation import (
    default_resamples,
    percentile_interval,
    resampled_correlations,
)
from study.analysis.estimates import Interval
from study.analysis.optuna_parts import frozen_trial, quiet_optuna
from study.analysis.spent import EARLIEST
from study.formats import format_percent, plural
from study.kind_info import KindInfo
from study.sampling.names import StalledPruner

MIN_TRIALS = 10

MAX_BEST_PRUNED = 0.1
"""Share of the studies in which an advised pruner may end what would have been the best trial."""

MAX_TRIALS = 25
"""Trials of a replayed study, at most."""

BEST_SHARE = 0.2
"""Of the trials; each of these is once the best of a replayed study."""

JUDGED_LEVEL = 0.9
"""Of the two-sided intervals, so that a share lies above their upper end in one case of 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FidelityPoint:
    """How well the values at one step of the trainings tell the final ones.

    Args:
        step: As people count it.
        spearman: Rank correlation between their value at this step, or their best one up to it
            (``FidelityInfo.at_step``), and their final one, None where either does not vary.
        interval: Of 95 %, over resampled trials; None where more than 5 % of the
            resamples have no coefficient.
        n_pruned_before: Pruned trials that ended before this step; the share is that in all.
        pruned_worst: The coefficient with all pruned trials, had they ended behind every
            complete one, in the order of their last values: the pruner was right each time.
        pruned_best: The same, had they ended before every complete one, those first that look
            worst here: the pruner was wrong each time. Where all pruned trials look worse than
            the complete ones, no other outcome of them has a lower coefficient.
    """

    step: int
    spearman: float | None
    interval: Interval | None
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
        at_step: Whether values at a step are compared, as final values are the last ones; where
            some are not, they may be the best of a curve, and the best up to a step are compared.
        n_epochs: The last step that all of the complete trials reached.
    """

    points: tuple[FidelityPoint, ...] = ()
    at_step: bool
    n_complete: int
    n_pruned: int
    n_epochs: int
    longest: int
    n_resamples: int
    refusal: str | None
    caution: str | None = None

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
    """What one pruner would have done in replayed studies, of which each has another best trial.

    Args:
        saved: Share of all steps that it would have saved, study by study.
        regrets: Final value of the best survivor minus the best one, as errors, study by study;
            where nothing survives, that of the worst trial.
        unit: The size of the best value of all, or its distance from the median where shares of a
            value mean nothing.
    """

    name: str
    option: str | None
    saved: tuple[float, ...]
    regrets: tuple[float, ...]
    unit: float

    def of(self, places: Sequence[int]) -> "PrunerReplay":
        """Return what it did in some of the studies."""
        saved, regrets = ([values[i] for i in places] for values in (self.saved, self.regrets))
        return replace(self, saved=tuple(saved), regrets=tuple(regrets))

    @property
    def share_saved(self) -> float:
        """Mean share of the steps that it would have saved."""
        return float(np.mean(self.saved))

    @property
    def n_studies(self) -> int:
        return len(self.regrets)

    @property
    def n_best_pruned(self) -> int:
        """Studies in which no trial with the best final value survived."""
        return sum(regret > 0 for regret in self.regrets)

    @property
    def share_best_pruned(self) -> float:
        return self.n_best_pruned / self.n_studies

    @property
    def interval(self) -> Interval:
        """The exact 90 % interval of the share of these, over other best trials."""
        found = stats.binomtest(self.n_best_pruned, self.n_studies)
        interval = found.proportion_ci(confidence_level=JUDGED_LEVEL, method="exact")
        return Interval(float(interval.low), float(interval.high))

    @property
    def mean_regret(self) -> float:
        return float(np.mean(self.regrets))

    @property
    def mean_relative_regret(self) -> float | None:
        """The mean regret in units of ``unit``, None where that is 0."""
        return self.mean_regret / self.unit if self.unit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunersInfo:
    """What several pruners would have done with the complete trials of a study.

    The trials are parted into two halves. In studies of each half, a trial of its best fifth and
    worse ones run one after the other, so a pruner knows more of earlier trials than with several
    workers.

    Args:
        replays: In the order of the settings; empty with too few complete trials.
        halves: Places of the studies of each half in the replays.
        every: One in so many reports is what a pruner gets.
    """

    replays: tuple[PrunerReplay, ...] = ()
    halves: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    n_complete: int
    n_trials: int = 0
    every: int = 1

    @property
    def n_studies(self) -> int:
        """Replayed studies, in both halves together."""
        return sum(map(len, self.halves))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunerAdvice:
    """A pruner, and what such a choice does to trials that had no part in it.

    Args:
        judged: What the choices from either half did in the studies of the other one.
    """

    pruner: PrunerReplay
    judged: PrunerReplay

    @property
    def sure(self) -> bool:
        """Whether it ends the best trial as rarely as ``MAX_BEST_PRUNED``."""
        return self.judged.interval[1] <= MAX_BEST_PRUNED


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


def _halving(part: int, steps: int) -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=max(1, steps // part), reduction_factor=3)


def _hyperband(part: int, steps: int) -> BasePruner:
    lowest = max(1, steps // part)
    return HyperbandPruner(min_resource=lowest, max_resource=steps, reduction_factor=3)


PRUNER_SETTINGS = (
    PrunerSetting(
        name="median, from 10\N{NO-BREAK SPACE}% of the {steps} on, once a trial stands still",
        # A report of the replay stands for as many steps as `run` waits for an improvement.
        make=lambda steps: StalledPruner(_median(0.1, steps), patience=1),
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


def get_fidelity(record: StudyRecord) -> FidelityInfo:
    """Correlate early values with the final one, for at most 20 steps.

    Where the final value is the last of each curve, its value at a step counts, else the best one
    up to a step.

    Args:
        record: Its complete trials with a finite value and a curve count, feasible or not. Values
            that are not numbers are the worst ones.

    Source: rank correlation between budgets: Falkner, Klein, Hutter, "BOHB: Robust and Efficient
        Hyperparameter Optimization at Scale", ICML 2018, arXiv:1807.01774; intervals: Efron,
        Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    kind = kind_of(record)
    complete, pruned = ([_curve(t, kind) for t in trials] for trials in _reporting(record, kind))
    lasts = [int(curve.steps[-1]) for curve in complete]
    n_epochs = min(lasts, default=0)
    at_step = all(curve.final == curve.values[-1] for curve in complete) and any(
        curve.final > np.nanmin(curve.values) for curve in complete
    )
    info = FidelityInfo(
        at_step=at_step,
        n_complete=len(complete),
        n_pruned=len(pruned),
        n_epochs=n_epochs,
        longest=max(lasts, default=0),
        n_resamples=default_resamples(len(complete)),
        refusal=_refusal(kind, len(complete)),
    )
    if info.refusal is not None:
        return info
    known = np.unique(np.concatenate([curve.steps for curve in complete]))
    known = known[known <= n_epochs]
    epochs = known[np.unique(np.geomspace(1, len(known), 20).round().astype(int)) - 1]
    points = _points(info, epochs, complete, pruned)
    return replace(info, points=points, caution=_caution(len(complete), len(pruned)))


def replay_pruners(
    record: StudyRecord,
    settings: Sequence[PrunerSetting] = PRUNER_SETTINGS,
    *,
    max_studies: int = 48,
    max_reports: int = 20,
) -> PrunersInfo:
    """Let pruners decide on trainings whose end is known.

    How often a pruner ends the best trial depends on few trials, the best ones, and other orders
    of the same trials say nothing of others. So each trial of the best fifth is once the best of a
    study, among worse ones that are drawn at random, in random order. Optuna's own pruners see
    the stored values as those of a study in memory. A trial that a pruner ends has cost its steps
    up to there; all others keep their final value.

    Args:
        max_studies: In both halves together; of more best trials, a random choice.
        max_reports: Of longer curves, pruners see each second, third, ... value and the last.

    Source: ``MedianPruner``, ``SuccessiveHalvingPruner`` and ``HyperbandPruner`` of Optuna;
        choosing on some and judging on others: Stone, "Cross-Validatory Choice and Assessment of
        Statistical Predictions", JRSS B 36, 1974; interval: Clopper, Pearson, "The Use of
        Confidence or Fiducial Limits", Biometrika 26, 1934, by ``scipy.stats.binomtest``.
    """
    kind = kind_of(record)
    complete, _ = _reporting(record, kind)
    info = PrunersInfo(n_complete=len(complete))
    if len(complete) < MIN_TRIALS:
        return info
    rng = np.random.default_rng(0)
    curves = [_curve(trial, kind) for trial in complete]
    known = np.unique(np.concatenate([curve.steps for curve in curves]))
    every = max(1, math.ceil(len(known) / max_reports))
    thinned = [c.thinned(np.searchsorted(known, c.steps), every) for c in curves]
    order = rng.permutation(len(thinned))
    halves = [[thinned[i] for i in order[first::2]] for first in (0, 1)]
    n_trials = min(MAX_TRIALS, *(len(half) - _n_best(half) + 1 for half in halves))
    first, second = (_studies(half, n_trials, max_studies // 2, rng) for half in halves)
    studies = [*first, *second]
    unit = margin(kind.objective, sorted(curve.final for curve in curves), 1.0)
    with quiet_optuna():
        replays = tuple(
            _replay(setting, studies, known, steps=plural(kind.step), unit=unit)
            for setting in settings
        )
    places = tuple(range(len(studies)))
    return replace(
        info,
        replays=replays,
        halves=(places[: len(first)], places[len(first) :]),
        n_trials=n_trials,
        every=every,
    )


def suggest_pruner(info: PrunersInfo, *, offered: bool = False) -> PrunerAdvice | None:
    """Choose the pruner that saves most of those that hardly ever end the best trial, and judge.

    Args:
        offered: Whether it must be one that ``run --pruner`` offers.

    Returns:
        None if there is no such pruner that saves anything, or none in the studies of a half.
    """
    replays = _harmless(info, info.halves[0] + info.halves[1], offered=offered)
    chosen, judged = next((r for r in replays if r.share_saved > 0), None), []
    if chosen is None:
        return None
    for mine, other in (info.halves, info.halves[::-1]):
        found = _harmless(info, mine, offered=offered)
        if not found:
            return None
        (whole,) = [replay for replay in info.replays if replay.name == found[0].name]
        judged.append(whole.of(other))
    saved = tuple(itertools.chain.from_iterable(half.saved for half in judged))
    regrets = tuple(itertools.chain.from_iterable(half.regrets for half in judged))
    return PrunerAdvice(pruner=chosen, judged=replace(chosen, saved=saved, regrets=regrets))


def describe_no_advice(info: PrunersInfo, *, offered: bool, steps: str) -> str:
    """Say why no pruner is chosen, in words that the table of all replays bears out."""
    saving = [r for r in info.replays if r.share_saved > 0 and (r.option or not offered)]
    best = next(iter(_harmless(info, info.halves[0] + info.halves[1], offered=offered)), None)
    if not saving:
        return f"none of them saves {steps}"
    limit = format_percent(MAX_BEST_PRUNED / 2)
    if best is None or best.share_saved == 0:
        return f"each that saves {steps} ended the best trial in more than {limit} of the studies"
    return (
        f"{best.name} hardly ever ended the best trial, but in one half of these trials alone "
        f"each ended it in more than {limit} of the studies"
    )


def _harmless(info: PrunersInfo, places: Sequence[int], *, offered: bool) -> list[PrunerReplay]:
    """Return what hardly ever ended the best trial of some studies, what saves most first."""
    replays = [r.of(places) for r in info.replays if places and (r.option or not offered)]
    found = [r for r in replays if r.share_best_pruned <= MAX_BEST_PRUNED / 2]
    return sorted(found, key=lambda replay: -replay.share_saved)


def _n_best(curves: Sequence[_Curve]) -> int:
    return math.ceil(BEST_SHARE * len(curves))


def _studies(
    curves: Sequence[_Curve], n_trials: int, n_studies: int, rng: np.random.Generator
) -> list[list[_Curve]]:
    """Return studies in which one of the best is the best, the others being worse, shuffled."""
    ranks = np.argsort([curve.final for curve in curves], kind="stable")
    bests = rng.permutation(_n_best(curves))[:n_studies]
    found = []
    for best in sorted(bests.tolist()):
        others = rng.choice(ranks[best + 1 :], n_trials - 1, replace=False)
        found.append([curves[i] for i in rng.permutation([ranks[best], *others])])
    return found


def _points(
    info: FidelityInfo, epochs: np.ndarray, complete: Sequence[_Curve], pruned: Sequence[_Curve]
) -> tuple[FidelityPoint, ...]:
    final = np.asarray([curve.final for curve in complete])
    early, early_pruned = (_early(curves, epochs, info.at_step) for curves in (complete, pruned))
    last = _worst_if_missing([curve.values[-1] for curve in pruned])
    varying = [i for i, row in enumerate(early) if row.min() < row.max() and np.ptp(final) > 0]
    intervals = {}
    if varying:
        ranks = stats.rankdata(early[varying], axis=1)
        resampled = resampled_correlations(ranks, final, n_resamples=info.n_resamples)
        intervals = {i: percentile_interval(resampled[k]) for k, i in enumerate(varying)}
    points = []
    for i, epoch in enumerate(map(int, epochs)):
        n_before = sum(curve.steps[-1] < epoch for curve in pruned)
        both = np.concatenate([early[i], early_pruned[i]])
        points.append(
            FidelityPoint(
                step=epoch,
                spearman=_spearman(early[i], final),
                interval=intervals.get(i),
                n_pruned_before=n_before,
                share_pruned_before=n_before / (len(complete) + len(pruned)),
                pruned_worst=_spearman(both, _one_after_the_other(final, last)),
                pruned_best=_spearman(both, -_one_after_the_other(-final, early_pruned[i])),
            )
        )
    return tuple(points)


def _early(curves: Sequence[_Curve], epochs: np.ndarray, at_step: bool) -> np.ndarray:
    """Return the last or the lowest value up to each step, shape ``(n_epochs, n_curves)``.

    It is infinite before the first report.
    """
    columns = []
    for curve in curves:
        values = np.asarray([np.inf, *_worst_if_missing(curve.values)])
        values = values if at_step else np.minimum.accumulate(values)
        columns.append(values[np.searchsorted(curve.steps, epochs, side="right")])
    return np.asarray(columns).reshape(len(curves), len(epochs)).T


def _worst_if_missing(values: Sequence[float] | np.ndarray) -> np.ndarray:
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
    studies: Sequence[Sequence[_Curve]],
    known: np.ndarray,
    *,
    steps: str,
    unit: float,
) -> PrunerReplay:
    saved, regrets = [], []
    for i, curves in enumerate(studies):
        finals = [curve.final for curve in curves]
        n_run, survivors = _run(setting.make(len(known)), curves, known, name=f"study {i}")
        saved.append(1 - n_run / sum(curve.cost for curve in curves))
        regrets.append(min(survivors, default=max(finals)) - min(finals))
    return PrunerReplay(
        name=setting.name.format(steps=steps),
        option=setting.option,
        saved=tuple(saved),
        regrets=tuple(regrets),
        unit=unit,
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


def _reporting(record: StudyRecord, kind: KindInfo) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Return complete trials with a value, by start, and pruned ones; those with a curve.

    Of trials that share a training, the one that was trained.
    """
    trained_first = sorted(record.trials, key=lambda t: attrs.REUSED_FROM.of(t) is not None)
    reporting = each_training_once(t for t in trained_first if t.intermediate_values)
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


def _refusal(kind: KindInfo, n_complete: int) -> str | None:
    text = (
        f"The fidelity of short {'trainings' if kind.name else 'trials'} needs at least "
        f"{MIN_TRIALS} complete trials with a finite value and a learning curve; this study has "
        f"{n_complete}."
    )
    return text if n_complete < MIN_TRIALS else None


def _caution(n_complete: int, n_pruned: int) -> str | None:
    text = (
        f"{n_pruned} of {n_complete + n_pruned} trials were pruned and their ends are unknown, "
        "so this speaks of the trials that a pruner had let through."
    )
    return text if n_pruned else None
