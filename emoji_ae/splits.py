"""Which images train a model, which choose between models, and which judge the choice."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, get_args

import numpy as np

from emoji_ae.choices import SplitMethod
from emoji_ae.dataset import EmojiDataset
from emoji_ae.errors import ConfigError, DataError

_FOLDS = 5
_Rows = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Four sets of sorted row numbers that together are all rows, none of them twice.

    Extra images train, but those that are variants of a validation or test image are unused.
    """

    train: _Rows
    validation: _Rows
    test: _Rows
    unused: _Rows = ()

    @property
    def sides(self) -> str:
        """One letter per row, ``t``, ``v``, ``x`` or ``-``: training, validation, test, unused."""
        letters = dict.fromkeys(self.train, "t") | dict.fromkeys(self.validation, "v")
        letters |= dict.fromkeys(self.test, "x") | dict.fromkeys(self.unused, "-")
        return "".join(letters[row] for row in range(len(letters)))

    @classmethod
    def from_sides(cls, sides: str) -> Self:
        """Read what ``sides`` gave."""
        train, validation, test, unused = (
            tuple(row for row, side in enumerate(sides) if side == letter) for letter in "tvx-"
        )
        return cls(train=train, validation=validation, test=test, unused=unused)


def split_dataset(
    dataset: EmojiDataset, *, method: SplitMethod = "group", seed: int = 42
) -> Split:
    """Split a data set 60/20/20, each class by itself as far as its groups allow.

    Validation and test are the two of five folds that are nearest to a fifth of the images, so
    one very large group always trains. Extra images change nothing for the own ones; they train,
    unless they are variants of a validation or test image, by either method.

    Args:
        dataset: At least five own images of one class and, for ``"group"``, five groups.
        method: ``"group"`` keeps the variants of one emoji on one side. ``"random"`` is the
            original study's way and leaks: a variant of a training image may be judged on.
        seed: From 0 to 2**32 - 1.

    Raises:
        ConfigError: If the method or the seed breaks its rule.
        DataError: If there are too few images or groups.
    """
    _check(method, seed)
    words = ("images in its largest class", "groups of variants")
    validation, test, *rest = _folds(dataset, range(dataset.n_own), _FOLDS, method, seed, words)
    return _split(dataset, rest, validation, test)


def redraw_validation(
    dataset: EmojiDataset, split: Split, *, method: SplitMethod = "group", seed: int
) -> Split:
    """Split again what is not for testing in ``split``; all else as in ``split_dataset``.

    So that a choice can be repeated with other training and validation images, and the images
    that will judge it stay unseen.
    """
    _check(method, seed)
    rows = sorted(row for row in split.train + split.validation if row < dataset.n_own)
    words = (
        "images of its largest class besides the test set",
        "groups of variants besides the test set",
    )
    validation, *rest = _folds(dataset, rows, _FOLDS - 1, method, seed, words)
    return _split(dataset, rest, validation, split.test)


def _split(dataset: EmojiDataset, folds: Iterable[_Rows], validation: _Rows, test: _Rows) -> Split:
    """Return a split whose training set has some folds, and the extra rows that leak nothing."""
    judged = {group for row in validation + test for group in dataset.groups_of(row)}
    extra = range(dataset.n_own, len(dataset))
    unused = tuple(row for row in extra if judged.intersection(dataset.groups_of(row)))
    train = [row for fold in folds for row in fold] + sorted(set(extra) - set(unused))
    return Split(train=tuple(sorted(train)), validation=validation, test=test, unused=unused)


def _folds(
    dataset: EmojiDataset,
    rows: Sequence[int],
    n_folds: int,
    method: SplitMethod,
    seed: int,
    words: tuple[str, str],
) -> list[_Rows]:
    """Divide rows into folds, each class by itself; those nearest to their fair share come first.

    Few groups can leave a fold without images, which then comes last. ``words`` name, in errors,
    the images of one class and the groups, of which there must be as many as folds.
    """
    labels = dataset.labels.numpy()[list(rows)]
    groups = [dataset.groups[row] for row in rows]
    n_groups = len(set(groups)) if method == "group" else n_folds
    for what, count in zip(words, (np.bincount(labels).max(), n_groups), strict=True):
        if count < n_folds:
            raise DataError(
                f"`dataset` must have at least {n_folds} {what} to be split, but got {count}."
            )
    # Here and not above because importing it takes a second.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    splitter = StratifiedGroupKFold if method == "group" else StratifiedKFold
    with warnings.catch_warnings():
        # A class with fewer images than folds is missing in some of them, which is allowed.
        warnings.simplefilter("ignore")
        drawn = splitter(n_folds, shuffle=True, random_state=seed).split(labels, labels, groups)
        folds = [tuple(rows[i] for i in fold) for _, fold in drawn]
    return sorted(folds, key=lambda fold: abs(n_folds * len(fold) - len(rows)))


def _check(method: str, seed: int) -> None:
    if method not in get_args(SplitMethod):
        known = ", ".join(get_args(SplitMethod))
        raise ConfigError(f"`method` must be one of {known}, but got {method!r}.")
    if not 0 <= seed < 2**32:
        raise ConfigError(f"`seed` must be at least 0 and below 2**32, but got {seed!r}.")
