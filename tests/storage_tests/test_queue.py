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
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError

from storage import attrs, operations, queue
from storage.artifacts import study_uid
from storage.errors import StorageAccessError
from storage.queue import Cause, Empty
from storage.rdb import open_storage
from storage.served import perform
from storage.writing import write_trial
from tests.servers import opened

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING

ELSEWHERE = "elsewhere:1"
"""A worker of another host."""

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


on_a_file = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""Marks tests that look into the file, or need the same of every place."""


@pytest.fixture
def study(place: str) -> Iterator[optuna.Study]:
    """A new study, opened for writing, that wants a hundred trials and has no design."""
    with opened(place, create=True, write=True) as storage:
        study = optuna.create_study(storage=storage, study_name="study")
        study.set_user_attr(attrs.TARGET, 100)
        yield study


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


def dead_worker() -> str:
    """Return the name of a worker of this place whose process has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return worker_of_this_place(ended.pid)


def worker_of_this_place(pid: int, *, start: str = "0") -> str:
    """Return the name of a worker whose process numbers are those of this process."""
    return f"{queue.worker_id().rpartition('-')[0]}-{start}:{pid}"


def execute(url: str, statement: str, *values: object) -> None:
    """Change a database behind Optuna's back, as time would."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(statement, values)
        connection.commit()


def heartbeats(url: str) -> list[tuple[int, str]]:
    """Return trial and time of every heartbeat in the database."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute("SELECT trial_id, heartbeat FROM trial_heartbeats").fetchall()


def design(study: optuna.Study, *, end: int | None = None, **own: int) -> None:
    """Let new trials get the points of a design."""
    perform(
        study._storage,
        operations.start_design,
        study_id=study._study_id,
        replicate=own.get("replicate", 0),
        end=end,
    )


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


def states(study: optuna.Study) -> list[TrialState]:
    """Return the states of all trials, in their order."""
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def of_each(study: optuna.Study, name: str) -> list[Any]:
    """Return an attribute of every trial."""
    return [trial.user_attrs.get(name) for trial in study.get_trials(deepcopy=False)]


@on_a_file
def test_new_trial(study: optuna.Study, url: str) -> None:
    """A new trial is running, has the design's next point, its worker, and a first heartbeat."""
    design(study)
    claimed = claim(study)
    assert (claimed.number, claimed.state) == (0, RUNNING)
    assert claimed.datetime_start is not None
    assert claimed.user_attrs == {attrs.DESIGN_INDEX: 0, attrs.WORKER: queue.worker_id()}
    assert re.fullmatch(
        rf"{re.escape(socket.gethostname())}/[0-9a-f]{{8}}-[0-9a-f]+:{os.getpid()}",
        queue.worker_id(),
    )
    assert (claimed.params, claimed.system_attrs) == ({}, {})
    assert [trial_id for trial_id, _ in heartbeats(url)] == [claimed._trial_id]
    study.tell(claimed.number, 0.5)
    assert claim(study).user_attrs[attrs.DESIGN_INDEX] == 1
    assert states(study) == [COMPLETE, RUNNING]


def test_replicate(study: optuna.Study) -> None:
    """Trials of a replicate say of which; it starts at the first point, whatever ran before."""
    design(study)
    study.tell(claim(study).number, 0.5)
    design(study, replicate=2)
    study.tell(claim(study).number, 0.5)
    claim(study)
    assert of_each(study, attrs.DESIGN_INDEX) == [0, 0, 1]
    assert of_each(study, attrs.REPLICATE) == [None, 2, 2]


def test_started_design_goes_on(study: optuna.Study) -> None:
    """Starting a design where workers are at it already takes back no point; its end may move."""
    design(study, end=2)
    for worker in ("a:1", "b:1"):
        assert isinstance(claim_as(study, worker), int)
    design(study, end=3)
    claim_as(study, "c:1")
    assert of_each(study, attrs.DESIGN_INDEX) == [0, 1, 2]
    assert claim_as(study, "d:1") == Empty.BUSY.value


@pytest.mark.parametrize("design_too", [False, True])
def test_nothing_is_wanted(study: optuna.Study, design_too: bool) -> None:
    """Without a target, or with one that is reached, neither new nor waiting trials are given."""
    if design_too:
        design(study)
    study.enqueue_trial({})
    for target in (None, 0):
        study.set_user_attr(attrs.TARGET, target)
        assert queue.claim(study) is Empty.DONE
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


