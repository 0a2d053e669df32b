"""A search space as data: quantiles, grids, fixed values."""

import math
from collections import Counter
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy import stats

from emoji_ae.config import AutoencoderConfig, multitask_config
from search_spaces import SPACES, autoencoder, multitask
from search_spaces.autoencoder import EXTENDED, NOTEBOOK, to_config
from search_spaces.base import Parameter, Scalar, SearchSpace
from search_spaces.errors import SearchSpaceError

BOTH = pytest.mark.parametrize("space", [NOTEBOOK, EXTENDED], ids=["notebook", "extended"])
ENDS = (0.0, math.nextafter(0.0, 1.0), 0.5, math.nextafter(1.0, 0.0))
UNIT = st.sampled_from(ENDS) | st.floats(0, 1, exclude_max=True)

TOY = SearchSpace(
    name="toy",
    parameters=(
        Parameter(name="depth", distribution=IntDistribution(2, 5)),
        Parameter(name="width", distribution=IntDistribution(4, 20, step=8), when={"depth": (3,)}),
        Parameter(name="weight_decay", distribution=FloatDistribution(0.5, 1.5)),
    ),
    to_config=to_config,
)
"""Ranges that the real spaces do not have: steps, a linear float, a condition on a number."""


def quantile(distribution: IntDistribution | FloatDistribution, unit: float) -> Any:
    """Return the value of a space of one parameter at a point."""
    space = SearchSpace(
        name="one",
        parameters=(Parameter(name="x", distribution=distribution),),
        to_config=to_config,
    )
    return space.at([unit], {})["x"]


@pytest.mark.parametrize(
    "space",
    [NOTEBOOK, EXTENDED, multitask.NOTEBOOK, multitask.EXTENDED, TOY],
    ids=["notebook", "extended", "multitask-notebook", "multitask-extended", "toy"],
)
@given(data=st.data())
@settings(max_examples=200)
def test_unit_cube_maps_into_the_space(space: SearchSpace, data: st.DataObject) -> None:
    """Every point of the unit cube, its corners too, has allowed values of the right type."""
    n = len(space.parameters)
    point = space.at(data.draw(st.lists(UNIT, min_size=n, max_size=n)), {})
    expected: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if not parameter.is_active(expected):
            assert parameter.name not in point
            continue
        value = expected[parameter.name] = point[parameter.name]
        distribution = parameter.distribution
        assert distribution._contains(distribution.to_internal_repr(value))
        if isinstance(distribution, IntDistribution):
            assert type(value) is int
        if isinstance(distribution, FloatDistribution):
            assert type(value) is float
    assert list(point) == list(expected)
    space.to_config(point)


def test_conditions() -> None:
    """A parameter exists where each earlier one has one of the values that it needs."""
    needy = Parameter(
        name="x",
        distribution=IntDistribution(1, 2),
        when={"depth": (3, 4), "normalization": ("batch",)},
    )
    found = [
        (depth, normalization)
        for depth in (2, 3, 4, 5)
        for normalization in ("none", "batch")
        if needy.is_active({"depth": depth, "normalization": normalization, "width": 1})
    ]
    assert found == [(3, "batch"), (4, "batch")]
    assert not needy.is_active({"depth": 3})
    assert not needy.is_active({})
    assert Parameter(name="x", distribution=IntDistribution(1, 2)).is_active({})


def test_conditions_on_conditions() -> None:
    """What needs a parameter that does not exist does not exist either."""
    space = SearchSpace(
        name="chain",
        parameters=(
            Parameter(name="depth", distribution=IntDistribution(2, 4)),
            Parameter(name="width", distribution=IntDistribution(1, 2), when={"depth": (3, 4)}),
            Parameter(name="epoch", distribution=IntDistribution(5, 6), when={"width": (2,)}),
        ),
        to_config=to_config,
    )
    expected = [(2, None, None)]
    for depth in (3, 4):
        expected += [(depth, 1, None), (depth, 2, 5), (depth, 2, 6)]
    points = [(p["depth"], p.get("width"), p.get("epoch")) for p in space.grid({})]
    assert points == expected
    assert space.at([0.0, 0.9, 0.9], {}) == {"depth": 2}
    assert space.at([0.5, 0.9, 0.9], {}) == {"depth": 3, "width": 2, "epoch": 6}


