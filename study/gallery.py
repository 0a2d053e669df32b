"""Pictures for the report, taken from the artifacts of a study's best trial."""

import io
import json

import numpy as np
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import BaseStorage
from PIL import Image

from emoji_ae.config import IMAGE_SIZE, STRIP_PADDING
from storage import attrs
from storage.artifacts import read_artifact
from storage.records import StudyRecord
from study.report import Picture, Pictures


def best_pictures(
    record: StudyRecord, storage: BaseStorage, artifacts: FileSystemArtifactStore
) -> Pictures | None:
    """Return originals and reconstructions of the best trial, None if it has no pictures."""
    best = record.best
    if best is None:
        return None
    strip = read_artifact(artifacts, storage, best.trial_id, attrs.RECONSTRUCTIONS_FILE)
    if strip is None:
        return None
    drawn_by = best.user_attrs.get(attrs.REUSED_FROM, best.number)
    return Pictures(
        caption=f"Validation images and their reconstructions by trial {drawn_by}",
        items=cut_strip(strip),
    )


def cut_strip(png: bytes) -> tuple[Picture, ...]:
    """Take apart a trial's reconstruction picture, as ``pictures.reconstructions_png`` drew it.

    The error of each pair is that of the drawn images, with 8 bits per value.
    """
    with Image.open(io.BytesIO(png)) as image:
        texts: list[str] = json.loads(str(image.info.get(attrs.TEXTS_ENTRY, "[]")))
        strip = image.convert("RGB")
    return tuple(_cut_pair(strip, i, text) for i, text in enumerate(texts))


def _cut_pair(strip: Image.Image, i: int, text: str) -> Picture:
    stride = IMAGE_SIZE + STRIP_PADDING
    left = STRIP_PADDING + i * stride
    original, reconstruction = (
        strip.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE))
        for top in (STRIP_PADDING, STRIP_PADDING + stride)
    )
    difference = np.asarray(original, dtype=float) - np.asarray(reconstruction, dtype=float)
    return Picture(
        text=text,
        original=_png(original),
        reconstruction=_png(reconstruction),
        mse=float(np.square(difference / 255).mean()),
    )


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
