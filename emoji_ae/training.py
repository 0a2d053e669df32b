"""One entrance to the trainings of all kinds of configuration."""

from collections.abc import Callable

import torch

from emoji_ae.config import AutoencoderConfig, MultitaskConfig
from emoji_ae.curve import EpochMetrics
from emoji_ae.dataset import LabelledImages
from emoji_ae.loop import TrainResult
from emoji_ae.multitask import train_multitask
from emoji_ae.resume import ResumeFile
from emoji_ae.train import train_autoencoder


def train_model(
    config: AutoencoderConfig,
    train: LabelledImages,
    validation: LabelledImages,
    *,
    seed: int,
    device: torch.device,
    images_per_epoch: int | None = None,
    on_epoch: Callable[[EpochMetrics], bool] | None = None,
    resume: ResumeFile | None = None,
) -> TrainResult[EpochMetrics]:
    """Train what a configuration describes; see ``train_autoencoder`` and ``train_multitask``.

    Raises:
        DataError: If there are too few images.
        DivergedError: If a metric becomes NaN or infinite; it holds the result so far.
    """
    if isinstance(config, MultitaskConfig):
        return train_multitask(
            config,
            train,
            validation,
            seed=seed,
            device=device,
            images_per_epoch=images_per_epoch,
            on_epoch=on_epoch,
            resume=resume,
        )
    return train_autoencoder(
        config,
        train.images,
        validation.images,
        seed=seed,
        device=device,
        images_per_epoch=images_per_epoch,
        on_epoch=on_epoch,
        resume=resume,
    )
