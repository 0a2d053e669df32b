"""The configuration of one training, validated.

Source: the fields' defaults are the architecture and the best configuration of the notebook
study that this package replaces (see ARCHITECTURE.md).
"""

import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

from emoji_ae.errors import ConfigError

Architecture = Literal["CNN", "linear"]
Activation = Literal["relu", "leaky_relu", "silu", "gelu"]
Normalization = Literal["none", "batch", "group"]
Schedule = Literal["constant", "one_cycle", "cosine"]
Strategy = Literal["joint", "sequential", "branched"]

IMAGE_SIZE = 64
"""Height and width of every image, in pixels."""

MAX_DEPTH = 5
"""Stride-2 layers that an image of 64 pixels allows while the latent keeps 2x2 positions."""

LINEAR_DEPTH = 4
"""Layers of the fully connected encoder."""

_CNN_ONLY = ("width", "depth", "latent_channels", "normalization")
_LINEAR_ONLY = ("bottleneck_dim",)
_NEUTRAL: Mapping[str, float | bool] = {
    "kl_weight": 0.0,
    "edge_weight": 0.0,
    "color_weight": 0.0,
    "extra_images": True,
}
"""Fields that change nothing with these values, and are left out of ``effective()`` then."""

_MAX = sys.float_info.max


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationConfig:
    """How an autoencoder is trained to classify as well; a ConfigError if that breaks a rule.

    Args:
        classification_lambda: Weight of the cross-entropy beside the reconstruction error. With
            0 the classifier is not trained at all. Not used by ``sequential``.
        classification_width: Units of the first hidden layer; a second one has an eighth.
        dropout: Share of hidden units that a training step leaves out.
        strategy: ``joint`` trains all of it on one loss. ``sequential`` trains the autoencoder
            alone, then freezes it and trains the classifier on its latents. ``branched`` is
            joint, with an encoder that forks: one end for reconstruction, one for classification.
        branch_point: Branched only: encoder layers before the fork; the last is never shared.
        class_weights: Whether rare classes weigh more, see ``emoji_ae.classification``.
        patience: Training ends after so many epochs without a lower validation MSE; 0 for never.
    """

    classification_lambda: float = 0.1
    classification_layer_num: int = 1
    classification_width: int = 256
    dropout: float = 0.3
    strategy: Strategy = "joint"
    branch_point: int = 1
    class_weights: bool = False
    patience: int = 0

    def __post_init__(self) -> None:
        _require_choice(self, "strategy", get_args(Strategy))
        _require_whole(self, "classification_layer_num", 1, 3)
        _require_whole(self, "classification_width", 8, 4096)
        _require_whole(self, "branch_point", 1)
        _require_whole(self, "patience", 0)
        _require(self, "class_weights", "true or false", lambda x: isinstance(x, bool))
        _require_number(
            self, "classification_lambda", "a number of at least 0", lambda x: 0 <= x <= _MAX
        )
        _require_number(self, "dropout", "at least 0 and below 1", lambda x: 0 <= x < 1)

    def unused(self) -> set[str]:
        """Return the fields that have no effect beside the others."""
        unused = set() if self.strategy == "branched" else {"branch_point"}
        if self.strategy == "sequential":
            unused.add("classification_lambda")
        if self.classification_layer_num == 1:
            unused |= {"classification_width", "dropout"}
        return unused


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderConfig:
    """Everything that decides a training but data and seed; a ConfigError if it breaks a rule.

    Fields that the chosen architecture does not use are ignored by it and left out of
    ``effective()``, so two configurations that train the same model compare equal there.

    Args:
        auto_encoder: ``"CNN"`` (convolutional) or ``"linear"`` (fully connected).
        learning_rate: Adam's step size; the peak where ``schedule`` is not constant.
        weight_decay: Adam's L2 penalty.
        width: CNN only: channels after the first layer; each further layer doubles them.
        depth: CNN only: number of stride-2 layers.
        latent_channels: CNN only; the latent's positions are ``(64 / 2**depth)`` squared.
        normalization: CNN only: between convolution and activation.
        bottleneck_dim: Linear only: size of the latent vector.
        kl_weight: 0 for a plain autoencoder. Above, the latent is a normal distribution, and the
            loss holds this weight times its divergence from the standard normal one.
        edge_weight, color_weight: In the loss, of the error of the images' gradients, and of the
            colours without their lightness.
        extra_images: Whether to train on the extra images too, where the data have any.
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
    kl_weight: float = 0.0
    edge_weight: float = 0.0
    color_weight: float = 0.0
    extra_images: bool = True
    classification: ClassificationConfig | None = None

    def __post_init__(self) -> None:
        _require_choice(self, "auto_encoder", get_args(Architecture))
        _require_choice(self, "activation", get_args(Activation))
        _require_choice(self, "schedule", get_args(Schedule))
        _require_choice(self, "normalization", get_args(Normalization))
        _require_whole(self, "epoch", 1)
        _require_whole(self, "batch_size", 2)
        _require_whole(self, "width", 1, 1024)
        _require_whole(self, "depth", 1, MAX_DEPTH)
        _require_whole(self, "latent_channels", 1, 4096)
        _require_whole(self, "bottleneck_dim", 1, 4096)
        _require_number(self, "learning_rate", "a positive number", lambda x: 0 < x <= _MAX)
        for name in ("weight_decay", "kl_weight", "edge_weight", "color_weight"):
            _require_number(self, name, "a number of at least 0", lambda x: 0 <= x <= _MAX)
        _require(self, "extra_images", "true or false", lambda x: isinstance(x, bool))

    @property
    def latent_size(self) -> int:
        """Numbers in the latent of one image; an image has 12,288."""
        if self.auto_encoder == "linear":
            return self.bottleneck_dim
        positions: int = (IMAGE_SIZE >> self.depth) ** 2
        return self.latent_channels * positions

    @property
    def shared_layers(self) -> int:
        """Encoder layers before the fork; all of them where there is none."""
        layers = self.depth if self.auto_encoder == "CNN" else LINEAR_DEPTH
        if self.classification is None or self.classification.strategy != "branched":
            return layers
        return min(self.classification.branch_point, layers - 1)

    @property
    def patience(self) -> int:
        """That of the classification, 0 without one."""
        return 0 if self.classification is None else self.classification.patience

    def effective(self) -> dict[str, Any]:
        """Return the fields, as ``to_dict``, that have an effect beside the others."""
        unused = set(_LINEAR_ONLY if self.auto_encoder == "CNN" else _CNN_ONLY)
        values = self.to_dict()
        if self.classification is not None:
            unused |= self.classification.unused()
            values["branch_point"] = self.shared_layers
        return {
            name: value
            for name, value in values.items()
            if name not in unused and not (name in _NEUTRAL and value == _NEUTRAL[name])
        }

    def identity(self) -> str:
        """Return a digest that configurations share when one training is the other's beginning.

        Without a schedule, ``epoch`` only says when to stop. But the classifier of a sequential
        training starts where the autoencoder ended, so a shorter one is no beginning there.
        """
        parts = self.effective()
        if self.schedule == "constant":
            del parts["epoch"]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return f"{digest}-{self.epoch}" if parts.get("strategy") == "sequential" else digest

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, those of ``classification`` among them, JSON-ready."""
        values = asdict(self)
        classification = values.pop("classification")
        return values | (classification or {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build the configuration of an autoencoder alone; raise as ``multitask_config``."""
        _require_known(values, _OWN)
        return cls(**values)


def multitask_config(**values: Any) -> AutoencoderConfig:
    """Build the configuration of an autoencoder that classifies as well, of fields of both.

    The default of ``learning_rate`` is 1e-3; a ConfigError if a name or a value is wrong.
    """
    _require_known(values, _OWN | _CLASSIFICATION)
    own = {name: value for name, value in values.items() if name in _OWN}
    others = {name: value for name, value in values.items() if name in _CLASSIFICATION}
    alone = AutoencoderConfig(**{"learning_rate": 1e-3, **own})
    return replace(alone, classification=ClassificationConfig(**others))


def config_from_dict(values: Mapping[str, Any]) -> AutoencoderConfig:
    """Build the configuration that ``to_dict`` was called on; raise as ``multitask_config``."""
    if "classification_lambda" in values:
        return multitask_config(**values)
    return AutoencoderConfig.from_dict(values)


_OWN = {field.name for field in fields(AutoencoderConfig)} - {"classification"}
_CLASSIFICATION = {field.name for field in fields(ClassificationConfig)}


def _require_known(values: Mapping[str, Any], known: Set[str]) -> None:
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(
            f"`{unknown[0]}` must be one of {', '.join(sorted(known))}, "
            "but that is no field of the configuration."
        )


def _require(config: object, name: str, rule: str, holds: Callable[[Any], bool]) -> None:
    value = getattr(config, name)
    if not holds(value):
        raise ConfigError(f"`{name}` must be {rule}, but got {value!r}.")


def _require_choice(config: object, name: str, choices: Sequence[str]) -> None:
    _require(config, name, f"one of {', '.join(choices)}", lambda value: value in choices)


def _require_whole(config: object, name: str, low: int, high: float = math.inf) -> None:
    rule = f"a whole number of at least {low}"
    rule += "" if high == math.inf else f" and at most {high}"
    _require(config, name, rule, lambda x: type(x) is int and low <= x <= high)


def _require_number(config: object, name: str, rule: str, holds: Callable[[float], bool]) -> None:
    value = getattr(config, name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    _require(config, name, rule, lambda x: is_number and holds(x))
    # Equal numbers are to be written alike, whole ones and a negative zero too.
    object.__setattr__(config, name, float(value) + 0.0)
