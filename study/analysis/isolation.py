"""The best result for each value of a parameter, over all values of the others.

Must not know how it is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution

from storage.records import Scalar, StudyRecord, TrialRecord
from study.analysis import family_of, kind_of, parameter_names, ranked, sampler_of
from study.analysis.expected_best import MIN_TRIALS, expected_minimum
from study.analysis.thinning import thin
from study.metrics import Metric
from study.sampling.names import ADAPTIVE_SAMPLERS

MAX_VALUES = 12
"""Distinct values that are looked at one by one; more numbers are put into bins."""

MAX_BINS = 10
"""Bins of a parameter with many values, each of the same number of trials, at least five."""

MAX_POINTS, N_BEST_POINTS = 200, 50
"""Trials that are shown of each parameter, and how many of them are there for being the best."""

Scale = Literal["linear", "log", "category"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedPoint:
    """One trial.

    Args:
        number: The trial's number.
        family: Of the trial.
        value: Its value of the parameter.
        place: Which of the parameter's values or bins that is, from 0.
        measured: Its value of the metric.
    """

    number: int
    family: str
    value: Scalar
    place: int
    measured: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedValue:
    """The trials with one value of a parameter, or in one bin of its range.

    Args:
        value: The value, or the median of those in the bin.
        low: Lowest value in the bin, None for a single value.
        high: Highest one, likewise.
        n_trials: Trials that have it.
        best: Best value of the metric among them.
        best_number: Number of that trial.
        second: The metric's second-best value, None with one trial.
        median: Its median.
        expected: Expected best of ``n_equal`` of these trials; None with fewer than five.
    """

    value: Scalar
    low: float | None
    high: float | None
    n_trials: int
    best: float
    best_number: int
    second: float | None
    median: float
    expected: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedParameter:
    """One parameter.

    Args:
        name: The parameter.
        scale: Of its values: as it was searched, or ``"category"`` where it was a choice.
        n_trials: Trials that have it.
        n_equal: The smallest number of trials of those values that have at least five; None
            without two such values.
        values: By rising value, texts behind numbers.
        points: Trials by number: the best, and an even selection of the others.
    """

    name: str
    scale: Scale
    n_trials: int
    n_equal: int | None
    values: tuple[IsolatedValue, ...]
    points: tuple[IsolatedPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationInfo:
    """All parameters in which trials differ.

    Args:
        metric: What trials are compared by.
        parameters: In the order of the space.
        left_out: Parameters with more values than can be looked at and without an order.
        n_trials: Feasible complete trials with a finite value of the metric.
        n_best_points: How many of a parameter's points are there for being the best, where not
            all trials are shown.
        sampler: The study's sampler, None if unknown.
        adaptive: Whether it chose trials by earlier results, so that good values have more
            trials, and better values of the other parameters.
    """

    metric: Metric
    parameters: tuple[IsolatedParameter, ...]
    left_out: tuple[str, ...]
    n_trials: int
    n_best_points: int
    sampler: str | None
    adaptive: bool

    @property
    def thinned(self) -> bool:
        """Whether some parameter has more trials than points."""
        return any(len(p.points) < p.n_trials for p in self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One parameter of the trials that have it, best first.

    Args:
        name: The parameter.
        trials: The trials.
        measured: Their values of the metric, float, shape ``(n,)``.
        values: Their values of the parameter.
        numbers: The same as floats, shape ``(n,)``; None unless all are finite numbers.
        places: Which of the distinct values each has, int, shape ``(n,)``: numbers by size,
            then texts.
        n_distinct: How many distinct values there are.
    """

    name: str
    trials: Sequence[TrialRecord]
    measured: np.ndarray
    values: Sequence[Scalar]
    numbers: np.ndarray | None
    places: np.ndarray
    n_distinct: int

    @classmethod
    def of(cls, name: str, members: Sequence[tuple[float, TrialRecord]]) -> "_Column":
        """Collect a parameter that all of these trials have."""
        values = [trial.params[name] for _, trial in members]
        numbers = _numbers(values)
        if numbers is None:
            keys = [_key(value) for value in values]
            ranks = {key: i for i, key in enumerate(sorted(set(keys)))}
            places = np.asarray([ranks[key] for key in keys])
        else:
            _, places = np.unique(numbers, return_inverse=True)
        return cls(
            name=name,
            trials=[trial for _, trial in members],
            measured=np.asarray([value for value, _ in members]),
            values=values,
            numbers=numbers,
            places=places,
            n_distinct=int(places.max(initial=-1)) + 1,
        )


