"""Writing to a running trial in few transactions.

Optuna writes every parameter, reported value and attribute in a transaction of its own, about 3 ms
each on SQLite, which is more than a twentieth of the epoch of a small model. Here they share one.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import BaseStorage

from storage import operations
from storage.internals import key_of, own_copy, trial_key
from storage.served import perform

FLUSH_INTERVAL_S = 1.0  # how long a reported value may wait until others can see it


def write_trial(
    trial: optuna.Trial,
    *,
    user_attrs: Mapping[str, Any] | None = None,
    intermediate_values: Mapping[int, float] | None = None,
    system_attrs: Mapping[str, Any] | None = None,
) -> None:
    """Store attributes, and values of new steps, of a running trial in one transaction.

    Raises:
        optuna.exceptions.UpdateFinishedTrialError: If the trial has ended, for example because
            its worker was thought dead.
    """
    user_attrs, intermediate_values = user_attrs or {}, intermediate_values or {}
    perform(
        trial.storage,
        operations.write,
        trial_id=trial_key(trial),
        user_attrs=dict(user_attrs),
        intermediate_values=list(intermediate_values.items()),
        system_attrs=dict(system_attrs or {}),
    )
    own_copy(trial).user_attrs.update(user_attrs)
    own_copy(trial).intermediate_values.update(intermediate_values)


class TriedError(Exception):
    """Another trial of the study has the same parameters, so these were not stored."""


@contextmanager
def suggesting(trial: optuna.Trial, *, untried: bool = False) -> Iterator[None]:
    """Store the parameters that are suggested in the block together, at its end.

    If they are to be ``untried`` and another trial of the study, of the same replicate, has all
    of them, they are not stored, which is a ``TriedError``.
    """
    storage = trial.storage
    suggested = _Suggested(storage)
    trial.storage = suggested  # type: ignore[assignment]  # all that suggesting asks of it
    try:
        yield
    finally:
        trial.storage = storage
        if suggested.params and not perform(
            storage,
            operations.write,
            trial_id=trial_key(trial),
            params=suggested.params,
            untried_in=key_of(trial.study) if untried else None,
        ):
            raise TriedError


class _Suggested:
    """A storage that notes suggested parameters instead of writing them."""

    def __init__(self, storage: BaseStorage) -> None:
        self._behind = storage
        self.params: list[tuple[str, float, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def set_trial_param(
        self, _trial_id: int, name: str, internal: float, distribution: BaseDistribution
    ) -> None:
        """Note a parameter, as Optuna would write it."""
        self.params.append((name, internal, distribution_to_json(distribution)))


class Reports:
    """Intermediate values of one live trial, stored together about once a second."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self._waiting: dict[int, float] = {}
        self._last_flush = float("-inf")

    def add(self, value: float, *, step: int) -> None:
        """Report a value: the trial's pruner sees it at once, the storage now or soon."""
        self._waiting[step] = value
        own_copy(self._trial).intermediate_values[step] = value
        if time.monotonic() - self._last_flush >= FLUSH_INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Store what waits, as a trial must before it ends."""
        if self._waiting:
            write_trial(self._trial, intermediate_values=self._waiting)
            self._waiting = {}
        self._last_flush = time.monotonic()
