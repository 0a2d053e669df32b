"""What a study's workers share: stored, read back, compared."""

import json
from dataclasses import replace
from typing import Any

import optuna
import pytest

from storage import attrs
from storage.rdb import open_storage
from study.errors import StudyError
from study.settings import StudySettings, code_version, training_number
from tests.study_tests.studies import kind_of, open_study, space_of


def test_round_trip(settings: StudySettings) -> None:
    """Settings survive JSON."""
    stored = json.loads(json.dumps(settings.to_dict()))
    assert StudySettings.from_attrs({attrs.SETTINGS: stored}, study="s") == settings


def test_round_trip_through_a_database(settings: StudySettings, url: str) -> None:
    """Settings come back from a study; a study that does not exist has none."""
    storage = open_storage(url, create=True, write=True)
    assert StudySettings.of_study(storage, "s") is None
    study = open_study(storage, "s", settings)
    assert StudySettings.of_study(open_storage(url), "s") == settings
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert study.metric_names == ["validation_mse"]
    assert StudySettings.from_attrs(study.user_attrs, study="s") == settings


def test_round_trip_of_a_constraint(multitask: StudySettings, url: str) -> None:
    """A constraint comes back from a study as it was given; it is no objective."""
    decided = replace(multitask, min_accuracy=0.7)
    study = open_study(open_storage(url, create=True, write=True), "s", decided)
    assert StudySettings.of_study(open_storage(url), "s") == decided
    assert study.metric_names == ["validation_mse"]
    assert study.directions == [optuna.study.StudyDirection.MINIMIZE]


def test_round_trip_of_two_objectives(multitask: StudySettings, url: str) -> None:
    """A study of two objectives minimises the error first and maximises the accuracy."""
    decided = replace(multitask, pareto=True)
    storage = open_storage(url, create=True, write=True)
    study = open_study(storage, "s", decided)
    assert StudySettings.of_study(open_storage(url), "s") == decided
    assert study.metric_names == ["validation_mse", "validation_accuracy"]
    assert study.directions == [
        optuna.study.StudyDirection.MINIMIZE,
        optuna.study.StudyDirection.MAXIMIZE,
    ]
    assert open_study(storage, "s", decided).directions == study.directions
    with pytest.raises(StudyError, match=r"^Study 's' has pareto True, but got False; "):
        open_study(storage, "s", multitask)


def test_open_again(settings: StudySettings, url: str) -> None:
    """The same settings open a study again, others are refused and change nothing."""
    storage = open_storage(url, create=True, write=True)
    study = open_study(storage, "s", settings)
    assert open_study(storage, "s", settings)._study_id == study._study_id
    with pytest.raises(StudyError, match=r"^Study 's' has sampler 'random', but got 'qmc'; "):
        open_study(storage, "s", replace(settings, sampler="qmc"))
    assert StudySettings.of_study(open_storage(url), "s") == settings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "multitask"),
        ("space", "extended"),
        ("fixed", {"epoch": 3}),
        ("sampler", "qmc"),
        ("pruner", "median"),
        ("seed", 1),
        ("data_fingerprint", "other"),
        ("split", "random"),
        ("data_seed", 43),
        ("min_accuracy", 0.5),
        ("pareto", True),
        ("sides", "ttttttvvxx"),
    ],
)
def test_require_equal(settings: StudySettings, field: str, value: Any) -> None:
    """The first setting that differs is named with both values."""
    other = replace(settings, **{field: value})
    with pytest.raises(StudyError, match=rf"^Study 's' has {field} .*, but got .*--study") as seen:
        settings.require_equal(other, study="s")
    assert repr(getattr(settings, field)) in str(seen.value)
    assert repr(value) in str(seen.value)


def test_require_equal_options(settings: StudySettings) -> None:
    """A kind's own options are settings like others, under their own names."""
    other = replace(settings, options={"vendors": ("twitter",)})
    message = r"^Study 's' has vendors \(\), but got \('twitter',\); take another --study"
    with pytest.raises(StudyError, match=message):
        settings.require_equal(other, study="s")


def test_require_training(settings: StudySettings) -> None:
    """A study is refused where trainings give other results, whichever version made it."""
    kind = kind_of(settings)
    earlier = replace(settings, code_version="0.0.1")
    earlier.require_training(kind, study="s")
    message = (
        r"^Study 's' was made with emoji-study 0\.0\.1, whose trainings give other results than "
        rf"those of {code_version()}; install that version or start another study\.$"
    )
    for other in (replace(kind, training=kind.training + 1), replace(kind, training=0)):
        with pytest.raises(StudyError, match=message):
            earlier.require_training(other, study="s")


