"""The gallery of sums of emoji as one picture: what each recipe makes of the same two faces."""

from collections.abc import Sequence
from itertools import groupby

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from emoji_ae.drawing.composition import to_picture
from emoji_ae.errors import ExpressionError
from emoji_ae.expression import parse
from emoji_ae.latent import LatentSpace
from emoji_ae.recipes import METHODS, Item, Method

_CELL = 88
_GAP = 6
_MARGIN = 14
_BETWEEN = 28
"""White between the two blocks."""
_BLOCKS = 2
_TITLE = 34
_HEADINGS = 20
_LINE = 20
_ROW = _LINE + _CELL + _GAP
_TEXT = "#303030"
_FAINT = "#606060"


def drawable(
    space: LatentSpace, items: Sequence[Item]
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Return the items that the images have all emoji and attributes for, and the others."""
    there = tuple(item for item in items if _is_drawable(space, item))
    return there, tuple(item for item in items if item not in there)


def draw_gallery(space: LatentSpace, items: Sequence[Item]) -> Image.Image:
    """Draw of at least one item its two faces, as they are, and what each of its recipes gives.

    In two blocks of rows under the title of each section; below, what each method is. Raises as
    ``LatentSpace.vector``.
    """
    methods = [method for method in METHODS if any(method in item.recipes for item in items)]
    block = (2 + len(methods)) * (_CELL + _GAP) - _GAP
    sections = [
        (title, list(members)) for title, members in groupby(items, key=lambda item: item.section)
    ]
    n_rows = sum(_per_block(len(members)) for _, members in sections)
    width = _BLOCKS * block + (_BLOCKS - 1) * _BETWEEN + 2 * _MARGIN
    height = len(sections) * (_TITLE + _HEADINGS) + n_rows * _ROW + len(methods) * _LINE
    picture = Image.new("RGB", (width, height + 3 * _MARGIN), "white")
    pen = ImageDraw.Draw(picture)
    large, small = ImageFont.load_default(size=17), ImageFont.load_default(size=13)
    top = _MARGIN
    for title, members in sections:
        pen.text((_MARGIN, top + 6), title, fill=_TEXT, font=large)
        top += _TITLE
        for i, item in enumerate(members):
            column, row = divmod(i, _per_block(len(members)))
            left = _MARGIN + column * (block + _BETWEEN)
            places = [left + n * (_CELL + _GAP) for n in range(2 + len(methods))]
            if row == 0:
                for x, heading in zip(places, ["eyes of", "mouth of", *methods], strict=True):
                    pen.text((x, top), heading, fill=_FAINT, font=small)
            y = top + _HEADINGS + row * _ROW
            pen.text((left, y), item.name, fill=_TEXT, font=small)
            for x, image in zip(places, _cells(space, item, methods), strict=True):
                if image is not None:
                    drawn = to_picture(image).resize((_CELL, _CELL), Image.Resampling.BICUBIC)
                    picture.paste(drawn, (x, y + _LINE))
        top += _HEADINGS + _per_block(len(members)) * _ROW
    for i, method in enumerate(methods):
        said = f"{method}: {METHODS[method]}"
        pen.text((_MARGIN, top + _MARGIN + i * _LINE), said, fill=_FAINT, font=small)
    return picture


def _is_drawable(space: LatentSpace, item: Item) -> bool:
    try:
        for recipe in item.recipes.values():
            space.compose(parse(recipe))
    except ExpressionError:
        return False
    return True


def _cells(space: LatentSpace, item: Item, methods: Sequence[Method]) -> list[Tensor | None]:
    """Return the two faces, and what the recipe of each method gives, None without one."""
    faces = [space.images[space.row(text)] for text in (item.eyes, item.mouth)]
    latents = [space.compose(parse(recipe)) for recipe in item.recipes.values()]
    drawn = dict(zip(item.recipes, space.decode(torch.stack(latents)), strict=True))
    return [*faces, *(drawn.get(method) for method in methods)]


def _per_block(n: int) -> int:
    return -(-n // _BLOCKS)
