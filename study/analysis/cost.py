"""What a better value costs: what the kind counts of its models, and the work to train them."""

from dataclasses import dataclass, replace

from storage.attrs import REUSED_FROM, TRAINING_SECONDS
from storage.records import StudyRecord, TrialRecord
from study.analysis import NEAR, breaks_constraint, kind_of, margin, ranked
from study.analysis.front import non_dominated
from study.analysis.spent import training_seconds
from study.analysis.work import WORK, Work, get_work
from study.kind_info import KindInfo
from study.metrics import Metric

_SECONDS = Metric(name=TRAINING_SECONDS, label="training time, seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """One complete trial that keeps the constraint: its objective, and its cost above 0."""

    trial: TrialRecord
    value: float
    cost: float
    on_front: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CostInfo:
    """The objective against one cost.

    Args:
        name: The cost's column in the table of trials, if that has one.
        points: Of the trials that have the cost, by number.
        near: By how much a value may be worse than the best one and count as about as good.
    """

    name: str
    label: str
    points: tuple[CostPoint, ...]
    near: float

    @property
    def front(self) -> tuple[CostPoint, ...]:
        """The points on the front, by rising cost and so from worse to better."""
        return tuple(sorted((p for p in self.points if p.on_front), key=lambda p: p.cost))

    @property
    def spread(self) -> float:
        """How many times the lowest cost the highest is."""
        costs = [point.cost for point in self.points]
        return max(costs) / min(costs)

    @property
    def best(self) -> CostPoint:
        """The point with the best objective."""
        return self.front[-1]

    @property
    def cheapest_near(self) -> CostPoint:
        """The cheapest point that is about as good as the best."""
        return next(p for p in self.front if abs(p.value - self.best.value) <= self.near)

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
    trials = [(value, trial) for value, trial in ranked(record) if not breaks_constraint(trial)]
    infos = []
    last = [_SECONDS if kind.name else replace(_SECONDS, label="time, seconds")]
    work = get_work(kind, [trial for _, trial in trials])
    if work is not None:
        last = [] if work.even else [Metric(name=WORK, label=work.label)]
    for measure in (*kind.costs, *last):
        found = [
            (kind.objective.sign * value, cost, trial)
            for value, trial in trials
            if (cost := _cost(kind, measure, trial, work)) is not None and cost > 0
        ]
        if len({cost for _, cost, _ in found}) < 2:
            continue
        near = margin(kind.objective, [loss for loss, *_ in found], NEAR)
        found.sort(key=lambda item: item[2].number)
        front = non_dominated([(loss, cost) for loss, cost, _ in found])
        points = tuple(
            CostPoint(
                trial=trial, value=kind.objective.sign * loss, cost=cost, on_front=i in front
            )
            for i, (loss, cost, trial) in enumerate(found)
        )
        infos.append(CostInfo(name=measure.name, label=measure.label, points=points, near=near))
    return tuple(infos)


def _cost(kind: KindInfo, cost: Metric, trial: TrialRecord, work: Work | None) -> float | None:
    """Return what a trial stored of a cost, or what its configuration says of it."""
    if cost.name == WORK and work is not None:
        return work.of.get(trial.number)
    if cost.name == _SECONDS.name:
        return None if REUSED_FROM.of(trial) is not None else training_seconds(trial)
    found = cost.of(trial)
    if found is None and kind.space is not None:
        found = getattr(kind.space.to_config(trial.given), cost.name, None)
    return found if isinstance(found, int | float) else None
