"""What ``emoji-study compose`` does: a model, a sum of emoji, a picture."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import joblib

from emoji_ae.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.errors import CheckpointError
from emoji_ae.expression import parse
from emoji_ae.files import write_bytes
from emoji_ae.latent import encode
from emoji_ae.seeding import resolve_device
from emoji_ae.splits import Split
from emoji_ae.training import train_model
from study.commands import TrainRequest, stored_training
from study.composition import compose, describe, draw
from study.data import load_split, study_data
from study.errors import StudyError
from study.progress import epoch_bar
from study.runner import own_threads

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeRequest:
    """What a user asked for.

    Args:
        expression: The sum of emoji.
        url: The storage.
        study: Whose trial is the model; None for a checkpoint.
        trial: Number of the trial, or ``best``.
        checkpoint: A trained model; None for a trial.
        data: The data set file; None for the study's, or the embedded images.
        device: Where to train a trial: ``auto``, ``cpu`` or ``cuda``.
        out: The picture, a PNG.
    """

    expression: str
    url: str
    study: str | None
    trial: str
    checkpoint: Path | None
    data: Path | None
    device: str
    out: Path


def compose_request(request: ComposeRequest, *, say: Say) -> None:
    """Add emoji up, say what came out, and draw it.

    Raises:
        ExpressionError: If the expression cannot be read, or names what the data lack.
        CheckpointError: If the checkpoint cannot be read, or is of other data.
        StudyError: If neither or both of study and checkpoint are given.
    """
    combination = parse(request.expression)
    if (request.study is None) == (request.checkpoint is None):
        raise StudyError("Give either --study or --checkpoint: the model that adds up.")
    if request.checkpoint is not None:
        checkpoint = load_checkpoint(request.checkpoint)
        dataset = load_dataset(request.data)
        _require_same_data(checkpoint, dataset, request.checkpoint)
    else:
        checkpoint, dataset = _trained(request, say)
    space = encode(checkpoint.model, dataset.images, dataset.texts)
    made = compose(space, combination)
    for line in describe(space, made):
        say(line)
    buffer = io.BytesIO()
    draw(space, made).save(buffer, "PNG")
    write_bytes(request.out, buffer.getvalue())
    say(f"Picture written to {request.out}")


def _require_same_data(checkpoint: Checkpoint, dataset: EmojiDataset, path: Path) -> None:
    """Raise a CheckpointError unless a model was trained on these images."""
    trained_on = checkpoint.data_fingerprint.partition("-")[0]
    if trained_on != dataset.fingerprint:
        raise CheckpointError(
            f"Checkpoint {path} was trained on other images ({trained_on}) than these "
            f"({dataset.fingerprint}): give its data set with --data."
        )


def _trained(request: ComposeRequest, say: Say) -> tuple[Checkpoint, EmojiDataset]:
    """Return a trial's model: trained again with its seed, or as that was kept."""
    training = stored_training(
        TrainRequest(
            url=request.url,
            study=request.study,
            kind="",
            trial=request.trial,
            assignments={},
            data=request.data,
            seed=None,
            device=request.device,
            threads=None,
            out=None,
        )
    )
    settings = training.settings
    assert settings is not None  # the trial is of a study
    dataset, split = load_split(
        request.data or settings.data_path,
        settings,
        study=str(request.study),
        method=settings.split,
        seed=settings.data_seed,
    )
    if training.sides is not None:
        split = Split.from_sides(training.sides)
    seen = study_data(dataset, split)
    kept = Path("runs/models") / f"{training.label.replace('/', '_')}-{training.seed}.pt"
    if kept.exists():
        checkpoint = load_checkpoint(kept)
        same = (training.config, training.seed, seen.fingerprint)
        if (checkpoint.config, checkpoint.seed, checkpoint.data_fingerprint) == same:
            return checkpoint, dataset
    own_threads(training.threads or joblib.cpu_count())
    with epoch_bar(training.config.epoch, title=training.label) as on_epoch:
        result = train_model(
            training.config,
            seen.train,
            seen.validation,
            seed=training.seed,
            device=resolve_device(request.device),
            on_epoch=on_epoch,
        )
    checkpoint = Checkpoint(
        model=result.model.cpu(),
        config=training.config,
        seed=training.seed,
        data_fingerprint=seen.fingerprint,
        curve=result.curve,
    )
    save_checkpoint(checkpoint, kept)
    say(f"The trained model is kept in {kept}.")
    return checkpoint, dataset
