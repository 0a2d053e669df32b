"""Results in a file, as the record of a study."""

from collections.abc import Sequence
from pathlib import Path

from storage import attrs
from storage.records import StudyRecord
from study.errors import StudyError
from study.exchange.layouts import layout_of
from study.exchange.read_foreign import read_foreign
from study.exchange.read_own import read_own, read_runs, space_of
from study.exchange.sheet import Sheet, read_sheet
from study.formats import format_list, in_line
from study.kind_sources import FoundKind, find_kind, installed_kinds

_SHOWN, _LONGEST = 10, 40  # columns that are named, and their characters


def read_results(
    path: Path, *, name: str, directions: Sequence[str] = (), kind: str | None = None
) -> StudyRecord:
    """Read what ``emoji-study export`` wrote, a table of Optuna's, or one of a kind's own layout.

    Args:
        directions: Of its objectives, for a file that does not tell.
        kind: Whose models it tells of; None for one that is installed, or another program's.

    Raises:
        StudyError: With the row, as spreadsheets count, and the column of what is wrong.
    """
    sheet = read_sheet(path)
    kinds = [find_kind(one) for one in (installed_kinds() if kind is None else [kind])]
    record = _read(sheet, kinds, name, directions)
    if kind is not None and record.user_attrs.get(attrs.SETTINGS) is None:
        raise StudyError(f"{path} is no table of {kinds[0].kind.name}; leave out --kind.")
    if directions and tuple(directions) != record.directions:
        raise StudyError(
            f"--direction is {', '.join(directions)}, but {path} tells that it is "
            f"{', '.join(record.directions)}: leave it out."
        )
    return record


def _read(
    sheet: Sheet, kinds: Sequence[FoundKind], name: str, directions: Sequence[str]
) -> StudyRecord:
    layout = layout_of(sheet)
    if layout is not None and not layout.plain:
        of = sheet.about.get("kind")
        fitting = space_of(layout, [k for k in kinds if not sheet.about or k.kind.name == of])
        if fitting is not None:
            return read_own(sheet, layout, *fitting, name=name)
        if not sheet.about and {attrs.CODE_VERSION, attrs.DATA_FINGERPRINT} <= set(sheet.columns):
            raise StudyError(
                f"{sheet.path} is of a kind that is not installed here. Say where its code lies "
                "with --kind FILE.py:NAME, or export it as .parquet, which needs no code."
            )
    objectives = {
        column: found
        for found in kinds
        for column, (metric, _) in found.kind.columns.items()
        if metric == found.kind.objective.name
    }
    for column, found in objectives.items():
        if layout is None and column in sheet.columns:
            return read_runs(sheet, found, name=name)
    if layout is None:
        raise StudyError(
            f"{sheet.path} is no table of trials: Optuna's `trials_dataframe()` has `value` or "
            "`values_0`, `state` and `params_...`, `emoji-study export` begins with `number`, "
            f"`state` and `value`, and other tables have `{'` or `'.join(objectives)}`; this one "
            f"has {_listed(sheet.columns)}."
        )
    return read_foreign(sheet, layout, name=name, directions=directions)


def _listed(columns: Sequence[str]) -> str:
    """Name columns, the first ones where there are many."""
    shown = [f"`{in_line(name)[:_LONGEST]}`" for name in columns[:_SHOWN]]
    return format_list(
        [*shown, *([f"{len(columns) - _SHOWN} more"] if len(columns) > _SHOWN else [])]
    )
