"""The queue of trials: what a claim gives, what failing does, and who is taken for dead."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError

from storage import attrs, operations, queue
from storage.artifacts import study_uid
from storage.queue import Cause, Empty
from storage.served import perform
from storage.writing import write_trial
from tests.servers import opened

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING

ELSEWHERE = "elsewhere:1"
"""A worker of another host."""

LONG_AGO = "2001-01-01 00:00:00.000000"
LONG_SILENCE = "UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'"

CLAIM_ONE = """
import sys, optuna
from storage import queue
from storage.rdb import open_storage
study = optuna.load_study(study_name="study", storage=open_storage(sys.argv[1], write=True))
trial = optuna.Trial(study, queue.claim(study)._trial_id)
trial.suggest_float("x", 0, 1)
trial.suggest_categorical("kind", ["a", "b"])
print(trial.number, flush=True)
sys.stdin.readline()
"""
"""A process that holds one running trial until it is told to end, or killed."""


def wanted(storage: BaseStorage, name: str | None = None) -> optuna.Study:
    """Create a study that wants a hundred trials and has no design."""
    study = optuna.create_study(storage=storage, study_name=name)
    study.set_user_attr(attrs.TARGET, 100)
    return study


@pytest.fixture
def study(shared_storage: BaseStorage) -> optuna.Study:
    """A new study in each place."""
    return wanted(shared_storage)


@pytest.fixture
def alone(url: str) -> Iterator[optuna.Study]:
    """The only study of a file, for tests that look into it, or need the same of every place."""
    with opened(url, create=True, write=True) as storage:
        yield wanted(storage, "study")


@contextmanager
def process(script: str, url: str, *prefix: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script, maybe by another program, and kill it at the end if it still runs."""
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", script, url],
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


@pytest.fixture(scope="module")
def dead_worker() -> str:
    """The name of a worker of this place whose process has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return worker_of_this_place(ended.pid)


def worker_of_this_place(pid: int) -> str:
    """Return the name of a worker whose process numbers are those of this process."""
    return f"{queue.worker_id().rpartition('-')[0]}-0:{pid}"


def execute(url: str, statement: str, *values: object) -> list[Any]:
    """Look into a database, or change it behind Optuna's back, as time would."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        rows = connection.execute(statement, values).fetchall()
        connection.commit()
    return rows


def heartbeats(url: str) -> list[tuple[int, str]]:
    """Return trial and time of every heartbeat in the database."""
    return execute(url, "SELECT trial_id, heartbeat FROM trial_heartbeats")


def design(study: optuna.Study, *, end: int | None = None, replicate: int = 0) -> None:
    """Let new trials get the points of a design."""
    own = {"study_id": study._study_id, "replicate": replicate, "end": end}
    perform(study._storage, operations.start_design, **own)


def claim(study: optuna.Study) -> FrozenTrial:
    """Claim a trial, of which there must be one."""
    claimed = queue.claim(study)
    assert isinstance(claimed, FrozenTrial), claimed
    return claimed


def claim_as(study: optuna.Study, worker: str) -> int | str:
    """Claim for another worker than this process; return what the database answers."""
    return perform(study._storage, operations.claim, study_id=study._study_id, worker=worker)


def live(study: optuna.Study) -> optuna.Trial:
    """Claim a trial as one that can be written to."""
    return optuna.Trial(study, claim(study)._trial_id)


def fail(study: optuna.Study, cause: Cause, reason: str | None = "why") -> FrozenTrial:
    """Claim a trial, which then fails; return it as it was."""
    trial = claim(study)
    assert queue.fail(study, trial._trial_id, reason, cause)
    return trial


def states(study: optuna.Study) -> list[TrialState]:
    """Return the states of all trials, in their order."""
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def of_each(study: optuna.Study, name: str) -> list[Any]:
    """Return an attribute of every trial."""
    return [trial.user_attrs.get(name) for trial in study.get_trials(deepcopy=False)]


