"""How a search went: values over trials, learning curves, and the totals of a study."""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from optuna.trial import TrialState

from storage.attrs import REUSED_FROM
from storage.records import StudyRecord, TrialRecord
from study.analysis import breaks_constraint, kind_of, ranked
from study.analysis.failures import FailuresInfo, get_failures
from study.analysis.spent import SpentInfo, epochs_run, get_spent, training_seconds
from study.analysis.thinning import MAX_MARKS, thin
from study.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """One trial of the optimisation history.

    Args:
        value: Objective value, which may be infinite, or the last finite intermediate value of a
            trial without one.
        best: Best value of the feasible complete trials up to and including this one.
    """

    trial: TrialRecord
    value: float | None
    best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryInfo:
    """The optimisation history of an objective, in the order of the trials' numbers."""

    metric: Metric
    points: tuple[HistoryPoint, ...]

    @property
    def valued(self) -> tuple[HistoryPoint, ...]:
        """The points that have a value."""
        return tuple(point for point in self.points if point.value is not None)

    @property
    def drawable(self) -> tuple[HistoryPoint, ...]:
        """The points whose value has a place on an axis."""
        return tuple(point for point in self.valued if math.isfinite(point.value or 0.0))

    @property
    def incumbents(self) -> tuple[HistoryPoint, ...]:
        """The points that were the best so far."""
        before = [None, *(point.best for point in self.points)]
        return tuple(p for p, best in zip(self.points, before, strict=False) if p.best != best)

    @property
    def shown(self) -> tuple[HistoryPoint, ...]:
        """As many points as a chart can show, every incumbent that has a place among them."""
        best = {point.trial.number for point in self.incumbents}
        return thin(self.drawable, MAX_MARKS, keep=lambda point: point.trial.number in best)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Intermediate values of one trial.

    Args:
        rank: Place among the feasible complete trials, from 1, or None for any other trial.
        epochs: Steps that were reported: of ours counted from 1, of others as they are stored.
        values: The objective after each of these steps; may hold NaN and infinity.
        seconds_per_step: The trial's mean training time; None where no time was stored or
            nothing was trained.
    """

    trial: TrialRecord
    rank: int | None
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    best: float | None
    seconds_per_step: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurvesInfo:
    """A readable number of learning curves: of the best trials, then of others by number.

    Args:
        n_best: How many of them are there for their rank.
        n_total: Trials with at least one intermediate value, kept here or not.
    """

    curves: tuple[LearningCurve, ...]
    n_best: int
    n_total: int

    @property
    def n_gaps(self) -> int:
        """Reports of these curves that are no finite number."""
        return sum(not math.isfinite(value) for curve in self.curves for value in curve.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryInfo:
    """The totals of a study.

    Args:
        best: The best feasible complete trial; None with several objectives, in which no trial
            need be the best.
        epochs_saved: Steps that pruned trials were asked for and did not run.
        n_reused: Finished trials that were answered from the training of another one.
    """

    n_trials: int
    by_state: Counter[TrialState]
    n_infeasible: int
    failures: FailuresInfo
    best: TrialRecord | None
    spent: SpentInfo
    epochs_saved: int
    n_reused: int
    last_completed: datetime | None


def get_history(record: StudyRecord, *, metric: Metric | None = None) -> HistoryInfo:
    """Collect the value of each trial and the best value so far.

    A pruned trial shows its last report, which never counts as the best: it comes from a shorter
    training. Nor does the value of a trial that breaks the constraint.

    Args:
        metric: One of several objectives, None for the first.
    """
    metric = metric or kind_of(record).objective
    points = []
    best: float | None = None
    for trial in record.trials:
        complete = trial.state == TrialState.COMPLETE
        if complete and trial.feasible and (own := metric.any_of(trial)) is not None:
            best = own if best is None or metric.is_better(own, best) else best
        points.append(HistoryPoint(trial=trial, value=_value_or_last(trial, metric), best=best))
    return HistoryInfo(metric=metric, points=tuple(points))


def get_learning_curves(
    record: StudyRecord, *, max_curves: int = 60, n_best: int = 20
) -> LearningCurvesInfo:
    """Choose learning curves: of the best trials, and of an even thinning of all others."""
    kind = kind_of(record)
    best_of = max if kind.objective.maximise else min
    feasible = [trial for _, trial in ranked(record, finite=False) if trial.feasible]
    ranks = {trial.number: rank for rank, trial in enumerate(feasible, start=1)}
    reporting = [trial for trial in record.trials if trial.intermediate_values]
    best = [trial for trial in feasible if trial.intermediate_values][:n_best]
    kept = {trial.number for trial in best}
    others = [trial for trial in reporting if trial.number not in kept]
    return LearningCurvesInfo(
        curves=tuple(
            LearningCurve(
                trial=trial,
                rank=ranks.get(trial.number),
                epochs=tuple(step + kind.first_step for step in trial.intermediate_values),
                values=tuple(trial.intermediate_values.values()),
                best=best_of(
                    filter(math.isfinite, trial.intermediate_values.values()), default=None
                ),
                seconds_per_step=_seconds_per_step(trial),
            )
            for trial in (*best, *thin(others, max_curves - len(best)))
        ),
        n_best=len(best),
        n_total=len(reporting),
    )


def get_summary(record: StudyRecord) -> SummaryInfo:
    """Count trials, time, steps and workers; all are zeros for a study without trials."""
    kind = kind_of(record)
    finished = [trial for trial in record.trials if trial.finished]
    pruned = [trial for trial in finished if trial.state == TrialState.PRUNED]
    best = None if len(record.directions) > 1 else record.best
    return SummaryInfo(
        n_trials=len(record.trials),
        by_state=Counter(trial.state for trial in record.trials),
        n_infeasible=sum(map(breaks_constraint, record.trials)),
        failures=get_failures(record),
        best=best,
        spent=get_spent(record),
        epochs_saved=sum(max(0, (kind.n_steps(t.params) or 0) - epochs_run(t)) for t in pruned),
        n_reused=sum(REUSED_FROM.of(trial) is not None for trial in finished),
        last_completed=max((t.completed for t in record.trials if t.completed), default=None),
    )


def _seconds_per_step(trial: TrialRecord) -> float | None:
    n_steps, seconds = epochs_run(trial), training_seconds(trial)
    if REUSED_FROM.of(trial) is not None or n_steps < 1 or not 0 < seconds < math.inf:
        return None
    return seconds / n_steps


def _value_or_last(trial: TrialRecord, metric: Metric) -> float | None:
    """Return the value of a trial, or its last report that is a number."""
    if trial.values or not metric.objective:
        return metric.any_of(trial)
    reports = reversed(list(trial.intermediate_values.values()))
    return next((value for value in reports if math.isfinite(value)), None)
