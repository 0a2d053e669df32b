"""The architectures, layer by layer, and what every model promises."""

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from emoji_ae.config import Activation, Architecture, AutoencoderConfig, Normalization
from emoji_ae.models import (
    Autoencoder,
    build_conv_autoencoder,
    build_linear_autoencoder,
    build_model,
    count_parameters,
)

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


def random_images(n: int, seed: int = 0) -> Tensor:
    """Return ``(n, 3, 64, 64)`` float32 in [0, 1]."""
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def notebook_linear(bottleneck_dim: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the fully connected encoder and decoder of the original study, written out."""
    encoder = nn.Sequential(
        nn.Flatten(),
        nn.Linear(12288, 1024),
        nn.ReLU(),
        nn.Linear(1024, 256),
        nn.ReLU(),
        nn.Linear(256, 64),
        nn.ReLU(),
        nn.Linear(64, bottleneck_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(bottleneck_dim, 64),
        nn.ReLU(),
        nn.Linear(64, 256),
        nn.ReLU(),
        nn.Linear(256, 1024),
        nn.ReLU(),
        nn.Linear(1024, 12288),
        nn.Sigmoid(),
        nn.Unflatten(1, (3, 64, 64)),
    )
    return encoder, decoder


def notebook_conv(batch_norm: bool) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the convolutional encoder and decoder of the original study, written out."""

    def norm(channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels)] if batch_norm else []

    def up(n_in: int, n_out: int) -> nn.Module:
        return nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1)

    encoder = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, stride=2, padding=1), *norm(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), *norm(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), *norm(64), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3, stride=2, padding=1), *norm(128), nn.ReLU()),
    )
    decoder = nn.Sequential(
        *(up(128, 64), *norm(64), nn.ReLU()),
        *(up(64, 32), *norm(32), nn.ReLU()),
        *(up(32, 16), *norm(16), nn.ReLU()),
        *(up(16, 3), nn.Sigmoid()),
    )
    return encoder, decoder


def assert_same_model(model: Autoencoder, encoder: nn.Module, decoder: nn.Module) -> None:
    """Compare with a written-out model: layer types, weights' shapes, and the function."""
    for built, written in ((model.encoder, encoder), (model.decoder, decoder)):
        assert [type(layer) for layer in built.children()] == [
            type(layer) for layer in written.children()
        ]
        written.load_state_dict(built.state_dict())  # strict: every name and shape
    images = random_images(2)
    for training in (True, False):
        for module in (model, encoder, decoder):
            module.train(training)
        with torch.no_grad():
            latents, expected = model.encode(images), encoder(images)
            torch.testing.assert_close(latents, expected, rtol=0, atol=0)
            torch.testing.assert_close(model.decode(latents), decoder(expected), rtol=0, atol=0)


@pytest.mark.parametrize("bottleneck_dim", [16, 64])
def test_linear_is_the_notebooks(bottleneck_dim: int) -> None:
    """The fully connected autoencoder computes the same as the original, layer by layer."""
    model = build_linear_autoencoder(bottleneck_dim=bottleneck_dim)
    assert_same_model(model, *notebook_linear(bottleneck_dim))
    assert model.encode(random_images(3)).shape == (3, bottleneck_dim)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_conv_is_the_notebooks(batch_norm: bool) -> None:
    """The convolutional autoencoder computes the same as the original, layer by layer."""
    model = build_conv_autoencoder(normalization="batch" if batch_norm else "none")
    assert_same_model(model, *notebook_conv(batch_norm))
    assert model.encode(random_images(3)).shape == (3, 128, 4, 4)


@pytest.mark.parametrize(
    ("bottleneck_dim", "total"), [(16, 25_739_920), (32, 25_741_984), (64, 25_746_112)]
)
def test_linear_parameter_count(bottleneck_dim: int, total: int) -> None:
    """Weights and biases of the eight layers, counted by hand."""
    with torch.device("meta"):
        model = build_linear_autoencoder(bottleneck_dim=bottleneck_dim)
    # Both ways between the same sizes: the weights twice, the biases of either end once.
    weights = 12288 * 1024 + 1024 * 256 + 256 * 64 + 64 * bottleneck_dim
    biases = (1024 + 256 + 64 + bottleneck_dim) + (64 + 256 + 1024 + 12288)
    assert 2 * weights + biases == total
    assert count_parameters(model) == total


@pytest.mark.parametrize(
    ("normalization", "n_norm"), [("none", 0), ("batch", 2 * 352), ("group", 2 * 352)]
)
def test_conv_parameter_count(normalization: Normalization, n_norm: int) -> None:
    """Kernels of 3x3 and biases of the eight layers, counted by hand."""
    # Normalized: 16 + 32 + 64 + 128 channels down and 64 + 32 + 16 up, scale and shift each.
    weights = 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 128)
    biases = (16 + 32 + 64 + 128) + (64 + 32 + 16 + 3)
    expected = 2 * weights + biases + n_norm
    assert expected == 194_755 + n_norm
    assert count_parameters(build_conv_autoencoder(normalization=normalization)) == expected


