"""What follows a search: which configurations are confirmed, and which lie between and around."""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState
from scipy import stats

from emoji_ae.config import AutoencoderConfig
from search_spaces import SPACES, Scalar, SearchSpace
from search_spaces.designs import design_points
from storage import attrs
from storage.records import StudyRecord
from storage.values import Arm
from study import emoji
from study.analysis.ablation import PATH, SWEEP
from study.analysis.confirmation import CHOSEN, DEFAULT, MIDDLE, TOP
from study.analysis.surrogate import get_branch, predict
from study.analysis.to_confirm import confirmation_arms
from study.errors import StudyError
from study.followups.arms import MAX_FEW, ablation_arms, ablation_path, sweep_points
from study.kinds import Kind
from tests.study_tests.synthetic import (
    VALIDATION_ACCURACY,
    planted,
    planted_multitask,
    study,
    trial,
)

Point = dict[str, Scalar]

NOTEBOOK, EXTENDED = SPACES["autoencoder"]["notebook"], SPACES["autoencoder"]["extended"]
GRID, MULTITASK = SPACES["multitask"]["notebook"], SPACES["multitask"]["extended"]

all_spaces = pytest.mark.parametrize(
    "space",
    [NOTEBOOK, EXTENDED, GRID, MULTITASK],
    ids=[f"{kind} {space}" for kind in SPACES for space in SPACES[kind]],
)
units = st.lists(
    st.floats(0, 1, exclude_max=True)
    | st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.34, 0.5, 0.67, 0.99]),
    min_size=26,
    max_size=26,
)


def kind_of(space: SearchSpace) -> Kind:
    """Return the kind whose configurations a space has."""
    return emoji.AUTOENCODER if space in (NOTEBOOK, EXTENDED) else emoji.MULTITASK


def default(space: SearchSpace) -> Mapping[str, Scalar]:
    """Return the default values of all parameters of a space."""
    return kind_of(space).default


def point_of(space: SearchSpace, **own: Scalar) -> Point:
    """Return the default of a space with some other values."""
    return space.point({**default(space), **own})


def drawn(space: SearchSpace, unit: Sequence[float], **fixed: Scalar) -> Point:
    """Return the point of a space at some quantiles, of which there are enough."""
    return space.at(unit[: len(space.parameters)], fixed)


def some_points(space: SearchSpace, n: int, fixed: Point, *, seed: int = 0) -> list[Point]:
    """Return random points of a space."""
    points = design_points("random", space, fixed, seed=seed)
    return [next(points) for _ in range(n)]


def distinct(space: SearchSpace, n: int) -> list[Point]:
    """Return random points of a space that all train differently, none like the default."""
    found = {
        (space.to_config(point).identity(), point["epoch"]): point
        for point in [point_of(space), *some_points(space, 3 * n, {})]
    }
    points = list(found.values())[1 : n + 1]
    assert len(points) == n
    return points


def searched(
    space: SearchSpace,
    points: Sequence[Point],
    values: Sequence[float | None] | None = None,
    *,
    infeasible: Sequence[int] = (),
) -> StudyRecord:
    """Return a search that tried some points, each worse than the one before unless told.

    Args:
        values: Their validation MSE; None for a trial that failed.
        infeasible: Numbers of the trials that break the constraint.
    """
    values = values or [0.1 + 0.01 * i for i in range(len(points))]
    ranges = {p.name: p.distribution for p in space.holding(points).parameters}
    trials = (
        replace(
            trial(i, value=value, attrs={attrs.INFEASIBLE: True} if i in infeasible else {}),
            state=TrialState.FAIL if value is None else TrialState.COMPLETE,
            params=point,
            distributions={name: ranges[name] for name in point if name in ranges},
        )
        for i, (point, value) in enumerate(zip(points, values, strict=True))
    )
    return study(*trials, name="search")


def confirm(
    record: StudyRecord,
    space: SearchSpace = EXTENDED,
    *,
    fixed: Mapping[str, Scalar] | None = None,
    top: int = 3,
    seed: int = 0,
    numbers: Sequence[int] = (),
) -> tuple[Arm, ...]:
    """Choose what a confirmation of a search trains."""
    kind = kind_of(space)
    return confirmation_arms(record, space, kind, fixed or {}, top=top, seed=seed, numbers=numbers)


def of_role(arms: Sequence[Arm], role: str) -> list[int | None]:
    """Return the trials of the arms of a role."""
    return [arm.trial for arm in arms if arm.role == role]


