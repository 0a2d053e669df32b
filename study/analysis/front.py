"""The trade-off between the first two metrics of a kind."""

from collections.abc import Iterable
from dataclasses import dataclass

from storage.records import StudyRecord
from study.analysis import (
    branch_of,
    breaks_constraint,
    family_of,
    kind_of,
    min_accuracy_of,
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
    signs = first.sign, 1.0 if second is None else -second.sign
    front = non_dominated((signs[0] * value, signs[1] * other) for value, other, _ in measured)
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
        front=tuple(sorted((p for p in points if p.on_front), key=lambda p: signs[0] * p.mse)),
        branch=branch,
        min_accuracy=min_accuracy_of(record),
    )


def non_dominated(points: Iterable[tuple[float, float]]) -> set[int]:
    """Return the positions of the points that no other dominates, the first of equal ones.

    A point dominates another if its first number is not higher, its second not lower, and one
    of them differs: pairs of a finite number to minimise and one to maximise.

    Source: the sweep of Kung, Luccio, Preparata, "On finding the maxima of a set of vectors",
        Journal of the ACM 22, 1975, for two dimensions.
    """
    found = set()
    highest = float("-inf")
    for i, (_, second) in sorted(enumerate(points), key=lambda p: (p[1][0], -p[1][1], p[0])):
        if second > highest:
            found.add(i)
            highest = second
    return found
