"""The data set as a study sees it, and the split that is stored with the study."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.labels import CLASSES
from emoji_ae.splits import Split, split_dataset
from storage import attrs
from storage.rdb import open_storage
from study.emoji.data import StudyData
from study.emoji.trainer import EmojiTrainer
from study.errors import StudyError
from study.running.opening import load_data
from study.settings import StudySettings
from tests.emoji_ae_tests.reference import leaking_groups
from tests.study_tests.studies import open_study


@pytest.fixture(scope="module")
def dataset(tiny_data: Path) -> EmojiDataset:
    """The tiny data set."""
    return load_dataset(tiny_data)


@pytest.fixture(scope="module")
def more(tiny_data: Path) -> EmojiDataset:
    """The tiny data set with extra images of two vendors."""
    return load_dataset(tiny_data, ["google", "twitter"])


def drawn(settings: StudySettings, dataset: EmojiDataset, split: Split) -> StudySettings:
    """Return the settings of a study of these data and this split."""
    return replace(
        settings, data_fingerprint=StudyData(dataset, split).fingerprint, sides=split.sides
    )


def load(settings: StudySettings, **changes: Any) -> StudyData:
    """Load the data of a stored study, some of whose settings are others."""
    found = load_data(EmojiTrainer(), replace(settings, **changes), study="s", stored=True)
    assert isinstance(found, StudyData)
    return found


def test_study_data(dataset: EmojiDataset) -> None:
    """A study sees and counts the images of training and validation, and none of the test."""
    split = split_dataset(dataset, seed=3)
    data = StudyData(dataset, split)
    counts = data.facts()[attrs.CLASS_COUNTS]
    assert list(counts) == ["train", "validation"]
    sides = ((data.train, split.train), (data.validation, split.validation))
    for (side, rows), count in zip(sides, counts.values(), strict=True):
        assert torch.equal(side.images, dataset.images[[*rows]])
        assert torch.equal(side.labels, dataset.labels[[*rows]])
        labels = side.labels.tolist()
        assert count == {name: labels.count(i) for i, name in enumerate(CLASSES)}
    one_class = replace(dataset, labels=torch.zeros_like(dataset.labels))
    assert StudyData(one_class, split).facts()[attrs.CLASS_COUNTS]["validation"] == {
        "animal": len(split.validation),
        "human face": 0,
        "other": 0,
        "person": 0,
    }


def test_fingerprint(dataset: EmojiDataset, more: EmojiDataset, other_data: Path) -> None:
    """Other images, or the same on other sides, have another fingerprint, extra ones a part."""
    split = split_dataset(dataset, seed=3)
    other = load_dataset(other_data)
    swapped = replace(split, validation=split.test, test=split.validation)
    found = [
        StudyData(images, sides).fingerprint
        for images in (dataset, other)
        for sides in (split, swapped, split_dataset(dataset, seed=4))
    ]
    assert len(set(found)) == len(found) == 6
    assert [text.partition("-")[0] for text in found] == (
        [dataset.fingerprint] * 3 + [other.fingerprint] * 3
    )
    again = StudyData(load_dataset(other_data), Split.from_sides(swapped.sides))
    assert again.fingerprint == found[4]

    split = split_dataset(more, seed=3)
    whole = StudyData(more, split).fingerprint
    assert whole.startswith(f"{found[0]}-")
    assert whole.count("-") == 2
    unused = replace(split, train=split.train[:-1], unused=(*split.unused, split.train[-1]))
    assert StudyData(more, unused).fingerprint not in (whole, found[0])
    assert StudyData(more, unused).fingerprint.startswith(f"{found[0]}-")


def test_stored_split_is_the_one_drawn(
    dataset: EmojiDataset, settings: StudySettings, url: str
) -> None:
    """Whatever was drawn comes back from the storage, by the content of the data, not the path."""
    storage = open_storage(url, create=True, write=True)
    for method, seed in (("group", 0), ("random", 7), ("random", 2**32 - 1)):
        split = split_dataset(dataset, method=method, seed=seed)
        name = f"{method}-{seed}"  # method and seed of the settings would give other sides
        open_study(storage, name, replace(drawn(settings, dataset, split), data="gone"))
        stored = StudySettings.of_study(storage, name)
        again = load(stored, data=settings.data)
        assert again.split == split
        assert again.fingerprint == stored.data_fingerprint


def test_other_data(settings: StudySettings, other_data: Path) -> None:
    """Other data are refused with both fingerprints, and with what to do."""
    whole, sides = settings.data_fingerprint, settings.sides
    other = load_dataset(other_data)
    found = StudyData(other, Split.from_sides(sides)).fingerprint
    assert found.startswith(f"{other.fingerprint}-")
    message = (
        f"Study 's' was made with other data (fingerprint {whole}, here {found}); give its file "
        "with --data."
    )
    with pytest.raises(StudyError, match=rf"^{re.escape(message)}$"):
        load(settings, data=str(other_data))
    assert load(settings).fingerprint == whole
    # Fingerprints count as a whole, and sides must be theirs.
    for text in (whole[:-1], whole.partition("-")[0], "", whole + "0"):
        with pytest.raises(StudyError, match=rf"other data \(fingerprint {text}, here {whole}\)"):
            load(settings, data_fingerprint=text)
    swapped = sides.translate(str.maketrans("vx", "xv"))
    for damaged in (swapped, sides[:-1], sides + "t", ""):
        with pytest.raises(StudyError, match="'s' was made with other data"):
            load(settings, sides=damaged)


def test_extra_images_train(dataset: EmojiDataset, more: EmojiDataset) -> None:
    """They stand behind the own training images, and a configuration may do without them."""
    own = StudyData(dataset, split_dataset(dataset, seed=3))
    split = split_dataset(more, seed=3)
    data = StudyData(more, split)
    n = len(own.train.images)
    assert (own.n_own, own.n_extra) == (n, 0)
    assert data.n_own == n
    assert data.n_extra == len(split.train) - n > 0
    assert data.train_for(AutoencoderConfig()) is data.train
    without = data.train_for(AutoencoderConfig(extra_images=False))
    assert torch.equal(data.train.images[:n], own.train.images)
    assert torch.equal(without.images, own.train.images)
    assert torch.equal(without.labels, own.train.labels)
    assert torch.equal(data.validation.images, own.validation.images)
    assert torch.equal(data.validation.labels, own.validation.labels)
    assert data.facts()[attrs.CLASS_COUNTS] == own.facts()[attrs.CLASS_COUNTS]


def test_load_with_vendors(more: EmojiDataset, settings: StudySettings) -> None:
    """A stored split comes back with its extra images, and other ones are other data."""
    names = ("google", "twitter")
    split = split_dataset(more, seed=3)
    stored = drawn(settings, more, split)
    again = load(stored, options={"vendors": names})
    assert again.split == split
    assert again.dataset.extra_fingerprint == more.extra_fingerprint
    for vendors in ((), ("twitter", "google")):
        with pytest.raises(StudyError, match="'s' was made with other data"):
            load(stored, options={"vendors": vendors})


def test_other_splits_of_the_same_data(settings: StudySettings, more: EmojiDataset) -> None:
    """A new validation split leaves the test split alone; extra images of it never leak."""
    data = EmojiTrainer().load(settings.source, None)
    assert data.sides == settings.sides
    redrawn, new = (data.with_sides(draw("random", 7)) for draw in (data.redraw, data.draw))
    assert redrawn.split.test == data.split.test != new.split.test
    assert len({one.fingerprint for one in (data, redrawn, new)}) == 3
    assert redrawn.dataset is new.dataset is data.dataset
    whole = StudyData(more, split_dataset(more, seed=3))
    for method in ("group", "random"):
        split = Split.from_sides(whole.draw(method, 8))
        alone = Split.from_sides(split.sides[: data.dataset.n_own])
        assert any(row >= data.dataset.n_own for row in split.train)
        assert leaking_groups(more, split) == leaking_groups(data.dataset, alone)
