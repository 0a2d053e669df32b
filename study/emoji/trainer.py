"""Trains the emoji autoencoders for a study: ``emoji_ae`` behind the protocol of a kind."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import numpy as np
import torch

from emoji_ae.checkpoint import Checkpoint, load_checkpoint, load_training, save_checkpoint
from emoji_ae.choices import SplitMethod
from emoji_ae.classification import balanced_accuracy
from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics, MultitaskMetrics, best_metrics, metrics_from_dict
from emoji_ae.dataset import labelled_images, load_dataset
from emoji_ae.drawing.gallery import draw_gallery, drawable
from emoji_ae.drawing.learning_curve import learning_curve_png
from emoji_ae.drawing.strips import reconstructions_png
from emoji_ae.evaluation import classify, reconstruction_errors, to_float
from emoji_ae.images import captioned_png
from emoji_ae.labels import CLASSES
from emoji_ae.latent import encode
from emoji_ae.latent_quality import measure_latents
from emoji_ae.models import count_multiply_adds, count_parameters
from emoji_ae.recipes import gallery
from emoji_ae.resume import read_state
from emoji_ae.seeding import resolve_device
from emoji_ae.splits import Split, split_dataset
from emoji_ae.training import DivergedError, TrainResult, suspended_result, train_model
from storage import attrs
from study import kinds
from study.emoji.data import StudyData
from study.formats import format_number
from study.kinds import EXAMPLES, Run, Source, Step, Trainer, Training

BEST = (
    attrs.VALIDATION_MSE,
    attrs.VALIDATION_CROSS_ENTROPY,
    attrs.VALIDATION_ACCURACY,
    attrs.VALIDATION_BALANCED_ACCURACY,
)
"""What is told of the kept weights, of those that do not classify the first alone."""


class EmojiTrainer(Trainer):
    """Trains an autoencoder, or one that classifies as well."""

    def load(self, source: Source, sides: str | None) -> StudyData:
        if find_spec("torchvision") is None:  # it is needed when the first training has ended
            raise ModuleNotFoundError(name="torchvision")
        dataset = load_dataset(source.path, source.options.get("vendors", ()))
        if sides is None:
            method = cast(SplitMethod, source.split)  # checked before
            return StudyData(dataset, split_dataset(dataset, method=method, seed=source.seed))
        data = StudyData(dataset, Split.from_sides(sides))
        if len(sides) != len(dataset):
            raise kinds.OtherDataError(data.fingerprint)
        return data

    def train(self, config: AutoencoderConfig, data: StudyData, run: Run) -> "EmojiTraining":
        try:
            result = train_model(
                config,
                data.train_for(config),
                data.validation,
                seed=run.seed,
                device=torch.device(run.device),
                images_per_epoch=data.n_own,
                on_epoch=lambda metrics: run.step(asdict(metrics)),
                resume=run,
            )
        except DivergedError as error:
            training = EmojiTraining(error.result, config, data, run.seed)
            raise kinds.DivergedError(str(error), training) from None
        except kinds.Interrupted as error:
            # It was saved before the interruption was passed on.
            state = run.load(lambda path: read_state(path, config, run.seed))
            if state is not None:
                result = suspended_result(config, state)
                error.training = EmojiTraining(result, config, data, run.seed)
            raise
        return EmojiTraining(result, config, data, run.seed)

    def test(self, model: Path, data: StudyData, *, device: str) -> dict[str, Any]:
        """Measure a model on the test split: ``mse``, the mean of the images' errors.

        Beside it these errors by group of variants, which are no independent examples. Of a
        classifying one also ``accuracy``, ``balanced_accuracy`` and ``confusion``: the images by
        class (rows) and predicted class (columns).
        """
        checkpoint = load_checkpoint(model)
        where = torch.device(device)
        trained = checkpoint.model.to(where)
        test = labelled_images(data.dataset, data.split.test)
        images = to_float(test.images, where)
        errors = reconstruction_errors(trained, images)
        measured: dict[str, Any] = {"mse": errors.mean().item()}
        groups: dict[int, list[float]] = {}
        for row, error in zip(data.split.test, errors.tolist(), strict=True):
            groups.setdefault(data.dataset.groups[row], []).append(error)
        measured[EXAMPLES] = [(len(own), fmean(own)) for own in groups.values()]
        if checkpoint.config.classification is not None:
            confusion = classify(trained, images, test.labels.to(where))
            measured |= {
                "accuracy": (confusion.diagonal().sum() / confusion.sum()).item(),
                "balanced_accuracy": balanced_accuracy(confusion).item(),
                "confusion": confusion.tolist(),
            }
        return measured

    def resolve_device(self, name: str) -> str:
        """Return the GPU where there is one, unless another device was asked for."""
        return str(resolve_device(name))

    def prepare(self) -> None:
        """Import what an optimizer imports at its first step, which takes two seconds."""
        import torch._dynamo  # noqa: F401

    def recall(
        self,
        config: AutoencoderConfig,
        rows: Sequence[Step],
        n_steps: int,
        facts: Mapping[str, Any],
    ) -> "CurveTraining":
        """Rebuild a training, or the beginning of one, from its stored curve."""
        metrics = metrics_of(rows)
        curve = metrics[:n_steps]
        run = curve[: config.epoch]
        after = [epoch for epoch in metrics[n_steps:] if isinstance(epoch, MultitaskMetrics)]
        best = best_metrics(run, after)
        copied: set[str] = {attrs.PARAMETER_COUNT, attrs.MULTIPLY_ADDS}
        if attrs.BEST_EPOCH.among(facts) == best.epoch + 1:
            copied.add(attrs.CONFUSION)
        if len(curve) < config.epoch:
            copied.add(attrs.EARLY_STOPPED)
        kept = {name: facts[name] for name in sorted(copied) if name in facts}
        return CurveTraining(run, after, best, kept)

    def require_model(
        self, model: Path, config: AutoencoderConfig, *, seed: int, data_fingerprint: str
    ) -> None:
        """Raise a CheckpointError unless a checkpoint is of this training."""
        load_training(model, config=config, seed=seed, data_fingerprint=data_fingerprint)

    def describe_test(self, measured: Mapping[str, Any]) -> list[str]:
        """Say how many images of each class were classified correctly."""
        if "confusion" not in measured:
            return []
        rows = zip(CLASSES, measured["confusion"], strict=True)
        correct = (f"{name} {row[i]} of {sum(row)}" for i, (name, row) in enumerate(rows))
        return [f"Test images classified correctly: {', '.join(correct)}."]

    def exhibit(self, model: Path, data: StudyData, *, caption: str) -> dict[str, bytes]:
        """Draw a gallery of sums of emoji; of all images, those of the test split too."""
        dataset, own = data.dataset, slice(data.dataset.n_own)
        space = encode(load_checkpoint(model).model, dataset.images[own], dataset.texts[own])
        items, _ = drawable(space, gallery(halves=space.has_halves))
        if not items:
            return {}
        return {attrs.GALLERY_FILE: captioned_png(draw_gallery(space, items), caption)}


class CurveTraining(Training):
    """What the curve of a training tells, without a model: at least one epoch.

    Args:
        after: Epochs of a classifier that was trained after ``run``.
        best: Of the kept weights; None without any.
    """

    def __init__(
        self,
        run: Sequence[EpochMetrics],
        after: Sequence[EpochMetrics],
        best: EpochMetrics | None,
        facts: Mapping[str, Any],
    ) -> None:
        self._run, self._curve = run, [asdict(metrics) for metrics in (*run, *after)]
        self.steps = self._curve[: len(run)]
        if best is not None:
            numbers = asdict(best)
            self.best = {name: numbers[name] for name in BEST if name in numbers}
            self.best_step = best.epoch
        self.facts = {
            **facts,
            attrs.LAST_VALIDATION_MSE: run[-1].validation_mse,
            attrs.LAST_TRAIN_MSE: run[-1].train_mse,
        }

    def rows(self) -> Sequence[Step]:
        """Return the curve, and behind it that of a classifier that was trained after it."""
        return self._curve

    def save(self, path: Path) -> None:
        raise LookupError("no model")

    def file(self, name: str, *, tested: bool = False) -> bytes:
        if name == attrs.LEARNING_CURVE_FILE:
            return learning_curve_png(self._run, format_number)
        raise LookupError(name)


class EmojiTraining(CurveTraining):
    """What a training of an emoji autoencoder came to."""

    def __init__(
        self, result: TrainResult, config: AutoencoderConfig, data: StudyData, seed: int
    ) -> None:
        facts: dict[str, Any] = {
            attrs.PARAMETER_COUNT: count_parameters(result.model),
            attrs.MULTIPLY_ADDS: count_multiply_adds(result.model.eval()),
        }
        if result.confusion is not None:
            facts[attrs.CONFUSION] = result.confusion.tolist()
        if result.early_stopped:
            facts[attrs.EARLY_STOPPED] = True
        super().__init__(result.curve, result.classifier_curve, result.best, facts)
        self.seconds = (*result.curve, *result.classifier_curve)[-1].seconds
        self._data = data
        self.checkpoint = Checkpoint(
            model=result.model,
            config=config,
            seed=seed,
            data_fingerprint=data.fingerprint,
            curve=result.curve,
        )

    def save(self, path: Path) -> None:
        self.checkpoint.model.cpu()
        save_checkpoint(self.checkpoint, path)

    def file(self, name: str, *, tested: bool = False) -> bytes:
        """Draw the learning curve, or originals over reconstructions."""
        if name == attrs.LEARNING_CURVE_FILE:
            return super().file(name)
        dataset, split = self._data.dataset, self._data.split
        rows = list(split.test if tested else split.validation)
        texts = [dataset.texts[row] for row in rows]
        return reconstructions_png(self.checkpoint.model, dataset.images[rows], texts)

    def measure(self) -> dict[str, float]:
        """Return the numbers for the model's latents, those that there are."""
        model, data = self.checkpoint.model.cpu(), self._data
        own = data.split.train[: data.n_own]
        numbers = measure_latents(model, data.dataset, own, data.split.validation)
        return {f"latent_{name}": value for name, value in numbers.items()}


def metrics_of(rows: Sequence[Step]) -> list[EpochMetrics]:
    """Return the metrics of stored rows, in single precision; raise a TypeError for others."""
    single = ({name: float(np.float32(value)) for name, value in row.items()} for row in rows)
    return [metrics_from_dict({**row, "epoch": epoch}) for epoch, row in enumerate(single)]
