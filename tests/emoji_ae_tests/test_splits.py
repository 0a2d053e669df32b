"""Splits by group and at random."""

from collections.abc import Sequence
from typing import get_args

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emoji_ae.config import SplitMethod
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.errors import ConfigError, DataError
from emoji_ae.labels import CLASSES
from emoji_ae.splits import Split, leaking_groups, redraw_validation, split_dataset

METHODS: tuple[SplitMethod, ...] = get_args(SplitMethod)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def default() -> EmojiDataset:
    """The embedded images."""
    return load_dataset(None)


def dataset(rows: Sequence[tuple[int, int]]) -> EmojiDataset:
    """Return blank images with the given labels and groups."""
    return EmojiDataset(
        images=torch.zeros(len(rows), 3, 64, 64, dtype=torch.uint8),
        texts=("nerd face",) * len(rows),
        labels=torch.tensor([label for label, _ in rows], dtype=torch.int64),
        groups=tuple(group for _, group in rows),
        fingerprint="",
    )


def sides(split: Split) -> tuple[tuple[int, ...], ...]:
    """Return the three sets of rows."""
    return split.train, split.validation, split.test


@pytest.mark.parametrize("method", METHODS)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=10, max_size=40),
    seed=SEEDS,
)
@settings(max_examples=50)
def test_split_is_a_partition(method: SplitMethod, rows: list[tuple[int, int]], seed: int) -> None:
    """Every row is on exactly one side, in order, and no side is empty."""
    labels = [label for label, _ in rows]
    assume(max(map(labels.count, labels)) >= 5)
    assume(method == "random" or len({group for _, group in rows}) >= 5)
    split = split_dataset(dataset(rows), method=method, seed=seed)
    assert all(sides(split))
    assert all(side == tuple(sorted(side)) for side in sides(split))
    assert sorted(sum(sides(split), ())) == list(range(len(rows)))
    if method == "group":
        assert leaking_groups(dataset(rows), split) == 0
    assert len(split.sides) == len(rows)
    assert Split.from_sides(split.sides) == split


@given(text=st.text("tvx"))
def test_sides_are_the_split(text: str) -> None:
    """A letter says on which side its row is, and any text of the letters comes back."""
    split = Split.from_sides(text)
    for letter, rows in zip("tvx", sides(split), strict=True):
        assert rows == tuple(row for row in range(len(text)) if text[row] == letter)
    assert split.sides == text


def test_sides_of_a_split() -> None:
    """Rows of training, validation and test are ``t``, ``v`` and ``x``, in the rows' order."""
    assert Split(train=(0, 3, 5), validation=(1, 4), test=(2,)).sides == "tvxtvt"


@pytest.mark.parametrize("method", METHODS)
@given(seed=SEEDS)
@settings(max_examples=20)
def test_classes_have_their_share(default: EmojiDataset, method: SplitMethod, seed: int) -> None:
    """In the embedded images each class is split near 60/20/20, and none is missing anywhere."""
    split = split_dataset(default, method=method, seed=seed)
    for label in range(len(CLASSES)):
        members = {row for row in range(len(default)) if default.labels[row] == label}
        for side, share in zip(sides(split), (0.6, 0.2, 0.2), strict=True):
            found = len(members & set(side)) / len(members)
            assert found > 0
            assert found == pytest.approx(share, abs=0.12)


@given(seed=SEEDS)
@settings(max_examples=20)
def test_groups_stay_on_one_side(default: EmojiDataset, seed: int) -> None:
    """No variant of a training image is judged on, whatever the seed."""
    split = split_dataset(default, seed=seed)
    groups = [{default.groups[row] for row in side} for side in sides(split)]
    assert sum(map(len, groups)) == len(set(default.groups))
    assert leaking_groups(default, split) == 0


def test_largest_group_trains(default: EmojiDataset) -> None:
    """The face massages, nearly half of their class, are in the training set."""
    for seed in range(5):
        train = split_dataset(default, seed=seed).train
        assert sum("face massage" in default.texts[row] for row in train) == 18


