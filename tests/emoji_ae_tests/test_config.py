"""The rules of a training's configuration, and what makes two of them the same."""

import json
import math
import re
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.config import (
    Activation,
    Architecture,
    AutoencoderConfig,
    Normalization,
    Schedule,
)
from emoji_ae.errors import ConfigError, EmojiAEError

NAMES = {field.name for field in fields(AutoencoderConfig)}
CNN_ONLY = {"width", "depth", "latent_channels", "normalization"}
LINEAR_ONLY = {"bottleneck_dim"}
HUGE = 10**9
DEFAULT_IDENTITY = "f1a07afcbc026b465c26c3d9d08ccd7b248e6069f3d63a04e38487424cbe8352"

CONFIGS = st.builds(
    AutoencoderConfig,
    auto_encoder=st.sampled_from(get_args(Architecture)),
    epoch=st.integers(1, HUGE),
    batch_size=st.integers(2, HUGE),
    learning_rate=st.floats(0, 1e300, exclude_min=True),
    weight_decay=st.floats(0, 1e300) | st.integers(0, 3),
    activation=st.sampled_from(get_args(Activation)),
    schedule=st.sampled_from(get_args(Schedule)),
    width=st.integers(1, 1024),
    depth=st.integers(1, 5),
    latent_channels=st.integers(1, 4096),
    normalization=st.sampled_from(get_args(Normalization)),
    bottleneck_dim=st.integers(1, 4096),
)


def test_defaults_are_the_best_of_the_notebook() -> None:
    """Without arguments one gets the final configuration that the original study showed."""
    config = AutoencoderConfig()
    assert (config.auto_encoder, config.batch_size, config.epoch) == ("CNN", 16, 200)
    assert (config.learning_rate, config.weight_decay) == (0.01, 1e-5)
    assert (config.width, config.depth, config.latent_channels) == (16, 4, 128)
    assert (config.normalization, config.activation, config.schedule) == (
        "none",
        "relu",
        "constant",
    )


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("auto_encoder", "CNN, linear"),
        ("activation", "relu, leaky_relu, silu, gelu"),
        ("schedule", "constant, one_cycle, cosine"),
        ("normalization", "none, batch, group"),
    ],
)
@pytest.mark.parametrize("value", ["", "cnn", "Relu", None, 0, True, ["relu"]])
def test_choices(name: str, choices: str, value: object) -> None:
    """A choice that does not exist is refused with those that do, and so is its wrong case."""
    message = f"`{name}` must be one of {choices}, but got {value!r}."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        AutoencoderConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("epoch", 1, None),
        ("batch_size", 2, None),
        ("width", 1, 1024),
        ("depth", 1, 5),
        ("latent_channels", 1, 4096),
        ("bottleneck_dim", 1, 4096),
    ],
)
def test_whole_numbers(name: str, low: int, high: int | None) -> None:
    """The ends of a range are allowed; what is beyond them or no whole number is refused."""
    wrong: list[Any] = [low - 1, -low, 2.0, math.nan, "3", True, None]
    wrong += [] if high is None else [high + 1]
    rule = f"a whole number of at least {low}" + ("" if high is None else f" and at most {high}")
    for value in (low, high or HUGE):
        assert getattr(AutoencoderConfig(**{name: value}), name) == value  # type: ignore[arg-type]
    for value in wrong:
        message = f"`{name}` must be {rule}, but got {value!r}."
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            AutoencoderConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "rule", "extra"),
    [
        ("learning_rate", "a positive number", [0, 0.0, -0.0]),
        ("weight_decay", "a number of at least 0", []),
    ],
)
def test_numbers(name: str, rule: str, extra: list[float]) -> None:
    """A rate is finite and not negative, and a learning rate is not zero either."""
    for value in (5e-324, 1e-8, 1.0, 2, 1e308):
        assert getattr(AutoencoderConfig(**{name: value}), name) == value  # type: ignore[arg-type]
    wrong: list[Any] = [-1e-9, -1, math.nan, math.inf, -math.inf, "0.1", True, None, 1j, *extra]
    for value in wrong:
        message = f"`{name}` must be {rule}, but got {value!r}."
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            AutoencoderConfig(**{name: value})


def test_no_weight_decay() -> None:
    """The L2 penalty may be zero."""
    assert AutoencoderConfig(weight_decay=0.0).weight_decay == 0


def test_errors_belong_to_the_package() -> None:
    """A broken rule is caught as the package's error and as a ValueError."""
    assert issubclass(ConfigError, EmojiAEError)
    assert issubclass(ConfigError, ValueError)


