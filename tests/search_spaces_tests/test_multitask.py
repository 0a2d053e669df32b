"""The two spaces of the multitask study: their sizes, ranges, conditions and configurations."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from typing import get_args

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from emoji_ae.config import Strategy, multitask_config
from emoji_ae.errors import ConfigError
from search_spaces import SPACES, autoencoder, parse_params
from search_spaces.base import Scalar
from search_spaces.designs import design_points
from search_spaces.errors import SearchSpaceError
from search_spaces.multitask import EXTENDED, NOTEBOOK, to_config

DESIGNS = pytest.mark.parametrize("design", ["random", "qmc"])
UNIT = st.sampled_from([0.0, 0.5, math.nextafter(1.0, 0.0)]) | st.floats(0, 1, exclude_max=True)
HIDDEN = {"classification_width", "dropout"}


def points(design: str, n: int, **fixed: Scalar) -> list[dict[str, Scalar]]:
    """Return the first points of the extended space."""
    return list(itertools.islice(design_points(design, EXTENDED, fixed, seed=3), n))


def expected_names(point: Mapping[str, Scalar]) -> set[str]:
    """Return the parameters that a point of the extended space has, by its choices."""
    names = {
        *("auto_encoder", "epoch", "batch_size", "learning_rate", "weight_decay"),
        *("activation", "schedule", "strategy", "classification_layer_num"),
        *("class_weights", "patience", "edge_weight", "color_weight", "variational"),
        "extra_images",
    }
    if point["variational"]:
        names.add("kl_weight")
    if point["auto_encoder"] == "CNN":
        names |= {"width", "depth", "latent_channels", "normalization"}
    else:
        names |= {"bottleneck_dim"}
    if point["strategy"] == "branched":
        names.add("branch_point")
    if point["strategy"] != "sequential":
        names.add("auxiliary_task")
        if point["auxiliary_task"]:
            names.add("classification_lambda")
    if point["classification_layer_num"] != 1:
        names |= HIDDEN
    return names


def test_notebook_grid() -> None:
    """The original's grid has 1,944 points, each exactly once, under the original's names."""
    grid = list(NOTEBOOK.grid({}))
    assert len({tuple(sorted(point.items())) for point in grid}) == len(grid) == 1944
    assert {name: {point[name] for point in grid} for name in grid[0]} == {
        "batch_size": {16, 32},
        "learning_rate": {1e-4, 1e-3, 1e-2},
        "epoch": {100, 200},
        "dropout": {0.0, 0.3, 0.5},
        "classification_lambda": {0.1, 0.5, 0.7},
        "classification_layer_num": {1, 2, 3},
        "batch_normalization": {False, True},
        "weight_decay": {1e-5, 1e-4, 1e-3},
    }
    assert all(point.keys() == grid[0].keys() for point in grid)


def test_notebook_grid_repeats_itself() -> None:
    """1,512 points differ in effect, and 756 trainings answer them all."""
    configs = [to_config(point) for point in NOTEBOOK.grid({})]
    assert len(set(configs)) == 1944
    assert len({tuple(sorted(config.effective().items())) for config in configs}) == 1512
    assert len({config.identity() for config in configs}) == 756
    for config in configs:
        fields = config.to_dict()
        assert (fields["auto_encoder"], fields["strategy"], fields["patience"]) == (
            "CNN",
            "joint",
            0,
        )
        assert (fields["schedule"], fields["class_weights"]) == ("constant", False)


def test_notebook_grid_has_long_trainings_first() -> None:
    """Every short training comes when the long one that it begins is done."""
    done: dict[str, int] = {}
    for point in NOTEBOOK.grid({}):
        config = to_config(point)
        assert config.epoch <= done.setdefault(config.identity(), config.epoch)


def test_notebook_has_its_best() -> None:
    """The default configuration is a point of the notebook's grid."""
    grid = [point for point in NOTEBOOK.grid({}) if to_config(point) == multitask_config()]
    assert grid == [
        {
            "epoch": 200,
            "batch_size": 16,
            "learning_rate": 1e-3,
            "dropout": 0.3,
            "classification_lambda": 0.1,
            "classification_layer_num": 1,
            "batch_normalization": False,
            "weight_decay": 1e-5,
        }
    ]


def test_extended_ranges() -> None:
    """All of the autoencoder's space is there, unchanged, and then these ranges."""
    ranges: dict[str, BaseDistribution] = {
        "strategy": CategoricalDistribution(get_args(Strategy)),
        "branch_point": IntDistribution(1, 3),
        "auxiliary_task": CategoricalDistribution([True, False]),
        "classification_lambda": FloatDistribution(1e-3, 10.0, log=True),
        "classification_layer_num": IntDistribution(1, 3),
        "classification_width": IntDistribution(32, 512, log=True),
        "dropout": FloatDistribution(0.0, 0.7),
        "class_weights": CategoricalDistribution([False, True]),
        "patience": CategoricalDistribution([0, 20, 40]),
    }
    n = len(autoencoder.EXTENDED.parameters)
    assert EXTENDED.parameters[:n] == autoencoder.EXTENDED.parameters
    assert {p.name: p.distribution for p in EXTENDED.parameters[n:]} == ranges
    assert len(EXTENDED.parameters) == n + len(ranges)


