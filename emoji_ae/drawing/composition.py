"""Pictures of sums of emoji: what went in, what a model makes of them, and the ways between."""

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from emoji_ae.expression import Combination, Kind
from emoji_ae.latent import LatentSpace

N_NEAREST = 3
"""Real emoji that are shown beside the composite."""

_SCALE = 2
_CELL = 64 * _SCALE
_GAP = 12
_LABEL = 58
_FRAME_MS = 80
_LINE = 18
"""Characters of a label's line."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Composition:
    """A sum of emoji, decoded, beside the reconstructions of each emoji in it.

    Nearest are the images whose latents are nearest to the composite's, by Euclidean distance.
    """

    combination: Combination
    rows: tuple[int, ...]
    reconstructions: Tensor
    composite: Tensor
    nearest: tuple[tuple[int, float], ...]


def compose(space: LatentSpace, combination: Combination) -> Composition:
    """Add latents up and decode the sum; raise as ``LatentSpace.vector``."""
    latent = space.compose(combination)
    rows = tuple(space.row(atom.text) for atom in combination if atom.kind == "emoji")
    decoded = space.decode(torch.stack([*(space.latents[row] for row in rows), latent]))
    return Composition(
        combination=combination,
        rows=rows,
        reconstructions=decoded[:-1],
        composite=decoded[-1],
        nearest=tuple(space.nearest(latent, N_NEAREST)),
    )


def describe(space: LatentSpace, made: Composition, write: Callable[[float], str]) -> list[str]:
    """Say in lines what was added, and which real emoji are how near, which ``write`` writes."""
    found = [f"{space.texts[row]} ({write(distance)})" for row, distance in made.nearest]
    return [
        f"Sum: {', '.join(_terms(made, 'emoji', 'attribute'))}.",
        f"Nearest emoji by distance of their latents: {', '.join(found)}.",
    ]


def draw(space: LatentSpace, made: Composition, write: Callable[[float], str]) -> Image.Image:
    """Draw the emoji over their reconstructions, then the composite, then what is nearest."""
    columns: list[tuple[str, Tensor | None, Tensor | None]] = [
        (term, space.images[row], reconstruction)
        for term, row, reconstruction in zip(
            _terms(made, "emoji"), made.rows, made.reconstructions, strict=True
        )
    ]
    columns.append((" ".join(["composite", *_terms(made, "attribute")]), None, made.composite))
    columns += [
        (f"near ({write(distance)}): {space.texts[row]}", space.images[row], None)
        for row, distance in made.nearest
    ]
    width = len(columns) * (_CELL + _GAP) + _GAP
    picture = Image.new("RGB", (width, 2 * _CELL + 3 * _GAP + _LABEL), "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=13)
    for i, (label, *images) in enumerate(columns):
        left = _GAP + i * (_CELL + _GAP)
        for row, image in enumerate(images):
            if image is not None:
                picture.paste(_image(image), (left, _GAP + row * (_CELL + _GAP)))
        lines = textwrap.wrap(label, _LINE, max_lines=3, placeholder=" …")
        place = (left, 2 * _CELL + 3 * _GAP)
        pen.multiline_text(place, "\n".join(lines), fill="#303030", font=font)
    return picture


def _terms(made: Composition, *kinds: Kind) -> list[str]:
    return [f"{w:+g} {atom}" for atom, w in made.combination.items() if atom.kind in kinds]


def draw_path(space: LatentSpace, latents: Tensor) -> Image.Image:
    """Draw what latents decode to, side by side."""
    frames = frames_of(space, latents)
    strip = Image.new("RGB", (len(frames) * (_CELL + _GAP) + _GAP, _CELL + 2 * _GAP), "white")
    for i, frame in enumerate(frames):
        strip.paste(frame, (_GAP + i * (_CELL + _GAP), _GAP))
    return strip


def frames_of(space: LatentSpace, latents: Tensor) -> list[Image.Image]:
    """Return what each latent decodes to."""
    return [_image(image) for image in space.decode(latents)]


def gif(frames: Sequence[Image.Image]) -> bytes:
    """Return frames as an animation that goes there and back for ever."""
    there_and_back = [*frames, *frames[-2:0:-1]]
    buffer = io.BytesIO()
    there_and_back[0].save(
        buffer, "GIF", save_all=True, append_images=there_and_back[1:], duration=_FRAME_MS, loop=0
    )
    return buffer.getvalue()


def to_picture(image: Tensor) -> Image.Image:
    """Turn ``(3, 64, 64)`` uint8, or float32 in [0, 1], into a picture of that size."""
    levels = image if image.dtype == torch.uint8 else image.mul(255).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).numpy())


def _image(image: Tensor) -> Image.Image:
    return to_picture(image).resize((_CELL, _CELL), Image.Resampling.NEAREST)
