"""Latent arithmetic on a model whose latents are known: its images themselves."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from emoji_ae.errors import ExpressionError
from emoji_ae.expression import Atom, parse
from emoji_ae.latent import LatentSpace, Way, encode, lerp, path, slerp, through
from emoji_ae.models import Autoencoder

TEXTS = (
    "Smiling face with sunglasses",
    "grinning face",
    "nerd face",
    "face with open-mouth",
    "cat face with open mouth",
)


@pytest.fixture(scope="module")
def space() -> LatentSpace:
    """Five images under an autoencoder that changes nothing."""
    images = torch.randint(0, 256, (5, 3, 64, 64), generator=torch.manual_seed(0)).byte()
    return encode(Autoencoder(encoder=nn.Identity(), decoder=nn.Identity()), images, TEXTS)


def test_sums_are_those_of_the_latents(space: LatentSpace) -> None:
    """Each emoji counts with its weight; an emoji is nearest to itself, by Euclidean distance."""
    at = space.images.float() / 255
    found = space.compose(parse("2 * Grinning  face - nerd face + 'face with open mouth'"))
    assert torch.allclose(found, 2 * at[1] - at[2] + at[3])
    assert torch.equal(space.decode(found[None])[0], found)
    (first, zero), (second, distance) = space.nearest(space.latents[2], 2)
    assert (first, zero) == (2, 0)
    assert distance == pytest.approx(float((at[second] - at[2]).norm()), rel=1e-5)
    assert len(space.nearest(space.latents[0], 99)) == len(TEXTS)


def test_attributes(space: LatentSpace) -> None:
    """An attribute is the mean of those that have it less that of others of their classes."""
    twice = replace(
        space,
        texts=space.texts + tuple(text.upper() for text in space.texts),
        latents=torch.cat([space.latents, torch.rand_like(space.latents)]),
    )
    at = space.latents
    for one in (space, twice):
        found = one.vector(Atom("attribute", "open mouth"))
        assert torch.allclose(found, at[3:].mean(dim=0) - at[:3].mean(dim=0), atol=1e-6)
        found = one.vector(Atom("attribute", "Sunglasses"))
        # A cat is no human face.
        assert torch.allclose(found, at[0] - at[1:4].mean(dim=0), atol=1e-6)


def test_halves(space: LatentSpace) -> None:
    """The upper half of the positions is the image's, 0 below; a single position has none."""
    for shape, text in (((64,), "64"), ((128, 1, 1), "128x1x1")):
        shaped = replace(space, latents=torch.rand(len(TEXTS), *shape))
        assert not shaped.has_halves
        with pytest.raises(ExpressionError, match=f"^`lower.*but its latents are {text}.$"):
            shaped.compose(parse("nerd face - lower(attr(sunglasses))"))
        assert shaped.compose(parse("nerd face - attr(sunglasses)")).shape == shape
    shaped = replace(space, latents=space.latents[..., :7, :])
    assert shaped.has_halves
    whole = shaped.vector(Atom("emoji", "nerd face"))
    upper = shaped.compose(parse("upper(nerd face)"))
    lower = shaped.compose(parse("lower(nerd face)"))
    assert torch.equal(upper[:, :3], whole[:, :3])
    assert torch.equal(upper + lower, whole)
    assert not upper[:, 3:].any()
    assert not lower[:, :3].any()


def test_unknown_texts(space: LatentSpace) -> None:
    """What the data set does not have is named, with what is near."""
    for expression, message in {
        "nerd fase": "There is no emoji 'nerd fase' in the data set; near: nerd face",
        "xyzzy": r"There is no emoji 'xyzzy' in the data set\.$",
        "attr(sunglases)": r"`attr\(sunglases\)` .* none of 5 have it; near: sunglasses",
        "attr(cat)": r"`attr\(cat\)` must .* images, but all 1 of their class have it",
        "attr(glasses)": "none of 5 have it",  # whole words only
    }.items():
        with pytest.raises(ExpressionError, match=message):
            space.compose(parse(expression))


vectors = st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3).map(torch.tensor)


@given(vectors, vectors)
@settings(max_examples=30)
def test_slerp_keeps_to_its_ends_and_lengths(a: Tensor, b: Tensor) -> None:
    """It begins and ends where it should, and lengths change evenly in between."""
    shares = torch.linspace(0, 1, 9)
    found = slerp(a, b, shares)
    assert found.isfinite().all()
    assert torch.allclose(found[0], a, atol=1e-4)
    assert torch.allclose(found[-1], b, atol=1e-4)
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=0)
    if min(a.norm(), b.norm()) > 1e-2 and abs(float(cosine)) < 0.99:
        expected = lerp(a.norm(), b.norm(), shares)
        assert torch.allclose(found.norm(dim=1), expected, rtol=1e-3, atol=1e-4)


def test_slerp_turns_evenly() -> None:
    """A third of the way between two axes is 30 degrees; without one circle, all is straight."""
    x, y = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    found = slerp(x, y, torch.tensor([1 / 3]))[0]
    assert torch.allclose(found, torch.tensor([3**0.5 / 2, 0.5]), atol=1e-6)
    a, shares = torch.tensor([3.0, 4.0]), torch.linspace(0, 1, 5)
    for scale in (1.0, 2.5, -1.0, 0.0):
        assert torch.allclose(slerp(a, scale * a, shares), lerp(a, scale * a, shares))


def test_paths_pass_their_stops(space: LatentSpace) -> None:
    """Stops lie on the way at even distances, none twice, and the mean between each two."""
    stops = [space.latents[i] for i in (0, 2, 4)]
    for way in get_args(Way):
        found = path(stops, 5, way)
        assert found.shape == (9, 3, 64, 64)
        for i, stop in zip((0, 4, 8), stops, strict=True):
            assert torch.allclose(found[i], stop, atol=1e-5)
    a, b, c, mean = (torch.tensor([float(i)]) for i in range(4))
    assert torch.cat(through([a, b, c], mean)).tolist() == [0, 3, 1, 3, 2]
