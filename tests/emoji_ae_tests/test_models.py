"""The architectures, layer by layer, and what every model promises."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
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


def random_images(n: int, seed: int = 0) -> Tensor:
    """Return ``(n, 3, 64, 64)`` float32 in [0, 1]."""
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def notebook_linear() -> tuple[nn.Sequential, nn.Sequential]:
    """Return the fully connected encoder and decoder of the original study, written out."""
    relu = nn.ReLU(inplace=True)
    encoder = nn.Sequential(
        *(nn.Flatten(), nn.Linear(12288, 1024), relu, nn.Linear(1024, 256), relu),
        *(nn.Linear(256, 64), relu, nn.Linear(64, 16)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(16, 64), relu, nn.Linear(64, 256), relu, nn.Linear(256, 1024), relu),
        *(nn.Linear(1024, 12288), nn.Sigmoid(), nn.Unflatten(1, (3, 64, 64))),
    )
    return encoder, decoder


def notebook_conv(batch_norm: bool) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the convolutional encoder and decoder of the original study, written out."""

    def after(channels: int) -> list[nn.Module]:
        return [*([nn.BatchNorm2d(channels)] if batch_norm else []), nn.ReLU(inplace=True)]

    def up(n_in: int, n_out: int) -> nn.Module:
        return nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1)

    encoder = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, stride=2, padding=1), *after(16)),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), *after(32)),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), *after(64)),
        *(nn.Conv2d(64, 128, 3, stride=2, padding=1), *after(128)),
    )
    decoder = nn.Sequential(
        *(up(128, 64), *after(64), up(64, 32), *after(32), up(32, 16), *after(16)),
        *(up(16, 3), nn.Sigmoid()),
    )
    return encoder, decoder


@pytest.mark.parametrize(
    ("fields", "written", "latents", "total"),
    [
        ({"auto_encoder": "linear", "bottleneck_dim": 16}, notebook_linear, (16,), 25_739_920),
        ({}, partial(notebook_conv, batch_norm=False), (128, 4, 4), 194_755),
        ({"normalization": "batch"}, partial(notebook_conv, True), (128, 4, 4), 195_459),
    ],
    ids=["linear", "CNN", "batch"],
)
def test_models_are_the_notebooks(
    fields: dict[str, Any],
    written: Callable[[], tuple[nn.Sequential, nn.Sequential]],
    latents: tuple[int, ...],
    total: int,
) -> None:
    """Layer by layer they are the original's, written out, and images go through them."""
    with torch.device("meta"):
        model = build_autoencoder(AutoencoderConfig(**fields))
        images, parts = torch.empty(2, 3, 64, 64), written()
    assert (str(model.encoder), str(model.decoder)) == tuple(map(str, parts))
    assert count_parameters(model) == total
    assert model.encode(images).shape == (2, *latents)
    assert model(images).shape == images.shape


