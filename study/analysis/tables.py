"""Tables of a study: best trials, families, failures, and all trials as a data frame.

Must not know how they are written or shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import pandas as pd
from optuna.trial import TrialState

from storage.attrs import FAILURE, PARAMETER_COUNT, WORKER
from storage.records import Scalar, StudyRecord
from study.analysis import family_of, parameter_names, ranked
from study.analysis.history import epochs_run, training_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrial:
    """One of the best trials.

    Args:
        rank: Place, from 1.
        number: The trial's number.
        value: Validation MSE.
        family: Architecture.
        params: Its parameters.
        epochs_run: Epochs trained.
        training_seconds: Seconds trained.
        parameter_count: Weights of the model, None if not stored.
    """

    rank: int
    number: int
    value: float
    family: str
    params: Mapping[str, Scalar]
    epochs_run: int
    training_seconds: float
    parameter_count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrialsInfo:
    """The best complete trials.

    Args:
        parameters: Every parameter that any of them has, in the order of the space.
        trials: Best first.
    """

    parameters: tuple[str, ...]
    trials: tuple[BestTrial, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What one architecture reached.

    Args:
        name: The architecture.
        n_complete: Complete trials with a finite value.
        n_pruned: Pruned trials.
        best_number: Number of the best trial, None without a complete one.
        best: Lowest validation MSE.
        median: Median validation MSE of the complete trials.
        mean: Mean of the same.
    """

    name: str
    n_complete: int
    n_pruned: int
    best_number: int | None
    best: float | None
    median: float | None
    mean: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamiliesInfo:
    """All families with a finished trial, best first."""

    families: tuple[Family, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed trial.

    Args:
        number: The trial's number.
        message: Why it failed, None if its worker died before it could say so.
        params: Parameters that it had been given.
        worker: The process that ran it, None if not stored.
    """

    number: int
    message: str | None
    params: Mapping[str, Scalar]
    worker: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailuresInfo:
    """All failed trials, in the order of their numbers."""

    failures: tuple[Failure, ...]


def get_best_trials(record: StudyRecord, *, k: int = 10) -> BestTrialsInfo:
    """Return the ``k`` complete trials with the lowest validation MSE."""
    best = [
        BestTrial(
            rank=rank,
            number=trial.number,
            value=value,
            family=family_of(trial),
            params=trial.params,
            epochs_run=epochs_run(trial),
            training_seconds=training_seconds(trial),
            parameter_count=trial.user_attrs.get(PARAMETER_COUNT),
        )
        for rank, (value, trial) in enumerate(ranked(record)[:k], start=1)
    ]
    used = {name for trial in best for name in trial.params}
    return BestTrialsInfo(
        parameters=tuple(name for name in parameter_names(record) if name in used),
        trials=tuple(best),
    )


def get_families(record: StudyRecord) -> FamiliesInfo:
    """Return best, median and mean validation MSE of each family."""
    best_first = ranked(record)
    families = []
    for name in sorted({family_of(trial) for trial in record.trials if trial.finished}):
        members = [(value, trial) for value, trial in best_first if family_of(trial) == name]
        values = [value for value, _ in members]
        pruned = [t for t in record.trials if t.state == TrialState.PRUNED]
        families.append(
            Family(
                name=name,
                n_complete=len(members),
                n_pruned=sum(family_of(trial) == name for trial in pruned),
                best_number=members[0][1].number if members else None,
                best=values[0] if values else None,
                median=median(values) if values else None,
                mean=fmean(values) if values else None,
            )
        )
    return FamiliesInfo(
        families=tuple(sorted(families, key=lambda f: (f.best is None, f.best or 0.0)))
    )


def get_failures(record: StudyRecord) -> FailuresInfo:
    """Return every failed trial with its message."""
    return FailuresInfo(
        failures=tuple(
            Failure(
                number=trial.number,
                message=trial.user_attrs.get(FAILURE),
                params=trial.params,
                worker=trial.user_attrs.get(WORKER),
            )
            for trial in record.trials
            if trial.state == TrialState.FAIL
        )
    )


def to_frame(record: StudyRecord) -> pd.DataFrame:
    """Return all trials as a table, one row each.

    Args:
        record: The study.

    Returns:
        Columns ``number``, ``state``, ``value``, the parameters by their names, the scalar user
        attributes by theirs (``attr_`` before a name that is taken), ``started``,
        ``completed`` and ``duration_s``. Booleans and integers are nullable, other numbers
        float64, times datetime64, everything else strings; what a trial lacks is missing.
    """
    trials = record.trials
    columns: dict[str, pd.Series[Any]] = {
        "number": _column([trial.number for trial in trials], "Int64"),
        "state": _column([trial.state.name for trial in trials], "string"),
        "value": _column([trial.value for trial in trials], "float64"),
    }
    for name in parameter_names(record):
        columns[name] = _typed([trial.params.get(name) for trial in trials])
    times = ("started", "completed", "duration_s")
    for name in dict.fromkeys(name for trial in trials for name in trial.user_attrs):
        values = [trial.user_attrs.get(name) for trial in trials]
        if all(value is None or isinstance(value, str | int | float) for value in values):
            columns[f"attr_{name}" if name in (*columns, *times) else name] = _typed(values)
    columns["started"] = _column([trial.started for trial in trials], "datetime64[us]")
    columns["completed"] = _column([trial.completed for trial in trials], "datetime64[us]")
    columns["duration_s"] = _column([trial.duration_s for trial in trials], "float64")
    return pd.DataFrame(columns)


def _typed(values: Sequence[Scalar]) -> "pd.Series[Any]":
    """Return a column of the narrowest type that holds all values."""
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in present):
        return _column(values, "boolean")
    if any(isinstance(value, bool | str) for value in present):
        return _column([None if value is None else str(value) for value in values], "string")
    if all(isinstance(value, int) for value in present):
        return _column(values, "Int64")
    return _column(values, "float64")


def _column(values: Sequence[Any], dtype: str) -> "pd.Series[Any]":
    return pd.Series(list(values), dtype=dtype)
