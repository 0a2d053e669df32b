"""A study's trials as columns of a table, and what the name of a column says of it.

Parameters stand under their own names, as do attributes that this package wrote. Those of other
programs have ``attr_`` before theirs, constraints ``constraint_``; a name that could be read as
something else has ``param_`` or ``attr_``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
from optuna.distributions import distribution_to_json

from storage.attrs import TEST_RESULTS
from storage.records import StudyRecord, TrialRecord
from study.analysis import parameter_names
from study.exchange.cells import decode_name, encode, encode_name
from study.metrics import value_name

Part = Literal["", "params", "user_attrs", "constraints"]
"""What of a trial a column holds; empty for what every table has."""

NUMBER, STATE = "number", "state"
STARTED, COMPLETED, SECONDS = "started", "completed", "duration_s"
CURVE, CURVE_STEPS = "curve", "curve_steps"
OPTUNA = ("params_", "user_attrs_", "system_attrs_", "intermediate_values_")
"""How names of columns begin that Optuna's ``trials_dataframe`` gives."""

_PREFIXES: dict[str, Part] = {
    "param_": "params",
    "attr_": "user_attrs",
    "constraint_": "constraints",
}
_TAKEN = re.compile(
    rf"|{NUMBER}|{STATE}|value(_\d+)?|{STARTED}|{COMPLETED}|{SECONDS}|{CURVE}|{CURVE_STEPS}"
    r"|Unnamed: 0|datetime_start|datetime_complete|duration"
    rf"|({'|'.join((*_PREFIXES, *OPTUNA))}).*",
    re.DOTALL,
)
EXACT = 2**53
"""Up to which a float tells all whole numbers apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table of trials.

    Args:
        part, key: What of a trial it holds, and under which name.
        coded: Whether its cells are texts of ``cells.encode``.
        ranges: Of a parameter: each of its distributions, as JSON, the most frequent one first,
            and the numbers of the trials that have it.
    """

    name: str
    values: "pd.Series[Any]"
    part: Part = ""
    key: str = ""
    coded: bool = False
    ranges: Mapping[str, Sequence[int]] = field(default_factory=dict)


def columns_of(record: StudyRecord, *, curves: bool = False) -> list[Column]:
    """Return the columns of a table with a row for each trial.

    They are ``number``, ``state``, ``value`` (of further objectives ``value_1``, ...), the
    parameters, the attributes, behind ``test_`` what a confirmation has measured on the test
    split, the constraints, ``started``, ``completed`` and ``duration_s``; with ``curves`` also
    ``curve``, the values that a trial reported, and ``curve_steps``, unless all count from 0.

    Booleans and integers are nullable, other numbers float64, times datetime64 in UTC, everything
    else strings; what a trial lacks is missing. Lists and mappings that this package stored are
    left out, those of others are coded.
    """
    trials = record.trials
    found = [
        _own(NUMBER, [trial.number for trial in trials], "Int64"),
        _own(STATE, [trial.state.name for trial in trials], "string"),
    ]
    for i in range(len(record.directions)):
        values = [trial.values[i] if i < len(trial.values) else None for trial in trials]
        found.append(_own(value_name(i), values, "float64"))
    names = parameter_names(record)
    for name in names:
        cells, ranges = _cells((t.params for t in trials), name), _ranges(trials, name)
        column = column_name("params", name)
        found.append(_column(column, cells, part="params", key=name, ranges=ranges))
    found += _attributes(record, names)
    for name in _names(trial.constraints for trial in trials):
        cells = _cells((t.constraints for t in trials), name)
        column = column_name("constraints", name)
        found.append(_column(column, cells, part="constraints", key=name))
    found.append(_own(STARTED, [trial.started for trial in trials], "datetime64[us, UTC]"))
    found.append(_own(COMPLETED, [trial.completed for trial in trials], "datetime64[us, UTC]"))
    found.append(_own(SECONDS, [trial.duration_s for trial in trials], "float64"))
    if curves:
        steps = [list(trial.intermediate_values) for trial in trials]
        reports = [list(trial.intermediate_values.values()) for trial in trials]
        found.append(_own(CURVE, reports, "object"))
        if any(own != list(range(len(own))) for own in steps):
            found.append(_own(CURVE_STEPS, steps, "object"))
    return found


