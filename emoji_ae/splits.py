"""Which images train a model, which choose between models, and which judge the choice.

Knows nothing of images, training or metrics; the seed is the only source of chance.
"""

import warnings
from dataclasses import dataclass
from typing import Self, get_args

import numpy as np

from emoji_ae.config import SplitMethod
from emoji_ae.dataset import EmojiDataset
from emoji_ae.errors import ConfigError, DataError

_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Three sets of rows that together are all rows, none of them twice.

    Args:
        train: Sorted row numbers of about 60 % of the images.
        validation: Sorted row numbers of about 20 %.
        test: Sorted row numbers of about 20 %.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def sides(self) -> str:
        """One letter per row, ``t``, ``v`` or ``x``: training, validation, test."""
        letters = dict.fromkeys(self.train, "t") | dict.fromkeys(self.validation, "v")
        letters |= dict.fromkeys(self.test, "x")
        return "".join(letters[row] for row in range(len(letters)))

    @classmethod
    def from_sides(cls, sides: str) -> Self:
        """Read what ``sides`` gave."""

        def rows(letter: str) -> tuple[int, ...]:
            return tuple(row for row, side in enumerate(sides) if side == letter)

        return cls(train=rows("t"), validation=rows("v"), test=rows("x"))


def split_dataset(
    dataset: EmojiDataset, *, method: SplitMethod = "group", seed: int = 42
) -> Split:
    """Split a data set 60/20/20, each class by itself as far as its groups allow.

    Args:
        dataset: At least five images of one class and, for ``"group"``, five groups.
        method: ``"group"`` keeps the variants of one emoji on one side. ``"random"`` is the
            original study's way and leaks: a variant of a training image may be judged on.
        seed: From 0 to 2**32 - 1; the same seed gives the same split.

    Returns:
        Two folds of five as validation and test, and the rest as training set. The two are
        those nearest to a fifth of the images, so one very large group always trains.

    Raises:
        ConfigError: If the method or the seed breaks its rule.
        DataError: If there are too few images or groups.

    Source: folds by ``StratifiedGroupKFold`` and ``StratifiedKFold`` of scikit-learn.
    """
    if method not in get_args(SplitMethod):
        raise ConfigError(f"`method` must be one of group, random, but got {method!r}.")
    if not 0 <= seed < 2**32:
        raise ConfigError(f"`seed` must be at least 0 and below 2**32, but got {seed!r}.")
    labels = dataset.labels.numpy()
    _require("images in its largest class", int(np.bincount(labels).max()))
    if method == "group":
        _require("groups of variants", len(set(dataset.groups)))

    # Here and not above because importing it takes a second.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    splitter = StratifiedGroupKFold if method == "group" else StratifiedKFold
    with warnings.catch_warnings():
        # A class with fewer images than folds is missing in some of them, which is allowed.
        warnings.simplefilter("ignore")
        drawn = splitter(_FOLDS, shuffle=True, random_state=seed).split(
            labels, labels, dataset.groups
        )
        folds = [fold.tolist() for _, fold in drawn]
    # Few groups can leave a fold without images, which then belongs to the training set.
    folds.sort(key=lambda fold: abs(_FOLDS * len(fold) - len(dataset)))
    validation, test, *rest = folds
    return Split(
        train=tuple(sorted(row for fold in rest for row in fold)),
        validation=tuple(validation),
        test=tuple(test),
    )


def leaking_groups(dataset: EmojiDataset, split: Split) -> int:
    """Count the groups with images in the training set and in validation or test too."""
    train = {dataset.groups[row] for row in split.train}
    return len(train & {dataset.groups[row] for row in split.validation + split.test})


def _require(what: str, count: int) -> None:
    if count < _FOLDS:
        raise DataError(
            f"`dataset` must have at least {_FOLDS} {what} to be split, but got {count}."
        )
