"""The data set as a study uses it: training and validation images; the test split apart."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch

from emoji_ae.choices import SplitMethod
from emoji_ae.classification import count_classes
from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import EmojiDataset, Intake, LabelledImages, labelled_images
from emoji_ae.evaluation import to_float
from emoji_ae.labels import CLASSES
from emoji_ae.splits import Split, redraw_validation, split_dataset
from storage import attrs
from study.formats import counted
from study.kinds import Data

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class StudyData(Data):
    """The images of a study; all but ``dataset`` and ``split`` without those of the test split."""

    dataset: EmojiDataset
    split: Split
    noun = "images"

    @cached_property
    def fingerprint(self) -> str:
        """Digests of the own images, of their split, and of the extra ones, if there are any.

        So the first two tell which images judge.
        """
        n_own = self.dataset.n_own
        own, extra = self.split.sides[:n_own], self.split.sides[n_own:]
        found = f"{self.dataset.fingerprint}-{_short(own)}"
        return f"{found}-{_short(self.dataset.extra_fingerprint + extra)}" if extra else found

    @cached_property
    def train(self) -> LabelledImages:
        """The own training images, and behind them the extra ones."""
        return labelled_images(self.dataset, self.split.train)

    @cached_property
    def validation(self) -> LabelledImages:
        """The validation images."""
        return labelled_images(self.dataset, self.split.validation)

    @cached_property
    def n_own(self) -> int:
        """The number of own training images, and of those that any epoch draws."""
        return sum(row < self.dataset.n_own for row in self.split.train)

    @property
    def n_extra(self) -> int:
        """The number of extra training images."""
        return len(self.split.train) - self.n_own

    @property
    def own_train(self) -> LabelledImages:
        """The training images without the extra ones."""
        return labelled_images(self.dataset, self.split.train[: self.n_own])

    @property
    def sides(self) -> str:
        return self.split.sides

    def with_sides(self, sides: str) -> "StudyData":
        return StudyData(self.dataset, Split.from_sides(sides))

    def redraw(self, split: str, seed: int) -> str:
        method = cast(SplitMethod, split)  # checked where it came from
        return redraw_validation(self.dataset, self.split, method=method, seed=seed).sides

    def draw(self, split: str, seed: int) -> str:
        return split_dataset(self.dataset, method=cast(SplitMethod, split), seed=seed).sides

    def describe(self) -> str:
        extra = f" images, {self.n_extra} of them extra ones," if self.n_extra else ""
        n_train, n_validation = len(self.split.train), len(self.split.validation)
        text = f"{n_train} training{extra} and {n_validation} validation images"
        return f"{text} ({', '.join(self._remarks)})" if self._remarks else text

    def facts(self) -> dict[str, Any]:
        """Return what a constant image scores, and the own images of each class, on each side.

        The constant image is the mean of the own training images. What is remarkable of the data
        is there only if something is.
        """
        counts = {
            side: dict(zip(CLASSES, count_classes(images.labels).tolist(), strict=True))
            for side, images in (("train", self.own_train), ("validation", self.validation))
        }
        train, validation = (to_float(i.images, CPU) for i in (self.own_train, self.validation))
        error = (validation - train.mean(dim=0, keepdim=True)).square().mean().item()
        told: dict[str, Any] = {attrs.DATA_REMARKS: self._remarks} if self._remarks else {}
        return {attrs.CLASS_COUNTS: counts, attrs.BASELINE: error, **told}

    @property
    def _remarks(self) -> list[str]:
        return [*left_out(self.dataset.intake), *changed(self.dataset.intake)]

    def train_for(self, config: AutoencoderConfig) -> LabelledImages:
        """Return the images that a configuration is trained on."""
        return self.train if config.extra_images else self.own_train


def left_out(intake: Intake) -> list[str]:
    """Say which rows of a file are not used; of the embedded images, most never are."""
    told = (
        (intake.n_without_face, "without the word “face”"),
        (intake.n_clock, "with the face of a clock"),
    )
    return [f"{counted(n, 'row')} {why} left out" for n, why in told if n and not intake.embedded]


def changed(intake: Intake) -> list[str]:
    """Say which images are not what their files show at first sight, or show nothing."""
    told = (
        (intake.n_turned, "image", "turned upright by EXIF data"),
        (intake.n_later_frames, "animation", "taken by a later frame, as the first shows less"),
        (intake.n_blank, "image", "all white"),
    )
    return [f"{counted(n, noun)} {what}" for n, noun, what in told if n]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
