"""Where tables of other programs' studies have what: those of Optuna, and those that we export."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from itertools import count

from storage.internals import CONSTRAINTS
from study.errors import StudyError
from study.exchange.columns import (
    COMPLETED,
    NUMBER,
    OPTUNA,
    STARTED,
    STATE,
    meaning,
)
from study.exchange.sheet import Sheet
from study.metrics import value_name

_OPTUNA_COLUMN = re.compile(
    r"(params|user_attrs|system_attrs|intermediate_values|constraints)(?:_(.*))?", re.DOTALL
)
_OPTUNA_OWN = (STATE, "datetime_start", "datetime_complete")
_NOT_STORED = (NUMBER, "trial_id", "duration", "__index_level_0__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Columns of a table, by what of a trial they hold, each with the name that it has there.

    Args:
        values: Of the objectives, in their order; None for one without a name.
        constraints: None for a list of them.
        zone: Of times that name none; None for this machine's.
        plain: Whether texts stand as they are, so that some look like numbers.
    """

    values: Mapping[str, str | None]
    params: Mapping[str, str]
    user_attrs: Mapping[str, str]
    constraints: Mapping[str, str | None]
    reports: Mapping[str, int] = field(default_factory=dict)
    started: str = STARTED
    completed: str = COMPLETED
    zone: tzinfo | None = UTC
    plain: bool = False


def layout_of(sheet: Sheet) -> Layout | None:
    """Return where a table has what, None if it is neither Optuna's nor one that we export."""
    optunas = any(name.startswith(OPTUNA) for name in sheet.columns)
    if sheet.columns[:3] == (NUMBER, STATE, value_name(0)) and not optunas:
        return _exported(sheet)
    own = optunas or any(name in _OPTUNA_OWN for name in sheet.columns)
    values = _optuna_values(sheet)
    return _optuna(sheet, values) if own and values else None


def _exported(sheet: Sheet) -> Layout:
    found: dict[str, dict[str, str]] = {
        part: {} for part in ("", "params", "user_attrs", "constraints")
    }
    for column in sheet.columns:
        told = sheet.fields.get(column)
        part, key = (told["part"], told["key"]) if told else meaning(column)
        found[part][column] = key
    n = next(i for i in count() if value_name(i) not in sheet.columns)
    names = sheet.about.get("metric_names") or [None] * n
    return Layout(
        values={value_name(i): name for i, name in enumerate(names)},
        params=found["params"],
        user_attrs=found["user_attrs"],
        constraints=found["constraints"],
    )


def _optuna(sheet: Sheet, values: Mapping[str, str | None]) -> Layout:
    """Read the names that ``trials_dataframe`` gives, in any version of Optuna.

    Columns that it does not give are user attributes. Of the system attributes, notes of
    Optuna's samplers, only constraints have a meaning to others.
    """
    params, user_attrs, reports = {}, {}, {}
    constraints: dict[str, str | None] = {}
    for column in sheet.columns:
        match = _OPTUNA_COLUMN.fullmatch(column)
        part, key = match.groups(default="") if match else ("", column)
        if part == "params":
            params[column] = key
        elif part == "system_attrs" and key == CONSTRAINTS:
            constraints[column] = None
        elif part == "system_attrs" and key.startswith(f"{CONSTRAINTS}:"):
            constraints[column] = key.partition(":")[2]
        elif part == "constraints":
            constraints[column] = key
        elif part == "intermediate_values":
            if not re.fullmatch(r"-?\d+", key):
                raise StudyError(f"{sheet.path}: `{column}` must end in the number of a step.")
            reports[column] = int(key)
        elif part == "user_attrs" or (
            not part and column not in (*values, *_OPTUNA_OWN, *_NOT_STORED)
        ):
            user_attrs[column] = key
    return Layout(
        values=values,
        params=params,
        user_attrs=user_attrs,
        constraints=constraints,
        reports=reports,
        started="datetime_start",
        completed="datetime_complete",
        zone=None,
        plain=True,
    )


def _optuna_values(sheet: Sheet) -> Mapping[str, str | None]:
    """Return the columns of the objectives, with the names of these."""
    if "value" in sheet.columns:
        return {"value": None}
    for prefix in ("values_", "value_"):
        found = {c: c.removeprefix(prefix) for c in sheet.columns if c.startswith(prefix)}
        counted = [f"{prefix}{i}" for i in range(len(found))]
        if found:
            return dict.fromkeys(counted) if set(counted) == set(found) else found
    return {}
