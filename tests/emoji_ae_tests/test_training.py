"""Training of both kinds: against a slow reference, its weights, its randomness, its ends."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, OneCycleLR

from emoji_ae.augment import augment
from emoji_ae.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from emoji_ae.classification import class_weights
from emoji_ae.config import AutoencoderConfig, Strategy, multitask_config
from emoji_ae.curve import EpochMetrics
from emoji_ae.dataset import LabelledImages
from emoji_ae.errors import DataError
from emoji_ae.evaluation import reconstruct, reconstruction_errors, to_float
from emoji_ae.latent import encode
from emoji_ae.losses import color_error, edge_error
from emoji_ae.models import Autoencoder, MultitaskAutoencoder, build_model
from emoji_ae.resume import read_state
from emoji_ae.tasks import Labels
from emoji_ae.training import (
    DivergedError,
    TrainResult,
    suspended_result,
    train_classifier,
    train_model,
)
from tests.emoji_ae_tests.reference import initial_model, pictures, with_fields

CPU = torch.device("cpu")
LABELS = torch.tensor([0, 1, 3, 3, 0, 3, 1, 3, 0, 2])  # of the first six, one is absent
TRAIN = LabelledImages(images=pictures(10, seed=0), labels=LABELS)
VALIDATION = LabelledImages(images=pictures(6, seed=1), labels=LABELS[:6])
BATCHES = {3: [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]], 4: [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]}
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
)
BATCH_NORM = with_fields(SMALL, normalization="batch")
BRANCHED = with_fields(SMALL, strategy="branched", branch_point=1)
SEQUENTIAL = with_fields(BATCH_NORM, strategy="sequential", epoch=12, learning_rate=0.05)
LINEAR = with_fields(SMALL, auto_encoder="linear", bottleneck_dim=8, epoch=2, learning_rate=1e-3)
RESTLESS = with_fields(SMALL, epoch=20, learning_rate=0.08)
"""Its error rises and falls again."""
PLAIN = replace(SMALL, classification=None)
PLAIN_BATCH_NORM = replace(PLAIN, normalization="batch")


def train(config: AutoencoderConfig, **kwargs: Any) -> TrainResult:
    """Train on the module's pictures."""
    return train_model(config, TRAIN, VALIDATION, **({"seed": 0} | kwargs))


@cache
def trained(config: AutoencoderConfig) -> TrainResult:
    """Return a whole training, whose model several tests look at."""
    return train(config)


def stopped_last(config: AutoencoderConfig) -> TrainResult:
    """Return a training that is stopped after its last epoch, before a classifier's turn."""
    return train(config, on_epoch=lambda metrics: metrics.epoch + 1 == config.epoch)


def with_classifier(config: AutoencoderConfig, frozen: TrainResult) -> TrainResult:
    """Train the classifier of a trained autoencoder on the module's pictures."""
    sides = (to_float(side.images, CPU) for side in (TRAIN, VALIDATION))
    return train_classifier(config, frozen, *sides, labels_of(config), seed=0)


def timeless(curve: Sequence[EpochMetrics]) -> list[EpochMetrics]:
    """Return a curve without its times."""
    return [replace(metrics, seconds=0.0) for metrics in curve]


def errors(result: TrainResult) -> list[tuple[float, float]]:
    """Return the reconstruction errors of a curve."""
    return [(metrics.train_mse, metrics.validation_mse) for metrics in result.curve]


def state_of(model: nn.Module, *prefixes: str) -> dict[str, str]:
    """Return a digest of each tensor of a model's state, or of those under some names."""
    return {
        name: hashlib.sha256(value.numpy().tobytes()).hexdigest()
        for name, value in model.state_dict().items()
        if name.startswith(prefixes or "")
    }