def test_without_a_design(study: optuna.Study) -> None:
    """A study whose design was never started has only what is enqueued."""
    assert queue.claim(study) is Empty.EXHAUSTED
    study.enqueue_trial({})
    study.tell(claim(study).number, 0.5)
    assert queue.claim(study) is Empty.EXHAUSTED
    assert states(study) == [COMPLETE]


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
    """Whoever claims again gets the trial that it has; another worker gets another one."""
    design(study)
    mine = claim(study)
    assert claim(study) == mine
    assert claim_as(study, ELSEWHERE) != mine._trial_id
    assert claim_as(study, ELSEWHERE) == claim_as(study, ELSEWHERE)
    study.set_user_attr(attrs.TARGET, 0)
    assert claim(study) == mine
    assert states(study) == [RUNNING, RUNNING]
    study.tell(mine.number, 0.5)
    assert queue.claim(study) is Empty.DONE


def test_lost_answer_of_another_study(study: optuna.Study) -> None:
    """What a worker runs in one study is no answer in another."""
    design(study)
    claim(study)
    other = optuna.create_study(storage=study._storage, study_name="other")
    assert queue.claim(other) is Empty.DONE


def test_claimed_trial_is_known(study: optuna.Study, place: str) -> None:
    """Both who claimed and who only reads see a trial at once that the database made."""
    design(study)
    with opened(place) as storage:
        reader = optuna.load_study(study_name="study", storage=storage)
        assert reader.get_trials() == study.get_trials() == []
        claimed = claim(study)
        assert study.get_trials() == reader.get_trials() == [claimed]
        study.tell(claimed.number, 0.5)
        assert reader.get_trials()[0].values == [0.5]


REFUSE = "CREATE TRIGGER refuse BEFORE INSERT ON {} BEGIN SELECT RAISE(ABORT, 'refused'); END"
"""Makes the last step of a transaction fail."""


@on_a_file
def test_claim_as_a_whole(study: optuna.Study, url: str) -> None:
    """A claim that breaks off leaves no trial, and loses no point of the design."""
    design(study)
    execute(url, REFUSE.format("trial_heartbeats"))
    with pytest.raises(IntegrityError, match="refused"):
        queue.claim(study)
    assert states(study) == []
    execute(url, "DROP TRIGGER refuse")
    assert claim(study).user_attrs[attrs.DESIGN_INDEX] == 0


@on_a_file
def test_fail_as_a_whole(study: optuna.Study, url: str) -> None:
    """A trial that cannot be queued again is not failed either, so that nothing is lost."""
    design(study)
    mine = claim(study)
    execute(url, REFUSE.format("trials"))
    with pytest.raises(IntegrityError, match="refused"):
        queue.fail(study, mine._trial_id, "disk full", Cause.ERROR)
    assert study.get_trials() == [mine]


@pytest.mark.parametrize(
    ("cause", "counter", "n_attempts"),
    [
        (Cause.CONFIGURATION, attrs.ERRORS, 1),
        (Cause.ERROR, attrs.ERRORS, 1 + queue.DEFAULT_RETRIES),
        (Cause.DEATH, attrs.DEATHS, 1 + queue.MAX_DEATHS),
    ],
)
def test_retries_end(study: optuna.Study, cause: Cause, counter: str, n_attempts: int) -> None:
    """A trial that fails every time is tried again as often as its cause allows."""
    study.enqueue_trial({"x": 0.5})
    for attempt in range(n_attempts):
        trial = live(study)
        assert trial.user_attrs.get(counter, 0) == attempt
        assert queue.fail(study, trial._trial_id, "why", cause)
    assert queue.claim(study) is Empty.EXHAUSTED
    assert states(study) == [FAIL] * n_attempts
    assert of_each(study, attrs.FAILURE) == ["why"] * n_attempts


def test_interruptions_do_not_count(study: optuna.Study) -> None:
    """A trial that was only told to stop runs again however often, and keeps its attempts."""
    study.set_user_attr(attrs.MAX_RETRIES, 1)
    study.enqueue_trial({})
    assert queue.fail(study, claim(study)._trial_id, "broken", Cause.ERROR)
    for _ in range(queue.MAX_DEATHS + 2):
        trial = claim(study)
        assert trial.user_attrs[attrs.ERRORS] == 1
        assert queue.fail(study, trial._trial_id, "interrupted", Cause.INTERRUPTION)
    assert queue.fail(study, claim(study)._trial_id, "broken", Cause.ERROR)
    assert queue.claim(study) is Empty.EXHAUSTED


