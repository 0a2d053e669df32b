"""The state of an unfinished training on disk; it goes on from there as if never interrupted."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emoji_ae.curve import EpochMetrics, metrics_from_dict
from emoji_ae.files import whole_file
from emoji_ae.safe_load import load_content

MAX_OVERHEAD = 0.005
"""Share of a training's time that saving its state may take."""

_FORMAT = "emoji-study training 1"
_EXPECTED_BYTES_PER_S = 2e8  # until a save has been timed


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


class ResumeFile:
    """Where a training keeps its state while it runs.

    Args:
        path: The file; it need not exist.
        identity: Of what is trained; a state of something else is not used.
        seed: Of the training, likewise.
        max_epochs: A state that is not before this epoch is not used.
        max_overhead: Share of the time that saving may take.

    Attributes:
        state: What the file holds, None if nothing that fits.
    """

    def __init__(
        self,
        path: Path,
        *,
        identity: str,
        seed: int,
        max_epochs: int,
        max_overhead: float = MAX_OVERHEAD,
    ) -> None:
        self._path = path
        self._max_overhead = max_overhead
        self._last_save = time.perf_counter()
        self._save_s: float | None = None
        state = read_state(path)
        fits = (
            state is not None
            and (state.identity, state.seed) == (identity, seed)
            and len(state.curve) < max_epochs
        )
        self.state: TrainState | None = state if fits else None

    def offer(self, make_state: Callable[[], TrainState], *, n_bytes: int) -> None:
        """Save the state, unless that would take more than its share of the time.

        Args:
            make_state: Called if the state is saved.
            n_bytes: About what a save writes; tells its time until one was measured.
        """
        expected_s = self._save_s or n_bytes / _EXPECTED_BYTES_PER_S
        if (time.perf_counter() - self._last_save) * self._max_overhead >= expected_s:
            self.save(make_state())

    def save(self, state: TrainState) -> None:
        """Save the state in any case.

        Raises:
            OSError: If the file cannot be written.
        """
        started = time.perf_counter()
        with whole_file(self._path) as partial:
            write_state(state, partial)
        self.state = state
        self._last_save = time.perf_counter()
        self._save_s = self._last_save - started

    def remove(self) -> None:
        """Remove the file, for a training that has ended."""
        self._path.unlink(missing_ok=True)


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
