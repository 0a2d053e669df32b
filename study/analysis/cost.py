"""What a lower error costs: weights, numbers in the latent, training time.

Must not know how any of it is drawn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search_spaces import SearchSpace
from storage.attrs import PARAMETER_COUNT, REUSED_FROM
from storage.records import StudyRecord, TrialRecord
from study.analysis import NEAR, breaks_constraint, family_of, ranked, space_of
from study.analysis.front import non_dominated
from study.analysis.history import training_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """One complete trial that keeps the constraint.

    Args:
        number: The trial's number.
        family: Architecture.
        mse: Validation MSE.
        cost: What it cost, more than 0.
        on_front: Whether no other trial is at least as good in both and better in one. Of several
            equal trials the earliest stands for all.
    """

    number: int
    family: str
    mse: float
    cost: float
    on_front: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CostInfo:
    """The errors of a study against one cost.

    Args:
        name: Its column in the table of trials, if that has one.
        label: Its name for people.
        points: In the order of the trials' numbers; those without the cost are left out.
    """

    name: str
    label: str
    points: tuple[CostPoint, ...]

    @property
    def front(self) -> tuple[CostPoint, ...]:
        """The points on the front, by rising cost and so by falling error."""
        return tuple(sorted((p for p in self.points if p.on_front), key=lambda p: p.cost))

    @property
    def spread(self) -> float:
        """How many times the lowest cost the highest is."""
        costs = [point.cost for point in self.points]
        return max(costs) / min(costs)

    @property
    def best(self) -> CostPoint:
        """The point with the lowest error."""
        return self.front[-1]

    @property
    def cheapest_near(self) -> CostPoint:
        """The cheapest point whose error exceeds the lowest one by at most ``NEAR``."""
        return next(p for p in self.front if p.mse <= (1 + NEAR) * self.best.mse)


def get_costs(record: StudyRecord) -> tuple[CostInfo, ...]:
    """Set the error of each trial against what it cost, one cost after the other.

    Args:
        record: The study; only complete trials that keep its constraint count.

    Returns:
        The number of trained weights, the numbers in an image's latent and the training time,
        each where trials differ in it. Trials that were answered by another one's curve took no
        time and have none.
    """
    space = space_of(record)
    measures: Mapping[tuple[str, str], Callable[[TrialRecord], float | None]] = {
        (PARAMETER_COUNT, "weights"): lambda trial: trial.user_attrs.get(PARAMETER_COUNT),
        ("latent_size", "numbers in the latent"): lambda trial: _latent_size(space, trial),
        ("training_seconds", "training time, seconds"): lambda trial: (
            None if REUSED_FROM in trial.user_attrs else training_seconds(trial)
        ),
    }
    trials = [(mse, trial) for mse, trial in ranked(record) if not breaks_constraint(trial)]
    infos = []
    for (name, label), measure in measures.items():
        found = sorted(
            (trial.number, mse, cost, family_of(trial))
            for mse, trial in trials
            if (cost := measure(trial)) is not None and cost > 0
        )
        if len({cost for _, _, cost, _ in found}) < 2:
            continue
        front = non_dominated((mse, -cost) for _, mse, cost, _ in found)
        points = tuple(
            CostPoint(number=number, family=family, mse=mse, cost=cost, on_front=i in front)
            for i, (number, mse, cost, family) in enumerate(found)
        )
        infos.append(CostInfo(name=name, label=label, points=points))
    return tuple(infos)


def _latent_size(space: SearchSpace | None, trial: TrialRecord) -> int | None:
    return None if space is None else space.to_config(trial.given).latent_size
