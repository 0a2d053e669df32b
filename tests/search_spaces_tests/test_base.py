"""A search space as data: quantiles, grids, fixed values."""

import math
import re
from collections import Counter

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from emoji_ae.config import AutoencoderConfig, multitask_config
from search_spaces import SPACES, autoencoder, multitask, parse_params
from search_spaces.autoencoder import EXTENDED, NOTEBOOK, to_config
from search_spaces.base import Distribution, Parameter, Scalar, SearchSpace
from search_spaces.errors import SearchSpaceError

UNIT = st.sampled_from([0.0, math.nextafter(0.0, 1.0), 0.5, math.nextafter(1.0, 0.0)]) | st.floats(
    0, 1, exclude_max=True
)
TOY = SearchSpace(
    name="toy",
    parameters=(
        Parameter("depth", IntDistribution(2, 5)),
        Parameter("width", IntDistribution(4, 20, step=8), when={"depth": (3,)}),
        Parameter("weight_decay", FloatDistribution(0.5, 1.5)),
        Parameter("edge_weight", FloatDistribution(0.0, 0.3, step=0.1)),
    ),
    to_config=to_config,
)
"""Ranges that the real spaces do not have: steps, a linear float, a condition on a number."""

MODULES = {"autoencoder": autoencoder, "multitask": multitask}
ALL_SPACES = [*(space for kind in SPACES.values() for space in kind.values()), TOY]
FIXED: dict[str, Scalar] = {"epoch": 3, "learning_rate": 7.0, "bottleneck_dim": 5}
"""Outside of the ranges."""


@pytest.mark.parametrize(
    "space", ALL_SPACES, ids=["notebook", "extended", "both-notebook", "both-extended", "toy"]
)
@given(data=st.data())
@settings(max_examples=30)
def test_unit_cube_maps_into_the_space(space: SearchSpace, data: st.DataObject) -> None:
    """Every point of the unit cube has allowed values, which can be fixed, written and read."""
    n = len(space.parameters)
    unit = data.draw(st.lists(UNIT, min_size=n, max_size=n))
    point = space.at(unit, {})
    expected: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if not parameter.is_active(expected):
            continue
        value = expected[parameter.name] = point[parameter.name]
        distribution = parameter.distribution
        assert distribution._contains(distribution.to_internal_repr(value))
        types = {IntDistribution: int, FloatDistribution: float}
        assert type(value) is types.get(type(distribution), type(value))
    assert list(point) == list(expected)

    assert space.at(unit, FIXED) == {name: FIXED.get(name, point[name]) for name in point}
    written = space.parse_fixed({name: str(value) for name, value in point.items()})
    assert written == point
    assert space.at([0.3] * n, written) == point
    config = space.to_config(point)
    if space is not TOY:
        values = (multitask if config.classification else autoencoder).to_values(config)
        assert space.point({**values, "size": 1}) == point


@pytest.mark.parametrize("fixed", [{}, FIXED], ids=["free", "fixed"])
def test_optuna_gives_enqueued_points_back(fixed: dict[str, Scalar]) -> None:
    """A point that waits in a study is suggested and stored exactly, each name with one range."""
    for space in ALL_SPACES:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        units = np.random.default_rng(0).random((20, len(space.parameters))).tolist()
        wanted = [space.at(unit, fixed) for unit in units]
        ranges: dict[str, Distribution] = {p.name: p.distribution for p in space.parameters}
        ranges |= {name: CategoricalDistribution([value]) for name, value in fixed.items()}
        for point in wanted:
            study.enqueue_trial(point)
        for point in wanted:
            trial = study.ask()
            params = space.suggest(trial, fixed)
            assert params == trial.params
            wanted_types = [(n, v, type(v)) for n, v in point.items()]
            assert [(n, v, type(v)) for n, v in params.items()] == wanted_types
            assert trial.distributions == {name: ranges[name] for name in point}


def test_conditions() -> None:
    """A parameter exists where each earlier one exists and has one of the values it needs."""
    space = SearchSpace(
        name="chain",
        parameters=(
            Parameter("depth", IntDistribution(2, 4)),
            Parameter("width", IntDistribution(1, 2), when={"depth": (3, 4)}),
            Parameter("epoch", IntDistribution(5, 6), when={"depth": (2, 3), "width": (2,)}),
        ),
        to_config=to_config,
    )
    assert [(p["depth"], p.get("width"), p.get("epoch")) for p in space.grid({})] == [
        *((2, None, None), (3, 1, None), (3, 2, 5), (3, 2, 6), (4, 1, None), (4, 2, None))
    ]
    assert space.at([0.0, 0.9, 0.9], {}) == {"depth": 2}
    assert space.at([0.5, 0.9, 0.9], {}) == {"depth": 3, "width": 2, "epoch": 6}


