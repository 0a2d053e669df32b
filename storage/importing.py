"""Storing a whole study that was run elsewhere."""

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from storage import operations
from storage.bulk import pack_trial
from storage.errors import StorageAccessError
from storage.internals import constraint_attrs
from storage.records import StudyRecord
from storage.served import perform


def insert_study(storage: BaseStorage, record: StudyRecord) -> None:
    """Store a study with all its trials, or not at all; it reads like the record then.

    Of trials that are running or waiting nobody takes care.

    Raises:
        StorageAccessError: If there is a study of that name, or the storage is no database.
    """
    ranges: dict[str, int] = {}  # as JSON, which trials share, with their positions
    trials = [
        pack_trial(
            FrozenTrial(
                trial_id=trial.number,
                number=trial.number,
                state=trial.state,
                datetime_start=trial.started,
                datetime_complete=trial.completed,
                value=None,
                values=trial.values,
                params=dict(trial.params),
                distributions=dict(trial.distributions),
                intermediate_values=dict(trial.intermediate_values),
                user_attrs={**trial.user_attrs, **trial.other_attrs},
                system_attrs=constraint_attrs(trial.constraints),
            ),
            ranges,
        )
        for trial in record.trials
    ]
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
