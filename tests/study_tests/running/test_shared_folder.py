"""Several databases whose files lie in one folder, as those of a server: none gets another's."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from emoji_ae.checkpoint import load_checkpoint
from storage import attrs
from storage.artifacts import model_path, study_uid
from storage.rdb import open_storage
from storage.records import load_study_record
from study.running.budget import request
from study.running.worker import run_trial
from study.settings import StudySettings
from tests.study_tests.studies import TRAINED, ask, claim, objective_of, open_study, start_design
from tests.study_tests.toy import TOY_FILE

Wait = Callable[[Callable[[], bool]], None]

SEEDS = (0, 7)


def url_of(folder: Path, seed: int) -> str:
    """Return the URL of the database with the study of a seed."""
    return f"sqlite:///{folder / f'{seed}.db'}"


def interrupted(folder: Path, settings: StudySettings, seed: int) -> optuna.Study:
    """Create a study in a database of its own, whose only training was interrupted."""
    decided = replace(settings, seed=seed)
    storage = open_storage(url_of(folder, seed), create=True, write=True)
    study = open_study(storage, "study", decided)
    study.sampler = optuna.samplers.RandomSampler(seed=seed)
    study.pruner = NopPruner()
    start_design(study, decided)
    request(study, 1)
    train(study, folder, decided, interrupt=True)
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
    uid = study_uid(study._storage, study._study_id)
    kept = load_checkpoint(model_path(folder / "artifacts", uid, trial.number))
    return {
        "curve": trial.intermediate_values,
        "resumed": trial.user_attrs[attrs.RESUMED_EPOCHS],
        "seed": (trial.user_attrs[attrs.SEED], kept.seed),
        "weights": {name: w.numpy().tobytes() for name, w in kept.model.state_dict().items()},
    }


def test_interrupted_trainings_and_kept_models(tmp_path: Path, settings: StudySettings) -> None:
    """Two studies that take turns in one folder end as each does in its own, bit for bit."""
    shared = [interrupted(tmp_path, settings, seed) for seed in SEEDS]
    for study, seed in zip(shared, SEEDS, strict=True):
        train(study, tmp_path, replace(settings, seed=seed), interrupt=False)
    for study, seed in zip(shared, SEEDS, strict=True):
        own = tmp_path / f"own-{seed}"
        own.mkdir()
        alone = interrupted(own, settings, seed)
        train(alone, own, replace(settings, seed=seed), interrupt=False)
        assert outcome(study, tmp_path) == outcome(alone, own)


def test_a_study_of_an_earlier_version_goes_on(tmp_path: Path, settings: StudySettings) -> None:
    """The state under its name of then is continued, by a study that has no unique name yet."""
    study = interrupted(tmp_path, settings, 0)
    unfinished = tmp_path / "artifacts" / "unfinished"
    (state,) = unfinished.iterdir()
    uid = study.user_attrs[attrs.UID]
    state.rename(unfinished / state.name.replace(uid, str(study._study_id)))
    study._storage.set_study_user_attr(study._study_id, attrs.UID, None)
    train(study, tmp_path, settings, interrupt=False)
    assert outcome(study, tmp_path)["resumed"] == 1
    assert study.user_attrs[attrs.UID] not in (None, uid)
    assert list(unfinished.iterdir()) == []


def start(folders: Mapping[int, Path], *options: str) -> dict[int, "subprocess.Popen[str]"]:
    """Start a command for the study of each seed at once; ``SEED`` in an option stands for it."""
    return {
        seed: subprocess.Popen(
            [
                *(sys.executable, "-m", "study"),
                *(option.replace("SEED", str(seed)) for option in options),
                *("--storage", url_of(folder, seed), "--study", "q"),
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed, folder in folders.items()
    }


def end(started: Mapping[int, "subprocess.Popen[str]"], code: int = 0) -> None:
    """Wait for commands; each must end with ``code``."""
    for process in started.values():
        said, _ = process.communicate()
        assert process.returncode == code, said


def results(folder: Path, seed: int) -> dict[str, Any]:
    """Return all that came out for a seed, without times."""
    storage = open_storage(url_of(folder, seed))
    search, confirmed = (load_study_record(storage, name) for name in ("q", "q-confirmation"))
    tests = confirmed.user_attrs[attrs.TEST_RESULTS]
    metrics = json.loads((folder / f"final-{seed}" / "metrics.json").read_text())
    return {
        **{
            record.name: sorted(
                (t.user_attrs[attrs.DESIGN_INDEX], t.value) for t in record.complete
            )
            for record in (search, confirmed)
        },
        "tests": {
            (t.user_attrs[attrs.ARM], t.user_attrs[attrs.PAIR]): tests[str(t.number)]
            for t in confirmed.complete
        },
        "metrics": {k: v for k, v in metrics.items() if k != "training_seconds"},
        "model": (folder / f"final-{seed}" / "model").read_text(),
    }


@pytest.mark.slow
def test_all_commands_in_one_folder(tmp_path: Path, toys: StudySettings, wait_until: Wait) -> None:
    """What two searches run, confirm and train at once is as in folders of their own."""
    together = dict.fromkeys(SEEDS, tmp_path / "together")
    alone = {seed: tmp_path / f"alone-{seed}" for seed in SEEDS}
    slow = tmp_path / "data" / "slow"
    few = ("--workers", "1", "--threads", "1")
    search = (
        *("run", f"{TOY_FILE}:TOY", "--data", str(toys.data), "--set", "rounds=200"),
        *("--sampler", "random", "--pruner", "none", "--seed", "SEED", "--trials", "5"),
        *("--set", "rate=0.5", *few),
    )
    for folders in (together, alone):
        slow.touch()
        for folder in set(folders.values()):
            folder.mkdir()
        started = start(folders, *search)
        for seed, process in started.items():
            asked = partial(ask, folders[seed], TRAINED, f"{seed}.db")
            wait_until(lambda asked=asked: asked() >= [(1,)])
            process.send_signal(signal.SIGINT)
        end(started, 130)
        slow.unlink()
        end(start(folders, *search))
        end(start(folders, "confirm", "--top", "1", "--seeds", "2", *few))
        end(start(folders, "train", "--threads", "1", "--out", "final-SEED"))
    for seed in SEEDS:
        found = results(together[seed], seed)
        assert found == results(alone[seed], seed)
        assert len(found["q"]) == 5
        assert len(found["tests"]) == 6
    artifacts = tmp_path / "together" / "artifacts"
    assert list((artifacts / "models").iterdir()) == []
    assert list((artifacts / "unfinished").iterdir()) == []
