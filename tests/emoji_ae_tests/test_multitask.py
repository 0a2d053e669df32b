"""Multitask training: against a slow reference and the plain autoencoder, by each strategy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from emoji_ae.augment import augment
from emoji_ae.config import AutoencoderConfig, Normalization, Schedule, Strategy, multitask_config
from emoji_ae.curve import EpochMetrics, MultitaskMetrics, best_metrics
from emoji_ae.dataset import LabelledImages
from emoji_ae.errors import DataError
from emoji_ae.evaluation import classify, to_float
from emoji_ae.models import MultitaskAutoencoder, build_model
from emoji_ae.resume import ResumeFile, TrainState
from emoji_ae.tasks import Labels, Multitask
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
BATCHES = {4: [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]], 16: [list(range(10))]}
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


class Interrupted(Exception):
    """Stands for whatever ends a training from outside."""


class Recorder(ResumeFile):
    """Keeps the weights after every epoch, in memory."""

    def __init__(self, config: AutoencoderConfig, seed: int) -> None:
        super().__init__(
            Path("no such file"), identity=config.identity(), seed=seed, max_epochs=config.epoch
        )
        self.weights: list[dict[str, Tensor]] = []

    def offer(self, make_state: Callable[[], TrainState], *, n_bytes: int) -> None:
        """Keep the weights after any epoch but the last."""
        self.save(make_state())

    def save(self, state: TrainState) -> None:
        """Keep the weights after the last epoch, in which the training is interrupted."""
        self.weights.append({name: value.clone() for name, value in state.weights.items()})


def weights_by_epoch(config: AutoencoderConfig, *, seed: int = 0) -> list[dict[str, Tensor]]:
    """Train, and return all of the model's state after each epoch."""

    def on_epoch(metrics: EpochMetrics) -> bool:
        if metrics.epoch + 1 == config.epoch:
            raise Interrupted
        return False

    recorder = Recorder(config, seed)
    with pytest.raises(Interrupted):
        train_model(
            config, TRAIN, VALIDATION, seed=seed, device=CPU, on_epoch=on_epoch, resume=recorder
        )
    assert len(recorder.weights) == config.epoch
    return recorder.weights


def train(config: AutoencoderConfig, *, seed: int = 0, **kwargs: Any) -> TrainResult:
    """Train on the module's pictures."""
    return train_model(config, TRAIN, VALIDATION, seed=seed, **kwargs)


def plain(config: AutoencoderConfig) -> AutoencoderConfig:
    """Return the configuration of the autoencoder alone."""
    return replace(config, classification=None)


def timeless(curve: Sequence[EpochMetrics]) -> list[EpochMetrics]:
    """Return a curve without its times."""
    return [replace(metrics, seconds=0.0) for metrics in curve]


def errors(curve: Sequence[EpochMetrics]) -> list[tuple[float, float]]:
    """Return the reconstruction errors of a curve."""
    return [(metrics.train_mse, metrics.validation_mse) for metrics in curve]


def collector(seen: list[EpochMetrics]) -> Callable[[EpochMetrics], bool]:
    """Return a hook that keeps what it gets and lets training go on."""

    def collect(metrics: EpochMetrics) -> bool:
        seen.append(metrics)
        return False

    return collect


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
    assert found.confusion is not None
    assert expected.confusion is not None
    assert torch.equal(found.confusion, expected.confusion)


def balanced_weights(labels: Tensor) -> list[float]:
    """Return the weight of each class: inverse to its number of images, over those present."""
    counts = [labels.tolist().count(label) for label in range(4)]
    n_present = sum(count > 0 for count in counts)
    return [len(labels) / (n_present * count) if count else 0.0 for count in counts]


def class_weights_of(config: AutoencoderConfig) -> list[float]:
    """Return the weights of the classes in the loss."""
    return balanced_weights(TRAIN.labels) if config.to_dict()["class_weights"] else [1.0] * 4


def cross_entropy_of(logits: Tensor, labels: Tensor, weights: list[float]) -> Tensor:
    """Return the cross-entropy, image by image: the mean, weighted by class."""
    total, total_weight = torch.zeros((), dtype=logits.dtype), 0.0
    for row, label in zip(logits, labels.tolist(), strict=True):
        total = total + weights[label] * (row.exp().sum().log() - row[label])
        total_weight += weights[label]
    return total / total_weight


