"""The trade-off between the first two metrics of a kind, and between all objectives of a study."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    branch_of,
    breaks_constraint,
    family_of,
    kind_of,
    min_accuracy_of,
    objectives_of,
    ranked,
    third_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """One complete trial with both metrics.

    Args:
        branch: Its value of ``FrontInfo.branch``.
        mse: Value of the objective; the accuracies are the kind's second and third metric.
        infeasible: Whether it breaks the study's constraint.
        on_front: Whether no other trial is at least as good in both metrics and better in one.
            Of several equal trials the earliest stands for all.
    """

    number: int
    family: str
    branch: str | None
    mse: float
    accuracy: float
    balanced_accuracy: float | None
    infeasible: bool
    on_front: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontInfo:
    """All complete trials with both metrics, and the front that none of them lies beyond.

    Args:
        points: By the trials' numbers.
        front: The points on the front, the best objective and so the worst second metric first.
        branch: A choice beside the family that other parameters depend on.
        min_accuracy: Value of the second metric that the study demands, if it does.
    """

    points: tuple[FrontPoint, ...]
    front: tuple[FrontPoint, ...]
    branch: str | None
    min_accuracy: float | None

    @property
    def lowest_error(self) -> FrontPoint | None:
        """The point with the best objective."""
        return self.front[0] if self.points else None

    @property
    def most_accurate(self) -> FrontPoint | None:
        """The point with the best second metric."""
        return self.front[-1] if self.points else None


def get_front(record: StudyRecord) -> FrontInfo:
    """Find the trials that no other trial beats in the first two metrics together.

    Complete trials with both metrics count, also those that break the constraint; there are no
    points where the kind has no second metric.
    """
    kind, branch, third = kind_of(record), branch_of(record), third_of(record)
    first, second = kind.objective, kind.second
    measured = [
        (value, other, trial)
        for value, trial in sorted(ranked(record), key=lambda item: item[1].number)
        if second is not None and (other := second.of(trial)) is not None
    ]
    sign = 1.0 if second is None else second.sign
    front = non_dominated([(first.sign * value, sign * other) for value, other, _ in measured])
    points = tuple(
        FrontPoint(
            number=trial.number,
            family=family_of(trial, kind.family),
            branch=None if (own := trial.params.get(branch or "")) is None else str(own),
            mse=value,
            accuracy=other,
            balanced_accuracy=None if third is None else third.of(trial),
            infeasible=breaks_constraint(trial),
            on_front=i in front,
        )
        for i, (value, other, trial) in enumerate(measured)
    )
    return FrontInfo(
        points=points,
        front=tuple(sorted((p for p in points if p.on_front), key=lambda p: first.sign * p.mse)),
        branch=branch,
        min_accuracy=min_accuracy_of(record),
    )


def get_unbeaten(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """Return the trials that no other beats in all objectives of a study together.

    Of one objective that is the best trial. Complete trials with a finite value of each objective
    count that keep the constraint; the earliest stands for equal ones.
    """
    found = comparable(record)
    front = non_dominated([losses for _, losses in found])
    return tuple(trial for i, (trial, _) in enumerate(found) if i in front)


def comparable(record: StudyRecord) -> list[tuple[TrialRecord, tuple[float, ...]]]:
    """Return the trials that could be the best in several objectives, each with its losses.

    Those are complete, keep the constraint, and have a finite value of each objective, which is
    a loss with the other sign where it is to be high.
    """
    objectives, found = objectives_of(record), []
    for trial in record.complete:
        values = [metric.of(trial) for metric in objectives]
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
        losses: Equally many finite numbers of each point, all to be low.

    Source: with points in lexicographic order only earlier ones can dominate a later one, as in
        Kung, Luccio, Preparata, "On finding the maxima of a set of vectors", Journal of the ACM
        22, 1975.
    """
    found: list[int] = []
    front = np.empty((len(losses), len(losses[0]) if losses else 0))
    for i in sorted(range(len(losses)), key=lambda i: losses[i]):
        if not (front[: len(found)] <= losses[i]).all(axis=1).any():
            front[len(found)] = losses[i]
            found.append(i)
    return set(found)
