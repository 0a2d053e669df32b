"""How a search went: history, learning curves, expected best, early errors against final ones."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeVar

import plotly.graph_objects as go
from optuna.trial import TrialState

from study.analysis.expected_best import ExpectedBestInfo
from study.analysis.fidelity import FidelityInfo
from study.analysis.history import HistoryInfo, HistoryPoint, LearningCurve, LearningCurvesInfo
from study.figures.style import (
    BLUE,
    GREEN,
    PURPLE,
    STATE_ORDER,
    SYMBOLS,
    VERMILLION,
    add_band,
    family_color,
    log_mse_axis,
    new_figure,
    positive,
    rounded,
)
from study.formats import format_duration

_DASHES = {TrialState.PRUNED: "dot", TrialState.FAIL: "dash"}
_CURVE_HOVER = "epoch %{x}<br>validation MSE %{y:.4g}"

_Item = TypeVar("_Item", HistoryPoint, LearningCurve)


def plot_history(info: HistoryInfo) -> go.Figure:
    """Draw the value of each trial over its number, and the best value so far as a step line."""
    figure = new_figure(height=420)
    steps = [point for point in info.points if positive(point.best)]
    figure.add_scatter(
        name="best so far",
        x=[point.number for point in steps],
        y=rounded(point.best for point in steps),
        mode="lines",
        line={"color": GREEN, "width": 2, "shape": "hv"},
        hovertemplate="best up to trial %{x}<br>validation MSE %{y:.4g}<extra></extra>",
    )
    for name, points in _grouped(point for point in info.points if positive(point.value)):
        state = points[0].state
        color = _color(points[0])
        complete = state == TrialState.COMPLETE
        solid = complete and not points[0].infeasible
        figure.add_scatter(
            name=name,
            x=[point.number for point in points],
            y=rounded(point.value for point in points),
            mode="markers",
            marker={
                "color": color,
                "size": 7,
                "opacity": 0.85 if complete else 0.7,
                "symbol": "circle-open"
                if points[0].infeasible
                else SYMBOLS.get(state, "circle-open"),
                "line": {"color": color, "width": 0 if solid else 1.5},
            },
            hovertemplate="trial %{x}<br>"
            + ("validation MSE" if complete else "last reported MSE")
            + " %{y:.4g}",
        )
    figure.update_xaxes(title_text="trial", rangemode="nonnegative")
    figure.update_yaxes(**log_mse_axis(point.value for point in info.points))
    return figure


def plot_learning_curves(info: LearningCurvesInfo) -> go.Figure:
    """Draw validation MSE over epochs; the best trials stand out, stopped ones end in an x."""
    figure = new_figure(height=460)
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
            y=rounded(curve.values),
            mode="lines",
            line={"color": GREEN, "width": 3},
            hovertemplate=f"trial {curve.number}<br>{_CURVE_HOVER}",
        )
    figure.update_xaxes(title_text="epoch", rangemode="tozero")
    figure.update_yaxes(**log_mse_axis(v for curve in info.curves for v in curve.values))
    return figure


def plot_expected_best(info: ExpectedBestInfo) -> go.Figure:
    """Draw the expected best over the number of trials, with its 95 % interval as a band."""
    figure = new_figure(height=420)
    numbers = [point.n for point in info.points]
    add_band(
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
        y=rounded(point.value for point in info.points),
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
            y=rounded([info.best, info.best]),
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
            **log_mse_axis(v for p in info.points for v in (p.value, p.low, p.high))
        )
    return figure


def plot_fidelity(info: FidelityInfo) -> go.Figure:
    """Draw the rank correlation with the final error over epochs, with its interval as a band.

    Where trials were pruned, dotted lines show it had all of them ended worst, and best.
    """
    figure = new_figure(height=420)
    sure = [point for point in info.points if point.low is not None]
    add_band(
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
        y=rounded(point.spearman for point in info.points),
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
                y=rounded(values),
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
        y += [*rounded(curve.values), None]
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
            y=rounded(_last_drawable(curve.values) for curve in curves),
            mode="markers",
            marker={"color": color, "size": 6, "symbol": "x", "opacity": 0.8},
            hoverinfo="skip",
        )


def _grouped(items: Iterable[_Item]) -> list[tuple[str, list[_Item]]]:
    """Group trials by the name of their legend entry: complete ones first, failed ones last."""
    groups: dict[str, list[_Item]] = {}
    for item in sorted(items, key=lambda i: (STATE_ORDER.index(i.state), i.family, i.infeasible)):
        groups.setdefault(_group_name(item), []).append(item)
    return list(groups.items())


def _group_name(item: HistoryPoint | LearningCurve) -> str:
    if item.state == TrialState.FAIL:
        return "failed"
    if item.infeasible:
        return f"{escape(item.family)} infeasible"
    return f"{escape(item.family)} {item.state.name.lower()}"


def _color(item: HistoryPoint | LearningCurve) -> str:
    return PURPLE if item.state == TrialState.FAIL else family_color(item.family)


def _last_drawable(values: Sequence[float]) -> float | None:
    return next((value for value in reversed(values) if positive(value)), None)
