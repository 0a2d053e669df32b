"""Workers and runs that are killed again and again: nothing is lost, nothing is done twice."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState

from storage import attrs
from storage.errors import StorageAccessError
from study.settings import StudySettings
from tests.servers import opened
from tests.study_tests.studies import toy_run

pytestmark = pytest.mark.slow

Wait = Callable[[Callable[[], bool]], None]

N_TRIALS, N_KILLS, N_ROUNDS = 60, 32, 100


def command(database: str, folder: Path, n_trials: int, n_workers: int) -> list[str]:
    """Return a command that runs a study of slow trainings."""
    (folder / "data" / "slow").touch()
    options = ("--trials", str(n_trials), "--workers", str(n_workers), "--set")
    return toy_run(
        *(database, folder / "data", *options, f"rounds={N_ROUNDS}"),
        *("--artifacts", str(folder / "artifacts")),
    )


def attempts_of(coordinator: int) -> list[int]:
    """Return the worker processes of a coordinator that can train already."""
    threads = Path(f"/proc/{coordinator}/task").iterdir()
    children = [int(pid) for task in threads for pid in (task / "children").read_text().split()]
    return [
        pid
        for pid in children
        if b"study.running.attempt" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def trials_of(database: str) -> list[FrozenTrial]:
    """Return the trials of the only study of a database, none before it is there."""
    with suppress(StorageAccessError), opened(database) as storage:
        studies = storage.get_all_studies()
        return [t for study in studies for t in storage.get_all_trials(study._study_id)]
    return []


def check_finished(trials: list[FrozenTrial], n_trials: int) -> None:
    """Check that each point of the design has finished once, with a whole curve."""
    finished = [t for t in trials if t.state == TrialState.COMPLETE]
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    assert sorted(t.user_attrs[attrs.DESIGN_INDEX] for t in finished) == list(range(n_trials))
    assert all(sorted(t.intermediate_values) == list(range(N_ROUNDS)) for t in finished)


def test_kill_storm(database: str, tmp_path: Path, toys: StudySettings, wait_until: Wait) -> None:
    """Sixty trials, three workers, 32 kills: sixty finished, each point once, curves complete.

    The kills are spread over the work, at moments and of workers that a seed decides; some hit
    a worker that is training, some one that is starting.
    """
    rng = random.Random(0)
    run = command(database, tmp_path, N_TRIALS, 3)
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as coordinator:
        for i in range(N_KILLS):
            due = (i + 1) * N_TRIALS / (N_KILLS + 2) - rng.random()

            def is_due(due: float = due) -> bool:
                assert coordinator.poll() is None, "the coordinator is gone"
                n_done = sum(t.state == TrialState.COMPLETE for t in trials_of(database))
                return n_done >= due and bool(attempts_of(coordinator.pid))

            wait_until(is_due)
            os.kill(rng.choice(attempts_of(coordinator.pid)), signal.SIGKILL)
        output, _ = coordinator.communicate()
    assert coordinator.returncode == 0, output
    trials = trials_of(database)
    check_finished(trials, N_TRIALS)
    assert all(attrs.FAILURE not in t.user_attrs for t in trials)
    assert not list((tmp_path / "artifacts" / "unfinished").iterdir())
    again = {t.user_attrs[attrs.RETRY_OF]: t for t in trials if attrs.RETRY_OF in t.user_attrs}
    assert len(again) >= N_KILLS // 4, "the kills hit nothing"
    twice = (
        max(0, len(trials[n].intermediate_values) - t.user_attrs.get(attrs.RESUMED_EPOCHS, 0))
        for n, t in again.items()
    )
    assert sum(twice) <= 0.05 * N_TRIALS * N_ROUNDS
    if database.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_restart_loop(database: str, tmp_path: Path, toys: StudySettings) -> None:
    """Restarted until it ends well, a run gives what it was asked for, whenever it is stopped.

    One attempt is stopped in its first second, the next one in its second, and so on: while it
    starts, trains, has trained all, or writes what the dashboard shows.
    """
    run = command(database, tmp_path, 20, 2)
    signals = itertools.cycle([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    for second in itertools.count(1):
        with subprocess.Popen(run, stdout=subprocess.DEVNULL) as attempt:
            try:
                code = attempt.wait(timeout=second)
            except subprocess.TimeoutExpired:
                attempt.send_signal(next(signals))
                code = attempt.wait()
        if code == 0:
            break
    check_finished(trials_of(database), 20)