def test_spaces_of_each_kind() -> None:
    """Conditions name earlier parameters and their values; the notebook's best is a point."""
    assert list(SPACES) == list(MODULES)
    bests = (AutoencoderConfig(), multitask_config())
    for (kind, module), best in zip(MODULES.items(), bests, strict=True):
        assert SPACES[kind] == {"notebook": module.NOTEBOOK, "extended": module.EXTENDED}
        for space in SPACES[kind].values():
            by_name = {parameter.name: parameter for parameter in space.parameters}
            for i, parameter in enumerate(space.parameters):
                for earlier, values in parameter.when.items():
                    assert earlier in [*by_name][:i]
                    assert set() < set(values) <= set(by_name[earlier].values())
            point = space.point(module.to_values(best))
            assert space.to_config(point) == best
            assert all(by_name[name].allows(value) for name, value in point.items())


def test_shares_of_finite_ranges() -> None:
    """Each value has its share of the unit interval, in order, ends included."""
    ranges: list[tuple[Distribution, dict[Scalar, int]]] = [
        (IntDistribution(4, 20, step=8), {4: 400, 12: 400, 20: 400}),
        (IntDistribution(7, 7), {7: 1200}),
        # Half a step to both sides: log 1.5 / 0.5, log 2.5 / 1.5, log 3.5 / 2.5 of log 7.
        (IntDistribution(1, 3, log=True), {1: 677, 2: 315, 3: 208}),
        (CategoricalDistribution([0.1, "x", True]), {0.1: 400, "x": 400, True: 400}),
        (FloatDistribution(0.0, 0.3, step=0.1), {0.0: 300, 0.1: 300, 0.2: 300, 0.3: 300}),
    ]
    for distribution, expected in ranges:
        parameter = Parameter("x", distribution)
        values = [parameter.at((i + 0.5) / 1200) for i in range(1200)]
        counts = Counter(values)
        assert counts == pytest.approx(expected, abs=1)
        assert [value for value, count in counts.items() for _ in range(count)] == values
        assert parameter.values() == list(counts) == list(expected)
        assert parameter.at(1.0) == values[-1]


@given(unit=UNIT)
@settings(max_examples=25)
def test_quantile_is_the_way_back(unit: float) -> None:
    """The quantile of a value leads to it again, and values beyond the ends to the ends."""
    for distribution in (
        *(IntDistribution(1, 200, log=True), IntDistribution(4, 20, step=8)),
        *(FloatDistribution(0.5, 1.5), FloatDistribution(0.5, 1.4, step=0.3)),
    ):
        parameter = Parameter("x", distribution)
        value = parameter.at(unit)
        assert parameter.at(parameter.quantile(value)) == pytest.approx(value, rel=1e-9)
        low, high = distribution.low, distribution.high
        assert parameter.allows(value)
        assert parameter.at(parameter.quantile(low - 1)) == pytest.approx(low)
        assert parameter.at(parameter.quantile(high + 1)) == pytest.approx(high)


def test_quantiles_and_values() -> None:
    """Quantiles are evenly spaced values or exponents; what a range does not have is an error."""
    for distribution, expected in (
        (FloatDistribution(0.5, 1.5), [0.5, 0.75, 1.0, 1.5]),
        (FloatDistribution(1e-4, 1.0, log=True), [1e-4, 1e-3, 1e-2, 1.0]),
    ):
        found = [Parameter("x", distribution).at(unit) for unit in (0.0, 0.25, 0.5, 1.0)]
        assert found == pytest.approx(expected, rel=1e-12)
    for distribution, wrong, message in (
        (IntDistribution(4, 20, step=8), 8, "a whole number from 4 to 20 in steps of 8"),
        (FloatDistribution(0, 0.3, step=0.1), 0.15, "a number from 0 to 0.3 in steps of 0.1"),
    ):
        parameter = Parameter("x", distribution)
        assert (parameter.allows(wrong), parameter.describe_range()) == (False, message)
    with pytest.raises(TypeError, match="quantiles"):
        Parameter("x", CategoricalDistribution([1, 2])).quantile(1)
    with pytest.raises(TypeError, match="values"):
        Parameter("x", FloatDistribution(0, 1)).values()


def test_coordinates_belong_to_parameters() -> None:
    """Each parameter follows its own coordinate, also when one before it is not active."""
    base = [0.9] + [0.0] * (len(EXTENDED.parameters) - 1)
    start = EXTENDED.at(base, {})
    for i, parameter in enumerate(EXTENDED.parameters[1:], start=1):
        moved = EXTENDED.at([*base[:i], 0.9, *base[i + 1 :]], {})
        changed = {name for name in start if moved[name] != start[name]}
        free = parameter.name in start and parameter.name != "epoch"  # one choice only
        assert changed == ({parameter.name} if free else set())


def test_grid_with_fixed_values() -> None:
    """A fixed value takes the place of all others, in the grid's order; steps are kept."""
    whole = list(NOTEBOOK.grid({}))
    assert list(NOTEBOOK.grid({"epoch": 100})) == [p for p in whole if p["epoch"] == 100]
    one = whole[0] | {"auto_encoder": "CNN", "epoch": 3, "learning_rate": 0.5}
    # The unused parameter of the other architecture does not multiply the points.
    assert list(NOTEBOOK.grid({**one, "bottleneck_dim": 16})) == [one]
    points = list(TOY.grid({"weight_decay": 1.0, "edge_weight": 0.1}))
    assert [(point["depth"], point.get("width")) for point in points] == [
        *((2, None), (3, 4), (3, 12), (3, 20), (4, None), (5, None))
    ]
    assert all(point["weight_decay"] == 1.0 for point in points)


