"""The queue of trials, shared by real processes, some of which die."""

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from storage import attrs, queue
from storage.rdb import open_storage
from storage.retry import MAX_RETRIES, requeue

N_PROCESSES = 4
N_TRIALS = 200

CLAIM_ALL = """
import sys, optuna
from storage import queue
from storage.rdb import open_storage
study = optuna.load_study(study_name="study", storage=open_storage(sys.argv[1], write=True))
print("ready", flush=True)
sys.stdin.readline()
while (trial := queue.claim(study)) is not None:
    print(trial.number)
"""
"""A process that claims trials as long as there are any, from the moment it is told to."""

CLAIM_ONE = """
import sys, optuna
from storage import queue
from storage.rdb import open_storage
study = optuna.load_study(study_name="study", storage=open_storage(sys.argv[1], write=True))
trial = queue.start(study, queue.claim(study))
trial.suggest_float("x", 0, 1)
trial.suggest_categorical("kind", ["a", "b"])
print(trial.number, flush=True)
sys.stdin.readline()
"""
"""A process that holds one running trial until it is told to end, or killed."""


@pytest.fixture
def study(url: str) -> optuna.Study:
    """A new study, opened for writing."""
    storage = open_storage(url, create=True, write=True)
    return optuna.create_study(storage=storage, study_name="study")


@contextmanager
def process(script: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script, and kill it at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-c", script, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def first_line(running: subprocess.Popen[str]) -> str:
    """Wait for the first line of a process's output."""
    assert running.stdout is not None
    return running.stdout.readline().strip()


def dead_worker() -> str:
    """Return the name of a worker of this host whose process has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return f"{socket.gethostname()}:{ended.pid}"


def execute(url: str, statement: str, *values: object) -> None:
    """Change a database behind Optuna's back, as time would."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(statement, values)
        connection.commit()


def states(study: optuna.Study) -> list[TrialState]:
    """Return the states of all trials, in their order."""
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def test_each_trial_is_claimed_once(study: optuna.Study, url: str) -> None:
    """Four processes that claim at the same time share the trials without a double."""
    for _ in range(N_TRIALS):
        queue.enqueue(study, {}, {})
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM_ALL, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(N_PROCESSES)
    ]
    assert [first_line(one) for one in running] == ["ready"] * N_PROCESSES
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    claimed = [[int(number) for number in one.communicate()[0].split()] for one in running]
    assert [one.returncode for one in running] == [0] * N_PROCESSES
    assert sum(bool(numbers) for numbers in claimed) > 1
    assert sorted(chain.from_iterable(claimed)) == list(range(N_TRIALS))
    assert states(study) == [TrialState.RUNNING] * N_TRIALS


def test_empty_queue(study: optuna.Study) -> None:
    """A claim never creates a trial."""
    assert queue.claim(study) is None
    queue.enqueue(study, {}, {})
    assert queue.claim(study) is not None
    assert queue.claim(study) is None
    assert states(study) == [TrialState.RUNNING]


def test_first_come_first_served(study: optuna.Study) -> None:
    """Trials are claimed in the order in which they were queued, with what was stored."""
    for index in range(3):
        queue.enqueue(study, {"x": index / 10}, {attrs.DESIGN_INDEX: index})
    for index in range(3):
        claimed = queue.claim(study)
        assert claimed is not None
        assert claimed.number == index
        assert claimed.user_attrs == {attrs.DESIGN_INDEX: index}
        assert queue.start(study, claimed).suggest_float("x", 0, 1) == index / 10


def test_worker_is_stored(study: optuna.Study) -> None:
    """A started trial says which process runs it."""
    queue.enqueue(study, {}, {})
    claimed = queue.claim(study)
    assert claimed is not None
    queue.start(study, claimed)
    assert queue.worker_id() == f"{socket.gethostname()}:{os.getpid()}"
    assert study.get_trials()[0].user_attrs[attrs.WORKER] == queue.worker_id()