def test_frozen() -> None:
    """A configuration cannot change after its rules were checked."""
    config = AutoencoderConfig()
    with pytest.raises(FrozenInstanceError, match="epoch"):
        config.epoch = 0  # type: ignore[misc]
    with pytest.raises(ConfigError, match=r"`epoch` must be .*, but got 0\."):
        replace(config, epoch=0)


@given(config=CONFIGS)
def test_json_round_trip(config: AutoencoderConfig) -> None:
    """Through JSON a configuration comes back equal, with the same identity and all fields."""
    text = json.dumps(config.to_dict(), allow_nan=False)
    back = AutoencoderConfig.from_dict(json.loads(text))
    assert back == config
    assert back.identity() == config.identity()
    assert set(config.to_dict()) == NAMES


def test_missing_fields_take_their_defaults() -> None:
    """A mapping may name only some of the fields."""
    assert AutoencoderConfig.from_dict({}) == AutoencoderConfig()
    assert AutoencoderConfig.from_dict({"depth": 3}) == AutoencoderConfig(depth=3)


def test_unknown_field() -> None:
    """A name that is no field is refused with all the names that are."""
    known = ", ".join(sorted(NAMES))
    message = f"`lr` must be one of {known}, but that is no field of the configuration."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        AutoencoderConfig.from_dict({"epoch": 1, "lr": 0.1})


def test_mapping_is_validated() -> None:
    """A mapping's values obey the same rules."""
    with pytest.raises(ConfigError, match=r"`depth` must be .* at most 5, but got 6\."):
        AutoencoderConfig.from_dict({"depth": 6})


@given(config=CONFIGS)
def test_effective_leaves_out_what_is_unused(config: AutoencoderConfig) -> None:
    """Exactly the other architecture's fields are missing, the others have their values."""
    unused = LINEAR_ONLY if config.auto_encoder == "CNN" else CNN_ONLY
    effective = config.effective()
    assert set(effective) == NAMES - unused
    assert all(effective[name] == getattr(config, name) for name in effective)


@given(config=CONFIGS, other=CONFIGS)
def test_identity_ignores_what_is_unused(
    config: AutoencoderConfig, other: AutoencoderConfig
) -> None:
    """The other architecture's fields decide nothing."""
    unused = LINEAR_ONLY if config.auto_encoder == "CNN" else CNN_ONLY
    changed = replace(config, **{name: getattr(other, name) for name in unused})
    assert changed.effective() == config.effective()
    assert changed.identity() == config.identity()


def test_identity_of_a_beginning() -> None:
    """100 epochs are the beginning of 200 ones, unless a schedule spans the whole training."""
    for config in (AutoencoderConfig(), AutoencoderConfig(auto_encoder="linear")):
        short, long = replace(config, epoch=100), replace(config, epoch=200)
        assert short.identity() == long.identity()
        for schedule in ("one_cycle", "cosine"):
            identities = {replace(c, schedule=schedule).identity() for c in (short, long)}
            assert len(identities | {short.identity()}) == 3


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("CNN", {"width": 8, "depth": 3, "latent_channels": 64, "normalization": "batch"}),
        ("linear", {"bottleneck_dim": 32}),
    ],
)
def test_identity_tells_apart_what_trains_differently(
    architecture: Architecture, changes: dict[str, Any]
) -> None:
    """Every field that has an effect gives an identity of its own."""
    config = AutoencoderConfig(auto_encoder=architecture)
    changes |= {"batch_size": 32, "learning_rate": 0.02, "weight_decay": 0.0}
    changes |= {"activation": "gelu", "schedule": "cosine"}
    assert set(changes) == set(config.effective()) - {"auto_encoder", "epoch"}
    identities = [replace(config, **{name: value}).identity() for name, value in changes.items()]
    identities += [AutoencoderConfig(auto_encoder=name).identity() for name in ("CNN", "linear")]
    assert len(set(identities)) == len(identities)


def test_identity_is_stable() -> None:
    """The digest stays the same between versions: seeds of stored trials derive from it."""
    assert AutoencoderConfig().identity() == DEFAULT_IDENTITY


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_whole_and_decimal_numbers_are_one_identity(name: str) -> None:
    """A rate given as 1 trains what a rate of 1.0 trains."""
    whole, decimal = AutoencoderConfig(**{name: 1}), AutoencoderConfig(**{name: 1.0})

    assert whole.identity() == decimal.identity()


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_a_number_beyond_floats_is_refused(name: str) -> None:
    """A whole number too large for a float is an error like any other."""
    with pytest.raises(ConfigError, match=f"`{name}` must be a"):
        AutoencoderConfig(**{name: 10**400})
