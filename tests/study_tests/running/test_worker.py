"""One trial at a time, with real trainings: whatever the end, everything is stored."""

import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.pruners import NopPruner, ThresholdPruner
from optuna.trial import TrialState

from storage import attrs, queue
from storage.rdb import open_storage
from storage.records import count
from study.errors import StudyError
from study.running.worker import MAX_DIVERGED, claims, run_trial, run_worker
from study.seeds import trial_seed
from study.settings import StudySettings
from study.terminal.signals import stop_signals
from tests.conftest import Wait
from tests.study_tests.studies import (
    claim,
    claim_point,
    dead_worker,
    job_of,
    objective_of,
    open_study,
    space_of,
    wanting,
)

COMPLETE, FAIL, WAITING = TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where artifacts go."""
    return tmp_path / "artifacts"


def test_last_step_is_never_pruned(url: str, toys: StudySettings, store: Path) -> None:
    """A training that was paid for counts, even where the pruner would stop it at its end."""
    study = wanting(url, toys)
    trial = claim_point(study, {"rounds": 3})
    study.pruner = ThresholdPruner(upper=0.0, n_warmup_steps=2)
    run_trial(study, trial, objective_of(toys, store), threading.Event())
    (ended,) = study.get_trials()
    assert (ended.state, len(ended.intermediate_values)) == (COMPLETE, 3)


def test_interrupted(url: str, toys: StudySettings, store: Path) -> None:
    """An interrupted trial fails, even where it would be pruned, and is gone on with."""
    kept = {attrs.DESIGN_INDEX: 0, attrs.REPLICATE: 2}
    study, objective = wanting(url, toys), objective_of(toys, store)
    study.pruner, stop = ThresholdPruner(upper=0.0), threading.Event()
    stop.set()
    assert not run_trial(study, claim_point(study, {}, kept), objective, stop)
    trial, again = study.get_trials()
    assert trial.state == FAIL
    assert trial.user_attrs[attrs.FAILURE] == "interrupted after rounds 1"
    assert again.state == WAITING
    assert again.system_attrs["fixed_params"] == trial.params
    assert again.user_attrs == {**kept, attrs.RETRY_OF: 0}
    config = space_of(toys).to_config(trial.params)
    assert trial.user_attrs[attrs.SEED] == trial_seed(toys.seed, config, 2)
    study.pruner = NopPruner()
    assert not run_trial(study, claim(study), objective, threading.Event())
    second = study.get_trials()[1]
    assert (second.state, second.params) == (COMPLETE, trial.params)
    assert second.user_attrs[attrs.SEED] == trial.user_attrs[attrs.SEED]
    assert second.user_attrs[attrs.RESUMED_EPOCHS] == 1
    assert second.intermediate_values[0] == trial.intermediate_values[0]
    assert second.value == min(second.intermediate_values.values())


def test_diverged(tmp_path: Path, toys: StudySettings) -> None:
    """A diverged training fails its trial alone; a worker that sees nothing else gives up."""
    endless = replace(toys, fixed={"rate": 4.0, "rounds": 5})
    study = wanting(job_of(tmp_path, endless).url, endless, 3)
    with pytest.raises(StudyError, match=rf"^{MAX_DIVERGED} trainings in a row diverged: `emoji"):
        run_worker(job_of(tmp_path, endless), threading.Event())
    trials = study.get_trials()
    assert [trial.state for trial in trials] == [FAIL] * MAX_DIVERGED
    reason = f"{attrs.DIVERGED}: It is at "
    assert all(trial.user_attrs[attrs.FAILURE].startswith(reason) for trial in trials)
    # A grid ends before, with nothing finished.
    grid = replace(endless, sampler="grid", space="few")
    (tmp_path / "grid").mkdir()
    study = wanting(job_of(tmp_path / "grid", grid).url, grid, 3)
    for _ in range(2):
        run_worker(job_of(tmp_path / "grid", grid), threading.Event())
        assert [trial.state for trial in study.get_trials()] == [FAIL] * 2


def test_unexpected_error(url: str, toys: StudySettings, store: Path) -> None:
    """An error that the next trial would meet as well is passed on; the trial waits once more."""
    broken = replace(toys, fixed={**toys.fixed, "start": "here"})
    study = wanting(url, broken)
    with pytest.raises(StudyError, match=r"^Trial 0 failed: TypeError: unsupported operand"):
        run_trial(study, claim(study), objective_of(broken, store), threading.Event())
    trial, again = study.get_trials()
    assert (trial.state, again.state) == (FAIL, WAITING)
    assert trial.user_attrs[attrs.FAILURE].startswith("TypeError: ")
    assert "\n" not in trial.user_attrs[attrs.FAILURE]
    assert (again.user_attrs[attrs.ERRORS], again.user_attrs[attrs.RETRY_OF]) == (1, 0)


def test_judged_dead(url: str, toys: StudySettings, store: Path) -> None:
    """A worker whose trial was taken from it in the middle drops it and can go on."""
    study = wanting(url, toys)
    claimed = claim(study)

    class Taken(threading.Event):
        """Another worker fails the trial while this one trains."""

        def is_set(self) -> bool:
            open_storage(url, write=True).set_trial_state_values(claimed._trial_id, FAIL)
            return False

    assert not run_trial(study, claimed, objective_of(toys, store), Taken())
    (trial,) = study.get_trials()
    assert trial.state == FAIL
    assert attrs.FAILURE not in trial.user_attrs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_fingerprint": "0"}, r"other data \(fingerprint 0, here nothing\); name the file"),
        ({"code_version": "0.0.1", "training": 7}, r"emoji-study 0\.0\.1, whose trainings give "),
    ],
)
def test_studies_that_are_refused(
    toys: StudySettings, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """Other data, or trainings that would give other results, touch no trial."""
    job = job_of(tmp_path, toys)
    study = wanting(job.url, replace(toys, **changes))
    with pytest.raises(StudyError, match=rf"^Study 'study' was made with {message}"):
        run_worker(job, threading.Event())
    assert study.get_trials() == []


WORKER = """
import sys, threading
from study.running.job import WorkerJob
from study.running.worker import run_worker

