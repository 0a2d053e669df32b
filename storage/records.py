"""Read-only records of a study and its trials, the only input of the analysis; their counts."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self, get_args

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from storage import attrs, operations
from storage.bulk import instant
from storage.errors import UnknownStudyError
from storage.internals import constraints_of, database_of, transaction, trial_key
from storage.outages import outage
from storage.reading import Database, read_ends, read_trials
from storage.served import ServedStorage, operable, perform
from storage.stored import legible
from storage.values import Scalar

SUMMARISED = [attrs.SETTINGS, attrs.KIND, attrs.EXPERIMENT, attrs.IMPORTED]
"""User attributes of a study that a list tells of."""

_SCALARS = get_args(Scalar)

Times = tuple[datetime | None, datetime | None]  # when a trial started and when it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial, as stored.

    Args:
        number: Position in the study, from 0.
        trial_id: The database's key, which the artifact store and the dashboard use.
        values: Of the objectives, in the order of the study's directions; empty unless complete.
        params, distributions: Value and range of each parameter that was active.
        intermediate_values: The objective by step, counted from 0.
        user_attrs: What this package stored, by the names in ``storage.attrs``.
        other_attrs: All other user attributes, whatever their names; all of another's trial.
        constraints: Of another's trial, by name; one above 0 is broken.
        started, completed: In UTC, None before that.
    """

    number: int
    trial_id: int
    state: TrialState
    values: tuple[float, ...]
    params: Mapping[str, Scalar]
    distributions: Mapping[str, BaseDistribution]
    intermediate_values: Mapping[int, float]
    user_attrs: Mapping[str, Any]
    other_attrs: Mapping[str, Any] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)
    started: datetime | None = None
    completed: datetime | None = None

    @property
    def value(self) -> float | None:
        """The value of the first objective; only a complete trial has one."""
        return self.values[0] if self.values else None

    @property
    def finished(self) -> bool:
        """Whether the trial counts towards the budget: complete or pruned."""
        return self.state in (TrialState.COMPLETE, TrialState.PRUNED)

    @property
    def feasible(self) -> bool:
        """Whether the trial keeps the study's constraint, if there is one."""
        return not attrs.INFEASIBLE.of(self) and all(
            lack <= 0 for lack in self.constraints.values()
        )

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end, or None while there is no end."""
        if self.started is None or self.completed is None:
            return None
        return (self.completed - self.started).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """One study with all its trials, in the order of their numbers.

    Args:
        directions: ``"minimize"`` or ``"maximize"`` for each objective.
        metric_names: Of the objectives, as Optuna stores them; empty if none are stored.
        user_attrs: What this package stored, by the names in ``storage.attrs``.
        other_attrs: All other user attributes, whatever their names; all of another's study.
    """

    name: str
    directions: tuple[str, ...]
    user_attrs: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    metric_names: tuple[str, ...] = ()
    other_attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> tuple[TrialRecord, ...]:
        """Trials with an objective value."""
        return tuple(trial for trial in self.trials if trial.state == TrialState.COMPLETE)

    @property
    def best(self) -> TrialRecord | None:
        """The feasible complete trial with the best value; the earlier one of equal ones.

        An infinite value may be the best, as for Optuna. With several objectives, which have no
        best trial, that of the first one.
        """
        sign = -1.0 if self.directions[0] == "maximize" else 1.0
        valued = (
            t for t in self.complete if t.values and not math.isnan(t.values[0]) and t.feasible
        )
        return min(valued, key=lambda trial: sign * trial.values[0], default=None)


def _plain(value: Any) -> Scalar:
    """Return a choice as a scalar; what Optuna warns of, such as a list, as its text."""
    return value if isinstance(value, _SCALARS) else str(value)


def _plain_range(found: BaseDistribution) -> BaseDistribution:
    """Return a range whose choices are scalars."""
    match found:
        case CategoricalDistribution(choices=choices) if not all(
            isinstance(choice, _SCALARS) for choice in choices
        ):
            return CategoricalDistribution(tuple(map(_plain, choices)))
    return found


def to_record(trial: FrozenTrial, *, ours: bool = True) -> TrialRecord:
    """Turn one of Optuna's trials into a record; one of ``ours`` has attributes of ours."""
    start, end = trial.datetime_start, trial.datetime_complete
    own, others = attrs.parted(dict(trial.user_attrs), ours=ours)
    constraints = constraints_of(trial.system_attrs)
    if ours and any(lack > 0 for lack in constraints.values()):
        own = {**own, attrs.INFEASIBLE: True}
    return TrialRecord(
        number=trial.number,
        trial_id=trial_key(trial),
        state=trial.state,
        # A pruned trial's value is only its last report, not comparable with a full training.
        values=tuple(trial.values or ()) if trial.state == TrialState.COMPLETE else (),
        params={name: _plain(value) for name, value in trial.params.items()},
        distributions={name: _plain_range(d) for name, d in trial.distributions.items()},
        intermediate_values=dict(sorted(trial.intermediate_values.items())),
        user_attrs=own,
        other_attrs=others,
        constraints={} if ours else constraints,
        # What was stored after the trial was read is not of this state.
        started=start.astimezone(UTC) if start and trial.state != TrialState.WAITING else None,
        completed=end.astimezone(UTC) if end and trial.state.is_finished() else None,
    )


