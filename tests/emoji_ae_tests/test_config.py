"""The rules of a training's configuration, and what makes two of them the same."""

import json
import math
import re
from dataclasses import FrozenInstanceError, fields
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
    Strategy,
    config_from_dict,
    multitask_config,
)
from emoji_ae.errors import ConfigError, EmojiAEError
from tests.emoji_ae_tests.reference import with_fields

NAMES = {field.name for field in fields(AutoencoderConfig)} - {"classification"}
CNN_ONLY = {"width", "depth", "latent_channels", "normalization"}
LINEAR_ONLY = {"bottleneck_dim"}
NEUTRAL = {"kl_weight": 0.0, "edge_weight": 0.0, "color_weight": 0.0, "extra_images": True}
HUGE = 10**9
DEFAULT_IDENTITY = "f1a07afcbc026b465c26c3d9d08ccd7b248e6069f3d63a04e38487424cbe8352"
MULTITASK_IDENTITY = "6a137d38c6098f6a0795e4c1058b1c0b82cf86c01b465821d94b27f560d2d00f"
SEQUENTIAL_IDENTITY = "e83be90627a751850beef468c20b817b052cfed79fe2cfb79f4d3e96f99a27eb-200"

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "auto_encoder": st.sampled_from(get_args(Architecture)),
    "epoch": st.integers(1, HUGE),
    "batch_size": st.integers(2, HUGE),
    "learning_rate": st.floats(0, 1e300, exclude_min=True),
    "weight_decay": st.floats(0, 1e300) | st.integers(0, 3),
    "activation": st.sampled_from(get_args(Activation)),
    "schedule": st.sampled_from(get_args(Schedule)),
    "width": st.integers(1, 1024),
    "depth": st.integers(1, 5),
    "latent_channels": st.integers(1, 4096),
    "normalization": st.sampled_from(get_args(Normalization)),
    "bottleneck_dim": st.integers(1, 4096),
    "kl_weight": st.just(0) | st.floats(0, 1e300),
    "edge_weight": st.just(0) | st.floats(0, 1e300),
    "color_weight": st.just(0) | st.floats(0, 1e300),
    "extra_images": st.booleans(),
}
CONFIGS = st.builds(AutoencoderConfig, **FIELDS)

MULTITASK_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "classification_lambda": st.sampled_from([0, 0.0, 1]) | st.floats(0, 1e300),
    "classification_layer_num": st.integers(1, 3),
    "classification_width": st.integers(8, 4096),
    "dropout": st.floats(0, 1, exclude_max=True) | st.just(0),
    "strategy": st.sampled_from(get_args(Strategy)),
    "branch_point": st.integers(1, 6) | st.integers(1, HUGE),
    "class_weights": st.booleans(),
    "patience": st.integers(0, HUGE),
}
MULTITASK = st.builds(multitask_config, **FIELDS, **MULTITASK_FIELDS)
MULTITASK_NAMES = NAMES | set(MULTITASK_FIELDS)


def neutral_names(config: AutoencoderConfig) -> set[str]:
    """Return the fields that are switched off, which identities do not hold."""
    return {name for name, value in NEUTRAL.items() if getattr(config, name) == value}


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
        with_fields(config, epoch=0)


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
    unused = unused | neutral_names(config)
    effective = config.effective()
    assert set(effective) == NAMES - unused
    assert all(effective[name] == getattr(config, name) for name in effective)


@given(config=CONFIGS, other=CONFIGS)
def test_identity_ignores_what_is_unused(
    config: AutoencoderConfig, other: AutoencoderConfig
) -> None:
    """The other architecture's fields decide nothing."""
    unused = LINEAR_ONLY if config.auto_encoder == "CNN" else CNN_ONLY
    changed = with_fields(config, **{name: getattr(other, name) for name in unused})
    assert changed.effective() == config.effective()
    assert changed.identity() == config.identity()


