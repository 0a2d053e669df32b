"""What mattered: importances, correlations and isolation plots of parameters."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np
import plotly.graph_objects as go

from search_spaces import Scalar
from storage.records import StudyRecord, TrialRecord
from study.analysis import family_of, grouped, kind_of, ranked
from study.analysis.correlation import CorrelationsInfo, ParameterCorrelation
from study.analysis.estimates import Interval
from study.analysis.isolation import IsolatedParameter, IsolatedPoint, IsolatedValue, IsolationInfo
from study.analysis.pairs import PairInfo
from study.analysis.surrogate import SurrogateInfo
from study.analysis.thinning import thin
from study.figures.style import (
    GREEN,
    NEUTRAL,
    PLAIN,
    family_color,
    hollow_marker,
    is_log,
    listed,
    new_figure,
    pale,
    parameter_label,
    rounded,
    small_multiple,
    ticks,
    told,
    trial_lines,
    whiskers,
)
from study.formats import (
    counted,
    format_coefficient,
    format_measured,
    format_value,
)
from study.kind_info import KindInfo
from study.metrics import Metric
from study.wording import OURS, Wording

SIGNIFICANT = 0.05
"""Bars of correlations with a larger adjusted p-value are drawn pale."""

_SPREAD = 0.6  # over which trials of a choice are spread, as a share of that between choices
_LONGEST_CHOICE = 16
_BETTER_IS_DARK = [[0, "#eff6fc"], [1, "#6baed6"]]
MAX_LINES = 1000  # trials that parallel coordinates show
_NARROW = 100  # values that differ by no more than so many times have ticks at 1, 2 and 5
_FEW = 6  # values of a number of which each has a tick of its own


def plot_importances(info: SurrogateInfo, wording: Wording = OURS) -> go.Figure:
    """Draw the importance of each parameter as a bar; what may be none is pale.

    Whiskers are the intervals, where they hold.
    """
    parameters = info.parameters
    figure = new_figure(height=110 + 38 * len(parameters))
    figure.add_bar(
        orientation="h",
        y=[parameter_label(p.name, wording) for p in parameters],
        x=rounded(p.rise for p in parameters),
        marker={
            "color": [GREEN if p.needed else pale(GREEN) for p in parameters],
            "line": {"color": GREEN, "width": 1},
        },
        error_x=whiskers(((p.rise, p.interval) for p in parameters), color=NEUTRAL)
        if info.independent
        else None,
        customdata=[
            [("told from zero" if p.needed else "may be zero") + _interval(info, p.interval)]
            for p in parameters
        ],
        hovertemplate="%{y}<br>importance %{x:.2f}, %{customdata[0]}<extra></extra>",
        showlegend=False,
    )
    of_metric = "" if info.metric.objective else f"<br>for {escape(info.metric.label)}"
    figure.update_xaxes(title_text=f"importance{of_metric}")
    return figure.update_yaxes(type="category", autorange="reversed", ticks="", showgrid=False)


def _interval(info: SurrogateInfo, found: Interval) -> str:
    return f", 95 % interval {found.written(format_coefficient)}" if info.independent else ""


def plot_correlations(info: CorrelationsInfo, kind: KindInfo) -> go.Figure:
    """Draw Spearman's rank correlation of each parameter as bars, one colour per family.

    Whiskers are 95 % intervals; what the adjusted p-value leaves to chance is pale.
    """
    parameters = (p for family in info.families for p in family.parameters)
    names = list(dict.fromkeys(p.name for p in parameters if p.spearman.value is not None))
    figure = new_figure(height=140 + 26 * max(1, len(info.families)) * len(names))
    reach = 0.0
    for family in info.families:
        having = [p for p in family.parameters if p.spearman.value is not None]
        # The arrays of whiskers end before the rows that have none.
        rows = sorted(having, key=lambda p: p.spearman.interval is None)
        sure = [(p.spearman.value or 0.0, ends) for p in rows if (ends := p.spearman.interval)]
        reached = [_whisker_end(p) for p in rows]
        reach = max(reach, *map(abs, reached), 0.0)
        color = family_color(kind, family.family)
        position = {
            "orientation": "h",
            "y": [parameter_label(p.name, kind.wording) for p in rows],
            "legendgroup": family.family,
            "offsetgroup": family.family,
        }
        figure.add_bar(
            **position,
            name=f"{escape(family.family)} ({counted(family.n_trials, 'trial')})",
            x=rounded(p.spearman.value for p in rows),
            marker={
                "color": [
                    color
                    if p.spearman.p_adjusted is not None and p.spearman.p_adjusted < SIGNIFICANT
                    else pale(color)
                    for p in rows
                ],
                "line": {"color": color, "width": 1},
            },
            error_x=whiskers(sure, color=NEUTRAL, thickness=1.5, width=3),
            customdata=[
                [
                    p.pearson.value,
                    p.spearman.p_adjusted,
                    p.n_trials,
                    "log10 of the value" if p.log else "value",
                    "too few trials"
                    if p.spearman.interval is None
                    else p.spearman.interval.written(format_coefficient),
                ]
                for p in rows
            ],
            hovertemplate="%{y}, %{customdata[3]}<br>Spearman %{x:.2f}"
            "<br>95 % interval: %{customdata[4]}<br>adjusted p = %{customdata[1]:.2g}"
            "<br>Pearson %{customdata[0]:.2f}<br>n = %{customdata[2]}",
        )
        figure.add_bar(
            **position,
            x=rounded(reached),
            text=[format_coefficient(p.spearman.value) for p in rows],
            textposition="outside",
            cliponaxis=False,
            marker={"color": "rgba(0,0,0,0)"},
            hoverinfo="skip",
            showlegend=False,
        )
    # On a phone, the number beyond a long bar needs more room.
    wide = reach > 0.7
    title = wrap(f"Spearman correlation with {info.metric.label}", width=20)
    figure.update_xaxes(
        title_text="<br>".join(map(escape, title)),
        range=[-1.75, 1.75] if wide else [-1.35, 1.35],
        tickvals=[-1, 0, 1] if wide else [-1, -0.5, 0, 0.5, 1],
        zeroline=True,
    )
    return figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[parameter_label(name, kind.wording) for name in names],
        autorange="reversed",
        showgrid=False,
    )


def plot_isolation(info: IsolationInfo, kind: KindInfo) -> dict[str, go.Figure]:
    """Draw the metric over each parameter in a chart of its own, with best and median.

    Trials are hollow in the colour and shape of their family, the best of each value green, the
    median of several grey. Choices are spread sideways so that their trials can be seen.
    """
    values = [point.measured for p in info.parameters for point in p.points]
    figures = {}
    for parameter in info.parameters:
        traces = _isolated_traces(parameter, info.metric, kind)
        brush: dict[str, Any] = {"y": "value" if info.metric.objective else info.metric.name}
        brush["x"] = parameter.name
        if parameter.scale == "category":
            brush["choices"] = [value.value for value in parameter.values]
        figure = small_multiple(traces, info.metric, values).update_layout(meta={"brush": brush})
        figures[parameter.name] = figure.update_xaxes(**_isolated_axis(parameter, kind.wording))
    return figures


def _isolated_traces(
    parameter: IsolatedParameter, metric: Metric, kind: KindInfo
) -> Iterator[go.Scatter]:
    """Yield the trials, the best of each value, and the median of each that has several."""
    wording = kind.wording
    name, label = parameter_label(parameter.name, wording), escape(metric.label)

    def told_value(trial: TrialRecord) -> str:
        return escape(wording.value(trial.params[parameter.name], parameter.name))

    families = grouped(parameter.points, lambda point: family_of(point.trial, kind.family))
    for family, own in sorted(families.items()):
        yield go.Scatter(
            name=escape(family),
            meta={"trials": True},
            x=listed([_point_x(parameter, point) for point in own]),
            y=listed(rounded(point.measured for point in own)),
            customdata=listed([[p.trial.number, told_value(p.trial)] for p in own]),
            mode="markers",
            marker=hollow_marker(kind, family),
            hovertemplate=f"trial %{{customdata[0]}}<br>{name} %{{customdata[1]}}"
            f"<br>{label} {told(metric, 'y')}",
        )
    best = [(i, value, value.best) for i, value in enumerate(parameter.values)]
    several = [(i, value, value.median) for i, value, _ in best if value.n_trials > 1]
    line = {"color": NEUTRAL, "width": 1.5, "dash": "dash"}
    marker = {"color": NEUTRAL, "size": 9, "symbol": "diamond"}
    strong = {"line": {"color": GREEN, "width": 2}, "marker": {"color": GREEN, "size": 8}}
    for word, shown, trial, look in (
        ("best", best, "<br>trial %{customdata[2]}", strong),
        ("median", several, "", {"line": line, "marker": marker}),
    ):
        if shown:
            yield go.Scatter(
                **look,
                name=word,
                x=[_value_x(parameter, i) for i, _, _ in shown],
                y=rounded(measured for *_, measured in shown),
                customdata=[_value_texts(value, parameter.name, wording) for _, value, _ in shown],
                mode="markers" if parameter.scale == "category" else "lines+markers",
                hovertemplate=f"{name} %{{customdata[0]}}<br>{word} of %{{customdata[1]}}: "
                f"{label} {told(metric, 'y')}{trial}",
            )


def _isolated_axis(parameter: IsolatedParameter, wording: Wording) -> dict[str, Any]:
    """Return the axis of a parameter's values; choices stand at whole numbers."""
    if parameter.scale != "category":
        values = [float(value.value or 0) for value in parameter.values]
        axis: dict[str, Any] = {"type": parameter.scale}
        if parameter.scale == "log":
            drawn = [float(p.trial.params[parameter.name] or 0) for p in parameter.points]
            axis |= {"tickformat": PLAIN, "dtick": ticks(max(drawn) / min(drawn), _NARROW)}
        if len(values) <= _FEW and all(value.ends is None for value in parameter.values):
            axis |= {"tickvals": values}
        return axis
    choices = [wording.value(value.value, parameter.name) for value in parameter.values]
    longest = _LONGEST_CHOICE
    texts = [escape(c if len(c) <= longest else f"{c[: longest - 1]}…") for c in choices]
    return {
        "type": "linear",
        "tickvals": list(range(len(texts))),
        "ticktext": texts,
        "range": [-0.5, len(texts) - 0.5],
        "showgrid": False,
    }