@given(
    depth=st.integers(1, 5),
    width=st.integers(1, 6),
    latent_channels=st.integers(1, 12),
    normalization=st.sampled_from(get_args(Normalization)),
    activation=st.sampled_from(get_args(Activation)),
    n=st.integers(1, 3),
)
@settings(max_examples=40)
def test_conv_variants(
    depth: int,
    width: int,
    latent_channels: int,
    normalization: Normalization,
    activation: Activation,
    n: int,
) -> None:
    """Whatever its shape, a model has the layers asked for and gives images in [0, 1]."""
    config = AutoencoderConfig(
        depth=depth,
        width=width,
        latent_channels=latent_channels,
        normalization=normalization,
        activation=activation,
    )
    model = build_model(config).eval()
    images = random_images(n)
    with torch.no_grad():
        latents = model.encode(images)
        output = model(images)
    assert latents.shape == (n, latent_channels, 64 // 2**depth, 64 // 2**depth)
    assert output.shape == images.shape
    assert output.dtype == torch.float32
    assert 0 <= output.min() <= output.max() <= 1
    down = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    up = [layer for layer in model.modules() if isinstance(layer, nn.ConvTranspose2d)]
    channels = [3, *(width * 2**i for i in range(depth - 1)), latent_channels]
    assert [layer.in_channels for layer in down] == channels[:-1]
    assert [layer.out_channels for layer in down] == channels[1:]
    assert [layer.in_channels for layer in up] == channels[:0:-1]
    assert [layer.out_channels for layer in up] == channels[-2::-1]
    kinds = [type(layer) for layer in model.modules()]
    n_norms = {"batch": kinds.count(nn.BatchNorm2d), "group": kinds.count(nn.GroupNorm)}
    expected = {name: 2 * depth - 1 if name == normalization else 0 for name in n_norms}
    assert n_norms == expected
    assert kinds.count(ACTIVATIONS[activation]) == 2 * depth - 1
    assert kinds.count(nn.Sigmoid) == 1
    assert isinstance(list(model.modules())[-1], nn.Sigmoid)


@pytest.mark.parametrize("activation", get_args(Activation))
def test_linear_variants(activation: Activation) -> None:
    """The activation stands between layers, neither after the bottleneck nor the output."""
    with torch.device("meta"):
        model = build_linear_autoencoder(bottleneck_dim=5, activation=activation)
        output = model(torch.empty(2, 3, 64, 64))
    act = ACTIVATIONS[activation]
    assert [type(layer) for layer in model.encoder.children()] == [
        *(nn.Flatten, nn.Linear, act, nn.Linear, act, nn.Linear, act, nn.Linear)
    ]
    assert [type(layer) for layer in model.decoder.children()] == [
        *(nn.Linear, act, nn.Linear, act, nn.Linear, act, nn.Linear, nn.Sigmoid, nn.Unflatten)
    ]
    assert output.shape == (2, 3, 64, 64)


@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_config_decides_the_model(architecture: Architecture) -> None:
    """Each field of a configuration arrives at the model, none at the other architecture's."""
    config = AutoencoderConfig(
        auto_encoder=architecture,
        width=4,
        depth=3,
        latent_channels=6,
        normalization="group",
        activation="silu",
        bottleneck_dim=5,
    )
    with torch.device("meta"):
        built = build_model(config)
        expected = (
            build_linear_autoencoder(bottleneck_dim=5, activation="silu")
            if architecture == "linear"
            else build_conv_autoencoder(
                width=4,
                depth=3,
                latent_channels=6,
                normalization="group",
                activation="silu",
            )
        )
    assert str(built) == str(expected)


def test_weights_come_from_the_global_generator() -> None:
    """The same global seed gives the same weights, another gives others."""

    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(build_conv_autoencoder(width=2).parameters())

    with torch.random.fork_rng():
        assert torch.equal(weights(1), weights(1))
        assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("channels", [1, 6, 8, 12, 16, 20])
def test_group_normalization_divides(channels: int) -> None:
    """At most eight groups, and always a number that divides the channels."""
    model = build_conv_autoencoder(width=channels, depth=2, normalization="group")
    (first, *_) = [layer for layer in model.encoder.children() if isinstance(layer, nn.GroupNorm)]
    assert first.num_channels == channels
    assert first.num_groups == {1: 1, 6: 2, 8: 8, 12: 4, 16: 8, 20: 4}[channels]


def test_evaluation_mode_reaches_batch_normalization() -> None:
    """In evaluation mode images do not influence each other, in training mode they do."""
    model = build_conv_autoencoder(width=4, depth=3, latent_channels=8, normalization="batch")
    images = random_images(4)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert model.train() is model
    assert all(norm.training for norm in norms)
    with torch.no_grad():
        trained = model(images)[:2]
        assert not torch.allclose(trained, model(images[:2]), atol=1e-4)
        assert model.eval() is model
        assert not any(norm.training for norm in norms)
        before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
        torch.testing.assert_close(model(images)[:2], model(images[:2]), rtol=0, atol=1e-6)
    after = [norm.running_mean for norm in norms if norm.running_mean is not None]
    assert all(map(torch.equal, before, after))
    assert model.train(mode=True).training
    assert all(norm.training for norm in norms)
