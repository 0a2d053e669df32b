"""Training of what a configuration describes, from images to the weights of the best epoch."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from emoji_ae.augment import augment
from emoji_ae.classification import class_weights
from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics, MultitaskMetrics, best_metrics
from emoji_ae.dataset import LabelledImages
from emoji_ae.errors import DataError, EmojiAEError
from emoji_ae.evaluation import classify, to_float
from emoji_ae.loop import Task, fit
from emoji_ae.models import Autoencoder, MultitaskAutoencoder, build_model
from emoji_ae.resume import Resume, TrainState
from emoji_ae.seeding import seeded
from emoji_ae.tasks import FrozenLatents, Labels, Multitask, Reconstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """A finished, stopped or diverged training.

    Args:
        curve: Every epoch that was run; ``MultitaskMetrics`` where it classifies.
        best: The metrics of the kept weights; None if not even the first epoch was finite.
        classifier_curve: The epochs of a classifier that was trained after the autoencoder.
        confusion: Of the validation images by the kept weights; None if they do not classify.
    """

    model: Autoencoder
    curve: tuple[EpochMetrics, ...]
    best: EpochMetrics | None
    classifier_curve: tuple[MultitaskMetrics, ...] = ()
    confusion: Tensor | None = None
    early_stopped: bool = False


class DivergedError(EmojiAEError, ArithmeticError):
    """A training error became NaN or infinite; it holds the training up to there."""

    def __init__(self, message: str, result: TrainResult) -> None:
        super().__init__(message)
        self.result = result


def train_model(
    config: AutoencoderConfig,
    train: LabelledImages,
    validation: LabelledImages,
    *,
    seed: int,
    device: torch.device | None = None,
    images_per_epoch: int | None = None,
    on_epoch: Callable[[EpochMetrics], bool] | None = None,
    resume: Resume | None = None,
) -> TrainResult:
    """Train an autoencoder with Adam, and a classifier of its latents if that is configured.

    The kept weights are those of the epoch with the lowest validation reconstruction error; of a
    sequential training's classifier, those of the lowest validation cross-entropy.

    On one machine the result is the same bit for bit whenever torch runs with the same number of
    threads, however often the training was resumed. With equal seeds, all strategies start from
    equal weights and see equal batches, and the autoencoder's course is that of one alone where
    the classifier has no influence: with lambda 0, and in the first part of a sequential
    training. Only the noise of variational latents is another one.

    Args:
        train: At least 2 images; augmented afresh in every epoch.
        validation: At least 1 image; never augmented.
        seed: Decides initial weights, order of images, augmentation and dropout.
        images_per_epoch: How many of the training images an epoch draws; None for all.
        on_epoch: Called after every epoch that was not resumed. Training stops early when it
            returns True, and is suspended when it raises. Not called while a frozen
            autoencoder's classifier is trained, which takes a fraction of a second.
        resume: Where the state is kept now and then, and before an error of ``on_epoch`` is
            passed on. A state that it holds already is gone on from.

    Raises:
        DataError: If there are too few images.
        DivergedError: If a metric becomes NaN or infinite.
    """
    n_images = len(train.images)
    if n_images < 2 or len(validation.images) < 1:
        raise DataError(
            "Training needs at least 2 training and 1 validation images, but got "
            f"{n_images} and {len(validation.images)}."
        )
    n_drawn = n_images if images_per_epoch is None else min(images_per_epoch, n_images)
    device = device or torch.device("cpu")
    classification = config.classification
    sequential = classification is not None and classification.strategy == "sequential"
    images = to_float(train.images, device)
    labels = train.labels.to(device)
    weighed = classification is not None and classification.class_weights
    truth = Labels(
        train=labels,
        validation=validation.labels.to(device),
        weights=class_weights(labels) if weighed else None,
    )
    with seeded(seed, device) as generator:
        model = build_model(config).to(device)
        judged = model.arrange(to_float(validation.images, device))
        drawn = torch.empty_like(images[:n_drawn], memory_format=model.layout)
        task: Task = Reconstruction(config=config, model=model, validation=judged)
        if classification is not None and not sequential:
            assert isinstance(model, MultitaskAutoencoder)  # built with the same configuration
            task = Multitask(
                config=config,
                weight=classification.classification_lambda,
                model=model,
                validation=judged,
                labels=truth,
            )
        course = fit(
            config,
            task,
            lambda order: augment(images, generator, order=order, out=drawn),
            n_images=n_images,
            n_drawn=n_drawn,
            generator=generator,
            on_epoch=on_epoch,
            resume=resume,
        )
    result = TrainResult(model=model, curve=course.curve, best=course.best)
    if course.diverged:
        last = course.curve[-1]
        raise DivergedError(
            f"Training diverged in epoch {last.epoch + 1}: train MSE {last.train_mse}, "
            f"validation MSE {last.validation_mse}.",
            result,
        )
    if sequential and not course.stopped:
        result = train_classifier(config, result, images, judged, truth, seed=seed)
    confusion = None
    if isinstance(result.best, MultitaskMetrics):
        confusion = classify(model, judged, truth.validation).cpu()
    return replace(
        result,
        confusion=confusion,
        early_stopped=not course.stopped and len(course.curve) < config.epoch,
    )


def train_classifier(
    config: AutoencoderConfig,
    frozen: TrainResult,
    train: Tensor,
    validation: Tensor,
    labels: Labels,
    *,
    seed: int,
) -> TrainResult:
    """Train the classifier of a trained autoencoder that is frozen, on latents computed once.

    Encoder and decoder, running statistics included, stay as they are; the classifier's epochs go
    on counting from theirs. Images are float32 in [0, 1], not augmented.

    Raises:
        DivergedError: If the cross-entropy becomes NaN or infinite; it holds ``frozen``.
    """
    model, kept, after = frozen.model, frozen.best, frozen.curve[-1]
    assert isinstance(model, MultitaskAutoencoder)
    assert kept is not None
    latents = frozen_latents(model, train)
    task = FrozenLatents(
        model=model.classifier,
        validation=frozen_latents(model, validation),
        labels=labels,
        kept=kept,
    )
    with seeded(seed, train.device) as generator:
        course = fit(
            config,
            task,
            lambda order: latents.index_select(0, order.to(latents.device)),
            n_images=len(latents),
            n_drawn=len(latents),
            generator=generator,
        )
    curve = tuple(
        replace(m, epoch=after.epoch + 1 + m.epoch, seconds=after.seconds + m.seconds)
        for m in course.curve
        if isinstance(m, MultitaskMetrics)
    )
    if course.diverged:
        raise DivergedError(
            f"Training of the classifier diverged in epoch {len(curve)}: cross-entropy "
            f"{curve[-1].train_cross_entropy}.",
            frozen,
        )
    return replace(frozen, best=best_metrics(frozen.curve, curve), classifier_curve=curve)


def frozen_latents(model: Autoencoder, images: Tensor) -> Tensor:
    """Return what a model's encoder makes of images in evaluation mode, ``(n, latents)``."""
    model.eval()
    with torch.no_grad():
        return model.encode(images).flatten(1)


def suspended_result(config: AutoencoderConfig, state: TrainState) -> TrainResult:
    """Return what a training has reached whose state was kept."""
    model = build_model(config)
    model.load_state_dict(state.best_weights)
    best = best_metrics(state.curve, ())
    return TrainResult(model=model.eval(), curve=state.curve, best=best)
