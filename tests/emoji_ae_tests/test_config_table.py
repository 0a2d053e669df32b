"""What stored trials, checkpoints and states rest on, written out."""

import hashlib
import json
from typing import Any

import pytest

from emoji_ae.config import config_from_dict

BOTH: dict[str, Any] = {"classification_lambda": 0.1}
TABLE: list[tuple[dict[str, Any], str]] = [
    ({}, "f1a07afcbc02 e938bd7bdf26"),
    ({"learning_rate": 0.002, "weight_decay": 0}, "38bf01eb67fc 689cf310762c"),
    ({"activation": "gelu", "schedule": "cosine"}, "bbeaf77307ac 9f8a7e6428cd"),
    ({"schedule": "one_cycle", "epoch": 50}, "a77cc13f3c50 8bbdcdb2d703"),
    ({"width": 8, "depth": 2, "latent_channels": 16}, "82fa6e7d49de 0e71bc6b4147"),
    ({"normalization": "group", "kl_weight": 0.5}, "d0e1716be87c 8862b4dd3932"),
    ({"edge_weight": 2, "color_weight": 0.25}, "4afa6ae213cf 1a2bbe3b8a40"),
    ({"extra_images": False}, "7ea08c73e478 0d33b104732a"),
    ({"auto_encoder": "linear", "bottleneck_dim": 12, "width": 9}, "7222644e40c0 1b52408b1565"),
    (BOTH, "6a137d38c609 abe574245534"),
    ({"classification_lambda": 0}, "56da1f19263d be72395a5254"),
    ({"classification_lambda": 7, "classification_layer_num": 2}, "b35d6dd414b4 3f2dc65e0023"),
    (
        BOTH | {"classification_layer_num": 3, "classification_width": 64, "dropout": 0},
        "f6208af96e0c 59aa82a2a3aa",
    ),
    (BOTH | {"class_weights": True, "patience": 20}, "02777033b1f4 2495fc103124"),
    (BOTH | {"strategy": "sequential"}, "e83be90627a7-200 fa353c52f9cd"),
    (
        {"classification_lambda": 3, "strategy": "sequential", "epoch": 100},
        "e83be90627a7-100 0161f4a5b5d6",
    ),
    (BOTH | {"strategy": "branched", "branch_point": 9}, "891784718ac1 0b399d790a3a"),
    (
        BOTH | {"strategy": "branched", "branch_point": 3, "auto_encoder": "linear"},
        "8b86c96eaff1 c960506faa6e",
    ),
    (
        BOTH | {"kl_weight": 0.5, "extra_images": False, "learning_rate": 2},
        "560ebf7c7f31 d12041f2ceae",
    ),
]
"""Fields, and the beginning of the identity and of the digest of ``effective``."""


def digest(values: dict[str, Any]) -> str:
    """Return a digest of a dictionary as it is written to JSON, in its own order."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]


@pytest.mark.parametrize(("fields", "expected"), TABLE)
def test_what_is_stored_stays(fields: dict[str, Any], expected: str) -> None:
    """Seeds, state files, checkpoints and stored trials depend on every one of these."""
    config = config_from_dict(fields)
    identity, _, epochs = config.identity().partition("-")
    kept = f"{identity[:12]}-{epochs}" if epochs else identity[:12]
    assert f"{kept} {digest(config.effective())}" == expected


def test_all_fields_are_stored() -> None:
    """Identities are written out, and so are names, order and defaults of all fields."""
    default, both = config_from_dict({}), config_from_dict(BOTH | {"strategy": "sequential"})
    assert [default.identity(), both.identity()] == [
        "f1a07afcbc026b465c26c3d9d08ccd7b248e6069f3d63a04e38487424cbe8352",
        "e83be90627a751850beef468c20b817b052cfed79fe2cfb79f4d3e96f99a27eb-200",
    ]
    assert digest(default.to_dict()) == "4e401cfde8fc"
    assert digest(both.to_dict()) == "e269abb33b20"
