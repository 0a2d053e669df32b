"""Paired experiments: arms that are trained from equal weights on equal splits, many times."""

from collections.abc import Mapping
from dataclasses import dataclass

from search_spaces import Scalar
from storage.values import Arm

PAIRED = "paired"
"""Stands for the sampler in the settings of an experiment, which leaves nothing to choose."""


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