def test_identity_of_a_beginning() -> None:
    """100 epochs are the beginning of 200 ones, unless a schedule spans the whole training."""
    for config in (AutoencoderConfig(), AutoencoderConfig(auto_encoder="linear")):
        short, long = with_fields(config, epoch=100), with_fields(config, epoch=200)
        assert short.identity() == long.identity()
        for schedule in ("one_cycle", "cosine"):
            identities = {with_fields(c, schedule=schedule).identity() for c in (short, long)}
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
    identities = [
        with_fields(config, **{name: value}).identity() for name, value in changes.items()
    ]
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


def test_multitask_defaults_are_the_best_of_the_notebook() -> None:
    """Without arguments one gets the best multitask configuration of the original study."""
    config = multitask_config()
    found = config.classification
    assert found is not None
    assert (config.learning_rate, config.batch_size, config.epoch) == (1e-3, 16, 200)
    assert (found.classification_lambda, found.dropout) == (0.1, 0.3)
    assert (found.classification_layer_num, config.weight_decay) == (1, 1e-5)
    assert (found.strategy, found.class_weights, found.patience) == ("joint", False, 0)
    assert config == multitask_config(**AutoencoderConfig(learning_rate=1e-3).to_dict())
    assert set(config.to_dict()) == MULTITASK_NAMES


@pytest.mark.parametrize("value", ["", "Joint", "separate", None, 0, True])
def test_strategies(value: object) -> None:
    """A strategy that does not exist is refused with those that do."""
    message = f"`strategy` must be one of joint, sequential, branched, but got {value!r}."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        multitask_config(strategy=value)  # type: ignore[arg-type]
    assert [
        multitask_config(strategy=name).to_dict()["strategy"] for name in get_args(Strategy)
    ] == [*("joint", "sequential", "branched")]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("classification_layer_num", 1, 3),
        ("classification_width", 8, 4096),
        ("branch_point", 1, None),
        ("patience", 0, None),
    ],
)
def test_whole_numbers_of_multitask(name: str, low: int, high: int | None) -> None:
    """The ends of a range are allowed; what is beyond them or no whole number is refused."""
    wrong: list[Any] = [low - 1, -7, 2.0, math.nan, "3", True, None]
    wrong += [] if high is None else [high + 1]
    rule = f"a whole number of at least {low}" + ("" if high is None else f" and at most {high}")
    for value in (low, high or HUGE):
        assert multitask_config(**{name: value}).to_dict()[name] == value  # type: ignore[arg-type]
    for value in wrong:
        message = f"`{name}` must be {rule}, but got {value!r}."
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            multitask_config(**{name: value})


@pytest.mark.parametrize(
    ("name", "rule", "right", "extra"),
    [
        ("classification_lambda", "a number of at least 0", [0, 1, 5e-324, 1e308], []),
        ("dropout", "at least 0 and below 1", [0, 0.0, math.nextafter(1, 0)], [1, 1.0, 2]),
    ],
)
def test_numbers_of_multitask(
    name: str, rule: str, right: list[float], extra: list[float]
) -> None:
    """A weight is finite and not negative; of the hidden units some must be left."""
    for value in right:
        found = multitask_config(**{name: value}).to_dict()[name]  # type: ignore[arg-type]
        assert found == value
        assert type(found) is float
    wrong: list[Any] = [-1e-9, -1, math.nan, math.inf, -math.inf, "0.1", True, None, *extra]
    for value in [*wrong, 10**400]:
        message = f"`{name}` must be {rule}, but got {value!r}."
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            multitask_config(**{name: value})


@pytest.mark.parametrize("value", [0, 1, None, "true", 1.0])
def test_class_weights_are_a_switch(value: Any) -> None:
    """Class weights are on or off, and nothing that only looks like it."""
    message = f"`class_weights` must be true or false, but got {value!r}."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        multitask_config(class_weights=value)


