"""Isolation plots: the best and the median of each value, bins, and their charts."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search_spaces import Scalar
from storage.records import StudyRecord
from study.analysis import kind_of
from study.analysis.isolation import MAX_POINTS, N_BEST_POINTS, IsolatedParameter, get_isolation
from study.analysis.thinning import thin
from study.figures.parameters import plot_isolation
from study.figures.style import FAMILY_COLORS
from tests.study_tests.synthetic import (
    SETTINGS,
    VALIDATION_ACCURACY,
    planted,
    planted_multitask,
    study,
    trial,
)

RECORD = planted()
INFO = get_isolation(RECORD)
ODD = ["b", 10, 2, True, None]


def named(name: str) -> IsolatedParameter:
    """Return a parameter by its name."""
    return next(p for p in INFO.parameters if p.name == name)


def with_param(
    values: Sequence[Scalar], errors: Sequence[float], distribution: object, name: str = "depth"
) -> StudyRecord:
    """Return a study of complete trials with one parameter."""
    own = {"distributions": {name: distribution}}
    pairs = enumerate(zip(values, errors, strict=True))
    return study(*(replace(trial(i, value=e), params={name: v}, **own) for i, (v, e) in pairs))


def test_parameters_that_do_not_vary_are_left_out() -> None:
    """So are more than twelve texts; conditional ones are of trials with them."""
    assert [(parameter.name, parameter.scale) for parameter in INFO.parameters] == [
        *(("auto_encoder", "category"), ("batch_size", "category"), ("learning_rate", "log")),
        *(("weight_decay", "log"), ("bottleneck_dim", "category")),
        ("batch_normalization", "category"),
    ]
    sizes = [value.n_trials for value in named("learning_rate").values]
    assert (len(sizes), max(sizes) - min(sizes) <= 1) == (10, True)
    assert INFO.n_trials == sum(sizes) == len(RECORD.complete)
    n_linear = sum(t.params["auto_encoder"] == "linear" for t in RECORD.complete)
    assert named("bottleneck_dim").n_trials == n_linear
    families = {p.trial.params["auto_encoder"] for p in named("bottleneck_dim").points}
    assert families == {"linear"}
    info = get_isolation(study(trial(0, value=0.1, params={"batch_size": 16})))
    assert (info.parameters, info.thinned, info.alike) == ((), False, ())
    ended = [trial(i, value=0.1, params={"batch_size": 16}) for i in range(2)]
    other = trial(2, state=TrialState.PRUNED, params={"batch_size": 32})
    info = get_isolation(study(*ended, other))
    assert (info.parameters, info.alike) == ((), ("batch_size",))
    assert plot_isolation(info, kind_of(RECORD)) == {}
    values = [f"choice {i}" for i in range(13)]
    choices = CategoricalDistribution(tuple(values))
    info = get_isolation(with_param(values, [0.1] * 13, choices, name="activation"))
    assert (info.parameters, info.left_out) == ((), ("activation",))


@pytest.mark.parametrize(
    ("values", "distribution", "scale", "found"),
    [
        ([1, 2, 4] * 5, IntDistribution(1, 4, log=True), "log", 3),
        ([0.0, 0.5] * 6, FloatDistribution(0, 1), "linear", 2),
        ([0.1, 0.5, 0.7], FloatDistribution(0, 1), "linear", 1),
        ([1e-3, 1e-2] * 2, CategoricalDistribution((1e-3, 1e-2)), "category", 2),
        (list(range(1, 21)), CategoricalDistribution(tuple(range(1, 21))), "linear", 4),
        (ODD, CategoricalDistribution(tuple(ODD)), "category", [2, 10, None, True, "b"]),
    ],
)
def test_kinds_of_parameters(
    values: list[Scalar], distribution: object, scale: str, found: int | list[Scalar]
) -> None:
    """Ranges keep their scale, few numbers stay themselves, the rest is a choice, in order."""
    errors = [0.1 + 0.01 * i for i in range(len(values))]
    (parameter,) = get_isolation(with_param(values, errors, distribution)).parameters
    assert parameter.scale == scale
    own = [value.value for value in parameter.values]
    assert (len(own) if isinstance(found, int) else own) == found


@given(
    values=st.lists(st.floats(0.01, 1) | st.sampled_from([0.25, 0.5]), min_size=2, max_size=80),
    seed=st.integers(0, 10),
)
@examples(max_examples=50)
def test_bins_part_the_trials(values: list[float], seed: int) -> None:
    """Every trial is in one bin, none overlap, and the numbers of each are those of its trials."""
    errors = np.random.default_rng(seed).random(len(values)).tolist()
    info = get_isolation(with_param(values, errors, FloatDistribution(0.01, 1)))
    assert len(info.parameters) == (len(set(values)) > 1)
    for parameter in info.parameters:
        lows = [v.value if v.ends is None else v.ends.low for v in parameter.values]
        highs = [v.value if v.ends is None else v.ends.high for v in parameter.values]
        assert all(high < low for high, low in zip(highs, lows[1:], strict=False))
        assert sum(value.n_trials for value in parameter.values) == len(values)
        for place, value in enumerate(parameter.values):
            own = [i for i, x in enumerate(values) if lows[place] <= x <= highs[place]]
            first, *others = sorted((errors[i], i) for i in own)
            assert (value.best, value.best_number, value.n_trials) == (*first, len(own))
            assert value.second == (others[0][0] if others else None)
            assert value.median == np.median([errors[i] for i in own])
            assert value.value == np.median([values[i] for i in own])
            assert [p.trial.number for p in parameter.points if p.place == place] == own


@given(n=st.integers(0, 60), limit=st.integers(0, 70), kept=st.sets(st.integers(0, 59)))
def test_thinning_keeps_the_order_and_what_must_stay(n: int, limit: int, kept: set[int]) -> None:
    """The selection is of the right size, ordered, without repetition, and holds what it must."""
    items = range(n)
    chosen = thin(items, limit, keep=lambda item: item in kept)
    wanted = kept & set(items)
    assert list(chosen) == sorted(set(chosen))
    assert wanted <= set(chosen)
    assert len(chosen) == min(n, max(limit, len(wanted)))


def test_points_are_thinned_evenly_and_keep_the_best() -> None:
    """Of 2,000 trials the best are drawn, and others all along the study."""
    rng = np.random.default_rng(0)
    errors = rng.random(2000).tolist()
    record = with_param(rng.random(2000).tolist(), errors, FloatDistribution(0, 1))
    info = get_isolation(record)
    numbers = [point.trial.number for point in info.parameters[0].points]
    assert (info.thinned, len(numbers)) == (True, MAX_POINTS)
    assert sum(value.n_trials for value in info.parameters[0].values) == 2000
    assert numbers == sorted(set(numbers))
    assert set(np.argsort(errors)[:N_BEST_POINTS].tolist()) <= set(numbers)
    assert max(np.diff(numbers)) < 40


def test_each_parameter_has_a_chart() -> None:
    """All have one axis of errors; trials can be brushed, families have colours and shapes."""
    figures, rate = plot_isolation(INFO, kind_of(RECORD)), named("learning_rate")
    assert list(figures) == [parameter.name for parameter in INFO.parameters]
    axes = {(f.layout.yaxis.type, f.layout.yaxis.range) for f in figures.values()}
    ((kind, (low, high)),) = axes
    errors = [t.value for t in RECORD.complete if t.value is not None]
    assert (kind, 10**low < min(errors), 10**high > max(errors)) == ("log", True, True)
    assert list(figures["batch_size"].layout.xaxis.ticktext) == ["16", "32", "64"]
    assert list(figures["batch_normalization"].layout.xaxis.ticktext) == ["off", "on"]
    brush = {"y": "value", "x": "batch_size", "choices": [16, 32, 64]}
    assert figures["batch_size"].layout.meta["brush"] == brush
    figure = figures["learning_rate"]
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.meta["brush"] == {"x": "learning_rate", "y": "value"}
    *families, best, median = figure.data
    looks = [(trace.marker.color, trace.marker.symbol) for trace in families]
    assert looks == [(FAMILY_COLORS[0], "circle-open"), (FAMILY_COLORS[1], "square-open")]
    numbers = []
    for trace in families:
        for x, y, (number, _) in zip(trace.x, trace.y, trace.customdata, strict=True):
            t = RECORD.trials[number]
            assert (x, y) == pytest.approx((t.params["learning_rate"], t.value), rel=1e-4)
            numbers.append(number)
    assert sorted(numbers) == [t.number for t in RECORD.complete]
    for trace, name in ((best, "best"), (median, "median")):
        assert list(trace.y) == pytest.approx([getattr(v, name) for v in rate.values], rel=1e-4)
    assert (families[0].meta, best.meta, median.meta) == ({"trials": True}, None, None)
    mark = next(trace for trace in figures["batch_size"].data if trace.meta)
    assert len({round(x, 1) for x in mark.x}) > 7  # those of one choice lie side by side
    info = get_isolation(planted_multitask(40), metric=VALIDATION_ACCURACY)
    layout = plot_isolation(info, kind_of(RECORD))["auto_encoder"].layout
    assert (layout.yaxis.type, layout.meta["brush"]["y"]) == (None, "validation_accuracy")


def test_markup_and_numbers_that_cannot_be_drawn() -> None:
    """Names and values cannot bring a tag into the chart, and an error of 0 has a place."""
    evil = "</script><b>loss</b>"
    choices = CategoricalDistribution((evil, "x"))
    record = with_param([evil, "x", evil], [0.0, 0.1, 0.2], choices, name=evil)
    record = replace(record, user_attrs={"settings": SETTINGS})
    (drawn,) = plot_isolation(get_isolation(record), kind_of(record)).values()
    figure = json.loads(drawn.to_json())
    traces = figure["data"]
    assert "&lt;b&gt;loss" in traces[0]["hovertemplate"]
    del figure["layout"]["meta"]  # names of columns, which no one sees
    assert "<" not in json.dumps(figure).replace("<br>", "")
    assert sorted(n for t in traces if t.get("meta") for n, _ in t["customdata"]) == [0, 1, 2]
    best = next(t for t in traces if t["name"] == "best")
    assert (best["y"], drawn.layout.yaxis.type) == ([0.0, 0.1], None)
