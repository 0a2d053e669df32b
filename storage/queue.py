"""Which trial a worker runs next: the budget of a study, kept exactly by the database.

A worker never creates trials by itself. It claims one, in one transaction that holds the study:
so a study ends with as many finished trials as were asked for, whatever happens to its workers. A
trial that is not to blame is queued again by the transaction that fails it: so none is lost.
"""

import enum
import functools
import hashlib
import os
import secrets
import socket
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import optuna
import psutil
from optuna.artifacts import get_all_artifact_meta
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from storage import attrs, operations
from storage.artifacts import open_artifacts, stand_ins
from storage.errors import StorageAccessError
from storage.internals import key_of, storage_of, trial_key
from storage.operations import Empty as Empty
from storage.rdb import GRACE_PERIOD_S, HEARTBEAT_INTERVAL_S
from storage.records import load_times
from storage.served import operable, perform, perform_for

DEFAULT_RETRIES = 2  # how often a trial is tried again that failed by an error
_MAX_PID = 2**31 - 1  # beyond which systems cannot be asked
MAX_DEATHS = 10  # how often one is whose worker died, which may have many causes


class Cause(enum.Enum):
    """Why a trial failed, which decides whether it is tried again."""

    CONFIGURATION = "it would fail again"
    ERROR = "an error that may be gone next time"
    DEATH = "its worker died"
    INTERRUPTION = "it was told to stop and did nothing wrong"


@functools.cache
def worker_id() -> str:
    """Return ``host/place-start:pid`` of this process, by which others know whether it lives.

    The place is where its number means this process, the start tells it from one that had the
    number before. Where neither is known there is a random token: then heartbeats alone decide.
    """
    place, process = _place(), _process(os.getpid())
    token = secrets.token_hex(2) if None in (place, process) else f"{place}-{process}"
    return f"{socket.gethostname()}/{token}:{os.getpid()}"


@functools.cache
def _place() -> str | None:
    """Return a digest of where process numbers are those that this process sees; None if unknown.

    That is a boot of a machine, and on Linux in it a namespace of processes, as each container
    has, and one of times, from which starts count. Source: proc(5), pid_namespaces(7),
    time_namespaces(7).
    """
    if not sys.platform.startswith("linux"):
        boot = f"{uuid.getnode()}/{round(psutil.boot_time() / 60)}"
        return hashlib.sha256(boot.encode()).hexdigest()[:8]
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return None  # these are the numbers of another namespace
        spaces = [os.readlink("/proc/self/ns/pid")]
        if os.path.lexists("/proc/self/ns/time"):  # since Linux 5.6
            spaces.append(os.readlink("/proc/self/ns/time"))
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return hashlib.sha256("/".join([boot, *spaces]).encode()).hexdigest()[:8]


def _process(pid: int) -> str | None:
    """Return when a process of this place started; None if unseen, empty if it has ended."""
    if not sys.platform.startswith("linux"):
        try:
            return f"{round(psutil.Process(pid).create_time()):x}"
        except psutil.NoSuchProcess:
            return ""
        except psutil.AccessDenied:
            return None
    # The kernel's own count, which does not follow the clock as a time would.
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return "" if state in "ZX" else f"{int(fields[18]):x}"  # a zombie has ended


def claim(study: optuna.Study, uid: str | None = None) -> FrozenTrial | Empty:
    """Take the next trial for this process, or tell why not, as ``operations.claim`` does."""
    storage, study_id = storage_of(study), key_of(study)
    claimed = perform_for(study, operations.claim, worker=worker_id(), uid=uid)
    if isinstance(claimed, str):
        return Empty(claimed)
    # Read like this, for Optuna's caches must learn of a trial that they did not create.
    running = storage.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
    return next(trial for trial in running if trial_key(trial) == claimed)


def fail(
    study: optuna.Study,
    trial_id: int,
    reason: str | None,
    cause: Cause,
    *,
    artifacts: Path | None = None,
) -> bool:
    """Fail a running trial as ``operations.fail``, and queue it again where its cause allows that.

    With a folder of artifacts, files stand in there for those of a trial that has none.
    """
    retries = attrs.MAX_RETRIES.of(study)
    counter, most = {
        Cause.CONFIGURATION: (attrs.ERRORS, -1),
        Cause.ERROR: (attrs.ERRORS, DEFAULT_RETRIES if retries is None else retries),
        Cause.DEATH: (attrs.DEATHS, MAX_DEATHS),
        Cause.INTERRUPTION: (None, 0),
    }[cause]
    return perform_for(
        study,
        operations.fail,
        trial_id=trial_id,
        reason=reason,
        counter=counter,
        most=most,
        artifacts=None if artifacts is None else _stand_ins(study, trial_id, artifacts),
    )


def reap(study: optuna.Study, *, artifacts: Path | None = None) -> int:
    """Fail the trials of dead workers and queue them again; return how many there were.

    A worker of this place is known to be dead as soon as its process is gone, one of another host
    or container when its heartbeats have been missing for the grace period. A trial that never
    had one, which another program started, is given the same time.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if not running:
        return 0
    silent_s = silences(storage_of(study), key_of(study))
    if any(trial_key(trial) not in silent_s for trial in running):
        now, times = datetime.now(UTC), load_times(storage_of(study), key_of(study))
        ages_s = {key: (now - start).total_seconds() for key, (start, _) in times.items() if start}
        silent_s = ages_s | silent_s
    dead = [
        trial_key(trial)
        for trial in running
        if _has_ended(attrs.WORKER.of(trial) or "")
        or silent_s.get(trial_key(trial), 0.0) > GRACE_PERIOD_S
    ]
    return sum(fail(study, trial_id, None, Cause.DEATH, artifacts=artifacts) for trial_id in dead)


def _stand_ins(study: optuna.Study, trial_id: int, artifacts: Path) -> dict[str, str] | None:
    """Write files for a trial that has none, unless the disk is what made it fail."""
    storage = storage_of(study)
    if get_all_artifact_meta(storage.get_trial(trial_id), storage=storage):
        return None
    try:
        return stand_ins(open_artifacts(artifacts))
    except (OSError, StorageAccessError):
        return None


def silences(storage: BaseStorage, study_id: int) -> dict[int, float]:
    """Return the seconds since the last heartbeat of each running trial, by the database's key."""
    if not operable(storage):
        return {}
    return dict(perform(storage, operations.silences, study_id=study_id))


def shown_worker(worker: str) -> str:
    """Return the name of a worker as people want to see it: ``host:pid``."""
    host, slash, rest = worker.partition("/")
    return f"{host}:{rest.rpartition(':')[2]}" if slash else worker


def _has_ended(worker: str) -> bool:
    """Say whether a worker of this place is not there; what cannot be seen from here may live."""
    name, _, pid = worker.rpartition(":")
    place, _, start = name.rpartition("-")
    if _place() is None or place != f"{socket.gethostname()}/{_place()}" or not pid.isdecimal():
        return False
    number = int(pid)
    if number > _MAX_PID:
        return False
    return not psutil.pid_exists(number) or _process(number) not in (start, None)


class Heartbeat:
    """Tells from the training loop now and then that a trial is alive.

    So a training that hangs counts as dead, and an error of the database reaches who can wait.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self._last = time.monotonic()  # the claim was the first one

    def beat(self) -> None:
        """Record a heartbeat if the last one is old enough."""
        now = time.monotonic()
        if now - self._last >= HEARTBEAT_INTERVAL_S:
            perform(self._trial.storage, operations.beat, trial_id=trial_key(self._trial))
            self._last = now
