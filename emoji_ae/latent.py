"""Arithmetic with latents: sums of emoji, attributes that images share, and ways between two.

Needs a trained model and the images that it is asked about; knows nothing of files or search.
"""

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from emoji_ae.errors import ExpressionError
from emoji_ae.expression import Atom, Combination
from emoji_ae.labels import plain_text
from emoji_ae.loop import to_float
from emoji_ae.models import Autoencoder

Way = Literal["slerp", "lerp"]
"""How to go from one latent to another: along a great circle, or straight."""

PARALLEL = 1e-4
"""Sine of the angle below which two latents have no circle through both."""

_N_SUGGESTED = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatentSpace:
    """A model, and the latents of images that it has encoded.

    Args:
        model: In evaluation mode, on the CPU.
        images: ``(n, 3, 64, 64)`` uint8.
        texts: What each image shows.
        latents: ``(n, ...)`` float32, by architecture.
    """

    model: Autoencoder
    images: Tensor
    texts: tuple[str, ...]
    latents: Tensor

    def vector(self, atom: Atom) -> Tensor:
        """Return the latent of an emoji, or the direction of an attribute.

        An emoji is the first image with its text. An attribute is the mean of the images whose
        text has the words less the mean of all others.

        Raises:
            ExpressionError: If there is none, with the texts that are nearest.

        Source: attribute vectors of White, "Sampling Generative Networks", 2016,
            arXiv:1609.04468, section 4.
        """
        if atom.kind == "emoji":
            return self.latents[self.row(atom.text)]
        carrying = torch.tensor([_has_words(text, atom.text) for text in self.texts])
        if not carrying.any() or carrying.all():
            words = {word for text in self.texts for word in plain_text(text).split()}
            found = "none" if not carrying.any() else "all"
            raise ExpressionError(
                f"`attr({atom.text})` must be in the texts of some images, but {found} of "
                f"{len(self.texts)} have it{_nearest_texts(atom.text, sorted(words))}."
            )
        return self.latents[carrying].mean(dim=0) - self.latents[~carrying].mean(dim=0)

    def row(self, text: str) -> int:
        """Return the first image with a text; case, hyphens and skin tone do not count.

        Raises:
            ExpressionError: If there is none.
        """
        plain = [plain_text(own) for own in self.texts]
        wanted = plain_text(text)
        if wanted not in plain:
            raise ExpressionError(
                f"There is no emoji {text!r} in the data set"
                f"{_nearest_texts(wanted, sorted(set(plain)))}."
            )
        return plain.index(wanted)

    def compose(self, combination: Combination) -> Tensor:
        """Return the weighted sum of an expression's vectors, of the shape of one latent.

        Raises:
            ExpressionError: As ``vector``.
        """
        parts = [weight * self.vector(atom) for atom, weight in combination.items()]
        return torch.stack(parts).sum(dim=0)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the images of latents, ``(n, 3, 64, 64)`` float32 in [0, 1]."""
        with torch.no_grad():
            return self.model.decode(latents)

    def nearest(self, latent: Tensor, n: int) -> list[tuple[int, float]]:
        """Return the images whose latents are nearest, with their Euclidean distances.

        Args:
            latent: Of the shape of one latent.
            n: How many, nearest first.
        """
        distances = (self.latents - latent).flatten(1).norm(dim=1)
        found = distances.topk(min(n, len(distances)), largest=False)
        return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))


def encode(model: Autoencoder, images: Tensor, texts: Sequence[str]) -> LatentSpace:
    """Encode images with a model, which is left in evaluation mode.

    Args:
        model: On the CPU.
        images: ``(n, 3, 64, 64)`` uint8.
        texts: What each image shows.
    """
    model.eval()
    with torch.no_grad():
        latents = model.encode(to_float(images, torch.device("cpu")))
    return LatentSpace(model=model, images=images, texts=tuple(texts), latents=latents)


def path(stops: Sequence[Tensor], n: int, way: Way) -> Tensor:
    """Return latents on the way through several.

    Args:
        stops: At least two latents of one shape.
        n: Latents from one stop to the next, both counted; at least 2.
        way: Along great circles about 0, or straight.

    Returns:
        ``((len(stops) - 1) * (n - 1) + 1, ...)``, the stops among them.
    """
    shares = torch.linspace(0, 1, n)
    parts = [_between(a, b, shares, way) for a, b in itertools.pairwise(stops)]
    return torch.cat([part[: n - 1] for part in parts] + [stops[-1][None]])


def through(stops: Sequence[Tensor], middle: Tensor) -> list[Tensor]:
    """Return stops with another one between each two, such as the mean of all images."""
    between = [stop for first in stops[:-1] for stop in (first, middle)]
    return [*between, stops[-1]]


def slerp(a: Tensor, b: Tensor, shares: Tensor) -> Tensor:
    """Interpolate on the great circle through two vectors; lengths change evenly.

    Vectors that are nearly parallel have no circle through both and are joined straight, as are
    opposite ones, and a vector of length 0.

    Args:
        a: Of any shape.
        b: Of the same shape.
        shares: ``(n,)``, 0 for ``a`` and 1 for ``b``.

    Returns:
        ``(n, ...)``.

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
    """Interpolate straight between two tensors; arguments and result as in ``slerp``."""
    share = shares.view(-1, *[1] * a.dim())
    return (1 - share) * a + share * b


def _between(a: Tensor, b: Tensor, shares: Tensor, way: Way) -> Tensor:
    return slerp(a, b, shares) if way == "slerp" else lerp(a, b, shares)


def _has_words(text: str, words: str) -> bool:
    return f" {plain_text(words)} " in f" {plain_text(text)} "


def _nearest_texts(wanted: str, known: Sequence[str]) -> str:
    """Return the end of a sentence that names the most similar of the known texts."""
    near = difflib.get_close_matches(wanted, known, n=_N_SUGGESTED, cutoff=0.5)
    return f"; near: {', '.join(near)}" if near else ""
