"""The data set as a study uses it: training and validation images; the test split apart."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from emoji_ae.classification import count_classes
from emoji_ae.config import SplitMethod
from emoji_ae.dataset import EmojiDataset, LabelledImages, labelled_images, load_dataset
from emoji_ae.labels import CLASSES
from emoji_ae.splits import Split, split_dataset
from study.errors import StudyError
from study.settings import StudySettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyData:
    """What an objective may see.

    Args:
        train: Images ``(n, 3, 64, 64)`` uint8 and labels ``(n,)``.
        validation: Images ``(m, 3, 64, 64)`` uint8 and labels ``(m,)``.
        validation_texts: What each validation image shows.
        fingerprint: Digest of the whole data set and of its split.
    """

    train: LabelledImages
    validation: LabelledImages
    validation_texts: tuple[str, ...]
    fingerprint: str


def study_data(dataset: EmojiDataset, split: Split) -> StudyData:
    """Keep the training and validation images of ``dataset``."""
    return StudyData(
        train=labelled_images(dataset, split.train),
        validation=labelled_images(dataset, split.validation),
        validation_texts=tuple(dataset.texts[i] for i in split.validation),
        fingerprint=fingerprint(dataset, split),
    )


def fingerprint(dataset: EmojiDataset, split: Split) -> str:
    """Return a digest of a data set, and one of its split behind it."""
    digest = hashlib.sha256(split.sides.encode()).hexdigest()
    return f"{dataset.fingerprint}-{digest[:8]}"


def stored_split(settings: StudySettings, dataset: EmojiDataset, *, study: str) -> Split:
    """Return the split that was drawn when a study was created.

    It is stored because another version of scikit-learn may draw another one, and because a
    worker without scikit-learn starts faster and holds 70 MB less.

    Raises:
        StudyError: If ``dataset`` is not the one of the study.
    """
    split = Split.from_sides(settings.sides)
    stored, found = settings.data_fingerprint, fingerprint(dataset, split)
    if len(settings.sides) != len(dataset) or stored != found:
        raise StudyError(
            f"Study {study!r} was made with other data (fingerprint {stored}, here {found}); "
            "give its file with --data."
        )
    return split


def load_split(
    path: Path | None, stored: StudySettings | None, *, study: str, method: SplitMethod, seed: int
) -> tuple[EmojiDataset, Split]:
    """Load a data set with the split of a stored study, or draw one where there is none yet.

    Args:
        path: The data set file; None for the embedded images.
        stored: Settings of the study, None for a new one.
        study: Its name.
        method: Of a new split, ``group`` or ``random``.
        seed: Of a new split.

    Raises:
        DataError: If the data set cannot be read or split.
        StudyError: As ``stored_split``.
    """
    dataset = load_dataset(path)
    if stored is not None:
        return dataset, stored_split(stored, dataset, study=study)
    return dataset, split_dataset(dataset, method=method, seed=seed)


def class_counts(data: StudyData) -> dict[str, dict[str, int]]:
    """Return the number of images of each class, by name, in training and validation."""
    return {
        side: dict(zip(CLASSES, count_classes(images.labels).tolist(), strict=True))
        for side, images in (("train", data.train), ("validation", data.validation))
    }
