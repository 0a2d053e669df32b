"""What a trained model makes of images, and how wrong that is."""

import torch
from torch import Tensor

from emoji_ae.classification import confusion_matrix
from emoji_ae.models import Autoencoder, MultitaskAutoencoder


def to_float(images: Tensor, device: torch.device) -> Tensor:
    """Turn uint8 images into float32 in [0, 1] on ``device``."""
    return images.to(device).float().div_(255)


def reconstruct(model: Autoencoder, images: Tensor) -> Tensor:
    """Return the reconstructions of uint8 images, in [0, 1] on the CPU, in one forward pass.

    The model is left in evaluation mode.
    """
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        reconstructions: Tensor = model(to_float(images, device))
    return reconstructions.cpu()


def reconstruction_errors(model: Autoencoder, images: Tensor) -> Tensor:
    """Return ``image_errors`` of a model, left in evaluation mode; images are on its device."""
    model.eval()
    images = model.arrange(images)  # sums of errors depend on it as well
    with torch.no_grad():
        return image_errors(model(images), images)


def image_errors(reconstructions: Tensor, images: Tensor) -> Tensor:
    """Return the mean squared error of each image, ``(n,)``, of two ``(n, 3, 64, 64)``.

    The last bits depend on their layouts, so ``images`` should be in that of the model.
    """
    return (reconstructions - images).square().mean(dim=(1, 2, 3))


def classify(model: Autoencoder, images: Tensor, labels: Tensor) -> Tensor:
    """Return the ``confusion_matrix`` of a multitask model, which is left in evaluation mode."""
    assert isinstance(model, MultitaskAutoencoder)
    model.eval()
    with torch.no_grad():
        _, logits = model.forward_tasks(images)
    return confusion_matrix(logits.argmax(dim=1), labels)
