"""What a better value costs: what the kind counts of its models, and the work to train them."""

from dataclasses import dataclass, replace
from typing import ClassVar

from storage.attrs import REUSED_FROM, TRAINING_SECONDS
from storage.records import StudyRecord, TrialRecord
from study.analysis import NEAR, breaks_constraint, kind_of, margin, ranked
from study.analysis.front import Front, FrontPoint, lay_out
from study.analysis.spent import training_seconds
from study.analysis.thinning import MAX_MARKS
from study.analysis.work import WORK, Work, get_work
from study.kind_info import KindInfo
from study.metrics import Metric

_SECONDS = Metric(name=TRAINING_SECONDS, label="training time, seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class CostInfo(Front):
    """The objective, which comes second, against a cost, of which 0 is none.

    The name of the cost is its column in the table of trials, if that has one.

    Args:
        near: By how much a value may be worse than the best one and count as about as good.
    """

    near: float
    max_marks: ClassVar[int] = MAX_MARKS // 2

    @property
    def spread(self) -> float:
        """How many times the lowest cost the highest is."""
        costs = [point.first for point in self.points]
        return max(costs) / min(costs)

    @property
    def best(self) -> FrontPoint:
        """The point with the best objective."""
        return self.front[-1]

    @property
    def cheapest_near(self) -> FrontPoint:
        """The cheapest point that is about as good as the best."""
        return next(p for p in self.front if abs(p.second - self.best.second) <= self.near)

    @property
    def saves(self) -> bool:
        """Whether a trial about as good as the best is cheaper."""
        return self.cheapest_near != self.best


def get_costs(record: StudyRecord) -> tuple[CostInfo, ...]:
    """Set the value of each trial that keeps the constraint against what it cost.

    Returns:
        The costs of the kind and the work of the trainings, each where trials differ in it; the
        latter where they train for different times, else it is a cost of the kind. Where work is
        not known, the training time: trials that another one's curve answered took none.
    """
    kind = kind_of(record)
    objective = kind.objective
    trials = [(value, trial) for value, trial in ranked(record) if not breaks_constraint(trial)]
    infos = []
    last = [_SECONDS if kind.name else replace(_SECONDS, label="time, seconds")]
    work = get_work(kind, [trial for _, trial in trials])
    if work is not None:
        last = [] if work.even else [Metric(name=WORK, label=work.label)]
    for measure in (*kind.costs, *last):
        found = [
            (cost, value, trial)
            for value, trial in trials
            if (cost := _cost(kind, measure, trial, work)) is not None and cost > 0
        ]
        if len({cost for cost, *_ in found}) < 2:
            continue
        near = margin(objective, [objective.sign * value for _, value, _ in found], NEAR)
        by_number = sorted(found, key=lambda item: item[2].number)
        points = lay_out(by_number, measure, objective)
        infos.append(CostInfo(first=measure, second=objective, points=points, near=near))
    return tuple(infos)


def _cost(kind: KindInfo, cost: Metric, trial: TrialRecord, work: Work | None) -> float | None:
    """Return what a trial stored of a cost, or what its configuration says of it."""
    if cost.name == WORK and work is not None:
        return work.of.get(trial.number)
    if cost.name == _SECONDS.name:
        return None if REUSED_FROM.of(trial) is not None else training_seconds(trial)
    found = cost.of(trial)
    if found is None and kind.space is not None:
        found = getattr(kind.space.to_config(kind.space.given(trial.params)), cost.name, None)
    return found if isinstance(found, int | float) else None
