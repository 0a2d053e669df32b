"""What workers do to a study database in one transaction each, on Optuna's own tables.

What all of ``OPERATIONS`` keep to, on SQLite, on a server and behind gRPC:

- Arguments, behind the database, and results are what JSON holds, so that a server can do the
  same for a client (``storage.served.perform``). A tuple may come out as a list.
- An operation is done as a whole or not at all, whatever ends its process. The answer may be lost
  all the same, so what counts or creates can be asked for again: ``claim`` gives the same trial,
  ``fail`` and ``create_study`` say False, ``request`` asks for no more.
- What changes a study, or decides by all of its trials, holds the study until its end (``_held``).
  So of several at one moment each sees what the ones before it did. What only reads, and what
  only touches one trial (``write``, ``beat``), waits for nobody.
- A study that runs gets trials from ``claim``, ``fail`` and ``start_design`` alone, and what it
  keeps about its budget and its design is changed here alone. A running trial is written to by
  the worker that claimed it, and failed by anybody; one that has ended is changed by nobody.
- Any number of threads and processes may call them. A thread has a session, and while it is in
  an operation a connection, of its own.
- A study or trial that is not there is a KeyError, a trial that has ended an
  ``optuna.exceptions.UpdateFinishedTrialError``, a database that fails a ``StorageInternalError``.
"""

import enum
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage import attrs
from storage.bulk import insert_empty_study, insert_study, insert_study_attrs, remove_study
from storage.internals import (
    ARTIFACTS_ATTR_PREFIX,
    CONSTRAINTS,
    FILE_PLACES,
    Transaction,
    constraints_of,
    file_id,
    models,
    transaction,
)
from storage.stored import decode, legible
from storage.values import DesignState, Request, Stored, Value

# Optuna's own system attributes.
FIXED_PARAMS = "fixed_params"  # of a trial: values that its parameters will have
METRIC_NAMES = "study:metric_names"

# Ours: how far the zone of a trial's last heartbeat is ahead of UTC, in seconds; only on servers,
# whose sessions have zones, for SQLite's clock is UTC.
HEARTBEAT_ZONE = "emoji_study:heartbeat_zone"

IDENTITY = (attrs.DESIGN_INDEX, attrs.REPLICATE)  # what makes a trial that of a design's point
KEPT = (*IDENTITY, attrs.ERRORS, attrs.DEATHS)  # what a retry takes over

_CLOCKS = {
    "sqlite": "SELECT CURRENT_TIMESTAMP AS utc, CURRENT_TIMESTAMP AS own",
    "postgresql": "SELECT now() AT TIME ZONE 'UTC' AS utc, LOCALTIMESTAMP AS own",
    "mysql": "SELECT UTC_TIMESTAMP() AS utc, LOCALTIMESTAMP() AS own",
}


class Empty(enum.StrEnum):
    """Why there is nothing to claim."""

    DONE = "done"  # the target is reached
    BUSY = "busy"  # the trials that are running may reach it
    EXHAUSTED = "exhausted"  # the design has no more points


def create_study(
    backend: RDBStorage,
    name: str,
    directions: Sequence[str],
    metrics: Sequence[str],
    user_attrs: Mapping[str, Any],
    waiting: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]] = (),
) -> bool:
    """Create a study with all that it is to keep, or complete one that has nothing but a name.

    Such a one is left where another program was killed while it created the study. Any other of
    that name stays as it is, and the answer is False.

    Args:
        directions: Of its objectives, ``MINIMIZE`` or ``MAXIMIZE``.
        waiting: Parameters and user attributes of the trials that it begins with.
    """
    try:
        with transaction(backend) as opened:
            session = opened.session
            study_id = _empty_study(session, name, directions)
            if study_id is None:
                return False
            system = models.StudySystemAttributeModel
            named = session.query(system).filter_by(study_id=study_id, key=METRIC_NAMES)
            unnamed = {METRIC_NAMES: metrics} if named.first() is None else {}
            insert_study_attrs(session, study_id, user_attrs, unnamed)
            study = _Study(session, backend, study_id)
            for params, own in waiting:
                study.insert(TrialState.WAITING, own, params)
    except IntegrityError:  # somebody else did so at this moment
        return False
    return True


