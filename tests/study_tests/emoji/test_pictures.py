"""The pictures of trials in the report."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import load_dataset
from emoji_ae.drawing.strips import reconstructions_png
from storage import attrs
from storage.artifacts import open_artifacts, save_artifacts
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record
from study.report.pictures import best_pictures, cut_strip, true_caption
from tests.emoji_ae_tests.reference import initial_model
from tests.study_tests.studies import claim_point, url_of
from tests.study_tests.synthetic import SETTINGS


def drawn_by(seed: int, data: Path, n: int = 9) -> bytes:
    """Return pictures of the first images by a model."""
    dataset = load_dataset(data)
    model = initial_model(AutoencoderConfig(), seed)
    return reconstructions_png(model, dataset.images[:n], dataset.texts[:n])


@pytest.fixture(scope="module")
def strips(tiny_data: Path) -> list[bytes]:
    """Pictures of the same nine images by five models."""
    return [drawn_by(seed, tiny_data) for seed in range(5)]


class Study:
    """A study in a file whose trials have pictures, empty at first."""

    def __init__(self, folder: Path) -> None:
        self.storage = open_storage(url_of(folder), create=True, write=True)
        self.study = optuna.create_study(storage=self.storage, study_name="study")
        self.study.set_user_attr(attrs.SETTINGS, SETTINGS)
        self.store = open_artifacts(folder / "artifacts")

    def finish(self, value: float | None, png: bytes | None, **user_attrs: Any) -> None:
        """Add a trial with a picture, if there is one; without a value it failed."""
        trial = claim_point(self.study, {}, user_attrs)
        if png is not None:
            save_artifacts(self.store, trial, {attrs.RECONSTRUCTIONS_FILE: png})
        self.study.tell(trial, value, state=TrialState.FAIL if value is None else None)

    @property
    def record(self) -> StudyRecord:
        """The study as it is stored."""
        return load_study_record(self.storage, "study")

    def pictures(self) -> Any:
        """Return the pictures for the report of the study."""
        return best_pictures(self.record, self.storage, self.store)

    @property
    def captions(self) -> list[str]:
        """What is said about the trials that draw the fixed images."""
        return [trial.caption for trial in self.pictures().trials]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """An empty study."""
    return Study(tmp_path)


def test_best_median_and_worst(study: Study, strips: list[bytes]) -> None:
    """The ranked pictures are the best trial's, and all three draw the fixed images."""
    for value, png in zip((0.3, 0.1, 0.5, 0.2, 0.4), strips, strict=True):
        study.finish(value, png)
    pictures = study.pictures()
    best = cut_strip(strips[1])
    samples = [picture for picture in best if picture.role == attrs.SAMPLE]
    assert (pictures.caption, pictures.drawn_by) == ("trial 1, validation MSE 0.1000", 1)
    assert pictures.ranked == best[len(samples) :]

    assert pictures.texts == tuple(picture.text for picture in samples)
    assert pictures.originals == tuple(picture.original for picture in samples)

    assert study.captions == [
        "best: trial 1, validation MSE 0.1000",
        "median: trial 0, validation MSE 0.3000",
        "worst: trial 2, validation MSE 0.5000",
    ]
    for trial, number in zip(pictures.trials, (1, 0, 2), strict=True):
        drawn = cut_strip(strips[number])[: len(samples)]
        assert trial.drawn_by == number
        assert trial.reconstructions == tuple(picture.reconstruction for picture in drawn)
        assert trial.errors == tuple(picture.mse for picture in drawn)


def test_few_trials(study: Study, strips: list[bytes]) -> None:
    """None is shown twice; where the worst has no pictures, the nearest that has is shown."""
    assert study.pictures() is None
    study.finish(0.9, None)
    assert study.pictures() is None
    study.finish(0.3, strips[0])
    assert study.captions == ["best: trial 1, validation MSE 0.3000"]
    study.finish(0.2, strips[1])
    best, worst = study.captions
    assert best == "best: trial 2, validation MSE 0.2000"
    nearest = "place 2 of 3, as the worst kept no pictures of its own"
    assert worst == f"{nearest}: trial 1, validation MSE 0.3000"
    for value, png in ((0.1, strips[2]), (0.25, None)):
        study.finish(value, png)
    assert [trial.drawn_by for trial in study.pictures().trials] == [3, 2, 1]
    study.finish(0.05, None)
    assert study.pictures() is None


def test_only_comparable_ones(study: Study, strips: list[bytes], tiny_data: Path) -> None:
    """Those that break the constraint, have another split or drew other images are left out."""
    study.finish(0.2, strips[0], sides="ttv")
    study.finish(0.1, strips[1], sides="ttv", infeasible=True)
    study.finish(0.9, strips[2], sides="tvt")
    study.finish(0.8, drawn_by(9, tiny_data, n=2), sides="ttv")
    study.finish(None, None)
    assert study.captions == ["best: trial 0, validation MSE 0.2000"]
    study.finish(0.4, strips[3], sides="ttv")
    pictures = study.pictures()
    assert [trial.drawn_by for trial in pictures.trials] == [0, 5]


def test_reused_pictures_name_their_trial(study: Study, strips: list[bytes]) -> None:
    """A trial that was answered by another one says who drew; none is shown twice."""
    study.finish(0.2, strips[0])
    study.finish(0.2, strips[0], reused_from=0)
    assert study.captions == ["best: trial 0, validation MSE 0.2000"]
    study.finish(0.25, strips[1])
    study.finish(0.25, strips[1], reused_from=2)
    expected = "trial 3, validation MSE 0.2500, drawn by trial 2, whose training it shares"
    assert study.captions == ["best: trial 0, validation MSE 0.2000", f"worst: {expected}"]
    assert true_caption(f"worst: {expected}", study.record) == f"worst: {expected}"


def test_pictures_of_another_result(study: Study, strips: list[bytes]) -> None:
    """A shorter training has none of its own: the next in rank stands in, best and worst."""
    study.finish(0.2, strips[0])
    study.finish(0.9, strips[0], reused_from=0)
    study.finish(0.1, strips[0], reused_from=0)
    study.finish(0.3, strips[1])
    best, worst = study.captions
    shown = "place 2 of 4, as the best kept no pictures of its own: trial 0, validation MSE 0.2000"
    assert best == shown == study.pictures().caption
    assert worst.startswith("place 3 of 4, as the worst kept no pictures of its own: trial 3, ")
    # Pages of earlier versions hold such pictures: the caption names their training.
    earlier = "worst: trial 1, validation MSE 0.9000, drawn by trial 0, whose training it shares"
    assert true_caption(earlier, study.record) == shown.replace("the best", "the worst")
    for caption in ("worst: trial 9, validation MSE 0.1", shown):
        assert true_caption(caption, study.record) == caption
