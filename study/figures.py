"""Charts of a study: each function turns one ``...Info`` of the analysis into a plotly figure.

The only module that knows plotly. It must not know records, templates or files: what a chart
says is decided in ``study.analysis``, where it stands in ``study.report``. Backgrounds are
transparent and the neutral colours readable on white and on black, so a page may put a figure
on either.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from textwrap import wrap
from typing import Any, TypeVar

import plotly.graph_objects as go
from optuna.trial import TrialState
from plotly.offline import get_plotlyjs

from study.analysis import ALL_TRIALS
from study.analysis.ablation import AblationInfo
from study.analysis.confirmation import ConfirmationInfo, Estimate
from study.analysis.correlation import CorrelationsInfo, ParameterCorrelation
from study.analysis.expected_best import ExpectedBestInfo
from study.analysis.experiment import ExperimentInfo
from study.analysis.fidelity import FidelityInfo
from study.analysis.front import FrontInfo, FrontPoint
from study.analysis.history import HistoryInfo, HistoryPoint, LearningCurve, LearningCurvesInfo
from study.analysis.importance import ImportanceInfo
from study.formats import format_accuracy, format_duration

# The colours of Okabe and Ito, distinguishable with every common colour vision.
# Source: Okabe, Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/.
BLUE, SKY_BLUE, VERMILLION = "#0072B2", "#56B4E9", "#D55E00"
GREEN, PURPLE = "#009E73", "#CC79A7"
NEUTRAL = "#808080"

FAMILY_COLORS = {"CNN": BLUE, "linear": VERMILLION}
"""One colour per architecture, the same in every chart; any other family is sky blue."""

SIGNIFICANT = 0.05
"""Bars of correlations with a larger adjusted p-value are drawn pale."""

_STATE_ORDER = (
    TrialState.COMPLETE,
    TrialState.RUNNING,
    TrialState.WAITING,
    TrialState.PRUNED,
    TrialState.FAIL,
)
_SYMBOLS = {TrialState.COMPLETE: "circle", TrialState.PRUNED: "x-thin", TrialState.FAIL: "x"}
_STRATEGY_SYMBOLS = {"joint": "circle", "sequential": "square", "branched": "diamond"}
_DASHES = {TrialState.PRUNED: "dot", TrialState.FAIL: "dash"}
_CURVE_HOVER = "epoch %{x}<br>validation MSE %{y:.4g}"

_Item = TypeVar("_Item", HistoryPoint, LearningCurve)

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
_GRID = "rgba(128, 128, 128, 0.25)"
_AXIS = {
    "gridcolor": _GRID,
    "linecolor": NEUTRAL,
    "zerolinecolor": NEUTRAL,
    "zeroline": False,
    "automargin": True,
    "title": {"standoff": 8},
}
_TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": _FONT, "size": 13, "color": NEUTRAL},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {
            "orientation": "h",
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "font": {"size": 12},
        },
        "hovermode": "closest",
        "hoverlabel": {"font": {"family": _FONT}},
        "bargap": 0.35,
    }
)


def plotly_js() -> str:
    """Return the source of plotly.js, which draws the figures in a page."""
    return str(get_plotlyjs())


def plot_history(info: HistoryInfo) -> go.Figure:
    """Draw the value of each trial over its number, and the best value so far as a step line."""
    figure = _figure(height=420)
    steps = [point for point in info.points if _positive(point.best)]
    figure.add_scatter(
        name="best so far",
        x=[point.number for point in steps],
        y=_rounded(point.best for point in steps),
        mode="lines",
        line={"color": GREEN, "width": 2, "shape": "hv"},
        hovertemplate="best up to trial %{x}<br>validation MSE %{y:.4g}<extra></extra>",
    )
    for name, points in _grouped(point for point in info.points if _positive(point.value)):
        state = points[0].state
        color = _color(points[0])
        complete = state == TrialState.COMPLETE
        solid = complete and not points[0].infeasible
        figure.add_scatter(
            name=name,
            x=[point.number for point in points],
            y=_rounded(point.value for point in points),
            mode="markers",
            marker={
                "color": color,
                "size": 7,
                "opacity": 0.85 if complete else 0.7,
                "symbol": "circle-open"
                if points[0].infeasible
                else _SYMBOLS.get(state, "circle-open"),
                "line": {"color": color, "width": 0 if solid else 1.5},
            },
            hovertemplate="trial %{x}<br>"
            + ("validation MSE" if complete else "last reported MSE")
            + " %{y:.4g}",
        )
    figure.update_xaxes(title_text="trial", rangemode="nonnegative")
    figure.update_yaxes(**_log_mse_axis(point.value for point in info.points))
    return figure


def plot_learning_curves(info: LearningCurvesInfo) -> go.Figure:
    """Draw validation MSE over epochs; the best trials stand out, stopped ones end in an x."""
    figure = _figure(height=460)
    best = [curve for curve in info.curves if curve.rank is not None and curve.rank <= info.n_best]
    others = [curve for curve in info.curves if curve not in best]
    strong = dict(_grouped(best))
    for name, curves in _grouped(others):
        pale = curves[0].state == TrialState.COMPLETE
        _add_curves(figure, name, curves, pale=pale, showlegend=name not in strong)
    for name, curves in strong.items():
        _add_curves(figure, name, curves, pale=False, showlegend=True)
    for curve in best[:1]:
        figure.add_scatter(
            name=f"best (trial {curve.number})",
            x=list(curve.epochs),
            y=_rounded(curve.values),
            mode="lines",
            line={"color": GREEN, "width": 3},
            hovertemplate=f"trial {curve.number}<br>{_CURVE_HOVER}",
        )
    figure.update_xaxes(title_text="epoch", rangemode="tozero")
    figure.update_yaxes(**_log_mse_axis(v for curve in info.curves for v in curve.values))
    return figure


def plot_expected_best(info: ExpectedBestInfo) -> go.Figure:
    """Draw the expected best over the number of trials, with its 95 % interval as a band."""
    figure = _figure(height=420)
    numbers = [point.n for point in info.points]
    _add_band(
        figure,
        x=numbers,
        low=[point.low for point in info.points],
        high=[point.high for point in info.points],
        color=BLUE,
    )
    label = escape(info.metric.label)
    figure.add_scatter(
        name="expected best",
        x=numbers,
        y=_rounded(point.value for point in info.points),
        customdata=[
            [f"{point.low:.4g} to {point.high:.4g}", format_duration(point.seconds)]
            for point in info.points
        ],
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        marker={"size": 5},
        hovertemplate=f"best of %{{x}} trials<br>{label} %{{y:.4g}}"
        "<br>95 % interval: %{customdata[0]}<br>training time: %{customdata[1]}",
    )
    if info.best is not None:
        figure.add_scatter(
            name="best seen",
            x=[numbers[0], numbers[-1]],
            y=_rounded([info.best, info.best]),
            mode="lines",
            line={"color": GREEN, "width": 1.5, "dash": "dash"},
            hoverinfo="skip",
        )
    figure.update_xaxes(
        type="log", title_text="trials (log)", dtick=1 if numbers[-1] > 300 else "D2"
    )
    if info.metric.maximise:
        figure.update_yaxes(title_text=label)
    else:
        figure.update_yaxes(
            **_log_mse_axis(v for p in info.points for v in (p.value, p.low, p.high))
        )
    return figure


def plot_fidelity(info: FidelityInfo) -> go.Figure:
    """Draw the rank correlation with the final error over epochs, with its interval as a band.

    Where trials were pruned, dotted lines show it had all of them ended worst, and best.
    """
    figure = _figure(height=420)
    sure = [point for point in info.points if point.low is not None]
    _add_band(
        figure,
        x=[point.epoch for point in sure],
        low=[point.low for point in sure],
        high=[point.high for point in sure],
        color=BLUE,
    )
    epochs = [point.epoch for point in info.points]
    figure.add_scatter(
        name="complete trials",
        x=epochs,
        y=_rounded(point.spearman for point in info.points),
        customdata=[
            ["none" if p.low is None else f"{p.low:.2f} to {p.high:.2f}", p.n_pruned_before]
            for p in info.points
        ],
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        marker={"size": 6},
        hovertemplate="epoch %{x}<br>Spearman %{y:.2f}<br>95 % interval: %{customdata[0]}"
        "<br>pruned before: %{customdata[1]}",
    )
    if info.n_pruned:
        bounds = {
            "pruned ones ended worst": [point.pruned_worst for point in info.points],
            "pruned ones ended best": [point.pruned_best for point in info.points],
        }
        for (name, values), color in zip(bounds.items(), (GREEN, VERMILLION), strict=True):
            figure.add_scatter(
                name=name,
                x=epochs,
                y=_rounded(values),
                mode="lines",
                line={"color": color, "width": 1.5, "dash": "dot"},
                hovertemplate=f"epoch %{{x}}<br>if {name}: %{{y:.2f}}",
            )
    figure.update_xaxes(
        type="log", title_text="epoch (log)", dtick=1 if epochs[-1] > 300 else "D2"
    )
    drawn = [y for trace in figure.data for y in trace.y or () if y is not None]
    figure.update_yaxes(
        title_text="Spearman correlation<br>with the final error",
        range=[-1.05 if min(drawn, default=0) < 0 else 0, 1.05],
        zeroline=True,
    )
    return figure


def plot_importances(info: ImportanceInfo) -> go.Figure:
    """Draw the share of each parameter as a bar with its 95 % interval."""
    parameters = info.parameters
    figure = _figure(height=110 + 38 * len(parameters))
    figure.add_bar(
        orientation="h",
        y=[_parameter_label(p.name) for p in parameters],
        x=_rounded(p.share for p in parameters),
        marker={"color": GREEN, "opacity": 0.6},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": _rounded(max(0.0, p.high - p.share) for p in parameters),
            "arrayminus": _rounded(max(0.0, p.share - p.low) for p in parameters),
            "color": GREEN,
            "thickness": 2,
            "width": 5,
        },
        customdata=[
            [f"{p.low:.2f} to {p.high:.2f}" if p.used_by_top else "no top trial used it"]
            for p in parameters
        ],
        hovertemplate="%{y}<br>share %{x:.2f}<br>95 % interval: %{customdata[0]}<extra></extra>",
        showlegend=False,
    )
    of_metric = "" if info.metric.name is None else f"<br>for {escape(info.metric.label)}"
    figure.update_xaxes(title_text=f"share of the importance{of_metric}", range=[0, 1.02])
    figure.update_yaxes(autorange="reversed", ticks="", showgrid=False)
    return figure


def plot_correlations(info: CorrelationsInfo) -> go.Figure:
    """Draw Spearman's rank correlation of each parameter as bars, one colour per family.

    Whiskers are 95 % intervals; what the adjusted p-value leaves to chance is pale.
    """
    names = list(
        dict.fromkeys(
            p.name for f in info.families for p in f.parameters if p.spearman is not None
        )
    )
    figure = _figure(height=140 + 26 * max(1, len(info.families)) * len(names))
    reach = 0.0
    for family in info.families:
        having = [p for p in family.parameters if p.spearman is not None]
        # The arrays of whiskers end before the rows that have none.
        rows = sorted(having, key=lambda p: p.spearman_low is None)
        sure = [p for p in rows if p.spearman_low is not None]
        ends = [_whisker_end(p) for p in rows]
        reach = max(reach, *map(abs, ends), 0.0)
        color = _family_color(family.family)
        position = {
            "orientation": "h",
            "y": [_parameter_label(p.name) for p in rows],
            "legendgroup": family.family,
            "offsetgroup": family.family,
        }
        figure.add_bar(
            **position,
            name=f"{escape(family.family)} ({family.n_trials} trials)",
            x=_rounded(p.spearman for p in rows),
            marker={
                "color": color,
                "opacity": [
                    1.0
                    if p.spearman_p_adjusted is not None and p.spearman_p_adjusted < SIGNIFICANT
                    else 0.4
                    for p in rows
                ],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": _rounded(_length(p.spearman, p.spearman_high) for p in sure),
                "arrayminus": _rounded(_length(p.spearman_low, p.spearman) for p in sure),
                "color": NEUTRAL,
                "thickness": 1.5,
                "width": 3,
            },
            customdata=[
                [
                    p.pearson,
                    p.spearman_p_adjusted,
                    p.n_trials,
                    "log10 of the value" if p.log else "value",
                    "too few trials"
                    if p.spearman_low is None
                    else f"{p.spearman_low:.2f} to {p.spearman_high:.2f}",
                ]
                for p in rows
            ],
            hovertemplate="%{y}, %{customdata[3]}<br>Spearman %{x:.2f}"
            "<br>95 % interval: %{customdata[4]}<br>adjusted p = %{customdata[1]:.2g}"
            "<br>Pearson %{customdata[0]:.2f}<br>n = %{customdata[2]}",
        )
        figure.add_bar(
            **position,
            x=_rounded(ends),
            text=[f"{p.spearman:+.2f}".replace("-", "\N{MINUS SIGN}") for p in rows],
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
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[_parameter_label(name) for name in names],
        autorange="reversed",
        showgrid=False,
    )
    return figure


def _whisker_end(parameter: ParameterCorrelation) -> float:
    """Return where a bar of correlation ends together with its whisker."""
    value = parameter.spearman or 0.0
    end = parameter.spearman_high if value >= 0 else parameter.spearman_low
    return value if end is None else max(value, end) if value >= 0 else min(value, end)


def _length(low: float | None, high: float | None) -> float:
    """Return the length of one side of an interval, 0 where the estimate lies beyond its end."""
    return max(0.0, (high or 0.0) - (low or 0.0))


def plot_front(info: FrontInfo) -> go.Figure:
    """Draw accuracy over validation MSE, and the front as a step line with rings on its trials.

    Colours stand for families, shapes for strategies; a hollow mark breaks the constraint.
    """
    figure = _figure(height=460)
    front = [point for point in info.front if _positive(point.mse)]
    figure.add_scatter(
        name="trade-off front",
        x=_rounded(point.mse for point in front),
        y=_rounded(point.accuracy for point in front),
        mode="lines+markers",
        line={"color": GREEN, "width": 2, "shape": "hv"},
        marker={"color": GREEN, "size": 14, "symbol": "circle-open", "line": {"width": 2}},
        hoverinfo="skip",
    )
    named: set[str] = set()
    for (name, infeasible), points in _front_groups(info.points).items():
        symbol = _STRATEGY_SYMBOLS.get(points[0].strategy or "", "circle")
        figure.add_scatter(
            name=name,
            legendgroup=name,
            showlegend=name not in named,
            x=_rounded(point.mse for point in points),
            y=_rounded(point.accuracy for point in points),
            customdata=[point.number for point in points],
            mode="markers",
            marker={
                "color": _family_color(points[0].family),
                "size": 8,
                "opacity": 0.85,
                "symbol": f"{symbol}-open" if infeasible else symbol,
                "line": {"width": 1.5 if infeasible else 0},
            },
            hovertemplate="trial %{customdata}<br>validation MSE %{x:.4g}"
            "<br>validation accuracy %{y:.1%}" + infeasible * "<br>breaks the constraint",
        )
        named.add(name)
    if info.min_accuracy is not None:
        figure.add_hline(
            y=info.min_accuracy,
            name=f"{format_accuracy(info.min_accuracy)} needed",
            showlegend=True,
            line={"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        )
    figure.update_xaxes(**_log_mse_axis(point.mse for point in info.points))
    figure.update_yaxes(title_text="validation accuracy", tickformat=".0%")
    return figure


def plot_experiment(info: ExperimentInfo, label: str) -> go.Figure:
    """Draw the difference of each arm from the baseline in one metric, with its interval.

    Args:
        info: The experiment.
        label: Of the metric.
    """
    comparisons = info.of_metric(label)
    figure = _figure(height=130 + 46 * len(comparisons))
    pairs = [(escape(c.arm), d) for c in comparisons for d in info.differences(c)]
    figure.add_scatter(
        name="one pair",
        x=_rounded(difference for _, difference in pairs),
        y=[arm for arm, _ in pairs],
        mode="markers",
        marker={"color": NEUTRAL, "size": 9, "symbol": "line-ns-open", "opacity": 0.7},
        hovertemplate="%{y}<br>difference %{x:.4g}",
    )
    sure = [c for c in comparisons if c.low is not None and c.high is not None]
    figure.add_scatter(
        name="mean, 95 % interval",
        x=_rounded(c.difference for c in sure),
        y=[escape(c.arm) for c in sure],
        mode="markers",
        marker={"color": BLUE, "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": _rounded((c.high or 0.0) - c.difference for c in sure),
            "arrayminus": _rounded(c.difference - (c.low or 0.0) for c in sure),
            "color": BLUE,
            "thickness": 2,
            "width": 6,
        },
        hovertemplate="%{y}<br>mean difference %{x:.4g}",
    )
    figure.update_xaxes(
        title_text=f"{label}: difference from<br>{escape(comparisons[0].baseline)}", zeroline=True
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def plot_confirmation(info: ConfirmationInfo) -> go.Figure:
    """Draw what each configuration reached on fresh seeds, on test images, and in the search."""
    names = [escape(c.name) + (" =" if c.tied else "") for c in info.confirmed]
    figure = _figure(height=150 + 44 * len(names))
    searched = [(name, c.search_value) for name, c in zip(names, info.confirmed, strict=True)]
    figure.add_scatter(
        name="the search's trial",
        x=_rounded(value for _, value in searched if value is not None),
        y=[name for name, value in searched if value is not None],
        mode="markers",
        orientation="h",
        marker={"color": NEUTRAL, "size": 10, "symbol": "x-thin-open", "line": {"width": 2}},
        hovertemplate="%{y}<br>search %{x:.4g}",
    )
    validation = [(name, c.validation) for name, c in zip(names, info.confirmed, strict=True)]
    test = [(name, c.test) for name, c in zip(names, info.confirmed, strict=True)]
    _add_estimates(figure, validation, name="validation, fresh seeds", color=BLUE)
    _add_estimates(
        figure, test, name="test, the same trainings", color=VERMILLION, symbol="square"
    )
    means = [c.search_value for c in info.confirmed]
    means += [e.mean for _, e in (*validation, *test) if e is not None]
    figure.update_layout(scattermode="group", scattergap=0.5)
    figure.update_xaxes(title_text="MSE (mean, 95 % interval)", **_log_range(means))
    figure.update_yaxes(autorange="reversed", showgrid=False, categoryarray=names)
    return figure


def plot_ablation(info: AblationInfo) -> go.Figure:
    """Draw the validation MSE along the path, as measured and as the surrogate expects it."""
    names = [_parameter_label(found.name) for found in info.path]
    figure = _figure(height=150 + 40 * len(names))
    if info.guided:
        figure.add_scatter(
            name="surrogate",
            x=_rounded(found.expected for found in info.path),
            y=names,
            mode="lines+markers",
            line={"color": NEUTRAL, "dash": "dot"},
            marker={"color": NEUTRAL, "symbol": "diamond-open", "size": 8},
            hovertemplate="%{y}<br>expected %{x:.4g}",
        )
    measured = [(name, found.validation) for name, found in zip(names, info.path, strict=True)]
    _add_estimates(figure, measured, name="measured", color=BLUE, mode="lines+markers")
    means = [found.expected for found in info.path]
    means += [found.validation.mean for found in info.path if found.validation is not None]
    figure.update_xaxes(title_text="validation MSE (mean, 95 % interval)", **_log_range(means))
    figure.update_yaxes(autorange="reversed", showgrid=False, categoryarray=names)
    return figure


def _log_range(values: Iterable[float | None]) -> dict[str, Any]:
    """Return a logarithmic axis around positive values, which long intervals may leave."""
    positive = [value for value in values if value is not None and value > 0]
    if not positive:
        return {"type": "log"}
    ends = (min(positive) / 1.5, max(positive) * 1.5)
    return {"type": "log", "range": [round(math.log10(end), 3) for end in ends]}


def _add_estimates(
    figure: go.Figure,
    estimates: Sequence[tuple[str, Estimate | None]],
    *,
    name: str,
    color: str,
    symbol: str = "circle",
    mode: str = "markers",
) -> None:
    """Draw means with their intervals, one row each; the ends that 0 or infinity hides are cut."""
    present = [(row, found) for row, found in estimates if found is not None and found.mean > 0]
    if not present:
        return
    figure.add_scatter(
        name=name,
        x=_rounded(found.mean for _, found in present),
        y=[row for row, _ in present],
        mode=mode,
        orientation="h",
        line={"color": color, "width": 1},
        marker={"color": color, "size": 10, "symbol": symbol},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": _rounded((e.high or e.mean) - e.mean for _, e in present),
            # A logarithmic axis has no 0, where an interval may end.
            "arrayminus": _rounded(
                e.mean - max(e.mean if e.low is None else e.low, e.mean / 100) for _, e in present
            ),
            "color": color,
            "thickness": 2,
            "width": 5,
        },
        hovertemplate="%{y}<br>%{x:.4g}",
    )


def _front_groups(points: Iterable[FrontPoint]) -> dict[tuple[str, bool], list[FrontPoint]]:
    """Group drawable points by legend entry and constraint, feasible ones of an entry first."""
    groups: dict[tuple[str, bool], list[FrontPoint]] = {}
    drawable = [point for point in points if _positive(point.mse)]
    for point in sorted(drawable, key=lambda p: (p.family, p.strategy or "", p.infeasible)):
        family = () if point.family == ALL_TRIALS else (point.family,)
        strategy = () if point.strategy is None else (point.strategy,)
        name = escape(", ".join((*family, *strategy))) or "complete trials"
        groups.setdefault((name, point.infeasible), []).append(point)
    return groups


def _figure(*, height: int) -> go.Figure:
    return go.Figure(layout={"template": _TEMPLATE, "height": height})


def _add_band(
    figure: go.Figure,
    *,
    x: Sequence[int],
    low: Sequence[float | None],
    high: Sequence[float | None],
    color: str,
) -> None:
    """Fill the 95 % intervals of a curve."""
    invisible = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": list(x)}
    figure.add_scatter(**invisible, y=_rounded(low), showlegend=False)
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    figure.add_scatter(
        **invisible,
        name="95 % interval",
        y=_rounded(high),
        fill="tonexty",
        fillcolor=f"rgba({red}, {green}, {blue}, 0.2)",
    )


def _log_mse_axis(values: Iterable[float | None]) -> dict[str, Any]:
    """Return a logarithmic axis with ticks at 1, 2 and 5, or at powers of ten for wide ranges."""
    drawable = [value for value in values if value is not None and _positive(value)]
    wide = not drawable or max(drawable) / min(drawable) > 300
    return {
        "type": "log",
        "title": {"text": "validation MSE (log)"},
        "tickformat": ".3~g",
        "dtick": 1 if wide else "D2",
    }


def _add_curves(
    figure: go.Figure,
    name: str,
    curves: Sequence[LearningCurve],
    *,
    pale: bool,
    showlegend: bool,
) -> None:
    """Add the curves of one group as a single line with gaps, and the ends of stopped ones."""
    state = curves[0].state
    color = _color(curves[0])
    x: list[int | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for curve in curves:
        x += [*curve.epochs, None]
        y += [*_rounded(curve.values), None]
        numbers += [curve.number] * len(curve.epochs) + [None]
    figure.add_scatter(
        name=name,
        legendgroup=name,
        showlegend=showlegend,
        x=x,
        y=y,
        customdata=numbers,
        mode="lines",
        opacity=0.4 if pale else 0.9,
        line={"color": color, "width": 1 if pale else 1.5, "dash": _DASHES.get(state)},
        hovertemplate=f"trial %{{customdata}}<br>{_CURVE_HOVER}",
    )
    if state in _DASHES:
        figure.add_scatter(
            legendgroup=name,
            showlegend=False,
            x=[curve.epochs[-1] for curve in curves],
            y=_rounded(_last_drawable(curve.values) for curve in curves),
            mode="markers",
            marker={"color": color, "size": 6, "symbol": "x", "opacity": 0.8},
            hoverinfo="skip",
        )


def _grouped(items: Iterable[_Item]) -> list[tuple[str, list[_Item]]]:
    """Group trials by the name of their legend entry: complete ones first, failed ones last."""
    groups: dict[str, list[_Item]] = {}
    for item in sorted(items, key=lambda i: (_STATE_ORDER.index(i.state), i.family, i.infeasible)):
        groups.setdefault(_group_name(item), []).append(item)
    return list(groups.items())


def _group_name(item: HistoryPoint | LearningCurve) -> str:
    if item.state == TrialState.FAIL:
        return "failed"
    if item.infeasible:
        return f"{escape(item.family)} infeasible"
    return f"{escape(item.family)} {item.state.name.lower()}"


def _color(item: HistoryPoint | LearningCurve) -> str:
    return PURPLE if item.state == TrialState.FAIL else _family_color(item.family)


def _family_color(family: str) -> str:
    return FAMILY_COLORS.get(family, SKY_BLUE)


def _parameter_label(name: str) -> str:
    return escape(name).replace("_", " ")


def _positive(value: float | None) -> bool:
    """Whether a value has a place on a logarithmic axis."""
    return value is not None and math.isfinite(value) and value > 0


def _last_drawable(values: Sequence[float]) -> float | None:
    return next((value for value in reversed(values) if _positive(value)), None)


def _rounded(values: Iterable[float | None]) -> list[float | None]:
    """Round to 5 significant digits, finer than a screen; a gap for what cannot be drawn."""
    return [
        float(f"{value:.5g}") if value is not None and math.isfinite(value) else None
        for value in values
    ]
