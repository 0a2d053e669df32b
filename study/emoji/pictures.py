"""Pictures for the report, taken from the artifacts of a study's best, median and worst trial."""

import io
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from optuna.storages import BaseStorage
from PIL import Image, ImageOps, PngImagePlugin

from emoji_ae.config import IMAGE_SIZE, STRIP_PADDING
from emoji_ae.images import picture_png
from storage import attrs
from storage.artifacts import ArtifactFolder, read_artifact, read_study_artifact
from storage.records import StudyRecord, TrialRecord
from study.analysis import ranked, training_of
from study.formats import format_mse
from study.report.pictures import DrawnImages, LatentGallery, Picture, Pictures

FULL_DIFFERENCE = 0.5
"""Mean absolute difference of a pixel from which on an error map has its full colour."""

CAPTION_ENTRY = "caption"
"""Text entry of a gallery's PNG."""

ERROR_COLOUR = (8, 48, 107)
"""Full colour of an error map, the darkest of ColorBrewer's blues.

Shades of one hue can be read with every common colour vision.
Source: Harrower, Brewer, "ColorBrewer.org", The Cartographic Journal 40, 2003.
"""


def best_pictures(
    record: StudyRecord, storage: BaseStorage, artifacts: ArtifactFolder
) -> Pictures | None:
    """Return pictures by the best, the median and the worst trial, None if the best has none.

    The three are of the feasible complete trials with the best one's split, by validation MSE.
    Where the median or the worst has no pictures, or those of a trial that is shown already, the
    nearest trial with other pictures, of the same fixed images, stands in.
    """
    best = record.best
    if best is None:
        return None

    def read(trial: TrialRecord) -> tuple[Picture, ...]:
        png = read_artifact(artifacts, storage, trial.trial_id, attrs.RECONSTRUCTIONS_FILE)
        return () if png is None else cut_strip(png)

    pictures = read(best)
    if not pictures:
        return None
    samples = _samples(pictures)
    texts = [picture.text for picture in samples]
    order = [
        trial
        for _, trial in ranked(record)
        if trial.feasible and trial.user_attrs.get(attrs.SIDES) == best.user_attrs.get(attrs.SIDES)
    ]
    middle = (len(order) - 1) // 2
    from_middle = [order[i] for i in sorted(range(len(order)), key=lambda i: abs(i - middle))]
    found = {"best": (best, pictures)}
    for role, candidates in (("worst", reversed(order)), ("median", from_middle)):
        taken = {training_of(trial) for trial, _ in found.values()}
        for trial in candidates:
            if training_of(trial) in taken:
                continue
            drawn = read(trial)
            if [picture.text for picture in _samples(drawn)] == texts:
                found[role] = (trial, drawn)
                break
    return Pictures(
        caption=_describe(best),
        drawn_by=training_of(best),
        ranked=tuple(picture for picture in pictures if picture.role != attrs.SAMPLE),
        full_difference=FULL_DIFFERENCE,
        texts=tuple(texts),
        originals=tuple(picture.original for picture in samples),
        trials=tuple(
            _drawn_images(role, *found[role])
            for role in ("best", "median", "worst")
            if role in found
        ),
        n_trials=len(order),
    )


def latent_gallery(
    studies: Iterable[str], storage: BaseStorage, artifacts: ArtifactFolder
) -> LatentGallery | None:
    """Return the sums of emoji that the first of some studies keeps, None if none does."""
    for study in studies:
        png = read_study_artifact(artifacts, storage, study, attrs.GALLERY_FILE)
        if png is not None:
            with Image.open(io.BytesIO(png)) as image:
                return LatentGallery(caption=str(image.info.get(CAPTION_ENTRY, study)), png=png)
    return None


def caption_gallery(drawn: Image.Image, caption: str) -> bytes:
    """Return a drawn gallery as a PNG file of 256 colours that says whose it is."""
    metadata = PngImagePlugin.PngInfo()
    metadata.add_itxt(CAPTION_ENTRY, caption)
    buffer = io.BytesIO()
    few = drawn.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", pnginfo=metadata, optimize=True)
    return buffer.getvalue()


def cut_strip(png: bytes) -> tuple[Picture, ...]:
    """Take apart a trial's picture, as ``pictures.reconstructions_png`` drew it.

    Error maps are of the drawn images, whose colours are rounded; errors are those of the model's
    exact output, as stored.

    Returns:
        In the picture's order; nothing of a PNG that does not say what its columns show.
    """
    with Image.open(io.BytesIO(png)) as image:
        columns: list[dict[str, Any]] = json.loads(image.info.get(attrs.PICTURES_ENTRY, "[]"))
        strip = image.convert("RGB")
    return tuple(_cut_column(strip, i, **column) for i, column in enumerate(columns))


def error_map(original: Image.Image, reconstruction: Image.Image) -> Image.Image:
    """Draw by how much each pixel differs: the absolute difference, averaged over the channels.

    Args:
        original: An RGB image.
        reconstruction: Another of the same size.

    Returns:
        An RGB image: white for no difference, ``ERROR_COLOUR`` for ``FULL_DIFFERENCE`` or more,
        and in proportion between them, so that all maps compare.
    """
    difference = np.asarray(original, dtype=float) - np.asarray(reconstruction, dtype=float)
    share = np.abs(difference).mean(axis=2) / (255 * FULL_DIFFERENCE)
    levels = np.rint(255 * np.minimum(share, 1)).astype(np.uint8)
    return ImageOps.colorize(Image.fromarray(levels), "white", ERROR_COLOUR)


def _drawn_images(role: str, trial: TrialRecord, pictures: Iterable[Picture]) -> DrawnImages:
    """Keep what a trial made of the fixed images."""
    samples = _samples(pictures)
    return DrawnImages(
        caption=f"{role}: {_describe(trial)}",
        drawn_by=training_of(trial),
        reconstructions=tuple(picture.reconstruction for picture in samples),
        errors=tuple(picture.mse for picture in samples),
    )


def _samples(pictures: Iterable[Picture]) -> list[Picture]:
    """Return the pictures of the fixed images."""
    return [picture for picture in pictures if picture.role == attrs.SAMPLE]


def _describe(trial: TrialRecord) -> str:
    """Say which trial this is, how good, and who drew its pictures if another one did."""
    text = f"trial {trial.number}, validation MSE {format_mse(trial.value)}"
    drawn_by = training_of(trial)
    if drawn_by == trial.number:
        return text
    return f"{text}, drawn by trial {drawn_by}, whose training it shares"


def _cut_column(strip: Image.Image, i: int, *, text: str, role: str, mse: float) -> Picture:
    stride = IMAGE_SIZE + STRIP_PADDING
    left = STRIP_PADDING + i * stride
    original, reconstruction = (
        strip.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE))
        for top in (STRIP_PADDING, STRIP_PADDING + stride)
    )
    return Picture(
        text=text,
        role=role,
        original=picture_png(original),
        reconstruction=picture_png(reconstruction),
        error_map=picture_png(error_map(original, reconstruction)),
        mse=mse,
    )
