"""The queue of trials: what a claim gives, what failing does, and who is taken for dead."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError

from storage import attrs, operations, queue
from storage.artifacts import study_uid
from storage.queue import DEFAULT_RETRIES, Cause
from storage.served import perform
from tests.servers import next_line, opened, process, served
from tests.study_tests.studies import claim, dead_worker

COMPLETE, FAIL = TrialState.COMPLETE, TrialState.FAIL
RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING

LONG_AGO = "2001-01-01 00:00:00"


def wanted(storage: BaseStorage, name: str | None = None) -> optuna.Study:
    """Create a study that wants a hundred trials and has no design."""
    study = optuna.create_study(storage=storage, study_name=name)
    study.set_user_attr(attrs.TARGET, 100)
    return study


def start_design(study: optuna.Study, *, end: int | None = None, replicate: int = 0) -> None:
    """Let new trials get the points of a design."""
    own = {"study_id": study._study_id, "replicate": replicate, "end": end}
    perform(study._storage, operations.start_design, **own)


@pytest.fixture
def study(shared_storage: BaseStorage) -> optuna.Study:
    """A new study in each place."""
    return wanted(shared_storage)


@pytest.fixture
def alone(url: str) -> Iterator[optuna.Study]:
    """The only study of a file, for tests that change it, or need the same of every place."""
    with opened(url, create=True, write=True) as storage:
        yield wanted(storage, "study")


def execute(url: str, statement: str, *values: object) -> None:
    """Change a database behind Optuna's back, as time would."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(statement, values)
        connection.commit()


def claim_as(study: optuna.Study, worker: str) -> int | str:
    """Claim for another worker than this process; return what the database answers."""
    return perform(study._storage, operations.claim, study_id=study._study_id, worker=worker)


def states(study: optuna.Study) -> list[TrialState]:
    """Return the states of all trials, in their order."""
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def answer(study: optuna.Study, worker: str) -> str:
    """Claim for a worker; say which trial it got, of which point and replicate, or why none."""
    found = queue.claim(study) if worker == "me" else claim_as(study, worker)
    if isinstance(found, str):
        return str(found)
    trial = study._storage.get_trial(found) if isinstance(found, int) else found
    own = trial.user_attrs
    assert own[attrs.WORKER] == (queue.worker_id() if worker == "me" else worker)
    assert (trial.state, trial.datetime_start is None) == (RUNNING, False)
    marks = (("@", attrs.DESIGN_INDEX), ("*", attrs.REPLICATE))
    return f"{trial.number}{''.join(f'{mark}{own[name]}' for mark, name in marks if name in own)}"


def again(causes: str) -> str:
    """Return the steps at which a trial is tried, and fails, again and again."""
    tried = (f"me>{number} {number}:{cause}" for number, cause in enumerate(causes.split()))
    return f"enqueue=1 {' '.join(tried)} me>exhausted"


def walk(study: optuna.Study, steps: str, ends: str) -> None:
    """Go through steps, after which the states of all trials have these first letters.

    ``a>1@0*2``: worker ``a`` gets trial 1, with point 0 of replicate 2. ``1:error``: it fails
    by an error. ``1!error``: it has ended, so it does not.
    """
    for step in steps.split():
        word, sign, rest = re.split("([=>:!])", step)
        number = int(rest) if rest.isdecimal() else None
        if sign == ">":
            assert answer(study, word) == rest, step
        elif word in ("target", "retries"):
            study.set_user_attr({"target": attrs.TARGET}.get(word, attrs.MAX_RETRIES), number)
        elif word == "design":
            start_design(study, end=number)
        elif word == "replicate":
            start_design(study, replicate=int(rest))
        elif word == "enqueue":
            for _ in range(int(rest)):
                study.enqueue_trial({})
        elif rest in ("complete", "pruned", "fail"):
            value = 0.5 if rest == "complete" else None
            study.tell(int(word), value, state=TrialState[rest.upper()])
        else:
            before = study.get_trials()
            trial_id = before[int(word)]._trial_id
            assert queue.fail(study, trial_id, "why", Cause[rest.upper()]) == (sign == ":"), step
            after = study.get_trials()
            assert (after == before) == (sign == "!")
            assert sign == "!" or after[int(word)].user_attrs[attrs.FAILURE] == "why"
            assert after[int(word)].datetime_complete is not None
    assert "".join(state.name[0] for state in states(study)) == ends, steps
    assert not queue.fail(study, 10**6, "no such trial", Cause.ERROR)


