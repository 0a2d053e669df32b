"""Storing a whole study that was run elsewhere, in one transaction."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy.orm import Session

from storage import operations
from storage.errors import StorageAccessError


def insert_study(
    storage: BaseStorage,
    name: str,
    trials: Sequence[FrozenTrial],
    *,
    user_attrs: Mapping[str, Any],
    metric: str,
) -> None:
    """Store a study of one objective, which is minimised, with all its trials or not at all.

    Optuna's ``add_trials`` needs a transaction, and some dozens of queries, for each trial.

    Args:
        storage: A database, opened for writing.
        name: Of the study.
        trials: Numbered by their order; values, parameters, user attributes and states are kept.
        user_attrs: Of the study.
        metric: Name of the objective.

    Raises:
        StorageAccessError: If there is a study of that name, or the storage is no database.
    """
    backend = getattr(storage, "_backend", storage)
    if not isinstance(backend, RDBStorage):
        raise StorageAccessError("Importing needs the database itself, not a server of it.")
    with _create_scoped_session(backend.scoped_session) as session:
        if session.query(models.StudyModel).filter_by(study_name=name).count():
            raise StorageAccessError(f"There is a study named {name!r} already.")
        study_id = operations.insert_study(session, name, [StudyDirection.MINIMIZE.name])
        operations.insert_study_attrs(session, study_id, [metric], user_attrs)
        _insert_trials(session, study_id, trials)


def _insert_trials(session: Session, study_id: int, trials: Sequence[FrozenTrial]) -> None:
    now = datetime.now(UTC)
    rows: list[Any] = [
        models.TrialModel(
            study_id=study_id,
            number=number,
            state=trial.state,
            datetime_start=trial.datetime_start or now,
            datetime_complete=trial.datetime_complete or now,
        )
        for number, trial in enumerate(trials)
    ]
    session.add_all(rows)
    session.flush()
    for row, trial in zip(rows, trials, strict=True):
        for key, value in trial.params.items():
            distribution = trial.distributions[key]
            session.add(
                models.TrialParamModel(
                    trial_id=row.trial_id,
                    param_name=key,
                    param_value=distribution.to_internal_repr(value),
                    distribution_json=distribution_to_json(distribution),
                )
            )
        session.add_all(
            models.TrialUserAttributeModel(
                trial_id=row.trial_id, key=key, value_json=json.dumps(value)
            )
            for key, value in trial.user_attrs.items()
        )
        for objective, number in enumerate(trial.values or ()):
            value, kind = models.TrialValueModel.value_to_stored_repr(number)
            session.add(
                models.TrialValueModel(
                    trial_id=row.trial_id, objective=objective, value=value, value_type=kind
                )
            )
