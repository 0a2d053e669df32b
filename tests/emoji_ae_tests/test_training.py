"""Training of both kinds: against a slow reference, its weights, its randomness, its ends."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from emoji_ae.augment import augment
from emoji_ae.config import AutoencoderConfig, Schedule, Strategy, multitask_config
from emoji_ae.curve import EpochMetrics, MultitaskMetrics, best_metrics
from emoji_ae.dataset import LabelledImages
from emoji_ae.errors import DataError, EmojiAEError
from emoji_ae.evaluation import classify, reconstruction_errors, to_float
from emoji_ae.losses import color_error, edge_error
from emoji_ae.models import Autoencoder, MultitaskAutoencoder, build_model
from emoji_ae.resume import ResumeFile
from emoji_ae.tasks import Labels
from emoji_ae.training import (
    DivergedError,
    TrainResult,
    frozen_latents,
    suspended_result,
    train_classifier,
    train_model,
)
from tests.emoji_ae_tests.reference import (
    initial_model,
    learning_rate_and_momentum,
    pictures,
    train_autoencoder,
    with_fields,
)

CPU = torch.device("cpu")
TRAIN = LabelledImages(
    images=pictures(10, seed=0), labels=torch.tensor([0, 1, 3, 3, 0, 3, 1, 3, 0, 2])
)
VALIDATION = LabelledImages(
    images=pictures(6, seed=1), labels=torch.tensor([0, 1, 3, 3, 0, 3])
)  # one class is absent
BATCHES = {
    3: [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]],
    4: [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]],
    16: [list(range(10))],
}
"""By batch size: the images of each batch."""

SMALL = multitask_config(
    width=4,
    depth=3,
    latent_channels=8,
    epoch=4,
    batch_size=4,
    learning_rate=0.003,
    classification_lambda=0.5,
    classification_layer_num=2,
    classification_width=16,
    dropout=0.3,
)
BATCH_NORM = with_fields(SMALL, normalization="batch")
BRANCHED = with_fields(SMALL, strategy="branched", branch_point=1)
SEQUENTIAL = with_fields(SMALL, strategy="sequential")
LINEAR = with_fields(
    SMALL, auto_encoder="linear", bottleneck_dim=8, epoch=2, batch_size=16, learning_rate=1e-3
)
RESTLESS = with_fields(SMALL, epoch=40, learning_rate=0.05)
"""Its error rises and falls again."""
PLAIN = replace(SMALL, classification=None)
PLAIN_BATCH_NORM = replace(PLAIN, normalization="batch")


class Interrupted(Exception):
    """Stands for whatever ends a training from outside."""


def train(config: AutoencoderConfig, *, seed: int = 0, **kwargs: Any) -> TrainResult:
    """Train on the module's pictures."""
    return train_model(config, TRAIN, VALIDATION, seed=seed, **kwargs)


@cache
def trained(config: AutoencoderConfig, seed: int = 0) -> TrainResult:
    """Return a whole training, whose model several tests look at."""
    return train(config, seed=seed)


def timeless(curve: Sequence[EpochMetrics]) -> list[EpochMetrics]:
    """Return a curve without its times."""
    return [replace(metrics, seconds=0.0) for metrics in curve]


