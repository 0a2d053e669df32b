"""Training: against a slow reference, its curve, its best weights, its randomness, its ends."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from emoji_ae.augment import augment
from emoji_ae.config import AutoencoderConfig, Schedule
from emoji_ae.curve import EpochMetrics
from emoji_ae.errors import DataError, EmojiAEError
from emoji_ae.evaluation import reconstruction_errors, to_float
from emoji_ae.loop import batch_bounds, fit
from emoji_ae.models import build_model
from emoji_ae.seeding import seeded
from emoji_ae.tasks import Reconstruction
from emoji_ae.training import DivergedError, TrainResult
from tests.emoji_ae_tests.reference import (
    initial_model,
    learning_rate_and_momentum,
    pictures,
    train_autoencoder,
)

SMALL = AutoencoderConfig(
    width=4, depth=3, latent_channels=8, epoch=4, batch_size=4, learning_rate=0.003
)
BATCH_NORM = replace(SMALL, normalization="batch")


TRAIN, VALIDATION = pictures(10, seed=0), pictures(5, seed=1)


def train(config: AutoencoderConfig, *, seed: int = 0, **kwargs: Any) -> TrainResult:
    """Train on the module's pictures."""
    return train_autoencoder(config, TRAIN, VALIDATION, seed=seed, **kwargs)


def errors(result: TrainResult) -> list[tuple[float, float]]:
    """Return the curve without its times."""
    return [(metrics.train_mse, metrics.validation_mse) for metrics in result.curve]


def weights(model: nn.Module) -> list[Tensor]:
    """Return copies of all of a model's state."""
    return [value.clone() for value in model.state_dict().values()]


def collector(seen: list[EpochMetrics]) -> Callable[[EpochMetrics], bool]:
    """Return a hook that keeps what it gets and lets training go on."""

    def collect(metrics: EpochMetrics) -> bool:
        seen.append(metrics)
        return False

    return collect


def reference_curve(
    config: AutoencoderConfig, batches: list[list[int]], seed: int
) -> list[tuple[float, float]]:
    """Train as the documentation says, with Adam, loss and means written out."""
    model = initial_model(config, seed)
    generator = torch.Generator().manual_seed(seed)
    parameters = list(model.parameters())
    first = [torch.zeros_like(parameter) for parameter in parameters]
    second = [torch.zeros_like(parameter) for parameter in parameters]
    n_steps = config.epoch * len(batches)
    step = 0
    curve = []
    for _ in range(config.epoch):
        order = torch.randperm(len(TRAIN), generator=generator)
        images = augment(TRAIN[order].float() / 255, generator)
        train_errors: list[float] = []
        model.train()
        for batch in batches:
            originals = images[batch]
            squares = (model(originals) - originals) ** 2
            per_image = [square.sum() / (3 * 64 * 64) for square in squares]
            train_errors += [error.item() for error in per_image]
            loss = torch.stack(per_image).sum() / len(batch)
            gradients = torch.autograd.grad(loss, parameters)
            rate, beta = learning_rate_and_momentum(
                config.schedule, config.learning_rate, step, n_steps
            )
            step += 1
            with torch.no_grad():
                for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
                    g = g + config.weight_decay * p
                    m.copy_(beta * m + (1 - beta) * g)
                    v.copy_(0.999 * v + 0.001 * g**2)
                    m_hat, v_hat = m / (1 - beta**step), v / (1 - 0.999**step)
                    p.copy_(p - rate * m_hat / (v_hat.sqrt() + 1e-8))
        model.eval()
        with torch.no_grad():
            validation_errors = [
                ((model(image[None]) - image[None]) ** 2).mean().item()
                for image in VALIDATION.float() / 255
            ]
        curve.append(
            (
                sum(train_errors) / len(train_errors),
                sum(validation_errors) / len(validation_errors),
            )
        )
    return curve


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, weight_decay=0.1, activation="gelu"),
        replace(SMALL, normalization="group", schedule="cosine"),
        replace(SMALL, schedule="one_cycle", learning_rate=0.02),
        replace(BATCH_NORM, weight_decay=0.01),
        AutoencoderConfig(
            auto_encoder="linear", bottleneck_dim=8, epoch=2, batch_size=16, learning_rate=1e-3
        ),
    ],
    ids=["plain", "decay", "cosine", "one_cycle", "batch_norm", "linear"],
)
def test_training_is_the_references(config: AutoencoderConfig) -> None:
    """The curve is that of a plain loop with Adam, L2 penalty and schedule written out."""
    batches = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] if config.batch_size == 4 else [list(range(10))]
    expected = reference_curve(config, batches, seed=3)
    found = errors(train(config, seed=3))
    assert len(found) == config.epoch
    for pair, reference in zip(found, expected, strict=True):
        # Division by the deviation within a batch magnifies the rounding of other kernels.
        tolerance = 1e-4 if config.normalization == "batch" else 1e-5
        assert pair == pytest.approx(reference, rel=tolerance)
    assert abs(expected[-1][1] / expected[0][1] - 1) > 0.01  # it learns something


