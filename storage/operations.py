"""What workers do to a study database in one transaction each, on Optuna's own tables.

Arguments and results are plain values, so that a server can do the same for a client.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX
from optuna.distributions import json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import TrialState, create_trial
from sqlalchemy.orm import Session

from storage import attrs

FIXED_PARAMS = "fixed_params"
"""Optuna's own system attribute: values that a trial's parameters will have."""

DONE = "done"
"""The target is reached."""
BUSY = "busy"
"""The trials that are running may reach it."""
EXHAUSTED = "exhausted"
"""The design has no more points."""

IDENTITY = (attrs.DESIGN_INDEX, attrs.REPLICATE)
"""What makes a trial that of a design's point."""
KEPT = (*IDENTITY, attrs.ERRORS, attrs.DEATHS)
"""What a retry takes over from the attempt before."""


def claim(backend: RDBStorage, study_id: int, worker: str) -> int | str:
    """Take the next trial of a study for a worker.

    A waiting trial if there is one, which is a retry or was enqueued by hand; else a new one, as
    long as finished and running trials together are fewer than the target. What a worker has
    claimed before and knows nothing of, because the answer was lost, it gets again.

    Returns:
        The database's key of the trial, or why there is none: ``DONE``, ``BUSY``, ``EXHAUSTED``.
    """
    with _transaction(backend) as session:
        _hold(session, study_id)
        running = _running_of(session, study_id, worker)
        if running is not None:
            return running
        rows = session.query(models.TrialModel.state, sqlalchemy.func.count())
        rows = rows.filter_by(study_id=study_id).group_by(models.TrialModel.state)
        counts = {state: int(n) for state, n in rows}
        finished = counts.get(TrialState.COMPLETE, 0) + counts.get(TrialState.PRUNED, 0)
        n_running = counts.get(TrialState.RUNNING, 0)
        target = int(_study_attr(session, study_id, attrs.TARGET) or 0)
        if finished >= target:
            return DONE
        if finished + n_running >= target:
            return BUSY
        trial = (
            session.query(models.TrialModel)
            .filter_by(study_id=study_id, state=TrialState.WAITING)
            .order_by(models.TrialModel.number)
            .first()
        )
        if trial is not None:
            trial.state = TrialState.RUNNING
            trial.datetime_start = datetime.now()
            _set_trial_attr(session, backend, int(trial.trial_id), attrs.WORKER, worker)
        else:
            design = _study_attr(session, study_id, attrs.DESIGN)
            if design is None or design["next"] == design["end"]:
                return BUSY if n_running else EXHAUSTED
            user_attrs = {attrs.DESIGN_INDEX: design["next"], attrs.WORKER: worker}
            if design["replicate"]:
                user_attrs[attrs.REPLICATE] = design["replicate"]
            trial = _insert(session, backend, study_id, TrialState.RUNNING, user_attrs)
            _set_study_attr(session, study_id, attrs.DESIGN, design | {"next": design["next"] + 1})
        trial_id = int(trial.trial_id)
        session.add(models.TrialHeartbeatModel(trial_id=trial_id))
        return trial_id


def fail(
    backend: RDBStorage,
    study_id: int,
    trial_id: int,
    reason: str | None,
    counter: str | None,
    most: int,
    artifacts: Mapping[str, str] | None = None,
) -> bool:
    """Fail a running trial and queue it again, unless that has happened too often already.

    Args:
        backend: The database.
        study_id: Of the study.
        trial_id: Of the trial.
        reason: Stored with it; None if nobody knows.
        counter: User attribute that counts such failures over all attempts at a trial; None
            for one that does not count, and is always tried again.
        most: Failures after which it is still tried again.
        artifacts: Entries of files, as system attributes, for a trial that has none.

    Returns:
        False if the trial was not running any more, for somebody else has ended it.
    """
    with _transaction(backend) as session:
        _hold(session, study_id)
        trial = session.get(models.TrialModel, trial_id)
        if trial is None or trial.state != TrialState.RUNNING:
            return False
        if reason is not None:
            _set_trial_attr(session, backend, trial_id, attrs.FAILURE, reason)
        if artifacts and not _has_artifacts(session, trial_id):
            _set_system_attrs(session, backend, trial_id, artifacts)
        trial.state = TrialState.FAIL
        trial.datetime_complete = datetime.now()
        failed = backend._build_frozen_trial_from_trial_model(trial)
        kept = {name: failed.user_attrs[name] for name in KEPT if name in failed.user_attrs}
        if counter is not None:
            kept[counter] = kept.get(counter, 0) + 1
        if counter is None or kept[counter] <= most:
            _insert(
                session,
                backend,
                study_id,
                TrialState.WAITING,
                kept | {attrs.RETRY_OF: failed.number},
                {**failed.system_attrs.get(FIXED_PARAMS, {}), **failed.params},
            )
        return True