def errors(result: TrainResult) -> list[tuple[float, float]]:
    """Return the reconstruction errors of a curve."""
    return [(metrics.train_mse, metrics.validation_mse) for metrics in result.curve]


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all of a model's state."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def part(state: dict[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """Return the part of a model's state under some names."""
    return {name: value for name, value in state.items() if name.startswith(prefixes)}


def same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Say whether two states are equal bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def assert_same_result(found: TrainResult, expected: TrainResult) -> None:
    """Compare all of two results but their times, bit for bit."""
    assert timeless(found.curve) == timeless(expected.curve)
    assert timeless(found.classifier_curve) == timeless(expected.classifier_curve)
    assert found.best is not None
    assert expected.best is not None
    assert timeless([found.best]) == timeless([expected.best])
    assert found.early_stopped == expected.early_stopped
    assert same_state(found.model.state_dict(), expected.model.state_dict())
    if found.confusion is None or expected.confusion is None:
        assert found.confusion is expected.confusion
    else:
        assert torch.equal(found.confusion, expected.confusion)


def class_weights_of(config: AutoencoderConfig) -> list[float]:
    """Return the weights of classes in the loss: inverse to their images, over those present."""
    if config.classification is None or not config.classification.class_weights:
        return [1.0] * 4
    counts = [TRAIN.labels.tolist().count(label) for label in range(4)]
    n_present = sum(count > 0 for count in counts)
    return [len(TRAIN.labels) / (n_present * count) if count else 0.0 for count in counts]


def cross_entropy_of(logits: Tensor, labels: Tensor, weights: list[float]) -> Tensor:
    """Return the cross-entropy, image by image: the mean, weighted by class."""
    total, total_weight = torch.zeros((), dtype=logits.dtype), 0.0
    for row, label in zip(logits, labels.tolist(), strict=True):
        total = total + weights[label] * (row.exp().sum().log() - row[label])
        total_weight += weights[label]
    return total / total_weight


def validation_by_hand(model: Autoencoder, config: AutoencoderConfig) -> dict[str, float]:
    """Return the validation metrics of a model, image by image, in evaluation mode."""
    model.eval()
    images = VALIDATION.images.float() / 255
    with torch.no_grad():
        squares = [((model(image[None]) - image) ** 2).mean().item() for image in images]
        mse = sum(squares) / len(squares)
        if not isinstance(model, MultitaskAutoencoder):
            return {"validation_mse": mse}
        logits = torch.cat([model.forward_tasks(image[None])[1] for image in images]).double()
    labels = VALIDATION.labels.tolist()
    right = [int(row.argmax().item() == label) for row, label in zip(logits, labels, strict=True)]
    recalls = []
    for label in sorted(set(labels)):
        of_class = [hit for hit, other in zip(right, labels, strict=True) if other == label]
        recalls.append(sum(of_class) / len(of_class))
    entropy = cross_entropy_of(logits, VALIDATION.labels, class_weights_of(config)).item()
    return {
        "validation_mse": mse,
        "validation_cross_entropy": entropy,
        "validation_total": mse + config.to_dict()["classification_lambda"] * entropy,
        "validation_accuracy": sum(right) / len(right),
        "validation_balanced_accuracy": sum(recalls) / len(recalls),
    }


class WrittenOutAdam:
    """Adam with an L2 penalty, and the learning rate's schedule, by their formulas."""

    def __init__(self, config: AutoencoderConfig, parameters: list[nn.Parameter]) -> None:
        self._config = config
        self._parameters = parameters
        self._n_steps = config.epoch * len(BATCHES[config.batch_size])
        self._step = 0
        self._first = [torch.zeros_like(parameter) for parameter in parameters]
        self._second = [torch.zeros_like(parameter) for parameter in parameters]

    def step(self, loss: Tensor) -> None:
        """Move the parameters against the gradient of a loss."""
        gradients = torch.autograd.grad(loss, self._parameters)
        config = self._config
        rate, beta = learning_rate_and_momentum(
            config.schedule, config.learning_rate, self._step, self._n_steps
        )
        self._step += 1
        with torch.no_grad():
            for p, g, m, v in zip(
                self._parameters, gradients, self._first, self._second, strict=True
            ):
                g = g + config.weight_decay * p
                m.copy_(beta * m + (1 - beta) * g)
                v.copy_(0.999 * v + 0.001 * g**2)
                m_hat, v_hat = m / (1 - beta**self._step), v / (1 - 0.999**self._step)
                p.copy_(p - rate * m_hat / (v_hat.sqrt() + 1e-8))


