"""The architectures, layer by layer, and what every model promises."""

from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from emoji_ae.config import (
    Activation,
    AutoencoderConfig,
    Normalization,
    Strategy,
    multitask_config,
)
from emoji_ae.models import (
    Autoencoder,
    MultitaskAutoencoder,
    build_autoencoder,
    build_model,
    count_parameters,
)
from tests.emoji_ae_tests.reference import initial_model, with_fields

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


def linear(**fields: Any) -> Autoencoder:
    """Return a fully connected autoencoder."""
    return build_autoencoder(AutoencoderConfig(auto_encoder="linear", **fields))


def convolutional(**fields: Any) -> Autoencoder:
    """Return a convolutional autoencoder."""
    return build_autoencoder(AutoencoderConfig(**fields))


def random_images(n: int, seed: int = 0) -> Tensor:
    """Return ``(n, 3, 64, 64)`` float32 in [0, 1]."""
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def notebook_linear(bottleneck_dim: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the fully connected encoder and decoder of the original study, written out."""
    encoder = nn.Sequential(
        *(nn.Flatten(), nn.Linear(12288, 1024), nn.ReLU(), nn.Linear(1024, 256), nn.ReLU()),
        *(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, bottleneck_dim)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(bottleneck_dim, 64), nn.ReLU(), nn.Linear(64, 256), nn.ReLU()),
        *(nn.Linear(256, 1024), nn.ReLU(), nn.Linear(1024, 12288), nn.Sigmoid()),
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


@pytest.mark.parametrize(("bottleneck_dim", "total"), [(16, 25_739_920), (64, 25_746_112)])
def test_linear_is_the_notebooks(bottleneck_dim: int, total: int) -> None:
    """The fully connected autoencoder computes the same as the original, layer by layer."""
    model = linear(bottleneck_dim=bottleneck_dim)
    assert_same_model(model, *notebook_linear(bottleneck_dim))
    assert model.encode(random_images(3)).shape == (3, bottleneck_dim)
    assert count_parameters(model) == total


@pytest.mark.parametrize(("normalization", "total"), [("none", 194_755), ("batch", 195_459)])
def test_conv_is_the_notebooks(normalization: Normalization, total: int) -> None:
    """The convolutional autoencoder computes the same as the original, layer by layer."""
    model = convolutional(normalization=normalization)
    assert_same_model(model, *notebook_conv(normalization == "batch"))
    assert model.encode(random_images(3)).shape == (3, 128, 4, 4)
    assert count_parameters(model) == total


@given(
    depth=st.integers(1, 5),
    width=st.integers(1, 6),
    latent_channels=st.integers(1, 12),
    normalization=st.sampled_from(get_args(Normalization)),
    activation=st.sampled_from(get_args(Activation)),
    n=st.integers(1, 3),
)
@settings(max_examples=25)
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
    """The activation stands between layers; what only the other architecture has means nothing."""
    with torch.device("meta"):
        model = linear(bottleneck_dim=5, activation=activation, depth=2, normalization="group")
        output = model(torch.empty(2, 3, 64, 64))
    act = ACTIVATIONS[activation]
    assert [type(layer) for layer in model.encoder.children()] == [
        *(nn.Flatten, nn.Linear, act, nn.Linear, act, nn.Linear, act, nn.Linear)
    ]
    assert [type(layer) for layer in model.decoder.children()] == [
        *(nn.Linear, act, nn.Linear, act, nn.Linear, act, nn.Linear, nn.Sigmoid, nn.Unflatten)
    ]
    assert output.shape == (2, 3, 64, 64)


@pytest.mark.parametrize(("channels", "n_groups"), [(1, 1), (6, 2), (12, 4), (16, 8), (20, 4)])
def test_group_normalization_divides(channels: int, n_groups: int) -> None:
    """At most eight groups, and always a number that divides the channels."""
    model = convolutional(width=channels, depth=2, normalization="group")
    (first, *_) = [layer for layer in model.encoder.children() if isinstance(layer, nn.GroupNorm)]
    assert (first.num_channels, first.num_groups) == (channels, n_groups)


MULTITASK = multitask_config(
    width=4,
    depth=3,
    latent_channels=6,
    classification_layer_num=2,
    classification_width=16,
    dropout=0.5,
)
BRANCHED = with_fields(MULTITASK, strategy="branched", branch_point=1)
LINEAR = multitask_config(auto_encoder="linear", bottleneck_dim=7)


def initial_multitask(config: AutoencoderConfig, seed: int = 0) -> MultitaskAutoencoder:
    """Return the model that a training starts from."""
    model = initial_model(config, seed)
    assert isinstance(model, MultitaskAutoencoder)
    return model


def sizes(module: nn.Module) -> list[tuple[int, int]]:
    """Return the sizes of the fully connected layers, in order."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return [(layer.in_features, layer.out_features) for layer in layers]


@pytest.mark.parametrize(
    ("n_layers", "expected", "total"),
    [
        (1, [(2048, 4)], 8_196),
        (2, [(2048, 256), (256, 4)], 525_572),
        (3, [(2048, 256), (256, 32), (32, 4)], 532_900),
    ],
)
def test_classifier_is_the_notebooks(
    n_layers: int, expected: list[tuple[int, int]], total: int
) -> None:
    """Latents of 2048 numbers go through the original's layers, ReLU and dropout after hidden."""
    model = initial_multitask(multitask_config(classification_layer_num=n_layers))
    assert sizes(model.classifier) == expected
    hidden = [nn.Linear, nn.ReLU, nn.Dropout] * (n_layers - 1)
    assert [type(layer) for layer in model.classifier.children()] == [
        *(nn.Flatten, *hidden, nn.Linear)
    ]
    dropouts = [layer for layer in model.classifier.children() if isinstance(layer, nn.Dropout)]
    assert [layer.p for layer in dropouts] == [0.3] * (n_layers - 1)
    assert model.branch is None
    assert count_parameters(model) == 194_755 + total


@pytest.mark.parametrize(
    ("config", "n_latents"),
    [
        (MULTITASK, 6 * 8 * 8),
        (with_fields(MULTITASK, depth=5), 6 * 2 * 2),
        (with_fields(MULTITASK, depth=1, latent_channels=2), 2 * 32 * 32),
        (with_fields(LINEAR, classification_width=16, dropout=0.5), 7),
        (with_fields(BRANCHED, depth=4), 6 * 4 * 4),
    ],
)
def test_classifier_fits_the_latents(config: AutoencoderConfig, n_latents: int) -> None:
    """The classifier takes the latents of one image, in its own width and an eighth of it."""
    model = initial_multitask(with_fields(config, classification_layer_num=3))
    assert sizes(model.classifier) == [(n_latents, 16), (16, 2), (2, 4)]
    dropouts = [layer for layer in model.classifier.children() if isinstance(layer, nn.Dropout)]
    assert [layer.p for layer in dropouts] == [0.5, 0.5]
    reconstructions, logits = model.forward_tasks(random_images(3))
    assert reconstructions.shape == (3, 3, 64, 64)
    assert logits.shape == (3, 4)


@pytest.mark.parametrize(
    ("config", "n_shared"),
    [
        (BRANCHED, 2),
        (with_fields(BRANCHED, branch_point=2), 4),
        (with_fields(BRANCHED, branch_point=9), 4),
        (with_fields(BRANCHED, normalization="group", branch_point=2), 6),
        (with_fields(BRANCHED, depth=1, latent_channels=2), 0),
        (with_fields(LINEAR, strategy="branched", branch_point=1), 3),
        (with_fields(LINEAR, strategy="branched", branch_point=4), 7),
    ],
)
def test_branch(config: AutoencoderConfig, n_shared: int) -> None:
    """The branch begins with the layer after the fork, as a copy of what it stands beside."""
    model = initial_multitask(config)
    own = model.encoder[n_shared:]
    assert model.branch is not None
    assert str(model.branch) == str(own)
    assert isinstance(model.branch[0], nn.Conv2d | nn.Linear)
    mine, theirs = model.branch.state_dict(), own.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    pointers = {value.data_ptr() for value in mine.values()}
    assert not pointers & {value.data_ptr() for value in model.encoder.state_dict().values()}
    # Images go through the shared layers, then through either end.
    model.eval()
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


@pytest.mark.parametrize(
    "config", [with_fields(MULTITASK, normalization="batch", classification_layer_num=3), LINEAR]
)
def test_all_strategies_start_from_the_autoencoders_weights(config: AutoencoderConfig) -> None:
    """With one seed the encoder and decoder are the plain autoencoder's, the classifiers equal."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        plain = build_autoencoder(config)
    assert type(plain) is Autoencoder
    models = [
        initial_multitask(with_fields(config, strategy=name), 7) for name in get_args(Strategy)
    ]
    for model in models:
        state = model.state_dict()
        for name, value in plain.state_dict().items():
            assert torch.equal(state[name], value), name
        for name, value in models[0].classifier.state_dict().items():
            assert torch.equal(state[f"classifier.{name}"], value), name
    other = initial_multitask(config, 8).state_dict()
    assert not torch.equal(other["classifier.1.weight"], models[0].classifier[1].weight)


@given(data=st.data())
@settings(max_examples=25)
def test_one_identity_is_one_model(data: st.DataObject) -> None:
    """Whatever fields have no effect, a state fits all trainings that share its identity."""
    choices: dict[str, list[Any]] = {
        "auto_encoder": ["CNN", "linear"],
        "width": [2, 3],
        "depth": [1, 2, 3],
        "normalization": ["none", "batch"],
        "bottleneck_dim": [2, 3],
        "strategy": ["joint", "sequential", "branched"],
        "branch_point": [1, 2, 9],
        "classification_lambda": [0, 0.5],
        "classification_layer_num": [1, 2, 3],
        "classification_width": [8, 16],
        "dropout": [0.0, 0.5],
        "class_weights": [False, True],
    }
    drawn = {name: data.draw(st.sampled_from(values)) for name, values in choices.items()}
    config = multitask_config(latent_channels=2, **drawn)
    other = config
    for name, values in choices.items():
        changed = with_fields(other, **{name: data.draw(st.sampled_from(values))})
        other = changed if changed.identity() == config.identity() else other
    with torch.device("meta"):
        one, another = build_model(config).state_dict(), build_model(other).state_dict()
    assert {name: value.shape for name, value in one.items()} == {
        name: value.shape for name, value in another.items()
    }