def test_claims_and_ends(study: optuna.Study, shared_storage: BaseStorage) -> None:
    """Whoever claims gets what is wanted, waiting trials first, whatever is in other studies."""
    for steps, ends in (
        # What is complete or pruned counts, as what runs does meanwhile; what failed does not.
        ("target=3 design=none me>0@0 0:complete me>1@1 1:pruned me>2@2 2:fail a>3@3", "CPFR"),
        # Behind a design's last point there is nothing, but what runs may come back.
        ("me>exhausted design=2 me>0@0 a>1@1 0:complete me>busy 1:error me>2@1", "CFR"),
        # A design that is started again goes on, to the later end; a replicate from its start.
        ("design=2 a>0@0 b>1@1 design=3 design=1 c>2@2 d>busy replicate=2 d>3@0*2", "RRRR"),
        # Who claims again, as the answer was lost, gets the trial that it has there.
        ("design=none me>0@0 a>1@1 a>1@1 target=0 me>0@0 a>1@1 0:complete me>done", "CR"),
        # What has ended is failed by nobody.
        ("design=none me>0@0 0:complete 0!error me>1@1 1:error 1!error", "CFW"),
        # Waiting trials are given in their order, then new ones.
        ("design=none enqueue=2 a>0 b>1 c>2@0 design=1 d>3@1", "RRRR"),
    ):
        walk(wanted(shared_storage), steps, ends)
    assert states(study) == []


