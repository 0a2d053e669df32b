"""Arithmetic with latents: sums of emoji, attributes that images share, and ways between two."""

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emoji_ae.choices import Way
from emoji_ae.errors import ExpressionError
from emoji_ae.evaluation import to_float
from emoji_ae.expression import Atom, Combination
from emoji_ae.labels import class_index, has_words, plain_text
from emoji_ae.models import Autoencoder

PARALLEL = 1e-4
"""Sine of the angle below which two latents have no circle through both."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatentSpace:
    """A model, in evaluation mode on the CPU, and the latents of uint8 images by its encoder."""

    model: Autoencoder
    images: Tensor
    texts: tuple[str, ...]
    latents: Tensor

    def vector(self, atom: Atom) -> Tensor:
        """Return the latent of an emoji, or the direction of an attribute, or a half of either.

        An emoji is the first image with its text. An attribute is the mean of the images with
        the words less the mean of the other images of the classes that they have; of images with
        one text, the first counts. A half is 0 at the positions of the other one.

        Raises:
            ExpressionError: If there is none, or if the latents have no halves.

        Source: attribute vectors of White, "Sampling Generative Networks", 2016,
            arXiv:1609.04468, section 4.
        """
        emoji = atom.kind == "emoji"
        latent = self.latents[self.row(atom.text)] if emoji else self._attribute(atom.text)
        if atom.part == "whole":
            return latent
        if not self.has_halves:
            shape = "x".join(str(size) for size in self.latents.shape[1:])
            raise ExpressionError(
                f"`{atom.part}()` must be of a convolutional model with more than one row of "
                f"positions, but its latents are {shape}."
            )
        half = torch.zeros_like(latent)
        middle = latent.shape[1] // 2
        rows = slice(middle) if atom.part == "upper" else slice(middle, None)
        half[:, rows] = latent[:, rows]
        return half

    @property
    def has_halves(self) -> bool:
        """Whether latents have positions, and more than one from top to bottom."""
        return self.latents.dim() == 4 and self.latents.shape[2] > 1

    def row(self, text: str) -> int:
        """Return the first image with a text, by ``plain_text``, or raise an ExpressionError."""
        plain = [plain_text(own) for own in self.texts]
        wanted = plain_text(text)
        if wanted not in plain:
            raise ExpressionError(
                f"There is no emoji {text!r} in the data set"
                f"{_nearest_texts(wanted, sorted(set(plain)))}."
            )
        return plain.index(wanted)

    def _attribute(self, words: str) -> Tensor:
        """Return what images with some words have and others of their classes have not."""
        rows = {plain_text(text): i for i, text in reversed(list(enumerate(self.texts)))}
        carriers = {text for text in rows if has_words(text, words)}
        classes = {class_index(text) for text in carriers}
        others = {text for text in rows if class_index(text) in classes} - carriers
        if not carriers or not others:
            known = {word for text in rows for word in text.split()}
            found = f"all {len(carriers)} of their class" if carriers else f"none of {len(rows)}"
            raise ExpressionError(
                f"`attr({words})` must be in the texts of some images, but {found} have it"
                f"{_nearest_texts(words, sorted(known))}."
            )
        having = self.latents[sorted(rows[text] for text in carriers)]
        lacking = self.latents[sorted(rows[text] for text in others)]
        return having.mean(dim=0) - lacking.mean(dim=0)

    def compose(self, combination: Combination) -> Tensor:
        """Return the weighted sum of an expression's vectors; raise as ``vector``."""
        parts = [weight * self.vector(atom) for atom, weight in combination.items()]
        return torch.stack(parts).sum(dim=0)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the images of latents, ``(n, 3, 64, 64)`` float32 in [0, 1]."""
        with torch.no_grad():
            return self.model.decode(latents)

    def nearest(self, latent: Tensor, n: int) -> list[tuple[int, float]]:
        """Return the ``n`` images whose latents are nearest, with their Euclidean distances."""
        distances = (self.latents - latent).flatten(1).norm(dim=1)
        found = distances.topk(min(n, len(distances)), largest=False)
        return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))


def encode(model: Autoencoder, images: Tensor, texts: Sequence[str]) -> LatentSpace:
    """Encode uint8 images with a model on the CPU, which is left in evaluation mode."""
    model.eval()
    with torch.no_grad():
        latents = model.encode(to_float(images, torch.device("cpu")))
    return LatentSpace(model=model, images=images, texts=tuple(texts), latents=latents)


def path(stops: Sequence[Tensor], n: int, way: Way) -> Tensor:
    """Return latents on the way through at least two, ``n`` from stop to stop, both counted."""
    shares = torch.linspace(0, 1, n)
    between = slerp if way == "slerp" else lerp
    parts = [between(a, b, shares) for a, b in itertools.pairwise(stops)]
    return torch.cat([part[: n - 1] for part in parts] + [stops[-1][None]])


def through(stops: Sequence[Tensor], middle: Tensor) -> list[Tensor]:
    """Return stops with another one between each two, such as the mean of all images."""
    return [*(stop for first in stops[:-1] for stop in (first, middle)), stops[-1]]


def slerp(a: Tensor, b: Tensor, shares: Tensor) -> Tensor:
    """Interpolate on the great circle through two vectors; lengths change evenly.

    Vectors that are nearly parallel have no circle through both and are joined straight, as are
    opposite ones, and a vector of length 0. Shares, ``(n,)``, are 0 for ``a`` and 1 for ``b``.

    Source: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985; for latents:
        White, 2016, arXiv:1609.04468.
    """
    lengths = a.norm(), b.norm()
    if min(lengths) == 0:
        return lerp(a, b, shares)
    first, last = a / lengths[0], b / lengths[1]
    angle = torch.acos((first * last).sum().clamp(-1, 1))
    sine = angle.sin()
    if sine < PARALLEL:
        return lerp(a, b, shares)
    share = shares.view(-1, *[1] * a.dim())
    turned = ((1 - share) * angle).sin() / sine * first + (share * angle).sin() / sine * last
    between: Tensor = turned * ((1 - share) * lengths[0] + share * lengths[1])
    return between


def lerp(a: Tensor, b: Tensor, shares: Tensor) -> Tensor:
    """Interpolate straight between two tensors, as ``slerp``."""
    share = shares.view(-1, *[1] * a.dim())
    return (1 - share) * a + share * b


def _nearest_texts(wanted: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    return f"; near: {', '.join(near)}" if near else ""
