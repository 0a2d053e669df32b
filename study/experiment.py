"""Paired experiments: arms that are trained from equal weights on equal splits, many times.

An experiment is a study like any other, whose points are its arms, pair by pair; ``Pair`` number
``i`` has a seed and a split of its own. Which arms there are is decided here, what came out in
``study.analysis.experiment``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from emoji_ae.config import AutoencoderConfig, MultitaskConfig, SplitMethod
from search_spaces import Scalar, get_space
from storage import attrs
from study.errors import StudyError

PAIRED = "paired"
"""Stands for the sampler in the settings of an experiment, which leaves nothing to choose."""

SPACE = "extended"
"""Whose parameters the arms of an experiment have."""

NOTEBOOK_LAMBDAS = (0.1, 0.5, 0.7)
BRANCH_POINT = 2
"""Encoder layers that the branches of an experiment share, of four."""

IMPROVED: Mapping[str, Scalar] = {
    "activation": "silu",
    "schedule": "one_cycle",
    "width": 32,
    "normalization": "batch",
}
"""What makes reconstructions better than the notebook's, at its learning rate and latent size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of the things that an experiment compares.

    Args:
        name: Shown to people.
        params: What is its own; all other parameters are shared.
        split: How its images are split.
        role: What it is there for, where an analysis must tell: see ``study.followups.arms``.
        trial: Number of the trial of another study that it repeats, if it does.
        expected: Validation MSE that this trial had, or that a surrogate predicts.
    """

    name: str
    params: Mapping[str, Scalar]
    split: SplitMethod = "group"
    role: str = ""
    trial: int | None = None
    expected: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is compared, and how often.

    Args:
        name: Such as ``auxiliary-task``.
        question: In words.
        arms: The first one is the baseline of every comparison.
        sides: The split of each pair, by the way of splitting; see ``Split.sides``.
        follows: Name of the study whose outcome is examined; empty for one that stands alone.
        keep_models: Whether trained models are kept until they have been tested.
    """

    name: str
    question: str
    arms: tuple[Arm, ...]
    sides: Mapping[SplitMethod, tuple[str, ...]]
    follows: str = ""
    keep_models: bool = False

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return len(next(iter(self.sides.values())))

    def __len__(self) -> int:
        """Return the number of trials: each arm once in every pair."""
        return self.n_pairs * len(self.arms)

    def point(self, index: int) -> tuple[dict[str, Scalar], dict[str, Any]]:
        """Return parameters and user attributes of trial ``index``; they go pair by pair."""
        pair, j = divmod(index, len(self.arms))
        arm = self.arms[j]
        return (
            dict(arm.params),
            {
                attrs.PAIR: pair,
                attrs.ARM: arm.name,
                attrs.SIDES: self.sides[arm.split][pair],
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready."""
        return asdict(self)

    @classmethod
    def from_attrs(cls, user_attrs: Mapping[str, Any], *, study: str) -> Self:
        """Read the experiment among the user attributes of a study.

        Raises:
            StudyError: If the study is none.
        """
        values = user_attrs.get(attrs.EXPERIMENT)
        if not isinstance(values, Mapping):
            raise StudyError(f"Study {study!r} is no experiment.")
        return cls(
            name=values["name"],
            question=values["question"],
            arms=tuple(Arm(**arm) for arm in values["arms"]),
            sides={method: tuple(sides) for method, sides in values["sides"].items()},
            follows=values.get("follows", ""),
            keep_models=values.get("keep_models", False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What an experiment asks, and of which arms.

    Args:
        kind: Kind of study that it is.
        question: In words.
        arms: The first one is the baseline of every comparison.
    """

    kind: str
    question: str
    arms: tuple[Arm, ...]


def get_design(name: str, *, lambdas: Sequence[float] | None, has_extra: bool) -> Design:
    """Return the design of an experiment by its name.

    Args:
        name: One of ``EXPERIMENTS``.
        lambdas: Of the experiment on the auxiliary task; None for those of the notebook.
        has_extra: Whether there are extra training images.

    Raises:
        StudyError: If there is no such experiment, or a lambda is not positive.
    """
    if name not in EXPERIMENTS:
        raise StudyError(
            f"`experiment` must be one of {', '.join(EXPERIMENTS)}, but got {name!r}."
        )
    if lambdas is not None and name != "auxiliary-task":
        raise StudyError("--lambda belongs to the experiment auxiliary-task.")
    match name:
        case "auxiliary-task":
            return auxiliary_task(NOTEBOOK_LAMBDAS if lambdas is None else lambdas)
        case "leakage":
            return leakage()
        case _:
            return latent_space(has_extra=has_extra)


def auxiliary_task(lambdas: Sequence[float]) -> Design:
    """Ask what classifying does to reconstructing.

    Args:
        lambdas: Weights of the cross-entropy that are compared with 0; the first one is that of
            the branches too.
    """
    for value in lambdas:
        if not 0 < value < math.inf:
            raise StudyError(f"`lambda` must be a positive number, but got {value}.")
    if len({f"{value:g}" for value in lambdas}) < len(lambdas):
        raise StudyError(f"`lambda` must be given once each, but got {list(lambdas)}.")
    joint: dict[str, Scalar] = {"strategy": "joint", "auxiliary_task": True}
    branched = {**joint, "strategy": "branched", "branch_point": BRANCH_POINT}
    return Design(
        kind="multitask",
        question="Does classifying as well make reconstructions worse?",
        arms=(
            Arm(name="lambda 0", params={"strategy": "joint", "auxiliary_task": False}),
            *(
                Arm(name=f"joint, lambda {x:g}", params={**joint, "classification_lambda": x})
                for x in lambdas
            ),
            Arm(name="sequential", params={"strategy": "sequential"}),
            Arm(
                name=f"branched, lambda {lambdas[0]:g}",
                params={**branched, "classification_lambda": lambdas[0]},
            ),
        ),
    )


def leakage() -> Design:
    """Ask how much better models look that are judged on variants of training images."""
    params: dict[str, Scalar] = {
        "strategy": "joint",
        "auxiliary_task": True,
        "classification_lambda": NOTEBOOK_LAMBDAS[0],
    }
    return Design(
        kind="multitask",
        question="How much better does a model look when variants of one emoji are on both sides "
        "of the split?",
        arms=(
            Arm(name="group split", params=params),
            Arm(name="random split", params=params, split="random"),
        ),
    )


def latent_space(*, has_extra: bool) -> Design:
    """Ask what makes latents better, for reconstruction and for arithmetic.

    An improved autoencoder is compared with the notebook's best convolutional one, and with ones
    that differ in one point each. Latents have 2,048 numbers where nothing else is said.

    Args:
        has_extra: Whether there are extra images, of which one arm's epochs are drawn as well;
            they are as long as those of the others.
    """
    own: dict[str, Scalar] = {"extra_images": False} if has_extra else {}
    plain = AutoencoderConfig().to_dict()
    base: dict[str, Scalar] = {name: plain[name] for name in IMPROVED}
    base |= {"depth": plain["depth"], "latent_channels": plain["latent_channels"]}
    base |= {"edge_weight": 0.0, "color_weight": 0.0, "variational": False, **own}
    better = {**base, **IMPROVED}
    changes: dict[str, dict[str, Scalar]] = {
        "deeper": {"depth": 5, "latent_channels": 512},
        "512 latents": {"latent_channels": 32},
        "4,096 latents": {"latent_channels": 256},
        "variational, weight 0.0001": {"variational": True, "kl_weight": 1e-4},
        "variational, weight 0.01": {"variational": True, "kl_weight": 1e-2},
        "edges, weight 0.5": {"edge_weight": 0.5},
        "colours, weight 0.5": {"color_weight": 0.5},
    }
    if has_extra:
        changes["extra images"] = {"extra_images": True}
    return Design(
        kind="autoencoder",
        question="What makes a latent space better, for reconstruction and for arithmetic?",
        arms=(
            Arm(name="improved", params=better),
            Arm(name="notebook", params=base),
            *(Arm(name=name, params=better | change) for name, change in changes.items()),
        ),
    )


EXPERIMENTS = ("auxiliary-task", "leakage", "latent-space")


def default_config(kind: str) -> AutoencoderConfig:
    """Return the configuration that is to be beaten: the best one of the notebook study."""
    return MultitaskConfig() if kind == "multitask" else AutoencoderConfig()


def shared_params(design: Design) -> dict[str, Scalar]:
    """Return what all arms share unless told otherwise: the notebook's best configuration.

    Everything that the arms do not differ in, also what only becomes active with other values,
    so that nothing is left to chance.
    """
    own = {name for arm in design.arms for name in arm.params}
    space = get_space(design.kind, SPACE)
    values = space.to_values(default_config(design.kind))
    return {p.name: values[p.name] for p in space.parameters if p.name not in own}
