"""The data set as a study uses it: training and validation images; the test split apart."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emoji_ae.classification import count_classes
from emoji_ae.config import AutoencoderConfig, SplitMethod
from emoji_ae.dataset import EmojiDataset, LabelledImages, labelled_images, load_dataset
from emoji_ae.labels import CLASSES
from emoji_ae.latent_quality import LatentSample
from emoji_ae.splits import Split, redraw_validation, split_dataset
from storage import attrs
from study.kinds import Data, OtherDataError, Source


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyData(Data):
    """The images of a study; all but ``dataset`` and ``split`` without those of the test split.

    Args:
        dataset: All images.
        split: Which of them train, choose, and test.
        train: Images ``(n, 3, 64, 64)`` uint8 and labels ``(n,)``: the own ones come first, and
            behind them the extra ones.
        n_own: The number of own training images, and of the images that an epoch draws, so that
            it costs the same with extra images as without.
        validation: Images ``(m, 3, 64, 64)`` uint8 and labels ``(m,)``.
        validation_texts: What each validation image shows.
        latent_sample: By which latents are measured: the own training and validation images.
        fingerprint: Digest of the whole data set and of its split.
    """

    dataset: EmojiDataset
    split: Split
    train: LabelledImages
    n_own: int
    validation: LabelledImages
    validation_texts: tuple[str, ...]
    latent_sample: LatentSample
    fingerprint: str = ""

    @property
    def sides(self) -> str:
        """One letter per image, see ``Split.sides``."""
        return self.split.sides

    def with_sides(self, sides: str) -> "StudyData":
        """Return the same images split in another way."""
        return study_data(self.dataset, Split.from_sides(sides))

    def redraw(self, split: str, seed: int) -> str:
        """Return sides with another validation split and the same test split."""
        method: SplitMethod = split  # type: ignore[assignment]  # checked where it came from
        return redraw_validation(self.dataset, self.split, method=method, seed=seed).sides

    def draw(self, split: str, seed: int) -> str:
        """Return sides that are drawn anew."""
        method: SplitMethod = split  # type: ignore[assignment]
        return split_dataset(self.dataset, method=method, seed=seed).sides

    def describe(self) -> str:
        """Say how many images train and how many judge."""
        n_train, n_validation = len(self.train.images), len(self.validation.images)
        if not self.n_extra:
            return f"{n_train} training and {n_validation} validation images"
        return (
            f"{n_train} training images, {self.n_extra} of them extra ones, and {n_validation} "
            "validation images"
        )

    def facts(self) -> dict[str, Any]:
        """Return the number of own images of each class, in training and validation."""
        return {attrs.CLASS_COUNTS: class_counts(self)}

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


def load_study_data(source: Source, sides: str | None) -> StudyData:
    """Load the images of a study, with its split, or with one that is drawn now.

    Raises:
        DataError: If the data set cannot be read or split, or a vendor is unknown.
        OtherDataError: If the split is one of other images.
    """
    dataset = load_dataset(source.path, source.options.get("vendors", ()))
    if sides is None:
        method: SplitMethod = source.split  # type: ignore[assignment]  # checked before
        return study_data(dataset, split_dataset(dataset, method=method, seed=source.seed))
    split = Split.from_sides(sides)
    if len(sides) != len(dataset):
        raise OtherDataError(fingerprint(dataset, split))
    return study_data(dataset, split)


def study_data(dataset: EmojiDataset, split: Split) -> StudyData:
    """Keep the training and validation images of ``dataset``."""
    own_train = [row for row in split.train if row < dataset.n_own]
    return StudyData(
        dataset=dataset,
        split=split,
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


def class_counts(data: StudyData) -> dict[str, dict[str, int]]:
    """Return the number of own images of each class, by name, in training and validation."""
    return {
        side: dict(zip(CLASSES, count_classes(images.labels).tolist(), strict=True))
        for side, images in (("train", data.own_train), ("validation", data.validation))
    }
