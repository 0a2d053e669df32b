"""The trade-off between two metrics, and the trials that are the best in all objectives."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from storage.records import StudyRecord, TrialRecord
from study.analysis import branch_of, kind_of, min_accuracy_of, objectives_of
from study.analysis.thinning import MAX_MARKS, thin
from study.metrics import Metric

MAX_FRONTS = 6
"""Pairs of objectives that are looked at: all of up to four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """One complete trial with both metrics.

    Args:
        first, second: Values of the two metrics.
        on_front: Whether no other trial is at least as good in both metrics and better in one.
            Of several equal trials the earliest stands for all. With several objectives, whether
            no other beats it in all of them.
    """

    trial: TrialRecord
    first: float
    second: float
    on_front: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Trials along two metrics, and the front that none of them lies beyond."""

    first: Metric
    second: Metric
    points: tuple[FrontPoint, ...]
    max_marks: ClassVar[int] = MAX_MARKS

    @property
    def front(self) -> tuple[FrontPoint, ...]:
        """The points on the front, those with the best first metric first."""
        signs = self.first.sign, self.second.sign
        found = (point for point in self.points if point.on_front)
        return tuple(sorted(found, key=lambda p: (signs[0] * p.first, signs[1] * p.second)))

    @property
    def shown(self) -> tuple[FrontPoint, ...]:
        """As many points as a chart can show, those on the front among them."""
        return thin(self.points, self.max_marks, keep=lambda point: point.on_front)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontInfo(Front):
    """All complete trials with both metrics.

    Args:
        branch: A choice beside the family that other parameters depend on.
        least: Value of the second metric that the study demands, if it does.
        joined: Whether the front is one of these two metrics alone, hence a line.
    """

    branch: str | None
    least: float | None
    joined: bool

    @property
    def best_in_first(self) -> FrontPoint | None:
        """The point of the front with the best first metric."""
        return self.front[0] if self.front else None

    @property
    def best_in_second(self) -> FrontPoint | None:
        """The point of the front with the best second metric."""
        sign = self.second.sign
        return min(self.front, key=lambda point: sign * point.second, default=None)


def get_fronts(record: StudyRecord) -> tuple[FrontInfo, ...]:
    """Find the trials that are the best in two metrics together.

    Complete trials with a finite value of both count, also those that break the constraint.

    Returns:
        One front of each pair of objectives of a study that has several, at most six; else that
        of the first two metrics of the kind, if it has a second one.
    """
    kind, metrics = kind_of(record), objectives_of(record)
    several = len(metrics) > 1
    if not several:
        metrics = tuple(m for m in (kind.objective, kind.second) if m is not None)
    unbeaten = {trial.number for trial in get_unbeaten(record)} if several else None
    pairs = [*combinations(metrics, 2)]
    fronts = []
    for first, second in pairs[:MAX_FRONTS]:
        measured = [
            (value, other, trial)
            for trial in record.complete
            if (value := first.of(trial)) is not None and (other := second.of(trial)) is not None
        ]
        front = FrontInfo(
            first=first,
            second=second,
            points=lay_out(measured, first, second, unbeaten),
            branch=branch_of(record),
            least=min_accuracy_of(record),
            joined=len(pairs) == 1,
        )
        fronts.append(front)
    return tuple(fronts)


def lay_out(
    measured: Sequence[tuple[float, float, TrialRecord]],
    first: Metric,
    second: Metric,
    unbeaten: set[int] | None = None,
) -> tuple[FrontPoint, ...]:
    """Lay trials along two metrics; without ``unbeaten`` ones find those that are, in these."""
    if unbeaten is None:
        places = non_dominated([(first.sign * v, second.sign * o) for v, o, _ in measured])
        unbeaten = {measured[i][2].number for i in places}
    return tuple(
        FrontPoint(trial=trial, first=v, second=o, on_front=trial.number in unbeaten)
        for v, o, trial in measured
    )


def get_unbeaten(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """Return the trials that no other beats in all objectives of a study together.

    Of one objective that is the best trial. All of equal ones count, as for Optuna.
    """
    if len(record.directions) == 1:
        return () if record.best is None else (record.best,)
    found = comparable(record)
    front = {found[i][1] for i in non_dominated([losses for _, losses in found])}
    return tuple(trial for trial, losses in found if losses in front)


def comparable(record: StudyRecord) -> list[tuple[TrialRecord, tuple[float, ...]]]:
    """Return the trials that could be the best in all objectives, each with its losses.

    Those are complete and keep the constraint. A loss is a value, with the other sign where it is
    to be high; infinite ones compare as well.
    """
    objectives, found = objectives_of(record), []
    for trial in record.complete:
        values = [metric.any_of(trial) for metric in objectives]
        losses = tuple(
            m.sign * v for m, v in zip(objectives, values, strict=True) if v is not None
        )
        if trial.feasible and len(losses) == len(objectives):
            found.append((trial, losses))
    return found


def non_dominated(losses: Sequence[tuple[float, ...]]) -> set[int]:
    """Return the positions of the points that no other dominates, the first of equal ones.

    A point dominates another if none of its numbers is higher and one of them is lower.

    Args:
        losses: Equally many numbers of each point, all to be low.

    Source: with points in lexicographic order only earlier ones can dominate a later one, as in
        Kung, Luccio, Preparata, "On finding the maxima of a set of vectors", Journal of the ACM
        22, 1975.
    """
    found: list[int] = []
    front = np.empty(np.shape(losses))
    for i in sorted(range(len(losses)), key=lambda i: losses[i]):
        if not (front[: len(found)] <= losses[i]).all(axis=1).any():
            front[len(found)] = losses[i]
            found.append(i)
    return set(found)
