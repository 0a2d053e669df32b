"""Several databases whose files lie in one folder, as those of a server: none gets another's."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from storage import attrs
from storage.artifacts import model_path
from study.running.worker import run_trial
from study.settings import StudySettings
from tests.study_tests.studies import claim, objective_of, wanting


def interrupted(folder: Path, settings: StudySettings) -> optuna.Study:
    """Create a study in a database of its own, whose only training was interrupted."""
    study = wanting(f"sqlite:///{folder / str(settings.seed)}.db", settings)
    train(study, folder, settings, interrupt=True)
    return study


def train(study: optuna.Study, folder: Path, settings: StudySettings, *, interrupt: bool) -> None:
    """Train the next trial of a study and keep its model, unless it is interrupted."""
    stop = threading.Event()
    if interrupt:
        stop.set()
    objective = replace(objective_of(settings, folder / "artifacts"), keep_models=True)
    run_trial(study, claim(study), objective, stop)


def outcome(study: optuna.Study, folder: Path) -> dict[str, Any]:
    """Return what a study's only finished trial gave."""
    (trial,) = study.get_trials(states=(TrialState.COMPLETE,))
    model = model_path(folder / "artifacts", study.user_attrs[attrs.UID], trial.number)
    return {
        "curve": trial.intermediate_values,
        "resumed": trial.user_attrs[attrs.RESUMED_EPOCHS],
        "model": model.read_text(),
    }


def test_interrupted_trainings_and_kept_models(tmp_path: Path, toys: StudySettings) -> None:
    """Two studies that take turns in one folder end as each does in its own, bit for bit."""
    seeds = [replace(toys, seed=seed) for seed in (0, 1)]
    shared = [interrupted(tmp_path, settings) for settings in seeds]
    for study, settings in zip(shared, seeds, strict=True):
        train(study, tmp_path, settings, interrupt=False)
    found = [outcome(study, tmp_path) for study in shared]
    for study, settings in zip(found, seeds, strict=True):
        own = tmp_path / f"own-{settings.seed}"
        own.mkdir()
        alone = interrupted(own, settings)
        train(alone, own, settings, interrupt=False)
        assert study == outcome(alone, own)
    assert found[0]["model"] != found[1]["model"]


def test_a_study_of_an_earlier_version_goes_on(tmp_path: Path, toys: StudySettings) -> None:
    """The state under its name of then is continued, by a study that has no unique name yet."""
    study = interrupted(tmp_path, toys)
    unfinished = tmp_path / "artifacts" / "unfinished"
    (state,) = unfinished.iterdir()
    uid = study.user_attrs[attrs.UID]
    state.rename(unfinished / state.name.replace(uid, str(study._study_id)))
    study._storage.set_study_user_attr(study._study_id, attrs.UID, None)
    train(study, tmp_path, toys, interrupt=False)
    assert outcome(study, tmp_path)["resumed"] == 1
    assert study.user_attrs[attrs.UID] not in (None, uid)
    assert list(unfinished.iterdir()) == []