def test_fixed_values() -> None:
    """A text becomes a value of the parameter's type, outside its range too, or is refused."""
    params = {"auto_encoder": "linear", "epoch": 128, "learning_rate": 0.05, "branch_point": 7}
    params |= {"batch_normalization": True, "auxiliary_task": False, "dropout": 0.0}
    texts = {name: f" {value}" for name, value in params.items()} | {"auto_encoder": "linear"}
    found = parse_params(SPACES["multitask"], texts)
    assert found == params
    assert [type(found[name]) for name in params] == [*map(type, params.values())]
    words = {"auxiliary_task": "true", "batch_normalization": "FALSE"}
    assert parse_params(SPACES["multitask"], words) == dict(zip(words, (True, False), strict=True))
    for name, text, message in (
        ("epoch", "1.5", "`epoch` must be a whole number, but got '1.5'."),
        ("learning_rate", "fast", "`learning_rate` must be a number, but got 'fast'."),
        ("weight_decay", "-inf", "`weight_decay` must be a number, but got '-inf'."),
        ("class_weights", "1", "`class_weights` must be true or false, but got '1'."),
        ("auto_encoder", "cnn", "`auto_encoder` must be one of CNN, linear, but got 'cnn'."),
        # A value that no model can be trained with, where another one says that it is used.
        ("dropout", "1", "`dropout` must be at least 0 and below 1, but got 1.0."),
        ("lr", "1", "There is no parameter 'lr'; there are: activation, "),
    ):
        with pytest.raises(SearchSpaceError, match=f"^{re.escape(message)}"):
            parse_params(SPACES["multitask"], {"epoch": "3", name: text})
    message = r"^The notebook space has no parameter 'lr'; it has: epoch, auto_encoder, batch_siz"
    with pytest.raises(SearchSpaceError, match=message):
        NOTEBOOK.parse_fixed({"epoch": "1", "lr": "0.1"})


def test_none_among_choices() -> None:
    """None is a value where it is a choice, and elsewhere what a trial does not have."""
    choice = CategoricalDistribution((None, "a", 2, True))
    space = SearchSpace(
        name="some",
        parameters=(
            Parameter("kind", choice),
            Parameter("inner", IntDistribution(1, 3), when={"kind": (None,)}),
        ),
    )
    for stored in ({"kind": None, "inner": 2}, {"kind": 2, "inner": None}):
        assert space.given(stored) == {
            n: v for n, v in stored.items() if (n, v) != ("inner", None)
        }
    assert space.given({}) == {}
    for value in choice.choices:
        assert space.parse_fixed({"kind": f" {value} "}) == {"kind": value}
        assert ("inner" in space.at([0.0, 0.0], {"kind": value})) == (value is None)
    assert not space.parameters[1].is_active({})


def test_what_a_trial_can_have() -> None:
    """A value lies in its range or is the fixed one; what does not is told with the rule."""
    point: dict[str, Scalar] = {"depth": 3, "epoch": 5, "learning_rate": 1e-4, "variational": True}
    EXTENDED.require(point, {"epoch": 5})
    for name, value, message in (
        ("lr", 1, "The extended space has no parameter 'lr'; it has: auto_encoder, epoch, batch"),
        ("epoch", 6, "`epoch` is fixed to 5 in this study, but got 6."),
        ("depth", "3", "`depth` must be a whole number from 2 to 5, but got '3'."),
        ("learning_rate", 0.2, "`learning_rate` must be a number from 0.0001 to 0.1, but got 0.2"),
        ("variational", 1, "`variational` must be one of False, True, but got 1."),
    ):
        with pytest.raises(SearchSpaceError, match=f"^{re.escape(message)}"):
            EXTENDED.require(point | {name: value}, {"epoch": 5})


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


def test_many_numbers_are_a_range() -> None:
    """Not a choice of all of them, which would be stored with every trial."""
    rates = [10.0 ** (-5 * i / 99) for i in range(100)]
    points = [{"learning_rate": r, "batch_size": 3 + i, "epoch": 7} for i, r in enumerate(rates)]
    held = {p.name: p.distribution for p in NOTEBOOK.holding(points).parameters}
    assert held["learning_rate"] == FloatDistribution(1e-5, 1.0, log=True)
    assert held["batch_size"] == IntDistribution(3, 102, log=True)
    assert held["epoch"] == CategoricalDistribution([200, 100, 7])
    texts = [{"auto_encoder": f"kind {i}"} for i in range(30)]
    held = {p.name: p.distribution for p in NOTEBOOK.holding(texts).parameters}
    assert len(held["auto_encoder"].choices) == 32
