"""Storing a whole study that was run elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from storage import operations
from storage.errors import StorageAccessError
from storage.served import perform


def insert_study(
    storage: BaseStorage,
    name: str,
    trials: Sequence[FrozenTrial],
    *,
    user_attrs: Mapping[str, Any],
    objectives: Mapping[str, str],
) -> None:
    """Store a study with all its trials, or not at all.

    The trials are numbered by their order; values, parameters, user attributes and states are
    kept. A parameter has the same range in all of them.

    Args:
        objectives: Directions by name, ``minimize`` or ``maximize``.

    Raises:
        StorageAccessError: If there is a study of that name, or the storage is no database.
    """
    ranges = {key: found for trial in trials for key, found in trial.distributions.items()}
    inserted = perform(
        storage,
        operations.create_study,
        name=name,
        directions=[direction.upper() for direction in objectives.values()],
        metrics=list(objectives),
        user_attrs=dict(user_attrs),
        distributions={key: distribution_to_json(found) for key, found in ranges.items()},
        ended=[
            {
                "state": trial.state.name,
                "params": {
                    key: ranges[key].to_internal_repr(value) for key, value in trial.params.items()
                },
                "user_attrs": trial.user_attrs,
                "values": trial.values or [],
            }
            for trial in trials
        ],
    )
    if not inserted:
        raise StorageAccessError(f"There is a study named {name!r} already.")