@BOTH
def test_corners_are_the_ends(space: SearchSpace) -> None:
    """The lowest point has the first or least value of each range, the highest the last."""
    n = len(space.parameters)
    for unit, side in ((0.0, 0), (math.nextafter(1.0, 0.0), -1)):
        point = space.at([unit] * n, {})
        for name, value in point.items():
            (parameter,) = (p for p in space.parameters if p.name == name)
            match parameter.distribution:
                case CategoricalDistribution(choices=choices):
                    assert value == choices[side]
                case IntDistribution(low=low, high=high):
                    assert value == (low, high)[side]
                case FloatDistribution(low=low, high=high):
                    assert value == pytest.approx((low, high)[side], rel=1e-12)


@BOTH
@given(a=UNIT, b=UNIT)
@settings(max_examples=50)
def test_quantiles_are_monotone(space: SearchSpace, a: float, b: float) -> None:
    """A larger number never gives a smaller value."""
    low, high = sorted((a, b))
    for parameter in space.parameters:
        distribution = parameter.distribution
        if isinstance(distribution, IntDistribution | FloatDistribution):
            assert quantile(distribution, low) <= quantile(distribution, high)


@pytest.mark.parametrize(("low", "high"), [(8, 64), (16, 256), (1, 3)])
def test_whole_numbers_are_uniform_in_the_logarithm(low: int, high: int) -> None:
    """Each number has the share of its interval, half a step to both sides, ends included."""
    distribution = IntDistribution(low, high, log=True)
    n = 40_000
    counts = Counter(quantile(distribution, (i + 0.5) / n) for i in range(n))
    total = math.log((high + 0.5) / (low - 0.5))
    assert set(counts) == set(range(low, high + 1))
    for value, count in counts.items():
        share = math.log((value + 0.5) / (value - 0.5)) / total
        assert count == pytest.approx(share * n, abs=2)


def test_floats_are_uniform_in_the_logarithm() -> None:
    """Quantiles of a logarithmic range are evenly spaced exponents."""
    distribution = FloatDistribution(1e-4, 1e-1, log=True)
    units = np.random.default_rng(0).random(2000)
    values = np.log10([quantile(distribution, unit) for unit in units])
    assert stats.kstest(values, stats.uniform(-4, 3).cdf).pvalue > 0.01
    assert quantile(distribution, 1 / 3) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (IntDistribution(3, 5), {3: 400, 4: 400, 5: 400}),
        (IntDistribution(4, 20, step=8), {4: 400, 12: 400, 20: 400}),
        (IntDistribution(7, 7), {7: 1200}),
    ],
)
def test_whole_numbers_are_uniform(
    distribution: IntDistribution, expected: dict[int, int]
) -> None:
    """Without a logarithm each number has the same share, in steps too."""
    counts = Counter(quantile(distribution, (i + 0.5) / 1200) for i in range(1200))
    assert counts == expected


def test_linear_floats() -> None:
    """Without a logarithm quantiles are evenly spaced values."""
    distribution = FloatDistribution(0.5, 1.5)
    assert [quantile(distribution, unit) for unit in (0.0, 0.25, 0.5)] == [0.5, 0.75, 1.0]


def test_categories_have_equal_shares() -> None:
    """A choice has the same share of the unit interval as any other."""
    units = [(i + 0.5) / 1200 for i in range(1200)]
    n = len(NOTEBOOK.parameters)
    rates = Counter(NOTEBOOK.at([unit] * n, {})["learning_rate"] for unit in units)
    assert rates == {1e-4: 300, 1e-3: 300, 1e-2: 300, 1e-1: 300}


def test_coordinates_belong_to_parameters() -> None:
    """Each parameter follows its own coordinate, also when one before it is not active."""
    base = [0.0] * len(EXTENDED.parameters)
    for branch in (0.0, 0.9):
        base[0] = branch
        start = EXTENDED.at(base, {})
        for i, parameter in enumerate(EXTENDED.parameters[1:], start=1):
            moved = EXTENDED.at([*base[:i], 0.9, *base[i + 1 :]], {})
            changed = {name for name in start if moved[name] != start[name]}
            free = parameter.name in start and parameter.name != "epoch"  # one choice only
            assert changed == ({parameter.name} if free else set())