def all_of(result: TrainResult) -> dict[str, Any]:
    """Return all of a result but its times, to be compared bit for bit."""
    return {
        "curve": timeless(result.curve),
        "classifier_curve": timeless(result.classifier_curve),
        "best": result.best and replace(result.best, seconds=0.0),
        "confusion": None if result.confusion is None else result.confusion.tolist(),
        "early_stopped": result.early_stopped,
        "state": state_of(result.model),
    }


def labels_of(config: AutoencoderConfig) -> Labels:
    """Return the labels of the module's pictures, and the weights of classes if asked for."""
    weighed = config.to_dict()["class_weights"]
    weights = class_weights(TRAIN.labels) if weighed else None
    return Labels(train=TRAIN.labels, validation=VALIDATION.labels, weights=weights)


def validation_by_hand(model: Autoencoder, config: AutoencoderConfig) -> dict[str, Any]:
    """Return the validation metrics of a model, image by image, in evaluation mode."""
    model.eval()
    images = VALIDATION.images.float() / 255
    with torch.no_grad():
        squares = [((model(image[None]) - image) ** 2).mean().item() for image in images]
        mse = sum(squares) / len(squares)
        if not isinstance(model, MultitaskAutoencoder):
            return {"validation_mse": mse}
        logits = torch.cat([model.forward_tasks(image[None])[1] for image in images])
    pairs = [*zip(VALIDATION.labels.tolist(), logits.argmax(dim=1).tolist(), strict=True)]
    table = [[pairs.count((label, found)) for found in range(4)] for label in range(4)]
    recalls = [row[i] / sum(row) for i, row in enumerate(table) if sum(row)]
    entropy = labels_of(config).cross_entropy(logits, VALIDATION.labels).item()
    return {
        "validation_mse": mse,
        "validation_cross_entropy": entropy,
        "validation_total": mse + config.to_dict()["classification_lambda"] * entropy,
        "validation_accuracy": sum(row[i] for i, row in enumerate(table)) / len(images),
        "validation_balanced_accuracy": sum(recalls) / len(recalls),
        "confusion": table,
    }


def reference_curve(config: AutoencoderConfig) -> list[dict[str, float]]:
    """Train as the documentation says, with losses and means written out."""
    curve, batches = [], BATCHES[config.batch_size]
    n_steps = config.epoch * len(batches)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of initial weights and, after them, of dropout
        model = build_model(config)
        generator = torch.Generator().manual_seed(0)
        rates = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
        adam = torch.optim.Adam(model.parameters(), **rates, foreach=False)
        schedule = {
            "constant": partial(ConstantLR, factor=1),
            "cosine": partial(CosineAnnealingLR, T_max=n_steps),
            "one_cycle": partial(OneCycleLR, max_lr=config.learning_rate, total_steps=n_steps),
        }[config.schedule](adam)
        for _ in range(config.epoch):
            order = torch.randperm(len(TRAIN.images), generator=generator)
            images = augment(TRAIN.images[order].float() / 255, generator)
            labels = TRAIN.labels[order]
            sums: dict[str, float] = {}
            model.train()
            for batch in batches:
                originals, truth = images[batch], labels[batch]
                values: dict[str, Tensor] = {}
                if isinstance(model, MultitaskAutoencoder):
                    made, logits = model.forward_tasks(originals)
                    values["cross_entropy"] = labels_of(config).cross_entropy(logits, truth)
                    values["accuracy"] = (logits.argmax(dim=1) == truth).double().mean()
                else:
                    made = model(originals)
                squares = (made - originals) ** 2
                values["mse"] = squares.sum(dim=(1, 2, 3)).mean() / (3 * 64 * 64)
                loss = values["mse"] + config.edge_weight * edge_error(made, originals)
                loss = loss + config.color_weight * color_error(made, originals)
                if config.kl_weight:
                    loss = loss + config.kl_weight * model.divergence() / (3 * 64 * 64)
                if "cross_entropy" in values:
                    weight = config.to_dict()["classification_lambda"]
                    loss = values["total"] = loss + weight * values["cross_entropy"]
                adam.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
                schedule.step()
                for name, value in values.items():
                    sums[name] = sums.get(name, 0.0) + len(batch) * value.item()
            means = {f"train_{name}": value / len(labels) for name, value in sums.items()}
            curve.append(means | validation_by_hand(model, config))
    return curve


