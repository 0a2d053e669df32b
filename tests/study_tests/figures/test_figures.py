"""Each chart shows its Info: the right data, axes, colours and gaps."""

import math
import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from optuna.trial import TrialState
from plotly.colors import hex_to_rgb

from storage.records import StudyRecord, TrialRecord
from study.analysis import kind_of
from study.analysis.correlation import get_correlations
from study.analysis.cost import get_costs
from study.analysis.front import get_fronts
from study.analysis.history import get_history, get_learning_curves
from study.analysis.isolation import get_isolation
from study.analysis.surrogate import get_surrogate
from study.figures.comparisons import STUDY_COLORS, plot_costs, plot_front
from study.figures.parameters import plot_correlations, plot_importances, plot_isolation
from study.figures.search import plot_history, plot_learning_curves
from study.figures.style import FAMILY_COLORS, FAMILY_SYMBOLS, ticks
from tests.study_tests import synthetic
from tests.study_tests.synthetic import (
    SETTINGS,
    VALIDATION_ACCURACY,
    classified,
    multitask,
    planted,
    planted_multitask,
    trial,
)

RECORD, CLASSIFYING = planted(), planted_multitask()
KIND, CLASSES = kind_of(RECORD), kind_of(CLASSIFYING)
COLORS = dict(zip(("CNN", "linear"), FAMILY_COLORS, strict=False))

CNN = {"auto_encoder": "CNN", "epoch": 10, "learning_rate": 0.01}


def study(*trials: TrialRecord) -> StudyRecord:
    """Return a search of autoencoders."""
    return synthetic.study(*trials, settings=SETTINGS)


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    """Return the named traces of a figure; of equal names the last."""
    return {trace.name: trace for trace in figure.data if trace.name}


def near(values: list[float]) -> object:
    """Return what numbers of a chart equal, which have five digits."""
    return pytest.approx(values, rel=1e-4, abs=1e-9)


def test_history_draws_every_trial_once() -> None:
    """Markers are all trials with a value, and the step line is the running best."""
    info = get_history(RECORD)
    figure = plot_history(info, KIND)
    found = traces(figure)
    best = found.pop("best so far")
    assert sum(len(trace.x) for trace in found.values()) == 120
    names = ["CNN complete", "linear complete", "CNN pruned", "linear pruned", "failed"]
    assert list(found) == names
    assert (best.line.shape, best.meta, max(best.x)) == ("hv", {"incumbents": True}, 119)
    steps, value = dict(zip(best.x, best.y, strict=True)), None
    for point in info.points:
        value = steps.get(point.trial.number, value)
        assert value == pytest.approx(point.best, rel=1e-4)
    for trace in found.values():
        assert (trace.meta, trace.customdata) == ({"trials": True}, trace.x)
    constrained = traces(plot_history(get_history(CLASSIFYING), KIND))
    for family, color in COLORS.items():
        assert found[f"{family} complete"].marker.color == color
        symbol = dict(zip(COLORS, FAMILY_SYMBOLS, strict=False))[family]
        assert constrained[f"{family} complete"].marker.symbol == symbol
        infeasible = constrained[f"{family} infeasible"].marker
        assert (infeasible.symbol, infeasible.color) == (f"{symbol}-open", color)
    assert figure.layout.meta == {"brush": {"x": "number", "y": "value"}}
    axis = figure.layout.yaxis
    assert (axis.type, axis.title.text) == ("log", "validation MSE (log)")


def test_curves_carry_the_time_of_a_step() -> None:
    """Points carry their trial, trials their seconds per step, but untimed and repeated ones."""
    figure = plot_learning_curves(get_learning_curves(RECORD), KIND)
    names = [trace.name for trace in figure.data if trace.showlegend]
    assert names == ["linear complete", "linear pruned", "failed", "CNN complete"]
    assert figure.layout.meta["progress"]["names"] == ["epoch", "training time (s)"]
    seconds = figure.layout.meta["progress"]["seconds"]
    assert set(seconds.values()) == {2.5}
    for trace in figure.data:
        assert trace.meta == {"trials": True}
        assert set(trace.customdata) <= {*seconds, None}
    timed = {"epochs_run": 2, "training_seconds": 8.0}
    of_three: list[dict[str, object]] = [{}, timed, {**timed, "reused_from": 1}]
    three = (
        trial(i, value=0.2, params=CNN, curve=(0.4, 0.2), attrs=own)
        for i, own in enumerate(of_three)
    )
    figure = plot_learning_curves(get_learning_curves(study(*three)), KIND)
    assert figure.layout.meta["progress"]["seconds"] == {1: 4.0}


