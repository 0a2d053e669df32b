"""How many trainings a study still needs, which of a grid may be far fewer than its points."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from search_spaces import Scalar, SearchSpace
from storage import attrs
from storage.values import Owner


def grid_trainings(space: SearchSpace, fixed: Mapping[str, Scalar]) -> list[str]:
    """Return for each point of a grid the training that answers it.

    Points share one where they differ in their length alone, or in what has no effect;
    it is trained once, and the others are answered from its curve.
    """
    return [space.to_config(point).identity() for point in space.grid(fixed)]


AnyFinished = TypeVar("AnyFinished", bound=Owner)


def to_train(
    trainings: Sequence[str], finished: Sequence[AnyFinished], *, remaining: int
) -> tuple[int, list[AnyFinished]]:
    """Return how many trials are yet to be trained, and which of the finished ones were.

    Args:
        trainings: Of a grid's points, by ``grid_trainings``; empty for other studies.
        remaining: Trials that are wanted beside the finished ones.
    """
    if not trainings:
        return remaining, list(finished)
    left = trainings_left(trainings, [trial.user_attrs for trial in finished])
    return left, [trial for trial in finished if attrs.REUSED_FROM.of(trial) is None]


def trainings_left(trainings: Sequence[str], finished: Iterable[Mapping[str, Any]]) -> int:
    """Return how many trainings a grid still needs, given its finished trials' attributes."""
    by_replicate: dict[int, set[str]] = {0: set()}
    for own in finished:
        if (index := attrs.DESIGN_INDEX.among(own)) is not None:
            done = by_replicate.setdefault(attrs.REPLICATE.among(own) or 0, set())
            done.add(trainings[index])
    return len(set(trainings) - by_replicate[max(by_replicate)])