def assert_valid(point: Mapping[str, Scalar]) -> None:
    """Check a point's names, and that its values arrive in a configuration that uses them."""
    assert set(point) == expected_names(point)
    config = to_config(point)
    assert config.classification is not None
    for name, value in point.items():
        if name == "auxiliary_task":
            assert value is (config.classification.classification_lambda > 0)
        elif name == "variational":
            assert value is (config.kl_weight > 0)
        else:
            assert config.to_dict()[name] == value
    switched_off = {"classification_lambda"} if point.get("auxiliary_task") is False else set()
    switches = {"auxiliary_task", "variational"}
    weightless = {name for name in ("edge_weight", "color_weight") if point[name] == 0}
    weightless |= {"extra_images"} if point["extra_images"] else set()
    assert set(point) - switches - weightless | switched_off == set(config.effective())


@given(data=st.data())
@settings(max_examples=300)
def test_every_point_is_valid(data: st.DataObject) -> None:
    """Any point of the unit cube has the parameters that act, and makes a configuration."""
    n = len(EXTENDED.parameters)
    assert_valid(EXTENDED.at(data.draw(st.lists(UNIT, min_size=n, max_size=n)), {}))


@DESIGNS
def test_every_point_of_a_design_is_valid(design: str) -> None:
    """So do the points that studies begin with."""
    for point in points(design, 400):
        assert_valid(point)


@DESIGNS
def test_every_choice_is_reached(design: str) -> None:
    """A few hundred points show each choice of each finite parameter, and each condition."""
    seen: dict[str, Counter[Scalar]] = {}
    for point in points(design, 400):
        for name, value in point.items():
            seen.setdefault(name, Counter())[value] += 1
    for parameter in EXTENDED.parameters:
        distribution = parameter.distribution
        if isinstance(distribution, CategoricalDistribution):
            assert set(seen[parameter.name]) == set(distribution.choices)
        elif isinstance(distribution, IntDistribution) and not distribution.log:
            expected = set(range(distribution.low, distribution.high + 1))
            assert set(seen[parameter.name]) == expected
        else:
            low, high = min(seen[parameter.name]), max(seen[parameter.name])
            assert isinstance(distribution, IntDistribution | FloatDistribution)
            assert distribution.low <= low < high <= distribution.high
    n_without = seen["auxiliary_task"][False]
    assert 60 < n_without < 200, "lambda 0 must be a fair share"
    assert seen["strategy"]["sequential"] + seen["auxiliary_task"].total() == 400


def test_ends_of_the_conditional_ranges_are_reached() -> None:
    """The ends of lambda, width, dropout and the branch point are points of the space."""
    n, index = len(EXTENDED.parameters), {p.name: i for i, p in enumerate(EXTENDED.parameters)}
    for unit, ends in (
        (0.0, (1e-3, 32, 0.0, 1)),
        (math.nextafter(1.0, 0.0), (10.0, 512, 0.7, 3)),
    ):
        cube = [unit] * n
        cube[index["strategy"]] = 0.9
        cube[index["auxiliary_task"]] = 0.1
        cube[index["classification_layer_num"]] = 0.5
        point = EXTENDED.at(cube, {})
        names = ("classification_lambda", "classification_width", "dropout", "branch_point")
        assert [point[name] for name in names] == pytest.approx(list(ends))


def test_without_the_auxiliary_task_lambda_is_zero() -> None:
    """The switch stands for lambda 0, and is no field itself."""
    params: dict[str, Scalar] = {"strategy": "joint", "auxiliary_task": False, "depth": 3}
    assert to_config(params) == multitask_config(classification_lambda=0, depth=3)
    assert params == {"strategy": "joint", "auxiliary_task": False, "depth": 3}
    params |= {"auxiliary_task": True, "classification_lambda": 0.25}
    assert to_config(params) == multitask_config(classification_lambda=0.25, depth=3)


def test_to_config_checks() -> None:
    """Values and names obey the configuration's rules; the notebook's flag is a rule too."""
    assert to_config({}) == multitask_config()
    flags = [to_config({"batch_normalization": flag}).normalization for flag in (False, True)]
    assert flags == ["none", "batch"]
    with pytest.raises(ConfigError, match=r"`auxiliary_task` must be true or false"):
        to_config({"auxiliary_task": "false"})
    with pytest.raises(ConfigError, match=r"`batch_normalization` must be true or false"):
        to_config({"batch_normalization": "yes"})
    with pytest.raises(ConfigError, match=r"`dropout` must be .*, but got 1\.0\."):
        to_config({"dropout": 1.0})
    with pytest.raises(ConfigError, match="`size` must be one of"):
        to_config({"size": 1})


