"""Tables of kinds of models that are installed: of their own layout, and those we exported."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from optuna.trial import TrialState

from search_spaces import Scalar, SearchSpace, is_number
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.errors import StudyError
from study.exchange.columns import COMPLETED, CURVE, EXACT, SECONDS, STARTED
from study.exchange.layouts import Layout
from study.exchange.sheet import Row, Sheet
from study.exchange.trial_cells import curve_of, in_order, state_of, times_of
from study.kind_sources import FoundKind
from study.kinds import Source
from study.metrics import Metric
from study.settings import IMPORTED, default_settings


def read_runs(sheet: Sheet, found: FoundKind, *, name: str) -> StudyRecord:
    """Read another program's table, whose metrics have names that the kind knows.

    It has a row per run: parameters under the names of a space, empty where one does not apply,
    and metrics under the names of ``Kind.columns``, measured on a test split.
    """
    kind, columns = found.kind, set(sheet.columns)
    named = {name: (column, factor) for column, (name, factor) in kind.columns.items()}
    metrics = [(m, *named[m.name]) for m in kind.metrics if m.name in named]
    spaces = list(kind.spaces.values())
    wrong = [columns ^ _names(space).union(kind.columns) for space in spaces]
    which = wrong.index(set()) if set() in wrong else 0
    if wrong[which]:
        others = ", ".join(sorted(wrong[which]))
        raise StudyError(
            f"{sheet.path} has other columns than {kind.name} results, namely: {others}."
        )
    trials = []
    for row in sheet.rows:
        point = _params(spaces[which], row, {column: column for column in sheet.columns})
        measured = {
            metric.name: _metric(metric, row, column, factor) for metric, column, factor in metrics
        }
        n_steps = kind.n_steps(point)
        steps: dict[str, Any] = {} if n_steps is None else {attrs.EPOCHS_RUN: n_steps}
        value = measured.pop(kind.objective.name)
        user_attrs = {**steps, attrs.MEASURED_ON: "test", **measured}
        trials.append(_trial(row, TrialState.COMPLETE, (value,), point, user_attrs))
    for metric, column, factor in metrics:
        largest = max(_finite(row, column) for row in sheet.rows)
        if factor < 1 and metric.high is not None and 0 < largest <= metric.high:
            raise StudyError(
                f"{sheet.path}: `{column}` must be 0 to {metric.high / factor:g}, but its largest "
                f"value is {largest:g}: multiply it by {1 / factor:g}."
            )
    return _imported(sheet, found, spaces[which], trials, name=name)


def read_own(
    sheet: Sheet, layout: Layout, found: FoundKind, space: SearchSpace, *, name: str
) -> StudyRecord:
    """Read a table that we exported of a study of a kind; trials that have not ended are none."""
    names, trials = _names(space), []
    params = {key: column for column, key in layout.params.items() if key in names}
    others: dict[str, Any] = {**layout.params, **layout.user_attrs, **layout.constraints}
    attributes = {key: column for column, key in others.items() if column not in params.values()}
    for row in in_order(sheet.rows):
        state = state_of(row, layout.values)
        if not state.is_finished():
            continue
        complete = state is TrialState.COMPLETE
        numbers = tuple(_finite(row, column) for column in layout.values) if complete else ()
        began = any(column in row.cells for column in params.values())
        own = {key: row.value(column) for key, column in attributes.items() if column in row.cells}
        user_attrs = {**_cost(row), attrs.MEASURED_ON: "validation", **own}
        point = _params(space, row, params) if began else {}
        trials.append(_trial(row, state, numbers, point, user_attrs))
    return _imported(sheet, found, space, trials, name=name, pareto=len(layout.values) > 1)


def space_of(layout: Layout, kinds: Sequence[FoundKind]) -> tuple[FoundKind, SearchSpace] | None:
    """Return the smallest space that a table has the parameters of, and the kind that it is of.

    None if there is none that has all of them, or of which one is missing that it always has.
    """
    spaces = [
        (found, space)
        for found in kinds
        for whole in found.kind.spaces.values()
        for space in (found.kind.narrow(whole, Source()), whole)
    ]
    used = set[str]().union(*(_names(space) for _, space in spaces)) & {*layout.params.values()}
    fitting = [
        (found, space)
        for found, space in spaces
        if {p.name for p in space.parameters if not p.when} <= used <= _names(space)
    ]
    return min(fitting, key=lambda item: len(item[1].parameters)) if fitting else None


def _names(space: SearchSpace) -> set[str]:
    return {parameter.name for parameter in space.parameters}


def _trial(
    row: Row,
    state: TrialState,
    values: tuple[float, ...],
    params: Mapping[str, Scalar],
    user_attrs: Mapping[str, Any],
) -> TrialRecord:
    """Return a trial without its number and ranges."""
    started, completed = times_of(row, state, (STARTED, COMPLETED), UTC)
    return TrialRecord(
        number=0,
        trial_id=0,
        state=state,
        values=values,
        params=params,
        distributions={},
        intermediate_values=curve_of(row),
        user_attrs=user_attrs,
        started=started,
        completed=completed,
    )


def _imported(
    sheet: Sheet,
    found: FoundKind,
    space: SearchSpace,
    trials: Sequence[TrialRecord],
    *,
    name: str,
    pareto: bool = False,
) -> StudyRecord:
    """Make a study of trials, whose ranges hold all values that occur."""
    settings = replace(
        default_settings(found.kind),
        space=space.name,
        sampler=IMPORTED,
        data_fingerprint=IMPORTED,
        split="",  # which no file tells
        training=0,
        pareto=pareto,
    )
    holding = space.holding(space.given(trial.params) for trial in trials)
    ranges = {parameter.name: parameter.distribution for parameter in holding.parameters}
    objectives = found.kind.objectives(pareto=pareto)
    return StudyRecord(
        name=name,
        directions=tuple(metric.direction for metric in objectives),
        metric_names=tuple(metric.name for metric in objectives),
        user_attrs={
            attrs.SETTINGS: settings.to_dict(),
            attrs.KIND: found.info(space).to_dict(),
            attrs.TARGET: sum(trial.state is not TrialState.FAIL for trial in trials),
            attrs.IMPORTED: {"file": sheet.path.name, "rows": len(trials)},
        },
        trials=tuple(
            replace(
                trial, number=i, trial_id=i, distributions={n: ranges[n] for n in trial.params}
            )
            for i, trial in enumerate(trials)
        ),
    )


def _params(space: SearchSpace, row: Row, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Read the parameters of a row that are active; cells of others may hold anything."""
    params: dict[str, Scalar] = {}
    try:
        for parameter in space.parameters:
            if not parameter.is_active(params):
                continue
            column = columns.get(parameter.name, "")
            text = row.text(column).strip()
            if not text:
                raise StudyError(f"{row.where}: `{parameter.name}` is missing.")
            text = str(None) if row.value(column) is None else _plain(text)
            params |= space.parse_fixed({parameter.name: text})
        space.to_config(params)
    except ValueError as error:
        raise StudyError(f"{row.where}: {error}") from None
    return params