def _empty_study(session: Session, name: str, directions: Sequence[str]) -> int | None:
    """Return the key of a study that has nothing but its objectives, which may be a new one.

    None if there is a study of that name with more, or with other objectives.
    """
    found = session.query(models.StudyModel).filter_by(study_name=name).with_for_update()
    study = found.one_or_none()
    if study is None:
        return insert_empty_study(session, name, directions)
    study_id = int(study.study_id)
    rows = session.query(models.StudyDirectionModel).filter_by(study_id=study_id)
    stored = [row.direction.name for row in rows.order_by(models.StudyDirectionModel.objective)]
    filled = any(
        session.query(model).filter_by(study_id=study_id).first() is not None
        for model in (models.StudyUserAttributeModel, models.TrialModel)
    )
    return None if filled or stored != list(directions) else study_id


def claim(backend: RDBStorage, study_id: int, worker: str, uid: str | None = None) -> int | str:
    """Take the next trial of a study for a worker.

    A waiting trial if there is one, which is a retry or was enqueued by hand; else a new one, as
    long as finished and running trials together are fewer than the target. What a worker has
    claimed before and knows nothing of, because the answer was lost, it gets again.

    It is told by its key in the database, or by an ``Empty`` why there is none. Where the study
    has another ``uid``, it was deleted and its key given again, which is a KeyError.
    """
    with _held(backend, study_id) as study:
        if uid is not None and study.get(attrs.UID) != uid:
            raise KeyError(models.NOT_FOUND_MSG)
        running = study.running_of(worker)
        if running is not None:
            return running
        finished, n_running, _ = study.counts()
        target = study.get(attrs.TARGET) or 0
        if finished >= target:
            return Empty.DONE
        if finished + n_running >= target:
            return Empty.BUSY
        waiting = study.session.query(models.TrialModel).filter_by(
            study_id=study_id, state=TrialState.WAITING
        )
        trial = waiting.order_by(models.TrialModel.number).first()
        if trial is not None:
            trial.state = TrialState.RUNNING
            trial.datetime_start = datetime.now(UTC)
            study.set_attrs(int(trial.trial_id), {attrs.WORKER: worker})
        else:
            design = study.get(attrs.DESIGN)
            if design is None or design.next == design.end:
                return Empty.BUSY if n_running else Empty.EXHAUSTED
            user_attrs: dict[str, Any] = {attrs.DESIGN_INDEX: design.next, attrs.WORKER: worker}
            if design.replicate:
                user_attrs[attrs.REPLICATE] = design.replicate
            trial = study.insert(TrialState.RUNNING, user_attrs)
            study.set(attrs.DESIGN, asdict(replace(design, next=design.next + 1)))
        trial_id = int(trial.trial_id)
        _beat(study, trial_id)
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

    If it was not running any more, for somebody else has ended it, the answer is False.

    Args:
        reason: Stored with it; None if nobody knows.
        counter: User attribute that counts such failures over all attempts at a trial; None
            for one that does not count, and is always tried again.
        most: Failures after which it is still tried again.
        artifacts: Entries of files, as system attributes, for a trial that has none.
    """
    with _held(backend, study_id) as study:
        trial = study.session.get(models.TrialModel, trial_id)
        if trial is None or trial.state != TrialState.RUNNING:
            return False
        if reason is not None:
            study.set_attrs(trial_id, {attrs.FAILURE: reason})
        system = models.TrialSystemAttributeModel
        entries = study.session.query(system).filter(
            system.trial_id == trial_id, system.key.startswith(ARTIFACTS_ATTR_PREFIX)
        )
        if artifacts and entries.first() is None:
            study.set_attrs(trial_id, {}, artifacts)
        trial.state = TrialState.FAIL
        trial.datetime_complete = datetime.now(UTC)
        failed = study.to_frozen(trial)
        own = failed.user_attrs
        kept: dict[str, Any] = {name: own[name] for name in KEPT if name in own}
        if counter is not None:
            kept[counter] = kept.get(counter, 0) + 1
        if counter is None or kept[counter] <= most:
            params = {**failed.system_attrs.get(FIXED_PARAMS, {}), **failed.params}
            study.insert(TrialState.WAITING, kept | {attrs.RETRY_OF: failed.number}, params)
        return True


def request(
    backend: RDBStorage, study_id: int, n_trials: int, in_all: bool, replicate: int
) -> int:
    """Ask for more finished trials; return how many the study is to have.

    A request is open until it is acknowledged. As long as one is, asking again for as many
    trials or fewer asks for nothing more, and asking for more extends it. A request for another
    replicate takes its place, behind the trials that have begun or wait. One whose ``n_trials``
    counts, ``in_all``, those of earlier requests too never asks for more when it is repeated.
    """
    with _held(backend, study_id) as study:
        finished, running, waiting = study.counts()
        target = study.get(attrs.TARGET) or 0
        asked = study.get(attrs.REQUEST) or 0
        again = Request(replicate=replicate, open=True, target=target)
        last = study.get(attrs.LAST_REQUEST) or again
        same = last.replicate == replicate
        is_open = same and (finished < target or study.get(attrs.LAST_REQUEST) == again)
        if in_all:
            new = max(target, n_trials)
        elif is_open:
            new = target + max(0, n_trials - asked)
        else:
            new = finished + n_trials + (0 if same else running + waiting)
        study.set(attrs.REQUEST, max(n_trials, asked) if is_open else n_trials)
        study.set(attrs.TARGET, new)
        study.set(attrs.LAST_REQUEST, asdict(replace(again, target=new)))
        return new


def acknowledge(backend: RDBStorage, study_id: int, target: int) -> None:
    """End the request that returned ``target``, with its trials; one for more stays open."""
    with _held(backend, study_id) as study:
        last = study.get(attrs.LAST_REQUEST)
        if last is not None and last.target <= target:
            study.set(attrs.LAST_REQUEST, asdict(replace(last, open=False)))


def extend_experiment(
    backend: RDBStorage, study_id: int, experiment: Mapping[str, Any]
) -> dict[str, Any]:
    """Store an experiment, or more pairs of the stored one; return what is stored then.

    Of two at once the one with more pairs remains; one with other arms, or with other splits in
    pairs that are stored, changes nothing: these may be trained already.
    """
    with _held(backend, study_id) as study:
        stored, new = study.get(attrs.EXPERIMENT), attrs.EXPERIMENT.read(experiment)
        if stored is not None and new is not None:
            if not new.goes_with(stored):
                return dict(study.stored(attrs.EXPERIMENT))
            longer = {
                method: max(own, stored.sides.get(method, ()), key=len)
                for method, own in new.sides.items()
            }
            experiment = study.stored(attrs.EXPERIMENT) | {"sides": longer}
        study.set(attrs.EXPERIMENT, experiment)
        return dict(experiment)


def start_design(backend: RDBStorage, study_id: int, replicate: int, end: int | None) -> None:
    """Let new trials go on with the points of a replicate's design where its earlier ones ended.

    Points that only failed and did not diverge are queued again if the design has an ``end``,
    which is the number behind its last point.
    """
    with _held(backend, study_id) as study:
        drawn = study.drawn(replicate)
        start = max(drawn, default=-1) + 1
        design = study.get(attrs.DESIGN)
        if design is not None and design.replicate == replicate:
            start = design.next
            end = None if end is None or design.end is None else max(end, design.end)
        for index, number in sorted(drawn.items()) if end is not None else []:
            if number is None:
                continue
            own: dict[str, Any] = {attrs.DESIGN_INDEX: index, attrs.RETRY_OF: number}
            if replicate:
                own[attrs.REPLICATE] = replicate
            study.insert(TrialState.WAITING, own)
        design = DesignState(next=start, end=end, replicate=replicate)
        study.set(attrs.DESIGN, asdict(design))


def has_points(backend: RDBStorage, study_id: int) -> bool:
    """Say whether the design of a study has points left to train, or to try again.

    Those that run or wait are not left. A design without an end always has.
    """
    with transaction(backend) as opened:
        study = _Study(opened.session, backend, study_id)
        design = study.get(attrs.DESIGN)
        if design is None or design.end is None or design.next < design.end:
            return True
        return any(n is not None for n in study.drawn(design.replicate).values())


def write(
    backend: RDBStorage,
    trial_id: int,
    params: Sequence[tuple[str, float, str]] = (),
    user_attrs: Mapping[str, Any] | None = None,
    intermediate_values: Sequence[tuple[int, float]] = (),
    system_attrs: Mapping[str, Any] | None = None,
    untried_in: int | None = None,
) -> bool:
    """Store what is new of a running trial; attributes may also be replaced.

    Args:
        params: Name, Optuna's internal representation of the value, and distribution as JSON.
        untried_in: The trial's study if nothing is to be stored, and False returned, where
            another trial of it, of the same replicate, has all of ``params``; else None.
    """
    with transaction(backend) if untried_in is None else _held(backend, untried_in) as opened:
        if untried_in is not None and _is_tried(opened.session, untried_in, trial_id, params):
            return False
        _require_unfinished(opened, trial_id)
        opened.set_params(trial_id, params)
        opened.set_attrs(trial_id, user_attrs or {}, system_attrs)
        model = models.TrialIntermediateValueModel
        for step, reported in intermediate_values:
            value, kind = model.intermediate_value_to_stored_repr(reported)
            row = model(trial_id=trial_id, step=step, intermediate_value=value)
            row.intermediate_value_type = kind
            opened.session.add(row)
        return True


def beat(backend: RDBStorage, trial_id: int) -> None:
    """Record that a running trial is alive."""
    with transaction(backend) as opened:
        _require_unfinished(opened, trial_id)
        _beat(opened, trial_id)


def silences(backend: RDBStorage, study_id: int) -> list[tuple[int, float]]:
    """Return each running trial that has a heartbeat, and the seconds since then.

    By the clock of the database, as the workers' may differ, and whatever zones it was read in.
    """
    trials, beats = models.TrialModel, models.TrialHeartbeatModel
    zones = models.TrialSystemAttributeModel
    unmarked = 0.0 if backend.engine.name == "sqlite" else None
    with transaction(backend) as opened:
        now, _ = _clock(opened)
        rows = (
            opened.session.query(beats.trial_id, beats.heartbeat, zones.value_json)
            .join(trials, trials.trial_id == beats.trial_id)
            .outerjoin(zones, (zones.trial_id == beats.trial_id) & (zones.key == HEARTBEAT_ZONE))
            .filter(trials.study_id == study_id, trials.state == TrialState.RUNNING)
        )
        return [
            (key, since((now - beat).total_seconds(), unmarked if zone is None else float(zone)))
            for key, beat, zone in rows
        ]


def since(seconds: float, zone: float | None) -> float:
    """Return how long ago something was that was noted in a zone's time.

    Args:
        seconds: Time now, in UTC, minus what was noted.
        zone: What the zone is ahead of UTC, in seconds; None where nobody knows, as for other
            programs' heartbeats. Of all zones, quarters of an hour from -12 to 14 hours, it is
            then the one of the shortest time, for nobody is thought dead who may be alive.
    """
    if zone is None:
        zone = min(max(seconds % (15 * 60) - seconds, -12 * 3600), 14 * 3600)
    return seconds + zone


def times(backend: RDBStorage, study_id: int) -> list[tuple[int, str | None, str | None]]:
    """Return the database's key, start and end of each trial, in UTC and ISO 8601.

    Optuna gives them in local time without a zone, of which an hour of every autumn is two.
    """
    table = models.TrialModel.__table__.c
    with transaction(backend) as opened:
        rows = opened.session.query(table.trial_id, table.datetime_start, table.datetime_complete)
        return [
            (trial_id, _in_utc(start), _in_utc(end))
            for trial_id, start, end in rows.filter(table.study_id == study_id)
        ]


def _in_utc(stored: datetime | None) -> str | None:
    return None if stored is None else stored.replace(tzinfo=UTC).isoformat()


def overview(backend: RDBStorage, names: Sequence[str]) -> list[dict[str, Any]]:
    """Tell of each study what a list shows, in the order in which they were made.

    That is its ``key``, ``name``, ``directions`` and ``metric_names``, its user attributes of
    these ``names`` (``attrs``), the number of its trials by ``states``, and its ``best`` trial of
    one objective, None without one: ``number``, ``value`` and ``attrs``.
    """
    trials, user = models.TrialModel, models.StudyUserAttributeModel
    system, way = models.StudySystemAttributeModel, models.StudyDirectionModel
    with legible() as place, transaction(backend) as opened:
        query = opened.session.query
        studies = query(models.StudyModel.study_id, models.StudyModel.study_name)
        told: dict[int, dict[str, Any]] = {
            key: {"key": key, "name": name, "directions": [], "metric_names": []}
            | {"attrs": {}, "states": {}}
            for key, name in studies.order_by(models.StudyModel.study_id)
        }
        for key, direction in query(way.study_id, way.direction).order_by(way.objective):
            told[key]["directions"].append(direction.name.lower())
        found = query(system.study_id, system.value_json).filter(system.key == METRIC_NAMES)
        for key, text in found:
            told[key]["metric_names"] = decode(text)
        attributes = query(user.study_id, user.key, user.value_json)
        for key, name, text in attributes.filter(user.key.in_(names)):
            told[key]["attrs"][name] = decode(text)
        counts = query(trials.study_id, trials.state, sqlalchemy.func.count())
        for key, state, n in counts.group_by(trials.study_id, trials.state):
            told[key]["states"][state.name] = n
        broken = _broken(opened.session, [k for k in told if attrs.is_ours(told[k]["attrs"])])
        for key, study in told.items():
            place.study = study["name"]
            if not study["directions"]:
                raise ValueError("there is no direction")
            study["best"] = _best(opened.session, key, study["directions"], broken)
        return list(told.values())


def _broken(session: Session, ours: Sequence[int]) -> set[int]:
    """Return the keys of all trials that break a constraint, one of ours or one of Optuna's."""
    trials, own = models.TrialModel, models.TrialUserAttributeModel
    system = models.TrialSystemAttributeModel
    flagged = session.query(own.trial_id).join(trials, trials.trial_id == own.trial_id)
    flagged = flagged.filter(own.key == attrs.INFEASIBLE, trials.study_id.in_(ours))
    stored: dict[int, dict[str, Any]] = {}
    rows = session.query(system.trial_id, system.key, system.value_json)
    for key, name, text in rows.filter(system.key.startswith(CONSTRAINTS)):
        stored.setdefault(key, {})[name] = decode(text)
    return {int(key) for (key,) in flagged} | {
        key for key, own in stored.items() if any(x > 0 for x in constraints_of(own).values())
    }


