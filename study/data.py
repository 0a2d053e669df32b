"""The data set as a study uses it: training and validation images; the test split apart."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from emoji_ae.config import SplitMethod
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.splits import Split, split_dataset


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


def load_study_data(path: Path | None, *, split: SplitMethod, seed: int) -> StudyData:
    """Load a data set and keep its training and validation images.

    Args:
        path: The data set file; None for the embedded images.
        split: ``group`` or ``random``.
        seed: Of the split.

    Raises:
        DataError: If the data set cannot be read or split.
    """
    dataset = load_dataset(path)
    return study_data(dataset, split_dataset(dataset, method=split, seed=seed))


def study_data(dataset: EmojiDataset, split: Split) -> StudyData:
    """Keep the training and validation images of ``dataset``."""
    sides = repr((split.train, split.validation, split.test)).encode()
    return StudyData(
        train=dataset.images[list(split.train)],
        validation=dataset.images[list(split.validation)],
        validation_texts=tuple(dataset.texts[i] for i in split.validation),
        # The split's part tells when another version of scikit-learn draws another one.
        fingerprint=f"{dataset.fingerprint}-{hashlib.sha256(sides).hexdigest()[:8]}",
    )
