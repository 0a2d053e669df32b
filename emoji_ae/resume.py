"""The state of an unfinished training on disk; it goes on from there as if never interrupted."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from emoji_ae.curve import EpochMetrics, metrics_from_dict
from emoji_ae.files import load_content

_FORMAT = "emoji-study training 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainState:
    """All that a training, of ``AutoencoderConfig.identity`` and a seed, needs to go on.

    Args:
        scheduler: None for a constant learning rate.
        generator, random: States of that of order and augmentation, and of torch's global one.
    """

    identity: str
    seed: int
    curve: tuple[EpochMetrics, ...]
    weights: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any] | None
    generator: Tensor
    random: Tensor

    def fits(self, identity: str, seed: int, max_epochs: int) -> bool:
        """Say whether it is of a training, and before an epoch."""
        return (self.identity, self.seed) == (identity, seed) and len(self.curve) < max_epochs


class Resume(Protocol):
    """Where a training keeps its state; ``state`` is None if there is none that fits."""

    state: TrainState | None

    def offer(self, make_state: Callable[[], TrainState], *, n_bytes: int) -> None:
        """Save the state after an epoch, if that takes no more time than it may."""

    def save(self, state: TrainState) -> None:
        """Save the state, as before an interruption; raise an OSError if that fails."""


def write_state(state: TrainState, path: Path) -> None:
    """Write a state to a file; raise an OSError, or torch's RuntimeError, if that fails."""
    content = {name: getattr(state, name) for name in TrainState.__slots__}
    content |= {"format": _FORMAT, "curve": [asdict(metrics) for metrics in state.curve]}
    torch.save(content, path)


def read_state(path: Path) -> TrainState | None:
    """Read a state; None if the file is missing or damaged, which only costs time."""
    if not path.is_file():
        return None
    try:
        content = load_content(path)
        if content.pop("format") != _FORMAT:
            return None
        content["curve"] = tuple(metrics_from_dict(metrics) for metrics in content["curve"])
        return TrainState(**content)
    except Exception:  # damaged files raise anything from EOFError to KeyError
        return None