def reference_curve(
    config: AutoencoderConfig, n_shared: int | None, seed: int
) -> list[dict[str, float]]:
    """Train as the documentation says, with losses, means and Adam written out.

    ``n_shared`` are the modules of the encoder before the fork, None where there is none.
    """
    curve = []
    weights = class_weights_of(config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # of initial weights and, after them, of dropout
        model = build_model(config)
        encoder = cast(nn.Sequential, model.encoder)
        fork = len(encoder) if n_shared is None else n_shared
        generator = torch.Generator().manual_seed(seed)
        adam = WrittenOutAdam(config, list(model.parameters()))
        for _ in range(config.epoch):
            order = torch.randperm(len(TRAIN.images), generator=generator)
            images = augment(TRAIN.images[order].float() / 255, generator)
            labels = TRAIN.labels[order]
            sums: dict[str, float] = {}
            model.train()
            for batch in BATCHES[config.batch_size]:
                originals, truth = images[batch], labels[batch]
                shared = encoder[:fork](originals)
                latents = encoder[fork:](shared)
                made = model.decoder(latents)
                squares = (made - originals) ** 2
                mse = torch.stack([square.sum() / (3 * 64 * 64) for square in squares]).mean()
                loss = mse + config.edge_weight * edge_error(made, originals)
                loss = loss + config.color_weight * color_error(made, originals)
                if config.kl_weight:
                    divergence = model.divergence()
                    assert divergence is not None
                    loss = loss + config.kl_weight * divergence / (3 * 64 * 64)
                values = {"mse": mse}
                if isinstance(model, MultitaskAutoencoder):
                    seen = latents if model.branch is None else model.branch(shared)
                    logits = model.classifier(seen)
                    entropy = cross_entropy_of(logits, truth, weights)
                    loss = loss + config.to_dict()["classification_lambda"] * entropy
                    hits = (logits.argmax(dim=1) == truth).double()
                    values |= {"cross_entropy": entropy, "total": loss, "accuracy": hits.mean()}
                adam.step(loss)
                for name, value in values.items():
                    sums[name] = sums.get(name, 0.0) + len(batch) * value.item()
            means = {f"train_{name}": value / len(labels) for name, value in sums.items()}
            curve.append(means | validation_by_hand(model, config))
    return curve


def assert_close(found: EpochMetrics, expected: dict[str, float], rel: float) -> None:
    """Compare all metrics of an epoch but its number and its time."""
    values = asdict(found)
    del values["epoch"], values["seconds"]
    assert values == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize(
    ("config", "n_shared"),
    [
        (replace(PLAIN, batch_size=3), None),
        (replace(PLAIN, edge_weight=0.5, color_weight=0.5, kl_weight=0.01), None),
        (replace(PLAIN, normalization="group", schedule="cosine", activation="gelu"), None),
        (replace(PLAIN, schedule="one_cycle", learning_rate=0.02), None),
        (replace(PLAIN_BATCH_NORM, weight_decay=0.01), None),
        (replace(LINEAR, classification=None), None),
        (with_fields(SMALL, classification_layer_num=3, class_weights=True), None),
        (with_fields(SMALL, classification_layer_num=1, edge_weight=0.5), None),
        (with_fields(SMALL, classification_lambda=3, weight_decay=0.1), None),
        (with_fields(BATCH_NORM, schedule="cosine"), None),
        (with_fields(BRANCHED, branch_point=2, class_weights=True, learning_rate=0.01), 4),
        (with_fields(BRANCHED, normalization="batch", schedule="one_cycle"), 3),
        (with_fields(LINEAR, strategy="branched", branch_point=3), 7),
    ],
)
def test_training_is_the_references(config: AutoencoderConfig, n_shared: int | None) -> None:
    """Every metric of every epoch is that of a plain loop with losses and Adam written out."""
    expected = reference_curve(config, n_shared, seed=3)
    found = trained(config, seed=3).curve
    assert [metrics.epoch for metrics in found] == list(range(config.epoch))
    # Division by the deviation within a batch magnifies the rounding of other kernels.
    batch_rel = 2e-3 if config.classification else 1e-4
    rel = batch_rel if config.normalization == "batch" else 1e-5
    for metrics, reference in zip(found, expected, strict=True):
        assert_close(metrics, reference, rel=rel)
    for name in {"validation_mse", "train_cross_entropy"} & expected[0].keys():
        assert abs(expected[-1][name] / expected[0][name] - 1) > 0.01, "it must learn something"


def test_training_learns() -> None:
    """In some more epochs the error falls to a fraction of its start."""
    curve = errors(train(replace(PLAIN, epoch=25, learning_rate=0.01)))
    assert min(error for _, error in curve) < 0.5 * curve[0][1]
    assert curve[-1][0] < 0.5 * curve[0][0]


@pytest.mark.parametrize(
    "config",
    [
        PLAIN_BATCH_NORM,
        with_fields(BATCH_NORM, dropout=0.9, class_weights=True),
        with_fields(BRANCHED, normalization="batch", classification_lambda=2),
        with_fields(SMALL, classification_lambda=0),
        SEQUENTIAL,
    ],
    ids=["plain", "joint", "branched", "without", "sequential"],
)
def test_metrics_are_those_of_the_kept_weights(config: AutoencoderConfig) -> None:
    """Best metrics and confusion, of each image once, are the kept model's in evaluation mode."""
    result = trained(config, seed=1)
    model = result.model
    sequential = config.to_dict().get("strategy") == "sequential"
    assert not any(module.training for module in model.modules())
    assert not result.early_stopped
    assert bool(result.classifier_curve) == sequential
    assert sequential or result.best in result.curve
    assert result.best is not None
    expected = validation_by_hand(model, config)
    if sequential:
        expected["validation_total"] = expected["validation_cross_entropy"]
    values = asdict(result.best)
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    if config.classification is None:
        assert type(model) is Autoencoder
        assert type(result.best) is EpochMetrics
        assert result.confusion is None
        return
    assert isinstance(model, MultitaskAutoencoder)
    assert type(result.best) is MultitaskMetrics
    images, before = to_float(VALIDATION.images, CPU), state_of(model)
    counts = [[0] * 4 for _ in range(4)]
    with torch.no_grad():
        for image, label in zip(images, VALIDATION.labels.tolist(), strict=True):
            counts[label][int(model.forward_tasks(image[None])[1].argmax())] += 1
    assert result.confusion is not None
    assert result.confusion.tolist() == counts
    assert classify(model.train(), images, VALIDATION.labels).tolist() == counts
    assert not model.training
    assert same_state(model.state_dict(), before)


@pytest.mark.parametrize(
    "strategy",
    [
        {"classification_lambda": 0},
        {"classification_lambda": 0, "strategy": "branched"},
        {"strategy": "sequential"},
    ],
)
@pytest.mark.parametrize(
    "fields",
    [
        {"edge_weight": 0.5, "color_weight": 0.5, "weight_decay": 0.01},
        {"normalization": "batch", "schedule": "one_cycle"},
        {"auto_encoder": "linear", "bottleneck_dim": 8, "epoch": 2, "batch_size": 16},
    ],
)
def test_without_influence_the_autoencoder_is_the_plain_one(
    fields: dict[str, Any], strategy: dict[str, Any]
) -> None:
    """With lambda 0, or before the classifier's turn, its weights and curve are equal."""
    config = with_fields(SMALL, **fields, **strategy)
    alone = trained(replace(config, classification=None), seed=5)
    both = train(config, seed=5, on_epoch=lambda metrics: metrics.epoch + 1 == config.epoch)
    assert errors(both) == errors(alone)
    found, start = both.model.state_dict(), initial_model(config, 5).state_dict()
    assert same_state(part(found, "encoder.", "decoder."), alone.model.state_dict())
    assert not same_state(part(start, "encoder.", "decoder."), alone.model.state_dict())
    for name, _ in both.model.named_parameters():  # not so the running statistics of a branch
        if name.startswith(("classifier.", "branch.")):
            assert torch.equal(found[name], start[name]), name


@pytest.mark.parametrize("config", [PLAIN_BATCH_NORM, BATCH_NORM, BRANCHED, SEQUENTIAL])
def test_seed_decides_bit_for_bit(config: AutoencoderConfig) -> None:
    """The result follows from the arguments, and neither these nor global states change."""
    given = [TRAIN.images, TRAIN.labels, VALIDATION.images, VALIDATION.labels]
    before = [tensor.clone() for tensor in given]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = train(config, seed=5)
        torch.manual_seed(2)
        state = torch.get_rng_state()
        assert_same_result(train(config, seed=5, device=CPU), first)
        assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, given, before))
    other = trained(config, seed=6)
    assert errors(other)[0] != errors(first)[0]
    assert not same_state(other.model.state_dict(), first.model.state_dict())