def start_design(
    backend: RDBStorage, study_id: int, replicate: int, start: int, end: int | None
) -> None:
    """Let new trials get the points of a replicate's design.

    Args:
        backend: The database.
        study_id: Of the study.
        replicate: Of the new trials.
        start: Number of the first point, unless workers are at that replicate already.
        end: Number behind the last point; None if there is none.
    """
    with _transaction(backend) as session:
        _hold(session, study_id)
        design = _study_attr(session, study_id, attrs.DESIGN)
        if design is not None and design["replicate"] == replicate:
            start = design["next"]
        value = {"next": start, "end": end, "replicate": replicate}
        _set_study_attr(session, study_id, attrs.DESIGN, value)


def write(
    backend: RDBStorage,
    trial_id: int,
    params: Sequence[tuple[str, float, str]] = (),
    user_attrs: Mapping[str, Any] | None = None,
    intermediate_values: Sequence[tuple[int, float]] = (),
    system_attrs: Mapping[str, Any] | None = None,
) -> None:
    """Store what is new of a running trial.

    Args:
        backend: The database.
        trial_id: Of the trial.
        params: Name, Optuna's internal representation of the value, and distribution as JSON.
        user_attrs: By name, new or replaced.
        intermediate_values: Step and value.
        system_attrs: By name, new or replaced.

    Raises:
        optuna.exceptions.UpdateFinishedTrialError: If the trial has ended.
    """
    with _transaction(backend) as session:
        trial: Any = models.TrialModel.find_or_raise_by_id(trial_id, session)
        backend.check_trial_is_updatable(trial_id, trial.state)
        for name, internal, distribution in params:
            backend._set_trial_param_without_commit(
                session, trial_id, name, internal, json_to_distribution(distribution)
            )
        for name, value in (user_attrs or {}).items():
            _set_trial_attr(session, backend, trial_id, name, value)
        _set_system_attrs(session, backend, trial_id, system_attrs or {})
        for step, value in intermediate_values:
            stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
            session.add(
                models.TrialIntermediateValueModel(
                    trial_id=trial_id,
                    step=step,
                    intermediate_value=stored[0],
                    intermediate_value_type=stored[1],
                )
            )


def beat(backend: RDBStorage, trial_id: int) -> None:
    """Record that a running trial is alive."""
    backend.record_heartbeat(trial_id)


def silences(backend: RDBStorage, study_id: int) -> list[tuple[int, float]]:
    """Return each running trial that has a heartbeat, and the seconds since then.

    By the clock of the database, for those of the workers may differ.
    """
    with _transaction(backend) as session:
        now = session.execute(sqlalchemy.select(sqlalchemy.func.now())).scalar_one()
        rows = (
            session.query(
                models.TrialHeartbeatModel.trial_id, models.TrialHeartbeatModel.heartbeat
            )
            .join(models.TrialModel)
            .filter_by(study_id=study_id, state=TrialState.RUNNING)
        )
        return [
            (trial_id, (now.replace(tzinfo=None) - heartbeat).total_seconds())
            for trial_id, heartbeat in rows
        ]