def test_new_trial(alone: optuna.Study, url: str) -> None:
    """A new trial is running, has the design's next point, its worker, and a first heartbeat."""
    design(alone)
    claimed = claim(alone)
    assert (claimed.number, claimed.state) == (0, RUNNING)
    assert claimed.datetime_start is not None
    assert claimed.user_attrs == {attrs.DESIGN_INDEX: 0, attrs.WORKER: queue.worker_id()}
    host = re.escape(socket.gethostname())
    assert re.fullmatch(rf"{host}/[0-9a-f]{{8}}-[0-9a-f]+:{os.getpid()}", queue.worker_id())
    assert (claimed.params, claimed.system_attrs) == ({}, {})
    assert [trial_id for trial_id, _ in heartbeats(url)] == [claimed._trial_id]
    alone.tell(claimed.number, 0.5)
    assert claim(alone).user_attrs[attrs.DESIGN_INDEX] == 1
    assert states(alone) == [COMPLETE, RUNNING]


def test_designs(study: optuna.Study) -> None:
    """A design that is started again goes on, to another end; a replicate from its first point."""
    design(study, end=2)
    for worker in ("a:1", "b:1"):
        assert isinstance(claim_as(study, worker), int)
    design(study, end=3)
    claim_as(study, "c:1")
    assert of_each(study, attrs.DESIGN_INDEX) == [0, 1, 2]
    assert claim_as(study, "d:1") == Empty.BUSY.value
    design(study, replicate=2)
    for worker in ("d:1", "e:1"):
        claim_as(study, worker)
    assert of_each(study, attrs.DESIGN_INDEX) == [0, 1, 2, 0, 1]
    assert of_each(study, attrs.REPLICATE) == [None] * 3 + [2, 2]


def test_nothing_is_wanted(study: optuna.Study) -> None:
    """Without a target, or with one that is reached, neither new nor waiting trials are given."""
    study.enqueue_trial({})
    for _ in range(2):
        for target in (None, 0):
            study.set_user_attr(attrs.TARGET, target)
            assert queue.claim(study) is Empty.DONE
        design(study)
    assert states(study) == [WAITING]


def test_target_is_kept_exactly(study: optuna.Study) -> None:
    """Complete and pruned trials count, as running ones do meanwhile; what failed does not."""
    design(study)
    study.set_user_attr(attrs.TARGET, 3)
    study.tell(claim(study).number, 0.5)
    study.tell(claim(study).number, state=PRUNED)
    study.tell(claim(study).number, state=FAIL)
    others = claim_as(study, ELSEWHERE)
    assert queue.claim(study) is Empty.BUSY
    queue.fail(study, int(others), "broken", Cause.CONFIGURATION)
    study.tell(claim(study).number, 0.5)
    assert queue.claim(study) is Empty.DONE
    assert states(study) == [COMPLETE, PRUNED, FAIL, FAIL, COMPLETE]


def test_design_ends(study: optuna.Study) -> None:
    """Behind the last point there is nothing, but while others run, their trials may come back."""
    assert queue.claim(study) is Empty.EXHAUSTED
    design(study, end=2)
    mine = claim(study)
    others = claim_as(study, ELSEWHERE)
    study.tell(mine.number, 0.5)
    assert queue.claim(study) is Empty.BUSY
    queue.fail(study, int(others), "disk full", Cause.ERROR)
    assert claim(study).user_attrs[attrs.DESIGN_INDEX] == 1
    study.tell(2, 0.5)
    assert queue.claim(study) is Empty.EXHAUSTED
    assert states(study) == [COMPLETE, FAIL, COMPLETE]


def test_waiting_trials_come_first(study: optuna.Study) -> None:
    """Waiting trials are claimed in their order, with what they hold; then new ones."""
    design(study)
    for index in range(3):
        study.enqueue_trial({"x": index / 10}, user_attrs={"mark": index})
    for index in range(3):
        trial = live(study)
        assert trial.number == index
        assert trial.user_attrs == {"mark": index, attrs.WORKER: queue.worker_id()}
        assert trial.suggest_float("x", 0, 1) == index / 10
        assert trial.datetime_start is not None
        study.tell(trial, 0.5)
    assert claim(study).user_attrs[attrs.DESIGN_INDEX] == 0


def test_lost_answer(study: optuna.Study) -> None:
    """Whoever claims again gets the trial that it has there; another worker gets another one."""
    design(study)
    mine = claim(study)
    assert claim(study) == mine
    assert claim_as(study, ELSEWHERE) != mine._trial_id
    assert claim_as(study, ELSEWHERE) == claim_as(study, ELSEWHERE)
    study.set_user_attr(attrs.TARGET, 0)
    assert claim(study) == mine
    assert states(study) == [RUNNING, RUNNING]
    assert queue.claim(optuna.create_study(storage=study._storage)) is Empty.DONE
    study.tell(mine.number, 0.5)
    assert queue.claim(study) is Empty.DONE