def validation_by_hand(model: MultitaskAutoencoder, config: AutoencoderConfig) -> dict[str, float]:
    """Return the validation metrics of a model, image by image, in evaluation mode."""
    model.eval()
    squares, rows = [], []
    with torch.no_grad():
        for image in VALIDATION.images.float() / 255:
            reconstruction, logits = model.forward_tasks(image[None])
            squares.append(((reconstruction - image) ** 2).mean().item())
            rows.append(logits[0].double())
    labels = VALIDATION.labels.tolist()
    logits = torch.stack(rows)
    right = [int(row.argmax().item() == label) for row, label in zip(logits, labels, strict=True)]
    recalls = []
    for label in sorted(set(labels)):
        of_class = [hit for hit, other in zip(right, labels, strict=True) if other == label]
        recalls.append(sum(of_class) / len(of_class))
    mse = sum(squares) / len(squares)
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
    """Train both tasks as the documentation says, with losses, means and Adam written out.

    Args:
        config: What to train, in batches of 4 or 16.
        n_shared: Modules of the encoder before the fork, None where there is none.
        seed: Of the training.
    """
    curve = []
    weights = class_weights_of(config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # of initial weights and, after them, of dropout
        model = cast(MultitaskAutoencoder, build_model(config))
        generator = torch.Generator().manual_seed(seed)
        adam = WrittenOutAdam(config, list(model.parameters()))
        for _ in range(config.epoch):
            order = torch.randperm(len(TRAIN.images), generator=generator)
            images = augment(TRAIN.images[order].float() / 255, generator)
            labels = TRAIN.labels[order]
            sums = dict.fromkeys(("mse", "cross_entropy", "total", "accuracy"), 0.0)
            model.train()
            for batch in BATCHES[config.batch_size]:
                originals, truth = images[batch], labels[batch]
                if n_shared is None:
                    latents = seen = model.encoder(originals)
                else:
                    assert model.branch is not None
                    shared = model.encoder[:n_shared](originals)
                    latents, seen = model.encoder[n_shared:](shared), model.branch(shared)
                logits = model.classifier(seen)
                squares = (model.decoder(latents) - originals) ** 2
                mse = torch.stack([square.sum() / (3 * 64 * 64) for square in squares]).mean()
                entropy = cross_entropy_of(logits, truth, weights)
                loss = mse + config.to_dict()["classification_lambda"] * entropy
                adam.step(loss)
                sums["mse"] += len(batch) * mse.item()
                sums["cross_entropy"] += len(batch) * entropy.item()
                sums["total"] += len(batch) * loss.item()
                for row, label in zip(logits, truth.tolist(), strict=True):
                    sums["accuracy"] += int(row.argmax()) == label
            means = {f"train_{name}": value / len(labels) for name, value in sums.items()}
            curve.append(means | validation_by_hand(model, config))
    return curve


def assert_close(found: MultitaskMetrics, expected: dict[str, float], rel: float) -> None:
    """Compare all metrics of an epoch but its number and its time."""
    values = asdict(found)
    del values["epoch"], values["seconds"]
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize(
    ("config", "n_shared"),
    [
        (SMALL, None),
        (with_fields(SMALL, classification_layer_num=3, class_weights=True), None),
        (
            with_fields(
                SMALL, classification_layer_num=1, classification_lambda=3, weight_decay=0.1
            ),
            None,
        ),
        (with_fields(BATCH_NORM, schedule="one_cycle", learning_rate=0.01), None),
        (with_fields(SMALL, normalization="group", schedule="cosine"), None),
        (BRANCHED, 2),
        (with_fields(BRANCHED, branch_point=2, class_weights=True, learning_rate=0.01), 4),
        (with_fields(BRANCHED, normalization="batch"), 3),
        (LINEAR, None),
        (with_fields(LINEAR, strategy="branched", branch_point=3), 7),
    ],
    ids=[
        *("joint", "class_weights", "decay", "one_cycle", "cosine"),
        *("branched", "branched_late", "branched_batch", "linear", "linear_branched"),
    ],
)
def test_training_is_the_references(config: AutoencoderConfig, n_shared: int | None) -> None:
    """Every metric of every epoch is that of a plain loop with both losses written out."""
    expected = reference_curve(config, n_shared, seed=3)
    found = train(config, seed=3).curve
    assert [metrics.epoch for metrics in found] == list(range(config.epoch))
    for metrics, reference in zip(found, expected, strict=True):
        assert isinstance(metrics, MultitaskMetrics)
        # Division by the deviation within a batch magnifies the rounding of other kernels.
        assert_close(metrics, reference, rel=2e-3 if config.normalization == "batch" else 1e-5)
        assert len(reference) == 9
    first, last = expected[0], expected[-1]
    assert abs(last["validation_mse"] / first["validation_mse"] - 1) > 0.01  # it learns something
    assert abs(last["train_cross_entropy"] / first["train_cross_entropy"] - 1) > 0.01


@pytest.mark.parametrize(
    "config",
    [
        with_fields(BATCH_NORM, class_weights=True),
        with_fields(BRANCHED, normalization="batch", classification_lambda=2),
        with_fields(SMALL, classification_lambda=0),
        with_fields(SMALL, dropout=0.9, classification_layer_num=3),
    ],
    ids=["weights", "branched", "without", "dropout"],
)
def test_validation_metrics_are_those_of_the_epochs_model(config: AutoencoderConfig) -> None:
    """MSE, cross-entropy, total and accuracies are the model's after the epoch, in evaluation."""
    curve = train(config, seed=2).curve
    for state, metrics in zip(weights_by_epoch(config, seed=2), curve, strict=True):
        model = cast(MultitaskAutoencoder, initial_model(config, seed=9))
        model.load_state_dict(state)
        assert isinstance(metrics, MultitaskMetrics)
        assert_close(metrics, validation_by_hand(model, config), rel=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "one_cycle", "cosine"])
