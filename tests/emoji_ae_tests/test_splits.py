"""Splits by group and at random."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from emoji_ae.choices import SplitMethod
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.errors import ConfigError, DataError
from emoji_ae.labels import CLASSES
from emoji_ae.splits import Split, redraw_validation, split_dataset
from tests.emoji_ae_tests.reference import leaking_groups

SEEDS = st.integers(0, 2**32 - 1)
EACH_METHOD = pytest.mark.parametrize("method", get_args(SplitMethod))


@pytest.fixture(scope="module")
def default() -> EmojiDataset:
    """The embedded images."""
    return load_dataset(None)


def dataset(rows: Sequence[tuple[int, int]], extra: Sequence[tuple] = ()) -> EmojiDataset:
    """Return blank images with the given labels and groups, and extra ones of some groups."""
    n = len(rows) + len(extra)
    labels = [label for label, _ in rows] + [0] * len(extra)
    return EmojiDataset(
        images=torch.zeros(n, 3, 64, 64, dtype=torch.uint8),
        texts=("nerd face",) * n,
        labels=torch.tensor(labels, dtype=torch.int64),
        groups=tuple(group for _, group in rows),
        fingerprint="",
        extra_groups=tuple(extra),
        extra_fingerprint="x" if extra else "",
    )


def sides(split: Split) -> tuple[tuple[int, ...], ...]:
    """Return the three sets of rows."""
    return split.train, split.validation, split.test


@EACH_METHOD
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=10, max_size=40),
    seed=SEEDS,
)
@settings(max_examples=20)
def test_split_is_a_partition(method: SplitMethod, rows: list[tuple[int, int]], seed: int) -> None:
    """Every row is on one side, in order, none of which is empty; letters say which."""
    labels = [label for label, _ in rows]
    assume(max(map(labels.count, labels)) >= 5)
    assume(method == "random" or len({group for _, group in rows}) >= 5)
    split = split_dataset(dataset(rows), method=method, seed=seed)
    assert all(sides(split))
    assert all(side == tuple(sorted(side)) for side in sides(split))
    assert sorted(sum(sides(split), ())) == list(range(len(rows)))
    assert method == "random" or leaking_groups(dataset(rows), split) == 0
    assert [{split.sides[row] for row in side} for side in sides(split)] == [*map(set, "tvx")]
    unused = replace(split, unused=(len(rows),))
    assert unused.sides == f"{split.sides}-"
    assert [Split.from_sides(one.sides) for one in (split, unused)] == [split, unused]


@EACH_METHOD
def test_splits_of_the_embedded_images(default: EmojiDataset, method: SplitMethod) -> None:
    """Each class is split near 60/20/20, by group without leaks, and by each seed otherwise."""
    drawn = [split_dataset(default, method=method, seed=seed) for seed in range(10)]
    assert len(set(drawn)) == 10
    for split in drawn:
        for label in range(len(CLASSES)):
            members = {row for row in range(len(default)) if default.labels[row] == label}
            for side, share in zip(sides(split), (0.6, 0.2, 0.2), strict=True):
                found = len(members & set(side)) / len(members)
                assert found == pytest.approx(share, abs=0.12)
        if method == "group":  # the face massages, nearly half of their class
            assert sum("face massage" in default.texts[row] for row in split.train) == 18
    first = split_dataset(default, method=method)
    assert first == split_dataset(default, method=method, seed=42)
    # The original study's way has variants of training images on the other sides.
    assert leaking_groups(default, first) == (5 if method == "random" else 0)


@EACH_METHOD
def test_redrawn_splits_keep_the_test_set(default: EmojiDataset, method: SplitMethod) -> None:
    """Training and validation are drawn anew, in their proportion; the test set stays."""
    split = split_dataset(default, method=method)
    drawn = {redraw_validation(default, split, method=method, seed=seed) for seed in range(10)}
    assert len({redrawn.validation for redrawn in drawn}) == 10
    for redrawn in drawn:
        assert redrawn.test == split.test
        assert sorted(redrawn.train + redrawn.validation) == sorted(split.train + split.validation)
        assert len(redrawn.validation) == pytest.approx(len(default) / 5, abs=6)
        assert method == "random" or leaking_groups(default, redrawn) == 0


def test_what_cannot_be_split() -> None:
    """Each fold must get an image and a group of variants; the message says what is missing."""
    few = dataset([(row % 4, row) for row in range(16)])
    with pytest.raises(DataError, match=r"at least 5 images in its largest class .*, but got 4\."):
        split_dataset(few, method="random")
    few = dataset([(0, row % 4) for row in range(20)])
    with pytest.raises(DataError, match=r"at least 5 groups of variants .*, but got 4\."):
        split_dataset(few)
    assert all(sides(split_dataset(few, method="random")))
    for seed in (-1, 2**32):
        with pytest.raises(ConfigError, match=rf"`seed` must be at least 0 .*, but got {seed}\."):
            split_dataset(few, seed=seed)
    with pytest.raises(ConfigError, match=r"`method` must be one of group, random, but got 'x'"):
        split_dataset(few, method="x")  # type: ignore[arg-type]

    rows = tuple(range(10))
    few = dataset([(i % 2, i) for i in rows])
    with pytest.raises(DataError, match="4 images of its largest class besides the test set"):
        redraw_validation(few, Split(train=rows[:3], validation=rows[3:6], test=rows[6:]), seed=0)
    one_group = dataset([(0, 0)] * 5 + [(1, 1)] * 5)
    with pytest.raises(DataError, match="4 groups of variants besides the test set"):
        redraw_validation(one_group, Split(train=rows[:7], validation=(7,), test=(8, 9)), seed=0)


@EACH_METHOD
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=20, max_size=40),
    extra=st.lists(st.lists(st.integers(0, 15), max_size=3, unique=True).map(tuple), max_size=20),
    seed=SEEDS,
)
@settings(max_examples=20)
def test_extra_images_never_leak(
    method: SplitMethod, rows: list[tuple[int, int]], extra: list[tuple[int, ...]], seed: int
) -> None:
    """Extra images leave the split alone and train only if no variant of them is judged on."""
    alone, data = dataset(rows), dataset(rows, extra)
    try:
        own = split_dataset(alone, method=method, seed=seed)
        own_redrawn = redraw_validation(alone, own, method=method, seed=seed)
    except DataError:  # too few groups
        reject()
    split = split_dataset(data, method=method, seed=seed)
    redrawn = redraw_validation(data, split, method=method, seed=seed)
    for found, expected in ((split, own), (redrawn, own_redrawn)):
        assert found.sides[: data.n_own] == expected.sides
        judged = {g for row in expected.validation + expected.test for g in data.groups_of(row)}
        for row in range(data.n_own, len(data)):
            unused = judged.intersection(data.groups_of(row))
            assert found.sides[row] == ("-" if unused else "t")
