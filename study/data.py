"""The data set as a study uses it: training and validation images; the test split apart."""

import hashlib
from dataclasses import dataclass

from torch import Tensor

from emoji_ae.dataset import EmojiDataset
from emoji_ae.splits import Split
from study.errors import StudyError
from study.settings import StudySettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyData:
    """What an objective may see.

    Args:
        train: ``(n, 3, 64, 64)`` uint8.
        validation: ``(m, 3, 64, 64)`` uint8.
        validation_texts: What each validation image shows.
        fingerprint: Digest of the whole data set and of its split.
    """

    train: Tensor
    validation: Tensor
    validation_texts: tuple[str, ...]
    fingerprint: str


def study_data(dataset: EmojiDataset, split: Split) -> StudyData:
    """Keep the training and validation images of ``dataset``."""
    digest = hashlib.sha256(split.sides.encode()).hexdigest()
    return StudyData(
        train=dataset.images[list(split.train)],
        validation=dataset.images[list(split.validation)],
        validation_texts=tuple(dataset.texts[i] for i in split.validation),
        fingerprint=f"{dataset.fingerprint}-{digest[:8]}",
    )


def stored_split(settings: StudySettings, dataset: EmojiDataset, *, study: str) -> Split:
    """Return the split that was drawn when a study was created.

    It is stored because another version of scikit-learn may draw another one, and because a
    worker without scikit-learn starts faster and holds 70 MB less.

    Raises:
        StudyError: If ``dataset`` is not the one of the study.
    """
    split = Split.from_sides(settings.sides)
    stored = settings.data_fingerprint
    if not stored.startswith(f"{dataset.fingerprint}-"):
        raise StudyError(
            f"Study {study!r} was made with other data (fingerprint {stored}, here "
            f"{dataset.fingerprint}); give its file with --data."
        )
    return split