def _best(
    session: Session, study_id: int, directions: Sequence[str], broken: Collection[int]
) -> dict[str, Any] | None:
    """Return the best trial of a study with one objective, the earlier one of equal ones."""
    if len(directions) != 1:
        return None
    trials, values = models.TrialModel, models.TrialValueModel
    user = models.TrialUserAttributeModel
    sign = -1 if directions[0] == "maximize" else 1
    rank = sqlalchemy.case(
        (values.value_type == values.TrialValueType.INF_NEG, -sign),
        (values.value_type == values.TrialValueType.INF_POS, sign),
        else_=0,
    )
    rows = (
        session.query(trials.trial_id, trials.number, values.value, values.value_type)
        .join(values, values.trial_id == trials.trial_id)
        .filter(trials.study_id == study_id, trials.state == TrialState.COMPLETE)
        .filter(values.objective == 0)
        .order_by(rank, sign * values.value, trials.number)
    )
    for key, number, value, kind in rows.yield_per(100):
        if key not in broken:
            found = session.query(user.key, user.value_json).filter(user.trial_id == key)
            own = {name: decode(text) for name, text in found}
            return {
                "number": number,
                "value": float(values.stored_repr_to_value(value, kind)),
                "attrs": own,
            }
    return None


def set_study_system_attrs(
    backend: RDBStorage, study_id: int, values: Mapping[str, Any], prefixes: Sequence[str]
) -> list[str]:
    """Store system attributes of a study; remove others with prefixes, and return their names."""
    with _held(backend, study_id) as study:
        session, model = study.session, models.StudySystemAttributeModel
        rows = {str(row.key): row for row in session.query(model).filter_by(study_id=study_id)}
        beginnings = tuple(prefixes)
        removed = [name for name in rows if name.startswith(beginnings) and name not in values]
        for name in removed:
            session.delete(rows[name])
        for name, value in values.items():
            if name not in rows:
                rows[name] = model(study_id=study_id, key=name)
                session.add(rows[name])
            rows[name].value_json = json.dumps(value)
        return removed