def is_point(space: SearchSpace, params: Mapping[str, Scalar]) -> bool:
    """Whether exactly those parameters are there that the others ask for, within their ranges."""
    expected: Point = {}
    for parameter in space.parameters:
        if parameter.is_active(expected):
            if parameter.name not in params or not parameter.allows(params[parameter.name]):
                return False
            expected[parameter.name] = params[parameter.name]
    return expected == params


def differing(before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> list[str]:
    """Return the parameters that two configurations both have, with different values."""
    return [name for name in before if name in after and before[name] != after[name]]


# Arms of a confirmation


def test_the_default_the_best_and_one_from_the_middle() -> None:
    """All are chosen by rank, and remember which trial they repeat and what it promised."""
    points = distinct(EXTENDED, 30)
    ranks = np.random.default_rng(0).permutation(30)
    values = [0.01 + 0.001 * float(rank) for rank in ranks]
    record = searched(EXTENDED, points, values)
    arms = confirm(record)
    best = np.argsort(ranks).tolist()[:3]
    middle = arms[4].trial
    assert [(arm.role, arm.name, arm.trial) for arm in arms] == [
        (DEFAULT, "default", None),
        *((TOP, f"trial {i}", i) for i in best),
        (MIDDLE, f"middle, trial {middle}", middle),
    ]
    assert (arms[0].params, arms[0].expected) == (point_of(EXTENDED), None)
    for arm in arms[1:]:
        assert (arm.params, arm.expected) == (points[arm.trial], values[arm.trial])
    chosen = [of_role(confirm(record, seed=seed), MIDDLE) for seed in range(20)]
    assert chosen == [of_role(confirm(record, seed=i, top=7), MIDDLE) for i in range(20)]
    assert len({own for (own,) in chosen}) > 4
    # Those that somebody chose stand in the place of the best and the middle, each once.
    assert [arm.role for arm in confirm(record, numbers=[7, 2, 7])] == [DEFAULT, CHOSEN, CHOSEN]
    for arm, number in zip(confirm(record, numbers=[7, 2, 7])[1:], (7, 2), strict=True):
        assert (arm.name, arm.expected) == (f"trial {number}", values[number])
        assert arm.params == points[number]
    with pytest.raises(StudyError, match="must be the number of a complete trial"):
        confirm(record, numbers=[30])


def test_what_makes_another_configuration() -> None:
    """Of configurations that train alike the better trial stands; a longer one is another."""
    linear = NOTEBOOK.at([0.0, 0.9, 0.0, 0.3, 0.0, 0.0, 0.0], {})
    points = [
        {**linear, "batch_normalization": True},
        {**linear, "batch_normalization": False},
        {**linear, "bottleneck_dim": 64},
        {**linear, "epoch": 100},
    ]
    arms = confirm(searched(NOTEBOOK, points, [0.3, 0.1, 0.4, 0.5]), NOTEBOOK, top=4)
    assert linear["epoch"] != 100
    assert of_role(arms, TOP) == [1, 2, 3]
    assert [arm.expected for arm in arms] == [None, 0.1, 0.4, 0.5]


@pytest.mark.parametrize(("rank", "n_others"), [(2, 2), (3, 3)])
def test_default_that_was_searched(rank: int, n_others: int) -> None:
    """It keeps its best trial and score, and counts as one of the best if it is one."""
    points = distinct(EXTENDED, 9)
    points.insert(rank, point_of(EXTENDED))
    points.append(points[rank])  # once more, and worse
    values = [0.1 + 0.1 * i for i in range(len(points))]
    arms = confirm(searched(EXTENDED, points, values))
    assert (arms[0].role, arms[0].trial, arms[0].expected) == (DEFAULT, rank, values[rank])
    assert of_role(arms, TOP) == [i for i in range(10) if i != rank][:n_others]
    assert of_role(arms, MIDDLE) != [rank]
    assert len({arm.trial for arm in arms}) == len(arms)


def test_trials_that_break_the_constraint() -> None:
    """They are never chosen, neither as the best nor from the middle nor for the default."""
    points = [point_of(GRID), *distinct(GRID, 20)]
    infeasible = [0, 1, 2, 4, *range(7, 13)]
    record = searched(GRID, points, infeasible=infeasible)
    for seed in range(10):
        arms = confirm(record, GRID, seed=seed)
        assert (arms[0].trial, arms[0].expected) == (None, None)
        assert of_role(arms, TOP) == [3, 5, 6]
        (middle,) = of_role(arms, MIDDLE)
        assert middle in (13, 14, 15, 16, 17)
    # Of equal ones, the worse score stands where the better one was bought by breaking it.
    (arm,) = confirm(searched(GRID, points[1:2] * 2, [0.1, 0.2], infeasible=[0]), GRID)[1:]
    assert (arm.trial, arm.expected) == (1, 0.2)
    record = searched(GRID, points[1:4], [0.3, 0.2, None], infeasible=[0, 1])
    with pytest.raises(StudyError, match="'search' has no complete trial that keeps"):
        confirm(record, GRID)


@all_spaces
@given(fixed_unit=units, names=st.sets(st.integers(0, 25), max_size=3), seed=st.integers(0, 99))
@examples(max_examples=10)
def test_arms_are_points(space: SearchSpace, fixed_unit: Any, names: set[int], seed: int) -> None:
    """The space, widened to hold them, has every arm as a point, whatever was fixed."""
    point = drawn(space, fixed_unit)
    fixed = {name: value for i, (name, value) in enumerate(point.items()) if i in names}
    record = searched(space, some_points(space, 12, fixed, seed=seed))
    arms = confirm(record, space, fixed=fixed, seed=seed)
    arms += ablation_arms(record, space, kind_of(space), fixed, arms[-1].params)
    widened = space.holding(arm.params for arm in arms)
    assert arms[0].params == space.point({**default(space), **fixed})
    assert all(is_point(widened, arm.params) for arm in arms)
    assert all(arm.params.get(n, value) == value for arm in arms for n, value in fixed.items())


# The path from one configuration to another


def pseudo_random(points: Sequence[Mapping[str, Scalar]]) -> list[float]:
    """Predict numbers that look random and depend on nothing but the point."""
    return [float(zlib.crc32(repr(sorted(point.items())).encode())) for point in points]


def path_of(space: SearchSpace, start: Point, end: Point, expect: Any = None) -> list[Any]:
    """Return a path after checking all that must hold for any."""
    defaults = default(space)
    path = ablation_path(space, defaults, start, end, expect)
    widened = space.holding([start, end])
    assert path[0] == (DEFAULT, start)
    assert path[-1][1] == end
    assert len({name for name, _ in path}) == len(path) <= 1 + len(space.parameters)
    for (_, before), (name, after) in pairwise(path):
        (changed,) = differing(before, after)
        assert name.startswith(f"then {changed} ")
        assert after[changed] == end[changed]
        assert list(after) == list(space.point({**defaults, **after}))
        assert is_point(widened, after)
        for new in set(after) - set(before):
            assert after[new] == end.get(new, defaults[new])
    return path


@all_spaces
@given(first=units, last=units)
@examples(max_examples=25)
def test_path(space: SearchSpace, first: list[float], last: list[float]) -> None:
    """Every step changes one parameter to the end's value; a guide sees all that are left."""
    start, end = drawn(space, first), drawn(space, last)
    path_of(space, start, end)
    path_of(space, point_of(space), end)
    looked_at: list[list[Point]] = []

    def expect(points: Sequence[Mapping[str, Scalar]]) -> list[float]:
        looked_at.append([dict(point) for point in points])
        return pseudo_random(points)

    path = [params for _, params in path_of(space, start, end, expect)]
    assert len(looked_at) == len(path) - 1
    for before, after, candidates in zip(path, path[1:], looked_at, strict=False):
        others = [[name] for name in differing(before, end)]
        assert [differing(before, other) for other in candidates] == others
        assert after in candidates
        assert pseudo_random([after])[0] == min(pseudo_random(candidates))


def test_path_through_what_is_switched_on_and_off() -> None:
    """What comes along has the end's values, also a weight of 0 that switches the task off."""
    start = point_of(MULTITASK, strategy="sequential")
    end: Point = {**start, "strategy": "joint", "auxiliary_task": False}
    path = ablation_path(MULTITASK, default(MULTITASK), start, end, None)
    assert path[1:] == [("then strategy joint", end)]
    fixed: Point = {"classification_lambda": 0.0}
    start = point_of(MULTITASK, **fixed)
    end = drawn(MULTITASK, [0.6] * 26, strategy="joint", auxiliary_task=True, **fixed)
    path = ablation_path(MULTITASK, default(MULTITASK), start, end, None)
    assert path[-1][1] == end
    assert all(step["classification_lambda"] == 0.0 for _, step in path)


# Sweeps around a winner


@all_spaces
@given(unit=units, names=st.sets(st.integers(0, 25), max_size=4))
@examples(max_examples=25)
def test_sweeps(space: SearchSpace, unit: list[float], names: set[int]) -> None:
    """Every point differs in one searched parameter, by more than rounding, within its range."""
    winner = drawn(space, unit)
    fixed = {name: value for i, (name, value) in enumerate(winner.items()) if i in names}
    ranges = {parameter.name: parameter for parameter in space.parameters}
    points = sweep_points(space, default(space), winner, fixed)
    assert len({name for name, _ in points}) == len(points)
    assert len({repr(params) for _, params in points}) == len(points)
    swept: dict[str, int] = {}
    for name, params in points:
        (changed,) = differing(winner, params)
        assert name.startswith(f"{changed} ")
        assert changed not in fixed
        assert ranges[changed].allows(params[changed])
        assert is_point(space, params)
        assert list(params) == list(space.point({**default(space), **params}))
        if isinstance(winner[changed], float):
            assert not math.isclose(float(params[changed]), float(winner[changed]))
        swept[changed] = swept.get(changed, 0) + 1
    few = ("depth", "branch_point", "classification_layer_num")
    for name in winner:
        parameter = ranges[name]
        if name in fixed:
            assert name not in swept
        elif isinstance(parameter.distribution, CategoricalDistribution):
            assert swept.get(name, 0) == len(parameter.values()) - 1
        elif isinstance(parameter.distribution, IntDistribution) and name in few:
            assert swept[name] == len(parameter.values()) - 1 <= MAX_FEW
        else:
            assert 2 <= swept[name] <= 4


def sweep(winner: Point, *only: str, **fixed: Scalar) -> list[tuple[str, Point]]:
    """Return what lies around a winner of the extended space."""
    return sweep_points(EXTENDED, default(EXTENDED), winner, fixed, only=only)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("learning_rate", 1.0002e-4, [10**-3.7, 10**-3.25]),
        ("learning_rate", 10**-3.6999, [1e-4, 10**-3.4, 10**-2.95]),
        ("learning_rate", 1.0, [10**-1.75, 10**-1.3, 1e-1]),
        ("batch_size", 8, [10, 14]),
        ("batch_size", 64, [37, 52]),
    ],
)
def test_sweep_at_an_end(name: str, value: Scalar, expected: list[float]) -> None:
    """Beyond an end there is nothing, nor is it tried twice; from outside it is tried."""
    points = sweep({**point_of(EXTENDED), name: value}, name)
    assert [params[name] for _, params in points] == pytest.approx(expected, rel=1e-3)


