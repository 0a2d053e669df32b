"""Several databases whose files lie in one folder, as those of a server: none gets another's."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from emoji_ae.checkpoint import load_checkpoint
from emoji_ae.dataset import load_dataset
from storage import attrs
from storage.artifacts import model_path, study_uid
from storage.errors import StorageError
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record
from study.running.budget import request
from study.running.worker import run_trial
from study.settings import StudySettings
from tests.study_tests.studies import claim, objective_of, open_study, start_design

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


class Commands:
    """The commands of the studies of all seeds, each in the folder that belongs to its seed.

    Args:
        folders: By seed; may be one and the same.
        data: The data set file of all.
    """

    def __init__(self, folders: dict[int, Path], data: Path) -> None:
        self.folders = folders
        self.data = data
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *options: str) -> dict[int, "subprocess.Popen[str]"]:
        """Start a command for each seed at once; ``SEED`` in an option stands for it."""
        started = {
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
            for seed, folder in self.folders.items()
        }
        self._started += started.values()
        return started

    def stop(self) -> None:
        """Stop what has not ended."""
        for process in self._started:
            with process:
                process.terminate()

    def end(self, started: dict[int, "subprocess.Popen[str]"], code: int = 0) -> None:
        """Wait for them; each must end with ``code``."""
        for process in started.values():
            said, _ = process.communicate()
            assert process.returncode == code, said

    def record(self, seed: int, name: str = "q") -> StudyRecord:
        """Read a study."""
        return load_study_record(open_storage(url_of(self.folders[seed], seed)), name)

    def has_finished(self, seed: int, n: int) -> bool:
        """Say whether the search of a seed has so many finished trials."""
        with suppress(StorageError):
            return len(self.record(seed).complete) >= n
        return False

    def all(self, wait_until: Wait) -> None:
        """Search with an interruption, confirm, add up, and train the best for good."""
        search = (
            *("run", "autoencoder", "--data", str(self.data), "--space", "extended"),
            *("--epochs", "40", "--set", "auto_encoder=CNN", "--set", "width=8"),
            *("--set", "latent_channels=16", "--set", "depth=3", "--set", "batch_size=16"),
            *("--sampler", "random", "--pruner", "none", "--seed", "SEED", "--trials", "5"),
            *("--workers", "1", "--threads", "1"),
        )
        started = self.start(*search)
        for seed, process in started.items():
            wait_until(lambda seed=seed: self.has_finished(seed, 1))  # type: ignore[misc]
            process.send_signal(signal.SIGINT)
        self.end(started, 130)
        self.end(self.start(*search))
        few = ("--top", "1", "--seeds", "2", "--workers", "1", "--threads", "1")
        self.end(self.start("confirm", *few))
        text = load_dataset(self.data).texts[0]
        self.end(self.start("compose", f"'{text}'", "--out", "SEED.png"))
        self.end(self.start("train", "--threads", "1", "--out", "final-SEED"))

    def results(self, seed: int) -> dict[str, Any]:
        """Return all that came out for a seed, bit for bit, without times."""
        folder = self.folders[seed]
        search, confirmed = self.record(seed), self.record(seed, "q-confirmation")
        tests = confirmed.user_attrs[attrs.TEST_RESULTS]
        metrics = json.loads((folder / f"final-{seed}" / "metrics.json").read_text())
        model = load_checkpoint(folder / f"final-{seed}" / "checkpoint.pt").model
        return {
            "search": sorted(_values(search)),
            "confirmed": sorted(_values(confirmed)),
            "tests": {
                (t.user_attrs[attrs.ARM], t.user_attrs[attrs.PAIR]): tests[str(t.number)]
                for t in confirmed.complete
            },
            "sum": (folder / f"{seed}.png").read_bytes(),
            "metrics": {k: v for k, v in metrics.items() if k != "training_seconds"},
            "weights": {n: w.numpy().tobytes() for n, w in model.state_dict().items()},
        }


def _values(record: StudyRecord) -> Sequence[tuple[int, float | None]]:
    return [(t.user_attrs[attrs.DESIGN_INDEX], t.value) for t in record.complete]


@pytest.mark.slow
def test_all_commands_in_one_folder(tmp_path: Path, tiny_data: Path, wait_until: Wait) -> None:
    """What two searches run, confirm, compose and train at once is as in folders of their own."""
    together = tmp_path / "together"
    alone = {seed: tmp_path / f"alone-{seed}" for seed in SEEDS}
    for folder in (together, *alone.values()):
        folder.mkdir()
    shared, own = Commands(dict.fromkeys(SEEDS, together), tiny_data), Commands(alone, tiny_data)
    for commands in (shared, own):
        try:
            commands.all(wait_until)
        finally:
            commands.stop()
    for seed in SEEDS:
        found = shared.results(seed)
        assert found == own.results(seed)
        assert len(found["search"]) == 5
        assert len(found["tests"]) == 6
    assert list((together / "artifacts" / "models").iterdir()) == []
    assert list((together / "artifacts" / "unfinished").iterdir()) == []