@BOTH
@given(data=st.data())
@settings(max_examples=50)
def test_fixed_values_do_not_move_the_others(space: SearchSpace, data: st.DataObject) -> None:
    """Fixing parameters changes these and no others, and may lie outside the range."""
    n = len(space.parameters)
    unit = data.draw(st.lists(UNIT, min_size=n, max_size=n))
    free = space.at(unit, {})
    fixed: dict[str, Scalar] = {"epoch": 3, "learning_rate": 7.0, "bottleneck_dim": 5}
    point = space.at(unit, fixed)
    assert point == {name: fixed.get(name, value) for name, value in free.items()}


def test_wrong_number_of_coordinates() -> None:
    """A point of another dimension is a mistake, not a shorter configuration."""
    n = len(NOTEBOOK.parameters)
    for wrong in (n - 1, n + 1):
        with pytest.raises(ValueError, match="zip"):
            NOTEBOOK.at([0.0] * wrong, {})


def test_grid_with_fixed_values() -> None:
    """A fixed value takes the place of all others, in the grid's order."""
    whole = list(NOTEBOOK.grid({}))
    assert list(NOTEBOOK.grid({"epoch": 100})) == [p for p in whole if p["epoch"] == 100]
    outside = list(NOTEBOOK.grid({"epoch": 3, "auto_encoder": "linear"}))
    assert len(outside) == 144
    assert {point["epoch"] for point in outside} == {3}
    one: dict[str, Scalar] = {
        "auto_encoder": "CNN",
        "epoch": 3,
        "batch_size": 16,
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "batch_normalization": True,
    }
    assert list(NOTEBOOK.grid(one)) == [one]
    # The unused parameter of the other architecture does not multiply the points.
    assert list(NOTEBOOK.grid({**one, "bottleneck_dim": 16})) == [one]


def test_grid_with_steps_and_conditions() -> None:
    """Whole numbers go by their steps, and a condition opens its branch only."""
    points = list(TOY.grid({"weight_decay": 1.0}))
    assert [(point["depth"], point.get("width")) for point in points] == [
        *((2, None), (3, 4), (3, 12), (3, 20), (4, None), (5, None))
    ]
    assert all(point["weight_decay"] == 1.0 for point in points)


def test_suggestion_keeps_the_ranges() -> None:
    """Steps, scales and ends reach Optuna, whatever the type of the range."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen: dict[str, set[Scalar]] = {}
    for _ in range(60):
        trial = study.ask()
        params = TOY.suggest(trial, {})
        assert trial.params == params
        assert ("width" in params) == (params["depth"] == 3)
        ranges = {p.name: p.distribution for p in TOY.parameters if p.name in params}
        assert trial.distributions == ranges
        for name, value in params.items():
            seen.setdefault(name, set()).add(value)
    assert seen["depth"] == {2, 3, 4, 5}
    assert seen["width"] == {4, 12, 20}


def test_choices() -> None:
    """The values of a finite parameter come in the order of its range."""
    for space, name, values in (
        (NOTEBOOK, "batch_size", [16, 32, 64]),
        (EXTENDED, "depth", [2, 3, 4, 5]),
        (TOY, "width", [4, 12, 20]),
    ):
        assert next(p for p in space.parameters if p.name == name).values() == values


@pytest.mark.parametrize(
    ("space", "name", "text", "value"),
    [
        (NOTEBOOK, "auto_encoder", "linear", "linear"),
        (NOTEBOOK, "epoch", "3", 3),
        (NOTEBOOK, "batch_size", " 128 ", 128),
        (NOTEBOOK, "learning_rate", "5e-2", 0.05),
        (NOTEBOOK, "learning_rate", "1", 1.0),
        (NOTEBOOK, "weight_decay", "0", 0.0),
        (NOTEBOOK, "batch_normalization", "true", True),
        (NOTEBOOK, "batch_normalization", "False", False),
        (NOTEBOOK, "bottleneck_dim", "7", 7),
        (EXTENDED, "learning_rate", "3", 3.0),
        (EXTENDED, "batch_size", "2", 2),
        (EXTENDED, "depth", "1", 1),
        (EXTENDED, "width", "1024", 1024),
        (EXTENDED, "normalization", "group", "group"),
        (EXTENDED, "schedule", "cosine", "cosine"),
    ],
)
def test_parse_fixed(space: SearchSpace, name: str, text: str, value: Scalar) -> None:
    """A text becomes a value of the parameter's type, outside its range too."""
    parsed = space.parse_fixed({name: text})
    assert parsed == {name: value}
    assert type(parsed[name]) is type(value)


