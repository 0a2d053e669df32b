"""The state of an unfinished training on disk; it goes on from there as if never interrupted."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emoji_ae.curve import EpochMetrics, metrics_from_dict
from emoji_ae.files import whole_file
from emoji_ae.safe_load import load_content

_FORMAT = "emoji-study training 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainState:
    """All that a training needs to go on.

    Args:
        identity: Of what is trained, as ``AutoencoderConfig.identity`` gives it.
        seed: Of the training.
        curve: The epochs so far.
        weights: Of the model now.
        best_weights: Of the epoch with the lowest validation error.
        optimizer: The optimizer's state.
        scheduler: The schedule's state; None for a constant learning rate.
        generator: State of the generator of order and augmentation.
        random: State of torch's global generator on the CPU.
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
        mine = (self.identity, self.seed)
        return mine == (identity, seed) and len(self.curve) < max_epochs


class ResumeFile:
    """Where a training keeps its state while it runs.

    Args:
        path: The file; it need not exist.
        identity: Of what is trained; a state of something else is not used.
        seed: Of the training, likewise.
        max_epochs: A state that is not before this epoch is not used.

    Attributes:
        state: What the file holds, None if nothing that fits.
    """

    def __init__(self, path: Path, *, identity: str, seed: int, max_epochs: int) -> None:
        self._path = path
        state = read_state(path)
        fits = state is not None and state.fits(identity, seed, max_epochs)
        self.state: TrainState | None = state if fits else None

    def offer(self, make_state: Callable[[], TrainState], *, n_bytes: int) -> None:
        """Do nothing: whoever knows how much time saving may take does it after an epoch.

        Args:
            make_state: Called if the state is saved.
            n_bytes: About what a save writes.
        """

    def save(self, state: TrainState) -> None:
        """Save the state, as before an interruption.

        Raises:
            OSError: If the file cannot be written.
        """
        with whole_file(self._path) as partial:
            write_state(state, partial)
        self.state = state


def write_state(state: TrainState, path: Path) -> None:
    """Write a state to a file.

    Raises:
        OSError, RuntimeError: If it cannot be written; torch turns some errors into the latter.
    """
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
