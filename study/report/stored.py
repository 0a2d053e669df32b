"""The pictures that a report takes from the files of a study and of some of its trials."""

import io
from collections.abc import Callable, Iterable
from typing import TypeVar

from optuna.storages import BaseStorage
from PIL import Image

from storage import attrs
from storage.artifacts import ArtifactFolder, no_picture, read_artifact, read_study_artifact
from storage.records import StudyRecord, TrialRecord
from study.analysis import kind_of, ranked, training_of
from study.formats import format_measured
from study.metrics import Metric
from study.report.pictures import (
    DrawnImages,
    LatentGallery,
    Picture,
    Pictures,
    TrialFile,
    TrialFiles,
)
from study.report.strips import FULL_DIFFERENCE, cut_strip

CAPTION_ENTRY = "caption"
"""Text entry of a gallery's PNG."""

_Drawn = TypeVar("_Drawn")


def best_pictures(
    record: StudyRecord, storage: BaseStorage, artifacts: ArtifactFolder
) -> Pictures | None:
    """Return fixed images by the best, the median and the worst trial, None without the best's."""

    def read(trial: TrialRecord) -> tuple[Picture, ...]:
        png = read_artifact(artifacts, storage, trial.trial_id, attrs.RECONSTRUCTIONS_FILE)
        return () if png is None else cut_strip(png)

    def alike(drawn: tuple[Picture, ...], others: tuple[Picture, ...]) -> bool:
        return [p.text for p in _samples(drawn)] == [p.text for p in _samples(others)]

    found = _chosen(record, read, alike)
    if not found:
        return None
    objective = kind_of(record).objective
    best, pictures = found["best"]
    samples = _samples(pictures)
    drawn_images = [
        DrawnImages(
            caption=f"{role}: {_describe(trial, objective)}",
            drawn_by=training_of(trial),
            reconstructions=tuple(picture.reconstruction for picture in _samples(drawn)),
            errors=tuple(picture.mse for picture in _samples(drawn)),
        )
        for role, (trial, drawn) in found.items()
    ]
    return Pictures(
        caption=_describe(best, objective),
        drawn_by=training_of(best),
        ranked=tuple(picture for picture in pictures if picture.role != attrs.SAMPLE),
        full_difference=FULL_DIFFERENCE,
        texts=tuple(picture.text for picture in samples),
        originals=tuple(picture.original for picture in samples),
        trials=tuple(drawn_images),
        n_trials=len(_comparable(record, best)),
    )


def trial_files(
    record: StudyRecord, storage: BaseStorage, artifacts: ArtifactFolder
) -> tuple[TrialFiles, ...]:
    """Return the other pictures that trials attach, each by the best, median and worst trial."""
    kind = kind_of(record)
    told_otherwise = {attrs.RECONSTRUCTIONS_FILE, attrs.LEARNING_CURVE_FILE}
    shown = []
    for file in kind.files:
        if not file.picture or file.name in told_otherwise:
            continue

        def read(trial: TrialRecord, name: str = file.name) -> bytes | None:
            content = read_artifact(artifacts, storage, trial.trial_id, name)
            return None if content == no_picture() else content

        found = _chosen(record, read, lambda content, _: content is not None)
        trials = tuple(
            TrialFile(caption=f"{role}: {_describe(trial, kind.objective)}", content=content)
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
            with Image.open(io.BytesIO(png)) as image:
                return LatentGallery(caption=str(image.info.get(CAPTION_ENTRY, study)), png=png)
    return None


def _chosen(
    record: StudyRecord,
    read: Callable[[TrialRecord], _Drawn],
    alike: Callable[[_Drawn, _Drawn], bool],
) -> dict[str, tuple[TrialRecord, _Drawn]]:
    """Return the best, the median and the worst trial, each with what ``read`` says it drew.

    The three are of the feasible complete trials with the best one's split, by the objective.
    Where the median or the worst drew nothing like the best, or is of a training that is shown
    already, the nearest other trial stands in. There are none if the best one drew nothing.
    """
    best = record.best
    if best is None or not (drawn := read(best)):
        return {}
    order = _comparable(record, best)
    middle = (len(order) - 1) // 2
    from_middle = [order[i] for i in sorted(range(len(order)), key=lambda i: abs(i - middle))]
    found = {"best": (best, drawn)}
    for role, candidates in (("worst", reversed(order)), ("median", from_middle)):
        taken = {training_of(trial) for trial, _ in found.values()}
        for trial in candidates:
            if training_of(trial) not in taken and alike(other := read(trial), drawn):
                found[role] = (trial, other)
                break
    return {role: found[role] for role in ("best", "median", "worst") if role in found}


def _comparable(record: StudyRecord, best: TrialRecord) -> list[TrialRecord]:
    """Return the feasible complete trials with the best one's split, best first."""
    sides = best.user_attrs.get(attrs.SIDES)
    return [
        trial
        for _, trial in ranked(record)
        if trial.feasible and trial.user_attrs.get(attrs.SIDES) == sides
    ]


def _samples(pictures: Iterable[Picture]) -> list[Picture]:
    return [picture for picture in pictures if picture.role == attrs.SAMPLE]


def _describe(trial: TrialRecord, objective: Metric) -> str:
    """Say which trial this is, how good, and who drew its pictures if another one did."""
    text = f"trial {trial.number}, {objective.label} {format_measured(trial.value, objective)}"
    drawn_by = training_of(trial)
    if drawn_by == trial.number:
        return text
    return f"{text}, drawn by trial {drawn_by}, whose training it shares"