@given(data=st.data())
@settings(max_examples=40)
def test_suggestion_gives_a_wanted_point_back(data: st.DataObject) -> None:
    """A point that was enqueued is suggested exactly, and stored with its full ranges."""
    space = data.draw(st.sampled_from([NOTEBOOK, EXTENDED]))
    n = len(space.parameters)
    point = space.at(data.draw(st.lists(UNIT, min_size=n, max_size=n)), {})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(point)
    trial = study.ask()
    assert space.suggest(trial, {}) == point == trial.params
    ranges = {p.name: p.distribution for p in space.parameters if p.name in point}
    assert trial.distributions == ranges
    assert space.to_config(trial.params) == space.to_config(point)


def test_fixed_choices_close_branches() -> None:
    """A fixed choice decides which of the others exist, even of those fixed too."""
    for point in points("random", 40, strategy="sequential", classification_lambda=0.5):
        assert "classification_lambda" not in point
        assert "branch_point" not in point
    for point in points("random", 40, classification_layer_num=1, dropout=0.5):
        assert not HIDDEN & set(point)
    for point in points("random", 40, strategy="branched", auxiliary_task=False, branch_point=1):
        assert point["branch_point"] == 1
        assert "classification_lambda" not in point
        assert to_config(point).to_dict()["classification_lambda"] == 0


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("classification_lambda", "0", 0.0),
        ("classification_lambda", "2", 2.0),
        ("classification_layer_num", "3", 3),
        ("classification_width", "8", 8),
        ("dropout", "0.25", 0.25),
        ("strategy", "branched", "branched"),
        ("branch_point", "7", 7),
        ("auxiliary_task", "False", False),
        ("class_weights", "true", True),
        ("patience", "5", 5),
        ("batch_normalization", "true", True),
        ("depth", "3", 3),
    ],
)
def test_fixed_values(name: str, text: str, value: Scalar) -> None:
    """A text becomes a value of the parameter's type, outside its range too."""
    params = parse_params(SPACES["multitask"], {name: text})
    assert params == {name: value}
    assert type(params[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("classification_lambda", "-1", "a number of at least 0"),
        ("classification_layer_num", "4", "a whole number of at least 1 and at most 3"),
        ("classification_layer_num", "1.0", "a whole number"),
        ("classification_width", "7", "a whole number of at least 8 and at most 4096"),
        ("dropout", "1", "at least 0 and below 1"),
        ("strategy", "both", "one of joint, sequential, branched"),
        ("branch_point", "0", "a whole number of at least 1"),
        ("auxiliary_task", "1", "true or false"),
        ("class_weights", "yes", "true or false"),
        ("patience", "-1", "a whole number of at least 0"),
        ("depth", "6", "a whole number of at least 1 and at most 5"),
    ],
)
def test_fixed_values_that_break_a_rule(name: str, text: str, rule: str) -> None:
    """A value that cannot be trained with is refused with its rule."""
    with pytest.raises(SearchSpaceError, match=rf"^`{name}` must be {rule}, but got .*\.$"):
        parse_params(SPACES["multitask"], {name: text})


def test_spaces_by_name() -> None:
    """Both spaces are found by kind and name, and do not lend the other kind their names."""
    assert SPACES["multitask"]["notebook"] is NOTEBOOK
    assert SPACES["multitask"]["extended"] is EXTENDED
    assert [space.name for space in (NOTEBOOK, EXTENDED)] == ["notebook", "extended"]
    with pytest.raises(SearchSpaceError, match="There is no parameter 'dropout'"):
        parse_params(SPACES["autoencoder"], {"dropout": "0.5"})


def test_extended_space_has_no_grid() -> None:
    """Lambda and dropout are continuous like the rates, so they have to be fixed for a grid."""
    fixed: dict[str, Scalar] = {"learning_rate": 0.01, "weight_decay": 0.0}
    fixed |= {"edge_weight": 0.0, "color_weight": 0.0, "variational": False, "kl_weight": 0.0}
    with pytest.raises(SearchSpaceError, match="`classification_lambda` is continuous"):
        next(EXTENDED.grid(fixed))
    fixed["classification_lambda"] = 0.5
    with pytest.raises(SearchSpaceError, match="`dropout` is continuous"):
        next(EXTENDED.grid(fixed))
    fixed |= {"dropout": 0.5, "auto_encoder": "linear", "bottleneck_dim": 8, "batch_size": 16}
    fixed |= {"classification_width": 64, "activation": "relu", "schedule": "constant"}
    # Sequential 1; joint with and without the task 2; branched likewise at 3 points 6.
    assert len(list(EXTENDED.grid(fixed))) == 9 * 3 * 2 * 3 * 2  # with extra images and without
