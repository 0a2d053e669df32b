"""The data set as a study sees it, and the split that is stored with the study."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import EmojiDataset, Intake, load_dataset
from emoji_ae.labels import CLASSES
from emoji_ae.splits import Split, split_dataset
from storage import attrs
from storage.rdb import open_storage
from study.emoji.data import StudyData
from study.emoji.trainer import EmojiTrainer
from study.errors import StudyError
from study.running.opening import Database, load_data
from study.settings import StudySettings
from tests.study_tests.studies import open_study


@pytest.fixture(scope="module")
def more(tiny_data: Path) -> EmojiDataset:
    """The tiny data set with extra images of two vendors."""
    return load_dataset(tiny_data, ["google", "twitter"])


def drawn(settings: StudySettings, dataset: EmojiDataset, split: Split) -> StudySettings:
    """Return the settings of a study of these data and this split."""
    fingerprint = StudyData(dataset, split).fingerprint
    return replace(settings, data_fingerprint=fingerprint, sides=split.sides)


def load(settings: StudySettings, **changes: Any) -> StudyData:
    """Load the data of a stored study, some of whose settings are others."""
    found = load_data(EmojiTrainer(), replace(settings, **changes), study="s", stored=True)
    assert isinstance(found, StudyData)
    return found


def test_study_data(dataset: EmojiDataset, more: EmojiDataset) -> None:
    """Training and validation images are seen and counted, extra ones behind the own."""
    split = split_dataset(dataset, seed=3)
    own = StudyData(dataset, split)
    counts = own.facts()[attrs.CLASS_COUNTS]
    assert list(counts) == ["train", "validation"]
    sides = ((own.train, split.train), (own.validation, split.validation))
    for (side, rows), count in zip(sides, counts.values(), strict=True):
        assert torch.equal(side.images, dataset.images[[*rows]])
        assert torch.equal(side.labels, dataset.labels[[*rows]])
        labels = side.labels.tolist()
        assert count == {name: labels.count(i) for i, name in enumerate(CLASSES)}

    split = split_dataset(more, seed=3)
    data, n = StudyData(more, split), len(own.train.images)
    assert (own.n_own, own.n_extra) == (n, 0)
    assert (data.n_own, data.n_extra) == (n, len(split.train) - n)
    assert data.n_extra > 0
    assert data.train_for(AutoencoderConfig()) is data.train
    without = data.train_for(AutoencoderConfig(extra_images=False))
    assert torch.equal(data.train.images[:n], own.train.images)
    assert torch.equal(without.images, own.train.images)
    assert torch.equal(without.labels, own.train.labels)
    assert data.facts()[attrs.CLASS_COUNTS] == counts


def test_what_is_remarkable(dataset: EmojiDataset) -> None:
    """Rows of a file that are left out and images that were changed are told, others are not."""
    intake = Intake(n_without_face=1, n_clock=2_000, n_turned=3, n_later_frames=1, n_blank=2)
    data = StudyData(replace(dataset, intake=intake), split_dataset(dataset, seed=3))
    remarks = [
        "1 row without the word “face” left out",
        "2,000 rows with the face of a clock left out",
        *("3 images turned upright by EXIF data", "2 images all white"),
    ]
    remarks.insert(3, "1 animation taken by a later frame, as the first shows less")
    assert data.facts()[attrs.DATA_REMARKS] == remarks
    assert data.describe() == f"24 training and 8 validation images ({', '.join(remarks)})"
    embedded = replace(dataset, intake=replace(intake, embedded=True, n_turned=0))
    told = StudyData(embedded, data.split).facts()[attrs.DATA_REMARKS]
    assert told == remarks[3:]
    assert attrs.DATA_REMARKS not in StudyData(dataset, data.split).facts()


def test_fingerprint(dataset: EmojiDataset, more: EmojiDataset, other_data: Path) -> None:
    """Other images, or the same on other sides, have another fingerprint, extra ones a part."""
    split = split_dataset(dataset, seed=3)
    other = load_dataset(other_data)
    swapped = replace(split, validation=split.test, test=split.validation)
    pairs = ((dataset, split), (dataset, swapped), (other, split))
    found = [StudyData(images, sides).fingerprint for images, sides in pairs]
    assert len(set(found)) == 3
    own = dataset.fingerprint
    assert [text.partition("-")[0] for text in found] == [own, own, other.fingerprint]
    split = split_dataset(more, seed=3)
    whole = StudyData(more, split).fingerprint
    unused = replace(split, train=split.train[:-1], unused=(*split.unused, split.train[-1]))
    fewer = StudyData(more, unused).fingerprint
    assert whole != fewer
    assert {text.rpartition("-")[0] for text in (whole, fewer)} == {found[0]}


def test_stored_split_is_the_one_drawn(
    dataset: EmojiDataset, more: EmojiDataset, settings: StudySettings, url: str
) -> None:
    """It comes back by the content of the data, extra images too; other ones are other data."""
    storage = open_storage(url, create=True, write=True)
    split = split_dataset(dataset, method="random", seed=7)  # the settings would give other sides
    open_study(storage, "study", replace(drawn(settings, dataset, split), data="gone"))
    stored = Database(url).find("study").settings
    again = load(stored, data=settings.data)
    assert again.split == split
    assert again.fingerprint == stored.data_fingerprint

    split = split_dataset(more, seed=3)
    stored = drawn(settings, more, split)
    again = load(stored, options={"vendors": ("google", "twitter")})
    assert again.split == split
    assert again.dataset.extra_fingerprint == more.extra_fingerprint
    with pytest.raises(StudyError, match="'s' was made with other data"):
        load(stored, options={"vendors": ("twitter", "google")})


def test_other_data(settings: StudySettings, other_data: Path) -> None:
    """Other data are refused with both fingerprints, and with what to do."""
    whole, sides = settings.data_fingerprint, settings.sides
    found = StudyData(load_dataset(other_data), Split.from_sides(sides)).fingerprint
    rule = rf"^Study 's' was made with other data \(fingerprint {whole}, here {found}\); name"
    with pytest.raises(StudyError, match=rule):
        load(settings, data=str(other_data))
    assert load(settings).fingerprint == whole
    # Fingerprints count as a whole, and sides must be theirs.
    swapped = sides.translate(str.maketrans("vx", "xv"))
    for change in ({"data_fingerprint": whole[:-1]}, {"sides": swapped}, {"sides": sides[:-1]}):
        with pytest.raises(StudyError, match="'s' was made with other data"):
            load(settings, **change)


def test_other_splits_of_the_same_data(settings: StudySettings) -> None:
    """A new validation split leaves the test split alone, a new split does not."""
    data = EmojiTrainer().load(settings.source, None)
    assert data.sides == settings.sides
    redrawn, new = (data.with_sides(draw("random", 7)) for draw in (data.redraw, data.draw))
    assert redrawn.split.test == data.split.test != new.split.test
    assert len({one.fingerprint for one in (data, redrawn, new)}) == 3
    assert redrawn.dataset is new.dataset is data.dataset
