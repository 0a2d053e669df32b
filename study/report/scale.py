"""The objective as a ruler: where each trial lies on it, and what it can be compared with."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from optuna.trial import TrialState

from study.analysis import family_of, is_default, ranked
from study.figures.style import family_place, family_symbol
from study.formats import format_measured, format_state
from study.report.findings import Findings

MAX_STACKED = 7
"""Trials that stand above each other; further ones of one place are covered."""

_CELLS = 160  # places along the ruler
_MARGIN = 0.02  # at either end, as a share of the ruler
_ROOM = 0.05  # of the range beyond the trials, on either side


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A trial.

    Args:
        place: Along the ruler, 0 to 100.
        level: How many others of this place lie below it.
        look: Number of its family, in the order of the legend.
        state: ``complete``, ``pruned``, or ``infeasible`` for one that breaks the constraint.
    """

    number: int
    place: float
    level: int
    look: int
    shape: str
    state: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmark:
    """Something that trials can be compared with, at a place along the ruler."""

    place: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """An entry of the legend."""

    name: str
    look: int
    shape: str
    n_trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruler:
    """Trials along the objective.

    Args:
        spread: From where to where the mean of the best configuration over fresh seeds lies (95 %
            interval); None where that is not known.
        n_covered: Trials of which others cover the marks.
    """

    log: bool
    ticks: tuple[Landmark, ...]
    marks: tuple[Mark, ...]
    landmarks: tuple[Landmark, ...]
    families: tuple[Family, ...]
    spread: tuple[float, float] | None
    n_covered: int

    @property
    def height(self) -> int:
        """Of the marks, in levels."""
        return 1 + max((mark.level for mark in self.marks), default=0)


def get_ruler(found: Findings) -> Ruler | None:
    """Lay all trials with a value along their objective; None without two different ones."""
    kind, record = found.kind, found.record
    values = {trial.number: value for value, trial in ranked(record)}
    pruned = {
        trial.number: last
        for trial in record.trials
        if trial.state == TrialState.PRUNED
        and (reports := list(trial.intermediate_values.values()))
        and math.isfinite(last := reports[-1])
    }
    if len(set(values.values())) < 2:
        return None
    known = _landmarks(found)
    spread = _spread(found)
    shown = [*values.values(), *pruned.values(), *known.values(), *(spread or ())]
    log = kind.objective.logarithmic and min(shown) > 0
    unit = max(1.0, max(map(abs, shown)) / 1e300)  # a distance of the largest numbers has no float

    def along(value: float) -> float:
        return math.log(value) if log else value / unit

    low, high = along(min(shown)), along(max(shown))
    room = _ROOM * (high - low) or 1.0
    low, high = low - room, high + room

    def place(value: float) -> float:
        share = (along(value) - low) / (high - low)
        return round(100 * (_MARGIN + (1 - 2 * _MARGIN) * share), 2)

    stacked: Counter[int] = Counter()
    marks, counts = [], Counter[str]()
    for trial in record.trials:
        value = values.get(trial.number, pruned.get(trial.number))
        if value is None:
            continue
        family = family_of(trial, kind.family)
        counts[family] += trial.number in values
        cell = round(place(value) / 100 * _CELLS)
        stacked[cell] += 1
        if stacked[cell] > MAX_STACKED:
            continue
        look = family_place(kind, family)
        state = (
            "pruned" if trial.number in pruned else "complete" if trial.feasible else "infeasible"
        )
        at = "last reported " if state == "pruned" else ""
        told = format_measured(value, kind.objective)
        marks.append(
            Mark(
                number=trial.number,
                place=place(value),
                level=stacked[cell] - 1,
                look=look,
                shape=family_symbol(kind, family),
                state=state,
                words=f"trial {trial.number}, {format_state(trial.state)}: {at}{told}",
            )
        )
    return Ruler(
        log=log,
        ticks=tuple(Landmark(place=place(t), words=f"{t:.6g}") for t in _ticks(shown, log)),
        marks=tuple(marks),
        landmarks=tuple(Landmark(place=place(v), words=words) for words, v in known.items()),
        families=tuple(
            Family(
                name=name,
                look=family_place(kind, name),
                shape=family_symbol(kind, name),
                n_trials=counts[name],
            )
            for name in sorted(filter(counts.get, counts), key=partial(family_place, kind))
        ),
        spread=None if spread is None else (place(spread[0]), place(spread[1])),
        n_covered=sum(max(0, n - MAX_STACKED) for n in stacked.values()),
    )


def _landmarks(found: Findings) -> dict[str, float]:
    """Return what the study's trials can be compared with, by what it is."""
    kind, record = found.kind, found.record
    known: dict[str, float] = {}
    defaults = (value for value, trial in ranked(record) if is_default(kind, trial))
    again = None if found.at_home is None else found.at_home.default
    if again is not None and again.validation is not None:
        known["default, fresh seeds"] = again.validation.mean
    elif (default := next(defaults, None)) is not None:
        known["default"] = default
    if found.baseline is not None:
        known["constant prediction"] = found.baseline
    return known


def _spread(found: Findings) -> tuple[float, float] | None:
    """Return the interval of the best configuration over fresh seeds."""
    info = found.at_home
    if info is None or info.best is None:
        return None
    mean = info.get(info.best).validation
    return None if mean is None else mean.interval


def _ticks(values: Sequence[float], log: bool) -> list[float]:
    """Return round numbers over a range: 1, 2 and 5 times powers of ten, or evenly spaced."""
    low, high = min(values), max(values)
    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 2, 5) if math.log10(high / low) < 2.5 else (1,)
        round_ones = [float(f"{m}e{p}") for p in powers for m in steps]
    else:
        step = 10.0 ** math.floor(math.log10(high / 3 - low / 3))
        step *= next(m for m in (1, 2, 5, 10) if high / (m * step) - low / (m * step) <= 6)
        first = math.ceil(low / step)
        round_ones = [step * i for i in range(first, first + 8)]
    return [tick for tick in round_ones if low <= tick <= high]