def test_claimed_trial_is_known(study: optuna.Study, shared_place: str) -> None:
    """Both who claimed and who only reads see a trial at once that the database made."""
    design(study)
    with opened(shared_place) as storage:
        reader = optuna.load_study(study_name=study.study_name, storage=storage)
        assert reader.get_trials() == study.get_trials() == []
        claimed = claim(study)
        assert study.get_trials() == reader.get_trials() == [claimed]
        study.tell(claimed.number, 0.5)
        assert reader.get_trials()[0].values == [0.5]


def test_all_or_nothing(alone: optuna.Study, url: str) -> None:
    """A claim that breaks off leaves no trial and loses no point; nor does failing one."""
    refuse = "CREATE TRIGGER refuse BEFORE INSERT ON {} BEGIN SELECT RAISE(ABORT, 'refused'); END"
    design(alone)
    execute(url, refuse.format("trial_heartbeats"))
    with pytest.raises(IntegrityError, match="refused"):
        queue.claim(alone)
    assert states(alone) == []
    execute(url, "DROP TRIGGER refuse")
    mine = claim(alone)
    assert mine.user_attrs[attrs.DESIGN_INDEX] == 0
    execute(url, refuse.format("trials"))
    with pytest.raises(IntegrityError, match="refused"):
        queue.fail(alone, mine._trial_id, "disk full", Cause.ERROR)
    assert alone.get_trials() == [mine]


@pytest.mark.parametrize(
    ("cause", "counter", "max_retries", "n_attempts"),
    [
        (Cause.CONFIGURATION, attrs.ERRORS, None, 1),
        (Cause.ERROR, attrs.ERRORS, None, 1 + queue.DEFAULT_RETRIES),
        (Cause.ERROR, attrs.ERRORS, 0, 1),
        (Cause.ERROR, attrs.ERRORS, 4, 5),
        (Cause.DEATH, attrs.DEATHS, 0, 1 + queue.MAX_DEATHS),
    ],
)
def test_retries_end(
    study: optuna.Study, cause: Cause, counter: str, max_retries: int | None, n_attempts: int
) -> None:
    """A trial is tried again as often as its cause allows, or the study after errors."""
    if max_retries is not None:
        study.set_user_attr(attrs.MAX_RETRIES, max_retries)
    study.enqueue_trial({"x": 0.5})
    for attempt in range(n_attempts):
        assert fail(study, cause).user_attrs.get(counter, 0) == attempt
    assert queue.claim(study) is Empty.EXHAUSTED
    assert states(study) == [FAIL] * n_attempts
    assert of_each(study, attrs.FAILURE) == ["why"] * n_attempts


def test_causes_are_counted_apart(study: optuna.Study) -> None:
    """Deaths use up no retries of errors, and being told to stop neither of them."""
    study.enqueue_trial({})
    for _ in range(queue.MAX_DEATHS - 1):
        fail(study, Cause.DEATH, None)
    for _ in range(queue.DEFAULT_RETRIES):
        fail(study, Cause.ERROR)
    fail(study, Cause.DEATH, None)
    for _ in range(queue.MAX_DEATHS + 2):
        trial = fail(study, Cause.INTERRUPTION)
        assert trial.user_attrs[attrs.DEATHS] == queue.MAX_DEATHS
        assert trial.user_attrs[attrs.ERRORS] == queue.DEFAULT_RETRIES
    fail(study, Cause.ERROR)
    assert queue.claim(study) is Empty.EXHAUSTED


def test_number_of_a_process_comes_again(study: optuna.Study) -> None:
    """A trial of an earlier process with this one's number is dead, and not this one's own."""
    study.enqueue_trial({"x": 0.25})
    live(study).set_user_attr(attrs.WORKER, worker_of_this_place(os.getpid()))
    assert queue.reap(study) == 1
    again = claim(study)
    assert again.number == 1
    assert again.system_attrs["fixed_params"] == {"x": 0.25}


