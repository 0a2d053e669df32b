"""The experiments on the emoji autoencoders: which arms are compared, and what they share."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emoji_ae.config import AutoencoderConfig, multitask_config
from search_spaces import SPACES, Scalar, autoencoder, multitask
from storage.values import Arm
from study.errors import StudyError
from study.experiment import Design
from study.kinds import Source

SPACE = "extended"
NOTEBOOK_LAMBDAS = (0.1, 0.5, 0.7)
BRANCH_POINT = 2
"""Encoder layers that the branches of an experiment share, of four."""
JOINT: Mapping[str, Scalar] = {"strategy": "joint", "auxiliary_task": True}
IMPROVED: Mapping[str, Scalar] = {
    "activation": "silu",
    "schedule": "one_cycle",
    "width": 32,
    "normalization": "batch",
}
"""What makes reconstructions better than the notebook's, at its learning rate and latent size."""


def has_extra_images(source: Source) -> bool:
    """Whether a data set has images that are only trained on."""
    vendors = source.options.get("vendors", ())
    return len(vendors) > (1 if source.path is None else 0)


def auxiliary_task(source: Source, options: Mapping[str, Any]) -> Design:
    """Ask what classifying does to reconstructing.

    The option ``lambdas`` are positive weights of the cross-entropy that are compared with 0; the
    first one is that of the branches too.
    """
    lambdas = options.get("lambdas", NOTEBOOK_LAMBDAS)
    for value in lambdas:
        if not 0 < value < math.inf:
            raise StudyError(f"`lambda` must be a positive number, but got {value}.")
    if len({f"{value:g}" for value in lambdas}) < len(lambdas):
        raise StudyError(f"`lambda` must be given once each, but got {list(lambdas)}.")
    branched = {**JOINT, "strategy": "branched", "branch_point": BRANCH_POINT}
    branched["classification_lambda"] = lambdas[0]
    return _design(
        "multitask",
        "Does classifying as well make reconstructions worse?",
        arms=(
            Arm(name="lambda 0", params={"strategy": "joint", "auxiliary_task": False}),
            *(
                Arm(name=f"joint, lambda {x:g}", params={**JOINT, "classification_lambda": x})
                for x in lambdas
            ),
            Arm(name="sequential", params={"strategy": "sequential"}),
            Arm(name=f"branched, lambda {lambdas[0]:g}", params=branched),
        ),
    )


def leakage(source: Source, options: Mapping[str, Any]) -> Design:
    """Ask how much better models look that are judged on variants of training images."""
    _refuse(options)
    params = {**JOINT, "classification_lambda": NOTEBOOK_LAMBDAS[0]}
    return _design(
        "multitask",
        "How much better does a model look when variants of one emoji are on both sides of the "
        "split?",
        arms=(
            Arm(name="group split", params=params),
            Arm(name="random split", params=params, split="random"),
        ),
    )


def latent_space(source: Source, options: Mapping[str, Any]) -> Design:
    """Ask what makes latents better, for reconstruction and for arithmetic.

    An improved autoencoder is compared with the notebook's best convolutional one, and with ones
    that differ in one point each. Latents have 2,048 numbers where nothing else is said.
    """
    _refuse(options)
    plain = AutoencoderConfig().to_dict()
    base: dict[str, Scalar] = {name: plain[name] for name in IMPROVED}
    base |= {"depth": plain["depth"], "latent_channels": plain["latent_channels"]}
    base |= {"edge_weight": 0.0, "color_weight": 0.0, "variational": False}
    changes: dict[str, dict[str, Scalar]] = {
        "deeper": {"depth": 5, "latent_channels": 512},
        "512 latents": {"latent_channels": 32},
        "4,096 latents": {"latent_channels": 256},
        "variational, weight 0.0001": {"variational": True, "kl_weight": 1e-4},
        "variational, weight 0.01": {"variational": True, "kl_weight": 1e-2},
        "edges, weight 0.5": {"edge_weight": 0.5},
        "colours, weight 0.5": {"color_weight": 0.5},
    }
    if has_extra_images(source):
        base["extra_images"] = False
        changes["extra images"] = {"extra_images": True}
    better = {**base, **IMPROVED}
    return _design(
        "autoencoder",
        "What makes a latent space better, for reconstruction and for arithmetic?",
        arms=(
            Arm(name="improved", params=better),
            Arm(name="notebook", params=base),
            *(Arm(name=name, params=better | change) for name, change in changes.items()),
        ),
    )


def _refuse(options: Mapping[str, Any]) -> None:
    """Raise a StudyError for an option of another experiment."""
    if options:
        raise StudyError("--lambda belongs to the experiment auxiliary-task.")


def _design(kind: str, question: str, arms: tuple[Arm, ...]) -> Design:
    """Let arms share the notebook's best configuration in all that they do not differ in."""
    if kind == "multitask":
        default = multitask.to_values(multitask_config())
    else:
        default = autoencoder.to_values(AutoencoderConfig())
    own = {name for arm in arms for name in arm.params}
    names = [parameter.name for parameter in SPACES[kind][SPACE].parameters]
    return Design(
        question=question,
        space=SPACE,
        arms=tuple(replace(arm, split=arm.split or "group") for arm in arms),
        shared={name: default[name] for name in names if name not in own},
    )