@pytest.mark.parametrize("schedule", ["constant", "one_cycle", "cosine"])
def test_shorter_training_is_a_prefix(schedule: Schedule) -> None:
    """Without a schedule two epochs are the first two of four; with one they are others."""
    config = replace(PLAIN_BATCH_NORM, schedule=schedule)
    short, long = trained(replace(config, epoch=2)), trained(config)
    assert (errors(short) == errors(long)[:2]) == (schedule == "constant")


def test_an_epoch_may_draw_a_part_of_the_images() -> None:
    """Its means are over those that were drawn; all of them is the rule."""
    whole = errors(trained(PLAIN))
    for n, same in ((10, True), (99, True), (5, False)):
        found = errors(train(PLAIN, images_per_epoch=n))
        assert len(found) == len(whole)
        assert (found == whole) == same
    # Images that differ in nothing tell whether the mean is over as many as were trained on.
    alike = pictures(1, seed=0).expand(10, 3, 64, 64)
    still = replace(PLAIN, epoch=1, learning_rate=1e-30)
    one, few = (
        train_autoencoder(still, alike, VALIDATION.images, seed=0, images_per_epoch=n)
        .curve[0]
        .train_mse
        for n in (None, 4)
    )
    assert 0.6 < few / one < 1.6  # over all ten, it would be 0.4 of that