def test_ended_trials_stay(study: optuna.Study) -> None:
    """Whoever fails a trial that somebody else has ended learns that, and changes nothing."""
    design(study)
    mine = claim(study)
    study.tell(mine.number, 0.5)
    before = study.get_trials()
    assert not queue.fail(study, mine._trial_id, "late", Cause.ERROR)
    assert study.get_trials() == before
    again = fail(study, Cause.ERROR, "first")
    assert not queue.fail(study, again._trial_id, "second", Cause.ERROR)
    assert not queue.fail(study, 10**6, "no such trial", Cause.ERROR)
    assert states(study) == [COMPLETE, FAIL, WAITING]
    assert of_each(study, attrs.FAILURE)[1] == "first"
    assert study.get_trials()[1].datetime_complete is not None


def test_retry_keeps_its_point(study: optuna.Study) -> None:
    """A retry has the point and the parameters, also those that had no turn yet, and no more."""
    own = {attrs.DESIGN_INDEX: 7, attrs.REPLICATE: 2}
    study.enqueue_trial({"x": 0.25, "late": 1}, user_attrs=own | {"other": True})
    trial = live(study)
    trial.suggest_float("x", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    trial.set_user_attr(attrs.SEED, 1)
    trial.report(0.5, step=0)
    queue.fail(study, trial._trial_id, "disk full", Cause.ERROR)
    retry = study.get_trials()[1]
    assert (retry.number, retry.state, retry.datetime_start) == (1, WAITING, None)
    assert retry.user_attrs == own | {attrs.ERRORS: 1, attrs.RETRY_OF: 0}
    assert (retry.params, retry.intermediate_values) == ({}, {})
    again = live(study)
    assert again.suggest_categorical("kind", ["a", "b"]) == kind
    assert (again.suggest_float("x", 0, 1), again.suggest_int("late", 0, 9)) == (0.25, 1)
    queue.fail(study, again._trial_id, None, Cause.ERROR)
    assert study.get_trials()[2].user_attrs[attrs.RETRY_OF] == 1


def test_killed_worker(alone: optuna.Study, url: str) -> None:
    """A worker keeps its trial as long as it lives; a copy is for others, even of a zombie."""
    alone.enqueue_trial({"x": 0.25}, user_attrs={attrs.DESIGN_INDEX: 7})
    with process(CLAIM_ONE, url) as worker:
        assert first_line(worker) == "0"
        execute(url, "UPDATE trials SET datetime_start = ?", LONG_AGO)
        assert queue.reap(alone) == 0
        (dead,) = alone.get_trials()
        worker.kill()
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # so that it is a zombie
        assert dead.state == RUNNING
        assert queue.reap(alone) == 1
    failed, copy = alone.get_trials()
    assert (failed.number, failed.state, copy.state) == (0, FAIL, WAITING)
    assert attrs.FAILURE not in failed.user_attrs
    assert copy.system_attrs["fixed_params"] == dead.params
    assert dead.params["x"] == 0.25
    assert copy.user_attrs == {attrs.DESIGN_INDEX: 7, attrs.DEATHS: 1, attrs.RETRY_OF: 0}
    assert queue.reap(alone) == 0
    claimed = claim(alone)
    with opened(url, write=True) as storage:
        assert queue.reap(optuna.load_study(study_name="study", storage=storage)) == 0
    assert claimed.user_attrs[attrs.WORKER] == queue.worker_id()
    assert states(alone) == [FAIL, RUNNING]


def test_silence(alone: optuna.Study, url: str) -> None:
    """A worker that hangs, or whose process cannot be looked for, is dead when it falls silent."""
    host = socket.gethostname()
    earlier, container = f"{host}/ab12:{os.getpid()}", f"{host}/0123abcd-1:{os.getpid()}"
    names = [ELSEWHERE, f"{host}:1", f"{host}:x", "no-port", earlier, container, queue.worker_id()]
    design(alone)
    for name in names:
        claim_as(alone, name)
    foreign = alone._storage.create_new_trial(alone._study_id)  # without heartbeats
    assert queue.reap(alone) == 0
    assert states(alone) == [RUNNING] * 8
    execute(url, LONG_SILENCE)
    assert queue.reap(alone) == 7
    execute(url, "UPDATE trials SET datetime_start = ? WHERE trial_id = ?", LONG_AGO, foreign)
    with opened(url, write=True) as storage:
        assert queue.reap(optuna.load_study(study_name="study", storage=storage)) == 1
    assert states(alone) == [FAIL] * 8 + [WAITING] * 8
    assert of_each(alone, attrs.DESIGN_INDEX) == [*range(7), None] * 2
    copy = claim(alone)
    assert copy.user_attrs[attrs.RETRY_OF] == 0
    assert copy._trial_id in dict(heartbeats(url))
    assert queue.reap(alone) == 0


IN_A_CONTAINER = """
import os, subprocess, sys, optuna
from storage import queue
from storage.rdb import open_storage
study = optuna.load_study(study_name="study", storage=open_storage(sys.argv[1], write=True))
first = queue.claim(study)
child = subprocess.Popen(
    [sys.executable, "-c", CLAIM_ONE, sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
child.stdout.readline()
child.kill()
child.wait()
print(os.getpid(), queue.reap(study), flush=True)
sys.stdin.readline()
""".replace("CLAIM_ONE", repr(CLAIM_ONE))
"""A process that holds a trial, lets another die at one, and says how many it takes for dead."""


def test_two_places_with_one_host_name(alone: optuna.Study, url: str) -> None:
    """Workers with equal process numbers leave each other alone, and take over from their own."""
    apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("needs the right to make namespaces")
    design(alone)
    with process(IN_A_CONTAINER, url, *apart) as one, process(IN_A_CONTAINER, url, *apart) as two:
        assert first_line(one) == first_line(two) == "1 1"
        assert queue.reap(alone) == 0
    held = {t.user_attrs[attrs.WORKER] for t in alone.get_trials(states=(RUNNING,))}
    assert len(held) == 2
    assert set(map(queue.shown_worker, held)) == {f"{socket.gethostname()}:1"}
    assert states(alone).count(FAIL) == 2


def test_reap_counts(study: optuna.Study, dead_worker: str) -> None:
    """Only running trials are looked at, and of those only the dead are counted."""
    design(study)
    for _ in range(3):
        trial = live(study)
        trial.set_user_attr(attrs.WORKER, dead_worker)
        if trial.number == 0:
            study.tell(trial, 0.5)
    claim(study)
    assert queue.reap(study) == 2
    assert states(study) == [COMPLETE, FAIL, FAIL, RUNNING, WAITING, WAITING]
    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        write_trial(trial, user_attrs={"name": "value"})


def test_silences(alone: optuna.Study, url: str) -> None:
    """Seconds since the last heartbeat are counted for running trials, by the database's clock."""
    design(alone)
    old, new, ended = (int(claim_as(alone, f"host:{i}")) for i in range(3))
    alone._storage.create_new_trial(alone._study_id)
    execute(
        url,
        "UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1000 seconds') "
        "WHERE trial_id IN (?, ?)",
        *(old, ended),
    )
    alone.tell(2, 0.5)
    silent_s = queue.silences(alone._storage, alone._study_id)
    assert set(silent_s) == {old, new}
    assert silent_s[old] - silent_s[new] == pytest.approx(1000, abs=900)
    assert silent_s[new] >= 0


def test_heartbeats(alone: optuna.Study, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim was the first one; the next is recorded when it is time, and not before."""
    design(alone)
    trial = live(alone)
    heartbeat = queue.Heartbeat(trial)
    execute(url, LONG_SILENCE)
    heartbeat.beat()
    long_ago = [(trial._trial_id, "2001-01-01 00:00:00")]
    assert heartbeats(url) == long_ago
    monkeypatch.setattr(queue, "HEARTBEAT_INTERVAL_S", 0)
    heartbeat.beat()
    assert [trial_id for trial_id, _ in heartbeats(url)] == [trial._trial_id]
    assert heartbeats(url) > long_ago


def test_key_that_was_given_again(alone: optuna.Study) -> None:
    """A worker of a study that was deleted gets no trial of another one with its key."""
    storage, name = alone._storage, alone.study_name
    uid = study_uid(storage, alone._study_id)
    design(alone)
    assert isinstance(queue.claim(alone, uid), FrozenTrial)
    optuna.delete_study(study_name=name, storage=storage)
    again = optuna.create_study(study_name=name, storage=storage)
    assert again._study_id == alone._study_id
    design(again)
    with pytest.raises(KeyError, match="does not exist"):
        queue.claim(alone, uid)
    assert again.get_trials() == []