def test_deaths_do_not_use_up_the_retries_of_errors(study: optuna.Study) -> None:
    """A trial whose workers died often has all its attempts at an error left."""
    study.enqueue_trial({})
    for _ in range(queue.MAX_DEATHS - 1):
        assert queue.fail(study, claim(study)._trial_id, None, Cause.DEATH)
    for _ in range(queue.DEFAULT_RETRIES):
        assert queue.fail(study, claim(study)._trial_id, "broken", Cause.ERROR)
    assert queue.fail(study, claim(study)._trial_id, None, Cause.DEATH)
    last = claim(study)
    assert last.user_attrs[attrs.DEATHS] == queue.MAX_DEATHS
    assert last.user_attrs[attrs.ERRORS] == queue.DEFAULT_RETRIES


def test_number_of_a_process_comes_again(study: optuna.Study) -> None:
    """A trial of an earlier process with this one's number, as in a restarted container, is dead.

    It is not taken for this process's own, whose reports would then clash with its old ones.
    """
    study.enqueue_trial({"x": 0.25})
    dead = claim(study)
    earlier = worker_of_this_place(os.getpid())
    optuna.Trial(study, dead._trial_id).set_user_attr(attrs.WORKER, earlier)
    assert queue.reap(study) == 1
    again = claim(study)
    assert again.number == 1
    assert again.system_attrs["fixed_params"] == {"x": 0.25}


@pytest.mark.parametrize("max_retries", [0, 1, 4])
def test_retries_of_a_study(study: optuna.Study, max_retries: int) -> None:
    """How often errors are tried again can be said for a study; deaths do not care."""
    study.set_user_attr(attrs.MAX_RETRIES, max_retries)
    study.enqueue_trial({})
    for _ in range(1 + max_retries):
        assert queue.fail(study, claim(study)._trial_id, "broken", Cause.ERROR)
    assert queue.claim(study) is Empty.EXHAUSTED
    study.enqueue_trial({})
    assert queue.fail(study, claim(study)._trial_id, None, Cause.DEATH)
    assert states(study)[-1] == WAITING


def test_ended_trials_stay(study: optuna.Study) -> None:
    """Whoever fails a trial that somebody else has ended learns that, and changes nothing."""
    design(study)
    mine = claim(study)
    study.tell(mine.number, 0.5)
    before = study.get_trials()
    assert not queue.fail(study, mine._trial_id, "late", Cause.ERROR)
    assert study.get_trials() == before
    again = claim(study)
    assert queue.fail(study, again._trial_id, "first", Cause.ERROR)
    assert not queue.fail(study, again._trial_id, "second", Cause.ERROR)
    assert not queue.fail(study, 10**6, "no such trial", Cause.ERROR)
    assert states(study) == [COMPLETE, FAIL, WAITING]
    assert of_each(study, attrs.FAILURE)[1] == "first"
    assert study.get_trials()[1].datetime_complete is not None