@pytest.mark.parametrize("strategy", ["joint", "branched", "sequential"])
def test_early_ends(strategy: Strategy) -> None:
    """By patience or by the hook, a training ends as the beginning of a longer one."""
    config = with_fields(RESTLESS, strategy=strategy)
    patient = train(with_fields(config, patience=2))
    n = len(patient.curve)
    assert n < config.epoch, "the test needs an error that stops falling"
    assert patient.early_stopped
    assert patient.best is not None
    assert patient.best.epoch == n - 3
    assert (patient.classifier_curve != ()) == (strategy == "sequential")

    stopped = train(config, on_epoch=lambda metrics: metrics.epoch == n - 1)
    assert timeless(stopped.curve) == timeless(patient.curve)
    assert not stopped.early_stopped
    assert stopped.classifier_curve == ()
    assert (stopped.confusion is None) == (strategy == "sequential")
    assert stopped.best == stopped.curve[n - 3]
    kept = part(stopped.model.state_dict(), "encoder.", "decoder.")
    assert same_state(part(patient.model.state_dict(), "encoder.", "decoder."), kept)
    found = reconstruction_errors(stopped.model, to_float(VALIDATION.images, CPU)).mean()
    assert found.item() == pytest.approx(stopped.best.validation_mse, rel=1e-6)


def test_sequential_training() -> None:
    """The best autoencoder's classifier is trained after it, and goes on counting."""
    config = with_fields(RESTLESS, strategy="sequential", epoch=5, class_weights=True)
    result = trained(config, seed=6)
    assert {type(metrics) for metrics in result.curve} == {EpochMetrics}
    assert {type(metrics) for metrics in result.classifier_curve} == {MultitaskMetrics}
    assert [metrics.epoch for metrics in result.curve] == list(range(5))
    assert [metrics.epoch for metrics in result.classifier_curve] == list(range(5, 10))
    kept = min(result.curve, key=lambda metrics: metrics.validation_mse)
    seconds = [metrics.seconds for metrics in (*result.curve, *result.classifier_curve)]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    assert result.best == best_metrics(result.curve, result.classifier_curve)
    best = train(config, seed=6, on_epoch=lambda metrics: metrics.epoch == 4).model
    curve = fit_classifier_of(config, cast(MultitaskAutoencoder, best), after=result.curve, seed=6)
    for found, expected in zip(result.classifier_curve, curve, strict=True):
        assert (found.train_mse, found.validation_mse) == (kept.train_mse, kept.validation_mse)
        values = asdict(expected)
        del values["epoch"], values["seconds"]
        assert_close(found, values, rel=1e-4)  # images in another layout


# The classifier of a frozen autoencoder.

AFTER = [
    EpochMetrics(epoch=0, train_mse=0.5, validation_mse=0.375, seconds=1.0),
    EpochMetrics(epoch=1, train_mse=0.25, validation_mse=0.125, seconds=2.0),
    EpochMetrics(epoch=2, train_mse=0.0625, validation_mse=0.25, seconds=3.0),
]
FROZEN = with_fields(SEQUENTIAL, normalization="batch", epoch=12, learning_rate=0.05)


def labels_of(config: AutoencoderConfig) -> Labels:
    """Return the labels of the module's pictures."""
    weighed = config.to_dict()["class_weights"]
    return Labels(
        train=TRAIN.labels,
        validation=VALIDATION.labels,
        weights=torch.tensor(class_weights_of(config)) if weighed else None,
    )


def used_model(config: AutoencoderConfig) -> MultitaskAutoencoder:
    """Return a model in training mode, with running statistics of some images."""
    model = initial_model(config, seed=1).train()
    model(to_float(TRAIN.images, CPU))
    return cast(MultitaskAutoencoder, model)


