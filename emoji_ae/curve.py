"""What the epochs of a training give, and the table that they are stored as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics:
    """What one epoch, counted from 0, gave.

    Args:
        train_mse: Of the augmented training images, each when its batch was due, in training mode.
        validation_mse: After the epoch, in evaluation mode, without augmentation.
        seconds: Time in the training's epochs up to and including this one; without that of
            hooks and of saving the training's state.
    """

    epoch: int
    train_mse: float
    validation_mse: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MultitaskMetrics(EpochMetrics):
    """What one epoch of a multitask training gave; measured as the reconstruction errors are.

    Cross-entropies are in nats, with class weights where they are used; the total is the loss.
    """

    train_cross_entropy: float
    train_total: float
    train_accuracy: float
    validation_cross_entropy: float
    validation_total: float
    validation_accuracy: float
    validation_balanced_accuracy: float


def metrics_from_dict(values: Mapping[str, Any]) -> EpochMetrics:
    """Build metrics of the class with these names; a TypeError if one is missing or unknown."""
    multitask = "validation_accuracy" in values
    return MultitaskMetrics(**values) if multitask else EpochMetrics(**values)


def best_metrics(
    curve: Sequence[EpochMetrics], classifier_curve: Sequence[MultitaskMetrics]
) -> EpochMetrics:
    """Return the metrics of the kept weights: of the epoch with the lowest reconstruction error.

    If a classifier was trained after it, with the classification of the epoch of that with the
    lowest cross-entropy.
    """
    best = min(curve, key=lambda metrics: metrics.validation_mse)
    if not classifier_curve:
        return best
    chosen = min(classifier_curve, key=lambda metrics: metrics.validation_cross_entropy)
    return replace(chosen, epoch=best.epoch, seconds=best.seconds)
