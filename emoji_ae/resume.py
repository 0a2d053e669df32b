"""The state of an unfinished training on disk; it goes on from there as if never interrupted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics, metrics_from_dict
from emoji_ae.files import load_content

Result = TypeVar("Result")
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


class Resume(Protocol):
    """Where a training keeps its state: a file that what it is given writes and reads."""

    def load(self, read: Callable[[Path], Result]) -> Result | None:
        """Return what an earlier attempt has saved, None without any."""

    def resumed(self, steps: Sequence[Mapping[str, float]]) -> None:
        """Hear of the metrics of the epochs that earlier attempts did."""

    def offer(self, save: Callable[[Path], object], *, n_bytes: int) -> None:
        """Save the state after an epoch, if that takes no more time than it may."""

    def save(self, save: Callable[[Path], object]) -> None:
        """Save the state, as before an interruption; raise an OSError if that fails."""


def write_state(state: TrainState, path: Path) -> None:
    """Write a state to a file; raise an OSError, or torch's RuntimeError, if that fails."""
    content = {name: getattr(state, name) for name in TrainState.__slots__}
    content |= {"format": _FORMAT, "curve": [asdict(metrics) for metrics in state.curve]}
    torch.save(content, path)


def read_state(path: Path, config: AutoencoderConfig, seed: int) -> TrainState | None:
    """Read the state of a training before its end.

    None if the file is missing, damaged or of another training, which only costs time.
    """
    if not path.is_file():
        return None
    try:
        content = load_content(path)
        if content.pop("format") != _FORMAT:
            return None
        content["curve"] = tuple(metrics_from_dict(metrics) for metrics in content["curve"])
        state = TrainState(**content)
        fits = (state.identity, state.seed) == (config.identity(), seed)
        return state if fits and len(state.curve) < config.epoch else None
    except Exception:  # damaged files raise anything from EOFError to KeyError
        return None
