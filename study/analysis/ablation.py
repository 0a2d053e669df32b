"""What an ablation says: what took the default to the winner, and what lies around it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from search_spaces import Scalar
from storage import attrs
from storage.records import StudyRecord
from storage.values import Arm
from study.analysis import relative_change, word_for
from study.analysis.estimates import MIN_SPLITS, Estimate
from study.analysis.paired import Difference
from study.analysis.trained import Trained, get_trained
from study.formats import format_change, format_list
from study.metrics import Metric

PATH, SWEEP = "path", "sweep"
"""Roles of what is trained: on the way from the default to the winner, or around the winner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablated:
    """One configuration, compared with another one that differs in one parameter.

    Args:
        changes: What differs: the values here, those of parameters that came along included.
        validation: The objective over seeds and splits, None without a finished training.
        expected: The objective that the surrogate predicts, None if it could not.
        difference: By how much the values exceed the other one's over pairs of equal seed and
            split. None without a pair, or for the start of the path.
    """

    name: str
    changes: Mapping[str, Scalar]
    validation: Estimate | None
    expected: float | None
    difference: Difference | None
    expected_difference: float | None
    n_failed: int
    objective: Metric

    @property
    def better(self) -> bool:
        """Whether the value is better beyond what chance explains, and no training diverged."""
        found = self.difference
        told = found is not None and (found.higher if self.objective.maximise else found.lower)
        return told and not self.n_failed

    @property
    def worse(self) -> bool:
        """Whether the value is worse beyond what chance explains."""
        found = self.difference
        return found is not None and (found.lower if self.objective.maximise else found.higher)

    @property
    def verdict(self) -> str:
        """What the difference says, in a word or two; empty where nothing was compared."""
        if self.difference is None or self.difference.p_value is None:
            return ""
        if self.better or self.worse:
            return "better" if self.better else "worse"
        if self.difference.equal:
            return f"equal {self.difference.within}"
        return f"cannot be told{self.difference.asking('split')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One parameter around the winner's ``value``, with ``others`` each compared with it."""

    parameter: str
    value: Scalar
    others: tuple[Ablated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationInfo:
    """What an ablation found.

    Args:
        study, follows: Names of the study that the ablation is, and of the search.
        enough: Whether these are enough to tell differences from chance.
        n_missing: Trainings that have neither finished nor diverged.
        path: From the default to the winner, each step compared with the one before.
        sweeps: By parameter, in the order of the space.
    """

    study: str
    follows: str
    n_seeds: int
    enough: bool
    n_missing: int
    path: tuple[Ablated, ...]
    total: Ablated
    sweeps: tuple[Sweep, ...]
    guided: bool
    objective: Metric


def get_ablation(record: StudyRecord) -> AblationInfo | None:
    """Compare the configurations of an ablation, each with its neighbour.

    Differences are told by the rule of ``paired.compare_all``; the steps of the path are one
    table, what lies around the winner another, and the winner beside the default is one alone.

    Returns:
        None if the study is no ablation.

    Source: Fawcett, Hoos, "Analysing differences between algorithm configurations through
        ablation", Journal of Heuristics 22, 2016.
    """
    trained = get_trained(record, attrs.ABLATION)
    if trained is None:
        return None
    path = [arm for arm in trained.made.arms if arm.role == PATH]
    start, winner = path[0], path[-1]
    around = [arm for arm in trained.made.arms if arm.role == SWEEP]
    steps = {arm.name: before for before, arm in pairwise(path)}
    tables = (
        trained.compare({name: before.name for name, before in steps.items()}),
        trained.compare({arm.name: winner.name for arm in around}),
        trained.compare({winner.name: start.name} if winner is not start else {}),
    )
    compared = [partial(_ablated, trained, table) for table in tables]
    sweeps: dict[str, list[Ablated]] = {}
    for arm in around:
        # The swept one comes first; what only exists with its new value comes along.
        others = arm.params
        differing = (n for n, v in winner.params.items() if others.get(n, v) != v)
        sweeps.setdefault(next(differing), []).append(compared[1](arm, winner))
    return AblationInfo(
        study=record.name,
        follows=trained.made.follows,
        n_seeds=trained.n_seeds,
        enough=trained.n_splits >= MIN_SPLITS,
        n_missing=trained.n_missing,
        path=tuple(compared[0](arm, steps.get(arm.name)) for arm in path),
        total=compared[2](winner, None if winner is start else start),
        sweeps=tuple(
            Sweep(parameter=name, value=winner.params[name], others=tuple(others))
            for name, others in sweeps.items()
        ),
        guided=all(arm.expected is not None for arm in path),
        objective=trained.objective,
    )


def describe_ablation(info: AblationInfo) -> Iterator[str]:
    """Say in sentences what an ablation found."""
    if info.n_missing:
        yield f"{info.n_missing} trainings are missing; comparisons leave them out."
    swept = [other for sweep in info.sweeps for other in sweep.others]
    diverging = [found.name for found in (*info.path, *swept) if found.n_failed]
    if diverging:
        yield f"With some seed the training diverged: {', '.join(diverging)}."
    total = info.total
    if not info.path[1:]:
        yield "The winner is the default: there is no path between them."
    elif total.difference is not None and total.difference.mean is not None:
        yield (
            f"From the default to the winner the {info.objective.label} changes by "
            f"{_change(total)}, over {_pairs_of(info.n_seeds)}."
        )
        if not info.guided:
            yield (
                f"The search's trials do not let a forest predict the {word_for(info.objective)}, "
                "so the path takes parameters in the order of the space."
            )
        if info.enough:
            yield from _steps(info.path, within=total.difference.within)
    if not info.enough:
        yield (
            f"With fewer than {MIN_SPLITS} seeds no difference can be told from chance; take more "
            "--seeds."
        )
        return
    gains = [other.name for other in swept if other.better]
    if gains:
        yield f"Better than the winner, each by itself: {', '.join(gains)}."
    elif info.sweeps:
        yield "No single change around the winner is better beyond what chance explains."


def _ablated(
    trained: Trained, table: Mapping[str, Difference], arm: Arm, other: Arm | None
) -> Ablated:
    changes: dict[str, Scalar] = {}
    expected_difference = None
    if other is not None:
        before = other.params
        changes = {n: v for n, v in arm.params.items() if n not in before or before[n] != v}
        if arm.expected is not None and other.expected is not None:
            expected_difference = relative_change(arm.expected, other.expected)
    return Ablated(
        name=arm.name,
        changes=changes,
        validation=trained.estimate(trained.values[arm.name]),
        expected=arm.expected,
        difference=table.get(arm.name) if other is not None else None,
        expected_difference=expected_difference,
        n_failed=trained.n_failed[arm.name],
        objective=trained.objective,
    )


def _steps(path: Sequence[Ablated], *, within: str) -> Iterator[str]:
    """Say which steps of a path made a difference, the largest first, and which make none.

    ``within`` says up to what two values are equal.
    """

    def size(step: Ablated) -> float:
        return abs((step.difference and step.difference.mean) or 0.0)

    def name(step: Ablated) -> str:
        return step.name.removeprefix("then ")

    told = sorted((step for step in path if step.better or step.worse), key=lambda s: -size(s))
    if told:
        texts = [f"{name(step)} ({_change(step)})" for step in told]
        yield f"Steps that make a difference: {'; '.join(texts)}."
    else:
        yield "No single step makes a difference beyond what chance explains."
    equal = [step for step in path if step.difference is not None and step.difference.equal]
    if equal:
        yield f"Steps that change next to nothing, {within}: {format_list([*map(name, equal)])}."


def _pairs_of(n: int) -> str:
    return "1 seed and split" if n == 1 else f"{n} seeds and splits"


def _change(found: Ablated) -> str:
    assert found.difference is not None
    text = format_change(found.difference.mean)
    if found.difference.interval is not None:
        text += f", 95 % interval {found.difference.interval.written(format_change)}"
    return text