def assert_close(found: Sequence[EpochMetrics], expected: Sequence[Any], rel: float) -> None:
    """Compare all metrics of epochs but their numbers and times."""
    unlike = {"epoch", "seconds", "confusion"}
    for metrics, reference in zip(found, expected, strict=True):
        wanted = {name: value for name, value in reference.items() if name not in unlike}
        values = {name: value for name, value in asdict(metrics).items() if name not in unlike}
        assert values == pytest.approx(wanted, rel=rel)


@pytest.mark.parametrize(
    "config",
    [
        replace(PLAIN, batch_size=3, weight_decay=0.01),
        replace(PLAIN, edge_weight=0.5, color_weight=0.2, kl_weight=0.01),
        replace(PLAIN, normalization="group", schedule="cosine", activation="gelu"),
        replace(PLAIN_BATCH_NORM, schedule="one_cycle", learning_rate=0.01),
        with_fields(BATCH_NORM, classification_lambda=3, edge_weight=0.5, weight_decay=0.1),
        with_fields(BRANCHED, branch_point=2, class_weights=True, learning_rate=0.01),
        with_fields(LINEAR, strategy="branched", branch_point=3),
    ],
)
def test_training_is_the_references(config: AutoencoderConfig) -> None:
    """Every metric of every epoch is that of a plain loop with losses written out."""
    expected = reference_curve(config)
    found = trained(config).curve
    assert [metrics.epoch for metrics in found] == list(range(config.epoch))
    # Division by the deviation within a batch magnifies the rounding of other kernels.
    batch_rel = 2e-3 if config.classification else 1e-4
    assert_close(found, expected, rel=batch_rel if config.normalization == "batch" else 1e-5)
    for name in {"validation_mse", "train_cross_entropy"} & expected[0].keys():
        assert abs(expected[-1][name] / expected[0][name] - 1) > 0.01, "it must learn something"


@pytest.mark.parametrize(
    "config",
    [PLAIN_BATCH_NORM, with_fields(BATCH_NORM, dropout=0.9, class_weights=True), SEQUENTIAL],
)
def test_metrics_are_those_of_the_kept_weights(config: AutoencoderConfig) -> None:
    """Best metrics and confusion, of each image once, are the kept model's in evaluation mode."""
    result = trained(config)
    sequential = config.to_dict().get("strategy") == "sequential"
    assert not any(module.training for module in result.model.modules())
    assert bool(result.classifier_curve) == sequential
    expected = validation_by_hand(result.model, config)
    confusion = expected.pop("confusion", None)
    assert (None if result.confusion is None else result.confusion.tolist()) == confusion
    if sequential:
        expected["validation_total"] = expected["validation_cross_entropy"]
    values = asdict(result.best)
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        with_fields(SMALL, classification_lambda=0, edge_weight=0.5, weight_decay=0.01),
        with_fields(BRANCHED, classification_lambda=0, normalization="batch"),
        with_fields(SEQUENTIAL, epoch=4, schedule="one_cycle"),
    ],
)
def test_without_influence_the_autoencoder_is_the_plain_one(config: AutoencoderConfig) -> None:
    """With lambda 0, or before the classifier's turn, its weights and curve are equal."""
    alone = trained(replace(config, classification=None))
    both = stopped_last(config)
    assert errors(both) == errors(alone)
    start, own = initial_model(config, 0), ("encoder.", "decoder.")
    assert state_of(start, *own) != state_of(both.model, *own) == state_of(alone.model)
    before = dict(start.named_parameters())
    for name, value in both.model.named_parameters():
        if name.startswith(("classifier.", "branch.")):
            assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("config", [PLAIN_BATCH_NORM, BRANCHED, SEQUENTIAL])