def fit_classifier_of(
    config: AutoencoderConfig,
    model: MultitaskAutoencoder,
    *,
    after: Sequence[EpochMetrics] = AFTER,
    seed: int = 0,
) -> tuple[MultitaskMetrics, ...]:
    """Train a model's classifier on the module's pictures."""
    best = min(after, key=lambda metrics: metrics.validation_mse)
    frozen = TrainResult(model=model, curve=tuple(after), best=best)
    train, validation = (to_float(side.images, CPU) for side in (TRAIN, VALIDATION))
    return train_classifier(
        config, frozen, train, validation, labels_of(config), seed=seed
    ).classifier_curve


def reference_classifier_curve(
    config: AutoencoderConfig, model: MultitaskAutoencoder, seed: int
) -> list[dict[str, float]]:
    """Train a classifier on images that are not augmented, with loss and Adam written out."""
    model.eval()
    weights, curve = class_weights_of(config), []
    with torch.no_grad():
        latents = torch.cat(
            [model.encode(image[None]).flatten(1) for image in TRAIN.images.float() / 255]
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        adam = WrittenOutAdam(config, list(model.classifier.parameters()))
        for _ in range(config.epoch):
            order = torch.randperm(len(latents), generator=generator)
            labels = TRAIN.labels[order]
            model.classifier.train()
            outputs = []
            for batch in BATCHES[config.batch_size]:
                logits = model.classifier(latents[order][batch])
                adam.step(cross_entropy_of(logits, labels[batch], weights))
                outputs.append(logits.detach())
            every = torch.cat(outputs)
            entropy = cross_entropy_of(every, labels, weights).item()
            accuracy = (every.argmax(dim=1) == labels).double().mean().item()
            values = validation_by_hand(model, config)
            values |= {"validation_mse": 0.125, "train_mse": 0.25}
            values |= {"validation_total": values["validation_cross_entropy"]}
            values |= {"train_cross_entropy": entropy, "train_total": entropy}
            curve.append(values | {"train_accuracy": accuracy})
    return curve


@pytest.mark.parametrize(
    "config",
    [
        with_fields(FROZEN, epoch=4),
        with_fields(FROZEN, epoch=4, class_weights=True, schedule="one_cycle"),
        with_fields(FROZEN, epoch=4, classification_layer_num=3, dropout=0.5, weight_decay=0.1),
        with_fields(FROZEN, epoch=3, classification_layer_num=1, schedule="cosine"),
    ],
    ids=["plain", "class_weights", "dropout", "one_layer"],
)
def test_classifier_training_is_the_references(config: AutoencoderConfig) -> None:
    """Every metric of every epoch is that of a plain loop over the frozen latents."""
    expected = reference_classifier_curve(config, used_model(config), seed=3)
    found = fit_classifier_of(config, used_model(config), seed=3)
    assert [metrics.epoch for metrics in found] == [3 + i for i in range(config.epoch)]
    for metrics, reference in zip(found, expected, strict=True):
        assert_close(metrics, reference, rel=1e-5)


def test_frozen_autoencoder() -> None:
    """Only the classifier changes; the one of the lowest cross-entropy is kept, with patience."""
    model = used_model(FROZEN)
    before = state_of(model)
    curve = fit_classifier_of(FROZEN, model)
    after = model.state_dict()
    assert same_state(part(after, "encoder.", "decoder."), part(before, "encoder.", "decoder."))
    for name in part(after, "classifier."):
        assert not torch.equal(after[name], before[name]), name
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module.training for module in model.modules())

    best = min(curve, key=lambda metrics: metrics.validation_cross_entropy)
    assert best != curve[-1], "the test needs a best that is not the last"
    logits = model.classifier(frozen_latents(model, to_float(VALIDATION.images, CPU)))
    found = labels_of(FROZEN).cross_entropy(logits, VALIDATION.labels).item()
    assert found == best.validation_cross_entropy

    patient = fit_classifier_of(with_fields(FROZEN, patience=1), used_model(FROZEN))
    assert len(patient) < FROZEN.epoch, "the test needs an error that stops falling"
    assert timeless(patient) == timeless(curve)[: len(patient)]
    entropies = [metrics.validation_cross_entropy for metrics in patient]
    assert entropies[:-1] == sorted(set(entropies[:-1]), reverse=True)
    assert entropies[-1] >= entropies[-2]


