"""Results that were kept in a CSV file, as a study: what the notebook left, and our own tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial, TrialState, create_trial

from emoji_ae.errors import ConfigError
from search_spaces import SPACES, Scalar, SearchSpace, SearchSpaceError, get_space
from storage import attrs
from study.errors import StudyError
from study.settings import IMPORTED, StudySettings, code_version

_ERRORS = {"autoencoder": "error_rate", "multitask": "reconstruction_error_rate"}
"""The notebook's name of the reconstruction error on its test split, by kind."""
_ACCURACY = "classification_accuracy"
_TABLE_COLUMNS = ("number", "state", "value")
"""How the tables of ``emoji-study export`` begin."""
_TIMES = ("started", "completed", "duration_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedStudy:
    """What a file holds.

    Args:
        settings: Of the study, as far as the file tells.
        trials: One for each row, in their order.
    """

    settings: StudySettings
    trials: tuple[FrozenTrial, ...]


def read_results(path: Path) -> ImportedStudy:
    """Read a CSV file of the notebook's layout, or one that ``emoji-study export`` wrote.

    The notebook's files have a row per run: parameters under the names of the notebook space,
    empty where one does not apply, and ``error_rate`` (autoencoder) or
    ``reconstruction_error_rate`` and ``classification_accuracy`` in per cent (multitask), both
    measured on its test split. An unnamed first column counts the rows.

    Raises:
        StudyError: If the file is none of these, or a row is wrong; the message names the row,
            counted as a spreadsheet does.
        OSError: If it cannot be read.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:
        raise StudyError(f"{path} is no CSV file: {str(error).splitlines()[0]}") from None
    unnamed = [name for name in frame.columns if name in ("", "Unnamed: 0")]
    frame = frame.drop(columns=unnamed)
    if frame.empty:
        raise StudyError(f"{path} has no rows.")
    rows = frame.to_dict("records")
    if tuple(frame.columns[: len(_TABLE_COLUMNS)]) == _TABLE_COLUMNS:
        return _read_table(path, list(frame.columns), rows)
    for kind, error_name in _ERRORS.items():
        if error_name in frame.columns:
            return _read_notebook(path, kind, list(frame.columns), rows)
    raise StudyError(
        f"{path} is no table of results: it has neither the column "
        f"{' nor '.join(_ERRORS.values())}, nor those of `emoji-study export`."
    )


def _read_notebook(
    path: Path, kind: str, columns: Sequence[str], rows: Sequence[Mapping[Any, str]]
) -> ImportedStudy:
    """Read the notebook's own results."""
    space = get_space(kind, "notebook")
    metrics = [_ERRORS[kind], *([_ACCURACY] if kind == "multitask" else [])]
    expected = {parameter.name for parameter in space.parameters} | set(metrics)
    if set(columns) != expected:
        wrong = ", ".join(sorted(expected.symmetric_difference(columns)))
        raise StudyError(f"{path} has other columns than {kind} results, namely: {wrong}.")
    params = [_params(space, row, f"{path}, row {i}") for i, row in enumerate(rows, 2)]
    trials = []
    for i, (row, point) in enumerate(zip(rows, params, strict=True), 2):
        where = f"{path}, row {i}"
        user_attrs: dict[str, Any] = {
            attrs.EPOCHS_RUN: point["epoch"],
            attrs.MEASURED_ON: "test",
        }
        value = _number(row[_ERRORS[kind]], _ERRORS[kind], where)
        if value < 0:
            raise StudyError(f"{where}: `{_ERRORS[kind]}` must not be negative, but is {value}.")
        if kind == "multitask":
            accuracy = _number(row[_ACCURACY], _ACCURACY, where)
            if not 0 <= accuracy <= 100:
                raise StudyError(f"{where}: `{_ACCURACY}` must be 0 to 100, but is {accuracy}.")
            user_attrs[attrs.VALIDATION_ACCURACY] = accuracy / 100
        trials.append((point, TrialState.COMPLETE, value, user_attrs))
    return ImportedStudy(settings=_settings(space), trials=_to_trials(space, trials))


def _read_table(
    path: Path, columns: Sequence[str], rows: Sequence[Mapping[Any, str]]
) -> ImportedStudy:
    """Read a table of ``emoji-study export``."""
    space = _space_of(path, columns)
    names = {parameter.name for parameter in space.parameters}
    others = [c for c in columns if c not in (*names, *_TABLE_COLUMNS, *_TIMES)]
    trials = []
    for i, row in enumerate(rows, 2):
        where = f"{path}, row {i}"
        state = next((s for s in TrialState if s.name == row["state"]), None)
        if state is None:
            raise StudyError(
                f"{where}: `state` is {row['state']!r}, which is no state of a trial."
            )
        if not state.is_finished():
            continue
        params = _params(space, row, where) if any(row[c] for c in names & set(columns)) else {}
        value = _number(row["value"], "value", where) if state is TrialState.COMPLETE else None
        user_attrs = {
            name.removeprefix("attr_"): _scalar(row[name]) for name in others if row[name] != ""
        }
        trials.append((params, state, value, user_attrs))
    return ImportedStudy(settings=_settings(space), trials=_to_trials(space, trials))


def _space_of(path: Path, columns: Sequence[str]) -> SearchSpace:
    """Return the smallest space that has all parameters of a table."""
    known = {p.name for spaces in SPACES.values() for s in spaces.values() for p in s.parameters}
    used = known.intersection(columns)
    fitting = [
        space
        for spaces in SPACES.values()
        for space in spaces.values()
        if used <= {parameter.name for parameter in space.parameters}
    ]
    if not used or not fitting:
        raise StudyError(f"{path} has no parameters, or those of several spaces.")
    return min(fitting, key=lambda space: len(space.parameters))


def _settings(space: SearchSpace) -> StudySettings:
    return StudySettings(
        kind=space.kind,
        space=space.name,
        fixed={},
        sampler=IMPORTED,
        pruner="none",
        seed=0,
        data=None,
        data_fingerprint=IMPORTED,
        split="random",
        data_seed=42,
        min_accuracy=None,
        pareto=False,
        sides="",
        code_version=code_version(),
    )


def _params(space: SearchSpace, row: Mapping[Any, str], where: str) -> dict[str, Scalar]:
    """Read the parameters of a row; those that are not active must be empty.

    The space decides the type of each value, the configuration whether it can be used.
    """
    params: dict[str, Scalar] = {}
    for parameter in space.parameters:
        text = str(row.get(parameter.name, "")).strip()
        if text == "":
            continue
        try:
            params |= space.parse_fixed({parameter.name: _plain(text)})
        except SearchSpaceError as error:
            raise StudyError(f"{where}: {error}") from None
        if not parameter.is_active(params):
            del params[parameter.name]
    missing = [p.name for p in space.parameters if p.name not in params and p.is_active(params)]
    if missing:
        raise StudyError(f"{where}: `{missing[0]}` is missing.")
    try:
        space.to_config(params)
    except ConfigError as error:
        raise StudyError(f"{where}: {error}") from None
    return params


def _plain(text: str) -> str:
    """Return a number as a whole one where pandas wrote it with a decimal point: 16.0."""
    whole, point, rest = text.partition(".")
    return whole if point and rest.strip("0") == "" and whole.lstrip("-").isdigit() else text


def _to_trials(
    space: SearchSpace,
    rows: Iterable[tuple[dict[str, Scalar], TrialState, float | None, dict[str, Any]]],
) -> tuple[FrozenTrial, ...]:
    """Return rows as trials whose ranges hold all values that occur."""
    rows = list(rows)
    holding = space.holding(params for params, *_ in rows)
    distributions = {parameter.name: parameter.distribution for parameter in holding.parameters}
    return tuple(
        create_trial(
            state=state,
            value=value,
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs=user_attrs,
        )
        for params, state, value, user_attrs in rows
    )


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
