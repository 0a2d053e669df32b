"""Training of one autoencoder, from images to the weights of its best epoch."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics
from emoji_ae.errors import DataError
from emoji_ae.loop import TrainResult, fit, to_float
from emoji_ae.losses import reconstruction_loss
from emoji_ae.models import Autoencoder, memory_format
from emoji_ae.resume import ResumeFile
from emoji_ae.seeding import seeded


def train_autoencoder(
    config: AutoencoderConfig,
    train_images: Tensor,
    validation_images: Tensor,
    *,
    seed: int,
    device: torch.device | None = None,
    images_per_epoch: int | None = None,
    on_epoch: Callable[[EpochMetrics], bool] | None = None,
    resume: ResumeFile | None = None,
) -> TrainResult[EpochMetrics]:
    """Train an autoencoder with Adam on ``reconstruction_loss``.

    The result is a function of the arguments, and on one machine the same bit for bit whenever
    torch runs with the same number of threads, however often the training was resumed.

    Args:
        config: What to train, and how.
        train_images: ``(n, 3, 64, 64)`` uint8, at least 2; augmented afresh in every epoch.
        validation_images: ``(m, 3, 64, 64)`` uint8, at least 1; never augmented.
        seed: Decides initial weights, order of images and augmentation.
        device: Where to train; the CPU unless given.
        images_per_epoch: How many of the training images an epoch draws; all if not given.
        on_epoch: Called after every epoch that was not resumed. Training stops early when it
            returns True, and is suspended when it raises.
        resume: Where the state is kept now and then, and before an error of ``on_epoch`` is
            passed on. A state that it holds already is gone on from.

    Returns:
        The model of the best epoch and the whole curve.

    Raises:
        DataError: If there are too few images.
        DivergedError: If an error becomes NaN or infinite; it holds the result so far.
    """
    device = device or torch.device("cpu")
    require_images(train_images, validation_images)
    validation = to_float(validation_images, device)
    with seeded(seed, device) as generator:
        return fit(
            config,
            Reconstruction(config, validation.contiguous(memory_format=memory_format(config))),
            train_images,
            generator=generator,
            device=device,
            seed=seed,
            images_per_epoch=images_per_epoch,
            on_epoch=on_epoch,
            resume=resume,
        )


class Reconstruction:
    """Minimises the error of the reconstructions; the ``Task`` of an autoencoder.

    Args:
        config: Holds the weights of the loss's terms, see ``reconstruction_loss``.
        validation: ``(m, 3, 64, 64)`` float32 in [0, 1], in the layout of the model.
    """

    metrics = EpochMetrics

    def __init__(self, config: AutoencoderConfig, validation: Tensor) -> None:
        self._config = config
        self._validation = validation

    def parameters(self, model: Autoencoder) -> Iterable[nn.Parameter]:
        """Return all parameters."""
        return model.parameters()

    def step(self, model: Autoencoder, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch's loss, and its mean squared error."""
        reconstructions = model(images)
        mse = nn.functional.mse_loss(reconstructions, images)
        loss = reconstruction_loss(self._config, model, reconstructions, images, mse)
        return loss, mse.detach()

    def evaluate(self, model: Autoencoder, train_means: Tensor) -> dict[str, float]:
        """Return the errors of an epoch."""
        validation_mse = reconstruction_errors(model, self._validation).mean().item()
        return {"train_mse": train_means.item(), "validation_mse": validation_mse}


def reconstruction_errors(model: Autoencoder, images: Tensor) -> Tensor:
    """Return each image's mean squared error, in evaluation mode.

    Args:
        model: Left in evaluation mode.
        images: ``(n, 3, 64, 64)`` float32 in [0, 1] on the model's device.

    Returns:
        ``(n,)`` float32.
    """
    model.eval()
    images = model.arrange(images)  # sums of errors depend on it as well
    with torch.no_grad():
        return image_errors(model(images), images)


def image_errors(reconstructions: Tensor, images: Tensor) -> Tensor:
    """Return the mean squared error of each image, ``(n,)``, of two ``(n, 3, 64, 64)``.

    The last bits depend on their layouts, so ``images`` should be in that of the model.
    """
    return (reconstructions - images).square().mean(dim=(1, 2, 3))


def require_images(train_images: Tensor, validation_images: Tensor) -> None:
    """Raise a DataError unless there is something to train on and to judge by."""
    if len(train_images) < 2 or len(validation_images) < 1:
        raise DataError(
            "Training needs at least 2 training and 1 validation images, but got "
            f"{len(train_images)} and {len(validation_images)}."
        )