@pytest.mark.parametrize(
    ("space", "name", "text", "rule"),
    [
        (NOTEBOOK, "epoch", "two", "a whole number"),
        (NOTEBOOK, "epoch", "1.5", "a whole number"),
        (NOTEBOOK, "epoch", "", "a whole number"),
        (NOTEBOOK, "epoch", "nan", "a whole number"),
        (EXTENDED, "width", "1e1", "a whole number"),
        (NOTEBOOK, "learning_rate", "fast", "a number"),
        (NOTEBOOK, "learning_rate", "nan", "a number"),
        (NOTEBOOK, "learning_rate", "inf", "a number"),
        (EXTENDED, "weight_decay", "-inf", "a number"),
        (EXTENDED, "weight_decay", "0,1", "a number"),
        (NOTEBOOK, "batch_normalization", "1", "true or false"),
        (NOTEBOOK, "batch_normalization", "yes", "true or false"),
        (NOTEBOOK, "auto_encoder", "cnn", "one of CNN, linear"),
        (EXTENDED, "normalization", "layer", "one of none, batch, group"),
        (EXTENDED, "schedule", "", "one of constant, one_cycle, cosine"),
    ],
)
def test_parse_fixed_of_another_type(space: SearchSpace, name: str, text: str, rule: str) -> None:
    """A text that is no such value is refused with what it must be and what it was."""
    with pytest.raises(SearchSpaceError, match=rf"^`{name}` must be {rule}, but got '{text}'\.$"):
        space.parse_fixed({name: text})


@pytest.mark.parametrize(
    ("space", "name", "text"),
    [
        (NOTEBOOK, "epoch", "0"),
        (NOTEBOOK, "batch_size", "1"),
        (NOTEBOOK, "learning_rate", "0"),
        (NOTEBOOK, "learning_rate", "-0.1"),
        (NOTEBOOK, "weight_decay", "-1"),
        (NOTEBOOK, "bottleneck_dim", "4097"),
        (EXTENDED, "depth", "6"),
        (EXTENDED, "width", "0"),
        (EXTENDED, "latent_channels", "0"),
    ],
)
def test_parse_fixed_out_of_rule(space: SearchSpace, name: str, text: str) -> None:
    """A value that no model can be trained with is refused with the configuration's rule."""
    with pytest.raises(SearchSpaceError, match=rf"^`{name}` must be a .*number.*, but got -?\d"):
        space.parse_fixed({name: text})


@BOTH
def test_parse_fixed_of_an_unknown_name(space: SearchSpace) -> None:
    """A name that the space does not have is refused with those that it has."""
    names = ", ".join(parameter.name for parameter in space.parameters)
    with pytest.raises(
        SearchSpaceError,
        match=rf"^The {space.name} space has no parameter 'lr'; it has: {names}\.$",
    ):
        space.parse_fixed({"epoch": "1", "lr": "0.1"})


def test_parse_fixed_takes_all() -> None:
    """Several values are read at once, and none gives none."""
    assert NOTEBOOK.parse_fixed({}) == {}
    assert NOTEBOOK.parse_fixed({"epoch": "2", "batch_normalization": "true"}) == {
        "epoch": 2,
        "batch_normalization": True,
    }


@given(data=st.data())
@settings(max_examples=100)
def test_every_value_can_be_fixed(data: st.DataObject) -> None:
    """What a space suggests can be written as text and is read back equal."""
    spaces = [space for by_name in SPACES.values() for space in by_name.values()]
    space = data.draw(st.sampled_from(spaces))
    n = len(space.parameters)
    point = space.at(data.draw(st.lists(UNIT, min_size=n, max_size=n)), {})
    texts = {name: str(value) for name, value in point.items()}
    assert space.parse_fixed(texts) == point
    assert space.at([0.3] * n, space.parse_fixed(texts)) == point