@pytest.mark.parametrize("normalization", ["none", "batch", "group"])
@pytest.mark.parametrize(
    "strategy",
    [
        {"classification_lambda": 0},
        {"classification_lambda": 0, "strategy": "branched"},
        {"strategy": "sequential"},
    ],
    ids=["joint", "branched", "sequential"],
)
def test_without_influence_the_autoencoder_is_the_plain_one(
    strategy: dict[str, Any], normalization: Normalization, schedule: Schedule
) -> None:
    """With lambda 0, or before the classifier's turn, all weights are equal bit for bit."""
    config = with_fields(
        SMALL, normalization=normalization, schedule=schedule, weight_decay=0.01, **strategy
    )
    assert_autoencoder_is_the_plain_one(config)


@pytest.mark.parametrize("strategy", [{"classification_lambda": 0}, {"strategy": "sequential"}])
def test_without_influence_the_linear_autoencoder_is_the_plain_one(
    strategy: dict[str, Any],
) -> None:
    """So it is for the fully connected one."""
    assert_autoencoder_is_the_plain_one(with_fields(LINEAR, **strategy))


def assert_autoencoder_is_the_plain_one(config: AutoencoderConfig) -> None:
    """Compare with ``train_autoencoder``: encoder and decoder after every epoch, and the curve."""
    alone = train_autoencoder(plain(config), TRAIN.images, VALIDATION.images, seed=5)
    both = train(config, seed=5)
    start = initial_model(config, 5).state_dict()
    for found, expected in zip(
        weights_by_epoch(config, seed=5), weights_by_epoch(plain(config), seed=5), strict=True
    ):
        assert same_state(part(found, "encoder.", "decoder."), expected)
        trained = {name for name, _ in both.model.named_parameters()}
        for name, value in part(found, "classifier.", "branch.").items():
            if name in trained:  # not so the running statistics of a branch
                assert torch.equal(value, start[name]), name
    assert errors(both.curve) == errors(alone.curve)
    assert same_state(
        part(both.model.state_dict(), "encoder.", "decoder."), alone.model.state_dict()
    )
    assert same_state(alone.model.state_dict(), part(start, "encoder.", "decoder.")) is False


@pytest.mark.parametrize("config", [SMALL, BRANCHED])
def test_without_weight_the_classifier_is_left_alone(config: AutoencoderConfig) -> None:
    """With lambda 0 neither optimizer nor gradient knows of it; with any other lambda both do."""
    for weight in (0.0, 0.5):
        model = initial_model(config, seed=0).train()
        task = Multitask(
            config=config,
            weight=weight,
            model=cast(MultitaskAutoencoder, model),
            validation=to_float(VALIDATION.images, CPU),
            labels=labels_of(config),
        )
        images = to_float(TRAIN.images, CPU)
        loss, sums = task.step(images, torch.arange(len(images)))
        loss.backward()
        trained = {id(parameter) for parameter in task.parameters()}
        for name, parameter in model.named_parameters():
            known = weight > 0 or name.startswith(("encoder.", "decoder."))
            assert (parameter.grad is not None) == known, name
            assert (id(parameter) in trained) == known, name
        mse, entropy, total, _ = (sums / len(images)).tolist()
        assert total == pytest.approx(loss.item()) == pytest.approx(mse + weight * entropy)
        assert not sums.requires_grad


def test_with_influence_the_autoencoder_is_another() -> None:
    """Even a small lambda changes the encoder's course; a branch only that of shared layers."""
    alone = weights_by_epoch(plain(SMALL))[0]
    for config in (with_fields(SMALL, classification_lambda=0.01), BRANCHED):
        found = weights_by_epoch(config)[0]
        assert not torch.equal(found["encoder.0.weight"], alone["encoder.0.weight"])


