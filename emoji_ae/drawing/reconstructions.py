"""A model's strip of reconstructions."""

from collections.abc import Sequence

from torch import Tensor

from emoji_ae.drawing.strips import strip_png
from emoji_ae.evaluation import image_errors, reconstruct, to_float
from emoji_ae.models import Autoencoder


def reconstructions_png(model: Autoencoder, images: Tensor, texts: Sequence[str]) -> bytes:
    """Draw the uint8 images that all models show, and those that this one draws best and worst."""
    reconstructions = reconstruct(model, images)
    originals = model.arrange(to_float(images, reconstructions.device))
    errors = image_errors(reconstructions, originals)
    return strip_png(images.cpu().numpy(), reconstructions.numpy(), errors.numpy(), texts)
