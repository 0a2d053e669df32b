"""The final training of a chosen configuration, and its one look at the test split."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from emoji_ae.checkpoint import Checkpoint, save_checkpoint
from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics
from emoji_ae.dataset import EmojiDataset
from emoji_ae.files import write_bytes
from emoji_ae.models import count_parameters
from emoji_ae.splits import Split
from emoji_ae.train import reconstruction_errors, to_float, train_autoencoder
from study.data import study_data
from study.errors import StudyError
from study.pictures import learning_curve_png, pick, reconstructions_png

CHECKPOINT_FILE = "checkpoint.pt"
CURVE_FILE = "learning_curve.png"
RECONSTRUCTIONS_FILE = "reconstructions.png"
METRICS_FILE = "metrics.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMetrics:
    """What a chosen model reaches; errors are means over images of the per-image MSE.

    Args:
        validation_mse: Of the kept weights, those of the epoch with the lowest validation MSE.
        test_mse: Of the same weights, on images that no choice has seen.
        best_epoch: Counted from 1.
        epochs: Epochs run.
        parameter_count: Trained scalars of the model.
        training_seconds: Wall time of the training.
    """

    validation_mse: float
    test_mse: float
    best_epoch: int
    epochs: int
    parameter_count: int
    training_seconds: float


def train_final(
    config: AutoencoderConfig,
    *,
    seed: int,
    dataset: EmojiDataset,
    split: Split,
    device: torch.device,
    out: Path,
    on_epoch: Callable[[EpochMetrics], bool],
) -> FinalMetrics:
    """Train a configuration and write checkpoint, pictures and metrics to a folder.

    Args:
        config: What to train.
        seed: Of the training; a trial's seed repeats that trial.
        dataset: All images.
        split: Which of them train, choose the kept epoch, and judge at the end.
        device: Where to train.
        out: The folder, which is created.
        on_epoch: Called after every epoch; True stops the training.

    Returns:
        The metrics, which are written to ``metrics.json`` as well.

    Raises:
        StudyError: If ``on_epoch`` stopped the training before its first epoch ended.
        OSError: If the folder cannot be written.
        DivergedError: If an error becomes NaN or infinite.
    """
    seen = study_data(dataset, split)
    # Fails now rather than after the training; old metrics would not fit what follows.
    write_bytes(out / METRICS_FILE, b"{}\n")
    result = train_autoencoder(
        config, seen.train, seen.validation, seed=seed, device=device, on_epoch=on_epoch
    )
    if result.best is None:
        raise StudyError("The training was stopped before its first epoch ended.")
    test = dataset.images[list(split.test)]
    metrics = FinalMetrics(
        validation_mse=result.best.validation_mse,
        test_mse=reconstruction_errors(result.model, to_float(test, device)).mean().item(),
        best_epoch=result.best.epoch + 1,
        epochs=len(result.curve),
        parameter_count=count_parameters(result.model),
        training_seconds=round(result.curve[-1].seconds, 3),
    )
    checkpoint = Checkpoint(
        model=result.model,
        config=config,
        seed=seed,
        data_fingerprint=seen.fingerprint,
        curve=result.curve,
    )
    save_checkpoint(checkpoint, out / CHECKPOINT_FILE)
    shown = pick(len(test))
    texts = [dataset.texts[split.test[i]] for i in shown]
    title = f"{config.auto_encoder}, lowest validation MSE {metrics.validation_mse:.5f}"
    write_bytes(out / RECONSTRUCTIONS_FILE, reconstructions_png(result.model, test[shown], texts))
    write_bytes(out / CURVE_FILE, learning_curve_png(result.curve, title=title))
    content = {"config": config.to_dict(), "seed": seed, **asdict(metrics)}
    write_bytes(out / METRICS_FILE, json.dumps(content, indent=2).encode() + b"\n")
    return metrics