run_worker(WorkerJob.from_json(sys.argv[1]), threading.Event())
print([name for name in ("sklearn", "pandas") if name in sys.modules])
"""


def test_worker_is_light(settings: StudySettings, tmp_path: Path) -> None:
    """A worker that samples, trains and answers trials never imports scikit-learn or pandas."""
    decided = replace(settings, sampler="tpe", pruner="median")
    job = job_of(tmp_path, decided)
    study = wanting(job.url, decided, 3)
    point = {"learning_rate": 0.01, "weight_decay": 0.001, "batch_normalization": False}
    for params in (point, point):
        study.enqueue_trial(params)
    command = [sys.executable, "-c", WORKER, job.to_json()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    trials = study.get_trials()
    assert [trial.state for trial in trials] == [COMPLETE] * 3
    assert [trial.user_attrs.get(attrs.REUSED_FROM) for trial in trials] == [None, 0, None]


def test_outage(
    url: str, toys: StudySettings, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the database leaves the trial running; whoever gets it goes on with it."""
    open_study(open_storage(url, create=True), "study", toys)
    monkeypatch.setattr("storage.rdb._SQLITE_TIMEOUT_S", 0)
    study = optuna.load_study(study_name="study", storage=open_storage(url, write=True))
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    objective = objective_of(toys, store)
    trial = claim_point(study, {})

    class Locks(threading.Event):
        """Another program locks the database when a training asks whether to stop."""

        def is_set(self) -> bool:
            if not connection.in_transaction:
                connection.execute("BEGIN IMMEDIATE")
            return False

    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        with pytest.raises(StorageInternalError, match="commit") as caught:
            run_trial(study, trial, objective, Locks())
        assert "database is locked" in str(caught.value.__cause__)
        connection.rollback()
    assert [t.state for t in study.get_trials()] == [TrialState.RUNNING]
    trial.set_user_attr(attrs.WORKER, dead_worker())  # as the error ends it
    queue.reap(study)
    run_trial(study, claim(study), objective, threading.Event())
    lost, ended = study.get_trials()
    assert (lost.state, ended.state) == (FAIL, COMPLETE)
    assert attrs.FAILURE not in lost.user_attrs
    assert ended.params == lost.params


