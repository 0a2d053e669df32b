"""The two spaces of the autoencoder study: their sizes, ranges and configurations."""

from collections import Counter
from typing import get_args

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from emoji_ae.config import Activation, AutoencoderConfig, Normalization, Schedule
from search_spaces.autoencoder import EXTENDED, NOTEBOOK, to_config, to_values
from search_spaces.base import Scalar
from search_spaces.errors import SearchSpaceError

COMMON = {"auto_encoder", "epoch", "batch_size", "learning_rate", "weight_decay"}
BRANCHES = {"CNN": {"batch_normalization"}, "linear": {"bottleneck_dim"}}
"""Of the notebook's space; the extended one's are those of the multitask study's."""


def test_notebook_grid() -> None:
    """The original's 192 convolutional and 288 fully connected points, each exactly once."""
    points = list(NOTEBOOK.grid({}))
    assert Counter(point["auto_encoder"] for point in points) == {"CNN": 192, "linear": 288}
    values = {name: {point[name] for point in points if name in point} for name in points[0]}
    assert values == {
        "auto_encoder": {"CNN", "linear"},
        "epoch": {100, 200},
        "batch_size": {16, 32, 64},
        "learning_rate": {1e-4, 1e-3, 1e-2, 1e-1},
        "weight_decay": {1e-5, 1e-4, 1e-3, 1e-2},
        "batch_normalization": {False, True},
    }
    assert {point.get("bottleneck_dim") for point in points} == {None, 16, 32, 64}
    for point in points:
        assert set(point) == COMMON | BRANCHES[str(point["auto_encoder"])]
    # Epochs are prefixes, so half as many courses.
    configs = [to_config(point) for point in points]
    assert len(set(configs)) == 480
    assert len({config.identity() for config in configs}) == 240


def test_extended_ranges() -> None:
    """The ranges are those that studies are documented with."""
    ranges: dict[str, BaseDistribution] = {
        "auto_encoder": CategoricalDistribution(["CNN", "linear"]),
        "epoch": CategoricalDistribution([200]),
        "batch_size": IntDistribution(8, 64, log=True),
        "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
        "weight_decay": FloatDistribution(1e-8, 1e-2, log=True),
        "activation": CategoricalDistribution(get_args(Activation)),
        "schedule": CategoricalDistribution(get_args(Schedule)),
        "width": IntDistribution(8, 64, log=True),
        "depth": IntDistribution(2, 5),
        "latent_channels": IntDistribution(16, 256, log=True),
        "normalization": CategoricalDistribution(get_args(Normalization)),
        "bottleneck_dim": IntDistribution(16, 256, log=True),
        "edge_weight": FloatDistribution(0.0, 1.0),
        "color_weight": FloatDistribution(0.0, 1.0),
        "variational": CategoricalDistribution([False, True]),
        "kl_weight": FloatDistribution(1e-5, 1e-1, log=True),
        "extra_images": CategoricalDistribution([True, False]),
    }
    assert {p.name: p.distribution for p in EXTENDED.parameters} == ranges


def test_grid_of_the_extended_space() -> None:
    """A continuous parameter has no grid, and the error says which and what to do."""
    with pytest.raises(
        SearchSpaceError,
        match=r"^The extended space has no grid: `learning_rate` is continuous\. .*--set\.$",
    ):
        next(EXTENDED.grid({}))

    fixed: dict[str, Scalar] = {"learning_rate": 0.01, "weight_decay": 1e-5, "batch_size": 16}
    fixed |= {"width": 16, "latent_channels": 128, "edge_weight": 0.0, "color_weight": 0.0}
    fixed |= {"variational": False, "kl_weight": 0.0, "extra_images": True}
    points = list(EXTENDED.grid(fixed))
    n_cnn, n_linear = 4 * 3 * 4 * 3, 4 * 3 * 241
    assert Counter(point["auto_encoder"] for point in points) == {"CNN": n_cnn, "linear": n_linear}
    assert {point.get("bottleneck_dim") for point in points} == {None, *range(16, 257)}


def test_flags() -> None:
    """Two parameters stand for values of fields, and are no fields themselves."""
    params: dict[str, Scalar] = {"batch_normalization": True, "depth": 3}
    assert to_config(params) == AutoencoderConfig(normalization="batch", depth=3)
    assert params == {"batch_normalization": True, "depth": 3}
    assert to_config({"batch_normalization": False}) == AutoencoderConfig(normalization="none")
    for weight in (0.0, 0.01):
        point = EXTENDED.point(to_values(AutoencoderConfig(kl_weight=weight)))
        assert point["variational"] == (weight > 0)
        assert point.get("kl_weight", 0.0) == weight
        assert to_config(point) == AutoencoderConfig(kl_weight=weight)


def test_extra_images() -> None:
    """Whether to use extra images is asked only where there are some."""
    without = EXTENDED.without("extra_images")
    names = {parameter.name for parameter in EXTENDED.parameters}
    assert names - {parameter.name for parameter in without.parameters} == {"extra_images"}
    assert NOTEBOOK.without("extra_images") is NOTEBOOK
    assert to_config({"extra_images": False}) == AutoencoderConfig(extra_images=False)