def keep_study_attr(backend: RDBStorage, study_id: int, name: str, value: Any) -> Any:
    """Store a user attribute of a study unless it has one; return the stored one."""
    with _held(backend, study_id) as study:
        stored = study.stored(name)
        if stored is None:
            study.set(name, stored := value)
        return stored


def merge_study_attr(
    backend: RDBStorage, study_id: int, name: str, entries: Mapping[str, Any]
) -> dict[str, Any]:
    """Add entries to a user attribute of a study, where it has none; return all of them."""
    with _held(backend, study_id) as study:
        stored = study.stored(name) or {}
        merged = stored | {key: entries[key] for key in entries if key not in stored}
        if merged != stored:
            study.set(name, merged)
        return merged


def insert_studies(backend: RDBStorage, studies: Sequence[Mapping[str, Any]]) -> bool:
    """Add whole studies, see ``bulk.insert_study``; False, and none, if a name is taken."""
    try:
        with transaction(backend) as opened:
            for study in studies:
                insert_study(opened.session, study)
    except IntegrityError:
        return False
    return True


def rename_studies(backend: RDBStorage, names: Mapping[str, str]) -> bool:
    """Give studies new names, also in what follows them; False, and none, if a name is taken."""
    try:
        with transaction(backend) as opened:
            studies = _held_studies(opened.session, names)
            if studies.keys() - names.keys() & set(names.values()):
                return False
            for study in studies.values():
                _follow_renamed(_Study(opened.session, backend, int(study.study_id)), names)
            for old, new in names.items():
                studies[old].study_name = new
    except IntegrityError:  # somebody else took a name at this moment
        return False
    return True


