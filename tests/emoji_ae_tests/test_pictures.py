"""Reconstructions, and strips of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from emoji_ae.models import Autoencoder, build_conv_autoencoder
from emoji_ae.pictures import reconstruct, reconstruction_strip


def random_images(n: int, seed: int = 0) -> Tensor:
    """Return ``(n, 3, 64, 64)`` uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, 64, 64), generator=generator, dtype=torch.uint8)


@pytest.fixture
def model() -> Autoencoder:
    """A small model with batch normalization whose statistics are not the initial ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = build_conv_autoencoder(width=4, depth=2, latent_channels=4, normalization="batch")
        built.train()
        built(random_images(8, seed=1) / 255)
    return built


def test_reconstructions_are_the_models(model: Autoencoder) -> None:
    """They are the model's output on pixels in [0, 1], without a gradient."""
    images = random_images(5)
    found = reconstruct(model, images)
    with torch.no_grad():
        exact = model.eval()(images.float() / 255)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert torch.equal(found, exact)
    assert len(set(found.flatten().tolist())) > 5


def test_reconstruction_is_in_evaluation_mode(model: Autoencoder) -> None:
    """A model in training mode is left in evaluation mode with the statistics it had."""
    before = [value.clone() for value in model.state_dict().values()]
    images = random_images(4)
    together = reconstruct(model.train(), images)
    assert not model.training
    assert all(map(torch.equal, model.state_dict().values(), before))
    one_by_one = torch.cat([reconstruct(model.train(), image[None]) for image in images])
    torch.testing.assert_close(together, one_by_one)


def test_extremes_become_black_and_white() -> None:
    """Outputs of 0 and 1 are drawn as 0 and 255, and all between as the nearest level."""
    levels = torch.arange(256).view(1, 1, 16, 16).expand(1, 3, 16, 16).to(torch.uint8)
    for shift in (-0.4, 0.0, 0.4):
        reconstructions = ((levels.float() + shift) / 255).clamp(0, 1)
        strip = reconstruction_strip(levels, reconstructions)
        assert torch.equal(strip[:, 20:36, 2:18], levels[0])


@given(n=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_strip(n: int, seed: int) -> None:
    """Images stand above their reconstructions, with two white pixels around each."""
    images, reconstructions = random_images(n, seed), random_images(n, seed + 100)
    strip = reconstruction_strip(images, reconstructions.float() / 255)
    assert strip.dtype == torch.uint8
    assert strip.shape == (3, 2 * 66 + 2, n * 66 + 2)
    rest = strip.clone()
    for row, pictures in enumerate((images, reconstructions)):
        for column, picture in enumerate(pictures):
            place = (
                slice(None),
                slice(row * 66 + 2, row * 66 + 66),
                slice(column * 66 + 2, column * 66 + 66),
            )
            assert torch.equal(strip[place], picture)
            rest[place] = 255
    assert (rest == 255).all()