@given(
    config=st.builds(
        AutoencoderConfig,
        depth=st.integers(1, 5),
        width=st.integers(1, 6),
        latent_channels=st.integers(1, 12),
        normalization=st.sampled_from(get_args(Normalization)),
        activation=st.sampled_from(get_args(Activation)),
    ),
    n=st.integers(1, 3),
)
@settings(max_examples=25)
def test_conv_variants(config: AutoencoderConfig, n: int) -> None:
    """Whatever its shape, a model has the layers asked for and gives images in [0, 1]."""
    depth, width, normalization = config.depth, config.width, config.normalization
    model = build_model(config).eval()
    images = random_images(n)
    with torch.no_grad():
        latents = model.encode(images)
        output = model(images)
    assert latents.shape == (n, config.latent_channels, 64 // 2**depth, 64 // 2**depth)
    assert output.shape == images.shape
    assert output.dtype == torch.float32
    assert 0 <= output.min() <= output.max() <= 1
    down = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    up = [layer for layer in model.modules() if isinstance(layer, nn.ConvTranspose2d)]
    channels = [3, *(width * 2**i for i in range(depth - 1)), config.latent_channels]
    assert [layer.in_channels for layer in down] == channels[:-1]
    assert [layer.out_channels for layer in down] == channels[1:]
    assert [layer.in_channels for layer in up] == channels[:0:-1]
    assert [layer.out_channels for layer in up] == channels[-2::-1]
    kinds = [type(layer) for layer in model.modules()]
    n_norms = {"batch": kinds.count(nn.BatchNorm2d), "group": kinds.count(nn.GroupNorm)}
    assert n_norms == {name: (2 * depth - 1) * (name == normalization) for name in n_norms}
    assert kinds.count(ACTIVATIONS[config.activation]) == 2 * depth - 1
    assert kinds.count(nn.Sigmoid) == 1
    assert isinstance(list(model.modules())[-1], nn.Sigmoid)


@pytest.mark.parametrize("activation", get_args(Activation))
def test_linear_variants(activation: Activation) -> None:
    """The activation stands between layers; what only the other architecture has means nothing."""
    fields: dict[str, Any] = {"auto_encoder": "linear", "bottleneck_dim": 64, "depth": 2}
    with torch.device("meta"):
        model = build_autoencoder(
            AutoencoderConfig(**fields, activation=activation, normalization="group")
        )
        output = model(torch.empty(2, 3, 64, 64))
    act = ACTIVATIONS[activation]
    assert [*map(type, model.encoder.children())] == [
        *(nn.Flatten, nn.Linear, act, nn.Linear, act, nn.Linear, act, nn.Linear)
    ]
    assert [*map(type, model.decoder.children())] == [
        *(nn.Linear, act, nn.Linear, act, nn.Linear, act, nn.Linear, nn.Sigmoid, nn.Unflatten)
    ]
    assert output.shape == (2, 3, 64, 64)
    assert count_parameters(model) == 25_746_112


def test_group_normalization_divides() -> None:
    """At most eight groups, and always a number that divides the channels."""
    for channels, n_groups in ((1, 1), (6, 2), (12, 4), (16, 8), (20, 4)):
        config = AutoencoderConfig(width=channels, depth=2, normalization="group")
        layers = build_autoencoder(config).encoder.children()
        first = next(layer for layer in layers if isinstance(layer, nn.GroupNorm))
        assert (first.num_channels, first.num_groups) == (channels, n_groups)


MULTITASK = multitask_config(
    width=4,
    depth=3,
    latent_channels=6,
    classification_layer_num=3,
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


@pytest.mark.parametrize(
    ("config", "sizes", "dropout"),
    [
        (multitask_config(classification_layer_num=1), [2048, 4], 0.3),
        (multitask_config(classification_layer_num=2), [2048, 256, 4], 0.3),
        (multitask_config(classification_layer_num=3), [2048, 256, 32, 4], 0.3),
        (MULTITASK, [6 * 8 * 8, 16, 2, 4], 0.5),
        (with_fields(MULTITASK, depth=5), [6 * 2 * 2, 16, 2, 4], 0.5),
        (with_fields(MULTITASK, depth=1, latent_channels=2), [2 * 32 * 32, 16, 2, 4], 0.5),
        (with_fields(LINEAR, classification_layer_num=3, dropout=0.0), [7, 256, 32, 4], 0.0),
        (with_fields(BRANCHED, depth=4), [6 * 4 * 4, 16, 2, 4], 0.5),
    ],
)
def test_classifier(config: AutoencoderConfig, sizes: list[int], dropout: float) -> None:
    """It takes the latents of one image through the original's layers, in its own width."""
    model = initial_multitask(config)
    *hidden, last = [layer for layer in model.classifier.children() if hasattr(layer, "weight")]
    assert [(layer.in_features, layer.out_features) for layer in (*hidden, last)] == [
        *pairwise(sizes)
    ]
    after = [nn.Linear, nn.ReLU, nn.Dropout] * len(hidden)
    assert [*map(type, model.classifier.children())] == [nn.Flatten, *after, nn.Linear]
    dropouts = [layer.p for layer in model.classifier.children() if isinstance(layer, nn.Dropout)]
    assert dropouts == [dropout] * len(hidden)
    assert (model.branch is None) == (config.to_dict()["strategy"] != "branched")
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
    ("config", "strategies"),
    [(with_fields(MULTITASK, normalization="batch"), get_args(Strategy)), (LINEAR, ["branched"])],
    ids=["CNN", "linear"],
)
def test_all_strategies_start_from_the_autoencoders_weights(
    config: AutoencoderConfig, strategies: Sequence[Strategy]
) -> None:
    """With one seed the encoder and decoder are the plain autoencoder's, the classifiers equal."""
    plain = initial_model(replace(config, classification=None), 7)
    assert type(plain) is Autoencoder
    models = [initial_multitask(with_fields(config, strategy=name), 7) for name in strategies]
    for model in models:
        state = model.state_dict()
        for name, value in plain.state_dict().items():
            assert torch.equal(state[name], value), name
        for name, value in models[0].classifier.state_dict().items():
            assert torch.equal(state[f"classifier.{name}"], value), name
    other = initial_multitask(config, 8).state_dict()
    assert not torch.equal(other["classifier.1.weight"], models[0].classifier[1].weight)


CHOICES: dict[str, list[Any]] = {
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
DRAWN = st.fixed_dictionaries({name: st.sampled_from(some) for name, some in CHOICES.items()})


@given(fields=DRAWN, others=DRAWN)
@settings(max_examples=25)
def test_one_identity_is_one_model(fields: dict[str, Any], others: dict[str, Any]) -> None:
    """Whatever fields have no effect, a state fits all trainings that share its identity."""
    config = other = multitask_config(latent_channels=2, **fields)
    for name, value in others.items():
        changed = with_fields(other, **{name: value})
        other = changed if changed.identity() == config.identity() else other
    with torch.device("meta"):
        one, another = (build_model(some).state_dict() for some in (config, other))
    assert {name: value.shape for name, value in one.items()} == {
        name: value.shape for name, value in another.items()
    }
