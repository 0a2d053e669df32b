"""What an ablation says: what took the default to the winner, and what lies around it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from storage import attrs
from storage.records import Scalar, StudyRecord
from study.analysis import kind_of, relative_change, word_for
from study.analysis.confirmation import (
    MIN_SEEDS,
    Estimate,
    Pairs,
    Trained,
    estimate,
    get_trained,
    paired,
)
from study.formats import format_change
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
        difference: By which share the values exceed the other one's over pairs of equal seed
            and split, with its 95 % interval, see ``confirmation.Trained.difference``. None
            without a pair, or for the start of the path.
        expected_difference: The difference that the surrogate predicts.
        n_pairs: Pairs in which both finished.
        n_failed: Seeds with which its training diverged.
    """

    name: str
    changes: Mapping[str, Scalar]
    validation: Estimate | None
    expected: float | None
    difference: float | None
    low: float | None
    high: float | None
    expected_difference: float | None
    n_pairs: int
    n_failed: int
    objective: Metric

    @property
    def better(self) -> bool:
        """Whether the value is better beyond what chance explains, and no training diverged."""
        least = self.low if self.objective.maximise else self.high
        return least is not None and self.objective.is_better(least, 0.0) and not self.n_failed

    @property
    def worse(self) -> bool:
        """Whether the value is worse beyond what chance explains."""
        least = self.high if self.objective.maximise else self.low
        return least is not None and self.objective.is_better(0.0, least)


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
        n_seeds: Seeds and splits that are wanted.
        n_missing: Trainings that have neither finished nor diverged.
        path: From the default to the winner, each step compared with the one before.
        total: The winner compared with the default.
        sweeps: By parameter, in the order of the space.
        guided: Whether a surrogate chose the path.
    """

    study: str
    follows: str
    n_seeds: int
    n_missing: int
    path: tuple[Ablated, ...]
    total: Ablated
    sweeps: tuple[Sweep, ...]
    guided: bool
    objective: Metric


def get_ablation(record: StudyRecord) -> AblationInfo | None:
    """Compare the configurations of an ablation, each with its neighbour.

    Intervals are for each difference alone: of twenty that are none, one is expected to exclude
    zero.

    Returns:
        None if the study is no ablation.

    Source: Fawcett, Hoos, "Analysing differences between algorithm configurations through
        ablation", Journal of Heuristics 22, 2016.
    """
    trained = get_trained(record, attrs.ABLATION)
    if trained is None:
        return None
    path = [arm for arm in trained.arms if arm["role"] == PATH]
    start, winner = path[0], path[-1]
    objective = kind_of(record).objective
    compare = partial(_compare, trained, objective)
    sweeps: dict[str, list[Ablated]] = {}
    for arm in trained.arms:
        if arm["role"] == SWEEP:
            # The swept one comes first; what only exists with its new value comes along.
            others = arm["params"]
            differing = (n for n, v in winner["params"].items() if others.get(n, v) != v)
            sweeps.setdefault(next(differing), []).append(compare(arm, winner))
    return AblationInfo(
        study=record.name,
        follows=trained.follows,
        n_seeds=trained.n_seeds,
        n_missing=trained.n_missing,
        path=(compare(start, None), *map(compare, path[1:], path)),
        total=compare(winner, None if winner is start else start),
        sweeps=tuple(
            Sweep(parameter=name, value=winner["params"][name], others=tuple(others))
            for name, others in sweeps.items()
        ),
        guided=all(arm["expected"] is not None for arm in path),
        objective=objective,
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
    if len(info.path) == 1:
        yield "The winner is the default: there is no path between them."
    elif total.difference is not None:
        yield (
            f"From the default to the winner the {info.objective.label} changes by "
            f"{_change(total)}, over {info.n_seeds} seeds and splits."
        )
        if not info.guided:
            yield (
                f"The search's trials do not let a forest predict the {word_for(info.objective)}, "
                "so the path takes parameters in the order of the space."
            )
        if info.n_seeds >= MIN_SEEDS:
            yield _steps(info.path[1:])
    if info.n_seeds < MIN_SEEDS:
        yield (
            f"With fewer than {MIN_SEEDS} seeds no difference can be told from chance; take more "
            "--seeds."
        )
        return
    gains = [other.name for other in swept if other.better]
    if gains:
        yield (
            f"Better than the winner, each by itself: {', '.join(gains)}. If none of the "
            f"{len(swept)} changes had an effect, about {len(swept) / 40:.1f} would look better "
            "by chance; more --seeds, or more trials of the search, can tell."
        )
    elif info.sweeps:
        yield "No single change around the winner is better beyond what chance explains."


def _compare(
    trained: Trained, objective: Metric, arm: Mapping[str, Any], other: Mapping[str, Any] | None
) -> Ablated:
    mine = trained.values[arm["name"]]
    changes: dict[str, Scalar] = {}
    difference = low = high = expected_difference = None
    pairs: Pairs = ()
    if other is not None:
        pairs = paired(trained.values[other["name"]], mine)
        before = other["params"]
        changes = {n: v for n, v in arm["params"].items() if n not in before or before[n] != v}
        if pairs:
            difference, low, high = trained.difference(pairs)
        if arm["expected"] is not None and other["expected"] is not None:
            expected_difference = relative_change(arm["expected"], other["expected"])
    return Ablated(
        name=arm["name"],
        changes=changes,
        validation=estimate(list(mine.values()), objective),
        expected=arm["expected"],
        difference=difference,
        low=low,
        high=high,
        expected_difference=expected_difference,
        n_pairs=len(pairs),
        n_failed=trained.n_failed[arm["name"]],
        objective=objective,
    )


def _steps(path: Sequence[Ablated]) -> str:
    """Say which steps of a path made a difference, the largest first."""
    sure = sorted(
        (step for step in path if step.better or step.worse),
        key=lambda step: -abs(step.difference or 0.0),
    )
    if not sure:
        return "No single step makes a difference beyond what chance explains."
    texts = [f"{step.name.removeprefix('then ')} ({_change(step)})" for step in sure]
    return f"Steps that make a difference, by an interval for each alone: {'; '.join(texts)}."


def _change(found: Ablated) -> str:
    assert found.difference is not None
    text = format_change(found.difference)
    if found.low is not None:
        text += f", 95 % interval {format_change(found.low)} to {format_change(found.high)}"
    return text
