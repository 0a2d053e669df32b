"""What an ablation says: which parameters took the default to the winner, and what lies around it.

Must not know plotly.
"""

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
    compared_by_ratios,
    estimate,
    failed_pairs,
    mean_difference,
    relative_difference,
)
from study.analysis.experiment import trials_of_arm
from study.formats import format_change
from study.metrics import Metric

PATH, SWEEP = "path", "sweep"
"""Roles of what is trained: on the way from the default to the winner, or around the winner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablated:
    """One configuration, compared with another one that differs in one parameter.

    Args:
        name: For people.
        changes: What differs: the values here, those of parameters that came along included.
        validation: The objective over seeds and splits, None without a finished training.
        expected: The objective that the surrogate predicts, None if it could not.
        difference: By which share the values exceed the other one's over pairs of equal seed
            and split, see ``relative_difference`` and ``mean_difference``. None without a
            pair, or for the start of the path.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        expected_difference: The difference that the surrogate predicts.
        n_pairs: Pairs in which both finished.
        n_failed: Seeds with which its training diverged.
        objective: What is compared.
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
    """One parameter around the winner.

    Args:
        parameter: Its name.
        value: The winner's.
        others: Other values, each compared with the winner.
    """

    parameter: str
    value: Scalar
    others: tuple[Ablated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationInfo:
    """What an ablation found.

    Args:
        study: Name of the study that the ablation is.
        follows: Name of the search.
        n_seeds: Seeds and splits that are wanted.
        n_missing: Trainings that have neither finished nor diverged.
        path: From the default to the winner, each step compared with the one before.
        total: The winner compared with the default.
        sweeps: By parameter, in the order of the space.
        guided: Whether a surrogate chose the path.
        objective: What is compared.
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

    Args:
        record: The study that the ablation is.

    Returns:
        None if the study is no ablation.

    Source: Fawcett, Hoos, "Analysing differences between algorithm configurations through
        ablation", Journal of Heuristics 22, 2016.
    """
    experiment = record.user_attrs.get(attrs.EXPERIMENT)
    if not isinstance(experiment, Mapping) or experiment["name"] != attrs.ABLATION:
        return None
    arms = experiment["arms"]
    errors = {arm["name"]: _errors(record, arm["name"]) for arm in arms}
    failed = {name: len(failed_pairs(record, name, found)) for name, found in errors.items()}
    path = [arm for arm in arms if arm["role"] == PATH]
    start, winner = path[0], path[-1]
    objective = kind_of(record).objective
    ratios = compared_by_ratios(objective, errors.values())
    compare = partial(_compare, errors=errors, failed=failed, objective=objective, ratios=ratios)
    sweeps: dict[str, list[Ablated]] = {}
    for arm in arms:
        if arm["role"] == SWEEP:
            found = compare(arm, winner)
            # The swept one comes first; what only exists with its new value comes along.
            sweeps.setdefault(_first_difference(arm, winner), []).append(found)
    n_seeds = len(next(iter(experiment["sides"].values())))
    return AblationInfo(
        study=record.name,
        follows=str(experiment["follows"]),
        n_seeds=n_seeds,
        n_missing=sum(n_seeds - len(errors[name]) - failed[name] for name in errors),
        path=(
            compare(start, None),
            *(compare(arm, path[i]) for i, arm in enumerate(path[1:])),
        ),
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
    swept = (other for sweep in info.sweeps for other in sweep.others)
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
    gains = [other for sweep in info.sweeps for other in sweep.others if other.better]
    n_tried = sum(len(sweep.others) for sweep in info.sweeps)
    if gains:
        names = ", ".join(other.name for other in gains)
        yield (
            f"Better than the winner, each by itself: {names}. If none of the {n_tried} changes "
            f"had an effect, about {n_tried / 40:.1f} would look better by chance; more --seeds, "
            "or more trials of the search, can tell."
        )
    elif info.sweeps:
        yield "No single change around the winner is better beyond what chance explains."


def _errors(record: StudyRecord, arm: str) -> dict[int, float]:
    """Return the values of an arm's complete trials by the number of their pair."""
    trials = trials_of_arm(record, arm)
    return {pair: trial.value for pair, trial in trials.items() if trial.value is not None}


def _compare(
    arm: Mapping[str, Any],
    other: Mapping[str, Any] | None,
    *,
    errors: Mapping[str, Mapping[int, float]],
    failed: Mapping[str, int],
    objective: Metric,
    ratios: bool,
) -> Ablated:
    mine = errors[arm["name"]]
    expected = arm["expected"]
    changes: dict[str, Scalar] = {}
    difference = low = high = expected_difference = None
    pairs: list[tuple[float, float]] = []
    if other is not None:
        theirs = errors[other["name"]]
        pairs = [(theirs[pair], mine[pair]) for pair in mine if pair in theirs]
        before = other["params"]
        changes = {n: v for n, v in arm["params"].items() if n not in before or before[n] != v}
        if pairs:
            difference, low, high = (relative_difference if ratios else mean_difference)(pairs)
        if expected is not None and other["expected"] is not None:
            expected_difference = relative_change(expected, other["expected"])
    return Ablated(
        name=str(arm["name"]),
        changes=changes,
        validation=estimate(list(mine.values()), objective),
        expected=expected,
        difference=difference,
        low=low,
        high=high,
        expected_difference=expected_difference,
        n_pairs=len(pairs),
        n_failed=failed[arm["name"]],
        objective=objective,
    )


def _first_difference(arm: Mapping[str, Any], winner: Mapping[str, Any]) -> str:
    """Return the first parameter in which an arm differs from the winner."""
    params = arm["params"]
    return next(
        str(name)
        for name, value in winner["params"].items()
        if name in params and params[name] != value
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