def test_all_strategies_see_the_same_batches() -> None:
    """With weights that stay the first errors of all strategies are equal."""
    config = with_fields(BATCH_NORM, learning_rate=1e-30, epoch=2)
    alone = train_autoencoder(plain(config), TRAIN.images, VALIDATION.images, seed=4).curve
    strategies: list[Strategy] = ["joint", "branched", "sequential"]
    joint, branched, sequential = (
        train(with_fields(config, strategy=strategy), seed=4) for strategy in strategies
    )
    assert timeless(joint.curve) == timeless(branched.curve)
    for result in (joint, branched, sequential):
        assert errors(result.curve) == errors(alone)


@pytest.mark.parametrize("config", [BATCH_NORM, BRANCHED, SEQUENTIAL])
def test_seed_decides_bit_for_bit(config: AutoencoderConfig) -> None:
    """The same arguments give the same result whatever the global state, another seed another."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = train(config, seed=5)
        torch.manual_seed(2)
        again = train(config, seed=5, device=CPU)
        other = train(config, seed=6)
    assert_same_result(again, first)
    assert errors(other.curve)[0] != errors(first.curve)[0]
    assert not same_state(other.model.state_dict(), first.model.state_dict())


@pytest.mark.parametrize("config", [SMALL, SEQUENTIAL])
def test_global_generator_is_untouched(config: AutoencoderConfig) -> None:
    """Training neither moves the global random state nor changes what was given to it."""
    given = [TRAIN.images, TRAIN.labels, VALIDATION.images, VALIDATION.labels]
    before = [tensor.clone() for tensor in given]
    state = torch.get_rng_state()
    train(config)
    with pytest.raises(DivergedError, match="diverged"):
        train(with_fields(config, learning_rate=1e30))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, given, before))


@pytest.mark.parametrize(
    "changes",
    [{}, {"classification_lambda": 3, "normalization": "batch"}, {"strategy": "branched"}],
    ids=["joint", "batch", "branched"],
)
def test_best_weights_are_kept(changes: dict[str, Any]) -> None:
    """All of the model, the classifier too, is that of the epoch with the lowest MSE."""
    config = with_fields(RESTLESS, **changes)
    lowest = [math.inf]

    def stop_when_worse(metrics: EpochMetrics) -> bool:
        lowest.append(min(lowest[-1], metrics.validation_mse))
        return metrics.validation_mse > lowest[-2]

    result = train(config, on_epoch=stop_when_worse)
    assert result.best == min(result.curve, key=lambda metrics: metrics.validation_mse)
    assert len(result.curve) < config.epoch, "the test needs a best that is not the last"
    assert result.best == result.curve[-2]
    kept = weights_by_epoch(with_fields(config, epoch=len(result.curve) - 1))[-1]
    assert same_state(result.model.state_dict(), kept)
    assert not any(module.training for module in result.model.modules())


@pytest.mark.parametrize("config", [BATCH_NORM, BRANCHED, SEQUENTIAL])
def test_confusion_is_that_of_the_kept_weights(config: AutoencoderConfig) -> None:
    """It counts each validation image once, and agrees with the model and its accuracies."""
    result = train(config, seed=1)
    model = cast(MultitaskAutoencoder, result.model)
    expected = [[0] * 4 for _ in range(4)]
    with torch.no_grad():
        for image, label in zip(VALIDATION.images, VALIDATION.labels.tolist(), strict=True):
            _, logits = model.forward_tasks(to_float(image[None], CPU))
            expected[label][int(logits.argmax())] += 1
    assert result.confusion is not None
    assert result.confusion.tolist() == expected
    assert result.confusion.sum(dim=1).tolist() == [2, 1, 0, 3]
    assert isinstance(result.best, MultitaskMetrics)
    by_hand = validation_by_hand(model, config)
    assert result.best.validation_accuracy == pytest.approx(by_hand["validation_accuracy"])
    assert result.best.validation_accuracy == pytest.approx(
        sum(expected[label][label] for label in range(4)) / 6
    )


def test_classify_uses_evaluation_mode() -> None:
    """Classification is by the running statistics and without dropout, and changes nothing."""
    config = with_fields(BATCH_NORM, dropout=0.9)
    model = cast(MultitaskAutoencoder, train(config).model.train())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = to_float(VALIDATION.images, CPU)
    confusions = [classify(model.train(), images, VALIDATION.labels) for _ in range(3)]
    assert same_state(model.state_dict(), before)
    assert not model.training
    expected = [[0] * 4 for _ in range(4)]
    with torch.no_grad():
        for image, label in zip(images, VALIDATION.labels.tolist(), strict=True):
            expected[label][int(model.forward_tasks(image[None])[1].argmax())] += 1
    assert [confusion.tolist() for confusion in confusions] == [expected] * 3


def stop_by_hand(values: Sequence[float], patience: int) -> int:
    """Return the number of epochs that are run until none was lower for so many."""
    best, waited = math.inf, 0
    for epoch, value in enumerate(values):
        waited = 0 if value < best else waited + 1
        best = min(best, value)
        if waited == patience:
            return epoch + 1
    return len(values)


@pytest.mark.parametrize("strategy", ["joint", "branched", "sequential"])
def test_early_stopping(strategy: Strategy) -> None:
    """Training ends so many epochs after its best one, and is otherwise the whole training."""
    config = with_fields(RESTLESS, strategy=strategy)
    whole = train(config)
    assert len(whole.curve) == config.epoch
    assert not whole.early_stopped
    weights = weights_by_epoch(config)
    lengths = []
    for patience in (1, 2, 3):
        result = train(with_fields(config, patience=patience))
        n = stop_by_hand([metrics.validation_mse for metrics in whole.curve], patience)
        lengths.append(n)
        assert timeless(result.curve) == timeless(whole.curve)[:n]
        best = min(result.curve, key=lambda metrics: metrics.validation_mse)
        assert result.best is not None
        assert (result.best.epoch, result.best.validation_mse) == (best.epoch, best.validation_mse)
        assert result.early_stopped == (n < config.epoch)
        assert not result.early_stopped or best.epoch == n - 1 - patience
        kept = part(weights[best.epoch], "encoder.", "decoder.")
        assert same_state(part(result.model.state_dict(), "encoder.", "decoder."), kept)
    assert lengths[0] < config.epoch, "the test needs an error that stops falling"


def test_an_equal_error_is_no_lower_one() -> None:
    """Weights that do not move are best in the first epoch, and patience ends after it."""
    result = train(with_fields(SMALL, learning_rate=1e-30, epoch=9, patience=4))
    assert len(result.curve) == 5
    assert result.best == result.curve[0]
    assert result.early_stopped


def test_patience_that_is_never_lost() -> None:
    """As many epochs as patience, or none worse, are all run."""
    for patience in (0, 4, 100):
        result = train(with_fields(SMALL, learning_rate=1e-30, epoch=4, patience=patience))
        assert len(result.curve) == 4
        assert not result.early_stopped


def test_sequential_training() -> None:
    """The autoencoder's epochs do not classify, the classifier's go on counting after them."""
    seen: list[EpochMetrics] = []
    config = with_fields(RESTLESS, strategy="sequential", epoch=8)
    result = train(config, on_epoch=collector(seen))
    assert tuple(seen) == result.curve
    assert {type(metrics) for metrics in result.curve} == {EpochMetrics}
    assert {type(metrics) for metrics in result.classifier_curve} == {MultitaskMetrics}
    assert [metrics.epoch for metrics in result.curve] == list(range(8))
    assert [metrics.epoch for metrics in result.classifier_curve] == list(range(8, 16))
    kept = min(result.curve, key=lambda metrics: metrics.validation_mse)
    for metrics in result.classifier_curve:
        assert errors([metrics]) == errors([kept])
        assert metrics.train_total == metrics.train_cross_entropy
        assert metrics.validation_total == metrics.validation_cross_entropy
    seconds = [metrics.seconds for metrics in (*result.curve, *result.classifier_curve)]
    assert seconds == sorted(seconds)
    assert result.best == best_metrics(result.curve, result.classifier_curve)
    assert isinstance(result.best, MultitaskMetrics)
    by_hand = validation_by_hand(cast(MultitaskAutoencoder, result.model), config)
    assert result.best.validation_cross_entropy == pytest.approx(
        by_hand["validation_cross_entropy"], rel=1e-5
    )
    assert result.best.validation_mse == pytest.approx(by_hand["validation_mse"], rel=1e-5)
    lowest = min(metrics.validation_cross_entropy for metrics in result.classifier_curve)
    assert result.best.validation_cross_entropy == lowest


def test_sequential_training_fits_the_classifier_last() -> None:
    """Its classifier is what ``train_classifier`` makes of the best autoencoder, by one seed."""
    config = with_fields(RESTLESS, strategy="sequential", epoch=5, class_weights=True)
    result = train(config, seed=6)
    kept = min(result.curve, key=lambda metrics: metrics.validation_mse)
    model = cast(MultitaskAutoencoder, initial_model(config, seed=6))
    model.load_state_dict(weights_by_epoch(config, seed=6)[kept.epoch])
    curve = fit_classifier_of(config, model, after=result.curve, seed=6)
    for found, expected in zip(result.classifier_curve, curve, strict=True):
        values = asdict(expected)
        del values["epoch"], values["seconds"]
        assert_close(found, values, rel=1e-4)  # images in another layout


def test_joint_training_has_no_classifier_curve() -> None:
    """Where both are trained at once there is one curve, and its best is an epoch of it."""
    for config in (SMALL, BRANCHED, with_fields(SMALL, classification_lambda=0)):
        result = train(config)
        assert result.classifier_curve == ()
        assert result.best in result.curve


@pytest.mark.parametrize("config", [SMALL, BRANCHED, SEQUENTIAL])
def test_hook_stops(config: AutoencoderConfig) -> None:
    """A training that is stopped is the beginning of the whole one; no classifier follows it."""
    result = train(config, on_epoch=lambda metrics: metrics.epoch == 1)
    whole = train(config)
    assert timeless(result.curve) == timeless(whole.curve)[:2]
    assert result.classifier_curve == ()
    assert not result.early_stopped
    assert result.best == min(result.curve, key=lambda metrics: metrics.validation_mse)
    assert (result.confusion is None) == (config.to_dict()["strategy"] == "sequential")


# The classifier of a frozen autoencoder.

AFTER = [
    EpochMetrics(epoch=0, train_mse=0.5, validation_mse=0.375, seconds=1.0),
    EpochMetrics(epoch=1, train_mse=0.25, validation_mse=0.125, seconds=2.0),
    EpochMetrics(epoch=2, train_mse=0.0625, validation_mse=0.25, seconds=3.0),
]
FROZEN = with_fields(SEQUENTIAL, normalization="batch", epoch=12, learning_rate=0.05)


def labels_of(config: AutoencoderConfig) -> Labels:
    """Return the labels of the module's pictures."""
    weights = class_weights_of(config)
    weighed = config.to_dict()["class_weights"]
    return Labels(
        train=TRAIN.labels,
        validation=VALIDATION.labels,
        weights=torch.tensor(weights) if weighed else None,
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
        parameters = list(model.classifier.parameters())
        adam = WrittenOutAdam(config, parameters)
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
        assert len(reference) == 9


@pytest.mark.parametrize("normalization", ["none", "batch", "group"])
def test_frozen_weights_stay(normalization: Normalization) -> None:
    """Neither a weight nor a running statistic but the classifier's changes, and these do."""
    config = with_fields(FROZEN, normalization=normalization, weight_decay=0.1)
    model = used_model(config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit_classifier_of(config, model)
    after = model.state_dict()
    assert same_state(part(after, "encoder.", "decoder."), part(before, "encoder.", "decoder."))
    for name in part(after, "classifier."):
        assert not torch.equal(after[name], before[name]), name
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module.training for module in model.modules())


def test_classifier_of_the_lowest_cross_entropy_is_kept() -> None:
    """The classifier is that of its best epoch by cross-entropy, not by accuracy or the last."""
    model = used_model(FROZEN)
    curve = fit_classifier_of(FROZEN, model)
    best = min(curve, key=lambda metrics: metrics.validation_cross_entropy)
    assert best != curve[-1], "the test needs a best that is not the last"
    logits = model.classifier(frozen_latents(model, to_float(VALIDATION.images, CPU)))
    found = labels_of(FROZEN).cross_entropy(logits, VALIDATION.labels).item()
    assert found == best.validation_cross_entropy
    again = used_model(FROZEN)
    fit_classifier_of(with_fields(FROZEN, epoch=best.epoch - 2), again)
    assert same_state(model.state_dict(), again.state_dict())


def test_classifier_training_is_deterministic() -> None:
    """The seed decides order and dropout, the global state nothing."""
    results = []
    for global_seed, seed in ((1, 0), (2, 0), (3, 1)):
        model = used_model(FROZEN)
        with torch.random.fork_rng():
            torch.manual_seed(global_seed)
            state = torch.get_rng_state()
            curve = fit_classifier_of(FROZEN, model, seed=seed)
            assert torch.equal(torch.get_rng_state(), state)
        results.append((timeless(curve), model.state_dict()))
    assert results[0][0] == results[1][0]
    assert same_state(results[0][1], results[1][1])
    assert results[0][0] != results[2][0]


def test_classifier_stops_early() -> None:
    """The classifier has patience of its own, with its cross-entropy."""
    whole = fit_classifier_of(FROZEN, used_model(FROZEN))
    lengths = []
    for patience in (1, 2, 3):
        found = fit_classifier_of(with_fields(FROZEN, patience=patience), used_model(FROZEN))
        n = stop_by_hand([metrics.validation_cross_entropy for metrics in whole], patience)
        assert timeless(found) == timeless(whole)[:n]
        lengths.append(n)
    assert lengths[0] < FROZEN.epoch, "the test needs an error that stops falling"


def test_frozen_latents() -> None:
    """Latents are those of single images, by the running statistics, without gradient."""
    model = used_model(FROZEN)
    images = to_float(VALIDATION.images, CPU)
    latents = frozen_latents(model.train(), images)
    assert latents.shape == (6, 8 * 8 * 8)
    assert not latents.requires_grad
    with torch.no_grad():
        expected = [model.encode(image[None]).flatten() for image in images]
    torch.testing.assert_close(latents, torch.stack(expected), rtol=1e-5, atol=1e-6)


def test_diverging_classifier() -> None:
    """An absurd learning rate raises, with the autoencoder's epochs and its best."""
    config = with_fields(FROZEN, learning_rate=1e30)
    model = used_model(config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(
        DivergedError, match=r"^Training of the classifier diverged in epoch 1: cross-entropy"
    ) as caught:
        fit_classifier_of(config, model)
    result = caught.value.result
    assert result.curve == tuple(AFTER)
    assert result.best == AFTER[1]
    assert result.model is model
    assert not any(module.training for module in model.modules())
    frozen = part(model.state_dict(), "encoder.", "decoder.")
    assert same_state(frozen, part(before, "encoder.", "decoder."))


def test_diverged_classifier_has_its_best_weights() -> None:
    """The model of the result can be used: its classifier is that of the best epoch, or new."""
    config = with_fields(FROZEN, learning_rate=1e30)
    model = used_model(config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DivergedError, match="epoch 1:") as caught:
        fit_classifier_of(config, model)
    assert same_state(caught.value.result.model.state_dict(), before)


def test_best_metrics() -> None:
    """The reconstruction of the best epoch, with the classification of the best classifier."""
    first, best, last = AFTER
    rows = [
        MultitaskMetrics(
            epoch=epoch,
            train_mse=0.25,
            validation_mse=0.125,
            seconds=9.0 + epoch,
            train_cross_entropy=1.0,
            train_total=1.0,
            train_accuracy=0.5,
            validation_cross_entropy=entropy,
            validation_total=entropy,
            validation_accuracy=accuracy,
            validation_balanced_accuracy=0.25,
        )
        for epoch, entropy, accuracy in ((3, 2.0, 0.9), (4, 1.0, 0.6), (5, 1.0, 0.7))
    ]
    assert best_metrics(AFTER, []) == best
    assert best_metrics([last, replace(best, validation_mse=0.25)], []) == last
    assert best_metrics([first], rows[:1]) == replace(rows[0], epoch=0, seconds=1.0)
    assert best_metrics(AFTER, rows) == replace(rows[1], epoch=1, seconds=2.0)
    assert best_metrics(rows, []) == rows[0]


# Trainings that are interrupted and go on.

RESUMED = {
    "joint": with_fields(SMALL, classification_layer_num=3, dropout=0.5),
    "branched": with_fields(BRANCHED, normalization="batch", schedule="one_cycle"),
    "sequential": with_fields(SEQUENTIAL, normalization="batch", class_weights=True),
    "patience": with_fields(RESTLESS, patience=2),
    "sequential-patience": with_fields(RESTLESS, strategy="sequential", patience=1),
    "without": with_fields(BRANCHED, classification_lambda=0, schedule="cosine"),
}


def train_resumed(
    config: AutoencoderConfig, path: Path, stop_after: int | None
) -> tuple[TrainResult | None, list[int]]:
    """Go on with a training, be interrupted after an epoch if asked; return its epochs too."""
    seen = []

    def on_epoch(metrics: EpochMetrics) -> bool:
        seen.append(metrics.epoch)
        if metrics.epoch == stop_after:
            raise Interrupted
        return False

    resume = ResumeFile(path, identity=config.identity(), seed=0, max_epochs=config.epoch)
    try:
        return train(config, on_epoch=on_epoch, resume=resume), seen
    except Interrupted:
        return None, seen


@pytest.mark.parametrize("name", RESUMED)
def test_an_interrupted_training_ends_like_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    """Interrupted after any epoch, a training ends with the same result bit for bit."""
    config = RESUMED[name]
    whole = train(config)
    n = len(whole.curve)
    assert n < config.epoch or not config.patience, "the test needs an early end"
    for stop_after in range(n):
        path = tmp_path / f"{stop_after}.pt"
        assert train_resumed(config, path, stop_after) == (None, list(range(stop_after + 1)))
        resumed, seen = train_resumed(config, path, None)
        assert resumed is not None
        assert_same_result(resumed, whole)
        if stop_after + 1 < config.epoch:  # a state at the very end is not used
            assert seen == list(range(stop_after + 1, n))


@pytest.mark.parametrize("name", ["joint", "branched", "sequential"])
def test_a_training_is_interrupted_again_and_again(name: str, tmp_path: Path) -> None:
    """Interrupted after each epoch in turn, it still ends the same."""
    config = RESUMED[name]
    for stop_after in range(config.epoch - 1):
        assert train_resumed(config, tmp_path / "state.pt", stop_after) == (None, [stop_after])
    resumed, _ = train_resumed(config, tmp_path / "state.pt", None)
    assert resumed is not None
    assert_same_result(resumed, train(config))


def test_a_state_keeps_its_metrics(tmp_path: Path) -> None:
    """What was reached is read from the state: both kinds of metrics, and the best weights."""
    for config, kind in ((SMALL, MultitaskMetrics), (SEQUENTIAL, EpochMetrics)):
        path = tmp_path / config.to_dict()["strategy"]
        train_resumed(config, path, 2)
        file = ResumeFile(path, identity=config.identity(), seed=0, max_epochs=config.epoch)
        assert file.state is not None
        assert {type(metrics) for metrics in file.state.curve} == {kind}
        reached = suspended_result(config, file.state)
        stopped = train(config, on_epoch=lambda metrics: metrics.epoch == 2)
        assert timeless(reached.curve) == timeless(stopped.curve)
        assert reached.best == min(reached.curve, key=lambda metrics: metrics.validation_mse)
        assert same_state(reached.model.state_dict(), stopped.model.state_dict())


# Ends that are no success.


@pytest.mark.parametrize("config", [SMALL, BRANCHED, SEQUENTIAL])
def test_divergence_in_the_first_epoch(config: AutoencoderConfig) -> None:
    """An absurd learning rate raises, with the curve so far and the initial weights."""
    with pytest.raises(DivergedError, match=r"^Training diverged in epoch 1: train") as caught:
        train(with_fields(config, learning_rate=1e30), seed=8)
    result: TrainResult = caught.value.result
    assert [metrics.epoch for metrics in result.curve] == [0]
    assert result.best is None
    assert same_state(result.model.state_dict(), initial_model(config, 8).state_dict())
    assert not any(module.training for module in result.model.modules())


def test_divergence_keeps_the_best() -> None:
    """A rate that grows until numbers overflow raises, with the best of the finite epochs."""
    config = with_fields(SMALL, epoch=10, batch_size=16, schedule="one_cycle", learning_rate=1e7)
    seen: list[EpochMetrics] = []
    with pytest.raises(DivergedError, match=r"^Training diverged in epoch \d+: .*") as caught:
        train(config, on_epoch=collector(seen))
    result = caught.value.result
    assert len(result.curve) > 1, "the test needs a finite epoch first"
    assert tuple(seen) == result.curve[:-1]
    assert not math.isfinite(sum(asdict(result.curve[-1]).values()))
    assert result.best == min(seen, key=lambda metrics: metrics.validation_mse)
    by_hand = validation_by_hand(result.model, config)
    assert result.best.validation_mse == pytest.approx(by_hand["validation_mse"], rel=1e-5)


@pytest.mark.parametrize(("n_train", "n_validation"), [(1, 1), (0, 3), (2, 0)])
def test_too_few_images(n_train: int, n_validation: int) -> None:
    """Fewer than two training images, or no validation image, cannot train."""

    def first(images: LabelledImages, n: int) -> LabelledImages:
        return LabelledImages(images=images.images[:n], labels=images.labels[:n])

    message = rf"^Training needs at least 2 .*, but got {n_train} and {n_validation}\.$"
    with pytest.raises(DataError, match=message):
        train_model(SMALL, first(TRAIN, n_train), first(VALIDATION, n_validation), seed=0)


@pytest.mark.parametrize("config", [SMALL, BRANCHED, SEQUENTIAL])
def test_smallest_training(config: AutoencoderConfig) -> None:
    """Two training images and one validation image are enough, with or without a hidden layer."""
    two = LabelledImages(images=TRAIN.images[:2], labels=TRAIN.labels[:2])
    one = LabelledImages(images=VALIDATION.images[:1], labels=VALIDATION.labels[:1])
    for changes in ({"classification_layer_num": 1}, {"class_weights": True}):
        small = with_fields(config, epoch=1, normalization="batch", **changes)  # type: ignore[arg-type]
        result = train_model(small, two, one, seed=0)
        assert len(result.curve) == 1
        assert isinstance(result.best, MultitaskMetrics)
        assert all(math.isfinite(value) for value in asdict(result.best).values())
