"""Pictures of originals over what a model made of them, cut into their columns.

A column is two square tiles, one below the other; ``attrs.PICTURES_ENTRY`` says what each shows.
"""

import io
import json
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from storage import attrs
from study.report.pictures import Picture

PADDING = 2
"""Pixels around and between the tiles."""

FULL_DIFFERENCE = 0.5
"""Mean absolute difference of a pixel from which on an error map has its full colour."""

ERROR_COLOUR = (8, 48, 107)
"""Full colour of an error map, the darkest of ColorBrewer's blues.

Shades of one hue can be read with every common colour vision.
Source: Harrower, Brewer, "ColorBrewer.org", The Cartographic Journal 40, 2003.
"""


def cut_strip(png: bytes) -> tuple[Picture, ...]:
    """Take apart a trial's picture; one that does not say what its columns show has none.

    Error maps are of the drawn images, whose colours may be rounded; errors are those of the
    model's exact output, as stored.
    """
    with Image.open(io.BytesIO(png)) as image:
        columns: list[dict[str, Any]] = json.loads(image.info.get(attrs.PICTURES_ENTRY, "[]"))
        strip = image.convert("RGB")
    return tuple(_cut_column(strip, i, **column) for i, column in enumerate(columns))


def error_map(original: Image.Image, made: Image.Image) -> Image.Image:
    """Draw by how much each pixel differs: the absolute difference, averaged over the channels.

    Both are RGB images of one size. White is no difference, ``ERROR_COLOUR`` is
    ``FULL_DIFFERENCE`` or more, in proportion between them, so that all maps compare.
    """
    difference = np.asarray(original, dtype=float) - np.asarray(made, dtype=float)
    share = np.abs(difference).mean(axis=2) / (255 * FULL_DIFFERENCE)
    levels = np.rint(255 * np.minimum(share, 1)).astype(np.uint8)
    return ImageOps.colorize(Image.fromarray(levels), "white", ERROR_COLOUR)


def _cut_column(strip: Image.Image, i: int, *, text: str, role: str, mse: float) -> Picture:
    size = (strip.height - 3 * PADDING) // 2
    left = PADDING + i * (size + PADDING)
    original, made = (
        strip.crop((left, top, left + size, top + size)) for top in (PADDING, 2 * PADDING + size)
    )
    pngs = map(_png, (original, made, error_map(original, made)))
    files = dict(zip(("original", "reconstruction", "error_map"), pngs, strict=True))
    return Picture(text=text, role=role, mse=mse, **files)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
