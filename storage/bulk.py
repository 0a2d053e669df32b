"""Whole studies in few statements: their rows added to a database, or removed from it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import Session

from storage.internals import models

_OF_TRIALS = (
    models.TrialParamModel,
    models.TrialValueModel,
    models.TrialIntermediateValueModel,
    models.TrialUserAttributeModel,
    models.TrialSystemAttributeModel,
    models.TrialHeartbeatModel,
)
_AT_ONCE = 10_000  # rows in memory, of which a study may have millions
_OF_STUDIES = (
    models.StudyDirectionModel,
    models.StudyUserAttributeModel,
    models.StudySystemAttributeModel,
)


def insert_study(session: Session, study: Mapping[str, Any]) -> None:
    """Add a study with all its trials.

    Args:
        study: ``name``, ``directions`` (names of Optuna's), ``user_attrs``, ``system_attrs``,
            ``trials`` and ``ranges`` (see ``insert_trials``), and ``keyed_attrs``: system
            attributes whose names hold a trial's key, as what stands before it, the trial's
            number, what stands behind it, and the value.
    """
    key = insert_empty_study(session, study["name"], study["directions"])
    keys = insert_trials(session, key, study["trials"], study["ranges"])
    system = dict(study["system_attrs"])
    for before, number, behind, value in study["keyed_attrs"]:
        system[f"{before}{keys[number]}{behind}"] = value
    insert_study_attrs(session, key, study["user_attrs"], system)


def insert_empty_study(session: Session, name: str, directions: Sequence[str]) -> int:
    """Add a study that has nothing but its objectives; return its key."""
    row: Any = models.StudyModel(study_name=name)
    session.add(row)
    session.flush()
    key = int(row.study_id)
    ways = ({"objective": i, "direction": StudyDirection[way]} for i, way in enumerate(directions))
    _insert(session, models.StudyDirectionModel, ({"study_id": key, **way} for way in ways))
    return key


def insert_study_attrs(
    session: Session, key: int, user: Mapping[str, Any], system: Mapping[str, Any]
) -> None:
    """Add attributes that a study does not have yet."""
    own = {"study_id": key}
    _insert(session, models.StudyUserAttributeModel, _attributes(own, user))
    _insert(session, models.StudySystemAttributeModel, _attributes(own, system))


def pack_trial(
    trial: FrozenTrial,
    ranges: dict[str, int],
    times: tuple[datetime | None, datetime | None] | None = None,
) -> dict[str, Any]:
    """Return a trial as ``insert_trials`` takes it.

    Args:
        ranges: Positions of distributions, as JSON, to which those of the trial are added.
        times: When it started and when it ended, with a zone, if not as the trial says.
    """
    found = times or (trial.datetime_start, trial.datetime_complete)
    started, completed = (time and time.astimezone(UTC).isoformat() for time in found)
    return {
        "number": trial.number,
        "state": trial.state.name,
        "started": started,
        "completed": completed,
        "values": list(trial.values or ()),
        "params": [
            (name, own.to_internal_repr(trial.params[name]), place)
            for name, own in trial.distributions.items()
            for place in [ranges.setdefault(distribution_to_json(own), len(ranges))]
        ],
        "reports": list(trial.intermediate_values.items()),
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
    }


def insert_trials(
    session: Session, study_id: int, trials: Sequence[Mapping[str, Any]], ranges: Sequence[str]
) -> dict[int, int]:
    """Add trials to a study; return their keys by their numbers.

    Args:
        trials: As ``pack_trial`` gave them; what JSON holds.
        ranges: Distributions of their parameters, as JSON.
    """
    rows: list[Any] = [
        models.TrialModel(
            study_id=study_id,
            number=trial["number"],
            state=TrialState[trial["state"]],
            datetime_start=instant(trial["started"]),
            datetime_complete=instant(trial["completed"]),
        )
        for trial in trials
    ]
    session.add_all(rows)
    session.flush()
    keyed = [(int(row.trial_id), trial) for row, trial in zip(rows, trials, strict=True)]
    param, value, report = _OF_TRIALS[:3]
    params = (
        {
            "trial_id": key,
            "param_name": name,
            "param_value": internal,
            "distribution_json": ranges[place],
        }
        for key, trial in keyed
        for name, internal, place in trial["params"]
    )
    values = (
        {"trial_id": key, "objective": i, "value": stored, "value_type": kind}
        for key, trial in keyed
        for i, number in enumerate(trial["values"])
        for stored, kind in [value.value_to_stored_repr(number)]
    )
    reports = (
        {
            "trial_id": key,
            "step": step,
            "intermediate_value": stored,
            "intermediate_value_type": kind,
        }
        for key, trial in keyed
        for step, number in trial["reports"]
        for stored, kind in [report.intermediate_value_to_stored_repr(number)]
    )
    for model, found in ((param, params), (value, values), (report, reports)):
        _insert(session, model, found)
    for model, part in (
        (models.TrialUserAttributeModel, "user_attrs"),
        (models.TrialSystemAttributeModel, "system_attrs"),
    ):
        of_each = (_attributes({"trial_id": key}, trial[part]) for key, trial in keyed)
        _insert(session, model, chain.from_iterable(of_each))
    return {trial["number"]: key for key, trial in keyed}


def remove_study(session: Session, study_id: int) -> None:
    """Remove a study with all its trials, to which nobody adds anything meanwhile."""
    trials = sqlalchemy.select(models.TrialModel.trial_id).filter_by(study_id=study_id)
    session.execute(trials.with_for_update()).all()
    rows: list[tuple[Any, Any]] = [(model, model.trial_id.in_(trials)) for model in _OF_TRIALS]
    for model in (models.TrialModel, *_OF_STUDIES, models.StudyModel):
        rows.append((model, model.study_id == study_id))
    for model, chosen in rows:
        session.execute(
            sqlalchemy.delete(model).where(chosen),
            execution_options={"synchronize_session": False},
        )


def _attributes(owner: Mapping[str, int], found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**owner, "key": k, "value_json": json.dumps(value)} for k, value in found.items()]


def _insert(session: Session, model: Any, rows: Iterable[dict[str, Any]]) -> None:
    left = iter(rows)
    while found := list(islice(left, _AT_ONCE)):
        session.execute(sqlalchemy.insert(model.__table__), found)


def instant(text: str | None) -> datetime | None:
    """Read a time as ``pack_trial`` writes it."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