def set_study_system_attrs(
    backend: RDBStorage, study_id: int, values: Mapping[str, Any], prefixes: Sequence[str]
) -> None:
    """Store system attributes of a study, and remove others.

    Args:
        backend: The database.
        study_id: Of the study.
        values: By name, new or replaced.
        prefixes: What has such a name, and no value here, is removed.
    """
    with _transaction(backend) as session:
        _hold(session, study_id)
        model = models.StudySystemAttributeModel
        rows = {str(row.key): row for row in session.query(model).filter_by(study_id=study_id)}
        beginnings = tuple(prefixes)
        for name, row in rows.items():
            if name.startswith(beginnings) and name not in values:
                session.delete(row)
        for name, value in values.items():
            if name not in rows:
                rows[name] = model(study_id=study_id, key=name)
                session.add(rows[name])
            rows[name].value_json = json.dumps(value)


OPERATIONS = {
    function.__name__: function
    for function in (
        *(claim, fail, start_design, write, beat, silences),
        set_study_system_attrs,
    )
}
"""By name, as a client asks for them."""


@contextmanager
def _transaction(backend: RDBStorage) -> Iterator[Session]:
    """Open a transaction, which is committed at the end of the block.

    Raises:
        optuna.exceptions.StorageInternalError: If the database fails.
    """
    with _create_scoped_session(backend.scoped_session) as session:
        yield session


def _hold(session: Session, study_id: int) -> None:
    """Keep other workers from claiming until the transaction ends.

    A server locks the row of the study; SQLite the whole file, as it does for every writer.
    """
    session.query(models.StudyModel).filter_by(study_id=study_id).with_for_update().one()


def _running_of(session: Session, study_id: int, worker: str) -> int | None:
    """Return a running trial that a worker has claimed."""
    row = (
        session.query(models.TrialModel.trial_id)
        .join(models.TrialUserAttributeModel)
        .filter(
            models.TrialModel.study_id == study_id,
            models.TrialModel.state == TrialState.RUNNING,
            models.TrialUserAttributeModel.key == attrs.WORKER,
            models.TrialUserAttributeModel.value_json == json.dumps(worker),
        )
        .first()
    )
    return None if row is None else int(row[0])


def _insert(
    session: Session,
    backend: RDBStorage,
    study_id: int,
    state: TrialState,
    user_attrs: Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
) -> models.TrialModel:
    """Add a trial that will have the values ``params``."""
    template = create_trial(
        state=state,
        user_attrs=dict(user_attrs),
        system_attrs={FIXED_PARAMS: dict(params)} if params else {},
    )
    return backend._get_prepared_new_trial(study_id, template, session)


def _study_attr(session: Session, study_id: int, name: str) -> Any:
    row = session.query(models.StudyUserAttributeModel).filter_by(study_id=study_id, key=name)
    found = row.one_or_none()
    return None if found is None else json.loads(str(found.value_json))


def _set_study_attr(session: Session, study_id: int, name: str, value: Any) -> None:
    row = session.query(models.StudyUserAttributeModel).filter_by(study_id=study_id, key=name)
    found = row.one_or_none()
    if found is None:
        found = models.StudyUserAttributeModel(study_id=study_id, key=name)
        session.add(found)
    found.value_json = json.dumps(value)


def _has_artifacts(session: Session, trial_id: int) -> bool:
    """Say whether a trial has entries of files."""
    model = models.TrialSystemAttributeModel
    rows = session.query(model.key).filter_by(trial_id=trial_id)
    return rows.filter(model.key.startswith(ARTIFACTS_ATTR_PREFIX)).first() is not None


def _set_system_attrs(
    session: Session, backend: RDBStorage, trial_id: int, values: Mapping[str, Any]
) -> None:
    for name, value in values.items():
        backend._set_trial_attr_without_commit(
            session, models.TrialSystemAttributeModel, trial_id, name, value
        )


def _set_trial_attr(
    session: Session, backend: RDBStorage, trial_id: int, name: str, value: Any
) -> None:
    backend._set_trial_attr_without_commit(
        session, models.TrialUserAttributeModel, trial_id, name, value
    )