def test_retry_keeps_its_point(study: optuna.Study) -> None:
    """A retry has the point and the parameters, also those that had no turn yet, and no more."""
    own = {attrs.DESIGN_INDEX: 7, attrs.REPLICATE: 2, "other": True}
    study.enqueue_trial({"x": 0.25, "late": 1}, user_attrs=own)
    trial = live(study)
    trial.suggest_float("x", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    trial.set_user_attr(attrs.SEED, 1)
    trial.report(0.5, step=0)
    queue.fail(study, trial._trial_id, "disk full", Cause.ERROR)
    retry = study.get_trials()[1]
    assert (retry.number, retry.state, retry.datetime_start) == (1, WAITING, None)
    assert retry.user_attrs == {
        attrs.DESIGN_INDEX: 7,
        attrs.REPLICATE: 2,
        attrs.ERRORS: 1,
        attrs.RETRY_OF: 0,
    }
    assert (retry.params, retry.intermediate_values) == ({}, {})
    again = live(study)
    assert again.suggest_categorical("kind", ["a", "b"]) == kind
    assert (again.suggest_float("x", 0, 1), again.suggest_int("late", 0, 9)) == (0.25, 1)
    queue.fail(study, again._trial_id, None, Cause.ERROR)
    assert study.get_trials()[2].user_attrs[attrs.RETRY_OF] == 1


def killed(study: optuna.Study, url: str) -> FrozenTrial:
    """Return a running trial whose worker process was killed."""
    study.enqueue_trial({"x": 0.25}, user_attrs={attrs.DESIGN_INDEX: 7})
    with process(CLAIM_ONE, url) as worker:
        assert first_line(worker) == "0"
        worker.kill()
    return study.get_trials()[0]


@on_a_file
def test_trial_of_a_killed_worker_is_queued_again(study: optuna.Study, url: str) -> None:
    """It fails without a reason, and a waiting copy has the parameters and the point."""
    dead = killed(study, url)
    assert dead.state == RUNNING
    assert queue.reap(study) == 1
    failed, copy = study.get_trials()
    assert (failed.number, failed.state, copy.state) == (0, FAIL, WAITING)
    assert attrs.FAILURE not in failed.user_attrs
    assert copy.system_attrs["fixed_params"] == dead.params
    assert dead.params["x"] == 0.25
    assert copy.user_attrs == {attrs.DESIGN_INDEX: 7, attrs.DEATHS: 1, attrs.RETRY_OF: 0}
    assert queue.reap(study) == 0


@on_a_file
def test_copy_of_a_killed_trial_is_no_longer_the_dead_workers(
    study: optuna.Study, url: str
) -> None:
    """Another worker that reaps right after the copy was claimed leaves it to its new worker."""
    killed(study, url)
    queue.reap(study)
    claimed = claim(study)
    other = optuna.load_study(study_name="study", storage=open_storage(url, write=True))
    assert queue.reap(other) == 0
    assert claimed.user_attrs[attrs.WORKER] == queue.worker_id()
    assert states(study) == [FAIL, RUNNING]


@on_a_file
def test_trial_of_a_living_worker_is_left_alone(study: optuna.Study, url: str) -> None:
    """A process that exists keeps its trial, however long ago that began."""
    study.enqueue_trial({})
    with process(CLAIM_ONE, url) as worker:
        assert first_line(worker) == "0"
        execute(url, "UPDATE trials SET datetime_start = '2001-01-01 00:00:00.000000'")
        assert queue.reap(study) == 0
        assert states(study) == [RUNNING]
        worker.communicate("\n")
    assert queue.reap(study) == 1  # it has ended since


@pytest.mark.parametrize(
    "worker",
    [
        ELSEWHERE,
        f"{socket.gethostname()}:1",
        f"{socket.gethostname()}:x",
        "no-port",
        f"{socket.gethostname()}/ab12:{os.getpid()}",  # as earlier versions named workers
        f"{socket.gethostname()}/0123abcd-1:{os.getpid()}",  # of another container
    ],
    ids=["host", "no token", "no number", "no host", "earlier", "container"],
)
@on_a_file
def test_other_hosts_are_judged_by_heartbeats(study: optuna.Study, url: str, worker: str) -> None:
    """A worker whose process cannot be looked for is dead when its heartbeats stop."""
    design(
        study,
    )
    claim_as(study, worker)
    assert queue.reap(study) == 0
    assert states(study) == [RUNNING]
    execute(url, "UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'")
    assert queue.reap(study) == 1
    assert states(study) == [FAIL, WAITING]
    assert of_each(study, attrs.DESIGN_INDEX) == [0, 0]


@on_a_file
def test_zombie(study: optuna.Study) -> None:
    """A process that has ended is dead, also where nobody has asked for its exit code yet."""
    design(study)
    claim(study)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        state, *fields = Path(f"/proc/{ended.pid}/stat").read_text().rpartition(")")[2].split()
        assert state == "Z"
        worker = worker_of_this_place(ended.pid, start=f"{int(fields[18]):x}")
        optuna.Trial(study, study.get_trials()[0]._trial_id).set_user_attr(attrs.WORKER, worker)
        assert queue.reap(study) == 1


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


@on_a_file
def test_two_places_with_one_host_name(study: optuna.Study, url: str) -> None:
    """Workers with equal process numbers leave each other alone, and take over from their own."""
    apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("needs the right to make namespaces")
    design(study)
    with process(IN_A_CONTAINER, url, *apart) as one, process(IN_A_CONTAINER, url, *apart) as two:
        assert first_line(one) == first_line(two) == "1 1"
        assert queue.reap(study) == 0
    held = {t.user_attrs[attrs.WORKER] for t in study.get_trials(states=(RUNNING,))}
    assert len(held) == 2
    assert set(map(queue.shown_worker, held)) == {f"{socket.gethostname()}:1"}
    assert states(study).count(FAIL) == 2


@on_a_file
def test_hanging_worker(study: optuna.Study, url: str) -> None:
    """A process of this host that exists but is silent for the grace period is dead, too."""
    design(study)
    claim(study)
    execute(url, "UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'")
    assert queue.reap(study) == 1


@on_a_file
def test_trials_of_other_programs(study: optuna.Study, url: str) -> None:
    """A trial without any heartbeat is given the same time, from its start."""
    study._storage.create_new_trial(study._study_id)
    assert queue.reap(study) == 0
    execute(url, "UPDATE trials SET datetime_start = '2001-01-01 00:00:00.000000'")
    study = optuna.load_study(study_name="study", storage=open_storage(url, write=True))
    assert queue.reap(study) == 1
    assert states(study) == [FAIL, WAITING]


def test_reap_counts(study: optuna.Study) -> None:
    """Only running trials are looked at, and of those only the dead are counted."""
    design(study)
    for _ in range(3):
        trial = live(study)
        trial.set_user_attr(attrs.WORKER, dead_worker())
        if trial.number == 0:
            study.tell(trial, 0.5)
    claim(study)
    assert queue.reap(study) == 2
    assert states(study) == [COMPLETE, FAIL, FAIL, RUNNING, WAITING, WAITING]


def test_reaped_trial_cannot_be_finished(study: optuna.Study) -> None:
    """Whoever was wrongly judged dead learns of it at the next report."""
    design(study)
    trial = live(study)
    trial.set_user_attr(attrs.WORKER, dead_worker())
    assert queue.reap(study) == 1
    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        write_trial(trial, user_attrs={"name": "value"})


@on_a_file
def test_silences(study: optuna.Study, url: str) -> None:
    """Seconds since the last heartbeat are counted for running trials, by the database's clock."""
    design(study)
    old, new, ended = (int(claim_as(study, f"host:{i}")) for i in range(3))
    study._storage.create_new_trial(study._study_id)
    execute(
        url,
        "UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1000 seconds') "
        "WHERE trial_id IN (?, ?)",
        *(old, ended),
    )
    study.tell(2, 0.5)
    silent_s = queue.silences(study._storage, study._study_id)
    assert set(silent_s) == {old, new}
    assert silent_s[old] - silent_s[new] == pytest.approx(1000, abs=900)
    assert silent_s[new] >= 0


@on_a_file
def test_heartbeats(study: optuna.Study, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim was the first one; the next is recorded when it is time, and not before."""
    design(study)
    trial = live(study)
    heartbeat = queue.Heartbeat(trial)
    long_ago = (trial._trial_id, "2001-01-01 00:00:00")
    execute(url, "UPDATE trial_heartbeats SET heartbeat = ?", long_ago[1])
    heartbeat.beat()
    assert heartbeats(url) == [long_ago]
    monkeypatch.setattr(queue, "HEARTBEAT_INTERVAL_S", 0)
    heartbeat.beat()
    assert [trial_id for trial_id, _ in heartbeats(url)] == [trial._trial_id]
    assert heartbeats(url) > [long_ago]


@on_a_file
def test_heartbeat_of_an_enqueued_trial(study: optuna.Study, url: str) -> None:
    """A retry has heartbeats of its own, so that its worker is not judged by the one before."""
    design(study)
    first = claim(study)
    execute(url, "UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'")
    queue.reap(study)
    second = claim(study)
    assert second.user_attrs[attrs.RETRY_OF] == first.number
    assert {trial_id for trial_id, _ in heartbeats(url)} == {first._trial_id, second._trial_id}
    assert queue.reap(study) == 0


def test_there_must_be_a_database() -> None:
    """Workers that share nothing cannot keep a budget, which is said in one line."""
    study = optuna.create_study()
    with pytest.raises(StorageAccessError, match=r"^Workers need a database, which a InMem.*\.$"):
        queue.claim(study)


@on_a_file
def test_key_that_was_given_again(study: optuna.Study) -> None:
    """A worker of a study that was deleted gets no trial of another one with its key."""
    storage, name = study._storage, study.study_name
    uid = study_uid(storage, study._study_id)
    design(study)
    assert isinstance(queue.claim(study, uid), FrozenTrial)
    optuna.delete_study(study_name=name, storage=storage)
    again = optuna.create_study(study_name=name, storage=storage)
    assert again._study_id == study._study_id
    design(again)
    with pytest.raises(KeyError, match="does not exist"):
        queue.claim(study, uid)
    assert again.get_trials() == []
