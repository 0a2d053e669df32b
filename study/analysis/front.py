"""The trade-off between reconstruction error and accuracy; must not know how it is drawn."""

from collections.abc import Iterable
from dataclasses import dataclass

from storage.records import StudyRecord
from study.analysis import (
    BALANCED_ACCURACY,
    VALIDATION_ACCURACY,
    breaks_constraint,
    family_of,
    min_accuracy_of,
    ranked,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """One complete trial with both metrics.

    Args:
        number: The trial's number.
        family: Architecture.
        strategy: How its two parts were trained, None if the trial has no such parameter.
        mse: Validation MSE.
        accuracy: Validation accuracy.
        balanced_accuracy: Mean recall of the classes, None if not stored.
        infeasible: Whether it breaks the study's constraint.
        on_front: Whether no other trial is at least as good in both metrics and better in one.
            Of several equal trials the earliest stands for all.
    """

    number: int
    family: str
    strategy: str | None
    mse: float
    accuracy: float
    balanced_accuracy: float | None
    infeasible: bool
    on_front: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontInfo:
    """All complete trials with both metrics, and the front that none of them lies beyond.

    Args:
        points: In the order of the trials' numbers.
        min_accuracy: Validation accuracy that the study demands, None for no constraint.
    """

    points: tuple[FrontPoint, ...]
    min_accuracy: float | None

    @property
    def front(self) -> tuple[FrontPoint, ...]:
        """The points on the front, by rising error and so by rising accuracy."""
        return tuple(sorted((p for p in self.points if p.on_front), key=lambda p: p.mse))

    @property
    def lowest_error(self) -> FrontPoint | None:
        """The point with the lowest validation MSE, or None without any point."""
        return self.front[0] if self.points else None

    @property
    def most_accurate(self) -> FrontPoint | None:
        """The point with the highest validation accuracy, or None without any point."""
        return self.front[-1] if self.points else None


def get_front(record: StudyRecord) -> FrontInfo:
    """Find the trials that no other trial beats in validation MSE and accuracy together.

    Args:
        record: The study; only its complete trials with both metrics count, also those that
            break its constraint.

    Returns:
        The trials as points, with those on the front marked.
    """
    measured = sorted(
        (
            (mse, accuracy, trial)
            for mse, trial in ranked(record)
            if (accuracy := VALIDATION_ACCURACY.of(trial)) is not None
        ),
        key=lambda item: item[2].number,
    )
    front = non_dominated((mse, accuracy) for mse, accuracy, _ in measured)
    return FrontInfo(
        points=tuple(
            FrontPoint(
                number=trial.number,
                family=family_of(trial),
                strategy=str(trial.params["strategy"]) if "strategy" in trial.params else None,
                mse=mse,
                accuracy=accuracy,
                balanced_accuracy=BALANCED_ACCURACY.of(trial),
                infeasible=breaks_constraint(trial),
                on_front=i in front,
            )
            for i, (mse, accuracy, trial) in enumerate(measured)
        ),
        min_accuracy=min_accuracy_of(record),
    )


def non_dominated(points: Iterable[tuple[float, float]]) -> set[int]:
    """Return the positions of the points that no other dominates, the first of equal ones.

    A point dominates another if its first number is not higher, its second not lower, and one
    of them differs.

    Args:
        points: Pairs of a number to minimise and one to maximise, all finite.

    Returns:
        Positions in ``points``.

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
