"""What an epoch of a training gives."""

from dataclasses import dataclass


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
