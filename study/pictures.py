"""Pictures of a training: reconstructions beside their originals, and its learning curve."""

import io
import json
from collections.abc import Sequence

import numpy as np
from PIL import Image, PngImagePlugin
from torch import Tensor

from emoji_ae.curve import EpochMetrics
from emoji_ae.models import Autoencoder
from emoji_ae.pictures import reconstruct, reconstruction_strip
from storage import attrs

N_PICTURES = 8
"""Images in a trial's picture, evenly spaced over the validation split."""


def pick(n: int) -> list[int]:
    """Return the positions of the images that are shown, of ``n``."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, N_PICTURES))})


def reconstructions_png(model: Autoencoder, images: Tensor, texts: Sequence[str]) -> bytes:
    """Draw images over their reconstructions; the texts go into the PNG's metadata.

    Args:
        model: Left in evaluation mode.
        images: ``(n, 3, 64, 64)`` uint8.
        texts: What each image shows.
    """
    strip = reconstruction_strip(images, reconstruct(model, images))
    metadata = PngImagePlugin.PngInfo()
    metadata.add_text(attrs.TEXTS_ENTRY, json.dumps(list(texts)))
    buffer = io.BytesIO()
    Image.fromarray(strip.permute(1, 2, 0).numpy()).save(buffer, "PNG", pnginfo=metadata)
    return buffer.getvalue()


def learning_curve_png(curve: Sequence[EpochMetrics], *, title: str) -> bytes:
    """Draw training and validation error by epoch, on a logarithmic axis."""
    from matplotlib.figure import Figure  # slow to import, and only needed here

    epochs = [metrics.epoch + 1 for metrics in curve]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(epochs, [m.train_mse for m in curve], label="training (augmented)", color="#0072B2")
    axes.plot(epochs, [m.validation_mse for m in curve], label="validation", color="#D55E00")
    best = min(curve, key=lambda m: m.validation_mse)
    axes.plot(best.epoch + 1, best.validation_mse, "o", color="#D55E00", label="kept weights")
    axes.set(xlabel="epoch", ylabel="reconstruction error (MSE)", yscale="log", title=title)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
