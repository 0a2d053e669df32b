"""Writing to a running trial in few transactions.

Optuna writes every reported value and every attribute in a transaction of its own, about 3 ms
each on SQLite, which is more than a twentieth of the epoch of a small model. Here several go
into one. The rows are the same, written with Optuna's own models.
"""

import time
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session

FLUSH_INTERVAL_S = 1.0
"""How long a reported value may wait until others can see it."""


def write_trial(
    trial: optuna.Trial,
    *,
    user_attrs: Mapping[str, Any] | None = None,
    intermediate_values: Mapping[int, float] | None = None,
) -> None:
    """Store attributes and intermediate values of a running trial in one transaction.

    Args:
        trial: A live trial.
        user_attrs: Values by name, new or replaced.
        intermediate_values: Values by step, all of them new.

    Raises:
        optuna.exceptions.UpdateFinishedTrialError: If the trial has ended, for example because
            its worker was thought dead.
    """
    user_attrs, values = user_attrs or {}, intermediate_values or {}
    trial_id, storage = trial._trial_id, trial.storage
    backend = getattr(storage, "_backend", storage)
    if isinstance(backend, RDBStorage):
        _write_rows(backend, trial_id, user_attrs, values)
    else:  # such as a proxy
        for name, value in user_attrs.items():
            storage.set_trial_user_attr(trial_id, name, value)
        for step, value in values.items():
            storage.set_trial_intermediate_value(trial_id, step, value)
    _remember(trial, user_attrs, values)


def _write_rows(
    backend: RDBStorage,
    trial_id: int,
    user_attrs: Mapping[str, Any],
    values: Mapping[int, float],
) -> None:
    with _create_scoped_session(backend.scoped_session) as session:
        row: Any = models.TrialModel.find_or_raise_by_id(trial_id, session)
        backend.check_trial_is_updatable(trial_id, row.state)
        for name, value in user_attrs.items():
            backend._set_trial_attr_without_commit(
                session, models.TrialUserAttributeModel, trial_id, name, value
            )
        for step, value in values.items():
            stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
            session.add(
                models.TrialIntermediateValueModel(
                    trial_id=trial_id,
                    step=step,
                    intermediate_value=stored[0],
                    intermediate_value_type=stored[1],
                )
            )


def _remember(
    trial: optuna.Trial, user_attrs: Mapping[str, Any], values: Mapping[int, float]
) -> None:
    """Note values in the trial's own copy of itself, from which it prunes."""
    trial._cached_frozen_trial.user_attrs.update(user_attrs)
    trial._cached_frozen_trial.intermediate_values.update(values)


class Reports:
    """Intermediate values of one trial, stored together about once a second.

    Args:
        trial: A live trial, whose steps are all new.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self._waiting: dict[int, float] = {}
        self._last_flush = float("-inf")

    def add(self, value: float, *, step: int) -> None:
        """Report a value: the trial's pruner sees it at once, the storage now or soon."""
        self._waiting[step] = value
        _remember(self._trial, {}, {step: value})
        if time.monotonic() - self._last_flush >= FLUSH_INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Store what waits, as a trial must before it ends."""
        if self._waiting:
            write_trial(self._trial, intermediate_values=self._waiting)
            self._waiting = {}
        self._last_flush = time.monotonic()
