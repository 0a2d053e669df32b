"""The two spaces of the multitask study: their sizes, ranges, conditions and configurations."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from typing import get_args

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from emoji_ae.config import Strategy, multitask_config
from emoji_ae.errors import ConfigError
from search_spaces import autoencoder
from search_spaces.base import Scalar
from search_spaces.designs import design_points
from search_spaces.multitask import EXTENDED, NOTEBOOK, to_config


def test_notebook_grid() -> None:
    """The original's grid has 1,944 points, each exactly once, under the original's names."""
    grid = list(NOTEBOOK.grid({}))
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
    # 1,512 points differ in effect, and 756 trainings answer them all.
    configs = [to_config(point) for point in grid]
    assert len(set(configs)) == len(grid) == 1944
    assert len({tuple(sorted(config.effective().items())) for config in configs}) == 1512
    assert len({config.identity() for config in configs}) == 756
    assert configs.count(multitask_config()) == 1
    # Every short training comes when the long one that it begins is done.
    done: dict[str, int] = {}
    for config in configs:
        assert config.epoch <= done.setdefault(config.identity(), config.epoch)


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


def assert_valid(point: Mapping[str, Scalar]) -> None:
    """Check that a point's values arrive in a configuration, which uses these and no others."""
    config = to_config(point)
    values = config.to_dict()
    switches = {"auxiliary_task": "classification_lambda", "variational": "kl_weight"}
    for name, value in point.items():
        used = values[switches[name]] > 0 if name in switches else values[name]
        assert used == value
    weightless = {name for name in ("edge_weight", "color_weight") if point[name] == 0}
    weightless |= {"extra_images"} if point["extra_images"] else set()
    switched_off = {"classification_lambda"} if point.get("auxiliary_task") is False else set()
    assert set(point) - switches.keys() - weightless | switched_off == set(config.effective())


@pytest.mark.parametrize("design", ["random", "qmc"])
def test_every_point_of_a_design_is_valid(design: str) -> None:
    """A few hundred points have what acts, and show each choice of each finite parameter."""
    seen: dict[str, Counter[Scalar]] = {}
    for point in itertools.islice(design_points(design, EXTENDED, {}, seed=3), 400):
        assert_valid(point)
        for name, value in point.items():
            seen.setdefault(name, Counter())[value] += 1
    for parameter in EXTENDED.parameters:
        found, distribution = seen[parameter.name], parameter.distribution
        if isinstance(distribution, FloatDistribution) or (
            isinstance(distribution, IntDistribution) and distribution.log
        ):
            assert distribution.low <= min(found) < max(found) <= distribution.high
        else:
            assert set(found) == set(parameter.values())
    assert 60 < seen["auxiliary_task"][False] < 200, "lambda 0 must be a fair share"
    for unit in (0.0, 0.5, math.nextafter(1.0, 0.0)):
        assert_valid(EXTENDED.at([unit] * len(EXTENDED.parameters), {}))


def test_to_config() -> None:
    """Switches stand for values, and are no fields; values and names obey the rules."""
    params: dict[str, Scalar] = {"strategy": "joint", "auxiliary_task": False, "depth": 3}
    assert to_config(params) == multitask_config(classification_lambda=0, depth=3)
    params |= {"auxiliary_task": True, "classification_lambda": 0.25}
    assert to_config(params) == multitask_config(classification_lambda=0.25, depth=3)
    assert to_config({"batch_normalization": True}).normalization == "batch"
    wrong: dict[str, dict[str, Scalar]] = {
        "`auxiliary_task` must be true or false": {"auxiliary_task": "false"},
        "`batch_normalization` must be true or false": {"batch_normalization": "yes"},
        "`size` must be one of": {"size": 1},
    }
    for message, values in wrong.items():
        with pytest.raises(ConfigError, match=message):
            to_config(values)
