"""The pictures of trials in the report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.artifacts import FileSystemArtifactStore
from optuna.trial import TrialState

from emoji_ae import images as images_module
from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.drawing import strips as strips_module
from emoji_ae.drawing.reconstructions import reconstructions_png
from emoji_ae.models import build_model
from storage import attrs
from storage.artifacts import open_artifacts, save_artifacts
from storage.rdb import open_storage
from storage.records import load_study_record
from study.report import Pictures
from study.report.pictures import CAPTION_ENTRY, PADDING, best_pictures, cut_strip
from tests.study_tests.studies import claim_point
from tests.study_tests.synthetic import SETTINGS

TEXTS = ["nerd face", 'face "quoted"', "gesicht mit ü <b>"]


@pytest.fixture(scope="module")
def dataset(tiny_data: Path) -> EmojiDataset:
    """Real images."""
    return load_dataset(tiny_data)


@pytest.fixture
def store(tmp_path: Path) -> FileSystemArtifactStore:
    """An empty artifact store."""
    return open_artifacts(tmp_path / "artifacts")


@pytest.fixture
def stored(url: str) -> optuna.Study:
    """An empty study in a file."""
    storage = open_storage(url, create=True, write=True)
    study = optuna.create_study(storage=storage, study_name="study")
    study.set_user_attr(attrs.SETTINGS, SETTINGS)
    return study


@pytest.fixture(scope="module")
def strips(dataset: EmojiDataset) -> list[bytes]:
    """Pictures of nine images by five models."""
    found = []
    for seed in range(5):
        torch.manual_seed(seed)
        drawer = build_model(AutoencoderConfig())
        found.append(reconstructions_png(drawer, dataset.images[:9], dataset.texts[:9]))
    return found


def finish(
    study: optuna.Study,
    value: float,
    store: FileSystemArtifactStore,
    png: bytes | None,
    user_attrs: Mapping[str, Any] | None = None,
) -> None:
    """Add a complete trial with a picture, if there is one."""
    trial = claim_point(study, {}, user_attrs)
    if png is not None:
        save_artifacts(store, trial, {attrs.RECONSTRUCTIONS_FILE: png})
    study.tell(trial, value)


def test_names_are_those_of_the_strip() -> None:
    """What is stored is read by the names that it was drawn with."""
    for name in ("PICTURES_ENTRY", "SAMPLE", "LOWEST", "MEDIAN", "HIGHEST"):
        assert getattr(attrs, name) == getattr(strips_module, name)
    assert PADDING == strips_module.STRIP_PADDING
    assert CAPTION_ENTRY == images_module.CAPTION_ENTRY


def show(study: optuna.Study, store: FileSystemArtifactStore) -> Pictures | None:
    """Return the pictures for the report of a study as it is stored."""
    storage = study._storage
    return best_pictures(load_study_record(storage, study.study_name), storage, store)


def captions(pictures: Pictures | None) -> list[str]:
    """Return what is said about the trials that draw the fixed images."""
    assert pictures is not None
    return [trial.caption for trial in pictures.trials]


def test_best_median_and_worst(
    stored: optuna.Study, store: FileSystemArtifactStore, strips: list[bytes]
) -> None:
    """The ranked pictures are the best trial's, and all three draw the fixed images."""
    for value, png in zip((0.3, 0.1, 0.5, 0.2, 0.4), strips, strict=True):
        finish(stored, value, store, png)
    pictures = show(stored, store)
    assert pictures is not None
    best = cut_strip(strips[1])
    samples = [picture for picture in best if picture.role == attrs.SAMPLE]
    assert pictures.caption == "trial 1, validation MSE 0.1000"
    assert pictures.drawn_by == 1
    assert pictures.ranked == best[len(samples) :]
    assert pictures.full_difference == 0.5
    assert pictures.texts == tuple(picture.text for picture in samples)
    assert pictures.originals == tuple(picture.original for picture in samples)
    assert pictures.n_trials == 5
    assert captions(pictures) == [
        "best: trial 1, validation MSE 0.1000",
        "median: trial 0, validation MSE 0.3000",
        "worst: trial 2, validation MSE 0.5000",
    ]
    for trial, number in zip(pictures.trials, (1, 0, 2), strict=True):
        drawn = cut_strip(strips[number])[: len(samples)]
        assert trial.drawn_by == number
        assert trial.reconstructions == tuple(picture.reconstruction for picture in drawn)
        assert trial.errors == tuple(picture.mse for picture in drawn)