def _follow_renamed(study: "_Study", names: Mapping[str, str]) -> None:
    """Let an experiment of ours follow a search by its new name."""
    experiment = study.get(attrs.EXPERIMENT)
    if experiment is None or experiment.follows not in names:
        return
    if study.get(attrs.SETTINGS) is not None:
        old, new = experiment.follows, names[experiment.follows]
        question = experiment.question.replace(f"study {old} ", f"study {new} ")
        changed = {"follows": new, "question": question}
        study.set(attrs.EXPERIMENT, study.stored(attrs.EXPERIMENT) | changed)


def delete_studies(backend: RDBStorage, names: Sequence[str]) -> list[str]:
    """Remove studies with all their trials; return the ids of the files that nobody has then."""
    with transaction(backend) as opened:
        studies = _held_studies(opened.session, names)
        before = _file_ids(opened.session)
        for name in names:
            remove_study(opened.session, int(studies[name].study_id))
        return sorted(before - _file_ids(opened.session))


def _held_studies(session: Session, names: Collection[str]) -> dict[str, Any]:
    """Hold all studies until the end of a transaction, and return them by name."""
    rows = session.query(models.StudyModel).order_by(models.StudyModel.study_id)
    studies = {str(study.study_name): study for study in rows.with_for_update()}
    if not studies.keys() >= set(names):
        raise KeyError(models.NOT_FOUND_MSG)
    return studies


