"""The data set as a study uses it: training and validation images; the test split apart."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emoji_ae.classification import count_classes
from emoji_ae.config import AutoencoderConfig, SplitMethod
from emoji_ae.dataset import EmojiDataset, LabelledImages, labelled_images, load_dataset
from emoji_ae.labels import CLASSES
from emoji_ae.latent_quality import LatentSample
from emoji_ae.splits import Split, split_dataset
from study.errors import StudyError
from study.settings import StudySettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyData:
    """What an objective may see.

    Args:
        train: Images ``(n, 3, 64, 64)`` uint8 and labels ``(n,)``: the own ones come first, and
            behind them the extra ones.
        n_own: The number of own training images, and of the images that an epoch draws, so that
            it costs the same with extra images as without.
        validation: Images ``(m, 3, 64, 64)`` uint8 and labels ``(m,)``.
        validation_texts: What each validation image shows.
        latent_sample: By which latents are measured: the own training and validation images.
        fingerprint: Digest of the whole data set and of its split.
    """

    train: LabelledImages
    n_own: int
    validation: LabelledImages
    validation_texts: tuple[str, ...]
    latent_sample: LatentSample
    fingerprint: str

    @property
    def n_extra(self) -> int:
        """The number of extra training images."""
        return len(self.train.images) - self.n_own

    @property
    def own_train(self) -> LabelledImages:
        """The training images without the extra ones."""
        return LabelledImages(
            images=self.train.images[: self.n_own], labels=self.train.labels[: self.n_own]
        )

    def train_for(self, config: AutoencoderConfig) -> LabelledImages:
        """Return the images that a configuration is trained on."""
        return self.train if config.extra_images else self.own_train


def study_data(dataset: EmojiDataset, split: Split) -> StudyData:
    """Keep the training and validation images of ``dataset``."""
    own_train = [row for row in split.train if row < dataset.n_own]
    return StudyData(
        train=labelled_images(dataset, split.train),
        n_own=len(own_train),
        validation=labelled_images(dataset, split.validation),
        validation_texts=tuple(dataset.texts[i] for i in split.validation),
        latent_sample=_latent_sample(dataset, own_train, split.validation),
        fingerprint=fingerprint(dataset, split),
    )


def _latent_sample(
    dataset: EmojiDataset, train: Sequence[int], validation: Sequence[int]
) -> LatentSample:
    rows = [*train, *validation]
    return LatentSample(
        images=dataset.images[rows],
        texts=tuple(dataset.texts[row] for row in rows),
        labels=dataset.labels[rows],
        groups=tuple(dataset.groups[row] for row in rows),
        n_train=len(train),
    )


def fingerprint(dataset: EmojiDataset, split: Split) -> str:
    """Return a digest of a data set, and one of its split behind it.

    Both are of the own images, so they tell which images judge. A third one behind them is of the
    extra images and their split, if there are any.
    """
    own, extra = split.sides[: dataset.n_own], split.sides[dataset.n_own :]
    found = f"{dataset.fingerprint}-{_short(own)}"
    return f"{found}-{_short(dataset.extra_fingerprint + extra)}" if extra else found


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


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
    path: Path | None,
    stored: StudySettings | None,
    *,
    study: str,
    method: SplitMethod,
    seed: int,
    vendors: Sequence[str] = (),
) -> tuple[EmojiDataset, Split]:
    """Load a data set with the split of a stored study, or draw one where there is none yet.

    Args:
        path: The data set file; None for the embedded images.
        stored: Settings of the study, None for a new one.
        study: Its name.
        method: Of a new split, ``group`` or ``random``.
        seed: Of a new split.
        vendors: As ``load_dataset``.

    Raises:
        DataError: If the data set cannot be read or split, or a vendor is unknown.
        StudyError: As ``stored_split``.
    """
    dataset = load_dataset(path, vendors)
    if stored is not None:
        return dataset, stored_split(stored, dataset, study=study)
    return dataset, split_dataset(dataset, method=method, seed=seed)


def load_data(
    settings: StudySettings, path: Path | None, stored: StudySettings | None, *, study: str
) -> tuple[EmojiDataset, Split]:
    """Load the data set that settings describe, with its split; see ``load_split``.

    Args:
        settings: Of the study.
        path: The data set file; None for the embedded images.
        stored: The same as they are stored, None for a new study.
        study: Its name.
    """
    return load_split(
        path,
        stored,
        study=study,
        method=settings.split,
        seed=settings.data_seed,
        vendors=settings.vendors,
    )


def class_counts(data: StudyData) -> dict[str, dict[str, int]]:
    """Return the number of own images of each class, by name, in training and validation."""
    return {
        side: dict(zip(CLASSES, count_classes(images.labels).tolist(), strict=True))
        for side, images in (("train", data.own_train), ("validation", data.validation))
    }