def _plain(text: str) -> str:
    """Return a whole number in digits, however it was written: 16.0, 2E+02."""
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number:.0f}" if number.is_integer() and abs(number) <= EXACT else text


def _metric(metric: Metric, row: Row, column: str, factor: float) -> float:
    """Read a metric's value, which the table has as another multiple."""
    unit = 1 / factor  # 91.4 / 100 is nearer to 0.914 than 91.4 * 0.01
    value = _finite(row, column)
    low = -math.inf if metric.low is None else metric.low * unit
    high = math.inf if metric.high is None else metric.high * unit
    if not low <= value <= high:
        rule = "not be negative" if (low, high) == (0, math.inf) else f"be {low:g} to {high:g}"
        raise StudyError(f"{row.where}: `{column}` must {rule}, but is {value}.")
    return value / unit


def _finite(row: Row, column: str) -> float:
    value = row.value(column) if column in row.cells else None
    if not is_number(value) or not math.isfinite(value):
        raise row.wrong(column, "a finite number")
    return float(value)


def _cost(row: Row) -> dict[str, Any]:
    """Return what a row tells of the cost of a trial, for one that died before it stored it."""
    cost: dict[str, Any] = {}
    seconds = row.value(SECONDS) if SECONDS in row.cells else None
    if is_number(seconds) and seconds > 0:
        cost[attrs.TRAINING_SECONDS] = seconds
    if CURVE in row.cells:
        cost[attrs.EPOCHS_RUN] = len(curve_of(row))
    return cost