def test_few_trials(
    stored: optuna.Study, store: FileSystemArtifactStore, strips: list[bytes]
) -> None:
    """No trial is shown twice; without a best trial or its pictures there is nothing."""
    assert show(stored, store) is None
    finish(stored, 0.9, store, None)
    assert show(stored, store) is None
    finish(stored, 0.3, store, strips[0])
    assert captions(show(stored, store)) == ["best: trial 1, validation MSE 0.3000"]
    finish(stored, 0.2, store, strips[1])
    assert captions(show(stored, store)) == [
        "best: trial 2, validation MSE 0.2000",
        "worst: trial 1, validation MSE 0.3000",
    ]
    finish(stored, 0.1, store, None)
    assert show(stored, store) is None


def test_nearest_pictures_stand_in(
    stored: optuna.Study, store: FileSystemArtifactStore, strips: list[bytes]
) -> None:
    """Where the median or the worst has no pictures, the nearest trial that has is shown."""
    with_pictures = {0: 0, 3: 1, 5: 2}
    for number in range(7):
        i = with_pictures.get(number)
        finish(stored, 0.1 * (number + 1), store, None if i is None else strips[i])
    pictures = show(stored, store)
    assert pictures is not None
    assert [trial.drawn_by for trial in pictures.trials] == [0, 3, 5]
    assert pictures.n_trials == 7


def test_only_comparable_trials_are_shown(
    stored: optuna.Study, store: FileSystemArtifactStore, strips: list[bytes]
) -> None:
    """Trials that break the constraint or have another split are none of the three."""
    finish(stored, 0.2, store, strips[0], {attrs.SIDES: "ttv"})
    finish(stored, 0.1, store, strips[1], {attrs.INFEASIBLE: True, attrs.SIDES: "ttv"})
    finish(stored, 0.9, store, strips[2], {attrs.SIDES: "tvt"})
    finish(stored, 0.4, store, strips[3], {attrs.SIDES: "ttv"})
    stored.tell(claim_point(stored, {}), state=TrialState.FAIL)
    pictures = show(stored, store)
    assert pictures is not None
    assert [trial.drawn_by for trial in pictures.trials] == [0, 3]
    assert pictures.n_trials == 2


def test_pictures_of_other_images_are_left_out(
    dataset: EmojiDataset,
    stored: optuna.Study,
    store: FileSystemArtifactStore,
    strips: list[bytes],
) -> None:
    """A trial that drew other fixed images, or fewer, does not stand beside the best."""
    torch.manual_seed(9)
    few = reconstructions_png(build_model(AutoencoderConfig()), dataset.images[:2], TEXTS[:2])
    finish(stored, 0.1, store, strips[0])
    finish(stored, 0.3, store, few)
    assert captions(show(stored, store)) == ["best: trial 0, validation MSE 0.1000"]
    finish(stored, 0.2, store, strips[1])
    assert captions(show(stored, store)) == [
        "best: trial 0, validation MSE 0.1000",
        "worst: trial 2, validation MSE 0.2000",
    ]


def test_reused_pictures_name_their_trial(
    stored: optuna.Study, store: FileSystemArtifactStore, strips: list[bytes]
) -> None:
    """A trial that was answered by another one says who drew its pictures."""
    finish(stored, 0.2, store, strips[0])
    finish(stored, 0.1, store, strips[0], {attrs.REUSED_FROM: 0})
    pictures = show(stored, store)
    assert pictures is not None
    expected = "trial 1, validation MSE 0.1000, drawn by trial 0, whose training it shares"
    assert (pictures.caption, pictures.drawn_by) == (expected, 0)
    assert captions(pictures)[0] == f"best: {expected}"
    assert pictures.ranked == cut_strip(strips[0])[-3:]


def test_no_pictures_are_shown_twice(
    stored: optuna.Study, store: FileSystemArtifactStore, strips: list[bytes]
) -> None:
    """Trials that were answered by a shown one are none of the three."""
    finish(stored, 0.1, store, strips[0])
    for value in (0.1, 0.1, 0.2):
        finish(stored, value, store, strips[0], {attrs.REUSED_FROM: 0})
    assert captions(show(stored, store)) == ["best: trial 0, validation MSE 0.1000"]
    finish(stored, 0.15, store, strips[1])
    assert captions(show(stored, store)) == [
        "best: trial 0, validation MSE 0.1000",
        "worst: trial 4, validation MSE 0.1500",
    ]