def _point_x(parameter: IsolatedParameter, point: IsolatedPoint) -> float | None:
    if parameter.scale != "category":
        return rounded([float(point.trial.params[parameter.name] or 0)])[0]
    # Multiples of the golden ratio are evenly spread, however many there are.
    aside = math.modf(point.trial.number * 0.6180339887)[0] - 0.5
    return rounded([point.place + _SPREAD * aside])[0]


def _value_x(parameter: IsolatedParameter, place: int) -> float | None:
    if parameter.scale == "category":
        return float(place)
    return rounded([float(parameter.values[place].value or 0)])[0]


def _value_texts(value: IsolatedValue, parameter: str, wording: Wording) -> Sequence[str]:
    """Return a value, how many trials have it and its best trial as texts."""
    name = wording.value(value.value, parameter)
    if value.ends is not None:
        name = value.ends.written(format_value)
    return escape(name), counted(value.n_trials, "trial"), str(value.best_number)


def _whisker_end(parameter: ParameterCorrelation) -> float:
    """Return where a bar of correlation ends together with its whisker."""
    value = parameter.spearman.value or 0.0
    low, high = parameter.spearman.interval or (value, value)
    return max(value, high) if value >= 0 else min(value, low)


def plot_pair(info: PairInfo, wording: Wording = OURS) -> go.Figure:
    """Draw the median of the metric for each pair of values as a map, with numbers of trials."""
    figure = new_figure(height=130 + 44 * len(info.rows))
    shape = (len(info.rows), len(info.columns))
    values = np.full(shape, np.nan)
    texts = np.full(shape, "", dtype=object)
    log = is_log(info.metric, [cell.median for cell in info.cells])
    for cell in info.cells:
        values[cell.row, cell.column] = math.log10(cell.median) if log else cell.median
        told = format_measured(cell.median, info.metric)
        texts[cell.row, cell.column] = f"{told}<br>{counted(cell.n_trials, 'trial')}"
    figure.add_heatmap(
        z=[rounded(row) for row in values],
        text=texts.tolist(),
        texttemplate="%{text}",
        hoverinfo="skip",
        x=list(range(shape[1])),
        y=list(range(shape[0])),
        colorscale=_BETTER_IS_DARK,
        reversescale=not info.metric.maximise,
        textfont={"color": "black"},
        showscale=False,
        xgap=2,
        ygap=2,
    )
    for name, words, update in (
        (info.first, info.columns, figure.update_xaxes),
        (info.second, info.rows, figure.update_yaxes),
    ):
        update(
            title_text=parameter_label(name, wording),
            tickvals=list(range(len(words))),
            ticktext=list(map(escape, words)),
            showgrid=False,
        )
    return figure


