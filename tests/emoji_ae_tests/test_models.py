"""The architectures, layer by layer, and what every model promises."""

from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from emoji_ae.config import (
    Activation,
    Architecture,
    AutoencoderConfig,
    Normalization,
    Strategy,
    multitask_config,
)
from emoji_ae.models import build_model
from tests.emoji_ae_tests.reference import initial_model, with_fields

ACTIVATIONS: dict[Activation, nn.Module] = {
    "relu": nn.ReLU(inplace=True),
    "leaky_relu": nn.LeakyReLU(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
}


def random_images(n: int) -> Tensor:
    """Return ``(n, 3, 64, 64)`` float32 in [0, 1]."""
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def written_out(config: AutoencoderConfig) -> tuple[nn.Sequential, nn.Sequential]:
    """Return encoder and decoder as the original study made them, in any size."""
    act = ACTIVATIONS[config.activation]
    if config.auto_encoder == "linear":
        sizes = [3 * 64 * 64, 1024, 256, 64, config.bottleneck_dim]
        down = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), act)]
        up = [layer for pair in pairwise(sizes[::-1]) for layer in (nn.Linear(*pair), act)]
        images = (nn.Sigmoid(), nn.Unflatten(1, (3, 64, 64)))
        return nn.Sequential(nn.Flatten(), *down[:-1]), nn.Sequential(*up[:-1], *images)

    def after(channels: int) -> list[nn.Module]:
        n_groups = max(n for n in (1, 2, 4, 8) if channels % n == 0)
        norms: dict[Normalization, list[nn.Module]] = {
            "none": [],
            "batch": [nn.BatchNorm2d(channels)],
            "group": [nn.GroupNorm(n_groups, channels)],
        }
        return [*norms[config.normalization], act]

    channels = [3, *(config.width * 2**i for i in range(config.depth - 1)), config.latent_channels]
    encoder: list[nn.Module] = []
    decoder: list[nn.Module] = []
    for n_in, n_out in pairwise(channels):
        encoder += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), *after(n_out)]
    for n_in, n_out in pairwise(channels[::-1]):
        up = nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1)
        decoder += [up, *after(n_out)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder[: -len(after(3))], nn.Sigmoid())


@given(
    config=st.builds(
        AutoencoderConfig,
        auto_encoder=st.sampled_from(get_args(Architecture)),
        depth=st.integers(1, 5),
        width=st.integers(1, 20),
        latent_channels=st.integers(1, 20),
        normalization=st.sampled_from(get_args(Normalization)),
        activation=st.sampled_from(get_args(Activation)),
        bottleneck_dim=st.integers(1, 70),
    ),
    n=st.integers(1, 3),
)
@settings(max_examples=40)
def test_layers(config: AutoencoderConfig, n: int) -> None:
    """Whatever its size, a model has the layers asked for, and images go through them."""
    with torch.device("meta"):
        model = build_model(config)
        encoder, decoder = written_out(config)
        latents = model.encode(torch.empty(n, 3, 64, 64))
        output = model.decode(latents)
    assert (str(model.encoder), str(model.decoder)) == (str(encoder), str(decoder))
    side = 64 // 2**config.depth
    is_linear = config.auto_encoder == "linear"
    shape = (config.bottleneck_dim,) if is_linear else (config.latent_channels, side, side)

    assert latents.shape == (n, *shape)
    assert (output.shape, output.dtype) == ((n, 3, 64, 64), torch.float32)


MULTITASK = multitask_config(
    width=4, depth=3, latent_channels=6, classification_layer_num=3, classification_width=16
)
BRANCHED = with_fields(MULTITASK, strategy="branched", branch_point=1)
LINEAR = multitask_config(auto_encoder="linear", bottleneck_dim=7)


@pytest.mark.parametrize(
    ("config", "sizes", "dropout"),
    [
        (multitask_config(classification_layer_num=1), [2048, 4], 0.3),
        (multitask_config(classification_layer_num=2), [2048, 256, 4], 0.3),
        (with_fields(MULTITASK, depth=1, latent_channels=2), [2 * 32 * 32, 16, 2, 4], 0.3),
        (with_fields(LINEAR, classification_layer_num=3, dropout=0.0), [7, 256, 32, 4], 0.0),
        (with_fields(BRANCHED, depth=4), [6 * 4 * 4, 16, 2, 4], 0.3),
    ],
)
def test_classifier(config: AutoencoderConfig, sizes: list[int], dropout: float) -> None:
    """It takes the latents of one image through the original's layers, in its own width."""
    model = initial_model(config, 0)
    layers: list[nn.Module] = [nn.Flatten()]
    for pair in pairwise(sizes):
        layers += [nn.Linear(*pair), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    assert [*map(str, model.classifier.children())] == [*map(str, layers[:-2])]
    assert (model.branch is None) == (config.to_dict()["strategy"] != "branched")
    reconstructions, logits = model.forward_tasks(random_images(3))
    assert (reconstructions.shape, logits.shape) == ((3, 3, 64, 64), (3, 4))


@pytest.mark.parametrize(
    ("config", "n_shared"),
    [
        (with_fields(BRANCHED, normalization="group", branch_point=2), 6),
        (with_fields(BRANCHED, depth=1, latent_channels=2), 0),
        (with_fields(LINEAR, strategy="branched", branch_point=4), 7),
    ],
)
def test_branch(config: AutoencoderConfig, n_shared: int) -> None:
    """The branch begins with the layer after the fork, as a copy of what it stands beside."""
    model = initial_model(config, 0).eval()
    own = model.encoder[n_shared:]
    assert str(model.branch) == str(own)
    assert isinstance(model.branch[0], nn.Conv2d | nn.Linear)
    mine, theirs = model.branch.state_dict(), own.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    # Images go through the shared layers, then through either end, which are not the same.
    with torch.no_grad():
        for parameter in model.branch.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        images = random_images(2)
        shared = model.encoder[:n_shared](images)
        expected = model.classifier(model.branch(shared.clone()))
        reconstructions, logits = model.forward_tasks(images)
        assert not torch.equal(logits, model.classifier(model.encode(images)))
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)
    torch.testing.assert_close(reconstructions, model(images), rtol=0, atol=0)


def test_all_strategies_start_from_the_autoencoders_weights() -> None:
    """With one seed the encoder and decoder are the plain autoencoder's, the classifiers equal."""
    config = with_fields(MULTITASK, normalization="batch")
    plain = initial_model(replace(config, classification=None), 7).state_dict()
    states = [
        initial_model(with_fields(config, strategy=strategy), 7).state_dict()
        for strategy in get_args(Strategy)
    ]
    for state in states:
        assert all(torch.equal(state[name], value) for name, value in plain.items())
        assert all(torch.equal(state[name], value) for name, value in states[0].items())
