"""Pictures for the report, taken from the artifacts of a study's best, median and worst trial."""

from collections.abc import Iterable

from optuna.storages import BaseStorage

from emoji_ae.drawing.captions import caption_of
from emoji_ae.drawing.strips import FULL_DIFFERENCE, cut_strip
from storage import attrs
from storage.artifacts import ArtifactFolder, read_artifact, read_study_artifact
from storage.records import StudyRecord, TrialRecord
from study.analysis import ranked, training_of
from study.formats import format_mse
from study.report.pictures import DrawnImages, LatentGallery, Picture, Pictures


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
        return () if png is None else tuple(Picture(**c._asdict()) for c in cut_strip(png))

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
            return LatentGallery(caption=caption_of(png) or study, png=png)
    return None


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
