"""The queue of waiting trials: the budget of a study as rows that workers claim one by one.

Every trial that is to be run is first stored as waiting, with all its parameters, some, or none.
A worker claims one, atomically, and never creates any: so a study ends with exactly as many
trials as were asked for, however many workers there are.
"""

import os
import socket
import time
import warnings
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import fail_stale_trials
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import FrozenTrial, TrialState

from storage import attrs
from storage.rdb import GRACE_PERIOD_S, HEARTBEAT_INTERVAL_S
from storage.retry import requeue_after_death


def worker_id() -> str:
    """Return ``host:pid`` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def enqueue(study: optuna.Study, params: Mapping[str, Any], user_attrs: Mapping[str, Any]) -> None:
    """Append a trial to the queue.

    Args:
        study: Where.
        params: Values that the trial will have; the sampler chooses the others.
        user_attrs: Stored with the trial.
    """
    study.enqueue_trial(dict(params), user_attrs=dict(user_attrs))


def claim(study: optuna.Study) -> FrozenTrial | None:
    """Take the first waiting trial for this process; None if none is waiting.

    Exactly one process gets a given trial: the change from waiting to running is atomic in the
    database (on SQLite, if it was opened for writing).
    """
    storage, study_id = study._storage, study._study_id
    waiting = storage.get_all_trials(study_id, deepcopy=False, states=(TrialState.WAITING,))
    for trial in waiting:
        try:
            if storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return storage.get_trial(trial._trial_id)
        except UpdateFinishedTrialError:
            continue
    return None


def start(study: optuna.Study, claimed: FrozenTrial) -> optuna.Trial:
    """Turn a claimed trial into a live one, which suggests, reports and stores.

    Raises:
        optuna.exceptions.UpdateFinishedTrialError: If it was thought dead in the meantime.
    """
    trial = optuna.Trial(study, claimed._trial_id)
    Heartbeat(trial).beat()
    trial.set_user_attr(attrs.WORKER, worker_id())
    return trial


def reap(study: optuna.Study) -> int:
    """Fail trials whose worker is dead and queue them again; return how many were.

    A worker of this host is known to be dead as soon as its process is gone, one of another host
    when its heartbeats have been missing for the grace period. A trial without any heartbeat
    belongs to a worker that died while it claimed it.
    """
    storage = study._storage
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in running:
        worker = trial.user_attrs.get(attrs.WORKER)
        if _died_here(worker) if worker else _age_s(trial) > GRACE_PERIOD_S:
            _expire(study, trial)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)
    return sum(storage.get_trial(t._trial_id).state != TrialState.RUNNING for t in running)


def _expire(study: optuna.Study, trial: FrozenTrial) -> None:
    """Fail a running trial and queue it again, as happens to a stale one."""
    storage = study._storage
    try:
        if not storage.set_trial_state_values(trial._trial_id, TrialState.FAIL):
            return
    except UpdateFinishedTrialError:
        return
    requeue_after_death(study, storage.get_trial(trial._trial_id))


def _died_here(worker: str) -> bool:
    """Say whether ``worker`` is a process of this host that is gone."""
    host, _, pid = worker.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it exists, as another user's
    return False


def _age_s(trial: FrozenTrial) -> float:
    started = trial.datetime_start
    return 0.0 if started is None else (datetime.now() - started).total_seconds()


class Heartbeat:
    """Tells the storage now and then that a trial is alive.

    Sent from the training loop itself, so that a hanging training counts as dead, and an error
    of the database reaches the code that can wait for it to recover.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self._last = float("-inf")

    def beat(self) -> None:
        """Record a heartbeat if the last one is old enough."""
        now = time.monotonic()
        storage = self._trial.storage
        if now - self._last >= HEARTBEAT_INTERVAL_S and isinstance(storage, BaseHeartbeat):
            storage.record_heartbeat(self._trial._trial_id)
            self._last = now