def test_sweep_brings_along_what_was_fixed() -> None:
    """What only exists with another value is the search's fixed one, not the default."""
    fixed: Point = {"width": 32, "bottleneck_dim": 48}
    winner = EXTENDED.at([0.9] + [0.5] * (len(EXTENDED.parameters) - 1), fixed)
    assert (winner["auto_encoder"], winner["bottleneck_dim"]) == ("linear", 48)
    ((_, params),) = sweep(winner, "auto_encoder", **fixed)
    assert (params["width"], params["depth"]) == (32, AutoencoderConfig().depth)


# Arms of an ablation


def ablate(record: StudyRecord, winner: Point, *only: str, **fixed: Scalar) -> tuple[Arm, ...]:
    """Choose what an ablation of a search of the notebook's space trains."""
    return ablation_arms(record, NOTEBOOK, emoji.AUTOENCODER, fixed, winner, only=only)


def test_ablation_of_a_predictable_study() -> None:
    """Path and sweeps have roles, names of their own and guesses that tell good from bad."""
    record = planted(120)
    winner: Point = {n: v for n, v in record.best.params.items() if v is not None}
    arms = ablate(record, winner, epoch=20)
    n_path = [arm.role for arm in arms].index(SWEEP)
    assert [arm.role for arm in arms] == [PATH] * n_path + [SWEEP] * (len(arms) - n_path)
    assert len({arm.name for arm in arms}) == len(arms)
    assert (arms[0].params, arms[n_path - 1].params) == (point_of(NOTEBOOK, epoch=20), winner)
    assert [arm.expected for arm in arms] == predict(record, [a.params for a in arms]).tolist()
    guesses = {arm.name: arm.expected or 0.0 for arm in arms}
    assert guesses["auto_encoder linear"] > guesses["learning_rate 0.01"] + 0.03
    assert not any(name.startswith("epoch") for name in guesses)
    # What is expected to harm most comes last on the way, wherever it stands in the space.
    worse = ablate(record, {**winner, "learning_rate": 1e-4}, epoch=20)
    path = [arm.name for arm in worse if arm.role == PATH]
    assert path[-1] == "then learning_rate 0.0001"


