"""Two settings together: the middle value of the metric for each pair of their values."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from search_spaces import Scalar, is_number
from storage.records import StudyRecord, TrialRecord
from study.analysis import is_numeric, kind_of, ranked, ranked_once
from study.formats import format_value
from study.metrics import Metric
from study.wording import Wording

MAX_VALUES = 6
"""Values of a setting that have a row or column each; a range with more is cut into quarters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The trials with one value of either setting: how many, and their median."""

    row: int
    column: int
    n_trials: int
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairInfo:
    """A map of two settings.

    Args:
        first, second: Their names; ``first`` has the columns.
        columns, rows: Their values or ranges, as words.
    """

    metric: Metric
    first: str
    second: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[Cell, ...]


def get_pair(record: StudyRecord, first: str, second: str) -> PairInfo | None:
    """Lay the complete trials that keep the constraint and have both settings on a map.

    Returns:
        None with fewer than two cells.
    """
    kind = kind_of(record)
    metric = kind.objective
    members = [
        (value, trial)
        for value, trial in ranked_once(ranked(record, metric=metric))
        if trial.feasible and first in trial.params and second in trial.params
    ]
    (columns, places), (rows, levels) = (
        bins(name, [trial for _, trial in members], kind.wording) for name in (first, second)
    )
    groups: dict[tuple[int, int], list[float]] = defaultdict(list)
    for (value, _), column, row in zip(members, places, levels, strict=True):
        groups[row, column].append(value)
    if len(groups) < 2:
        return None
    cells = [
        Cell(row=row, column=column, n_trials=len(values), median=median(values))
        for (row, column), values in sorted(groups.items())
    ]
    return PairInfo(
        metric=metric,
        first=first,
        second=second,
        columns=tuple(columns),
        rows=tuple(rows),
        cells=tuple(cells),
    )


def bins(name: str, trials: list[TrialRecord], wording: Wording) -> tuple[list[str], list[int]]:
    """Return values of a setting, or ranges of many, as words, and the place of each trial's."""
    values = [trial.params[name] for trial in trials]
    distinct, places = levels(values)
    if len(distinct) <= MAX_VALUES or not is_numeric(name, trials):
        return [wording.value(v, name) for v in distinct], places
    numbers = [float(str(v)) for v in values]
    edges = sorted(set(np.quantile(numbers, (0.25, 0.5, 0.75), method="lower").tolist()))
    return range_words(edges), [int(np.searchsorted(edges, number)) for number in numbers]


def range_words(edges: Sequence[float]) -> list[str]:
    """Say which ranges there are between ascending numbers, an edge being in the one below it."""
    texts = list(map(format_value, edges))
    between = [f"{low} to {high}" for low, high in pairwise(texts)]
    return [f"up to {texts[0]}", *between, f"above {texts[-1]}"]


def levels(values: Iterable[Scalar]) -> tuple[list[Scalar], list[int]]:
    """Return the different values, numbers by size before others by name, and each one's place.

    True equals 1, and is another value; 1.0 is none.
    """
    known = list(values)
    keys = list(map(_order, known))
    found = dict(zip(keys[::-1], known[::-1], strict=True))  # of equal ones the first
    places = {key: i for i, key in enumerate(sorted(found))}
    return [found[key] for key in places], [places[key] for key in keys]


def _order(value: Scalar) -> tuple[bool, float, str, str]:
    """Sort numbers by size, before texts by name; what is equal in it is one value."""
    number = float(str(value)) if is_number(value) else math.nan
    if math.isfinite(number):
        return False, number, "", ""
    return True, 0.0, str(value), type(value).__name__