def test_claims(
    url: str, toys: StudySettings, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker goes on until all is there or it is stopped; what the dead left comes first."""
    monkeypatch.setattr("study.running.worker.REAP_INTERVAL_S", 0.0)
    waiting, stop = wanting(url, toys, 4), threading.Event()
    claim(waiting).set_user_attr(attrs.WORKER, dead_worker())
    for claimed in claims(waiting, stop):
        waiting.tell(claimed.number, 0.5)
        stop.set()
    assert [trial.state for trial in waiting.get_trials()] == [FAIL, COMPLETE]
    last = claim(waiting)
    last.set_user_attr(attrs.WORKER, "elsewhere:1")

    def work_through() -> list[int]:
        study = optuna.load_study(study_name="study", storage=open_storage(url, write=True))
        numbers = []
        for claimed in claims(study, threading.Event()):
            numbers.append(claimed.number)
            study.tell(claimed.number, 0.5)
        return numbers

    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(work_through)
        wait_until(lambda: count(waiting.get_trials()).finished == 3)
        assert not worker.done()
        last.set_user_attr(attrs.WORKER, dead_worker())
        assert worker.result() == [3, 4, 5]
    assert [t.state for t in waiting.get_trials()] == [FAIL, COMPLETE, FAIL, *[COMPLETE] * 3]
    assert [t.user_attrs[attrs.DESIGN_INDEX] for t in waiting.get_trials()] == [0, 0, 1, 2, 3, 1]


def test_trials_that_cannot_be_sampled(url: str, settings: StudySettings, tmp_path: Path) -> None:
    """Each fails alone and for good, in one line; good ones are done, and the budget is kept."""
    short = replace(settings, sampler="tpe", fixed={**settings.fixed, "epoch": 1})
    study = wanting(url, short, 2)
    bad_ones: list[dict[str, Any]] = [
        {"learning_rate": "fast"},
        {"learning_rate": math.nan},
        {"learning_rate": 5.0},
        {"learning_rate": True},
        {"batch_normalization": 1},
        {"epoch": 7},
        {"learningrate": 1e-3},
        {"auto_encoder": "CNN\0"},
        {"weight_decay": None, "x" * 10_000: ["y" * 10_000]},
    ]
    good_one = {"learning_rate": 1e-3, "batch_size": 16.0, "bottleneck_dim": 32}
    for values in (*bad_ones, good_one):
        study.enqueue_trial(values)
    run_worker(job_of(tmp_path, short), threading.Event())
    *bad, good, new = study.get_trials()
    assert [trial.state for trial in bad] == [FAIL] * len(bad_ones)
    reasons = [trial.user_attrs[attrs.FAILURE] for trial in bad]
    assert all("\n" not in reason and len(reason) < 300 for reason in reasons)
    assert reasons[2] == "`learning_rate` must be one of 0.0001, 0.001, 0.01, 0.1, but got 5.0."
    assert reasons[5] == "`epoch` is fixed to 1 in this study, but got 7."
    assert reasons[6].startswith("The notebook space has no parameter 'learningrate'; it has: ")
    assert (good.state, new.state) == (COMPLETE, COMPLETE)
    assert (good.params["learning_rate"], good.params["batch_size"]) == (1e-3, 16)


def test_stop_signals() -> None:
    """Within the block a signal is an event, unless it is ignored or this is a thread."""
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        with stop_signals() as stop:
            assert not stop.is_set()
            os.kill(os.getpid(), number)
            assert stop.wait(60)
        assert signal.getsignal(number) is before

        signal.signal(number, signal.SIG_IGN)
        with stop_signals() as stop:
            os.kill(os.getpid(), number)
        assert (stop.is_set(), signal.getsignal(number)) == (False, signal.SIG_IGN)
        signal.signal(number, before)

    def body() -> bool:
        with stop_signals() as stop:
            return stop.is_set()

    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(body).result()


def test_a_signal_that_reaches_another_thread() -> None:
    """It is heard while the main thread waits for that one, as for a worker's supervisor."""
    main, heard = threading.main_thread().ident, []

    def body(stop: threading.Event) -> None:
        while (
            "lock" not in (name := sys._current_frames()[main].f_code.co_name) and name != "join"
        ):
            pass
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        heard.append(stop.wait(60))

    with stop_signals() as stop:
        thread = threading.Thread(target=body, args=(stop,))
        thread.start()
        thread.join()
    assert heard == [True]


SHOWER = """
import signal, threading
from study.terminal.signals import stop_signals

with stop_signals() as stop:
    main = threading.main_thread().ident

    def send():
        for _ in range(20_000):
            signal.pthread_kill(main, signal.SIGTERM)

    sender = threading.Thread(target=send)
    sender.start()
    while sender.is_alive():
        stop.wait(0)
    print(stop.wait(60))
"""


def test_signals_that_come_at_the_wrong_moment() -> None:
    """Whatever a signal interrupts, waiting for one or the handler of another, nothing hangs."""
    command = [sys.executable, "-c", SHOWER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