def test_multitask_obeys_the_autoencoders_rules() -> None:
    """The fields that both have follow the same rules, and none can be changed later."""
    with pytest.raises(ConfigError, match=r"^`depth` must be .* at most 5, but got 6\.$"):
        multitask_config(depth=6)
    with pytest.raises(ConfigError, match=r"^`learning_rate` must be .*, but got 0\.$"):
        multitask_config(learning_rate=0)
    assert type(multitask_config(learning_rate=1).learning_rate) is float
    with pytest.raises(FrozenInstanceError, match="classification"):
        multitask_config().classification = None  # type: ignore[misc]
    with pytest.raises(ConfigError, match=r"`dropout` must be .*, but got 1\.0\."):
        with_fields(multitask_config(), dropout=1.0)


@given(config=CONFIGS | MULTITASK)
def test_round_trip_of_either_kind(config: AutoencoderConfig) -> None:
    """Through JSON a configuration comes back equal and of its class."""
    back = config_from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False)))
    assert type(back) is type(config)
    assert back == config
    assert back.identity() == config.identity()
    assert set(config.to_dict()) == (
        MULTITASK_NAMES if config.classification is not None else NAMES
    )


def test_unknown_field_of_either_kind() -> None:
    """A name that is no field is refused with all the names of its class."""
    for config, names in ((AutoencoderConfig(), NAMES), (multitask_config(), MULTITASK_NAMES)):
        known = ", ".join(sorted(names))
        message = f"`lr` must be one of {known}, but that is no field of the configuration."
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            config_from_dict(config.to_dict() | {"lr": 1})
    with pytest.raises(ConfigError, match="`dropout` must be one of"):
        AutoencoderConfig.from_dict({"dropout": 0.5})


def unused_names(config: AutoencoderConfig) -> set[str]:
    """Return the fields without effect, by the rules of the documentation."""
    unused = (LINEAR_ONLY if config.auto_encoder == "CNN" else CNN_ONLY) | neutral_names(config)
    strategy = config.to_dict()["strategy"]
    if strategy != "branched":
        unused.add("branch_point")
    if strategy == "sequential":
        unused.add("classification_lambda")
    if config.to_dict()["classification_layer_num"] == 1:
        unused |= {"classification_width", "dropout"}
    return unused


@given(config=MULTITASK)
def test_effective_of_multitask(config: AutoencoderConfig) -> None:
    """Exactly the fields with an effect are there, with their values."""
    effective = config.effective()
    assert set(effective) == MULTITASK_NAMES - unused_names(config)
    for name, value in effective.items():
        if name == "branch_point":
            layers = config.depth if config.auto_encoder == "CNN" else 4
            assert value == min(config.to_dict()[name], layers - 1)
        else:
            assert value == config.to_dict()[name]


@given(config=MULTITASK, other=MULTITASK)
def test_identity_of_multitask_ignores_what_is_unused(
    config: AutoencoderConfig, other: AutoencoderConfig
) -> None:
    """What is left out of the effective fields decides nothing."""
    changed = config
    for name in sorted(unused_names(config) - {"strategy", *NEUTRAL}):
        changed = with_fields(changed, **{name: other.to_dict()[name]})
    assert changed.effective() == config.effective()
    assert changed.identity() == config.identity()


@given(config=MULTITASK, other=MULTITASK, data=st.data())
def test_identity_of_multitask_tells_apart_what_differs(
    config: AutoencoderConfig, other: AutoencoderConfig, data: st.DataObject
) -> None:
    """A change of any field with an effect gives another identity."""
    used = MULTITASK_NAMES - unused_names(config) - {"epoch", "branch_point"}
    name = data.draw(st.sampled_from(sorted(used)))
    changed = with_fields(config, **{name: other.to_dict()[name]})
    same = changed.to_dict()[name] == config.to_dict()[name]
    assert (changed.identity() == config.identity()) == same