def killed(study: optuna.Study, url: str) -> FrozenTrial:
    """Return a running trial whose worker process was killed."""
    queue.enqueue(study, {"x": 0.25}, {attrs.DESIGN_INDEX: 7, attrs.REPLICATE: 2})
    with process(CLAIM_ONE, url) as worker:
        assert first_line(worker) == "0"
        worker.kill()
    return study.get_trials()[0]


def test_trial_of_a_killed_worker_is_queued_again(study: optuna.Study, url: str) -> None:
    """It fails, and a waiting copy has the parameters and what the design needs."""
    dead = killed(study, url)
    assert dead.state == TrialState.RUNNING
    assert queue.reap(study) == 1
    failed, copy = study.get_trials()
    assert (failed.number, failed.state) == (0, TrialState.FAIL)
    assert (copy.number, copy.state) == (1, TrialState.WAITING)
    assert copy.system_attrs["fixed_params"] == dead.params
    assert dead.params["x"] == 0.25
    assert copy.user_attrs[attrs.DESIGN_INDEX] == 7
    assert copy.user_attrs[attrs.REPLICATE] == 2
    assert queue.reap(study) == 0
    claimed = queue.claim(study)
    assert claimed is not None
    again = queue.start(study, claimed)
    assert again.suggest_float("x", 0, 1) == 0.25
    assert again.suggest_categorical("kind", ["a", "b"]) == dead.params["kind"]


EXPERIMENT = {attrs.PAIR: 3, attrs.ARM: "sequential", attrs.SIDES: "ttvx", attrs.DESIGN_INDEX: 14}


def test_place_in_an_experiment_is_kept(study: optuna.Study) -> None:
    """Whether its worker died or was interrupted, a trial stays in its pair, arm and split."""
    queue.enqueue(study, {"x": 0.25}, EXPERIMENT)
    claimed = queue.claim(study)
    assert claimed is not None
    trial = queue.start(study, claimed)
    trial.set_user_attr(attrs.SEED, 1)
    trial.set_user_attr(attrs.INFEASIBLE, True)
    trial.set_user_attr(attrs.WORKER, dead_worker())
    assert queue.reap(study) == 1
    failed, copy = study.get_trials()
    assert copy.user_attrs == {**EXPERIMENT, attrs.ATTEMPT: 1, attrs.RETRY_OF: 0}
    requeue(study, failed)
    assert study.get_trials()[2].user_attrs == {**EXPERIMENT, attrs.RETRY_OF: 0}
    assert study.get_trials()[2].system_attrs["fixed_params"] == {"x": 0.25}


def test_copy_of_a_killed_trial_is_no_longer_the_dead_workers(
    study: optuna.Study, url: str
) -> None:
    """Another worker that reaps right after the copy was claimed leaves it to its new worker."""
    killed(study, url)
    queue.reap(study)
    claimed = queue.claim(study)
    assert claimed is not None
    queue.reap(optuna.load_study(study_name="study", storage=open_storage(url, write=True)))
    queue.start(study, claimed)
    assert states(study) == [TrialState.FAIL, TrialState.RUNNING]


def test_trial_of_a_living_worker_is_left_alone(study: optuna.Study, url: str) -> None:
    """A process that exists keeps its trial, however long it says nothing."""
    queue.enqueue(study, {}, {})
    with process(CLAIM_ONE, url) as worker:
        assert first_line(worker) == "0"
        execute(url, "UPDATE trials SET datetime_start = '2001-01-01 00:00:00.000000'")
        assert queue.reap(study) == 0
        assert states(study) == [TrialState.RUNNING]
        worker.communicate("\n")
    assert queue.reap(study) == 1  # it has ended since


def test_claim_without_worker(study: optuna.Study, url: str) -> None:
    """A claim that was never started is left alone for the grace period, and no longer."""
    queue.enqueue(study, {"x": 0.5}, {})
    assert queue.claim(study) is not None
    assert queue.reap(study) == 0
    assert states(study) == [TrialState.RUNNING]
    execute(url, "UPDATE trials SET datetime_start = '2001-01-01 00:00:00.000000'")
    study = optuna.load_study(study_name="study", storage=open_storage(url, write=True))
    assert queue.reap(study) == 1
    assert states(study) == [TrialState.FAIL, TrialState.WAITING]


