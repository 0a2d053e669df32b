"""The best result for each value of a parameter, over all values of the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from optuna.distributions import FloatDistribution

from search_spaces import Scalar, is_number
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    is_numeric,
    kind_of,
    parameter_names,
    ranked,
    ranked_once,
    varies,
)
from study.analysis.estimates import Interval
from study.analysis.expected_best import MIN_TRIALS
from study.analysis.pairs import levels
from study.analysis.thinning import thin
from study.metrics import Metric

MAX_VALUES = 12
"""Distinct values that are looked at one by one; more numbers are put into bins."""

MAX_BINS = 10
"""Bins of a parameter with many values, each of the same number of trials, at least five."""

MAX_POINTS, N_BEST_POINTS = 200, 50
"""Trials that are shown of each parameter, and how many of them are there for being the best."""

Scale = Literal["linear", "log", "category"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedPoint:
    """One trial, with which value or bin of the parameter it has, and the metric's value."""

    trial: TrialRecord
    place: int
    measured: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedValue:
    """The trials with one value of a parameter, or in one bin of its range.

    Args:
        value: The value, or the median of those in the bin.
        ends: Lowest and highest value in the bin, None for a single value.
        best: Best value of the metric among them; ``second`` and ``median`` likewise.
    """

    value: Scalar
    ends: Interval | None
    n_trials: int
    best: float
    best_number: int
    second: float | None
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedParameter:
    """One parameter.

    Args:
        scale: Of its values: as it was searched, or ``"category"`` where it was a choice.
        values: By rising value, texts behind numbers.
        points: Trials by number: the best, and an even selection of the others.
    """

    name: str
    scale: Scale
    n_trials: int
    values: tuple[IsolatedValue, ...]
    points: tuple[IsolatedPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationInfo:
    """All parameters in which trials differ.

    Args:
        left_out: Parameters with more values than can be looked at and without an order.
        alike: Parameters in which finished trials differ, but those that count here do not.
        n_trials: Feasible complete trials with a finite value of the metric, each training once.
    """

    metric: Metric
    parameters: tuple[IsolatedParameter, ...]
    left_out: tuple[str, ...]
    alike: tuple[str, ...]
    n_trials: int
    n_best_points: ClassVar[int] = N_BEST_POINTS

    @property
    def thinned(self) -> bool:
        """Whether some parameter has more trials than points."""
        return any(len(p.points) < p.n_trials for p in self.parameters)


def get_isolation(record: StudyRecord, *, metric: Metric | None = None) -> IsolationInfo:
    """Find the best result for each value of each parameter, whatever the other parameters.

    Of two values that are equally good, the one with more trials is likely to have the better
    best, but not the better median.

    Feasible complete trials with a finite value count. A range of numbers with more than 12
    distinct ones, or with hardly any that occurs twice, is cut into up to 10 bins between its
    quantiles.

    Source: "isolation plots" of Godbole, Dahl, Gilmer, Shallue, Nado, "Deep Learning Tuning
        Playbook", 2023, https://github.com/google-research/tuning_playbook.
    """
    metric = metric or kind_of(record).objective
    used = ranked_once(item for item in ranked(record, metric=metric) if item[1].feasible)
    parameters, left_out, alike = [], [], []
    for name in parameter_names(record):
        members = [item for item in used if name in item[1].params]
        values = [trial.params[name] for _, trial in members]
        numbers = _numbers(values)
        places = np.asarray(levels(values)[1], dtype=int)
        if places.max(initial=0) >= MAX_VALUES and numbers is None:
            left_out.append(name)
        elif places.max(initial=0) > 0:
            parameters.append(_isolate(name, members, numbers, places))
        elif varies(record, name):
            alike.append(name)
    return IsolationInfo(
        metric=metric,
        parameters=tuple(parameters),
        left_out=tuple(left_out),
        alike=tuple(alike),
        n_trials=len(used),
    )


def _isolate(
    name: str,
    members: Sequence[tuple[float, TrialRecord]],
    numbers: np.ndarray | None,
    places: np.ndarray,
) -> IsolatedParameter:
    """Look at one parameter.

    ``members`` are the trials that have it, best first; ``numbers`` their values of it, if all
    are numbers; ``places`` which of the distinct values each has.
    """
    measured = np.asarray([value for value, _ in members])
    trials = [trial for _, trial in members]
    distributions = [trial.distributions.get(name) for trial in trials]
    continuous = all(isinstance(d, FloatDistribution) and d.step is None for d in distributions)
    n_distinct = int(places.max()) + 1
    many = n_distinct > MAX_VALUES or (continuous and 2 * n_distinct > len(trials))
    binned = numbers if many else None
    if binned is not None:
        places = _bins(binned)
    groups = [np.flatnonzero(places == place) for place in range(places.max() + 1)]
    scale: Scale = "category"
    if numbers is not None and (many or is_numeric(name, trials)):
        log = all(getattr(d, "log", False) for d in distributions) and (numbers > 0).all()
        scale = "log" if log else "linear"
    values = []
    for group in groups:
        own = measured[group]
        value, ends = trials[group[0]].params[name], None
        if binned is not None:
            value, *both = (float(f(binned[group])) for f in (np.median, np.min, np.max))
            ends = Interval(*both)
        values.append(
            IsolatedValue(
                value=value,
                ends=ends,
                n_trials=len(group),
                best=float(own[0]),
                best_number=trials[group[0]].number,
                second=float(own[1]) if len(group) > 1 else None,
                median=float(np.median(own)),
            )
        )
    by_number = sorted(range(len(trials)), key=lambda i: trials[i].number)
    return IsolatedParameter(
        name=name,
        scale=scale,
        n_trials=len(trials),
        values=tuple(values),
        points=tuple(
            IsolatedPoint(trial=trials[i], place=int(places[i]), measured=float(measured[i]))
            for i in thin(by_number, MAX_POINTS, keep=lambda i: i < N_BEST_POINTS)
        ),
    )


def _bins(numbers: np.ndarray) -> np.ndarray:
    """Return the bin between quantiles that each number falls into, none of them empty."""
    n_bins = max(1, min(MAX_BINS, len(numbers) // MIN_TRIALS))
    inner = np.linspace(0, 1, n_bins + 1)[1:-1]
    edges = np.quantile(numbers, inner, method="inverted_cdf")
    # An edge belongs to the bin below it.
    places = np.searchsorted(edges, numbers, side="left")
    return np.asarray(np.unique(places, return_inverse=True)[1])


def _numbers(values: Sequence[Scalar]) -> np.ndarray | None:
    """Return values as floats, or None unless all are finite numbers."""
    numbers = [float(value) for value in values if is_number(value)]
    whole = len(numbers) == len(values) and all(map(math.isfinite, numbers))
    return np.asarray(numbers) if whole else None
