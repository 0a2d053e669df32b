"""Reading trials by a few plain SELECTs into columns, rather than row by row through the ORM.

What comes out equals what Optuna reads, trial by trial; it takes a small part of the time.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, Connection, Select, String, select, type_coerce

from storage.internals import (
    CONSTRAINTS,
    FrozenStudy,
    ReadingDatabase,
    distribution_of,
    models,
    transaction,
)
from storage.stored import decode, legible

TRIALS = models.TrialModel.__table__
VALUES = models.TrialValueModel.__table__
PARAMS = models.TrialParamModel.__table__
USER_ATTRS = models.TrialUserAttributeModel.__table__
SYSTEM_ATTRS = models.TrialSystemAttributeModel.__table__
STUDY_USER_ATTRS = models.StudyUserAttributeModel.__table__
STUDY_SYSTEM_ATTRS = models.StudySystemAttributeModel.__table__
INTERMEDIATE_VALUES = models.TrialIntermediateValueModel.__table__

_Row = tuple[int, int, TrialState, datetime | None, datetime | None]

_MAX_LISTED = 500
"""Trials that a query names one by one; databases take a few ten thousand."""

_BEYOND = {"INF_POS": float("inf"), "INF_NEG": float("-inf"), "NAN": float("nan")}
"""Numbers that stand as the name of their kind, for columns of numbers hold no such."""
_EARLIER_INFINITY = 3.4028235e38  # the largest float of 32 bits


def read_trials(
    connection: Connection,
    study_id: int | None,
    *,
    after: int = -1,
    among: Collection[int] = (),
    finished_reports: bool = True,
    constraints_only: bool = False,
    lacking: Collection[str] = (),
) -> Iterator[FrozenTrial]:
    """Read trials of a study in the order of their keys, with times in UTC that have a zone.

    Args:
        study_id: None for trials ``among`` these keys alone, of whatever study.
        after, among: Only trials with a key above ``after``, and these.
        finished_reports: Whether to read intermediate values of trials that have ended, too.
        constraints_only: Whether to read no other system attributes than constraints.
        lacking: Columns that this database does not have.
    """
    of_study = study_id if after < 0 else None
    with legible() as place:
        rows = _rows(connection, study_id, after, among)
        if not rows:
            return
        numbers = {row[0]: int(row[1]) for row in rows}
        of = _chosen(list(numbers), of_study=of_study)
        values: defaultdict[int, dict[int, float]] = defaultdict(dict)
        kind = _kind(VALUES.c.value_type, lacking)
        for key, objective, value, name in connection.execute(
            of(VALUES, VALUES.c.objective, VALUES.c.value, kind)
        ):
            place.trial = numbers.get(key)
            if value is not None or name is not None:  # an upgrade of old tables left such rows
                values[key][objective] = _number(value, name)
        params: defaultdict[int, list[tuple[int, str, float, str]]] = defaultdict(list)
        p = PARAMS.c
        for key, *param in connection.execute(
            of(PARAMS, p.param_id, p.param_name, p.param_value, p.distribution_json)
        ):
            params[key].append(tuple(param))
        user = _attributes(connection, of(USER_ATTRS, USER_ATTRS.c.key, USER_ATTRS.c.value_json))
        query = of(SYSTEM_ATTRS, SYSTEM_ATTRS.c.key, SYSTEM_ATTRS.c.value_json)
        if constraints_only:
            query = query.where(SYSTEM_ATTRS.c.key.startswith(CONSTRAINTS))
        system = _attributes(connection, query)
        reports: defaultdict[int, dict[int, float]] = defaultdict(dict)
        if finished_reports or any(not row[2].is_finished() for row in rows):
            i = INTERMEDIATE_VALUES.c
            kind = _kind(i.intermediate_value_type, lacking)
            query = of(INTERMEDIATE_VALUES, i.step, i.intermediate_value, kind)
            if not finished_reports:
                query = query.where(TRIALS.c.state.in_((TrialState.RUNNING, TrialState.WAITING)))
            for key, step, value, name in connection.execute(query):
                place.trial = numbers.get(key)
                finite = name == "FINITE" and type(value) is float
                reports[key][step] = value if finite else _number(value, name)
        range_of = cache(distribution_of)
        for key, _, state, started, completed in rows:
            place.trial = number = numbers[key]
            found = values.get(key, {})
            stored = sorted(params.get(key, ()))
            ranges = {name: (range_of(text), float(x)) for _, name, x, text in stored}
            yield FrozenTrial(
                trial_id=key,
                number=number,
                state=state,
                datetime_start=_in_utc(started),
                datetime_complete=_in_utc(completed),
                value=None,
                values=[found.get(objective, 0) for objective in range(len(found))] or None,
                params={name: d.to_external_repr(x) for name, (d, x) in ranges.items()},
                distributions={name: d for name, (d, _) in ranges.items()},
                user_attrs=user.get(key, {}),
                system_attrs=system.get(key, {}),
                intermediate_values=reports.get(key, {}),
            )


def read_ends(
    connection: Connection, study_id: int
) -> dict[int, tuple[TrialState, datetime | None]]:
    """Return state and end of each trial of a study, by its key: what tells whether it changed."""
    t = TRIALS.c
    query = select(t.trial_id, t.state, t.datetime_complete).where(t.study_id == study_id)
    return {key: (state, _in_utc(end)) for key, state, end in connection.execute(query)}


def _as_optuna(trial: FrozenTrial) -> FrozenTrial:
    """Give a trial its times as Optuna does, in local time without a zone."""
    trial.datetime_start = _local(trial.datetime_start)
    trial.datetime_complete = _local(trial.datetime_complete)
    return trial


class Database(ReadingDatabase):
    """A database of Optuna's whose trials are read by columns, for whoever asks for them."""

    def read_frozen(
        self, study_id: int, *, after: int, among: Collection[int]
    ) -> list[FrozenTrial]:
        with legible() as place, transaction(self) as opened:
            study = models.StudyModel.find_or_raise_by_id(study_id, opened.session)
            place.study, connection = str(study.study_name), opened.session.connection()
            found = read_trials(
                connection, study_id, after=after, among=among, lacking=self.lacking
            )
            return list(map(_as_optuna, found))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        with transaction(self) as opened:
            connection = opened.session.connection()
            for found in read_trials(connection, None, among=[trial_id], lacking=self.lacking):
                return _as_optuna(found)
        raise KeyError(models.NOT_FOUND_MSG)

    def get_all_studies(self) -> list[FrozenStudy]:
        with transaction(self) as opened:
            connection, s = opened.session.connection(), models.StudyModel.__table__.c
            names = connection.execute(select(s.study_id, s.study_name).order_by(s.study_id))
            own, system = (
                _attributes(connection, select(t.c.study_id, t.c.key, t.c.value_json))
                for t in (STUDY_USER_ATTRS, STUDY_SYSTEM_ATTRS)
            )
            directions: defaultdict[int, list[StudyDirection]] = defaultdict(list)
            d = models.StudyDirectionModel.__table__.c
            for key, direction in connection.execute(
                select(d.study_id, d.direction).order_by(d.study_id, d.objective)
            ):
                directions[key].append(direction)
            return [
                FrozenStudy(
                    study_name=name,
                    direction=None,
                    directions=directions[key],
                    user_attrs=own.get(key, {}),
                    system_attrs=system.get(key, {}),
                    study_id=key,
                )
                for key, name in names
            ]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._attributes_of(STUDY_USER_ATTRS, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._attributes_of(STUDY_SYSTEM_ATTRS, study_id)

    def _attributes_of(self, table: sqlalchemy.Table, study_id: int) -> dict[str, Any]:
        with transaction(self) as opened:
            models.StudyModel.find_or_raise_by_id(study_id, opened.session)
            c, connection = table.c, opened.session.connection()
            query = select(c.study_id, c.key, c.value_json).where(c.study_id == study_id)
            return _attributes(connection, query).get(study_id, {})


def _rows(
    connection: Connection, study_id: int | None, after: int, among: Collection[int]
) -> list[_Row]:
    """Return key, number, state, start and end of the trials that are asked for."""
    t = TRIALS.c
    query = select(t.trial_id, t.number, t.state, t.datetime_start, t.datetime_complete)
    query = query.order_by(t.trial_id)
    listed = len(among) <= _MAX_LISTED
    if study_id is None:
        query = query.where(t.trial_id.in_(among))
    else:
        query = query.where(t.study_id == study_id)
        if listed and after >= 0:
            query = query.where(sqlalchemy.or_(t.trial_id > after, t.trial_id.in_(among)))
    found = [tuple(row) for row in connection.execute(query)]
    if listed or study_id is None:
        return found
    return [row for row in found if row[0] > after or row[0] in among]


def _chosen(keys: list[int], *, of_study: int | None) -> Callable[..., Select[Any]]:
    """Return what makes a query of a table's columns, behind the trial's key, for some trials.

    These are all of a study, or those of ``keys``, and maybe more.
    """
    if of_study is not None:
        condition = TRIALS.c.study_id == of_study
    elif len(keys) <= _MAX_LISTED:
        condition = TRIALS.c.trial_id.in_(keys)
    else:
        condition = TRIALS.c.trial_id.between(keys[0], keys[-1])

    def of(table: sqlalchemy.Table, *columns: ColumnElement[Any]) -> Select[Any]:
        query = select(TRIALS.c.trial_id, *columns).join_from(
            TRIALS, table, table.c.trial_id == TRIALS.c.trial_id
        )
        order = next(c for c in table.c if c.name in ("objective", "param_id", "key", "step"))
        return query.where(condition).order_by(TRIALS.c.trial_id, order)

    return of


def _attributes(connection: Connection, query: Select[Any]) -> dict[int, dict[str, Any]]:
    found: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for key, name, text in connection.execute(query):
        found[key][name] = decode(text)
    return found


def _kind(column: ColumnElement[Any], lacking: Collection[str]) -> ColumnElement[Any]:
    """Return a column that names the kind of a number as text, NULL where there is none yet."""
    return sqlalchemy.null() if column.name in lacking else type_coerce(column, String)


def _number(value: float | None, kind: str | None) -> float:
    """Return a number; without a kind, as earlier versions of Optuna stored it."""
    if value is None:
        return _BEYOND[kind or "NAN"]
    infinite = kind is None and math.isclose(abs(value), _EARLIER_INFINITY, rel_tol=1e-5)
    return math.copysign(math.inf, value) if infinite else float(value)


def _in_utc(stored: datetime | None) -> datetime | None:
    return None if stored is None else stored.replace(tzinfo=UTC)


def _local(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone().replace(tzinfo=None)
