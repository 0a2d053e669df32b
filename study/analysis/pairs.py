"""Two settings together: the middle value of the metric for each pair of their values."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import median

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution

from search_spaces import Scalar, is_number
from storage.records import StudyRecord, TrialRecord
from study.analysis import kind_of, ranked, ranked_once
from study.formats import format_value
from study.metrics import Metric

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


def get_pair(
    record: StudyRecord, first: str, second: str, *, metric: Metric | None = None
) -> PairInfo | None:
    """Lay the complete trials that have both settings on a map; None with fewer than two cells."""
    metric = metric or kind_of(record).objective
    members = [
        (value, trial)
        for value, trial in ranked_once(ranked(record, metric=metric))
        if first in trial.params and second in trial.params
    ]
    (columns, places), (rows, levels) = (
        bins(name, [trial for _, trial in members]) for name in (first, second)
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


def bins(name: str, trials: list[TrialRecord]) -> tuple[list[str], list[int]]:
    """Return values of a setting, or ranges of many, as words, and the place of each trial's."""
    values = [trial.params[name] for trial in trials]
    numeric = all(
        isinstance(trial.distributions.get(name), FloatDistribution | IntDistribution)
        for trial in trials
    )
    distinct = sorted({(type(v).__name__, v) for v in values}, key=lambda item: _order(item[1]))
    if len(distinct) <= MAX_VALUES or not numeric:
        known = {item: i for i, item in enumerate(distinct)}
        places = [known[type(v).__name__, v] for v in values]
        return [format_value(v) for _, v in distinct], places
    numbers = [float(str(v)) for v in values]
    edges = sorted(set(np.quantile(numbers, (0.25, 0.5, 0.75), method="lower").tolist()))
    texts = [format_value(edge) for edge in edges]
    inner = [f"to {b}" for b in texts[1:]]
    words = [f"up to {texts[0]}", *inner, f"above {texts[-1]}"]
    return words, [int(np.searchsorted(edges, number)) for number in numbers]


def _order(value: Scalar) -> tuple[bool, float, str]:
    """Sort numbers by size, before texts by name."""
    number = is_number(value)
    return not number, float(str(value)) if number else 0.0, str(value)