def _contrast(color: str, page: str) -> float:
    """Return the contrast of two colours (WCAG 2.2, https://www.w3.org/TR/WCAG22/)."""
    parts = np.asarray([hex_to_rgb(color), hex_to_rgb(page)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    low, high = sorted(0.05 + linear @ (0.2126, 0.7152, 0.0722))
    return float(high / low)


def test_marks_can_be_seen_on_white_and_on_dark_pages() -> None:
    """Whatever shows a trial or an estimate has a contrast of 3 to 1, and is not faded."""
    drawn = [
        plot_history(get_history(RECORD), KIND),
        plot_learning_curves(get_learning_curves(RECORD), KIND),
        *plot_isolation(get_isolation(RECORD), KIND).values(),
        *plot_costs(get_costs(RECORD), KIND).values(),
        plot_importances(get_surrogate(RECORD)),
        plot_correlations(get_correlations(RECORD), KIND),
        plot_front(get_fronts(CLASSIFYING)[0], CLASSES),
    ]
    colors = {*FAMILY_COLORS, *STUDY_COLORS}
    for trace in (trace for figure in drawn for trace in figure.data):
        if trace.hoverinfo == "skip" and trace.type == "bar":
            continue  # it carries a number
        assert trace.opacity is trace.marker.opacity is None
        edge = trace.marker.line.color if trace.type == "bar" else None
        color = edge or trace.marker.color or trace.line.color
        colors |= {color}
    for color in colors:
        for page in ("#ffffff", "#14171a"):
            assert _contrast(color, page) >= 3, (color, page)


def test_stopped_curves_are_dashed_and_end_in_an_x() -> None:
    """Pruned and failed trials show where they ended; NaN and infinity are not in the JSON."""
    trials = (
        trial(0, value=0.2, params=CNN, curve=(math.inf, 0.4, 0.2)),
        trial(1, state=TrialState.PRUNED, params=CNN, curve=(0.5, 0.45)),
        trial(2, state=TrialState.FAIL, params=CNN, curve=(0.6, 0.7, math.nan)),
        trial(3, value=math.inf, params=CNN, curve=(0.0,)),
    )
    figure = plot_learning_curves(get_learning_curves(study(*trials)), KIND)
    found = traces(figure)
    dashes = [found[name].line.dash for name in ("CNN complete", "CNN pruned", "failed")]
    assert dashes == [None, "dot", "dash"]
    ends = [t for t in figure.data if t.mode == "markers"]
    found_ends = [(end.x, end.y, end.marker.symbol) for end in ends]
    assert found_ends == [((2,), (0.45,), "x"), ((3,), (0.7,), "x")]
    assert list(found["best (trial 0)"].y) == [None, 0.4, 0.2]
    assert found["CNN complete"].line.color == COLORS["CNN"]
    for drawn in (figure, plot_history(get_history(study(*trials)), KIND)):
        assert not {"NaN", "Infinity"} & set(re.findall(r"\w+", drawn.to_json()))


def test_importances_draw_rises_with_intervals_that_hold() -> None:
    """What may be nothing is pale; there are whiskers where a design chose the trials."""
    info = get_surrogate(RECORD)
    (bars,) = plot_importances(info).data
    assert list(bars.x) == near([p.rise for p in info.parameters])
    strong = [color == bars.marker.line.color for color in bars.marker.color]
    assert strong == [p.needed for p in info.parameters]
    assert 0 < sum(strong) < len(strong)
    assert bars.error_x.array is None
    (bars,) = plot_importances(replace(info, independent=True)).data
    first = info.parameters[0]
    assert bars.error_x.array[0] == pytest.approx(first.interval.high - first.rise, rel=1e-3)
    assert bars.error_x.arrayminus[0] == pytest.approx(first.rise - first.interval.low, rel=1e-3)


def test_correlations_have_numbers_and_whiskers() -> None:
    """No constant has a bar, signed numbers stand beyond whiskers, a wide axis has few ticks."""
    info = get_correlations(CLASSIFYING, metric=VALIDATION_ACCURACY)
    figure = plot_correlations(info, KIND)
    data = figure.data
    for family, bars, numbers in zip(info.families, data[::2], data[1::2], strict=True):
        found = {p.name.replace("_", " "): p.spearman for p in family.parameters}
        assert "epoch" not in bars.y
        assert (bars.y, bars.offsetgroup) == (numbers.y, numbers.offsetgroup)
        assert bars.marker.line.color == COLORS[family.family]
        assert list(bars.x) == near([found[y].value for y in bars.y])
        signed = [f"{x:+.2f}".replace("-", "\N{MINUS SIGN}") for x in bars.x]
        assert list(numbers.text) == signed
        assert all(abs(end) >= abs(x) for x, end in zip(bars.x, numbers.x, strict=True))
        for i, label in enumerate(bars.y):
            high = bars.x[i] + bars.error_x.array[i]
            low = bars.x[i] - bars.error_x.arrayminus[i]
            assert (low, high) == pytest.approx(found[label].interval, abs=1e-4)
    axis = figure.layout.xaxis
    assert axis.title.text == "Spearman correlation<br>with validation<br>accuracy"
    assert (axis.range, axis.tickvals) == ((-1.75, 1.75), (-1, 0, 1))


def test_markup_in_names_is_escaped() -> None:
    """A family name cannot bring a link or a tag into a chart."""
    params = {"auto_encoder": "<a href='x'>CNN</a>", "strategy": "<b>"}
    record = multitask(trial(0, value=0.1, params=params, attrs=classified((1, 2, 3, 4))))
    front = plot_front(get_fronts(record)[0], CLASSES)
    for figure in (plot_history(get_history(record), KIND), front):
        (name,) = set(traces(figure)) - {"best so far", "trade-off front"}
        assert name.startswith("&lt;a href=&#x27;x&#x27;&gt;CNN&lt;/a&gt;")
        assert "<" not in name


def test_front_draws_every_trial_once() -> None:
    """Markers are all trials with both metrics, the steps are the front."""
    info = get_fronts(CLASSIFYING)[0]
    figure = plot_front(info, CLASSES)
    line, *marks = figure.data
    assert (line.name, line.line.shape) == ("trade-off front", "hv")
    assert list(line.x) == near([point.first for point in info.front])
    assert list(line.y) == near([point.second for point in info.front])
    numbers = [number for mark in marks for number in mark.customdata]
    assert sorted(numbers) == [point.trial.number for point in info.points]
    axis = figure.layout.xaxis
    assert (axis.type, axis.title.text) == ("log", "validation MSE (log)")
    assert figure.layout.meta == {"brush": {"x": "value", "y": "validation_accuracy"}}
    points = {point.trial.number: point.trial for point in info.points}
    symbols = {"branched": "diamond", "joint": "circle", "sequential": "square"}
    for mark in marks:
        own = [points[number] for number in mark.customdata]
        names = ("auto_encoder", "strategy")
        ((family, strategy, feasible),) = {(*map(t.params.get, names), t.feasible) for t in own}
        assert (mark.name, mark.meta) == (f"{family}, {strategy}", {"trials": True})
        assert mark.marker.color == COLORS[family]
        assert mark.marker.symbol == symbols[strategy] + ("" if feasible else "-open")
        assert ("breaks the constraint" in mark.hovertemplate) != feasible
    names = [mark.name for mark in marks if mark.showlegend is not False]
    assert len(set(names)) == len(names) == 6
    (needed,) = figure.layout.shapes
    assert (needed.y0, needed.y1, needed.line.dash) == (0.7, 0.7, "dash")
    assert needed.name == "70.0\N{NO-BREAK SPACE}% needed"


def test_ticks_of_many_decades_have_room() -> None:
    """Up to two decades or so have several each, a dozen has one in every second."""
    spans = (1.0, 300.0, 1e3, 1e6, 1e12, math.inf)
    assert [ticks(span) for span in spans] == ["D2", "D2", 1, 1, 2, 1]
