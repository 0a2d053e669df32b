"""Reads from a row what every table of trials may have: state, times, numbers, curves."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeGuard

from optuna.trial import TrialState

from search_spaces import is_number
from study.exchange.columns import CURVE, CURVE_STEPS, NUMBER, STATE
from study.exchange.sheet import Row


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Return rows by the numbers of their trials, if all have one."""
    numbers = [row.value(NUMBER) if NUMBER in row.cells else None for row in rows]
    told = [number for number in numbers if is_whole(number)]
    if len(told) < len(rows):
        return list(rows)
    return [rows[i] for i in sorted(range(len(rows)), key=told.__getitem__)]


def state_of(row: Row, values: Iterable[str]) -> TrialState:
    """Return the state of a trial; without one it is complete if it has all ``values``."""
    if STATE not in row.cells:
        complete = all(column in row.cells for column in values)
        return TrialState.COMPLETE if complete else TrialState.FAIL
    state = TrialState.__members__.get(row.text(STATE).removeprefix("TrialState."))
    if state is None:
        raise row.wrong(STATE, f"one of {', '.join(TrialState.__members__)}")
    return state


def times_of(
    row: Row,
    state: TrialState,
    columns: tuple[str, str],
    zone: tzinfo | None,
) -> tuple[datetime | None, datetime | None]:
    """Return when a trial started and ended, in UTC; None where the table does not tell.

    Args:
        zone: Of times that name none; None for this machine's.
    """
    started, completed = (_time(row, column, zone) for column in columns)
    return (
        None if state == TrialState.WAITING else started,
        completed if state.is_finished() else None,
    )


def curve_of(row: Row) -> dict[int, float]:
    """Return intermediate values, from a list of them and, if not from 0 on, of their steps."""
    values = numbers_in(row, CURVE) if CURVE in row.cells else []
    steps = numbers_in(row, CURVE_STEPS) if CURVE_STEPS in row.cells else range(len(values))
    if len(steps) != len(values) or not all(map(is_whole, steps)):
        raise row.wrong(CURVE_STEPS, f"a whole number for each value of `{CURVE}`")
    return dict(zip(map(int, steps), values, strict=True))


def numbers_in(row: Row, column: str) -> list[float]:
    """Return the numbers of a list, as we, Python or JSON write it; NaN for none."""
    cell = row.value(column)
    parts = cell.strip("()[] ").split(",") if isinstance(cell, str) else cell
    try:
        return [math.nan if x is None else float(x) for x in parts if x != ""]
    except (TypeError, ValueError):
        raise row.wrong(column, "a list of numbers") from None


def number_in(row: Row, column: str) -> float:
    """Return a number, which may be infinite."""
    value = row.value(column) if column in row.cells else None
    if not is_number(value) or math.isnan(value):
        raise row.wrong(column, "a number")
    return float(value)


def is_whole(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a whole number, which some tables write with a decimal point."""
    return is_number(value) and math.isfinite(value) and value == int(value)


def _time(row: Row, column: str, zone: tzinfo | None) -> datetime | None:
    if column not in row.cells:
        return None
    cell = row.cells[column]
    try:
        time = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell))
        return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise row.wrong(column, "a time such as 2026-10-25 01:00:00") from None