def plot_parallel(
    record: StudyRecord,
    objectives: Sequence[Metric],
    names: Sequence[str],
    front: Sequence[int] | None = None,
) -> go.Figure:
    """Draw each complete trial as a line over its settings and its values, the best strong.

    Each axis goes from the lowest to the highest value of its setting, choices stand at even
    distances. A trial that lacks a setting has a gap there.

    Args:
        front: Numbers of the best trials, where several objectives have no best tenth.
    """
    figure = new_figure(height=420)
    strong = set(front or ())
    members = thin(
        [trial for _, trial in ranked(record, metric=objectives[0])],
        MAX_LINES,
        keep=lambda trial: trial.number in strong,
    )
    wording = kind_of(record).wording
    axes = [*map(wording.label, names), *(metric.label for metric in objectives)]
    places = [_places([_held(n, trial.params, wording) for trial in members]) for n in names]
    for metric in objectives:
        values = [metric.of(trial) for trial in members]
        log = is_log(metric, [value for value in values if value is not None])
        places.append(_places([math.log(v) if log and v is not None else v for v in values]))
    if front is None:
        feasible = [trial for trial in members if trial.feasible]
        strong = {trial.number for trial in feasible[: max(1, len(feasible) // 10)]}
    n_best = sum(trial.number in strong for trial in members)
    for best in (False, True):
        lines = trial_lines(
            (
                (trial.number, range(len(axes)), row)
                for trial, row in zip(members, zip(*places, strict=True), strict=True)
                if (trial.number in strong) == best
            ),
            name=f"best {n_best}" if best else "others",
            line={"color": GREEN if best else NEUTRAL, "width": 2 if best else 0.5},
            hovertemplate="trial %{customdata}<extra></extra>",
        )
        figure.add_trace(lines)
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=["<br>".join(map(escape, wrap(name, 12))) for name in axes],
        range=[-0.3, len(axes) - 0.7],
    )
    return figure.update_yaxes(
        tickvals=[0, 1], ticktext=["lowest", "highest"], range=[-0.05, 1.05], showgrid=False
    )


def _held(name: str, params: Mapping[str, Scalar], wording: Wording) -> Scalar:
    """Return what a trial has of a parameter, None as a text where it is a choice."""
    value = params.get(name)
    return str(value) if value is None and wording.holds(name, params) else value


def _places(values: Sequence[Scalar]) -> list[float | None]:
    """Return places from 0 to 1: of numbers by their size, of wide ranges by their logarithm."""
    present = [value for value in values if value is not None]
    if any(isinstance(value, str | bool) for value in present):
        known = sorted(set(map(str, present)))
        at = {text: i / max(1, len(known) - 1) for i, text in enumerate(known)}
        return [None if value is None else at[str(value)] for value in values]
    numbers = [float(value) for value in present if value is not None]
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    wide = low > 0 and high / low > 30
    low, high = (math.log(end) if wide else end for end in (low, high))

    def place(value: Scalar) -> float | None:
        if value is None:
            return None
        number = float(value)
        return ((math.log(number) if wide else number) - low) / ((high - low) or 1.0)

    return [place(value) for value in values]
