"""Results that were kept in a CSV file, as a study: other programs' tables, and our own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces import Scalar, SearchSpace
from storage import attrs
from study.errors import StudyError
from study.kind_info import KindInfo
from study.kind_sources import FoundKind, find_kind, installed_kinds
from study.kinds import Source
from study.metrics import Metric, value_name
from study.settings import IMPORTED, StudySettings, default_settings

_TABLE_COLUMNS = ("number", "state", "value")
"""How the tables of ``emoji-study export`` begin."""
_TIMES = ("started", "completed", "duration_s")
_Row = tuple[dict[str, Scalar], TrialState, tuple[float, ...], dict[str, Any]]
"""Parameters, state, values of the objectives (if complete) and user attributes of a trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedStudy:
    """What a file holds: a study as far as it tells, and a trial for each row."""

    settings: StudySettings
    kind: KindInfo
    trials: tuple[FrozenTrial, ...]


def read_results(path: Path) -> ImportedStudy:
    """Read a CSV file that ``emoji-study export`` wrote, or one of an installed kind's own layout.

    The latter have a row per run: parameters under the names of a space, empty where one does
    not apply, and metrics under the names of ``Kind.columns``, measured on a test split. An
    unnamed first column counts the rows. A StudyError names the wrong row as spreadsheets count.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:
        raise StudyError(f"{path} is no CSV file: {str(error).splitlines()[0]}") from None
    frame = frame.drop(columns=["", "Unnamed: 0"], errors="ignore")
    if frame.empty:
        raise StudyError(f"{path} has no rows.")
    kinds = [find_kind(name) for name in installed_kinds()]
    if tuple(frame.columns[: len(_TABLE_COLUMNS)]) == _TABLE_COLUMNS:
        return _read_table(path, kinds, frame)
    objectives = {
        column: found
        for found in kinds
        for column, (name, _) in found.kind.columns.items()
        if name == found.kind.objective.name
    }
    for column, found in objectives.items():
        if column in frame.columns:
            return _read_runs(path, found, frame)
    raise StudyError(
        f"{path} is no table of results: it has neither the column "
        f"{' nor '.join(objectives)}, nor those of `emoji-study export`."
    )


def _read_runs(path: Path, found: FoundKind, frame: pd.DataFrame) -> ImportedStudy:
    """Read another program's table, whose metrics have names that the kind knows."""
    kind, rows, columns = found.kind, frame.to_dict("records"), set(frame.columns)
    named = {name: (column, factor) for column, (name, factor) in kind.columns.items()}
    metrics = [(m, *named[m.name]) for m in kind.metrics if m.name in named]
    spaces = list(kind.spaces.values())
    wrong = [columns ^ _names(space).union(kind.columns) for space in spaces]
    which = wrong.index(set()) if set() in wrong else 0
    if wrong[which]:
        names = ", ".join(sorted(wrong[which]))
        raise StudyError(f"{path} has other columns than {kind.name} results, namely: {names}.")
    space = spaces[which]
    params = [_params(space, row, f"{path}, row {i}") for i, row in enumerate(rows, 2)]
    trials: list[_Row] = []
    for i, (row, point) in enumerate(zip(rows, params, strict=True), 2):
        values = {
            metric.name: _metric(metric, row[column], column, factor, f"{path}, row {i}")
            for metric, column, factor in metrics
        }
        n_steps = kind.n_steps(point)
        user_attrs: dict[str, Any] = {} if n_steps is None else {attrs.EPOCHS_RUN: n_steps}
        value = values.pop(kind.objective.name)
        user_attrs |= {attrs.MEASURED_ON: "test", **values}
        trials.append((point, TrialState.COMPLETE, (value,), user_attrs))
    return _imported(found, space, trials)


def _metric(metric: Metric, text: str, column: str, factor: float, where: str) -> float:
    """Read a metric's value, which the table has as another multiple."""
    unit = 1 / factor  # 91.4 / 100 is nearer to 0.914 than 91.4 * 0.01
    value = _number(text, column, where)
    low = -math.inf if metric.low is None else metric.low * unit
    high = math.inf if metric.high is None else metric.high * unit
    if not low <= value <= high:
        rule = "not be negative" if (low, high) == (0, math.inf) else f"be {low:g} to {high:g}"
        raise StudyError(f"{where}: `{column}` must {rule}, but is {value}.")
    return value / unit


