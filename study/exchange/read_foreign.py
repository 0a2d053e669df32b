"""Tables of other programs' studies, as records of these."""

import json
import math
from collections.abc import Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)
from optuna.trial import TrialState

from search_spaces import is_number
from storage.records import StudyRecord, TrialRecord
from study.errors import StudyError
from study.exchange.cells import encode
from study.exchange.columns import EXACT, NUMBER
from study.exchange.layouts import Layout
from study.exchange.sheet import Row, Sheet
from study.exchange.trial_cells import (
    curve_of,
    in_order,
    is_whole,
    number_in,
    numbers_in,
    state_of,
    times_of,
)
from study.formats import format_list

Params = dict[str, tuple[Any, BaseDistribution]]
"""Values and ranges of a trial's parameters."""


def read_foreign(
    sheet: Sheet, layout: Layout, *, name: str, directions: Sequence[str]
) -> StudyRecord:
    """Read a table; a StudyError names row and column of what is wrong.

    Ranges that the file does not tell go from the lowest to the highest value, or are the values
    that occur.
    """
    told = _directions(sheet, list(layout.values), directions)
    rows, names = in_order(sheet.rows), tuple(layout.values.values())
    params = _params(sheet, layout, rows)
    return StudyRecord(
        name=name,
        directions=told,
        user_attrs={},
        other_attrs=sheet.about.get("user_attrs", {}),
        metric_names=tuple(name for name in names if name is not None),
        trials=tuple(
            _trial(number, row, own, layout)
            for number, (row, own) in enumerate(zip(rows, params, strict=True))
        ),
    )


def _directions(sheet: Sheet, values: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """Return the direction of each objective, as the file tells it or else the command says it."""
    told = sheet.about.get("directions")
    shown = format_list([f"`{column}`" for column in values])
    if told is None and not given:
        each = ", once for each in this order" if len(values) > 1 else ""
        raise StudyError(
            f"{sheet.path} does not tell whether {shown} should be low or high: give --direction "
            f"minimize or maximize{each}."
        )
    if told is None and len(given) != len(values):
        raise StudyError(
            f"--direction must be given once for each of {shown}, but got {', '.join(given)}."
        )
    return tuple(told or given)


def _trial(number: int, row: Row, params: Params, layout: Layout) -> TrialRecord:
    state = state_of(row, layout.values)
    started, completed = times_of(row, state, (layout.started, layout.completed), layout.zone)
    complete = state == TrialState.COMPLETE
    reports = {step: column for column, step in layout.reports.items() if column in row.cells}
    return TrialRecord(
        number=number,
        trial_id=number,
        state=state,
        values=tuple(number_in(row, column) for column in layout.values) if complete else (),
        params={name: value for name, (value, _) in params.items()},
        distributions={name: found for name, (_, found) in params.items()},
        intermediate_values=curve_of(row) | {s: number_in(row, c) for s, c in reports.items()},
        user_attrs={},
        other_attrs={
            name: row.value(column, plain=layout.plain)
            for column, name in layout.user_attrs.items()
            if column in row.cells
        },
        constraints=_constraints(row, layout),
        started=started,
        completed=completed,
    )


def _constraints(row: Row, layout: Layout) -> dict[str, float]:
    found: dict[str, float] = {}
    for column, name in layout.constraints.items():
        if column in row.cells and name is None:
            found |= {str(i): lack for i, lack in enumerate(numbers_in(row, column))}
        elif column in row.cells and name is not None:
            found[name] = number_in(row, column)
    return found


def _params(sheet: Sheet, layout: Layout, rows: Sequence[Row]) -> list[Params]:
    found: list[Params] = [{} for _ in rows]
    for column, name in layout.params.items():
        cells = {
            i: row.value(column, plain=layout.plain)
            for i, row in enumerate(rows)
            if column in row.cells
        }
        told = _told_ranges(sheet, column)
        if told is None:
            # A choice may be a scalar; lists and mappings are texts.
            cells = {i: encode(v) if isinstance(v, list | dict) else v for i, v in cells.items()}
            told = _inferred(list(cells.values())), {}
        usual, others = told
        for i, value in cells.items():
            own = others.get(rows[i].cells.get(NUMBER, -1), usual)
            found[i][name] = _fitted(rows[i], column, value, own), own
    return found


def _told_ranges(
    sheet: Sheet, column: str
) -> tuple[BaseDistribution, dict[int, BaseDistribution]] | None:
    """Return the range of a parameter that a file tells, and others by numbers of their trials."""
    told = sheet.fields.get(column, {}).get("ranges")
    if not told:
        return None
    usual, *others = (json_to_distribution(json.dumps(one["range"])) for one in told)
    numbers = [one["trials"] for one in told[1:]]
    return usual, {n: own for own, some in zip(others, numbers, strict=True) for n in some}


def _inferred(values: Sequence[Any]) -> BaseDistribution:
    """Return a range that holds values: of whole numbers, of numbers, or a choice.

    Whole numbers that no float holds are a choice, for ranges of Optuna store floats.
    """
    numbers = [
        value
        for value in values
        if is_number(value) and math.isfinite(value)
        if isinstance(value, float) or abs(value) <= EXACT
    ]
    if not numbers or len(numbers) < len(values):
        return CategoricalDistribution(list({encode(x): x for x in values}.values()))
    low, high = min(numbers), max(numbers)
    if all(map(is_whole, numbers)) and max(-low, high) <= EXACT:
        return IntDistribution(int(low), int(high))
    return FloatDistribution(float(low), float(high))


def _fitted(row: Row, column: str, value: Any, range_: BaseDistribution) -> Any:
    """Return the value of a range that a cell means; numbers may lie outside of it."""
    if isinstance(range_, CategoricalDistribution):
        for choice in range_.choices:
            if encode(choice) == encode(value) or (
                is_number(choice) and is_number(value) and choice == value
            ):
                return choice
        raise row.wrong(column, f"one of {', '.join(map(encode, range_.choices))}")
    whole = isinstance(range_, IntDistribution)
    if not (is_whole if whole else is_number)(value):
        raise row.wrong(column, "a whole number" if whole else "a number")
    return int(value) if whole else float(value)
