"""Isolation plots: the best of each value, equal numbers of trials, bins, and their chart."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from storage.records import Scalar, StudyRecord
from study.analysis import kind_of
from study.analysis.isolation import (
    MAX_BINS,
    MAX_POINTS,
    N_BEST_POINTS,
    IsolatedParameter,
    IsolationInfo,
    get_isolation,
)
from study.analysis.thinning import thin
from study.figures import FAMILY_COLORS, plot_isolation
from tests.study_tests.synthetic import (
    VALIDATION_ACCURACY,
    planted,
    planted_multitask,
    study,
    trial,
)

COLORS = dict(zip(("CNN", "linear"), FAMILY_COLORS, strict=False))

RECORD = planted()
INFO = get_isolation(RECORD)


@pytest.fixture(scope="module")
def figure() -> go.Figure:
    """The chart of 120 trials with a planted answer."""
    return plot_isolation(INFO, kind_of(RECORD))


def named(name: str, info: IsolationInfo = INFO) -> IsolatedParameter:
    """Return a parameter by its name."""
    (parameter,) = [p for p in info.parameters if p.name == name]
    return parameter


def with_param(
    values: Sequence[Scalar], errors: Sequence[float], distribution: object, name: str = "depth"
) -> StudyRecord:
    """Return a study of complete trials with one parameter."""
    return study(
        *(
            replace(
                trial(i, value=error), params={name: value}, distributions={name: distribution}
            )
            for i, (value, error) in enumerate(zip(values, errors, strict=True))
        )
    )


def only(record: StudyRecord) -> IsolatedParameter:
    """Return the one parameter of a study."""
    (parameter,) = get_isolation(record).parameters
    return parameter


def test_each_choice_has_its_best_second_median_and_count() -> None:
    """The numbers of a choice are those of the complete trials that made it."""
    batch_size = named("batch_size")
    assert batch_size.scale == "category"
    assert [value.value for value in batch_size.values] == [16, 32, 64]
    for value in batch_size.values:
        own = sorted(
            (t.value, t.number)
            for t in RECORD.complete
            if t.params["batch_size"] == value.value and t.value is not None
        )
        assert (value.best, value.best_number) == own[0]
        assert value.second == own[1][0]
        assert value.n_trials == len(own)
        assert value.median == np.median([v for v, _ in own])
        assert (value.low, value.high) == (None, None)
    assert INFO.n_trials == len(RECORD.complete)


def test_parameters_that_do_not_vary_are_left_out() -> None:
    """The epoch is the same everywhere; conditional ones are those of the trials with them.

    Thirteen texts are too many to be looked at, which is said.
    """
    assert [parameter.name for parameter in INFO.parameters] == [
        *("auto_encoder", "batch_size", "learning_rate", "weight_decay"),
        *("bottleneck_dim", "batch_normalization"),
    ]
    n_linear = sum(t.params["auto_encoder"] == "linear" for t in RECORD.complete)
    assert named("bottleneck_dim").n_trials == n_linear
    assert named("batch_normalization").n_trials == len(RECORD.complete) - n_linear
    assert {point.family for point in named("bottleneck_dim").points} == {"linear"}
    for trials in ((), (trial(0, value=0.1, params={"batch_size": 16}),)):
        info = get_isolation(study(*trials))
        assert (info.parameters, info.thinned) == ((), False)
        json.loads(plot_isolation(info, kind_of(RECORD)).to_json())
    values = [f"choice {i}" for i in range(13)]
    choices = CategoricalDistribution(tuple(values))
    info = get_isolation(with_param(values, [0.1] * 13, choices, name="activation"))
    assert (info.parameters, info.left_out) == ((), ("activation",))


def test_a_continuous_parameter_is_cut_between_its_quantiles() -> None:
    """Ten bins of nearly equal size cover the range in order, and each value lies in its bin."""
    rate = named("learning_rate")
    assert rate.scale == "log"
    assert len(rate.values) == MAX_BINS
    sizes = [value.n_trials for value in rate.values]
    assert sum(sizes) == len(RECORD.complete)
    assert max(sizes) - min(sizes) <= 1
    ends = [end for value in rate.values for end in (value.low, value.high)]
    assert ends == sorted(ends)
    for i, value in enumerate(rate.values):
        own = [point for point in rate.points if point.place == i]
        assert all(value.low <= point.value <= value.high for point in own)
        assert value.value == np.median([point.value for point in own])
        assert value.best == min(point.measured for point in own)


def test_equal_numbers_take_the_luck_out_of_many_trials() -> None:
    """Where two values do not differ, the frequent one has the better best and no better mean.

    The expected best is the mean over all sets of as many trials as the rarest value has that has
    five; values with fewer have none, and one value alone has nothing to equal.
    """
    errors = np.random.default_rng(0).random(15).round(3).tolist()
    parameter = only(with_param([1] * 5 + [2] * 10, errors, IntDistribution(1, 3)))
    rare, frequent = parameter.values
    assert parameter.n_equal == 5
    assert rare.expected == pytest.approx(rare.best) == min(errors[:5])
    every = [min(chosen) for chosen in combinations(errors[5:], 5)]
    assert frequent.expected == pytest.approx(np.mean(every))
    for counts, n_equal, compared in (
        ((5, 4), None, [False, False]),
        ((5, 6, 2), 5, [True, True, False]),
    ):
        values = [i for i, count in enumerate(counts) for _ in range(count)]
        parameter = only(with_param(values, errors[: len(values)], IntDistribution(0, 5)))
        assert parameter.n_equal == n_equal
        assert [value.expected is not None for value in parameter.values] == compared


def test_a_maximised_metric_has_its_highest_values_as_best() -> None:
    """Best, second and expected best of an accuracy are high ones, on a linear axis."""
    record = planted_multitask()
    info = get_isolation(record, metric=VALIDATION_ACCURACY)
    layers = named("classification_layer_num", info)
    assert layers.scale == "linear"
    for value in layers.values:
        own = sorted(
            VALIDATION_ACCURACY.of(t) or 0
            for t in record.complete
            if t.feasible and t.params["classification_layer_num"] == value.value
        )
        assert (value.second, value.best) == tuple(own[-2:])
        assert value.median <= value.expected <= value.best
    layout = plot_isolation(info, kind_of(record)).layout
    assert layout.yaxis.type is None
    assert layout.yaxis.title.text == "validation<br>accuracy"
    assert layout.meta["brush"]["y2"] == "validation_accuracy"


def test_only_feasible_complete_trials_with_a_finite_value_count() -> None:
    """Pruned, failed, running, waiting and infeasible ones and those without a number do not."""
    params: dict[str, Scalar] = {"batch_size": 16}
    others = (TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)
    record = study(
        trial(0, value=0.3, params={"batch_size": 32}),
        trial(1, value=0.2, params=params),
        trial(2, value=0.1, params=params, attrs={"infeasible": True}),
        trial(3, state=TrialState.PRUNED, params=params, curve=(0.1,)),
        trial(4, value=math.nan, params=params),
        *(trial(5 + i, state=state, params=params) for i, state in enumerate(others)),
    )
    assert [(v.value, v.best_number, v.second) for v in only(record).values] == [
        (16, 1, None),
        (32, 0, None),
    ]


@pytest.mark.parametrize(
    ("values", "distribution", "scale", "found"),
    [
        ([1, 2, 4] * 5, IntDistribution(1, 4, log=True), "log", 3),
        ([0.0, 0.5] * 6, FloatDistribution(0, 1), "linear", 2),
        ([0.1, 0.5, 0.7], FloatDistribution(0, 1), "linear", 1),
        ([1e-3, 1e-2] * 2, CategoricalDistribution((1e-3, 1e-2)), "category", 2),
        (list(range(20)), CategoricalDistribution(tuple(range(20))), "linear", 4),
        ([True, False], CategoricalDistribution((True, False)), "category", 2),
        (
            ["b", 10, 2, True, None],
            CategoricalDistribution(("b", 10, 2, True, None)),
            "category",
            [2, 10, None, True, "b"],
        ),
    ],
)
def test_kinds_of_parameters(
    values: list[Scalar], distribution: object, scale: str, found: int | list[Scalar]
) -> None:
    """Ranges keep their scale, repeated and few numbers stay themselves, the rest is a choice.

    Of choices numbers come first by size, then texts; True is not 1.
    """
    errors = [0.1 + 0.01 * i for i in range(len(values))]
    parameter = only(with_param(values, errors, distribution))
    assert parameter.scale == scale
    own = [value.value for value in parameter.values]
    assert (len(own) if isinstance(found, int) else own) == found


def test_points_are_thinned_and_keep_the_best() -> None:
    """Of many trials the best ones stay, and the others are spread over the whole study.

    Of a sequence that repeats five values, a fifth holds all of them about equally often.
    """
    rng = np.random.default_rng(0)
    errors = rng.random(2000).tolist()
    info = get_isolation(with_param(rng.random(2000).tolist(), errors, FloatDistribution(0, 1)))
    (parameter,) = info.parameters
    numbers = [point.number for point in parameter.points]
    assert info.thinned
    assert parameter.n_trials == sum(value.n_trials for value in parameter.values) == 2000
    assert len(numbers) == len(set(numbers)) == MAX_POINTS
    assert numbers == sorted(numbers)
    assert set(np.argsort(errors)[:N_BEST_POINTS].tolist()) <= set(numbers)
    assert max(np.diff(numbers)) < 40
    chosen = thin([i % 5 for i in range(10_000)], 2000)
    counts = [chosen.count(value) for value in range(5)]
    assert sum(counts) == 2000
    assert min(counts) > 320


@given(
    values=st.lists(st.floats(0.01, 1) | st.sampled_from([0.25, 0.5]), min_size=2, max_size=80),
    seed=st.integers(0, 10),
)
@examples(max_examples=50)
def test_bins_part_the_trials(values: list[float], seed: int) -> None:
    """Every trial is in one bin, bins do not overlap, none is empty, and the best is the best."""
    errors = np.random.default_rng(seed).random(len(values)).tolist()
    info = get_isolation(with_param(values, errors, FloatDistribution(0.01, 1)))
    assert len(info.parameters) == (len(set(values)) > 1)
    for parameter in info.parameters:
        assert sum(value.n_trials for value in parameter.values) == len(values)
        assert min(value.n_trials for value in parameter.values) >= 1
        assert min(value.best for value in parameter.values) == min(errors)
        lows = [v.value if v.low is None else v.low for v in parameter.values]
        highs = [v.value if v.high is None else v.high for v in parameter.values]
        assert all(high < low for high, low in zip(highs, lows[1:], strict=False))


@given(n=st.integers(0, 60), limit=st.integers(0, 70), kept=st.sets(st.integers(0, 59)))
def test_thinning_keeps_the_order_and_what_must_stay(n: int, limit: int, kept: set[int]) -> None:
    """The selection is of the right size, ordered, without repetition, and holds what it must."""
    items = range(n)
    chosen = thin(items, limit, keep=lambda item: item in kept)
    wanted = kept & set(items)
    assert list(chosen) == sorted(set(chosen))
    assert wanted <= set(chosen)
    assert len(chosen) == min(n, max(limit, len(wanted)))


def test_chart_has_one_row_per_parameter_with_its_own_axis(figure: go.Figure) -> None:
    """Errors are on one logarithmic scale, numbers on theirs, and columns are named."""
    layout = figure.layout
    rows = ["" if i == 0 else str(i + 1) for i in range(len(INFO.parameters))]
    assert layout.xaxis3.type == "log"
    assert layout.xaxis3.title.text == "learning rate (log)"
    assert list(layout.xaxis2.ticktext) == ["16", "32", "64"]
    assert list(layout.xaxis6.ticktext) == ["off", "on"]
    assert {layout[f"yaxis{row}"].type for row in rows} == {"log"}
    assert {layout[f"yaxis{row}"].matches for row in rows[:-1]} == {f"y{rows[-1]}"}
    columns = {"x3": "learning_rate", "x4": "weight_decay"}
    assert layout.meta["brush"] == {**{f"y{row}": "value" for row in rows}, **columns}
    assert layout.height > 6 * 170


def test_chart_shows_trials_by_family_and_both_marks(figure: go.Figure) -> None:
    """Trials can be brushed, a family has its colour, and no legend entry is repeated."""
    rate = named("learning_rate")
    own = [trace for trace in figure.data if trace.xaxis == "x3"]
    assert [trace.name for trace in own] == [
        *("CNN", "linear", "best", "expected best of equally many trials"),
    ]
    numbers = []
    for trace in own[:2]:
        assert trace.meta == {"trials": True}
        assert trace.marker.color == COLORS[trace.name]
        for x, y, (number, _) in zip(trace.x, trace.y, trace.customdata, strict=True):
            assert x == pytest.approx(RECORD.trials[number].params["learning_rate"], rel=1e-4)
            assert y == pytest.approx(RECORD.trials[number].value, rel=1e-4)
            numbers.append(number)
    assert sorted(numbers) == [t.number for t in RECORD.complete]
    best, equal = own[2:]
    assert list(best.y) == pytest.approx([value.best for value in rate.values], rel=1e-4)
    assert list(equal.y) == pytest.approx([value.expected for value in rate.values], rel=1e-4)
    assert list(best.x) == pytest.approx([value.value for value in rate.values], rel=1e-4)
    assert [trace.meta for trace in own[2:]] == [None, None]
    entries = [trace.name for trace in figure.data if trace.showlegend]
    assert len(entries) == len(set(entries)) == 4


def test_trials_of_a_choice_are_spread_around_it(figure: go.Figure) -> None:
    """A point is nearer to its own choice than to any other."""
    places = {point.number: point.place for point in named("batch_size").points}
    spread = [
        x - places[number]
        for trace in figure.data
        if trace.xaxis == "x2" and trace.meta
        for x, (number, _) in zip(trace.x, trace.customdata, strict=True)
    ]
    assert max(map(abs, spread)) <= 0.301
    assert len({round(x, 1) for x in spread}) == 7


def test_markup_and_numbers_that_cannot_be_drawn() -> None:
    """Names and values cannot bring a tag into the chart, and an error of 0 has no place."""
    evil = "</script><b>loss</b>"
    choices = CategoricalDistribution((evil, "x"))
    record = with_param([evil, "x", evil], [0.0, 0.1, 0.2], choices, name=evil)
    figure = json.loads(plot_isolation(get_isolation(record), kind_of(record)).to_json())
    traces = figure["data"]
    assert "&lt;b&gt;loss" in traces[0]["hovertemplate"]
    del figure["layout"]["meta"]  # names of columns, which no one sees
    assert "<" not in json.dumps(figure).replace("<br>", "")
    assert sorted(n for t in traces if t.get("meta") for n, _ in t["customdata"]) == [1, 2]
    best = next(t for t in traces if t["name"] == "best")
    assert best["y"] == [0.1]