def _read_table(path: Path, kinds: Sequence[FoundKind], frame: pd.DataFrame) -> ImportedStudy:
    """Read a table of ``emoji-study export``."""
    columns = list(frame.columns)
    objectives = columns[2 : 4 if columns[3:4] == [value_name(1)] else 3]
    found, space = _space_of(path, kinds, [*_TABLE_COLUMNS, *columns[2 + len(objectives) :]])
    names = _names(space)
    others = [c for c in columns if c not in (*names, *_TABLE_COLUMNS, *objectives, *_TIMES)]
    trials: list[_Row] = []
    for i, row in enumerate(frame.to_dict("records"), 2):
        where = f"{path}, row {i}"
        state = TrialState.__members__.get(row["state"])
        if state is None:
            raise StudyError(
                f"{where}: `state` is {row['state']!r}, which is no state of a trial."
            )
        if not state.is_finished():
            continue
        params = _params(space, row, where) if any(row[c] for c in names & set(columns)) else {}
        complete = state is TrialState.COMPLETE
        values = tuple(_number(row[c], c, where) for c in objectives) if complete else ()
        user_attrs = {attrs.MEASURED_ON: "validation"} | {
            name.removeprefix("attr_"): _scalar(row[name]) for name in others if row[name] != ""
        }
        trials.append((params, state, values, _cost(row) | user_attrs))
    return _imported(found, space, trials, pareto=len(objectives) > 1)


def _cost(row: Mapping[Any, str]) -> dict[str, Any]:
    """Return what a row tells of the cost of a trial, for one that died before it stored it."""
    cost: dict[str, Any] = {}
    seconds = _scalar(row.get("duration_s", ""))
    if isinstance(seconds, int | float) and seconds > 0:
        cost[attrs.TRAINING_SECONDS] = seconds
    if text := row.get("curve"):
        cost[attrs.EPOCHS_RUN] = text.count(",") + (text.strip() != "[]")
    return cost


def _space_of(
    path: Path, kinds: Sequence[FoundKind], columns: Sequence[str]
) -> tuple[FoundKind, SearchSpace]:
    """Return the smallest space that has all parameters of a table, and the kind that it is of."""
    spaces = [
        (found, space)
        for found in kinds
        for whole in found.kind.spaces.values()
        for space in (found.kind.narrow(whole, Source()), whole)
    ]
    used = set[str]().union(*(_names(space) for _, space in spaces)).intersection(columns)
    fitting = [(found, space) for found, space in spaces if used <= _names(space)]
    if not used or not fitting or columns[len(_TABLE_COLUMNS)] not in used:
        raise StudyError(
            f"{path} has no parameters of an installed kind, or those of several spaces; a table "
            "of another kind can be imported where that kind is installed."
        )
    return min(fitting, key=lambda item: len(item[1].parameters))


def _names(space: SearchSpace) -> set[str]:
    return {parameter.name for parameter in space.parameters}


def _imported(
    found: FoundKind, space: SearchSpace, rows: Sequence[_Row], *, pareto: bool = False
) -> ImportedStudy:
    """Make rows trials, whose ranges hold all values that occur."""
    settings = replace(
        default_settings(found.kind),
        space=space.name,
        sampler=IMPORTED,
        data_fingerprint=IMPORTED,
        split="",  # which no file tells
        training=0,
        pareto=pareto,
    )
    holding = space.holding(params for params, *_ in rows)
    distributions = {parameter.name: parameter.distribution for parameter in holding.parameters}
    trials = tuple(
        create_trial(
            state=state,
            values=values or None,
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs=user_attrs,
        )
        for params, state, values, user_attrs in rows
    )
    return ImportedStudy(settings=settings, kind=found.info(space), trials=trials)


def _params(space: SearchSpace, row: Mapping[Any, str], where: str) -> dict[str, Scalar]:
    """Read the parameters of a row; those that are not active must be empty."""
    params: dict[str, Scalar] = {}
    try:
        for parameter in space.parameters:
            text = str(row.get(parameter.name, "")).strip()
            if text:
                params |= space.parse_fixed({parameter.name: _plain(text)})
                if not parameter.is_active(params):
                    del params[parameter.name]
        for parameter in space.parameters:
            if parameter.name not in params and parameter.is_active(params):
                raise StudyError(f"{where}: `{parameter.name}` is missing.")
        space.to_config(params)
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from None
    return params


def _plain(text: str) -> str:
    """Return a number as a whole one where pandas wrote it with a decimal point: 16.0."""
    whole, point, rest = text.partition(".")
    return whole if point and rest.strip("0") == "" and whole.lstrip("-").isdigit() else text


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StudyError(f"{where}: `{name}` must be a finite number, but is {text!r}.")
    return value


def _scalar(text: str) -> Scalar:
    """Read a value as a truth value, a whole number, a number or a text, whichever fits first."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return text