def to_frame(columns: Iterable[Column]) -> pd.DataFrame:
    """Return columns as a table."""
    return pd.DataFrame({column.name: column.values for column in columns})


def column_name(part: Part, name: str, taken: Iterable[str] = ()) -> str:
    """Return the column of a parameter, constraint or attribute; only these can be ``taken``."""
    written = encode_name(name)
    plain = part != "constraints" and written == name and not _TAKEN.fullmatch(name)
    if plain and name not in taken:
        return name
    prefix = next(prefix for prefix, found in _PREFIXES.items() if found == part)
    return prefix + written


def meaning(column: str) -> tuple[Part, str]:
    """Return what a column of an exported table holds, and under which name."""
    for prefix, part in _PREFIXES.items():
        if column.startswith(prefix):
            return part, decode_name(column.removeprefix(prefix))
    return ("", column) if _TAKEN.fullmatch(column) else ("params", column)


def _attributes(record: StudyRecord, params: Sequence[str]) -> list[Column]:
    """Return a column for each attribute; other programs' have a prefix in any case."""
    trials, results = record.trials, TEST_RESULTS.of(record) or {}
    own = [
        {**t.user_attrs, **{f"test_{k}": x for k, x in results.get(str(t.number), {}).items()}}
        for t in trials
    ]
    columns: dict[str, tuple[str, list[list[Any]]]] = {}
    for name in _names(own):
        cells = [[found[name]] if _told(found.get(name)) else [] for found in own]
        if all(isinstance(value, str | int | float) for cell in cells for value in cell):
            columns[column_name("user_attrs", name, params)] = name, cells
    for name in _names(trial.other_attrs for trial in trials):
        others = _cells((t.other_attrs for t in trials), name)
        column = f"attr_{encode_name(name)}"
        _, cells = columns.get(column, (name, [[] for _ in trials]))
        columns[column] = name, [a or b for a, b in zip(cells, others, strict=True)]
    return [
        _column(column, cells, part="user_attrs", key=name)
        for column, (name, cells) in columns.items()
    ]


def _told(value: Any) -> bool:
    return value is not None and value == value


def _cells(found: Iterable[Mapping[str, Any]], name: str) -> list[list[Any]]:
    """Return what each trial has of a name: 0 or 1 values, of which one may be None."""
    return [[own[name]] if name in own else [] for own in found]


def _names(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all names, in the order of their first use."""
    return list(dict.fromkeys(name for names in found for name in names))


def _ranges(trials: Sequence[TrialRecord], name: str) -> dict[str, list[int]]:
    ranges: dict[str, list[int]] = {}
    for trial in trials:
        if name in trial.distributions:
            text = distribution_to_json(trial.distributions[name])
            ranges.setdefault(text, []).append(trial.number)
    return dict(sorted(ranges.items(), key=lambda item: -len(item[1])))


def _own(name: str, values: Sequence[Any], dtype: str) -> Column:
    return Column(name=name, values=pd.Series(list(values), dtype=dtype))


def _column(name: str, cells: Sequence[Sequence[Any]], **about: Any) -> Column:
    """Return a column of the narrowest type that holds all values of its cells, 0 or 1 each."""
    dtype = _type([value for cell in cells for value in cell])
    values = [(encode(cell[0]) if dtype is None else cell[0]) if cell else None for cell in cells]
    series = pd.Series(values, dtype=dtype or "string")
    return Column(name=name, values=series, coded=dtype is None, **about)


def _type(values: Sequence[Any]) -> str | None:
    """Return the type of a column, None where only texts hold all of the values."""
    types = {type(value) for value in values}
    if types <= {bool}:
        return "boolean"
    if types == {str}:
        return "string"
    if types == {int} and all(-(2**63) <= value < 2**63 for value in values):
        return "Int64"
    if types == {float} or types == {int, float}:
        exact = all(isinstance(x, float) or abs(x) <= EXACT for x in values)
        return "float64" if exact and all(value == value for value in values) else None
    return None
