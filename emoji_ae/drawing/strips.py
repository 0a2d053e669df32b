"""The strip that a training leaves: images over their reconstructions."""

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from emoji_ae.evaluation import image_errors, reconstruct, to_float
from emoji_ae.images import picture_png
from emoji_ae.models import Autoencoder

PICTURES_ENTRY = "pictures"
"""The PNG's text entry about its columns: a JSON list of objects with text, role and mse."""

SAMPLE = "sample"
"""Role of an image that all trainings on the same data show."""
LOWEST, MEDIAN, HIGHEST = "lowest", "median", "highest"
"""Roles of images by their reconstruction errors."""

STRIP_PADDING = 2
"""White between the images, in pixels."""

N_SAMPLES = 3
"""Images that all strips show, evenly spaced over the validation split."""

N_COLOURS = 256
"""Chosen for each picture. They differ from the exact ones by a per cent in the mean, and halve
what the pictures of a study take, to at most 25 kB a trial.
"""


def reconstructions_png(model: Autoencoder, images: Tensor, texts: Sequence[str]) -> bytes:
    """Draw the uint8 images that all models show, and those that this one draws best and worst."""
    reconstructions = reconstruct(model, images)
    originals = model.arrange(to_float(images, reconstructions.device))
    errors = image_errors(reconstructions, originals)
    return strip_png(images.cpu().numpy(), reconstructions.numpy(), errors.numpy(), texts)


def strip_png(
    images: npt.NDArray[np.uint8],
    reconstructions: npt.NDArray[np.float32],
    errors: npt.NDArray[np.float32],
    texts: Sequence[str],
) -> bytes:
    """Draw some images over their reconstructions.

    Some are the same for all models, the others are those with the lowest, the middle and the
    highest error. What each column shows goes into ``PICTURES_ENTRY``, errors as they were before
    colours were reduced. Images are all of a split, ``(n, 3, 64, 64)``, and at least one.
    """
    samples = [(row, SAMPLE) for row in pick(len(images), N_SAMPLES)]
    chosen = samples + rank(errors)
    rows = [row for row, _ in chosen]
    drawn = Image.fromarray(lay_out(images[rows], reconstructions[rows]))
    drawn = drawn.quantize(N_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    columns = [
        {"text": texts[row], "role": role, "mse": float(errors[row])} for row, role in chosen
    ]
    info = PngImagePlugin.PngInfo()
    info.add_text(PICTURES_ENTRY, json.dumps(columns))
    return picture_png(drawn, info)


def lay_out(
    images: npt.NDArray[np.uint8], reconstructions: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """Lay out images over their reconstructions, white between them: ``(height, width, 3)``."""
    # A second to load; 0.1 s after an optimiser's first step, which loads the slow part of torch.
    from torchvision.utils import make_grid

    drawn = np.rint(reconstructions * np.float32(255)).astype(np.uint8)
    cells = torch.from_numpy(np.concatenate([images, drawn]))
    grid = make_grid(cells, nrow=len(images), padding=STRIP_PADDING, pad_value=255)
    strip: npt.NDArray[np.uint8] = grid.permute(1, 2, 0).numpy()
    return strip


def pick(n: int, count: int) -> list[int]:
    """Return the middle rows of ``count`` equal parts of ``n`` rows; all rows of fewer."""
    count = min(n, count)
    return [(2 * i + 1) * n // (2 * count) for i in range(count)]


def rank(errors: npt.NDArray[np.floating]) -> list[tuple[int, str]]:
    """Return the rows of the lowest, the middle and the highest error, each with its role.

    Equal errors are ordered by row; of two in the middle it is the lower one. One row that would
    have several roles is an end rather than the middle, and the lowest rather than the highest.
    """
    order = np.argsort(errors, kind="stable").tolist()
    last = len(order) - 1
    roles = {last // 2: MEDIAN} | {last: HIGHEST} | {0: LOWEST}
    return [(order[place], role) for place, role in sorted(roles.items())]
