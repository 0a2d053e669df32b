"""What stored trials, checkpoints and states rest on, written out."""

import hashlib
import json
from typing import Any

import pytest

from emoji_ae.config import config_from_dict

TABLE: list[tuple[dict[str, Any], str, str, str]] = [
    (
        {},
        "f1a07afcbc026b465c26c3d9d08ccd7b248e6069f3d63a04e38487424cbe8352",
        "4e401cfde8fc",
        "e938bd7bdf26",
    ),
    (
        {"epoch": 100},
        "f1a07afcbc026b465c26c3d9d08ccd7b248e6069f3d63a04e38487424cbe8352",
        "e63f3a5ec464",
        "a29a2d772041",
    ),
    (
        {"batch_size": 32},
        "34e8a743f64437bbe28c71adeef1020d9c20a0c702c1846b1aca6d6185119b85",
        "0c42fc8347e1",
        "1a6b10b2a361",
    ),
    (
        {"learning_rate": 1},
        "64babb42c9b88cdad4386b7d3a21454f50c87549e62e7b4435af2fbe4764b2a7",
        "0a16e8101fab",
        "57258471fcef",
    ),
    (
        {"learning_rate": 0.002, "weight_decay": 0},
        "38bf01eb67fc143788231b69dd83d50c1295bb16033052d0450b455a5f6979ea",
        "9dccfa8abc77",
        "689cf310762c",
    ),
    (
        {"activation": "gelu", "schedule": "cosine"},
        "bbeaf77307ac96f6d9964a652b68b830c0eaf7b925fb4b86edf1d444a26404ec",
        "788e975b436e",
        "9f8a7e6428cd",
    ),
    (
        {"schedule": "one_cycle", "epoch": 50},
        "a77cc13f3c5020e7dd9cb9538eaff6823c229fd810cbb3b5b7a8ebd86383320e",
        "8231707a5afd",
        "8bbdcdb2d703",
    ),
    (
        {"width": 8, "depth": 2, "latent_channels": 16},
        "82fa6e7d49de3da77faa64083fa41f72468ceab42f158ec22d5c00c7104bd23a",
        "2d8d1a07c93e",
        "0e71bc6b4147",
    ),
    (
        {"normalization": "group", "kl_weight": 0.5},
        "d0e1716be87cea50ac3ae6063bea7d7c904400bf892cb8046f2224abd45a26e2",
        "75a38be89ba7",
        "8862b4dd3932",
    ),
    (
        {"edge_weight": 2, "color_weight": 0.25},
        "4afa6ae213cfaadfc1a71eb0a1f69059eca8bd61a0a4c9f966b0448314d04a44",
        "40e18221770d",
        "1a2bbe3b8a40",
    ),
    (
        {"extra_images": False},
        "7ea08c73e478605d344ee29e75b2e116cb71c95f86ed23ddebb615f31ac4b746",
        "88c5dd17bbcb",
        "0d33b104732a",
    ),
    (
        {"auto_encoder": "linear", "bottleneck_dim": 12, "width": 9},
        "7222644e40c087e3994349c47b436a93d5b89e0ba74eaee6247c189bc052ef15",
        "c48dbe48ea67",
        "1b52408b1565",
    ),
    (
        {"auto_encoder": "linear", "kl_weight": 0.001, "schedule": "one_cycle"},
        "725895fbfaaf4a8dfb4fdca0dc6c2944a126b12048e3a0e922a411335d4f56bb",
        "dbc1bf2c54bc",
        "30c9f085e347",
    ),
    (
        {"classification_lambda": 0.1},
        "6a137d38c6098f6a0795e4c1058b1c0b82cf86c01b465821d94b27f560d2d00f",
        "b9869d6c858a",
        "abe574245534",
    ),
    (
        {"classification_lambda": 0},
        "56da1f19263d9a98894c4f75f627b5b9c881d95c882225dea876168f91a252a6",
        "07b4b48e19e3",
        "be72395a5254",
    ),
    (
        {"classification_lambda": 7, "classification_layer_num": 2},
        "b35d6dd414b403519ddf0be74a402084ddb1007756206cdc63723f05f99d599e",
        "982bd8181b72",
        "3f2dc65e0023",
    ),
    (
        {
            "classification_lambda": 0.1,
            "classification_layer_num": 3,
            "classification_width": 64,
            "dropout": 0,
        },
        "f6208af96e0c9bcf6aa2a5a6ffbe2a786c42a78fd6debd42ffafd0af6bd3a48d",
        "1c4333f08400",
        "59aa82a2a3aa",
    ),
    (
        {"classification_lambda": 0.1, "dropout": 0.9},
        "6a137d38c6098f6a0795e4c1058b1c0b82cf86c01b465821d94b27f560d2d00f",
        "08a59369b953",
        "abe574245534",
    ),
    (
        {"classification_lambda": 0.1, "class_weights": True, "patience": 20},
        "02777033b1f463eef50cdd18cb5260eb898848136d7cbd824fb8000cef1ad80d",
        "a4dba33d9282",
        "2495fc103124",
    ),
    (
        {"classification_lambda": 0.1, "strategy": "sequential"},
        "e83be90627a751850beef468c20b817b052cfed79fe2cfb79f4d3e96f99a27eb-200",
        "e269abb33b20",
        "fa353c52f9cd",
    ),
    (
        {"classification_lambda": 3, "strategy": "sequential", "epoch": 100},
        "e83be90627a751850beef468c20b817b052cfed79fe2cfb79f4d3e96f99a27eb-100",
        "c9da54ea0446",
        "0161f4a5b5d6",
    ),
    (
        {"classification_lambda": 0.1, "strategy": "branched"},
        "c514a5122f0a4bba7f29659d086db561088505742ba3a5dd563293a849ede9aa",
        "084fd23c683d",
        "eb2e2bd95d83",
    ),
    (
        {"classification_lambda": 0.1, "strategy": "branched", "branch_point": 9},
        "891784718ac1f34e333901d112775f9c3a23ca6c58cb3d95c350cc976edb27c0",
        "f59e6ce583a5",
        "0b399d790a3a",
    ),
    (
        {
            "classification_lambda": 0.1,
            "strategy": "branched",
            "branch_point": 3,
            "auto_encoder": "linear",
        },
        "8b86c96eaff11a94c8d36f615679a994486ddd68e40f3744a18c39dd56e34756",
        "f60e19dfe14d",
        "c960506faa6e",
    ),
    (
        {
            "classification_lambda": 0.1,
            "strategy": "sequential",
            "schedule": "cosine",
            "epoch": 30,
        },
        "f936a775dbd1c24c43028a2c254a90361106e08c7ad4a4d41837bf58f75b238c-30",
        "8ce7e888b90a",
        "3e5aadc6f6ef",
    ),
    (
        {"classification_lambda": 0.1, "auto_encoder": "linear", "bottleneck_dim": 12},
        "8cba852329d0015ea2eb028a3cc16909f848244aaeb3cf9134269d8c30c14d21",
        "585df1c97097",
        "ff11cd90cd6c",
    ),
    (
        {"classification_lambda": 0.1, "strategy": "branched", "depth": 1},
        "8bf5d535043b3c7a7c2f1cf176b5530592b29d98917a2379e7058d13f0085170",
        "dc2b03f8984f",
        "f3812b3b8b91",
    ),
    (
        {
            "classification_lambda": 0.1,
            "kl_weight": 0.5,
            "extra_images": False,
            "learning_rate": 2,
        },
        "560ebf7c7f3165aeb91389e86abbeb359f739d33d62f60112421827fd10fdc97",
        "2654ee7c7b4f",
        "d12041f2ceae",
    ),
]
"""Fields, the identity, and digests of ``to_dict`` and of ``effective``, the order of their names
included.
"""


def digest(values: dict[str, Any]) -> str:
    """Return a digest of a dictionary as it is written to JSON, in its own order."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]


@pytest.mark.parametrize(("fields", "identity", "whole", "effective"), TABLE)
def test_what_is_stored_stays(
    fields: dict[str, Any], identity: str, whole: str, effective: str
) -> None:
    """Seeds, state files, checkpoints and stored trials depend on every one of these."""
    config = config_from_dict(fields)
    assert config.identity() == identity
    assert digest(config.to_dict()) == whole
    assert digest(config.effective()) == effective