def _load_trials(
    storage: BaseStorage,
    study_id: int,
    *,
    ours: bool,
    finished_reports: bool,
    known: Sequence[TrialRecord],
) -> tuple[TrialRecord, ...]:
    """Read all trials of a study, by number, but those that are known and have not changed."""
    database = database_of(storage)
    if not isinstance(database, Database):
        trials = storage.get_all_trials(study_id, deepcopy=False)
        return _with_times(storage, study_id, [to_record(trial, ours=ours) for trial in trials])
    with transaction(database) as opened:
        connection = opened.session.connection()
        ends = read_ends(connection, study_id) if known else {}
        kept = {
            trial.trial_id: trial
            for trial in known
            if trial.state.is_finished()
            and ends.get(trial.trial_id) == (trial.state, trial.completed)
        }
        found = read_trials(
            connection,
            study_id,
            after=max(ends, default=-1),
            among=ends.keys() - kept.keys(),
            finished_reports=finished_reports,
            constraints_only=True,
            lacking=database.lacking,
        )
        new = [to_record(trial, ours=ours) for trial in found]
    return tuple(sorted((*kept.values(), *new), key=lambda trial: trial.number))


def _with_times(
    storage: BaseStorage, study_id: int, trials: Sequence[TrialRecord]
) -> tuple[TrialRecord, ...]:
    """Give trials their exact times, where a server knows them; Optuna's are local ones."""
    if not isinstance(storage, ServedStorage):
        return tuple(trials)
    stored = load_times(storage, study_id)
    return tuple(
        replace(
            trial,
            started=trial.started and start,
            completed=trial.completed and end,
        )
        for trial in trials
        for start, end in [stored.get(trial.trial_id, (trial.started, trial.completed))]
    )


def load_times(storage: BaseStorage, study_id: int) -> dict[int, Times]:
    """Return start and end of each trial, by the database's key."""
    stored = perform(storage, operations.times, study_id=study_id)
    return {key: (instant(start), instant(end)) for key, start, end in stored}


def study_names(storage: BaseStorage) -> list[str]:
    """Return the names of all studies, in the order of their creation."""
    return [study.study_name for study in storage.get_all_studies()]


def followups(storage: BaseStorage) -> dict[str, str]:
    """Return the names of the experiments that follow another study, each with that study's."""
    return {
        study.study_name: experiment.follows
        for study in storage.get_all_studies()
        if attrs.is_ours(study.user_attrs)
        and (experiment := attrs.EXPERIMENT.of(study))
        and experiment.follows
    }


def only_study(storage: BaseStorage) -> str:
    """Return the name of a storage's only study, follow-ups aside; else an UnknownStudyError."""
    names, followed = study_names(storage), followups(storage)
    searches = [name for name in names if name not in followed]
    if len(searches) != 1:
        known = ", ".join(names) or "none"
        raise UnknownStudyError(f"Name one study with --study; the storage holds: {known}.")
    return searches[0]


def unknown_study(storage: BaseStorage, name: str) -> UnknownStudyError:
    """Return the error that a storage has no study of a name, and which it has."""
    known = ", ".join(study_names(storage)) or "none"
    return UnknownStudyError(
        f"There is no study named {name!r} in this storage; it holds: {known}."
    )


