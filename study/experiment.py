"""Paired experiments: arms that are trained from equal weights on equal splits, many times."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from search_spaces import Scalar
from storage import attrs
from study.errors import StudyError

PAIRED = "paired"
"""Stands for the sampler in the settings of an experiment, which leaves nothing to choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of the things that an experiment compares.

    Args:
        params: What is its own; all other parameters are shared.
        split: One of the kind's ways to part its data; empty for that of the study.
        role: What it is there for, where an analysis must tell: see ``study.followups.arms``.
        trial: Number of the trial of another study that it repeats, if it does.
        expected: Value that this trial had, or that a surrogate predicts.
    """

    name: str
    params: Mapping[str, Scalar]
    split: str = ""
    role: str = ""
    trial: int | None = None
    expected: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is compared, and how often: a study like any other, whose points are its arms by pairs.

    Args:
        arms: The first one is the baseline of every comparison.
        sides: The split of each pair, by the way of splitting; see ``kinds.Data.sides``.
        follows: Name of the study whose outcome is examined; empty for one that stands alone.
        keep_models: Whether trained models are kept until they have been tested.
    """

    name: str
    question: str
    arms: tuple[Arm, ...]
    sides: Mapping[str, tuple[str, ...]]
    follows: str = ""
    keep_models: bool = False

    @property
    def n_pairs(self) -> int:
        return len(next(iter(self.sides.values())))

    def __len__(self) -> int:
        """Return the number of trials: each arm once in every pair."""
        return self.n_pairs * len(self.arms)

    def point(self, index: int) -> tuple[dict[str, Scalar], dict[str, Any]]:
        """Return parameters and user attributes of trial ``index``; they go pair by pair."""
        pair, j = divmod(index, len(self.arms))
        arm = self.arms[j]
        sides = self.sides[arm.split][pair]
        return dict(arm.params), {attrs.PAIR: pair, attrs.ARM: arm.name, attrs.SIDES: sides}

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready."""
        return asdict(self)

    @classmethod
    def from_attrs(cls, user_attrs: Mapping[str, Any], *, study: str) -> Self:
        """Read the experiment that a study is; raise a StudyError if it is none."""
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
    """What an experiment asks, in which space, and of which arms.

    Args:
        shared: What all arms share unless told otherwise: all that they do not differ in, also
            what only becomes active with other values, so that nothing is left to chance.
    """

    question: str
    space: str
    arms: tuple[Arm, ...]
    shared: Mapping[str, Scalar]
