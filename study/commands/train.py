"""The final training of a chosen configuration, and its one look at the test split."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from emoji_ae.checkpoint import Checkpoint, save_checkpoint
from emoji_ae.classification import balanced_accuracy
from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics
from emoji_ae.dataset import EmojiDataset, labelled_images
from emoji_ae.drawing.learning_curve import learning_curve_png
from emoji_ae.files import atomic_paths, require_writable
from emoji_ae.loop import to_float
from emoji_ae.models import Autoencoder, count_parameters
from emoji_ae.multitask import MultitaskResult, classify
from emoji_ae.splits import Split
from emoji_ae.train import reconstruction_errors
from emoji_ae.training import train_model
from study.emoji.data import study_data
from study.pictures import reconstructions_png

CHECKPOINT_FILE = "checkpoint.pt"
CURVE_FILE = "learning_curve.png"
RECONSTRUCTIONS_FILE = "reconstructions.png"
METRICS_FILE = "metrics.json"
FILES = (CHECKPOINT_FILE, CURVE_FILE, RECONSTRUCTIONS_FILE, METRICS_FILE)
"""Of a trained model; the last one is there only while all are of one training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMetrics:
    """What a chosen model reaches; errors are means over images of the per-image MSE.

    Args:
        interrupted: Whether the training was ended from outside. Such a model is not judged: it
            has nothing on the test images.
        validation_mse: Of the kept weights, those of the epoch with the lowest validation MSE.
        test_mse: Of the same weights, on images that no choice has seen.
        best_epoch: Counted from 1.
        epochs: Epochs run.
        parameter_count: Trained scalars of the model.
        training_seconds: Wall time of the training.
        test_accuracy: Share of the test images that are classified correctly; None, as the
            following, for a model that does not classify.
        test_balanced_accuracy: Mean over the classes of that share.
        test_confusion: Test images by class (rows) and predicted class (columns).
    """

    interrupted: bool
    validation_mse: float
    test_mse: float | None = None
    best_epoch: int
    epochs: int
    parameter_count: int
    training_seconds: float
    test_accuracy: float | None = None
    test_balanced_accuracy: float | None = None
    test_confusion: tuple[tuple[int, ...], ...] | None = None


def measure_test(
    model: Autoencoder,
    dataset: EmojiDataset,
    split: Split,
    device: torch.device,
    *,
    classifies: bool,
) -> dict[str, Any]:
    """Return what a chosen model reaches on the test split, by the names of ``FinalMetrics``.

    Args:
        model: On ``device``, in evaluation mode.
        dataset: All images.
        split: Whose test images judge the model.
        device: Where to compute.
        classifies: Whether its classifier was trained.
    """
    test = labelled_images(dataset, split.test)
    images = to_float(test.images, device)
    measured: dict[str, Any] = {
        "test_mse": reconstruction_errors(model, images).mean().item(),
    }
    if classifies:
        confusion = classify(model, images, test.labels.to(device))
        measured |= {
            "test_accuracy": (confusion.diagonal().sum() / confusion.sum()).item(),
            "test_balanced_accuracy": balanced_accuracy(confusion).item(),
            "test_confusion": tuple(map(tuple, confusion.tolist())),
        }
    return measured


def train_final(
    config: AutoencoderConfig,
    *,
    seed: int,
    dataset: EmojiDataset,
    split: Split,
    device: torch.device,
    out: Path,
    on_epoch: Callable[[EpochMetrics], bool],
) -> FinalMetrics | None:
    """Train a configuration and write checkpoint, pictures and metrics to a folder.

    What an earlier training has left in the folder is valid until all of the new files are
    written, and then replaced by them. A training that is interrupted is kept as well, with the
    best of its epochs and pictures of validation images; the test split is not looked at.

    Args:
        config: What to train.
        seed: Of the training; a trial's seed repeats that trial.
        dataset: All images.
        split: Which of them train, choose the kept epoch, and judge at the end.
        device: Where to train.
        out: The folder, which is created.
        on_epoch: Called after every epoch; True interrupts the training, unless that was the
            last.

    Returns:
        The metrics, which are written to ``metrics.json`` as well. None if the training was
        interrupted by the end of its first epoch: then nothing is written.

    Raises:
        OSError: If the folder cannot be written.
        DivergedError: If an error becomes NaN or infinite.
    """
    seen = study_data(dataset, split)
    for name in FILES:  # fails now rather than after the training
        require_writable(out / name)
    interrupted = False

    def hook(metrics: EpochMetrics) -> bool:
        nonlocal interrupted
        interrupted = on_epoch(metrics) and metrics.epoch + 1 < config.epoch
        return interrupted

    result = train_model(
        config,
        seen.train_for(config),
        seen.validation,
        seed=seed,
        device=device,
        images_per_epoch=seen.n_own,
        on_epoch=hook,
    )
    if result.best is None or (interrupted and len(result.curve) == 1):
        return None
    classifies = isinstance(result, MultitaskResult) and result.confusion is not None
    test = (
        {}
        if interrupted
        else measure_test(result.model, dataset, split, device, classifies=classifies)
    )
    metrics = FinalMetrics(
        interrupted=interrupted,
        validation_mse=result.best.validation_mse,
        best_epoch=result.best.epoch + 1,
        epochs=len(result.curve),
        parameter_count=count_parameters(result.model),
        training_seconds=round(result.curve[-1].seconds, 3),
        **test,
    )
    checkpoint = Checkpoint(
        model=result.model,
        config=config,
        seed=seed,
        data_fingerprint=seen.fingerprint,
        curve=result.curve,
    )
    shown = list(split.validation if interrupted else split.test)
    pictures = reconstructions_png(
        result.model, dataset.images[shown], [dataset.texts[i] for i in shown]
    )
    content = {"config": config.to_dict(), "seed": seed, **asdict(metrics)}
    with atomic_paths([out / name for name in FILES]) as (weights, curve, strip, figures):
        save_checkpoint(checkpoint, weights)
        curve.write_bytes(learning_curve_png(result.curve))
        strip.write_bytes(pictures)
        figures.write_bytes(json.dumps(content, indent=2).encode() + b"\n")
    return metrics