def test_diverging_classifier() -> None:
    """An absurd learning rate raises, with the autoencoder's epochs and all weights as before."""
    config = with_fields(FROZEN, learning_rate=1e30)
    model = used_model(config)
    before = state_of(model)
    with pytest.raises(
        DivergedError, match=r"^Training of the classifier diverged in epoch 1: cross-entropy"
    ) as caught:
        fit_classifier_of(config, model)
    result = caught.value.result
    assert result.curve == tuple(AFTER)
    assert result.best == AFTER[1]
    assert result.model is model
    assert not any(module.training for module in model.modules())
    assert same_state(model.state_dict(), before)


def test_best_metrics() -> None:
    """The reconstruction of the best epoch, with the classification of the best classifier."""
    first, best, last = AFTER
    values: dict[str, Any] = asdict(best) | {"epoch": 3, "seconds": 9.0}
    for name in ("train_cross_entropy", "train_total", "train_accuracy", "validation_total"):
        values[name] = 1.0
    for name in ("cross_entropy", "accuracy", "balanced_accuracy"):
        values[f"validation_{name}"] = 2.0
    row = MultitaskMetrics(**values)
    chosen = replace(row, epoch=4, validation_cross_entropy=1.0, validation_accuracy=0.6)
    rows = [row, chosen, replace(chosen, epoch=5, validation_accuracy=0.7)]
    assert best_metrics(AFTER, []) == best
    assert best_metrics([last, replace(best, validation_mse=0.25)], []) == last
    assert best_metrics([first], rows[:1]) == replace(rows[0], epoch=0, seconds=1.0)
    assert best_metrics(AFTER, rows) == replace(rows[1], epoch=1, seconds=2.0)
    assert best_metrics(rows, []) == rows[0]


# Trainings that are interrupted and go on.


def resume_file(path: Path, config: AutoencoderConfig, **changes: Any) -> ResumeFile:
    """Return the resume file of a training of ``config``."""
    arguments = {"identity": config.identity(), "seed": 0, "max_epochs": config.epoch}
    return ResumeFile(path, **(arguments | changes))


def train_resumed(
    config: AutoencoderConfig, path: Path | None, stop_after: int | None
) -> tuple[TrainResult | None, list[int]]:
    """Go on with a training, be interrupted after an epoch if asked; return its epochs too."""
    seen = []

    def on_epoch(metrics: EpochMetrics) -> bool:
        seen.append(metrics.epoch)
        if metrics.epoch == stop_after:
            raise Interrupted
        return False

    resume = None if path is None else resume_file(path, config)
    try:
        return train(config, on_epoch=on_epoch, resume=resume), seen
    except Interrupted:
        return None, seen


@pytest.mark.parametrize(
    "config",
    [
        PLAIN,
        replace(PLAIN_BATCH_NORM, schedule="cosine"),
        with_fields(SMALL, classification_layer_num=3, dropout=0.5),
        with_fields(BRANCHED, normalization="batch", schedule="one_cycle"),
        with_fields(SEQUENTIAL, normalization="batch", class_weights=True),
        with_fields(RESTLESS, patience=2),
        with_fields(RESTLESS, strategy="sequential", patience=1),
        with_fields(BRANCHED, classification_lambda=0, schedule="cosine"),
    ],
)
def test_an_interrupted_training_ends_like_an_uninterrupted_one(
    config: AutoencoderConfig, tmp_path: Path
) -> None:
    """Interrupted after each epoch in turn, it runs none twice and ends the same bit for bit."""
    whole, path = trained(config), tmp_path / "state.pt"
    n = len(whole.curve)
    assert n < config.epoch or not config.patience, "the test needs an early end"
    n_kept = min(n, config.epoch - 1)
    for stop_after in range(n_kept):
        assert train_resumed(config, path, stop_after) == (None, [stop_after])

    state = resume_file(path, config).state
    assert state is not None
    reached = suspended_result(config, state)
    assert {type(metrics) for metrics in reached.curve} == {type(whole.curve[0])}
    assert timeless(reached.curve) == timeless(whole.curve)[:n_kept]
    assert reached.best == min(reached.curve, key=lambda metrics: metrics.validation_mse)
    stopped = train(config, on_epoch=lambda metrics: metrics.epoch + 1 == n_kept)
    assert same_state(reached.model.state_dict(), stopped.model.state_dict())

    resumed, seen = train_resumed(config, path, None)
    assert seen == list(range(n_kept, n))
    assert resumed is not None
    assert_same_result(resumed, whole)


