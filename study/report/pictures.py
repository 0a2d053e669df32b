"""Pictures that a report shows: images and what trials made of them, all of them PNG files.

A trial's own picture is a strip of columns of two square tiles, the original over what its model
made of it; ``attrs.PICTURES_ENTRY`` says what each shows.
"""

import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from optuna.storages import BaseStorage
from PIL import Image, ImageOps

from storage import attrs
from storage.artifacts import ArtifactFolder, no_picture, read_artifact, read_study_artifact
from storage.records import StudyRecord, TrialRecord
from study.analysis import kind_of, ranked, training_of
from study.formats import format_measured
from study.metrics import Metric

CAPTION_ENTRY = "caption"  # text of a gallery's PNG
PADDING = 2  # pixels around and between the tiles

FULL_DIFFERENCE = 0.5
"""Mean absolute difference of a pixel from which on an error map has its full colour."""

ERROR_COLOUR = (8, 48, 107)
"""Full colour of an error map, the darkest of ColorBrewer's blues.

Shades of one hue can be read with every common colour vision.
Source: Harrower, Brewer, "ColorBrewer.org", The Cartographic Journal 40, 2003.
"""

_CAPTION = re.compile(
    r"(best|median|worst): trial (\d+)(.*?(?:, drawn by trial (\d+).*)?)", re.DOTALL
)
_Drawn = TypeVar("_Drawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image and what a trial's model made of it.

    Args:
        role: Why it is shown: ``sample``, ``lowest``, ``median`` or ``highest``.
    """

    text: str
    role: str
    original: bytes
    reconstruction: bytes
    error_map: bytes
    mse: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnImages:
    """The fixed images as one trial draws them, with the MSE of each.

    Args:
        drawn_by: Number of the trial whose model drew them.
    """

    caption: str
    drawn_by: int
    reconstructions: tuple[bytes, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFile:
    """A picture that a trial attached, and which trial this is."""

    caption: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFiles:
    """The same picture of the best, the median and the worst trial, of those there are."""

    label: str
    trials: tuple[TrialFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentGallery:
    """Sums of emoji, by the notebook's recipes and by others, and whose model drew them."""

    caption: str
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Images that the best trial draws well, middling and badly, and fixed ones by several.

    Args:
        caption, drawn_by: See ``DrawnImages``; of the ranked pictures.
        ranked: From the lowest error to the highest.
        trials: What the best, the median and the worst trial made of these, of those there are.
    """

    caption: str
    drawn_by: int
    ranked: tuple[Picture, ...]
    full_difference: float
    texts: tuple[str, ...]
    originals: tuple[bytes, ...]
    trials: tuple[DrawnImages, ...]


def best_pictures(
    record: StudyRecord, storage: BaseStorage, artifacts: ArtifactFolder
) -> Pictures | None:
    """Return fixed images by the best, the median and the worst trial, None without the best's.

    Of trials whose pictures are of another result, the next in rank stands in.
    """

    def read(trial: TrialRecord) -> tuple[Picture, ...]:
        png = read_artifact(artifacts, storage, trial.trial_id, attrs.RECONSTRUCTIONS_FILE)
        return () if png is None else cut_strip(png)

    found = _chosen(record, read, lambda drawn: [p.text for p in _samples(drawn)])
    if not found:
        return None
    objective = kind_of(record).objective
    best, pictures = found["best"]
    samples, order = _samples(pictures), _comparable(record)
    drawn_images = [
        DrawnImages(
            caption=_caption(role, trial, order, objective),
            drawn_by=training_of(trial),
            reconstructions=tuple(picture.reconstruction for picture in _samples(drawn)),
            errors=tuple(picture.mse for picture in _samples(drawn)),
        )
        for role, (trial, drawn) in found.items()
    ]
    return Pictures(
        caption=drawn_images[0].caption.removeprefix("best: "),
        drawn_by=training_of(best),
        ranked=tuple(picture for picture in pictures if picture.role != attrs.SAMPLE),
        full_difference=FULL_DIFFERENCE,
        texts=tuple(picture.text for picture in samples),
        originals=tuple(picture.original for picture in samples),
        trials=tuple(drawn_images),
    )


def trial_files(
    record: StudyRecord, storage: BaseStorage, artifacts: ArtifactFolder
) -> tuple[TrialFiles, ...]:
    """Return the other pictures that trials attach, each by the best, median and worst trial."""
    kind, order = kind_of(record), _comparable(record)
    told_otherwise = {attrs.RECONSTRUCTIONS_FILE, attrs.LEARNING_CURVE_FILE}
    shown = []
    for file in kind.files:
        if not file.picture or file.name in told_otherwise:
            continue

        def read(trial: TrialRecord, name: str = file.name) -> bytes | None:
            content = read_artifact(artifacts, storage, trial.trial_id, name)
            return None if content == no_picture() else content

        found = _chosen(record, read, lambda content: content is None)
        trials = tuple(
            TrialFile(caption=_caption(role, trial, order, kind.objective), content=content)
            for role, (trial, content) in found.items()
            if content is not None
        )
        if trials:
            shown.append(TrialFiles(label=file.label or file.name, trials=trials))
    return tuple(shown)


def latent_gallery(
    studies: Iterable[str], storage: BaseStorage, artifacts: ArtifactFolder
) -> LatentGallery | None:
    """Return the gallery that the first of some studies keeps, None if none does."""
    for study in studies:
        png = read_study_artifact(artifacts, storage, study, attrs.GALLERY_FILE)
        if png is not None:
            with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
                return LatentGallery(caption=str(image.info.get(CAPTION_ENTRY, study)), png=png)
    return None


def _chosen(
    record: StudyRecord,
    read: Callable[[TrialRecord], _Drawn],
    kind: Callable[[_Drawn], object],
) -> dict[str, tuple[TrialRecord, _Drawn]]:
    """Return the best, the median and the worst trial, each with what ``read`` says it drew.

    The three are of the feasible complete trials with the best one's split, by the objective.
    Where one shares a training but not its result, or the median or the worst drew another
    ``kind`` of thing than the best, or is of a training that is shown already, the nearest other
    trial stands in. Empty if the best one of those that remain drew nothing.
    """
    order = _comparable(record)
    values = {trial.number: trial.value for trial in record.trials}
    own = [trial for trial in order if values.get(training_of(trial)) == trial.value]
    if not own or not (drawn := read(best := own[0])):
        return {}
    places = {trial.number: place for place, trial in enumerate(order)}
    from_middle = sorted(own, key=lambda t: abs(places[t.number] - (len(order) - 1) // 2))
    found = {"best": (best, drawn)}
    for role, candidates in (("worst", reversed(own)), ("median", from_middle)):
        taken = {training_of(trial) for trial, _ in found.values()}
        for trial in candidates:
            if training_of(trial) not in taken and kind(other := read(trial)) == kind(drawn):
                found[role] = (trial, other)
                break
    return {role: found[role] for role in ("best", "median", "worst") if role in found}


def _comparable(record: StudyRecord) -> list[TrialRecord]:
    """Return the feasible complete trials with the best one's split, best first."""
    if (best := record.best) is None:
        return []
    sides = attrs.SIDES.of(best)
    return [
        trial for _, trial in ranked(record) if trial.feasible and attrs.SIDES.of(trial) == sides
    ]


def _placed(role: str, trial: TrialRecord, order: Sequence[TrialRecord]) -> str:
    """Say which place a trial has, best first: the median's, or whose stands in for it."""
    n, place = len(order), [t.number for t in order].index(trial.number) + 1
    wanted = {"best": 1, "median": (n + 1) // 2, "worst": n}[role]
    return (
        role
        if place == wanted
        else f"place {place} of {n}, as the {role} kept no pictures of its own"
    )


def true_caption(caption: str, record: StudyRecord) -> str:
    """Return the caption of a picture with the place that its trial really has.

    Pages of earlier versions call the nearest trial with pictures the median, and show those of
    another result as a trial's own.
    """
    if (found := _CAPTION.fullmatch(caption)) is None:
        return caption
    role, number, rest, drawn_by = found.groups()
    order = _comparable(record)
    trials = {trial.number: trial for trial in order}
    if (trial := trials.get(int(number))) is None:
        return caption
    source = trials.get(int(drawn_by or number), trial)
    if source.value != trial.value:
        return _caption(role, source, order, kind_of(record).objective)
    return f"{_placed(role, trial, order)}: trial {number}{rest}"


def _samples(pictures: Iterable[Picture]) -> list[Picture]:
    return [picture for picture in pictures if picture.role == attrs.SAMPLE]


def _caption(
    role: str, trial: TrialRecord, order: Sequence[TrialRecord], objective: Metric
) -> str:
    """Say which trial this is, how good, and who drew its pictures if another one did."""
    value = f"{objective.label} {format_measured(trial.value, objective)}"
    text = f"{_placed(role, trial, order)}: trial {trial.number}, {value}"
    if (drawn_by := training_of(trial)) != trial.number:
        text += f", drawn by trial {drawn_by}, whose training it shares"
    return text


def cut_strip(png: bytes) -> tuple[Picture, ...]:
    """Take apart a trial's picture; one that does not say what its columns show has none.

    Error maps are of the drawn images, whose colours may be rounded; errors are those of the
    model's exact output, as stored.
    """
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        columns: list[dict[str, Any]] = json.loads(image.info.get(attrs.PICTURES_ENTRY, "[]"))
        strip = image.convert("RGB")
    return tuple(_cut_column(strip, i, **column) for i, column in enumerate(columns))


def error_map(original: Image.Image, made: Image.Image) -> Image.Image:
    """Draw by how much each pixel differs: the absolute difference, averaged over the channels.

    Both are RGB images of one size. White is no difference, ``ERROR_COLOUR`` is
    ``FULL_DIFFERENCE`` or more, in proportion between them, so that all maps compare.
    """
    difference = np.asarray(original, dtype=float) - np.asarray(made, dtype=float)
    share = np.abs(difference).mean(axis=2) / (255 * FULL_DIFFERENCE)
    levels = np.rint(255 * np.minimum(share, 1)).astype(np.uint8)
    return ImageOps.colorize(Image.fromarray(levels), "white", ERROR_COLOUR)


def _cut_column(strip: Image.Image, i: int, *, text: str, role: str, mse: float) -> Picture:
    size = (strip.height - 3 * PADDING) // 2
    left = PADDING + i * (size + PADDING)
    original, made = (
        strip.crop((left, top, left + size, top + size)) for top in (PADDING, 2 * PADDING + size)
    )
    pngs = map(_png, (original, made, error_map(original, made)))
    files = dict(zip(("original", "reconstruction", "error_map"), pngs, strict=True))
    return Picture(text=text, role=role, mse=mse, **files)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
