"""Workers that are killed again and again: nothing is lost, and nothing is done twice."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from storage import attrs
from storage.errors import StorageAccessError
from study.settings import StudySettings
from tests.servers import opened

pytestmark = pytest.mark.slow

Wait = Callable[[Callable[[], bool]], None]

N_TRIALS, N_WORKERS, N_KILLS, N_EPOCHS = 60, 3, 32, 100


def attempts_of(coordinator: int) -> list[int]:
    """Return the worker processes of a coordinator that can train already."""
    threads = Path(f"/proc/{coordinator}/task").iterdir()
    children = [int(pid) for task in threads for pid in (task / "children").read_text().split()]
    return [
        pid
        for pid in children
        if b"study.running.attempt" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def trials_of(storage: BaseStorage) -> list[FrozenTrial]:
    """Return the trials of the only study of a storage, none before it is there."""
    studies = storage.get_all_studies()
    return [t for study in studies for t in storage.get_all_trials(study._study_id)]


def is_there(url: str) -> bool:
    """Say whether a database has been created."""
    try:
        with opened(url):
            return True
    except StorageAccessError:
        return False


def test_kill_storm(
    database: str, tmp_path: Path, settings: StudySettings, wait_until: Wait
) -> None:
    """Sixty trials, three workers, 32 kills: sixty finished, each point once, curves complete.

    The kills are spread over the work, at moments and of workers that a seed decides; some hit
    a worker that is training, some one that is starting.
    """
    command = [
        *(sys.executable, "-m", "study", "run", "autoencoder", "--storage", database),
        *("--data", str(settings.data), "--artifacts", str(tmp_path / "artifacts")),
        *("--trials", str(N_TRIALS), "--workers", str(N_WORKERS), "--threads", "1"),
        *("--space", "extended", "--sampler", "random", "--pruner", "none"),
        *("--epochs", str(N_EPOCHS), "--set", "auto_encoder=CNN", "--set", "batch_size=16"),
        *("--set", "width=8", "--set", "depth=3", "--set", "learning_rate=0.001"),
    ]
    rng = random.Random(0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as coordinator:
        wait_until(lambda: is_there(database))
        with opened(database) as storage:

            def is_due(due: float) -> bool:
                assert coordinator.poll() is None, "the coordinator is gone"
                n_done = sum(t.state == TrialState.COMPLETE for t in trials_of(storage))
                return n_done >= due and bool(attempts_of(coordinator.pid))

            for i in range(N_KILLS):
                due = (i + 1) * N_TRIALS / (N_KILLS + 2) - rng.random()
                wait_until(partial(is_due, due))
                os.kill(rng.choice(attempts_of(coordinator.pid)), signal.SIGKILL)
            output, _ = coordinator.communicate()
            trials = trials_of(storage)
    assert coordinator.returncode == 0, output
    finished = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(finished) == N_TRIALS
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    assert sorted(t.user_attrs[attrs.DESIGN_INDEX] for t in finished) == list(range(N_TRIALS))
    assert all(attrs.FAILURE not in t.user_attrs for t in trials)
    for trial in finished:
        assert sorted(trial.intermediate_values) == list(range(N_EPOCHS))
    assert not list((tmp_path / "artifacts" / "unfinished").iterdir())
    again = {t.user_attrs[attrs.RETRY_OF]: t for t in trials if attrs.RETRY_OF in t.user_attrs}
    twice = 0
    for number, retry in again.items():
        resumed = int(retry.user_attrs.get(attrs.RESUMED_EPOCHS, 0))
        twice += max(0, len(trials[number].intermediate_values) - resumed)
    assert len(again) >= N_KILLS // 4, "the kills hit nothing"
    assert twice <= 0.05 * N_TRIALS * N_EPOCHS
    if database.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_restart_loop(database: str, tmp_path: Path, settings: StudySettings) -> None:
    """Restarted until it ends well, a run gives what it was asked for, whenever it is stopped.

    One attempt is stopped in its first second, the next one in its second, and so on: while it
    starts, trains, has trained all, or writes what the dashboard shows.
    """
    command = [
        *(Path(sys.executable).with_name("emoji-study"), "run", "autoencoder"),
        *("--storage", database, "--data", str(settings.data), "--study", "s"),
        *("--artifacts", str(tmp_path / "artifacts"), "--trials", "20", "--workers", "2"),
        *("--sampler", "random", "--epochs", "40", "--set", "auto_encoder=CNN", "--threads", "1"),
    ]
    signals = itertools.cycle([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    for second in itertools.count(1):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as attempt:
            try:
                code = attempt.wait(timeout=second)
            except subprocess.TimeoutExpired:
                attempt.send_signal(next(signals))
                code = attempt.wait()
        if code == 0:
            break
    with opened(database) as storage:
        trials = trials_of(storage)
    finished = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert sorted(t.user_attrs[attrs.DESIGN_INDEX] for t in finished) == list(range(20))
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
