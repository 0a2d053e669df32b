"""What ``emoji-study compose`` does: a model, sums of emoji, a picture."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import joblib
from PIL import Image

from emoji_ae.checkpoint import Checkpoint, load_checkpoint, load_training
from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.drawing.composition import compose, describe, draw, draw_path, frames_of, gif
from emoji_ae.drawing.gallery import draw_gallery, drawable
from emoji_ae.errors import CheckpointError
from emoji_ae.expression import parse
from emoji_ae.images import picture_png
from emoji_ae.latent import LatentSpace, encode, path, through
from emoji_ae.recipes import gallery
from storage.file_names import file_name
from storage.files import write_bytes
from storage.rdb import open_storage
from study.emoji.data import StudyData
from study.emoji.requests import ComposeRequest
from study.emoji.trainer import EmojiTrainer
from study.errors import StudyError, require_ending
from study.formats import format_number
from study.kinds import Run
from study.requests import Say
from study.running.choosing import stored_training
from study.running.housekeeping import housekeeping
from study.running.job import own_threads
from study.running.opening import load_data
from study.terminal.progress import step_bar


def compose_request(request: ComposeRequest, *, say: Say) -> None:
    """Add emoji up, say what came out, and draw it.

    Raise an ExpressionError, CheckpointError or StudyError for what cannot be read, or be added.
    """
    if bool(request.expressions) == request.gallery:
        raise StudyError("Give either expressions or --gallery: what is added up.")
    combinations = [parse(expression) for expression in request.expressions]
    out = request.out or Path("runs/gallery.png" if request.gallery else "runs/composition.png")
    allowed = (".png", ".gif") if len(combinations) > 1 else (".png",)
    require_ending(out, *allowed)
    if (request.study is None) == (request.checkpoint is None):
        raise StudyError("Give either --study or --checkpoint: the model that adds up.")
    if request.checkpoint is not None:
        checkpoint = load_checkpoint(request.checkpoint)
        dataset = load_dataset(request.data)
        trained_on = checkpoint.data_fingerprint.partition("-")[0]
        if trained_on != dataset.fingerprint:
            raise CheckpointError(
                f"Checkpoint {request.checkpoint} was trained on other images ({trained_on}) than "
                f"these ({dataset.fingerprint}): give its data set with --data."
            )
    else:
        checkpoint, dataset = _trained(request, say)
    own = slice(dataset.n_own)
    space = encode(checkpoint.model, dataset.images[own], dataset.texts[own])
    if request.gallery:
        content = picture_png(_gallery(space, request.average, say))
    elif len(combinations) == 1:
        made = compose(space, combinations[0])
        for line in describe(space, made, format_number):
            say(line)
        content = picture_png(draw(space, made, format_number))
    else:
        stops = [space.compose(combination) for combination in combinations]
        if request.through_mean:
            stops = through(stops, space.latents.mean(dim=0))
        latents = path(stops, request.steps, request.way)
        say(f"A path of {len(latents)} pictures through {len(stops)} stops, {request.way}.")
        if out.suffix.lower() == ".gif":
            content = gif(frames_of(space, latents))
        else:
            content = picture_png(draw_path(space, latents))
    write_bytes(out, content)
    say(f"Picture written to {out}")


def _gallery(space: LatentSpace, average: str, say: Say) -> Image.Image:
    """Draw what the data have of the gallery; say what is left out."""
    space.row(average)
    items = gallery(average, halves=space.has_halves)
    there, left_out = drawable(space, items)
    if not there:
        raise StudyError(
            f"The data set must have the emoji of an item of the gallery, but lacks some of each "
            f"of the {len(items)}."
        )
    if left_out:
        names = ", ".join(item.name for item in left_out)
        say(f"Left out, as the data set lacks emoji for them: {names}.")
    if not space.has_halves:
        say("Recipes by halves are left out, as the model's latents have no halves.")
    return draw_gallery(space, there)


def _trained(request: ComposeRequest, say: Say) -> tuple[Checkpoint, EmojiDataset]:
    """Return a trial's model: trained again with its seed, or as that was kept."""
    study = str(request.study)
    chosen = stored_training(open_storage(request.url), study, request.trial)
    settings, config = chosen.settings, chosen.config
    assert settings is not None  # the trial is of a study
    if not isinstance(config, AutoencoderConfig):
        raise StudyError(f"Study {study!r} is of the kind {settings.kind}, which has no emoji.")
    trainer = EmojiTrainer()
    if request.data is not None:
        settings = replace(settings, data=str(request.data))
    data = load_data(trainer, settings, study=study, stored=True)
    if chosen.sides is not None:
        data = data.with_sides(chosen.sides)
    assert isinstance(data, StudyData)  # as the trainer loads them
    threads = chosen.threads or joblib.cpu_count()
    own_threads(threads)  # for a kept model's latents as well
    device = trainer.resolve_device(request.device)
    # Studies of several databases may share a name, and keep their models in one folder.
    exactly = f"{config}/{data.fingerprint}/{device}/{threads}"
    digest = hashlib.sha256(exactly.encode()).hexdigest()[:16]
    label = f"{file_name(chosen.label)}-{chosen.seed}"
    kept = Path("runs/models") / f"{label}-{digest}.pt"
    for file in (kept, kept.with_name(f"{label}.pt")):  # the latter of an earlier version
        with suppress(CheckpointError):
            checkpoint = load_training(
                file, config=config, seed=chosen.seed, data_fingerprint=data.fingerprint
            )
            return checkpoint, data.dataset
    with step_bar(config.epoch, chosen.kind.objective, title=chosen.label) as show:
        training = trainer.train(config, data, Run(seed=chosen.seed, device=device, show=show))
    with housekeeping("the trained model is not kept for the next time", say):
        training.save(kept)
        say(f"The trained model is kept in {kept}.")
    training.checkpoint.model.cpu()
    return training.checkpoint, data.dataset
