"""What a description says of a data set, against counts that were made otherwise."""

import io
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from emoji_ae.choices import SplitMethod
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.describe import (
    NEAR_DUPLICATE,
    DatasetInfo,
    describe_dataset,
    describe_words,
    nearest_training,
)
from emoji_ae.images import decode_image, encode_png
from emoji_ae.rows import read_rows
from emoji_ae.splits import split_dataset
from tests.emoji_ae_tests.reference import leaking_groups, write_data

TONES = ("", " type 1 2", " type 3", " type 4", " type 5", " type 6")
VARIANTS = [f"face palm{tone}" for tone in TONES]
ANIMALS = [f"{animal} face" for animal in ("bear", "cat", "cow", "dog", "fox", "pig")]
SMILEYS = [f"{word} face" for word in ("calm", "dizzy", "happy", "kind", "nerd", "shy", "sad")]
OTHERS = ["flag of a man", "clock face", "woman", "flag"]
TEXTS = [*OTHERS, *VARIANTS, *ANIMALS, *SMILEYS, SMILEYS[0]]


def noise(seed: int) -> npt.NDArray[np.uint8]:
    """Return an image of random pixels."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (3, 64, 64)).astype(np.uint8)


def picture(mode: str, size: int, name: str = "PNG") -> bytes:
    """Return an image file of one colour."""
    buffer = io.BytesIO()
    Image.new(mode, (size, size)).save(buffer, name)
    return buffer.getvalue()


PNG = picture("RGB", 8)


def describe(path: Path, *, method: SplitMethod = "group", seed: int = 42) -> DatasetInfo:
    """Describe a file with the split of one method and, for comparison, of the other."""
    dataset = load_dataset(path)
    methods = [method, *(other for other in get_args(SplitMethod) if other != method)]
    splits = {name: split_dataset(dataset, method=name, seed=seed) for name in methods}
    return describe_dataset(read_rows(path), dataset, splits, seed=seed, fingerprint="f")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with random images of 20 faces and 4 other rows."""
    images: list[bytes | None] = [encode_png(noise(i)) for i in range(len(TEXTS))]
    return write_data(tmp_path_factory.mktemp("data") / "faces.parquet", TEXTS, images)


@pytest.fixture(scope="module")
def info(faces: Path) -> DatasetInfo:
    """Its description."""
    return describe(faces)


def test_words_are_those_of_the_whole_file(info: DatasetInfo) -> None:
    """Texts and whole words are counted in all rows, each word once a text, without skin tones."""
    words = info.words
    assert (words.n_images, words.n_texts, words.n_words) == (24, 23, 21)
    top = list(words.top)
    assert top[:4] == [("face", 21), ("palm", 6), ("calm", 2), ("flag", 2)]
    assert top[4:] == sorted(top[4:])
    assert len(top) == 20
    assert [(found.word, found.n_images) for found in words.galleries[2:5]] == [
        *(("flag", 2), ("face", 21), ("male", 0))
    ]
    # Twelve from the first to the last with their own texts and pixels.
    thumbnails = words.galleries[3].thumbnails
    assert len(thumbnails) == 12
    for thumbnail, row in ((thumbnails[0], 1), (thumbnails[-1], len(TEXTS) - 1)):
        assert thumbnail.text == TEXTS[row]
        assert np.array_equal(decode_image(thumbnail.png).pixels, noise(row))


def test_unreadable_images_outside_of_the_subset_are_counted(tmp_path: Path) -> None:
    """They are left out of the gallery; the other images of the word are shown."""
    texts, images = ["hand", "raised hand", "hand in hand"], [PNG, b"no image", None]
    words = describe_words(read_rows(write_data(tmp_path / "hands.parquet", texts, images)))
    hand = words.galleries[6]
    assert (hand.n_images, hand.n_unreadable) == (3, 2)
    assert [thumbnail.text for thumbnail in hand.thumbnails] == ["hand"]


def test_files_are_counted_by_format_mode_and_size(tmp_path: Path) -> None:
    """Kinds of used rows come most frequent first; equal images are all at distance 0."""
    images = [PNG] * 4 + [picture("RGBA", 32)] * 10 + [picture("L", 72)] * 6
    images += [picture("RGB", 16, "JPEG")] * 4
    info = describe(write_data(tmp_path / "mixed.parquet", TEXTS, [*images]))
    png, grey, jpeg = ("PNG", "RGBA", 32, 32), ("PNG", "L", 72, 72), ("JPEG", "RGB", 16, 16)
    assert info.subset.kinds == ((png, 10), (grey, 6), (jpeg, 4))
    info = describe(write_data(tmp_path / "f.parquet", TEXTS, [PNG] * len(TEXTS)))
    assert {pair.mse for pair in info.neighbours.pairs} == {0.0}
    assert info.neighbours.edges == (0.0, NEAR_DUPLICATE)
    assert info.leakage[0].n_near == info.leakage[0].n_judged == len(info.neighbours.pairs)


