"""How the front of several objectives advanced: the part of the space that it dominates."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.exceptions import ExperimentalWarning
from optuna.visualization import plot_hypervolume_history

from storage.records import StudyRecord
from study.analysis import objectives_of
from study.analysis.front import comparable
from study.analysis.optuna_parts import TrialSample, frozen_trial
from study.metrics import Metric

MAX_OBJECTIVES = 3
"""Beyond, the time that a large front takes has no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervolumeInfo:
    """The hypervolume after each trial.

    Args:
        objectives: With the worst (``reference``) and the best value of each: the ends of a box.
        numbers: Of the trials that count.
        shares: Of the box, what the trials up to each of these dominate.
        n_left_out: Complete trials with an infinite value, which keep the constraint.
    """

    objectives: tuple[Metric, ...]
    reference: tuple[float, ...]
    best: tuple[float, ...]
    numbers: tuple[int, ...]
    shares: tuple[float, ...]
    n_left_out: int


def get_hypervolume(record: StudyRecord) -> HypervolumeInfo | None:
    """Follow the hypervolume through the trials, in the order of their numbers.

    The point of reference is the worst value of each objective among the complete trials that
    keep the constraint. None for one objective or more than three, or where an objective is
    the same in all trials.

    Source: Zitzler, Thiele, "Multiobjective Evolutionary Algorithms", IEEE Transactions on
        Evolutionary Computation 3, 1999, by ``optuna.visualization.plot_hypervolume_history``.
    """
    objectives, known = objectives_of(record), comparable(record)
    found = [(trial, losses) for trial, losses in known if all(map(math.isfinite, losses))]
    columns = list(zip(*(losses for _, losses in found), strict=True))
    ends = [(min(column), max(column)) for column in columns]
    if not 1 < len(objectives) <= MAX_OBJECTIVES or not ends or any(a == b for a, b in ends):
        return None
    # Within the unit box no product is too large or too small for a number.
    points = [
        [
            (loss / 2 - best / 2) / (worst / 2 - best / 2)
            for loss, (best, worst) in zip(losses, ends, strict=True)
        ]
        for _, losses in found
    ]
    signs = [metric.sign for metric in objectives]
    return HypervolumeInfo(
        objectives=objectives,
        reference=tuple(sign * worst for sign, (_, worst) in zip(signs, ends, strict=True)),
        best=tuple(sign * best for sign, (best, _) in zip(signs, ends, strict=True)),
        numbers=tuple(trial.number for trial, _ in found),
        shares=_history(points, len(objectives)),
        n_left_out=len(known) - len(found),
    )


def _history(points: Sequence[Sequence[float]], n_objectives: int) -> tuple[float, ...]:
    """Return the hypervolume after each point of the unit box, with all numbers to be low."""
    trials = [
        frozen_trial(number, None, {}, {}, values=point) for number, point in enumerate(points)
    ]
    study = TrialSample(trials, n_objectives)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        figure = plot_hypervolume_history(study, [1.0] * n_objectives)
    return tuple(map(float, figure.data[0].y))