@pytest.mark.parametrize(
    ("fields_of_encoder", "shared"),
    [
        ({"depth": 4}, [1, 2, 3, 3, 3]),
        ({"depth": 3}, [1, 2, 2, 2, 2]),
        ({"depth": 2}, [1, 1, 1, 1, 1]),
        ({"depth": 1}, [0, 0, 0, 0, 0]),
        ({"depth": 2, "auto_encoder": "linear"}, [1, 2, 3, 3, 3]),
        ({"depth": 5, "auto_encoder": "linear"}, [1, 2, 3, 3, 3]),
    ],
    ids=str,
)
def test_the_last_layer_is_never_shared(
    fields_of_encoder: dict[str, Any], shared: list[int]
) -> None:
    """The fork comes at the last layer at the latest, whatever the architecture's depth."""
    configs = [
        multitask_config(strategy="branched", branch_point=point, **fields_of_encoder)
        for point in (1, 2, 3, 4, HUGE)
    ]
    assert [config.shared_layers for config in configs] == shared
    assert [config.effective()["branch_point"] for config in configs] == shared
    assert len({config.identity() for config in configs}) == len(set(shared))


@pytest.mark.parametrize("strategy", ["joint", "sequential"])
@pytest.mark.parametrize(("depth", "architecture", "n"), [(5, "CNN", 5), (5, "linear", 4)])
def test_without_a_fork_all_layers_are_shared(
    strategy: Strategy, depth: int, architecture: Architecture, n: int
) -> None:
    """Only a branched encoder has layers of its own beside the classifier's."""
    config = multitask_config(strategy=strategy, depth=depth, auto_encoder=architecture)
    assert config.shared_layers == n
    assert with_fields(config, branch_point=3).identity() == config.identity()


def test_dropout_needs_a_hidden_layer() -> None:
    """With one layer there are no hidden units to leave out or to count, with more there are."""
    for n, same in ((1, True), (2, False), (3, False)):
        config = multitask_config(classification_layer_num=n)
        for changes in ({"dropout": 0.5}, {"classification_width": 128}):
            changed = with_fields(config, **changes)  # type: ignore[arg-type]
            assert (changed.identity() == config.identity()) == same


def test_lambda_zero_is_a_training_of_its_own() -> None:
    """Without weight the classifier's fields still count: they say which model there is."""
    config = multitask_config(classification_lambda=0)
    variants = [
        config,
        with_fields(config, classification_lambda=0.1),
        with_fields(config, strategy="branched"),
        with_fields(config, strategy="branched", branch_point=2),
        with_fields(config, classification_layer_num=2),
        with_fields(config, classification_layer_num=2, classification_width=64),
        with_fields(config, patience=9),
    ]
    assert len({variant.identity() for variant in variants}) == len(variants)
    assert config.effective()["classification_lambda"] == 0
    # A sequential training has a classifier whatever lambda is.
    sequential = with_fields(config, strategy="sequential")
    assert with_fields(sequential, classification_lambda=7).identity() == sequential.identity()
    assert with_fields(sequential, class_weights=True).identity() != sequential.identity()
    assert sequential.identity() != config.identity()


@pytest.mark.parametrize("strategy", get_args(Strategy))
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_identity_of_a_multitask_beginning(strategy: Strategy, weight: float) -> None:
    """100 epochs begin 200 ones where nothing follows and no schedule spans the training."""
    config = multitask_config(strategy=strategy, classification_lambda=weight, patience=20)
    short, long = with_fields(config, epoch=100), with_fields(config, epoch=200)
    assert (short.identity() == long.identity()) == (strategy != "sequential")
    assert with_fields(short, epoch=200).identity() == long.identity()
    for schedule in ("one_cycle", "cosine"):
        scheduled = [with_fields(c, schedule=schedule).identity() for c in (short, long)]
        assert len({*scheduled, short.identity()}) == 3


@given(config=MULTITASK)
def test_multitask_is_no_plain_training(config: AutoencoderConfig) -> None:
    """A multitask training never has the identity of an autoencoder's, not with lambda 0."""
    plain = AutoencoderConfig(**{name: config.to_dict()[name] for name in NAMES})
    assert config.identity() != plain.identity()
    assert config != plain


def test_multitask_identity_is_stable() -> None:
    """The digests stay the same between versions: seeds of stored trials derive from them."""
    assert multitask_config().identity() == MULTITASK_IDENTITY
    assert multitask_config(strategy="sequential").identity() == SEQUENTIAL_IDENTITY
