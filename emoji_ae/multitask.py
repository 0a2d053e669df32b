"""Training of an autoencoder that classifies as well, by each of three strategies."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from emoji_ae.classification import balanced_accuracy, class_weights, confusion_matrix
from emoji_ae.config import MultitaskConfig
from emoji_ae.curve import EpochMetrics, MultitaskMetrics
from emoji_ae.dataset import LabelledImages
from emoji_ae.loop import (
    DivergedError,
    Task,
    TrainResult,
    batch_bounds,
    build_optimizer,
    build_scheduler,
    fit,
    to_float,
)
from emoji_ae.losses import reconstruction_loss
from emoji_ae.models import Autoencoder, MultitaskAutoencoder, memory_format
from emoji_ae.resume import ResumeFile
from emoji_ae.seeding import seeded
from emoji_ae.train import Reconstruction, image_errors, require_images


@dataclass(frozen=True, slots=True, kw_only=True)
class MultitaskResult(TrainResult[EpochMetrics]):
    """A multitask training; its metrics are ``MultitaskMetrics`` where it classifies.

    Args:
        classifier_curve: Sequential only: the classifier's epochs, after those of the
            autoencoder, which do not classify; empty if the latter was stopped.
        confusion: ``(classes, classes)`` int64 of the validation images by the kept weights, a
            row for each class, a column for each predicted one; None if they do not classify.
        early_stopped: Whether the error had stopped falling.
    """

    classifier_curve: tuple[MultitaskMetrics, ...]
    confusion: Tensor | None
    early_stopped: bool


def train_multitask(
    config: MultitaskConfig,
    train: LabelledImages,
    validation: LabelledImages,
    *,
    seed: int,
    device: torch.device | None = None,
    images_per_epoch: int | None = None,
    on_epoch: Callable[[EpochMetrics], bool] | None = None,
    resume: ResumeFile | None = None,
) -> MultitaskResult:
    """Train an autoencoder and a classifier of its latents.

    The loss is ``reconstruction_loss`` plus ``classification_lambda`` times the cross-entropy.
    The kept weights are those of the epoch with the lowest validation reconstruction error; of
    a sequential training's classifier, those of the lowest validation cross-entropy.

    With equal seeds, all strategies start from equal weights and see equal batches, and the
    autoencoder's course is that of ``train_autoencoder`` where the classifier has no influence:
    with lambda 0, and in the first part of a sequential training. Only the noise of variational
    latents is another one.

    Args:
        config: What to train, and how.
        train: At least 2 images; augmented afresh in every epoch.
        validation: At least 1 image; never augmented.
        seed: Decides initial weights, order of images, augmentation and dropout.
        device: Where to train; the CPU unless given.
        images_per_epoch: As in ``train_autoencoder``.
        on_epoch: As in ``train_autoencoder``; not called while a frozen autoencoder's
            classifier is trained, which takes a fraction of a second.
        resume: As in ``train_autoencoder``.

    Raises:
        DataError: If there are too few images.
        DivergedError: If a metric becomes NaN or infinite; it holds the result so far.
    """
    device = device or torch.device("cpu")
    require_images(train.images, validation.images)
    layout = memory_format(config)
    sequential = config.strategy == "sequential"
    labels = train.labels.to(device)
    classification = Multitask(
        config=config,
        class_weights=class_weights(labels) if config.class_weights else None,
        train_labels=labels,
        validation=to_float(validation.images, device).contiguous(memory_format=layout),
        validation_labels=validation.labels.to(device),
    )
    task: Task[EpochMetrics] = classification
    if sequential:
        task = Reconstruction(config, classification.validation)
    stopped = False

    def hook(metrics: EpochMetrics) -> bool:
        nonlocal stopped
        stopped = on_epoch is not None and on_epoch(metrics)
        return stopped

    with seeded(seed, device) as generator:
        result = fit(
            config,
            task,
            train.images,
            generator=generator,
            device=device,
            seed=seed,
            images_per_epoch=images_per_epoch,
            patience=config.patience,
            on_epoch=hook,
            resume=resume,
        )
    model = cast(MultitaskAutoencoder, result.model)
    classifier_curve: tuple[MultitaskMetrics, ...] = ()
    if sequential and not stopped:
        classifier_curve = fit_classifier(
            config,
            classification,
            model,
            to_float(train.images, device),
            after=result.curve,
            seed=seed,
        )
    best = best_metrics(result.curve, classifier_curve)
    confusion = None
    if isinstance(best, MultitaskMetrics):
        confusion = classify(
            model, classification.validation, classification.validation_labels
        ).cpu()
    return MultitaskResult(
        model=model,
        curve=result.curve,
        best=best,
        classifier_curve=classifier_curve,
        confusion=confusion,
        early_stopped=not stopped and len(result.curve) < config.epoch,
    )


def best_metrics(
    curve: Sequence[EpochMetrics], classifier_curve: Sequence[MultitaskMetrics]
) -> EpochMetrics:
    """Return the metrics of the kept weights of a training.

    Args:
        curve: The autoencoder's epochs, or those of both; at least one.
        classifier_curve: The epochs of a classifier that was trained after it, if any.

    Returns:
        Those of the epoch with the lowest reconstruction error; after a sequential training with
        the classification of the classifier's epoch with the lowest cross-entropy.
    """
    best = min(curve, key=lambda metrics: metrics.validation_mse)
    if not classifier_curve:
        return best
    chosen = min(classifier_curve, key=lambda metrics: metrics.validation_cross_entropy)
    return replace(chosen, epoch=best.epoch, seconds=best.seconds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Multitask:
    """Minimises reconstruction error and cross-entropy; the ``Task`` of a multitask training.

    Args:
        config: Holds the weights of the loss's terms, of which the cross-entropy's is
            ``classification_lambda``; with 0 nothing but the autoencoder is trained.
        class_weights: ``(classes,)`` float32, or None for equal weights.
        train_labels: ``(n,)`` int64.
        validation: ``(m, 3, 64, 64)`` float32 in [0, 1], in the layout of the model.
        validation_labels: ``(m,)`` int64.
    """

    metrics = MultitaskMetrics

    config: MultitaskConfig
    class_weights: Tensor | None
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor

    def parameters(self, model: Autoencoder) -> Iterable[nn.Parameter]:
        """Return all parameters, or those of encoder and decoder."""
        if self.config.classification_lambda:
            return model.parameters()
        return [*model.encoder.parameters(), *model.decoder.parameters()]

    def step(self, model: Autoencoder, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch's loss, and MSE, cross-entropy, loss and accuracy."""
        reconstructions, logits = cast(MultitaskAutoencoder, model).forward_tasks(images)
        mse = functional.mse_loss(reconstructions, images)
        labels = self.train_labels[rows]
        cross_entropy = self.cross_entropy(logits, labels)
        loss = reconstruction_loss(self.config, model, reconstructions, images, mse)
        weight = self.config.classification_lambda
        # Without weight not even a gradient of zeros may reach the classifier.
        loss = loss + weight * cross_entropy if weight else loss
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        return loss, torch.stack([mse, cross_entropy, loss, accuracy]).detach()

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy, by class weights where there are some."""
        return functional.cross_entropy(logits, labels, weight=self.class_weights)

    def evaluate(self, model: Autoencoder, train_means: Tensor) -> dict[str, float]:
        """Return the metrics of an epoch."""
        model.eval()
        images = model.arrange(self.validation)
        with torch.no_grad():
            reconstructions, logits = cast(MultitaskAutoencoder, model).forward_tasks(images)
            errors = image_errors(reconstructions, images)
            values = self.validation_values(errors.mean(), logits)
        train_mse, train_cross_entropy, train_total, train_accuracy = train_means.tolist()
        return {
            "train_mse": train_mse,
            "train_cross_entropy": train_cross_entropy,
            "train_total": train_total,
            "train_accuracy": train_accuracy,
            **values,
        }

    def validation_values(self, mse: Tensor, logits: Tensor) -> dict[str, float]:
        """Return the validation metrics by name, of the MSE and the logits ``(m, classes)``."""
        labels = self.validation_labels
        cross_entropy = self.cross_entropy(logits, labels)
        confusion = confusion_matrix(logits.argmax(dim=1), labels)
        values = torch.stack(
            [
                mse,
                cross_entropy,
                mse + self.config.classification_lambda * cross_entropy,
                confusion.diagonal().sum() / len(labels),
                balanced_accuracy(confusion),
            ]
        ).tolist()
        names = ("mse", "cross_entropy", "total", "accuracy", "balanced_accuracy")
        return {f"validation_{name}": value for name, value in zip(names, values, strict=True)}


def classify(model: Autoencoder, images: Tensor, labels: Tensor) -> Tensor:
    """Return the confusion matrix of a multitask model, in evaluation mode.

    Args:
        model: Left in evaluation mode.
        images: ``(n, 3, 64, 64)`` float32 in [0, 1] on the model's device.
        labels: ``(n,)`` int64, likewise.

    Returns:
        ``(classes, classes)`` int64; a row for each class, a column for each predicted class.
    """
    model.eval()
    with torch.no_grad():
        _, logits = cast(MultitaskAutoencoder, model).forward_tasks(images)
    return confusion_matrix(logits.argmax(dim=1), labels)


def fit_classifier(
    config: MultitaskConfig,
    task: Multitask,
    model: MultitaskAutoencoder,
    train_images: Tensor,
    *,
    after: Sequence[EpochMetrics],
    seed: int,
) -> tuple[MultitaskMetrics, ...]:
    """Train the classifier of a model whose autoencoder is frozen, on latents computed once.

    The training images are not augmented. The model is left in evaluation mode, with the
    classifier's weights of the epoch with the lowest validation cross-entropy.

    Args:
        config: Epochs, batch size, optimizer and patience are those of the autoencoder.
        task: What the model was trained on.
        model: Its encoder and decoder, running statistics included, stay as they are.
        train_images: ``(n, 3, 64, 64)`` float32 in [0, 1].
        after: The autoencoder's epochs; the classifier's go on counting from there.
        seed: Of order and dropout.

    Returns:
        The classifier's epochs. Their reconstruction errors are those of the autoencoder's best
        epoch, and their loss is the cross-entropy.

    Raises:
        DivergedError: If the cross-entropy becomes NaN or infinite.
    """
    classifier = model.classifier
    kept = min(after, key=lambda metrics: metrics.validation_mse)
    validation_mse = torch.tensor(kept.validation_mse, device=train_images.device)
    train, validation = frozen_latents(model, train_images), frozen_latents(model, task.validation)
    batches = batch_bounds(len(train), config.batch_size)
    optimizer = build_optimizer(config, classifier.parameters())
    scheduler = build_scheduler(
        optimizer, config.schedule, config.learning_rate, config.epoch * len(batches)
    )
    curve: list[MultitaskMetrics] = []
    best: MultitaskMetrics | None = None
    best_weights = {name: value.clone() for name, value in classifier.state_dict().items()}
    seconds = after[-1].seconds
    with seeded(seed, train_images.device) as generator:
        for epoch in range(len(after), len(after) + config.epoch):
            if config.patience and best is not None and epoch - 1 - best.epoch >= config.patience:
                break
            started = time.perf_counter()
            order = torch.randperm(len(train), generator=generator).to(train.device)
            latents, labels = train.index_select(0, order), task.train_labels[order]
            outputs = []
            classifier.train()
            for start, stop in batches:
                logits = classifier(latents[start:stop])
                loss = task.cross_entropy(logits, labels[start:stop])
                classifier.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                outputs.append(logits.detach())
            classifier.eval()
            with torch.no_grad():
                values = task.validation_values(validation_mse, classifier(validation))
            logits = torch.cat(outputs)  # of every step, in training mode
            train_cross_entropy = task.cross_entropy(logits, labels).item()
            train_accuracy = (logits.argmax(dim=1) == labels).float().mean().item()
            seconds += time.perf_counter() - started
            values["validation_total"] = values["validation_cross_entropy"]
            metrics = MultitaskMetrics(
                epoch=epoch,
                seconds=seconds,
                train_mse=kept.train_mse,
                train_cross_entropy=train_cross_entropy,
                train_total=train_cross_entropy,
                train_accuracy=train_accuracy,
                **values,
            )
            curve.append(metrics)
            if not math.isfinite(train_cross_entropy + metrics.validation_cross_entropy):
                classifier.load_state_dict(best_weights)
                raise DivergedError(
                    f"Training of the classifier diverged in epoch {len(curve)}: cross-entropy "
                    f"{train_cross_entropy}.",
                    TrainResult(model=model, curve=tuple(after), best=kept),
                )
            if best is None or metrics.validation_cross_entropy < best.validation_cross_entropy:
                best = metrics
                for name, value in classifier.state_dict().items():
                    best_weights[name].copy_(value)
    classifier.load_state_dict(best_weights)
    return tuple(curve)


def frozen_latents(model: MultitaskAutoencoder, images: Tensor) -> Tensor:
    """Return what a model's encoder makes of images in evaluation mode, ``(n, latents)``."""
    model.eval()
    with torch.no_grad():
        return model.encode(images).flatten(1)