def test_seed_decides_bit_for_bit(config: AutoencoderConfig) -> None:
    """The result follows from the arguments, and neither these nor global states change."""
    given = [TRAIN.images, TRAIN.labels, VALIDATION.images, VALIDATION.labels]
    before = [tensor.clone() for tensor in given]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = train(config, seed=5)
        torch.manual_seed(2)
        state = torch.get_rng_state()
        assert all_of(train(config, seed=5, device=CPU)) == all_of(first)
        assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, given, before))
    other = trained(config)
    assert errors(other)[0] != errors(first)[0]
    assert state_of(other.model) != state_of(first.model)


def test_an_epoch_may_draw_a_part_of_the_images() -> None:
    """Its means are over those that were drawn; all of them is the rule."""
    assert errors(train(PLAIN, images_per_epoch=99)) == errors(trained(PLAIN))
    # Images that differ in nothing tell whether the mean is over as many as were trained on.
    still = replace(PLAIN, epoch=1, learning_rate=1e-30)
    alike = LabelledImages(images=TRAIN.images[:1].expand(10, 3, 64, 64), labels=TRAIN.labels)
    one, few = (
        train_model(still, alike, VALIDATION, seed=0, images_per_epoch=n).curve[0].train_mse
        for n in (None, 4)
    )
    assert one != few
    assert 0.6 < few / one < 1.6  # over all ten, it would be 0.4 of that


@pytest.mark.parametrize("strategy", ["joint", "sequential"])
def test_early_ends(strategy: Strategy) -> None:
    """By patience or by the hook, a training ends as the beginning of a longer one."""
    config = with_fields(RESTLESS, strategy=strategy)
    patient = trained(with_fields(config, patience=2))
    n = len(patient.curve)
    assert n < config.epoch, "the test needs an error that stops falling"
    assert patient.early_stopped
    assert patient.best.epoch == n - 3
    assert (patient.classifier_curve != ()) == (strategy == "sequential")

    stopped = train(config, on_epoch=lambda metrics: metrics.epoch == n - 1)
    assert timeless(stopped.curve) == timeless(patient.curve)
    assert not stopped.early_stopped
    assert stopped.classifier_curve == ()
    assert (stopped.confusion is None) == (strategy == "sequential")
    assert stopped.best == stopped.curve[n - 3]
    own = ("encoder.", "decoder.")
    assert state_of(patient.model, *own) == state_of(stopped.model, *own)


def test_sequential_training() -> None:
    """The best autoencoder's classifier is trained after it, and goes on counting."""
    config = with_fields(RESTLESS, strategy="sequential", epoch=5, class_weights=True)
    result, frozen = train(config), stopped_last(config)
    assert {type(metrics) for metrics in result.curve} == {EpochMetrics}
    assert [metrics.epoch for metrics in result.curve] == list(range(5))
    assert [metrics.epoch for metrics in result.classifier_curve] == list(range(5, 10))
    seconds = [metrics.seconds for metrics in (*result.curve, *result.classifier_curve)]
    assert 0 < seconds[0] < seconds[4] < seconds[5] < seconds[9]
    kept = min(result.curve, key=lambda metrics: metrics.validation_mse)
    chosen = min(result.classifier_curve, key=lambda metrics: metrics.validation_cross_entropy)
    assert result.best == replace(chosen, epoch=kept.epoch, seconds=kept.seconds)
    curve = with_classifier(config, frozen).classifier_curve
    # Images in another layout.
    assert_close(result.classifier_curve, [asdict(metrics) for metrics in curve], rel=1e-4)


