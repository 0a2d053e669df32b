"""What a study's workers share: stored, read back, compared; seeds that follow from it."""

import json
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection

from emoji_ae.config import AutoencoderConfig, multitask_config
from storage import attrs
from storage.rdb import open_storage
from study.errors import StudyError
from study.running.opening import Database
from study.seeds import pair_seed, sampler_seed, trial_seed
from study.settings import StudySettings, code_version, training_number
from tests.emoji_ae_tests.reference import with_fields
from tests.study_tests.studies import kind_of, open_study

FOREIGN = r"^Study 's' was not created by emoji-study: .* missing or have other fields"
OTHERS = "^Study 's' was not made by `emoji-study run`; this command is only for studies that were"
ERROR, ACCURACY = "validation_mse", "validation_accuracy"


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, [ERROR]),
        ({"options": {"vendors": ("twitter", "apple")}}, [ERROR]),
        ({"kind": "multitask", "min_accuracy": 0.7}, [ERROR]),
        ({"kind": "multitask", "pareto": True}, [ERROR, ACCURACY]),
    ],
)
def test_round_trip(settings: StudySettings, url: str, changes: Any, names: list[str]) -> None:
    """Settings come back from a study, which has their objectives and opens with them again."""
    decided = replace(settings, **changes)
    storage = open_storage(url, create=True, write=True)
    assert Database(url).find("s") is None
    study = open_study(storage, "s", decided)
    assert Database(url).find("s").settings == decided
    assert study.metric_names == names
    assert study.directions == [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE][: len(names)]
    assert open_study(storage, "s", decided)._study_id == study._study_id
    stored = study.user_attrs[attrs.SETTINGS]
    assert stored.get("vendors") == (["twitter", "apple"] if "options" in changes else None)
    with pytest.raises(StudyError, match=r"^Study 's' has sampler 'random', but got 'qmc'; "):
        open_study(storage, "s", replace(decided, sampler="qmc"))
    assert Database(url).find("s").settings == decided


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "multitask"), ("data_fingerprint", "x"), ("min_accuracy", 0.5), ("sides", "tvx")],
)
def test_require_equal(settings: StudySettings, field: str, value: Any) -> None:
    """The first setting that differs is named with both values."""
    other = replace(settings, **{field: value})
    said = field.replace("min_accuracy", "bound")
    with pytest.raises(StudyError, match=rf"^Study 's' has {said} .*, but got .*--study") as seen:
        settings.require_equal(other, study="s")
    assert repr(getattr(settings, field)) in str(seen.value)
    assert repr(value) in str(seen.value)


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


def test_foreign_settings(settings: StudySettings) -> None:
    """What is no complete set of settings under its name is refused, as of earlier versions."""
    complete = settings.to_dict()
    for values in (None, {}, {"kind": "autoencoder"}, "text", ["kind"]):
        with pytest.raises(StudyError, match=FOREIGN):
            StudySettings.from_attrs({attrs.SETTINGS: values}, study="s")
    for name in ("sides", "min_accuracy", "pareto"):
        stored = {n: value for n, value in complete.items() if n != name}
        with pytest.raises(StudyError, match=FOREIGN):
            StudySettings.from_attrs({attrs.SETTINGS: stored}, study="s")
    with pytest.raises(StudyError, match=OTHERS):
        StudySettings.from_attrs(complete, study="s")
    stored = json.loads(json.dumps(complete))
    assert StudySettings.from_attrs({attrs.SETTINGS: stored}, study="s") == settings


def test_later_settings(settings: StudySettings) -> None:
    """A setting that this version does not know can be read, but not be trained by."""
    stored = {**settings.to_dict(), "code_version": "9.9", "later": 1}
    later = StudySettings.from_attrs({attrs.SETTINGS: stored}, study="s")
    assert later.to_dict() == stored
    message = r"^Study 's' was made with emoji-study 9\.9 and has a .* here, 'later'; install that"
    with pytest.raises(StudyError, match=message):
        later.require_training(kind_of(settings), study="s")


def test_studies_of_others(settings: StudySettings, url: str) -> None:
    """Plain Optuna's studies are left alone; one whose creation was cut short is completed."""
    storage = open_storage(url, create=True, write=True)
    for name, direction in (("cut", "minimize"), ("t", "maximize"), ("s", "minimize")):
        plain = optuna.create_study(storage=storage, study_name=name, direction=direction)
        assert Database(url).find(name) is None
    plain.enqueue_trial({})
    with pytest.raises(StudyError, match=OTHERS):
        Database(url).find("s")
    for name in ("s", "t"):
        with pytest.raises(StudyError, match=f"'{name}' was not made by `emoji-study run`"):
            open_study(storage, name, settings)
    assert attrs.SETTINGS not in plain.user_attrs
    assert open_study(storage, "cut", settings).metric_names == [ERROR]
    assert Database(url).find("cut").settings == settings


BASE = AutoencoderConfig(epoch=100)
CLASSIFIER = multitask_config(epoch=100, classification_layer_num=2)
LINEAR = replace(BASE, auto_encoder="linear")


def test_what_is_trained_matters() -> None:
    """Study seed, replicate and parameters that have an effect give other seeds: the identity."""
    one_layer = with_fields(CLASSIFIER, classification_layer_num=1)
    configs = [
        *(BASE, replace(BASE, learning_rate=0.02), LINEAR, replace(LINEAR, bottleneck_dim=16)),
        *(CLASSIFIER, with_fields(CLASSIFIER, dropout=0.5), one_layer),
        with_fields(CLASSIFIER, strategy="sequential"),
    ]
    others = [(1, 0), (0, 1), (1, 1)]
    seeds = [trial_seed(0, config, 0) for config in configs]
    seeds += [trial_seed(study, BASE, replicate) for study, replicate in others]
    assert len(set(seeds)) == len(seeds)
    assert trial_seed(0, BASE, 0) == trial_seed(0, replace(BASE, bottleneck_dim=16), 0)
    assert trial_seed(0, one_layer, 0) == trial_seed(0, with_fields(one_layer, dropout=0.5), 0)


def test_seeds_stay_the_same() -> None:
    """Seeds are part of what a study means: another formula would change every result."""
    assert trial_seed(0, AutoencoderConfig(), 0) == 540017481682125119
    assert trial_seed(0, multitask_config(), 0) == 4453005525659884291
    assert pair_seed(0, 0) == 540591849300245522
    assert sampler_seed(0, 0) == 1807118605


def test_pairs_and_trials_have_seeds_of_their_own() -> None:
    """No two pairs and no two samplers share a seed, within a study and between studies."""
    for seed in (pair_seed, sampler_seed):
        assert len({seed(study, i) for study in range(3) for i in range(1000)}) == 3000