def test_check() -> None:
    """One value is checked in the branch where it exists."""
    NOTEBOOK.check("bottleneck_dim", 5)
    NOTEBOOK.check("batch_normalization", True)
    with pytest.raises(SearchSpaceError, match=r"`bottleneck_dim` must be .*, but got 0\."):
        NOTEBOOK.check("bottleneck_dim", 0)


def test_error_is_a_value_error() -> None:
    """The package's error is caught as a ValueError too."""
    assert issubclass(SearchSpaceError, ValueError)


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module in (autoencoder, multitask) for name in ("NOTEBOOK", "EXTENDED")],
)
@given(data=st.data())
def test_point_is_the_way_back(module: Any, name: str, data: st.DataObject) -> None:
    """A point of a space is that of its configuration, whatever values there are beside."""
    space = getattr(module, name)
    n = len(space.parameters)
    point = space.at(data.draw(st.lists(UNIT, min_size=n, max_size=n)), {})
    values = module.to_values(space.to_config(point))
    assert space.point(values) == point
    assert space.point({**values, "epoch": 7, "size": 1}) == point | {"epoch": 7}


@pytest.mark.parametrize(
    ("module", "best"), [(autoencoder, AutoencoderConfig()), (multitask, multitask_config())]
)
@pytest.mark.parametrize("name", ["NOTEBOOK", "EXTENDED"])
def test_the_notebooks_best_is_a_point_of_each_space(
    module: Any, best: AutoencoderConfig, name: str
) -> None:
    """Both spaces of a kind hold the configuration that is to be beaten."""
    space = getattr(module, name)
    point = space.point(module.to_values(best))
    allowed = {p.name: p for p in space.parameters}
    assert space.to_config(point) == best
    assert all(allowed[name].allows(value) for name, value in point.items())


def test_holding_widens_only_what_must_be() -> None:
    """Values inside change nothing; others join a choice, or turn a range into a choice."""
    inside = {"batch_size": 16, "learning_rate": 0.05, "normalization": "group", "depth": 5}
    assert EXTENDED.holding([inside, {}]) == EXTENDED
    points = [{"epoch": 50, "batch_size": 128}, {"batch_size": 16, "auto_encoder": "CNN"}]
    held = {p.name: p for p in EXTENDED.holding(points).parameters}
    assert held["epoch"].distribution == CategoricalDistribution([200, 50])
    assert held["batch_size"].distribution == CategoricalDistribution([16, 128])
    assert held["auto_encoder"] == EXTENDED.parameters[0]
    assert held["width"].when == {"auto_encoder": ("CNN",)}


@pytest.mark.parametrize(
    "distribution",
    [
        IntDistribution(2, 9),
        IntDistribution(1, 200, log=True),
        IntDistribution(4, 20, step=8),
        FloatDistribution(0.5, 1.5),
        FloatDistribution(1e-8, 1e-2, log=True),
    ],
    ids=str,
)
@given(unit=UNIT)
def test_quantile_is_the_way_back(
    distribution: IntDistribution | FloatDistribution, unit: float
) -> None:
    """The quantile of a value leads to it again, and values beyond the ends to the ends."""
    parameter = Parameter(name="x", distribution=distribution)
    value = parameter.at(unit)
    assert parameter.at(parameter.quantile(value)) == pytest.approx(value, rel=1e-9)
    assert parameter.at(parameter.quantile(distribution.low - 1)) == pytest.approx(
        distribution.low
    )
    assert parameter.at(parameter.quantile(distribution.high + 1)) == pytest.approx(
        distribution.high
    )
    assert parameter.at(1.0) == pytest.approx(distribution.high)


def test_choices_have_no_quantile_and_floats_no_list() -> None:
    """What a range does not have is an error."""
    with pytest.raises(TypeError, match="quantiles"):
        Parameter(name="x", distribution=CategoricalDistribution([1, 2])).quantile(1)
    with pytest.raises(TypeError, match="values"):
        Parameter(name="x", distribution=FloatDistribution(0, 1)).values()