def get_isolation(record: StudyRecord, *, metric: Metric | None = None) -> IsolationInfo:
    """Find the best result for each value of each parameter, whatever the other parameters.

    Of two values that are equally good, the one with more trials is likely to have the better
    best. So each value with at least five trials also gets the expected best of equally many
    trials: as many as the rarest of these values has, drawn from its own without replacement.

    Args:
        record: The study; only its feasible complete trials with a finite value count, and for
            a conditional parameter those that have it.
        metric: What trials are compared by, None for the objective.

    Returns:
        The parameters that vary. A range of numbers with more than 12 distinct ones, or with
        hardly any that occurs twice, is cut into up to 10 bins between its quantiles.

    Source: "isolation plots" of Godbole, Dahl, Gilmer, Shallue, Nado, "Deep Learning Tuning
        Playbook", 2023, https://github.com/google-research/tuning_playbook; expected best of
        equal numbers: ``study.analysis.expected_best``.
    """
    kind = kind_of(record)
    metric = metric or kind.objective
    used = [item for item in ranked(record, metric=metric) if item[1].feasible]
    sampler = sampler_of(record)
    parameters, left_out = [], []
    for name in parameter_names(record):
        column = _Column.of(name, [item for item in used if name in item[1].params])
        if column.n_distinct > MAX_VALUES and column.numbers is None:
            left_out.append(name)
        elif column.n_distinct > 1:
            parameters.append(_isolate(column, metric, kind.family))
    return IsolationInfo(
        metric=metric,
        parameters=tuple(parameters),
        left_out=tuple(left_out),
        n_trials=len(used),
        n_best_points=N_BEST_POINTS,
        sampler=sampler,
        adaptive=sampler in ADAPTIVE_SAMPLERS,
    )


def _isolate(column: _Column, metric: Metric, family: str | None) -> IsolatedParameter:
    """Look at one parameter."""
    n_trials, numbers = len(column.trials), column.numbers
    distributions = [trial.distributions.get(column.name) for trial in column.trials]
    continuous = all(isinstance(d, FloatDistribution) and d.step is None for d in distributions)
    in_bins = numbers is not None and (
        column.n_distinct > MAX_VALUES or (continuous and 2 * column.n_distinct > n_trials)
    )
    places = _bins(numbers) if in_bins and numbers is not None else column.places
    groups = [np.flatnonzero(places == place) for place in range(places.max() + 1)]
    enough = [len(group) for group in groups if len(group) >= MIN_TRIALS]
    n_equal = min(enough) if len(enough) > 1 else None
    scale: Scale = "category"
    if numbers is not None and (
        in_bins or all(isinstance(d, FloatDistribution | IntDistribution) for d in distributions)
    ):
        log = all(getattr(d, "log", False) for d in distributions) and (numbers > 0).all()
        scale = "log" if log else "linear"
    by_number = sorted(range(n_trials), key=lambda i: column.trials[i].number)
    return IsolatedParameter(
        name=column.name,
        scale=scale,
        n_trials=n_trials,
        n_equal=n_equal,
        values=tuple(
            _summarise(column, group, metric, n_equal=n_equal, in_bins=in_bins) for group in groups
        ),
        points=tuple(
            IsolatedPoint(
                number=column.trials[i].number,
                family=family_of(column.trials[i], family),
                value=column.values[i],
                place=int(places[i]),
                measured=float(column.measured[i]),
            )
            for i in thin(by_number, MAX_POINTS, keep=lambda i: i < N_BEST_POINTS)
        ),
    )


def _summarise(
    column: _Column, group: np.ndarray, metric: Metric, *, n_equal: int | None, in_bins: bool
) -> IsolatedValue:
    """Describe the trials at these positions of a column, the trials of a value or a bin."""
    measured = column.measured[group]
    value = column.values[group[0]]
    low = high = expected = None
    if in_bins and column.numbers is not None:
        inside = column.numbers[group]
        value, low, high = (float(f(inside)) for f in (np.median, np.min, np.max))
    if n_equal is not None and len(group) >= MIN_TRIALS:
        sign = metric.sign
        expected = sign * expected_minimum(sign * measured, n_equal)
    return IsolatedValue(
        value=value,
        low=low,
        high=high,
        n_trials=len(group),
        best=float(measured[0]),
        best_number=column.trials[group[0]].number,
        second=float(measured[1]) if len(group) > 1 else None,
        median=float(np.median(measured)),
        expected=expected,
    )


def _bins(numbers: np.ndarray) -> np.ndarray:
    """Return the bin between quantiles that each number falls into, none of them empty."""
    n_bins = max(1, min(MAX_BINS, len(numbers) // MIN_TRIALS))
    inner = np.linspace(0, 1, n_bins + 1)[1:-1]
    edges = np.quantile(numbers, inner, method="inverted_cdf")
    # An edge belongs to the bin below it.
    _, places = np.unique(np.searchsorted(edges, numbers, side="left"), return_inverse=True)
    return places


def _numbers(values: Sequence[Scalar]) -> np.ndarray | None:
    """Return values as floats, or None unless all are finite numbers."""
    kinds = set(map(type, values))
    if not all(issubclass(kind, int | float) and kind is not bool for kind in kinds):
        return None
    numbers = np.asarray(values, dtype=float)
    return numbers if np.isfinite(numbers).all() else None


def _key(value: Scalar) -> tuple[bool, float, str]:
    """Return what tells values of several kinds apart and orders them."""
    numbers = _numbers([value])
    return (True, 0.0, str(value)) if numbers is None else (False, float(numbers[0]), "")
