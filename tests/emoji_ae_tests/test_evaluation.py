"""What a model makes of images."""

import pytest
import torch
from torch import Tensor

from emoji_ae.config import AutoencoderConfig
from emoji_ae.evaluation import reconstruct
from emoji_ae.models import Autoencoder, build_autoencoder


def random_images(n: int, seed: int = 0) -> Tensor:
    """Return ``(n, 3, 64, 64)`` uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, 64, 64), generator=generator, dtype=torch.uint8)


@pytest.fixture
def model() -> Autoencoder:
    """A small model with batch normalization whose statistics are not the initial ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = build_autoencoder(
            AutoencoderConfig(width=4, depth=2, latent_channels=4, normalization="batch")
        )
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
