"""The two search spaces of the autoencoder study."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from emoji_ae.config import AutoencoderConfig
from emoji_ae.errors import ConfigError
from search_spaces.base import Parameter, Scalar, SearchSpace

EXTRA_IMAGES = "extra_images"
"""The parameter that only data with extra images have."""

FIRST_KL_WEIGHT = 1e-3
"""Of a latent that becomes variational; the best of it depends on all else."""

_CNN = {"auto_encoder": ("CNN",)}
_LINEAR = {"auto_encoder": ("linear",)}


def to_config(params: Mapping[str, Scalar]) -> AutoencoderConfig:
    """Turn a trial's parameters into its configuration, or raise a ConfigError."""
    return AutoencoderConfig.from_dict(field_values(params))


def field_values(params: Mapping[str, Scalar]) -> dict[str, Any]:
    """Return the fields of a configuration that parameters stand for.

    ``batch_normalization``, the notebook's name, stands for ``normalization`` none or batch, and
    ``variational`` false for ``kl_weight`` 0.
    """
    values: dict[str, Any] = dict(params)
    if "batch_normalization" in values:
        batch = pop_flag(values, "batch_normalization")
        values["normalization"] = "batch" if batch else "none"
    if "variational" in values and not pop_flag(values, "variational"):
        values["kl_weight"] = 0.0
    return values


def to_values(config: AutoencoderConfig) -> dict[str, Scalar]:
    """Return the values of all parameters that stand for a configuration.

    A weight that is switched off has the one that it would begin with, within its range.
    """
    return {
        **config.to_dict(),
        "kl_weight": config.kl_weight or FIRST_KL_WEIGHT,
        "batch_normalization": config.normalization == "batch",
        "variational": config.kl_weight > 0,
    }


def pop_flag(values: dict[str, Any], name: str) -> bool:
    """Take a parameter that is no field of a configuration out of ``values``, true or false."""
    flag = values.pop(name)
    if not isinstance(flag, bool):
        raise ConfigError(f"`{name}` must be true or false, but got {flag!r}.")
    return flag


NOTEBOOK = SearchSpace(
    name="notebook",
    parameters=(
        # First and falling: in the grid's order, the short trainings come when the long ones,
        # which they begin, are done.
        Parameter("epoch", CategoricalDistribution([200, 100])),
        Parameter("auto_encoder", CategoricalDistribution(["CNN", "linear"])),
        Parameter("batch_size", CategoricalDistribution([16, 32, 64])),
        Parameter("learning_rate", CategoricalDistribution([1e-4, 1e-3, 1e-2, 1e-1])),
        Parameter("weight_decay", CategoricalDistribution([1e-5, 1e-4, 1e-3, 1e-2])),
        Parameter("batch_normalization", CategoricalDistribution([False, True]), when=_CNN),
        Parameter("bottleneck_dim", CategoricalDistribution([16, 32, 64]), when=_LINEAR),
    ),
    to_config=to_config,
)
"""The grid of the notebook study: 192 convolutional and 288 fully connected points."""

EXTENDED = SearchSpace(
    name="extended",
    parameters=(
        Parameter("auto_encoder", CategoricalDistribution(["CNN", "linear"])),
        Parameter("epoch", CategoricalDistribution([200])),
        Parameter("batch_size", IntDistribution(8, 64, log=True)),
        Parameter("learning_rate", FloatDistribution(1e-4, 1e-1, log=True)),
        Parameter("weight_decay", FloatDistribution(1e-8, 1e-2, log=True)),
        Parameter("activation", CategoricalDistribution(["relu", "leaky_relu", "silu", "gelu"])),
        Parameter("schedule", CategoricalDistribution(["constant", "one_cycle", "cosine"])),
        Parameter("width", IntDistribution(8, 64, log=True), when=_CNN),
        Parameter("depth", IntDistribution(2, 5), when=_CNN),
        Parameter("latent_channels", IntDistribution(16, 256, log=True), when=_CNN),
        Parameter("normalization", CategoricalDistribution(["none", "batch", "group"]), when=_CNN),
        Parameter("bottleneck_dim", IntDistribution(16, 256, log=True), when=_LINEAR),
        Parameter("edge_weight", FloatDistribution(0.0, 1.0)),
        Parameter("color_weight", FloatDistribution(0.0, 1.0)),
        Parameter("variational", CategoricalDistribution([False, True])),
        Parameter(
            "kl_weight", FloatDistribution(1e-5, 1e-1, log=True), when={"variational": (True,)}
        ),
        Parameter(EXTRA_IMAGES, CategoricalDistribution([True, False])),
    ),
    to_config=to_config,
)
"""What the notebook did not try: wider ranges, continuous where it makes sense, new choices."""