def test_training_numbers(settings: StudySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number is another one where either part in a training gives other results."""
    kind = kind_of(settings)
    numbers = [training_number(replace(kind, training=n)) for n in (1, 2, 3)]
    monkeypatch.setattr("study.settings.TRAINING", 2)
    numbers += [training_number(replace(kind, training=n)) for n in (1, 2, 3)]
    assert numbers[0] == 0
    assert len(set(numbers)) == 6


def test_data_may_move(settings: StudySettings) -> None:
    """Only the content of the data must be the same, not its path, nor the package's version."""
    settings.require_equal(replace(settings, data="elsewhere.parquet"), study="s")
    settings.require_equal(replace(settings, code_version="0.0.1"), study="s")
    settings.require_equal(replace(settings, fixed=dict(settings.fixed)), study="s")


@pytest.mark.parametrize("values", [None, {}, {"kind": "autoencoder"}, "text", ["kind"]])
def test_foreign_settings(values: Any) -> None:
    """What is not a complete set of settings is refused."""
    with pytest.raises(StudyError, match=r"^Study 's' was not created by emoji-study"):
        StudySettings.from_attrs({attrs.SETTINGS: values}, study="s")


def test_study_without_settings(settings: StudySettings) -> None:
    """Settings are looked for under their name, not among the attributes themselves."""
    with pytest.raises(StudyError, match=r"^Study 's' was not created by emoji-study"):
        StudySettings.from_attrs(settings.to_dict(), study="s")


def test_earlier_settings(settings: StudySettings) -> None:
    """Settings of a version that did not store the split, or knew no constraint, are refused."""
    for name in ("sides", "min_accuracy", "pareto"):
        stored = settings.to_dict()
        del stored[name]
        with pytest.raises(StudyError, match="missing or have other fields"):
            StudySettings.from_attrs({attrs.SETTINGS: stored}, study="s")


def test_settings_without_vendors(settings: StudySettings) -> None:
    """Settings of a version without vendors have none, and without any they are not stored."""
    stored = settings.to_dict()
    assert "vendors" not in stored
    assert StudySettings.from_attrs({attrs.SETTINGS: stored}, study="s") == settings


def test_round_trip_of_vendors(settings: StudySettings, url: str) -> None:
    """Vendors come back from a study in their order."""
    decided = replace(settings, options={"vendors": ("twitter", "apple")})
    study = open_study(open_storage(url, create=True, write=True), "s", decided)
    assert StudySettings.of_study(open_storage(url), "s") == decided
    assert study.user_attrs[attrs.SETTINGS]["vendors"] == ["twitter", "apple"]


def test_later_settings(settings: StudySettings) -> None:
    """A setting that this version does not know can be read, but not be trained by."""
    stored = {**settings.to_dict(), "code_version": "9.9", "later": 1}
    later = StudySettings.from_attrs({attrs.SETTINGS: stored}, study="s")
    assert later.to_dict() == stored
    message = r"^Study 's' was made with emoji-study 9\.9 and has a .* here, 'later'; install that"
    with pytest.raises(StudyError, match=message):
        later.require_training(kind_of(settings), study="s")


def test_foreign_study(settings: StudySettings, url: str) -> None:
    """A study that plain Optuna created and used is left alone."""
    storage = open_storage(url, create=True, write=True)
    plain = optuna.create_study(storage=storage, study_name="s")
    plain.enqueue_trial({})
    with pytest.raises(StudyError, match="'s' was not created by emoji-study"):
        StudySettings.of_study(storage, "s")
    with pytest.raises(StudyError, match="'s' was not created by emoji-study"):
        open_study(storage, "s", settings)
    assert attrs.SETTINGS not in plain.user_attrs


def test_creation_that_was_cut_short(settings: StudySettings, url: str) -> None:
    """A study that has nothing but a name and its objective is completed, any other is not."""
    storage = open_storage(url, create=True, write=True)
    for name, direction in (("s", "minimize"), ("t", "maximize")):
        optuna.create_study(storage=storage, study_name=name, direction=direction)
        assert StudySettings.of_study(storage, name) is None
    assert open_study(storage, "s", settings).metric_names == [attrs.VALIDATION_MSE]
    assert StudySettings.of_study(storage, "s") == settings
    with pytest.raises(StudyError, match="'t' was not created by emoji-study"):
        open_study(storage, "t", settings)


@pytest.mark.parametrize(
    ("space", "fixed", "epochs"),
    [
        ("notebook", {"epoch": 7}, 7),
        ("notebook", {"epoch": 1000}, 1000),
        ("notebook", {}, 200),
        ("extended", {}, 200),
        ("extended", {"epoch": 300}, 300),
    ],
)
def test_max_epochs(
    settings: StudySettings, space: str, fixed: dict[str, int], epochs: int
) -> None:
    """The longest training is the fixed one, or the longest of the space."""
    decided = replace(settings, space=space, fixed=fixed)
    assert kind_of(decided).max_steps(space_of(decided), fixed) == epochs
