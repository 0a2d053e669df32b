"""Storing a whole study that was run elsewhere."""

from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage

from storage import operations
from storage.errors import StorageAccessError
from storage.internals import constraint_attrs
from storage.records import StudyRecord, TrialRecord
from storage.served import perform


def insert_study(storage: BaseStorage, record: StudyRecord) -> None:
    """Store a study with all its trials, or not at all; it reads like the record then.

    Of trials that are running or waiting nobody takes care.

    Raises:
        StorageAccessError: If there is a study of that name, or the storage is no database.
    """
    ranges: dict[str, int] = {}  # as JSON, which trials share, with their positions
    trials = [_stored(trial, ranges) for trial in record.trials]
    names = {operations.METRIC_NAMES: list(record.metric_names)} if record.metric_names else {}
    study = {
        "name": record.name,
        "directions": [direction.upper() for direction in record.directions],
        "user_attrs": {**record.user_attrs, **record.other_attrs},
        "system_attrs": names,
        "keyed_attrs": [],
        "trials": trials,
        "ranges": list(ranges),
    }
    inserted = perform(storage, operations.insert_studies, studies=[study])
    if not inserted:
        raise StorageAccessError(f"There is a study named {record.name!r} already.")


def _stored(trial: TrialRecord, ranges: dict[str, int]) -> dict[str, Any]:
    """Return a trial as ``bulk.insert_trials`` takes it; add its ranges to the others."""
    return {
        "number": trial.number,
        "state": trial.state.name,
        "started": trial.started and trial.started.isoformat(),
        "completed": trial.completed and trial.completed.isoformat(),
        "values": list(trial.values),
        "params": [
            (name, found.to_internal_repr(trial.params[name]), place)
            for name, found in trial.distributions.items()
            for place in [ranges.setdefault(distribution_to_json(found), len(ranges))]
        ],
        "reports": list(trial.intermediate_values.items()),
        "user_attrs": {**trial.user_attrs, **trial.other_attrs},
        "system_attrs": constraint_attrs(trial.constraints),
    }