def test_random_split_leaks(default: EmojiDataset) -> None:
    """The original study's way has variants of training images on the other sides."""
    assert leaking_groups(default, split_dataset(default, method="random")) == 5


def test_leaking_groups_counts_groups() -> None:
    """A group counts once, and only if it is in the training set and elsewhere."""
    data = dataset([(0, group) for group in (0, 0, 0, 1, 1, 2, 3, 3)])
    split = Split(train=(0, 3, 5), validation=(1, 4, 6), test=(2, 7))
    assert leaking_groups(data, split) == 2


@pytest.mark.parametrize("method", METHODS)
def test_seed_decides(default: EmojiDataset, method: SplitMethod) -> None:
    """The same seed gives the same split, whatever else is drawn, and others give others."""
    first = split_dataset(default, method=method)
    torch.manual_seed(1)
    assert split_dataset(default, method=method, seed=42) == first
    assert len({split_dataset(default, method=method, seed=seed) for seed in range(10)}) == 10


def test_too_few_groups() -> None:
    """Four groups cannot be split by group, but at random."""
    few = dataset([(0, row % 4) for row in range(20)])
    with pytest.raises(DataError, match=r"at least 5 groups of variants .*, but got 4\."):
        split_dataset(few)
    assert all(sides(split_dataset(few, method="random")))


@pytest.mark.parametrize("method", METHODS)
def test_too_few_images(method: SplitMethod) -> None:
    """Some class must have an image for each fold."""
    few = dataset([(row % 4, row) for row in range(16)])
    with pytest.raises(DataError, match=r"at least 5 images in its largest class .*, but got 4\."):
        split_dataset(few, method=method)


def test_unknown_method(default: EmojiDataset) -> None:
    """A method that does not exist is refused with those that do."""
    with pytest.raises(ConfigError, match=r"`method` must be one of group, random, but got 'x'"):
        split_dataset(default, method="x")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(default: EmojiDataset, seed: int) -> None:
    """A seed that the generator cannot take is refused."""
    with pytest.raises(ConfigError, match=rf"`seed` must be at least 0 .*, but got {seed}\."):
        split_dataset(default, seed=seed)


@pytest.mark.parametrize("method", METHODS)
@given(seed=SEEDS)
@settings(max_examples=20)
def test_redrawn_splits_keep_the_test_set(
    default: EmojiDataset, method: SplitMethod, seed: int
) -> None:
    """Training and validation are drawn anew, in their proportion; the test set stays."""
    split = split_dataset(default, method=method)
    redrawn = redraw_validation(default, split, method=method, seed=seed)
    assert redrawn.test == split.test
    assert sorted(redrawn.train + redrawn.validation) == sorted(split.train + split.validation)
    assert len(redrawn.validation) == pytest.approx(len(default) / 5, abs=6)
    if method == "group":
        assert leaking_groups(default, redrawn) == 0
    assert redraw_validation(default, split, method=method, seed=seed) == redrawn


def test_redrawn_splits_differ(default: EmojiDataset) -> None:
    """Other seeds put other images into validation."""
    split = split_dataset(default)
    drawn = {redraw_validation(default, split, seed=seed).validation for seed in range(10)}
    assert len(drawn) == 10


def test_too_little_to_redraw() -> None:
    """What is left must fill four folds; the message says what is missing."""
    few = dataset([(i % 2, i) for i in range(10)])
    rows = tuple(range(10))
    with pytest.raises(DataError, match="4 images of its largest class besides the test set"):
        redraw_validation(few, Split(train=rows[:3], validation=rows[3:6], test=rows[6:]), seed=0)
    one_group = dataset([(0, 0)] * 5 + [(1, 1)] * 5)
    with pytest.raises(DataError, match="4 groups of variants besides the test set"):
        redraw_validation(one_group, Split(train=rows[:7], validation=(7,), test=(8, 9)), seed=0)
    with pytest.raises(ConfigError, match="seed"):
        redraw_validation(one_group, Split(train=rows, validation=(), test=()), seed=-1)
