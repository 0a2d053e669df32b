"""Pictures of a training: reconstructions beside their originals."""

import io
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin
from torch import Tensor

from emoji_ae.loop import to_float
from emoji_ae.models import Autoencoder
from emoji_ae.pictures import reconstruct, reconstruction_strip
from emoji_ae.train import image_errors
from storage import attrs

N_SAMPLES = 3
"""Images that the pictures of all trials show, evenly spaced over the validation split."""

N_RANKED = 1
"""Images with the lowest errors, as many around the median, and as many with the highest."""

N_COLOURS = 256
"""Of a picture, chosen for it. They differ from the exact ones by a per cent in the mean; as every
trial of a study keeps its pictures and noise hardly compresses, they halve what a study takes, to
at most 25 kB a trial.
"""


def reconstructions_png(model: Autoencoder, images: Tensor, texts: Sequence[str]) -> bytes:
    """Draw images over their reconstructions.

    Some are the same for all models, the others are those that this one reconstructs best,
    middling and worst. What each column shows goes into the PNG's metadata, by the name
    ``attrs.PICTURES_ENTRY``, errors as they were before colours were reduced.

    Args:
        model: Left in evaluation mode.
        images: ``(n, 3, 64, 64)`` uint8, all of a split and at least one.
        texts: What each image shows.
    """
    reconstructions = reconstruct(model, images)
    originals = model.arrange(to_float(images, reconstructions.device))
    errors = image_errors(reconstructions, originals).numpy()
    samples = [(row, attrs.SAMPLE) for row in pick(len(images), N_SAMPLES)]
    chosen = samples + rank(errors, N_RANKED)
    rows = [row for row, _ in chosen]
    strip = reconstruction_strip(images[rows], reconstructions[rows])
    drawn = Image.fromarray(strip.permute(1, 2, 0).numpy())
    drawn = drawn.quantize(N_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    columns = [
        {"text": texts[row], "role": role, "mse": float(errors[row])} for row, role in chosen
    ]
    metadata = PngImagePlugin.PngInfo()
    metadata.add_text(attrs.PICTURES_ENTRY, json.dumps(columns))
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", pnginfo=metadata)
    return buffer.getvalue()


def pick(n: int, count: int) -> list[int]:
    """Return the middle rows of ``count`` equal parts of ``n`` rows; all rows of fewer."""
    count = min(n, count)
    return [(2 * i + 1) * n // (2 * count) for i in range(count)]


def rank(errors: npt.NDArray[np.floating], count: int) -> list[tuple[int, str]]:
    """Return the rows of the lowest, the middle and the highest errors, each with its role.

    Args:
        errors: ``(n,)``, at least one; equal ones are ordered by row.
        count: Rows of each role; fewer of fewer than ``3 * count`` errors.

    Returns:
        From the lowest error to the highest, no row twice. Where the middle cannot be halved, it
        reaches further down.
    """
    order = np.argsort(errors, kind="stable").tolist()
    n_each = min(count, max(1, len(order) // 3))
    starts = {
        attrs.LOWEST: 0,
        attrs.HIGHEST: len(order) - n_each,
        attrs.MEDIAN: (len(order) - n_each) // 2,
    }
    roles: dict[int, str] = {}
    for role, start in starts.items():
        for place in range(start, start + n_each):
            roles.setdefault(place, role)
    return [(order[place], role) for place, role in sorted(roles.items())]
