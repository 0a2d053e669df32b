"""Several studies in one chart: what equal budgets find, and how their errors are distributed.

Colours and dashes stand for studies, in their order.
"""

from dataclasses import replace
from html import escape
from itertools import cycle

import plotly.graph_objects as go

from study.analysis.comparison import BudgetPoint, ComparisonInfo, Unit, describe_budget
from study.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    add_band,
    drawable,
    log_axis,
    new_figure,
    rounded,
    value_axis,
)
from study.metrics import Metric

STUDY_COLORS = (BLUE, VERMILLION, GREEN, PURPLE, SKY_BLUE, ORANGE)
"""One colour per study, in their order; with more studies they come again."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px,2px")
"""As many as are prime to the colours, so that both come again together only after 42 studies."""


def plot_comparison(info: ComparisonInfo, unit: Unit) -> go.Figure:
    """Draw the median best error over the budget, with 90 % bands, one colour per study."""
    figure = new_figure(height=440)
    metric = info.objective  # of either split
    label = escape(metric.short_label)
    found = info.of_unit(unit)
    words = unit if found is None else found.words
    curves = {curve.study: curve for curve in found.curves} if found is not None else {}
    drawn: list[float | None] = []
    budgets: list[float] = []
    for name, (color, dash) in _looks(info).items():
        if name not in curves:
            continue
        points = [point for point in curves[name].points if drawable(metric, point.median)]
        budgets += [point.budget for point in points]
        drawn += [value for p in points for value in (p.median, p.low, p.high)]
        sure = [p for p in points if drawable(metric, p.low) and drawable(metric, p.high)]
        add_band(
            figure,
            x=rounded(point.budget for point in sure),
            low=[point.low for point in sure],
            high=[point.high for point in sure],
            color=color,
            legendgroup=name,
        )
        figure.add_scatter(
            name=escape(name),
            legendgroup=name,
            x=rounded(point.budget for point in points),
            y=rounded(point.median for point in points),
            customdata=[_hover(words, point, metric) for point in points],
            mode="lines+markers",
            line={"color": color, "width": 2, "dash": dash},
            marker={"size": 4},
            hovertemplate=f"{escape(name)}<br>%{{customdata[0]}}<br>median best {label} %{{y:.4g}}"
            "<br>90 % band: %{customdata[1]}<extra></extra>",
        )
    title = f"budget in {escape('seconds of training' if unit == 'seconds' else words)}"
    figure.update_xaxes(**log_axis(title, budgets))
    best = replace(metric, label=f"best {metric.short_label}")
    return figure.update_yaxes(**value_axis(best, drawn))


def plot_best_distribution(info: ComparisonInfo) -> go.Figure:
    """Draw the share of complete trials with at most each error, one step line per study."""
    figure = new_figure(height=420)
    metric = info.objective  # of either split
    label = escape(metric.short_label)
    errors: list[float] = []
    for side, (color, dash) in zip(info.studies, _looks(info).values(), strict=True):
        points = [(error, share) for error, share in side.distribution if drawable(metric, error)]
        errors += [error for error, _ in points]
        figure.add_scatter(
            name=escape(side.name),
            x=rounded(error for error, _ in points),
            y=rounded(share for _, share in points),
            mode="lines",
            line={"color": color, "width": 2, "dash": dash, "shape": "hv"},
            hovertemplate=f"{escape(side.name)}<br>%{{y:.1%}} of the complete trials"
            f"<br>{label} at most %{{x:.4g}}<extra></extra>",
        )
    figure.update_xaxes(**value_axis(replace(metric, label=metric.short_label), errors))
    title = "share of complete trials"
    return figure.update_yaxes(title_text=title, tickformat=".0%", rangemode="tozero")


def _looks(info: ComparisonInfo) -> dict[str, tuple[str, str]]:
    """Return colour and dash of each study, the same in every chart."""
    return dict(zip(info.names, zip(cycle(STUDY_COLORS), cycle(_DASHES)), strict=False))


def _hover(words: str, point: BudgetPoint, metric: Metric) -> list[str]:
    missing = ("finds none", "–") if metric.maximise else ("–", "finds none")
    low, high = (
        text if end is None else f"{end:.4g}"
        for end, text in zip((point.low, point.high), missing, strict=True)
    )
    return [describe_budget(words, point.budget), f"{low} to {high}"]