def test_subset_and_the_origin_of_each_class(info: DatasetInfo) -> None:
    """All rows are accounted for, clocks too; each text says if a list or a rule decided."""
    subset = info.subset
    assert (subset.n_images, subset.n_texts) == (20, 19)
    assert (subset.intake.n_without_face, subset.intake.n_clock) == (3, 1)
    assert [thumbnail.text for thumbnail in subset.thumbnails] == TEXTS[4:]
    assert [(c.name, c.n_images, c.n_texts, c.share) for c in info.classes] == [
        *(("animal", 6, 6, 0.3), ("human face", 8, 7, 0.4)),
        *(("other", 0, 0, 0.0), ("person", 6, 6, 0.3)),
    ]
    texts = [(text.class_name, text.text) for text in info.texts]
    assert texts == sorted(texts)
    assert {text for _, text in texts} == set(TEXTS[4:])
    rules = {text.text: text.n_images for text in info.texts if not text.listed}
    assert (rules["calm face"], rules["shy face"]) == (2, 1)
    assert rules.keys().isdisjoint({*VARIANTS, "cat face", "nerd face"})


@pytest.mark.parametrize(("method", "seed"), [("group", 7), ("random", 1)])
def test_split_and_leaks_are_counted(faces: Path, method: SplitMethod, seed: int) -> None:
    """Images, groups and distances of every side are counted; the random split parts variants."""
    dataset = load_dataset(faces)
    info = describe(faces, method=method, seed=seed)
    split = info.split
    assert (split.method, split.seed) == (method, seed)
    assert (split.n_groups, split.n_groups_of_several, split.largest_group) == (14, 2, 6)
    assert [side.name for side in split.sides] == ["training", "validation", "test"]
    drawn = split_dataset(dataset, method=method, seed=seed)
    for side, rows in zip(split.sides, (drawn.train, drawn.validation, drawn.test), strict=True):
        assert side.n_images == len(rows)
        assert side.n_groups == len({dataset.groups[row] for row in rows})
        of_class = [[row for row in rows if dataset.labels[row] == label] for label in range(4)]
        assert side.images_by_class == tuple(map(len, of_class))
        groups = [len({dataset.groups[row] for row in some}) for some in of_class]
        assert side.groups_by_class == tuple(groups)

    assert info.leakage[0].method == method
    leakage = {found.method: found for found in info.leakage}
    group, random = leakage["group"], leakage["random"]
    assert (group.n_shared_groups, group.n_leaking) == (0, 0)
    drawn = split_dataset(dataset, method="random", seed=seed)
    trained = {dataset.groups[row] for row in drawn.train}
    judged = [*drawn.validation, *drawn.test]
    assert random.n_judged == len(judged)
    assert random.n_leaking == sum(dataset.groups[row] in trained for row in judged) > 0
    assert random.n_shared_groups >= leaking_groups(dataset, drawn) > 0

    near, own = info.neighbours, info.leakage[0]
    assert sum(sum(found.counts) for found in near.distances) == own.n_judged
    mses = [pair.mse for pair in near.pairs]
    assert (len(mses), mses) == (own.n_judged, sorted(mses))
    assert describe(faces, method=method, seed=seed) == info  # pictures included


def test_a_planted_near_duplicate_is_found(faces: Path, tmp_path: Path) -> None:
    """A validation image that is a training image one level darker is the closest pair."""
    split = split_dataset(load_dataset(faces), method="group", seed=42)
    trained, judged = (len(OTHERS) + side[0] for side in (split.train, split.validation))
    images = [noise(i) for i in range(len(TEXTS))]
    images[judged] = np.where(images[trained] > 0, images[trained] - 1, 1).astype(np.uint8)
    info = describe(write_data(tmp_path / "f.parquet", TEXTS, [encode_png(i) for i in images]))
    first, second = info.neighbours.pairs[:2]
    assert first.mse == pytest.approx(1 / 255**2, rel=1e-4)
    assert (first.side, first.same_group) == ("validation", False)
    for thumbnail, row in ((first.judged, judged), (first.trained, trained)):
        assert np.array_equal(decode_image(thumbnail.png).pixels, images[row])
    assert second.mse > 0.1
    found = [(distances.n_near, distances.counts[0]) for distances in info.neighbours.distances]
    assert found == [(1, 1), (0, 0)]
    assert info.leakage[0].n_near == 1


@given(seed=st.integers(0, 999), sides=st.text("tvx", max_size=12))
@settings(max_examples=30)
def test_nearest_training_images(seed: int, sides: str) -> None:
    """Each validation and test image gets the training image with the lowest error."""
    n, rng = len(sides) + 1, np.random.default_rng(seed)
    images = torch.from_numpy(
        rng.integers(0, 256, (n, 3, 64, 64)) // rng.integers(1, 60, (n, 1, 1, 1))
    )
    dataset = EmojiDataset(
        images=images.to(torch.uint8), texts=(), labels=torch.ones(0), groups=(), fingerprint=""
    )
    found = nearest_training(dataset, f"t{sides}")
    train = [row for row, side in enumerate(f"t{sides}") if side == "t"]
    assert found.judged.tolist() == [row for row in range(n) if row not in train]
    pixels = images.double().flatten(1) / 255
    for judged, trained, mse in zip(found.judged, found.trained, found.mse, strict=True):
        errors = (pixels - pixels[judged]).square().mean(dim=1)
        assert trained in train
        for error in (mse, errors[trained].item()):
            assert error == pytest.approx(errors[train].min().item(), rel=1e-4, abs=1e-9)