def _file_ids(session: Session) -> set[str]:
    """Return the ids of the files of all studies and trials."""
    return {
        file_id(str(name))
        for model in (models.StudySystemAttributeModel, models.TrialSystemAttributeModel)
        for place in FILE_PLACES
        for (name,) in session.query(model.key).filter(model.key.startswith(place)).distinct()
    }


OPERATIONS = {  # by name, as a client asks for them
    function.__name__: function
    for function in (
        *(create_study, request, acknowledge, extend_experiment, start_design, has_points),
        *(claim, fail, write, beat, silences, times, overview),
        *(set_study_system_attrs, keep_study_attr, merge_study_attr),
        *(insert_studies, rename_studies, delete_studies),
    )
}


@dataclass(frozen=True, slots=True)
class _Study(Transaction):
    """A study in a transaction."""

    key: int

    def get(self, name: Stored[Value]) -> Value | None:
        """Return a user attribute, None without it."""
        return name.read(self.stored(name))

    def stored(self, name: str) -> Any:
        """Return a user attribute as it is stored, None without it."""
        row = self._attr_row(name)
        return None if row is None else json.loads(row.value_json)

    def set(self, name: str, value: Any) -> None:
        row = self._attr_row(name)
        if row is None:
            row = models.StudyUserAttributeModel(study_id=self.key, key=name)
            self.session.add(row)
        row.value_json = json.dumps(value)

    def _attr_row(self, name: str) -> Any:
        rows = self.session.query(models.StudyUserAttributeModel)
        return rows.filter_by(study_id=self.key, key=name).one_or_none()

    def insert(
        self, state: TrialState, own: Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> models.TrialModel:
        """Add a trial with user attributes that will have the values ``params``."""
        fixed = {FIXED_PARAMS: dict(params)} if params else {}
        trial = create_trial(state=state, user_attrs=dict(own), system_attrs=fixed)
        return self.insert_trial(self.key, trial)

    def counts(self) -> tuple[int, int, int]:
        """Return how many trials are finished, how many are running, and how many wait."""
        rows = self.session.query(models.TrialModel.state, sqlalchemy.func.count())
        rows = rows.filter_by(study_id=self.key).group_by(models.TrialModel.state)
        counts = {state: int(n) for state, n in rows}
        finished = counts.get(TrialState.COMPLETE, 0) + counts.get(TrialState.PRUNED, 0)
        return finished, counts.get(TrialState.RUNNING, 0), counts.get(TrialState.WAITING, 0)

    def running_of(self, worker: str) -> int | None:
        """Return a running trial that a worker has claimed."""
        trials, own = models.TrialModel, models.TrialUserAttributeModel
        rows = (
            self.session.query(trials.trial_id)
            .join(own)
            .filter(trials.study_id == self.key, trials.state == TrialState.RUNNING)
            .filter(own.key == attrs.WORKER, own.value_json == json.dumps(worker))
        )
        row = rows.first()
        return None if row is None else int(row[0])

    def drawn(self, replicate: int) -> dict[int, int | None]:
        """Return each drawn point of a design, with its last trial's number if it only failed.

        None for all others, and where a training diverged, as it would again.
        """
        trials, own = models.TrialModel, models.TrialUserAttributeModel
        rows = (
            self.session.query(trials.number, trials.state, own.key, own.value_json)
            .join(own, own.trial_id == trials.trial_id)
            .filter(trials.study_id == self.key, own.key.in_((*IDENTITY, attrs.FAILURE)))
            .order_by(trials.number)
        )
        values: dict[tuple[int, TrialState], dict[str, Any]] = {}
        for number, state, key, value in rows:
            values.setdefault((number, state), {})[key] = json.loads(value)
        points: dict[int, int | None] = {}
        for (number, state), found in values.items():
            index = attrs.DESIGN_INDEX.among(found)
            if index is not None and (attrs.REPLICATE.among(found) or 0) == replicate:
                again = state == TrialState.FAIL and not attrs.has_diverged(found)
                points[index] = number if again and points.get(index, 0) is not None else None
        return points


@contextmanager
def _held(backend: RDBStorage, study_id: int) -> Iterator[_Study]:
    """Open a transaction that keeps other workers from claiming until it ends.

    A server locks the row of the study; SQLite the whole file, as it does for every writer.
    """
    with transaction(backend) as opened:
        study = opened.session.query(models.StudyModel).filter_by(study_id=study_id)
        if study.with_for_update().one_or_none() is None:
            raise KeyError(models.NOT_FOUND_MSG)
        yield _Study(opened.session, backend, study_id)


def _require_unfinished(opened: Transaction, trial_id: int) -> None:
    """Raise the error of a trial that has ended, or is not there."""
    trial: Any = models.TrialModel.find_or_raise_by_id(trial_id, opened.session)
    opened.database.check_trial_is_updatable(trial_id, trial.state)


def _clock(opened: Transaction) -> tuple[datetime, datetime]:
    """Return the time of the database in UTC and in the zone of its session, both without one."""
    query = sqlalchemy.text(_CLOCKS[opened.database.engine.name])
    moment = sqlalchemy.DateTime()
    utc, own = opened.session.execute(query.columns(utc=moment, own=moment)).one()
    return utc, own


def _beat(opened: Transaction, trial_id: int) -> None:
    """Note the time where Optuna does and, as it does, in the session's zone; and that zone."""
    utc, own = _clock(opened)
    model = models.TrialHeartbeatModel
    row = opened.session.query(model).filter_by(trial_id=trial_id).one_or_none()
    if row is None:
        row = model(trial_id=trial_id)
        opened.session.add(row)
    row.heartbeat = own
    if opened.database.engine.name != "sqlite":
        zone = {HEARTBEAT_ZONE: round((own - utc).total_seconds())}
        opened.set_attrs(trial_id, {}, zone)


def _is_tried(
    session: Session, study_id: int, trial_id: int, params: Sequence[tuple[str, float, str]]
) -> bool:
    """Say whether another trial of a study, of the same replicate, has these parameters."""
    model = models.TrialParamModel
    equal = [
        (model.param_name == name) & (model.param_value == value) for name, value, _ in params
    ]
    others = session.query(model.trial_id).filter(model.trial_id != trial_id)
    # Hardly any trial shares a number of such a range, and these are looked at alone.
    floats = (i for i, (_, _, text) in enumerate(params) if "FloatDistribution" in text)
    rarest = next(floats, 0)
    own = sqlalchemy.select(models.TrialModel.trial_id).filter_by(study_id=study_id)
    sharing = others.filter(model.trial_id.in_(own), equal[rarest])
    found = (
        others.filter(model.trial_id.in_(sharing), sqlalchemy.or_(*equal))
        .group_by(model.trial_id)
        .having(sqlalchemy.func.count() == len(params))
    )
    replicate = _replicate(session, trial_id)
    return any(_replicate(session, int(other)) == replicate for (other,) in found.all())


def _replicate(session: Session, trial_id: int) -> int:
    rows = session.query(models.TrialUserAttributeModel)
    found = rows.filter_by(trial_id=trial_id, key=attrs.REPLICATE).one_or_none()
    return 0 if found is None else int(json.loads(str(found.value_json)))