def test_a_state_that_does_not_fit_is_not_used(tmp_path: Path) -> None:
    """A state of another training, of too late an epoch, or a damaged one counts as none."""
    path = tmp_path / "state.pt"
    assert train_resumed(PLAIN, None, 0) == (None, [0])  # nor is one needed
    assert resume_file(path, PLAIN).state is None
    train_resumed(PLAIN, path, 1)
    assert resume_file(path, PLAIN).state is not None
    for changes in ({"seed": 1}, {"identity": "another"}, {"max_epochs": 2}):
        assert resume_file(path, PLAIN, **changes).state is None
    half = path.read_bytes()[: path.stat().st_size // 2]
    for content in (b"", b"not a state", b"PK\x03\x04 damaged", half):
        path.write_bytes(content)
        assert resume_file(path, PLAIN).state is None


# Ends that are no success.


@pytest.mark.parametrize("config", [PLAIN, SMALL, BRANCHED, SEQUENTIAL])
def test_divergence_in_the_first_epoch(config: AutoencoderConfig) -> None:
    """An absurd learning rate raises, with the curve so far and the initial weights."""
    config = with_fields(config, learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"^Training diverged in epoch 1: train") as caught:
        train(config, seed=8, on_epoch=lambda metrics: pytest.fail("called"))
    result: TrainResult = caught.value.result
    assert isinstance(caught.value, EmojiAEError)
    assert isinstance(caught.value, ArithmeticError)
    assert [metrics.epoch for metrics in result.curve] == [0]
    assert not math.isfinite(result.curve[0].validation_mse)
    assert result.best is None
    assert same_state(result.model.state_dict(), initial_model(config, 8).state_dict())
    assert not any(module.training for module in result.model.modules())


@pytest.mark.parametrize("config", [PLAIN, SMALL])
def test_divergence_keeps_the_best(config: AutoencoderConfig) -> None:
    """A rate that grows until numbers overflow raises, with the best of the finite epochs."""
    config = with_fields(config, epoch=10, batch_size=16, schedule="one_cycle", learning_rate=1e7)
    seen: list[EpochMetrics] = []
    with pytest.raises(DivergedError, match=r"^Training diverged in epoch \d+: .*nan") as caught:
        train(config, on_epoch=lambda metrics: seen.append(metrics))
    result: TrainResult = caught.value.result
    assert len(result.curve) > 1, "the test needs a finite epoch first"
    assert tuple(seen) == result.curve[:-1]
    assert f"epoch {len(result.curve)}:" in str(caught.value)
    assert result.best == min(seen, key=lambda metrics: metrics.validation_mse)
    found = reconstruction_errors(result.model, to_float(VALIDATION.images, CPU))
    assert found.mean().item() == result.best.validation_mse


def first_of(images: LabelledImages, n: int) -> LabelledImages:
    """Return the first images with their labels."""
    return LabelledImages(images=images.images[:n], labels=images.labels[:n])


@pytest.mark.parametrize(("n_train", "n_validation"), [(1, 1), (2, 0)])
def test_too_few_images(n_train: int, n_validation: int) -> None:
    """Fewer than two training images, or no validation image, cannot train."""
    message = (
        r"^Training needs at least 2 training and 1 validation images, "
        rf"but got {n_train} and {n_validation}\.$"
    )
    with pytest.raises(DataError, match=message):
        train_model(SMALL, first_of(TRAIN, n_train), first_of(VALIDATION, n_validation), seed=0)


@pytest.mark.parametrize(
    "config",
    [
        PLAIN_BATCH_NORM,
        replace(PLAIN_BATCH_NORM, schedule="one_cycle"),
        replace(PLAIN_BATCH_NORM, schedule="cosine"),
        with_fields(BATCH_NORM, classification_layer_num=1, kl_weight=0.01),
        with_fields(BRANCHED, normalization="batch", class_weights=True, kl_weight=0.01),
        with_fields(SEQUENTIAL, normalization="batch", class_weights=True, kl_weight=0.01),
    ],
)
def test_smallest_training(config: AutoencoderConfig) -> None:
    """Two training images and one validation image are enough, even for one step in all."""
    smallest = replace(config, epoch=1)
    result = train_model(smallest, first_of(TRAIN, 2), first_of(VALIDATION, 1), seed=0)
    assert len(result.curve) == 1
    assert result.best is not None
    assert all(math.isfinite(value) for value in asdict(result.best).values())
