"""The terms of the loss: what they see, what they do not, and that they train."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from emoji_ae.augment import LUMA_WEIGHTS
from emoji_ae.config import AutoencoderConfig
from emoji_ae.losses import color_error, edge_error, reconstruction_loss
from emoji_ae.models import VariationalLayer, build_model, normal_divergence


def pictures(n: int) -> Tensor:
    """Return ``(n, 3, 64, 64)`` float32 in [0, 1]."""
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_edges_are_seen_and_levels_are_not() -> None:
    """A picture that is lighter all over has the right edges; one that is moved has not."""
    images = pictures(2)
    assert edge_error(images + 0.25, images).item() == pytest.approx(0, abs=1e-12)
    step = torch.zeros(1, 3, 64, 64)
    step[..., 32:] = 1
    # One column of 63 differences, in one of two directions.
    assert edge_error(step, torch.zeros_like(step)).item() == pytest.approx(1 / 63 / 2)
    assert edge_error(step.mT, torch.zeros_like(step)).item() == pytest.approx(1 / 63 / 2)


def test_lightness_is_no_colour() -> None:
    """A wrong lightness costs nothing, a wrong colour of the right lightness its square."""
    images = pictures(2)
    for grey in (-1.0, 0.3):
        assert color_error(images + grey, images).item() == pytest.approx(0, abs=1e-10)
    red, green, _ = LUMA_WEIGHTS
    shift = torch.tensor([0.1, -0.1 * red / green, 0.0]).view(3, 1, 1)
    expected = shift.square().mean().item()
    assert color_error(images + shift, images).item() == pytest.approx(expected, rel=1e-4)


def test_divergence_is_torchs() -> None:
    """It is the divergence that torch computes, summed over a latent, averaged over the batch."""
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 3, 4, 2, 2, generator=generator)
    found = normal_divergence(mean, log_variance)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    assert found.item() == pytest.approx(expected.sum(dim=(1, 2, 3)).mean().item(), rel=1e-5)


@pytest.mark.parametrize("architecture", ["CNN", "linear"])
def test_variational_layer(architecture: str) -> None:
    """Latents vary in training and do not in evaluation; their gradient reaches both heads."""
    config = AutoencoderConfig.from_dict({"auto_encoder": architecture, "kl_weight": 0.1})
    torch.manual_seed(0)
    model = build_model(config)
    layer = list(model.encoder.children())[-1]
    assert isinstance(layer, VariationalLayer)
    assert not torch.equal(layer.mean.weight, layer.log_variance.weight)
    images = pictures(2)
    model.eval()
    first = model.encode(images)
    assert torch.equal(first, model.encode(images))
    assert model.divergence() is None
    assert first.shape == build_model(replace(config, kl_weight=0)).encode(images).shape
    model.train()
    assert not torch.equal(model.encode(images), model.encode(images))
    divergence = model.divergence()
    divergence.backward()  # type: ignore[no-untyped-call]
    for head in (layer.mean, layer.log_variance):
        assert head.weight.grad.abs().sum() > 0
    # Without weights the loss is the squared error, and no sum with zeros.
    plain = replace(config, kl_weight=0)
    assert reconstruction_loss(plain, build_model(plain), images, images, divergence) is divergence
