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


def test_notebook_grid() -> None:
    """The original's 192 convolutional and 288 fully connected points, each exactly once."""
    points = list(NOTEBOOK.grid({}))
    assert Counter(point["auto_encoder"] for point in points) == {"CNN": 192, "linear": 288}
    values = {
        "auto_encoder": {"CNN", "linear"},
        "epoch": {100, 200},
        "batch_size": {16, 32, 64},
        "learning_rate": {1e-4, 1e-3, 1e-2, 1e-1},
        "weight_decay": {1e-5, 1e-4, 1e-3, 1e-2},
        "batch_normalization": {False, True, None},
        "bottleneck_dim": {None, 16, 32, 64},
    }
    assert {name: {point.get(name) for point in points} for name in values} == values
    own = {"CNN": "bottleneck_dim", "linear": "batch_normalization"}
    for point in points:
        assert values.keys() - point.keys() == {own[str(point["auto_encoder"])]}
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
    message = r"^The extended space has no grid: `weight_decay` is continuous\. .*--set\.$"
    with pytest.raises(SearchSpaceError, match=message):
        next(EXTENDED.grid({"learning_rate": 0.01}))


def test_flags() -> None:
    """Two parameters stand for values of fields; extra images are asked of where there are any."""
    params: dict[str, Scalar] = {"batch_normalization": True, "extra_images": False}
    assert to_config(params) == AutoencoderConfig(normalization="batch", extra_images=False)
    assert params == {"batch_normalization": True, "extra_images": False}
    assert to_config({"batch_normalization": False}) == AutoencoderConfig(normalization="none")
    for weight in (0.0, 0.01):
        point = EXTENDED.point(to_values(AutoencoderConfig(kl_weight=weight)))
        assert point["variational"] == (weight > 0)
        assert point.get("kl_weight", 0.0) == weight
        assert to_config(point) == AutoencoderConfig(kl_weight=weight)
    without = EXTENDED.without("extra_images").parameters
    assert [p.name for p in EXTENDED.parameters if p not in without] == ["extra_images"]
    assert NOTEBOOK.without("extra_images") is NOTEBOOK