@pytest.mark.parametrize(
    "worker",
    ["elsewhere:1", f"{socket.gethostname()}:1", f"{socket.gethostname()}:x", "no-port"],
)
def test_other_hosts_are_judged_by_heartbeats(study: optuna.Study, url: str, worker: str) -> None:
    """A worker whose process cannot be looked for is dead when its heartbeats stop."""
    queue.enqueue(study, {"x": 0.5}, {attrs.DESIGN_INDEX: 3})
    claimed = queue.claim(study)
    assert claimed is not None
    trial = queue.start(study, claimed)
    trial.set_user_attr(attrs.WORKER, worker)
    queue.Heartbeat(trial).beat()
    assert queue.reap(study) == 0
    assert states(study) == [TrialState.RUNNING]
    execute(url, "UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'")
    assert queue.reap(study) == 1
    assert states(study) == [TrialState.FAIL, TrialState.WAITING]
    assert study.get_trials()[1].user_attrs[attrs.DESIGN_INDEX] == 3


def test_retries_end(study: optuna.Study) -> None:
    """A trial that kills every worker is not tried for ever."""
    queue.enqueue(study, {"x": 0.5}, {})
    while (claimed := queue.claim(study)) is not None:
        queue.start(study, claimed).set_user_attr(attrs.WORKER, dead_worker())
        assert queue.reap(study) == 1
    assert states(study) == [TrialState.FAIL] * (1 + MAX_RETRIES)


def test_finished_trials_are_not_reaped(study: optuna.Study) -> None:
    """Only running trials are looked at."""
    queue.enqueue(study, {}, {})
    claimed = queue.claim(study)
    assert claimed is not None
    trial = queue.start(study, claimed)
    trial.set_user_attr(attrs.WORKER, dead_worker())
    study.tell(trial, 0.5)
    assert queue.reap(study) == 0
    assert states(study) == [TrialState.COMPLETE]


def heartbeats(url: str) -> list[tuple[int, str]]:
    """Return trial and time of every heartbeat in the database."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute("SELECT trial_id, heartbeat FROM trial_heartbeats").fetchall()


def test_heartbeats(study: optuna.Study, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first beat is recorded with the start, the next one not before its time."""
    queue.enqueue(study, {}, {})
    claimed = queue.claim(study)
    assert claimed is not None
    heartbeat = queue.Heartbeat(queue.start(study, claimed))
    assert [trial_id for trial_id, _ in heartbeats(url)] == [claimed._trial_id]
    heartbeat.beat()
    execute(url, "UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'")
    heartbeat.beat()
    assert heartbeats(url) == [(claimed._trial_id, "2001-01-01 00:00:00")]
    monkeypatch.setattr(queue, "HEARTBEAT_INTERVAL_S", 0)
    heartbeat.beat()
    assert heartbeats(url)[0][1] > "2001-01-01 00:00:00"


def test_reaped_trial_cannot_be_finished(study: optuna.Study) -> None:
    """Whoever was wrongly judged dead learns of it at the next report."""
    queue.enqueue(study, {}, {})
    claimed = queue.claim(study)
    assert claimed is not None
    trial = queue.start(study, claimed)
    trial.set_user_attr(attrs.WORKER, dead_worker())
    assert queue.reap(study) == 1
    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        trial.set_user_attr("name", "value")


def test_in_memory_studies_have_a_queue_too() -> None:
    """Claiming needs no database, heartbeats are left out where there are none."""
    study = optuna.create_study()
    queue.enqueue(study, {"x": 0.5}, {})
    claimed: FrozenTrial | None = queue.claim(study)
    assert claimed is not None
    trial = queue.start(study, claimed)
    queue.Heartbeat(trial).beat()
    assert queue.claim(study) is None
    assert states(study) == [TrialState.RUNNING]