def test_what_is_tried_again(alone: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial is, as often as its cause allows; deaths and stops use up no retries."""
    monkeypatch.setattr(queue, "MAX_DEATHS", 3)
    stopped = "interruption " * 5
    for steps, ends in (
        ("enqueue=1 target=none me>done design=9 me>done target=0 me>done", "W"),
        ("target=1 design=none a>0@0 me>busy 0:configuration me>1@1 1:complete", "FC"),
        (again("configuration"), "F"),
        (again("error " * (1 + DEFAULT_RETRIES)), "F" * (1 + DEFAULT_RETRIES)),
        (f"retries=0 {again('error')}", "F"),
        (f"retries=0 {again('death ' * 4)}", "FFFF"),
        (f"retries=1 {again('death death error death ' + stopped + 'error')}", "F" * 10),
    ):
        walk(wanted(alone._storage), steps, ends)


def test_claimed_trial_is_known(study: optuna.Study, shared_place: str) -> None:
    """Both who claimed and who only reads see a trial at once that the database made."""
    start_design(study)
    with opened(shared_place) as storage:
        reader = optuna.load_study(study_name=study.study_name, storage=storage)
        assert reader.get_trials() == study.get_trials() == []
        claimed = queue.claim(study)
        assert queue.claim(study) == claimed
        assert study.get_trials() == reader.get_trials() == [claimed]
        study.tell(0, 0.5)
        assert reader.get_trials()[0].values == [0.5]


def test_all_or_nothing(alone: optuna.Study, url: str) -> None:
    """A claim that breaks off leaves no trial and loses no point; nor does failing one."""
    refuse = "CREATE TRIGGER refuse BEFORE INSERT ON {} BEGIN SELECT RAISE(ABORT, 'refused'); END"
    start_design(alone)
    execute(url, refuse.format("trial_heartbeats"))
    with pytest.raises(IntegrityError, match="refused"):
        queue.claim(alone)
    assert states(alone) == []
    execute(url, "DROP TRIGGER refuse")
    assert claim(alone).user_attrs[attrs.DESIGN_INDEX] == 0
    before = alone.get_trials()
    execute(url, refuse.format("trials"))
    with pytest.raises(IntegrityError, match="refused"):
        queue.fail(alone, before[0]._trial_id, "disk full", Cause.ERROR)
    assert alone.get_trials() == before


def test_retry_keeps_its_point(study: optuna.Study) -> None:
    """A retry has the point and the parameters, also those that had no turn yet, and no more."""
    own = {attrs.DESIGN_INDEX: 7, attrs.REPLICATE: 2}
    study.enqueue_trial({"x": 0.25, "late": 1}, user_attrs=own | {"other": True})
    trial = claim(study)
    assert trial.user_attrs == own | {"other": True, attrs.WORKER: queue.worker_id()}
    assert trial.suggest_float("x", 0, 1) == 0.25
    kind = trial.suggest_categorical("kind", ["a", "b"])
    trial.set_user_attr(attrs.SEED, 1)
    trial.report(0.5, step=0)
    queue.fail(study, trial._trial_id, "disk full", Cause.ERROR)
    retry = study.get_trials()[1]
    assert (retry.state, retry.datetime_start) == (WAITING, None)
    assert retry.user_attrs == own | {attrs.ERRORS: 1, attrs.RETRY_OF: 0}
    assert (retry.params, retry.intermediate_values) == ({}, {})
    again = claim(study)
    assert again.suggest_categorical("kind", ["a", "b"]) == kind
    assert (again.suggest_float("x", 0, 1), again.suggest_int("late", 0, 9)) == (0.25, 1)


CLAIM_ONE = """
import sys, optuna
from storage import queue
from storage.rdb import open_storage
study = optuna.load_study(study_name="study", storage=open_storage(sys.argv[1], write=True))
optuna.Trial(study, queue.claim(study)._trial_id).suggest_float("x", 0, 1)
print(flush=True)
sys.stdin.readline()
"""
"""A process that holds one running trial until it is told to end, or killed."""


def test_killed_worker(alone: optuna.Study, url: str) -> None:
    """A worker keeps its trial as long as it lives; a copy is for others, even of a zombie."""
    alone.enqueue_trial({"x": 0.25}, user_attrs={attrs.DESIGN_INDEX: 7})
    with process(CLAIM_ONE, url) as worker:
        next_line(worker)
        execute(url, "UPDATE trials SET datetime_start = ?", LONG_AGO)
        assert queue.reap(alone) == 0
        worker.kill()
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # so that it is a zombie
        assert states(alone) == [RUNNING]
        assert queue.reap(alone) == 1
    failed, copy = alone.get_trials()
    assert (failed.state, copy.state, failed.params) == (FAIL, WAITING, {"x": 0.25})
    assert attrs.FAILURE not in failed.user_attrs
    assert copy.system_attrs["fixed_params"] == failed.params
    assert copy.user_attrs == {attrs.DESIGN_INDEX: 7, attrs.DEATHS: 1, attrs.RETRY_OF: 0}
    assert queue.reap(alone) == 0
    assert claim(alone).user_attrs[attrs.WORKER] == queue.worker_id()
    assert queue.reap(alone) == 0


def test_two_places_with_one_host_name() -> None:
    """A worker is called by its host, its place, start and number: two containers stay apart."""
    host = re.escape(socket.gethostname())
    assert re.fullmatch(rf"{host}/[0-9a-f]{{8}}-[0-9a-f]+:{os.getpid()}", queue.worker_id())
    apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("needs the right to make namespaces")
    script = "from storage import queue; print(queue.worker_id())"
    with process(script, by=apart) as one, process(script, by=apart) as two:
        found = [queue.worker_id(), next_line(one), next_line(two)]
    assert set(map(queue.shown_worker, found[1:])) == {f"{socket.gethostname()}:1"}
    assert len({worker.rpartition("-")[0] for worker in found}) == 3


def test_silence(alone: optuna.Study, url: str) -> None:
    """A worker that falls silent is dead, one of this place as soon as its process is gone."""
    host, place = socket.gethostname(), queue.worker_id().rpartition("-")[0]
    earlier, container = f"{host}/ab12:{os.getpid()}", f"{host}/0123abcd-1:{os.getpid()}"
    names = ["elsewhere:1", f"{host}:1", f"{host}:x", "no-port", earlier, container]
    start_design(alone)
    for name in (*names, queue.worker_id(), dead_worker(), f"{place}-0:{os.getpid()}"):
        claim_as(alone, name)
    foreign = alone._storage.create_new_trial(alone._study_id)  # without heartbeats
    assert queue.reap(alone) == 2
    assert queue.reap(alone) == 0
    assert states(alone) == [RUNNING] * 7 + [FAIL] * 2 + [RUNNING] + [WAITING] * 2
    execute(url, "UPDATE trial_heartbeats SET heartbeat = ?", LONG_AGO)
    assert queue.reap(alone) == 7
    execute(url, "UPDATE trials SET datetime_start = ? WHERE trial_id = ?", LONG_AGO, foreign)
    assert queue.reap(alone) == 1
    assert states(alone) == [FAIL] * 10 + [WAITING] * 10
    points = [trial.user_attrs.get(attrs.DESIGN_INDEX) for trial in alone.get_trials()]
    assert points == [*range(9), None, 7, 8, *range(7), None]
    assert claim(alone).user_attrs[attrs.RETRY_OF] == 7
    assert queue.reap(alone) == 0


def test_heartbeats(alone: optuna.Study, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim is the first, the next comes when it is time; the database's clock counts."""
    start_design(alone)
    mine, ended, new = claim(alone), claim_as(alone, "host:1"), claim_as(alone, "host:2")
    alone._storage.create_new_trial(alone._study_id)
    alone._storage.set_trial_state_values(int(ended), COMPLETE, [0.5])
    heartbeat = queue.Heartbeat(mine)
    old = "UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1000 seconds') "
    execute(url, old + "WHERE trial_id != ?", new)
    for interval_s, silent_s in ((queue.HEARTBEAT_INTERVAL_S, 1000), (0, 0)):
        monkeypatch.setattr(queue, "HEARTBEAT_INTERVAL_S", interval_s)
        heartbeat.beat()
        found = queue.silences(alone._storage, alone._study_id)
        assert set(found) == {mine._trial_id, new}
        assert found[mine._trial_id] - found[new] == pytest.approx(silent_s, abs=100)


def test_key_that_was_given_again_behind_a_client(url: str) -> None:
    """What a client holds of a deleted study hides no trial of another one with its key."""
    with served(url) as address, ExitStack() as clients:
        near, other = (clients.enter_context(opened(address, write=True)) for _ in range(2))
        for _ in range(2):
            study = optuna.load_study(study_name=wanted(other, "study").study_name, storage=near)
            start_design(study)
            assert (states(study), study._study_id) == ([], 1)
            assert queue.claim(study).number == 0
            study.tell(0, 1.0)
            assert states(study) == [TrialState.COMPLETE]
            other.delete_study(1)


def test_key_that_was_given_again(alone: optuna.Study) -> None:
    """A worker of a study that was deleted gets no trial of another one with its key."""
    storage, key = alone._storage, alone._study_id
    uid = study_uid(storage, key)
    start_design(alone)
    assert isinstance(queue.claim(alone, uid), FrozenTrial)
    storage.delete_study(key)
    other = wanted(storage, "study")
    assert other._study_id == key
    start_design(other)
    with pytest.raises(KeyError, match="does not exist"):
        queue.claim(alone, uid)
    assert states(other) == []