def test_ablation_of_an_unpredictable_study() -> None:
    """With too few trials nothing is guessed, and the path keeps the order of the space."""
    record = planted(20)
    winner = point_of(NOTEBOOK, batch_size=64, learning_rate=0.1, weight_decay=1e-2)
    winner["batch_normalization"] = True
    arms = ablate(record, winner, "batch_size")
    assert [arm.expected for arm in arms] == [None] * len(arms)
    assert [(arm.role, arm.name) for arm in arms] == [
        (PATH, "default"),
        (PATH, "then batch_size 64"),
        (PATH, "then learning_rate 0.1"),
        (PATH, "then weight_decay 0.01"),
        (PATH, "then batch_normalization true"),
        (SWEEP, "batch_size 16"),
        (SWEEP, "batch_size 32"),
    ]
    # Where the winner is the default there is no path, but what lies around can be swept.
    arms = ablate(record, point_of(NOTEBOOK), "batch_normalization")
    assert [arm.name for arm in arms] == ["default", "batch_normalization true"]


# Predictions of what was not tried


@pytest.mark.parametrize(
    ("change", "log"),
    [(lambda value: value + 1.0, False), (lambda value: 1000 * value**3, True)],
    ids=["as it is", "logarithm"],
)
def test_predictions(change: Any, log: bool) -> None:
    """Unseen configurations are ranked rightly, in the units of the error."""
    record, unseen = (
        replace(
            found,
            trials=tuple(replace(t, values=tuple(map(change, t.values))) for t in found.trials),
        )
        for found in (planted(160), planted(80, seed=1))
    )
    assert get_branch(record).log is log
    truth = np.asarray([t.value for t in unseen.complete])
    points = [{n: v for n, v in t.params.items() if v is not None} for t in unseen.complete]
    predicted = predict(record, points)
    assert stats.spearmanr(predicted, truth).statistic > 0.9
    assert np.median(predicted / truth) == pytest.approx(1.0, abs=0.1)
    seen = [t.value for t in record.complete if t.value is not None]
    assert min(seen) * 0.999 <= predicted.min() <= predicted.max() <= max(seen) * 1.001


