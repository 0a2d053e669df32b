"""What the epochs of a training give, and the table that they are stored as."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics:
    """What one epoch gave.

    Args:
        epoch: Counted from 0.
        train_mse: Mean reconstruction error of the augmented training images, each measured
            when its batch was due, in training mode.
        validation_mse: Mean reconstruction error of the validation images after the epoch, in
            evaluation mode, without augmentation.
        seconds: Time in the training's epochs up to and including this one; without that of
            hooks and of saving the training's state.
    """

    epoch: int
    train_mse: float
    validation_mse: float
    seconds: float


def curve_to_csv(curve: Sequence[EpochMetrics]) -> bytes:
    """Write one line per epoch, with seven digits, under the names of the metrics."""
    names = [field.name for field in fields(EpochMetrics)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([f"{getattr(metrics, name):.7g}" for name in names] for metrics in curve)
    return buffer.getvalue().encode()


def curve_from_csv(content: bytes) -> tuple[EpochMetrics, ...]:
    """Read what ``curve_to_csv`` wrote.

    Raises:
        ValueError, TypeError: If the content is something else.
    """
    curve = []
    for epoch, row in enumerate(csv.DictReader(io.StringIO(content.decode()))):
        values: dict[str, Any] = {name: float(text) for name, text in row.items()}
        curve.append(EpochMetrics(**values | {"epoch": epoch}))
    return tuple(curve)