def test_classifier_of_a_frozen_autoencoder() -> None:
    """Nothing else changes, the lowest cross-entropy is kept, and images are not augmented."""
    config = with_fields(SEQUENTIAL, epoch=40, learning_rate=0.02, dropout=0)
    frozen = stopped_last(with_fields(config, epoch=3))
    model, before = frozen.model, state_of(frozen.model)
    curve = with_classifier(config, frozen).classifier_curve
    assert [metrics.epoch for metrics in curve] == list(range(3, 43))
    changed = {name for name, value in state_of(model).items() if value != before[name]}
    assert changed == {name for name in before if name.startswith("classifier.")}
    best = min(curve, key=lambda metrics: metrics.validation_cross_entropy)
    assert best != curve[-1], "the test needs a best that is not the last"
    assert min(metrics.train_cross_entropy for metrics in curve) < 0.7 * curve[0].train_total
    assert validation_by_hand(model, config)["validation_cross_entropy"] == pytest.approx(
        best.validation_cross_entropy, rel=1e-5
    )

    still = with_fields(config, epoch=1, learning_rate=1e-30, class_weights=True)
    curve = with_classifier(still, frozen).classifier_curve
    with torch.no_grad():
        _, logits = model.forward_tasks(to_float(TRAIN.images, CPU))
    expected = validation_by_hand(model, still) | asdict(frozen.best)
    expected["validation_total"] = expected["validation_cross_entropy"]
    entropy = labels_of(still).cross_entropy(logits, TRAIN.labels).item()
    expected |= {"train_cross_entropy": entropy, "train_total": entropy}
    expected["train_accuracy"] = (logits.argmax(dim=1) == TRAIN.labels).double().mean().item()
    assert_close(curve, [expected], rel=1e-5)


def test_diverging_classifier() -> None:
    """An absurd learning rate raises, with the autoencoder's epochs and all weights as before."""
    config = with_fields(SEQUENTIAL, epoch=1)
    frozen = stopped_last(config)
    before, rule = state_of(frozen.model), "^Training of the classifier diverged in epoch 1: cross"
    with pytest.raises(DivergedError, match=rule) as caught:
        with_classifier(with_fields(config, learning_rate=1e30), frozen)
    assert caught.value.result is frozen
    assert state_of(frozen.model) == before


