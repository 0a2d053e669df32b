"""The rules of a training's configuration, and what makes two of them the same."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.config import AutoencoderConfig, Schedule, config_from_dict, multitask_config
from emoji_ae.errors import ConfigError
from tests.emoji_ae_tests.reference import with_fields

CNN_ONLY = {"width", "depth", "latent_channels", "normalization"}
NEUTRAL = {"kl_weight": 0.0, "edge_weight": 0.0, "color_weight": 0.0, "extra_images": True}
HUGE = 10**9

CHOICES = {
    "auto_encoder": ("CNN", "linear"),
    "activation": ("relu", "leaky_relu", "silu", "gelu"),
    "schedule": ("constant", "one_cycle", "cosine"),
    "normalization": ("none", "batch", "group"),
    "strategy": ("joint", "sequential", "branched"),
}
RANGES = {
    **dict.fromkeys(["epoch", "branch_point"], (1, None)),
    "batch_size": (2, None),
    "width": (1, 1024),
    "depth": (1, 5),
    **dict.fromkeys(["latent_channels", "bottleneck_dim"], (1, 4096)),
    "classification_layer_num": (1, 3),
    "classification_width": (8, 4096),
    "patience": (0, None),
}
"""The least and the largest whole numbers."""
WEIGHTS = ["weight_decay", "kl_weight", "edge_weight", "color_weight", "classification_lambda"]
SWITCHES = ["class_weights", "extra_images"]

NO_WHOLE = [-7, 2.0, math.nan, "3", True, None]
NO_DECIMAL = [-1e-9, -1, math.nan, math.inf, -math.inf, "0.1", True, None, 1j, 10**400]
RULES: dict[str, tuple[str, Sequence[Any], Sequence[Any]]] = {
    **{
        name: (f"one of {', '.join(some)}", some, ["", None, 0, some[0].swapcase(), [some]])
        for name, some in CHOICES.items()
    },
    **{
        name: (
            f"a whole number of at least {low}" + (f" and at most {high}" if high else ""),
            [low, high or HUGE],
            [low - 1, *NO_WHOLE, *([high + 1] if high else [])],
        )
        for name, (low, high) in RANGES.items()
    },
    **dict.fromkeys(WEIGHTS, ("a number of at least 0", [-0.0, 0, 5e-324, 1, 1e308], NO_DECIMAL)),
    "learning_rate": ("a positive number", [5e-324, 1, 1e308], [*NO_DECIMAL, 0, 0.0, -0.0]),
    "dropout": ("at least 0 and below 1", [0, math.nextafter(1, 0)], [*NO_DECIMAL, 1, 1.0]),
    **dict.fromkeys(SWITCHES, ("true or false", [True, False], [0, 1, None, "true", 1.0])),
}
"""Of each field: its rule, values that keep to it, and values that do not."""

MULTITASK_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **{name: st.sampled_from(some) for name, some in CHOICES.items()},
    **{name: st.integers(low, high or HUGE) for name, (low, high) in RANGES.items()},
    **dict.fromkeys(WEIGHTS, st.sampled_from([0, 0.0, 1]) | st.floats(0, 1e300)),
    **dict.fromkeys(SWITCHES, st.booleans()),
    "learning_rate": st.floats(0, 1e300, exclude_min=True),
    "dropout": st.floats(0, 1, exclude_max=True) | st.just(0),
    "branch_point": st.integers(1, 6) | st.integers(1, HUGE),
}
FIELDS = {name: MULTITASK_FIELDS[name] for name in AutoencoderConfig().to_dict()}
CONFIGS = st.builds(AutoencoderConfig, **FIELDS)
MULTITASK = st.builds(multitask_config, **MULTITASK_FIELDS)
BOTH: dict[str, Any] = {"classification_lambda": 0.1}
SEQUENTIAL = BOTH | {"strategy": "sequential"}


@pytest.mark.parametrize("name", RULES)
def test_rules(name: str) -> None:
    """Ends of a range are allowed; what is beyond or of another type is refused, and named."""
    rule, right, wrong = RULES[name]
    default = multitask_config().to_dict()[name]
    for value in right:
        found = multitask_config(**{name: value}).to_dict()[name]
        assert found == value
        assert type(found) is type(default)  # a whole number is written as a decimal
        assert not isinstance(found, float) or math.copysign(1, found) == 1
    for value in wrong:
        message = f"`{name}` must be {rule}, but got {value!r}."
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            multitask_config(**{name: value})


def test_names() -> None:
    """Each field has its rule; a name that is no field is refused with all those of its kind."""
    assert RULES.keys() == MULTITASK_FIELDS.keys() == multitask_config().to_dict().keys()
    for config, names in ((AutoencoderConfig(), FIELDS), (multitask_config(), MULTITASK_FIELDS)):
        known = ", ".join(sorted(names))
        message = f"`lr` must be one of {known}, but that is no field of the configuration."
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            config_from_dict(config.to_dict() | {"lr": 1})
    with pytest.raises(ConfigError, match="`dropout` must be one of"):
        AutoencoderConfig.from_dict({"dropout": 0.5})


def unused_names(config: AutoencoderConfig) -> set[str]:
    """Return the fields without effect, by the rules of the documentation."""
    values = config.to_dict()
    unused = {"bottleneck_dim"} if config.auto_encoder == "CNN" else CNN_ONLY
    unused = unused | {name for name, value in NEUTRAL.items() if values[name] == value}
    if config.classification is None:
        return unused
    if values["strategy"] != "branched":
        unused.add("branch_point")
    if values["strategy"] == "sequential":
        unused.add("classification_lambda")
    if values["classification_layer_num"] == 1:
        unused |= {"classification_width", "dropout"}
    return unused


@given(pair=st.tuples(CONFIGS, CONFIGS) | st.tuples(MULTITASK, MULTITASK), data=st.data())
def test_what_has_an_effect_is_the_identity(
    pair: tuple[AutoencoderConfig, AutoencoderConfig], data: st.DataObject
) -> None:
    """Through JSON, and with other unused fields, identities stay; with any other they do not."""
    config, other = pair
    values, others = config.to_dict(), other.to_dict()
    is_plain = config.classification is None
    names = set(FIELDS if is_plain else MULTITASK_FIELDS)
    unused = unused_names(config)
    assert set(values) == names
    back = config_from_dict(json.loads(json.dumps(values, allow_nan=False)))
    assert back == config
    assert back.identity() == config.identity()

    effective = config.effective()
    assert set(effective) == names - unused
    # A fork comes at the last layer at the latest; without one all layers are shared.
    layers = config.depth if config.auto_encoder == "CNN" else 4
    fork = min(values["branch_point"], layers - 1) if "branch_point" in effective else layers
    assert config.shared_layers == effective.pop("branch_point", layers) == fork
    assert effective == {name: values[name] for name in effective}

    changed = with_fields(config, **{name: others[name] for name in unused - set(NEUTRAL)})
    assert changed.effective() == config.effective()
    assert changed.identity() == config.identity()
    name = data.draw(st.sampled_from(sorted(names - unused - {"epoch", "branch_point"})))
    changed = with_fields(config, **{name: others[name]})
    assert (changed.identity() == config.identity()) == (others[name] == values[name])
    if not is_plain:
        plain = AutoencoderConfig(**{name: values[name] for name in FIELDS})
        assert plain.identity() != config.identity()


def test_identity_of_a_beginning() -> None:
    """100 epochs begin 200 ones where nothing follows and no schedule spans the training."""
    for chosen in ({}, {"strategy": "joint", "classification_lambda": 0.5}, SEQUENTIAL):
        configs = [
            config_from_dict(chosen | {"schedule": schedule, "epoch": epoch})
            for schedule in get_args(Schedule)
            for epoch in (100, 200)
        ]
        identities = [config.identity() for config in configs]
        assert (identities[0] == identities[1]) == (chosen is not SEQUENTIAL)
        assert len(set(identities)) == (6 if chosen is SEQUENTIAL else 5)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "f1a07afcbc02 4e401cfde8fc e938bd7bdf26"),
        ({"activation": "gelu", "schedule": "cosine"}, "bbeaf77307ac 9f8a7e6428cd"),
        ({"width": 8, "depth": 2, "latent_channels": 16}, "82fa6e7d49de 0e71bc6b4147"),
        ({"normalization": "group", "kl_weight": 0.5}, "d0e1716be87c 8862b4dd3932"),
        ({"edge_weight": 2, "color_weight": 0.25}, "4afa6ae213cf 1a2bbe3b8a40"),
        ({"extra_images": False}, "7ea08c73e478 0d33b104732a"),
        (
            {"auto_encoder": "linear", "bottleneck_dim": 12, "width": 9},
            "7222644e40c0 1b52408b1565",
        ),
        (
            BOTH | {"classification_layer_num": 3, "classification_width": 64, "dropout": 0},
            "f6208af96e0c 59aa82a2a3aa",
        ),
        (BOTH | {"class_weights": True, "patience": 20}, "02777033b1f4 2495fc103124"),
        (SEQUENTIAL, "e83be90627a7-200 e269abb33b20 fa353c52f9cd"),
        (
            BOTH | {"strategy": "branched", "branch_point": 3, "auto_encoder": "linear"},
            "8b86c96eaff1 c960506faa6e",
        ),
    ],
)
def test_what_is_stored_stays(fields: dict[str, Any], expected: str) -> None:
    """Identities, all fields and the effective ones have the digests that stored data have."""
    config = config_from_dict(fields)
    identity, *epochs = config.identity().split("-")
    found = ["-".join([identity[:12], *epochs])]
    for values in (config.to_dict(), config.effective()):
        found.append(hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12])
    first, *_, last = found
    assert expected in (" ".join(found), f"{first} {last}")
    assert len(identity) == 64