def test_predictions_of_what_the_study_does_not_know() -> None:
    """Other categories, missing and foreign parameters are predicted from what is known."""
    record = planted(120)
    seen = [t.value for t in record.complete if t.value is not None]
    good: Point = {"auto_encoder": "CNN", "epoch": 20, "batch_size": 32, "learning_rate": 1e-2}
    good |= {"weight_decay": 1e-4, "batch_normalization": True}
    bad: Point = {**good, "learning_rate": 1e-4}
    odd: list[Point] = [
        {**good, "auto_encoder": "transformer"},
        {**bad, "auto_encoder": "transformer"},
        {name: value for name, value in good.items() if name != "learning_rate"},
        {**good, "colour": "red"},
        {**good, "weight_decay": 0.0},
        {},
    ]
    predicted = predict(record, [good, bad, *odd])
    assert min(seen) <= predicted.min() <= predicted.max() <= max(seen)
    assert predicted[2] < predicted[3] - 0.03
    assert predicted[5] == predicted[0] < predicted[1] - 0.03
    assert predicted[6] == pytest.approx(predicted[0], abs=0.01)
    # What is maximised comes out with its own sign.
    record = planted_multitask(160)
    joint = next(t.params for t in record.complete if t.params["strategy"] == "joint")
    points = [{**joint, "classification_lambda": value} for value in (1e-3, 0.1, 10.0)]
    predicted = predict(record, points, metric=VALIDATION_ACCURACY)
    assert predicted.tolist() == pytest.approx([0.45, 0.675, 0.9], abs=0.12)
    # Without a parameter that varies, all that is known is the mean.
    point = point_of(NOTEBOOK)
    record = searched(NOTEBOOK, [point, point], [0.2, 0.4])
    assert predict(record, [{**point, "batch_size": 64}]).tolist() == [pytest.approx(0.3)]