class ResumeFile:
    """Keeps the state of a training in a file, on an interruption alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, read: Callable[[Path], Any]) -> Any:
        """Read the file."""
        return read(self._path)

    def resumed(self, steps: Sequence[Mapping[str, float]]) -> None:
        """Do nothing."""

    def offer(self, save: Callable[[Path], object], *, n_bytes: int) -> None:
        """Do nothing."""

    def save(self, save: Callable[[Path], object]) -> None:
        """Write the file."""
        save(self._path)


def train_resumed(
    config: AutoencoderConfig, path: Path | None, stop_after: int | None
) -> tuple[TrainResult | None, list[int]]:
    """Go on with a training, be interrupted after an epoch if asked; return its epochs too."""
    seen = []

    def on_epoch(metrics: EpochMetrics) -> bool:
        seen.append(metrics.epoch)
        if metrics.epoch == stop_after:
            raise KeyboardInterrupt
        return False

    resume = None if path is None else ResumeFile(path)
    try:
        return train(config, on_epoch=on_epoch, resume=resume), seen
    except KeyboardInterrupt:
        return None, seen


def made_of_images(model: Autoencoder) -> list[Tensor]:
    """Return pictures, errors in any layout, latents, pictures of those, and strides."""
    images = to_float(VALIDATION.images, CPU)
    layouts = images, images.contiguous(memory_format=torch.channels_last)
    space = encode(model, VALIDATION.images, ["face"] * len(images))
    return [
        reconstruct(model.train(), VALIDATION.images),
        *(reconstruction_errors(model, arranged) for arranged in layouts),
        space.latents,
        space.decode(space.latents.contiguous()),
        *(torch.tensor(weight.stride()) for weight in model.state_dict().values()),
    ]


@pytest.mark.parametrize(
    "config",
    [
        replace(PLAIN_BATCH_NORM, schedule="cosine"),
        with_fields(BRANCHED, normalization="batch", schedule="one_cycle", dropout=0.5),
        with_fields(SEQUENTIAL, epoch=4, class_weights=True),
        with_fields(RESTLESS, patience=2),
        replace(PLAIN, normalization="group", kl_weight=0.01),
    ],
    ids=["batch", "branched", "sequential", "patience", "variational"],
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

    state = read_state(path, config, 0)
    reached = suspended_result(config, state)
    assert {type(metrics) for metrics in reached.curve} == {type(whole.curve[0])}
    assert timeless(reached.curve) == timeless(whole.curve)[:n_kept]
    assert reached.best == min(reached.curve, key=lambda metrics: metrics.validation_mse)
    stopped = train(config, on_epoch=lambda metrics: metrics.epoch + 1 == n_kept)
    assert state_of(reached.model) == state_of(stopped.model)

    resumed, seen = train_resumed(config, path, None)
    assert seen == list(range(n_kept, n))
    assert all_of(resumed) == all_of(whole)
    # Saved and loaded, it makes the same of images.
    kept = Checkpoint(model=resumed.model, config=config, seed=0, data_fingerprint="", curve=())
    save_checkpoint(kept, path)
    made = made_of_images(load_checkpoint(path).model)
    assert all(map(torch.equal, made, made_of_images(whole.model)))
    pictures, one, other, *_ = made
    with torch.no_grad():
        assert torch.equal(pictures, whole.model(VALIDATION.images / 255))
    assert torch.equal(one, other)
    assert one.mean().item() == whole.best.validation_mse


def test_a_state_that_does_not_fit_is_not_used(tmp_path: Path) -> None:
    """A state of another training, of too late an epoch, or a damaged one counts as none."""
    path = tmp_path / "state.pt"
    assert train_resumed(PLAIN, None, 0) == (None, [0])  # nor is one needed
    assert read_state(path, PLAIN, 0) is None
    train_resumed(PLAIN, path, 1)
    assert read_state(path, PLAIN, 0) is not None
    assert read_state(path, PLAIN, 1) is None
    for changes in ({"learning_rate": 0.5}, {"epoch": 2}):
        assert read_state(path, replace(PLAIN, **changes), 0) is None
    for content in (b"", path.read_bytes()[: path.stat().st_size // 2]):
        path.write_bytes(content)
        assert read_state(path, PLAIN, 0) is None


def test_divergence() -> None:
    """It raises with the curve so far and the best weights, the initial ones if there is none."""
    config = with_fields(SEQUENTIAL, learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"^Training diverged in epoch 1: train") as caught:
        train(config, on_epoch=lambda metrics: pytest.fail("called"))
    result: TrainResult = caught.value.result
    assert [metrics.epoch for metrics in result.curve] == [0]
    assert not math.isfinite(result.curve[0].validation_mse)
    assert result.best is None
    assert state_of(result.model) == state_of(initial_model(config, 0))
    assert not any(module.training for module in result.model.modules())


def few_images(config: AutoencoderConfig, n_train: int, n_validation: int) -> TrainResult:
    """Train for an epoch on the first of the module's pictures."""
    sides = (
        LabelledImages(images=side.images[:n], labels=side.labels[:n])
        for side, n in ((TRAIN, n_train), (VALIDATION, n_validation))
    )
    return train_model(replace(config, epoch=1), *sides, seed=0)


def test_smallest_training() -> None:
    """Two training images and one validation image are enough, for one step in all; fewer not."""
    for config in (
        replace(PLAIN_BATCH_NORM, schedule="one_cycle"),
        with_fields(BRANCHED, normalization="batch", class_weights=True, kl_weight=0.01),
        with_fields(SEQUENTIAL, schedule="cosine", class_weights=True),
    ):
        result = few_images(config, 2, 1)
        assert len(result.curve) == 1
        assert all(math.isfinite(value) for value in asdict(result.best).values())
    for n_train, n_validation in ((1, 1), (2, 0)):
        rule = rf"needs at least 2 training .* images, but got {n_train} and {n_validation}\.$"
        with pytest.raises(DataError, match=rule):
            few_images(PLAIN, n_train, n_validation)