def test_training_learns() -> None:
    """In some more epochs the error falls to a fraction of its start."""
    curve = errors(train(replace(SMALL, epoch=25, learning_rate=0.01)))
    assert min(error for _, error in curve) < 0.5 * curve[0][1]
    assert curve[-1][0] < 0.5 * curve[0][0]


@pytest.mark.parametrize("config", [SMALL, BATCH_NORM, replace(SMALL, schedule="one_cycle")])
def test_seed_decides_bit_for_bit(config: AutoencoderConfig) -> None:
    """The same arguments give the same curve and weights whatever the global state."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = train(config, seed=5)
        torch.manual_seed(2)
        again = train(config, seed=5, device=torch.device("cpu"))
        other = train(config, seed=6)
    assert errors(again) == errors(first)
    assert all(map(torch.equal, weights(again.model), weights(first.model)))
    assert errors(other)[0] != errors(first)[0]
    assert not all(map(torch.equal, weights(other.model), weights(first.model)))


def test_global_generator_is_untouched() -> None:
    """Training neither moves the global random state nor changes the images given to it."""
    images, validation = TRAIN.clone(), VALIDATION.clone()
    with torch.random.fork_rng():
        torch.manual_seed(4)
        state = torch.get_rng_state()
        train(SMALL)
        assert torch.equal(torch.get_rng_state(), state)
        with pytest.raises(DivergedError, match="diverged"):
            train(replace(SMALL, learning_rate=1e30))
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(TRAIN, images)
    assert torch.equal(VALIDATION, validation)


@pytest.mark.parametrize("normalization", ["none", "batch", "group"])
def test_best_weights_are_kept(normalization: Any) -> None:
    """The returned model has the lowest validation error of the curve, to the last bit."""
    config = replace(SMALL, normalization=normalization, epoch=60, learning_rate=0.05)
    lowest = [math.inf]

    def stop_when_worse(metrics: EpochMetrics) -> bool:
        lowest.append(min(lowest[-1], metrics.validation_mse))
        return metrics.validation_mse > lowest[-2]

    result = train(config, seed=1, on_epoch=stop_when_worse)
    assert result.best == min(result.curve, key=lambda metrics: metrics.validation_mse)
    assert len(result.curve) < config.epoch, "the test needs a best that is not the last"
    assert result.best == result.curve[-2]
    assert not result.model.training
    found = reconstruction_errors(result.model, to_float(VALIDATION, torch.device("cpu")))
    assert found.mean().item() == result.best.validation_mse


def test_best_is_the_first_of_equals() -> None:
    """Weights that do not move are best in the first epoch."""
    result = train(replace(SMALL, learning_rate=1e-30, epoch=3))
    assert len({metrics.validation_mse for metrics in result.curve}) == 1
    assert result.best == result.curve[0]


def test_curve_counts_epochs() -> None:
    """Epochs count from 0 and time only goes forward."""
    curve = train(SMALL).curve
    assert [metrics.epoch for metrics in curve] == [0, 1, 2, 3]
    seconds = [metrics.seconds for metrics in curve]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_hook_sees_every_epoch() -> None:
    """The hook gets the metrics of each epoch in order, and training goes on unless told."""
    seen: list[EpochMetrics] = []
    result = train(SMALL, on_epoch=collector(seen))
    assert tuple(seen) == result.curve
    assert [metrics.epoch for metrics in seen] == [0, 1, 2, 3]


def test_hook_stops() -> None:
    """A training that is stopped is the beginning of the whole one, with the best so far."""
    whole = train(SMALL)
    result = train(SMALL, on_epoch=lambda metrics: metrics.epoch == 1)
    assert errors(result) == errors(whole)[:2]
    assert result.best == min(result.curve, key=lambda metrics: metrics.validation_mse)
    found = reconstruction_errors(result.model, to_float(VALIDATION, torch.device("cpu")))
    assert result.best is not None
    assert found.mean().item() == result.best.validation_mse


def test_hooks_error_comes_through() -> None:
    """What the hook raises ends the training and leaves the random state alone."""

    def fail(metrics: EpochMetrics) -> bool:
        raise KeyError(f"epoch {metrics.epoch}")

    state = torch.get_rng_state()
    with pytest.raises(KeyError, match="epoch 0"):
        train(SMALL, on_epoch=fail)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("config", [SMALL, BATCH_NORM])
def test_shorter_training_is_a_prefix(config: AutoencoderConfig) -> None:
    """Without a schedule two epochs are the first two of four, bit for bit."""
    short, long = train(replace(config, epoch=2)), train(config)
    assert errors(short) == errors(long)[:2]
    stopped = train(config, on_epoch=lambda metrics: metrics.epoch == 1)
    assert all(map(torch.equal, weights(short.model), weights(stopped.model)))


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_schedules_span_the_training(schedule: Schedule) -> None:
    """With a schedule a shorter training is another one, which is why its identity differs."""
    config = replace(SMALL, schedule=schedule)
    assert errors(train(replace(config, epoch=2))) != errors(train(config))[:2]


@pytest.mark.parametrize("n", [7, 8, 9])
def test_training_error_is_a_mean_over_images(n: int) -> None:
    """Each image counts alike, in a last batch that is smaller or larger than others too."""
    config = replace(SMALL, learning_rate=1e-30, epoch=2, batch_size=3)  # weights stay
    result = train_autoencoder(config, TRAIN[:n], VALIDATION, seed=2)
    model = initial_model(config, seed=2)
    generator = torch.Generator().manual_seed(2)
    for metrics in result.curve:
        order = torch.randperm(n, generator=generator)
        images = augment(to_float(TRAIN[order], torch.device("cpu")), generator)
        per_image = reconstruction_errors(model, images)
        by_batch = [per_image[start:stop].mean() for start, stop in batch_bounds(n, 3)]
        assert metrics.train_mse == pytest.approx(per_image.mean().item(), rel=1e-6)
        if n != 9:
            unweighted = torch.stack(by_batch).mean().item()
            assert metrics.train_mse != pytest.approx(unweighted, rel=1e-4)


def test_batch_normalization_trains_on_batches_only() -> None:
    """Running statistics move once per training batch, and never for validation images."""
    result = train(BATCH_NORM)
    assert result.best is not None
    n_batches = len(batch_bounds(len(TRAIN), BATCH_NORM.batch_size))
    norms = [layer for layer in result.model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 5
    for norm in norms:
        assert norm.num_batches_tracked is not None
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.num_batches_tracked.item() == n_batches * (result.best.epoch + 1)
        assert norm.running_mean.abs().max() > 1e-4
        assert (norm.running_var - 1).abs().max() > 1e-4


def test_validation_does_not_depend_on_batches() -> None:
    """A model in training mode is switched to evaluation: each image is judged by itself."""
    model = initial_model(BATCH_NORM, seed=0).train()
    images = to_float(VALIDATION, torch.device("cpu"))
    model(to_float(TRAIN, torch.device("cpu")))  # some statistics
    before = weights(model)
    together = reconstruction_errors(model.train(), images)
    one_by_one = [reconstruction_errors(model.train(), image[None]) for image in images]
    assert together.shape == (5,)
    assert not model.training
    assert not together.requires_grad
    torch.testing.assert_close(together, torch.cat(one_by_one), rtol=1e-5, atol=0)
    assert all(map(torch.equal, weights(model), before))
    with torch.no_grad():
        expected = [nn.functional.mse_loss(model(image[None]), image[None]) for image in images]
    torch.testing.assert_close(together, torch.stack(expected), rtol=1e-5, atol=0)


def test_validation_images_do_not_train() -> None:
    """Other validation images change neither training errors nor what is drawn."""
    other = train_autoencoder(SMALL, TRAIN, pictures(3, seed=9), seed=0)
    assert [pair[0] for pair in errors(other)] == [pair[0] for pair in errors(train(SMALL))]


def test_size_of_model_does_not_change_the_images() -> None:
    """Models of any size see the same augmented batches, so their first errors are alike."""
    seen = []
    for width in (2, 7):
        config = replace(SMALL, width=width, learning_rate=1e-30, epoch=1)
        model = initial_model(config, seed=0)
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(TRAIN), generator=generator)
        images = augment(to_float(TRAIN[order], torch.device("cpu")), generator)
        expected = reconstruction_errors(model, images).mean().item()
        assert train(config).curve[0].train_mse == pytest.approx(expected, rel=1e-6)
        seen.append(images)
    assert torch.equal(*seen)


def test_an_epoch_may_draw_a_part_of_the_images() -> None:
    """Its means are over those that were drawn, others the next time; all of them is the rule."""
    config = replace(SMALL, epoch=6)
    whole = errors(train(config))
    assert errors(train(config, images_per_epoch=10)) == whole
    assert errors(train(config, images_per_epoch=99)) == whole
    part = errors(train(config, images_per_epoch=5))
    assert len(part) == len(whole)
    assert part != whole
    # Images that differ in nothing tell whether the mean is over as many as were trained on.
    alike = pictures(1, seed=0).expand(10, 3, 64, 64)
    one, few = (
        train_autoencoder(
            replace(SMALL, epoch=1, learning_rate=1e-30), alike, VALIDATION, seed=0, **kwargs
        )
        .curve[0]
        .train_mse
        for kwargs in ({}, {"images_per_epoch": 4})
    )
    assert 0.6 < few / one < 1.6  # over all ten, it would be 0.4 of that


@given(n=st.integers(1, 12), epochs=st.integers(1, 3))
@settings(max_examples=10)
def test_drawn_images_are_different_ones(n: int, epochs: int) -> None:
    """Within an epoch none is drawn twice, and from epoch to epoch they change."""
    seen: list[list[int]] = []

    class Watched(Reconstruction):
        def evaluate(self, observed: Sequence[Tensor], rows: Tensor) -> dict[str, float]:
            seen.append(rows.tolist())
            return Reconstruction.evaluate(self, observed, rows)

    config = replace(SMALL, epoch=epochs)
    train, validation = (to_float(side, torch.device("cpu")) for side in (TRAIN, VALIDATION))
    with seeded(0, torch.device("cpu")) as generator:
        fit(
            config,
            Watched(config=config, model=build_model(config), validation=validation),
            lambda order: train[order],
            n_images=len(train),
            n_drawn=min(n, len(train)),
            generator=generator,
        )
    assert len(seen) == epochs
    for rows in seen:
        assert len(rows) == len(set(rows)) == min(n, len(TRAIN))


def test_smallest_training() -> None:
    """Two training images and one validation image are enough, even for one step in all."""
    for schedule in ("constant", "one_cycle", "cosine"):
        config = replace(BATCH_NORM, schedule=schedule, epoch=1)
        result = train_autoencoder(config, TRAIN[:2], VALIDATION[:1], seed=0)
        assert len(result.curve) == 1
        assert math.isfinite(result.curve[0].validation_mse)


@pytest.mark.parametrize(("n_train", "n_validation"), [(1, 1), (0, 3), (2, 0), (0, 0)])
def test_too_few_images(n_train: int, n_validation: int) -> None:
    """Fewer than two training images, or no validation image, cannot train."""
    message = (
        r"^Training needs at least 2 training and 1 validation images, "
        rf"but got {n_train} and {n_validation}\.$"
    )
    with pytest.raises(DataError, match=message):
        train_autoencoder(SMALL, TRAIN[:n_train], VALIDATION[:n_validation], seed=0)


def test_divergence_in_the_first_epoch() -> None:
    """An absurd learning rate raises, with the curve so far and the initial weights."""
    config = replace(SMALL, learning_rate=1e30)
    seen: list[EpochMetrics] = []
    with pytest.raises(DivergedError, match=r"^Training diverged in epoch 1: train") as caught:
        train(config, seed=8, on_epoch=collector(seen))
    result = caught.value.result
    assert isinstance(caught.value, EmojiAEError)
    assert isinstance(caught.value, ArithmeticError)
    assert seen == []
    assert [metrics.epoch for metrics in result.curve] == [0]
    assert not math.isfinite(result.curve[0].validation_mse)
    assert result.best is None
    assert not result.model.training
    assert all(map(torch.equal, weights(result.model), weights(initial_model(config, 8))))


def test_divergence_keeps_the_best() -> None:
    """A rate that grows until numbers overflow raises, with the best of the finite epochs."""
    config = replace(
        SMALL, width=2, latent_channels=4, epoch=10, schedule="one_cycle", learning_rate=1e7
    )
    seen: list[EpochMetrics] = []
    with pytest.raises(DivergedError, match=r"^Training diverged in epoch \d+: .*nan") as caught:
        train_autoencoder(
            replace(config, batch_size=16),
            TRAIN,
            VALIDATION,
            seed=0,
            on_epoch=collector(seen),
        )
    result = caught.value.result
    assert len(result.curve) > 1, "the test needs a finite epoch first"
    assert tuple(seen) == result.curve[:-1]
    assert f"epoch {len(result.curve)}:" in str(caught.value)
    assert result.best == min(seen, key=lambda metrics: metrics.validation_mse)
    found = reconstruction_errors(result.model, to_float(VALIDATION, torch.device("cpu")))
    assert found.mean().item() == result.best.validation_mse
