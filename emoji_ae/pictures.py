"""Pictures of images and their reconstructions."""

import torch
from torch import Tensor
from torch.nn import functional

from emoji_ae.config import STRIP_PADDING
from emoji_ae.loop import to_float
from emoji_ae.models import Autoencoder


def reconstruct(model: Autoencoder, images: Tensor) -> Tensor:
    """Return the reconstructions of ``images``, in evaluation mode and one forward pass.

    Args:
        model: Left in evaluation mode.
        images: ``(n, 3, 64, 64)`` uint8.

    Returns:
        ``(n, 3, 64, 64)`` float32 in [0, 1] on the CPU.
    """
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        reconstructions: Tensor = model(to_float(images, device))
    return reconstructions.cpu()


def reconstruction_strip(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Lay out images in one row over their reconstructions in a second.

    Args:
        images: ``(n, 3, 64, 64)`` uint8.
        reconstructions: ``(n, 3, 64, 64)`` float32 in [0, 1], on the CPU; drawn with the
            nearest of 256 levels.

    Returns:
        ``(3, height, width)`` uint8, white between the pictures.
    """
    drawn = reconstructions.mul(255).round().to(torch.uint8)
    strip = torch.cat([_row(images.cpu()), _row(drawn)], dim=1)
    return functional.pad(strip, (0, STRIP_PADDING, 0, STRIP_PADDING), value=255)


def _row(images: Tensor) -> Tensor:
    """Set images side by side, with white above and left of each."""
    padded = functional.pad(images, (STRIP_PADDING, 0, STRIP_PADDING, 0), value=255)
    return torch.cat(list(padded), dim=2)
