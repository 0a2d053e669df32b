"""The configuration of one training, validated; knows nothing of search, storage or tensors.

Source: the fields' defaults are the architecture and the best configuration of the notebook
study that this package replaces (see ARCHITECTURE.md).
"""

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from emoji_ae.errors import ConfigError

Architecture = Literal["CNN", "linear"]
Activation = Literal["relu", "leaky_relu", "silu", "gelu"]
Normalization = Literal["none", "batch", "group"]
Schedule = Literal["constant", "one_cycle", "cosine"]
SplitMethod = Literal["group", "random"]

IMAGE_SIZE = 64
"""Height and width of every image, in pixels."""

STRIP_PADDING = 2
"""White between the images of a strip of reconstructions, in pixels."""

MAX_DEPTH = 5
"""Stride-2 layers that an image of 64 pixels allows while the latent keeps 2x2 positions."""

_CNN_ONLY = ("width", "depth", "latent_channels", "normalization")
_LINEAR_ONLY = ("bottleneck_dim",)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderConfig:
    """Everything that decides a training, except the data and the seed.

    Fields that the chosen architecture does not use are ignored by it and left out of
    ``effective()``, so two configurations that train the same model compare equal there.

    Args:
        auto_encoder: ``"CNN"`` (convolutional) or ``"linear"`` (fully connected).
        epoch: Passes over the training images, at least 1.
        batch_size: Images per optimizer step, at least 2.
        learning_rate: Adam's step size, positive; the peak where ``schedule`` is not constant.
        weight_decay: Adam's L2 penalty, 0 or more.
        activation: Non-linearity between layers.
        schedule: Learning rate over the training: constant, one-cycle or cosine to zero.
        width: CNN only: channels after the first layer; each further layer doubles them.
        depth: CNN only: number of stride-2 layers, 1 to 5.
        latent_channels: CNN only: channels of the latent; its positions are
            ``(64 / 2**depth)`` squared.
        normalization: CNN only: between convolution and activation.
        bottleneck_dim: Linear only: size of the latent vector.

    Raises:
        ConfigError: If a value breaks its rule.
    """

    auto_encoder: Architecture = "CNN"
    epoch: int = 200
    batch_size: int = 16
    learning_rate: float = 0.01
    weight_decay: float = 1e-5
    activation: Activation = "relu"
    schedule: Schedule = "constant"
    width: int = 16
    depth: int = 4
    latent_channels: int = 128
    normalization: Normalization = "none"
    bottleneck_dim: int = 64

    def __post_init__(self) -> None:
        for name, choices in (
            ("auto_encoder", get_args(Architecture)),
            ("activation", get_args(Activation)),
            ("schedule", get_args(Schedule)),
            ("normalization", get_args(Normalization)),
        ):
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(
                    f"`{name}` must be one of {', '.join(choices)}, but got {value!r}."
                )
        for name, low, high in (
            ("epoch", 1, math.inf),
            ("batch_size", 2, math.inf),
            ("width", 1, 1024),
            ("depth", 1, MAX_DEPTH),
            ("latent_channels", 1, 4096),
            ("bottleneck_dim", 1, 4096),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                rule = f"a whole number of at least {low}"
                rule += "" if high == math.inf else f" and at most {high}"
                raise ConfigError(f"`{name}` must be {rule}, but got {value!r}.")
        for name, rule in (
            ("learning_rate", "a positive number"),
            ("weight_decay", "a number of at least 0"),
        ):
            value = getattr(self, name)
            valid = isinstance(value, int | float) and not isinstance(value, bool)
            if valid and name == "learning_rate":
                valid = value > 0
            if not (valid and 0 <= value <= sys.float_info.max):
                raise ConfigError(f"`{name}` must be {rule}, but got {value!r}.")
            # Equal numbers are to be written alike, whether they were whole or not.
            object.__setattr__(self, name, float(value))

    def effective(self) -> dict[str, Any]:
        """Return the fields that have an effect under the chosen architecture."""
        unused = _LINEAR_ONLY if self.auto_encoder == "CNN" else _CNN_ONLY
        return {name: value for name, value in asdict(self).items() if name not in unused}

    def identity(self) -> str:
        """Return a digest of all that decides the course of training, epoch by epoch.

        Two configurations share it when one training is the other's beginning: without a
        schedule, ``epoch`` only says when to stop.
        """
        parts = self.effective()
        if self.schedule == "constant":
            del parts["epoch"]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a configuration from a mapping of field names.

        Raises:
            ConfigError: If a name is unknown or a value breaks its rule.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"`{unknown[0]}` must be one of {', '.join(sorted(known))}, "
                "but that is no field of the configuration."
            )
        return cls(**values)