def load_study_record(
    storage: BaseStorage,
    name: str,
    *,
    finished_reports: bool = True,
    known: StudyRecord | None = None,
) -> StudyRecord:
    """Read a whole study; an UnknownStudyError if the storage holds none of that name.

    Args:
        finished_reports: Whether to read intermediate values of trials that have ended, by far the
            most of what there is to read.
        known: What was read before; trials that had ended then are not read again.
    """
    try:
        study_id = storage.get_study_id_from_name(name)
    except KeyError:
        raise unknown_study(storage, name) from None
    with legible(name):
        user_attrs = storage.get_study_user_attrs(study_id)
        ours = attrs.is_ours(user_attrs)
        own, others = attrs.parted(user_attrs, ours=ours)
        directions = tuple(d.name.lower() for d in storage.get_study_directions(study_id))
        if not directions:
            raise ValueError("there is no direction")
        system_attrs = storage.get_study_system_attrs(study_id)
        return StudyRecord(
            name=name,
            directions=directions,
            user_attrs=own,
            other_attrs=others,
            trials=_load_trials(
                storage,
                study_id,
                ours=ours,
                finished_reports=finished_reports,
                known=() if known is None else known.trials,
            ),
            metric_names=_metric_names(system_attrs.get(operations.METRIC_NAMES), directions),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of a study's trials by state."""

    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int

    @property
    def finished(self) -> int:
        """Trials that count: complete or pruned."""
        return self.complete + self.pruned

    @classmethod
    def of(cls, states: Mapping[str, int]) -> Self:
        """Return how many trials there are by the names of Optuna's states."""
        return cls(
            complete=states.get("COMPLETE", 0),
            pruned=states.get("PRUNED", 0),
            failed=states.get("FAIL", 0),
            running=states.get("RUNNING", 0),
            waiting=states.get("WAITING", 0),
        )


def count(trials: Sequence[FrozenTrial | TrialRecord]) -> Progress:
    """Count trials by state."""
    return Progress.of(Counter(trial.state.name for trial in trials))


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrial:
    """The best trial of a study, as far as a list tells of it; ``user_attrs`` are ours."""

    values: tuple[float, ...]
    user_attrs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """What a list tells of a study, for which hardly a trial is read.

    Args:
        user_attrs: Of these names: ``SUMMARISED``; empty for another program's study.
        best: Of one objective; it keeps the constraint.
    """

    study_id: int
    name: str
    directions: tuple[str, ...]
    metric_names: tuple[str, ...]
    user_attrs: Mapping[str, Any]
    progress: Progress
    best: BestTrial | None


def load_summaries(storage: BaseStorage) -> list[StudySummary]:
    """Read what a list tells of all studies, in the order in which they were made."""
    if not operable(storage):
        records = [load_study_record(storage, name) for name in study_names(storage)]
        return [_summarised(storage, record) for record in records]
    return list(map(_summary, perform(storage, operations.overview, names=SUMMARISED)))


def _metric_names(stored: Any, directions: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the objectives, none unless there is a text for each."""
    known = isinstance(stored, list) and all(isinstance(name, str) for name in stored)
    return tuple(stored) if known and len(stored) == len(directions) else ()


def _summary(found: Mapping[str, Any]) -> StudySummary:
    ours, best = attrs.is_ours(found["attrs"]), found["best"]
    return StudySummary(
        study_id=found["key"],
        name=found["name"],
        directions=tuple(found["directions"]),
        metric_names=_metric_names(found["metric_names"], found["directions"]),
        user_attrs=attrs.parted(found["attrs"], ours=ours)[0],
        progress=Progress.of(found["states"]),
        best=best
        and BestTrial(
            values=(best["value"],), user_attrs=attrs.parted(best["attrs"], ours=ours)[0]
        ),
    )


def _summarised(storage: BaseStorage, record: StudyRecord) -> StudySummary:
    best = record.best if len(record.directions) == 1 else None
    return StudySummary(
        study_id=storage.get_study_id_from_name(record.name),
        name=record.name,
        directions=record.directions,
        metric_names=record.metric_names,
        user_attrs={k: v for k, v in record.user_attrs.items() if k in SUMMARISED},
        progress=count(record.trials),
        best=None if best is None else BestTrial(values=best.values, user_attrs=best.user_attrs),
    )


def finished_trials(study: optuna.Study) -> int | None:
    """Return how many trials count so far; None in an outage of the database."""
    try:
        return count(study.get_trials(deepcopy=False)).finished
    except Exception as error:
        if outage(error) is None:
            raise
        return None
