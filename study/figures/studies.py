"""Several studies in one chart: what equal budgets find, and how their errors are distributed.

Colours and dashes stand for studies, in their order; must not know how budgets were spent.
"""

from html import escape
from itertools import cycle

import plotly.graph_objects as go

from study.analysis.comparison import BudgetPoint, ComparisonInfo, Unit, describe_budget
from study.figures.style import (
    BLUE,
    GREEN,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    add_band,
    log_mse_axis,
    new_figure,
    positive,
    rounded,
)

STUDY_COLORS = (BLUE, VERMILLION, GREEN, PURPLE, SKY_BLUE, "#E69F00")
"""One colour per study, in their order; with more studies they come again."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px,2px")
"""As many as are prime to the colours, so that both come again together only after 42 studies."""

_UNIT_TITLES = {
    "trials": "budget in trials (log)",
    "epochs": "budget in epochs (log)",
    "seconds": "budget in seconds of training (log)",
}


def plot_comparison(info: ComparisonInfo, unit: Unit) -> go.Figure:
    """Draw the median best error over the budget, with 90 % bands, one colour per study.

    Args:
        info: The comparison.
        unit: Of the budget; one in which the studies have a common budget.
    """
    figure = new_figure(height=440)
    found = info.of_unit(unit)
    curves = {curve.study: curve for curve in found.curves} if found is not None else {}
    drawn: list[float | None] = []
    budgets: list[float] = []
    for name, (color, dash) in _looks(info).items():
        if name not in curves:
            continue
        points = [point for point in curves[name].points if positive(point.median)]
        budgets += [point.budget for point in points]
        drawn += [value for p in points for value in (p.median, p.low, p.high)]
        _add_band(figure, name, points, color)
        figure.add_scatter(
            name=escape(name),
            legendgroup=name,
            x=rounded(point.budget for point in points),
            y=rounded(point.median for point in points),
            customdata=[_hover(found.words, point) for point in points],
            mode="lines+markers",
            line={"color": color, "width": 2, "dash": dash},
            marker={"size": 4},
            hovertemplate=f"{escape(name)}<br>%{{customdata[0]}}<br>median best MSE %{{y:.4g}}"
            "<br>90 % band: %{customdata[1]}<extra></extra>",
        )
    wide = not budgets or max(budgets) / min(budgets) > 300
    figure.update_xaxes(type="log", title_text=_UNIT_TITLES[unit], dtick=1 if wide else "D2")
    figure.update_yaxes(**log_mse_axis(drawn))
    figure.update_yaxes(title_text="best MSE (log)")  # of either split
    return figure


def plot_best_distribution(info: ComparisonInfo) -> go.Figure:
    """Draw the share of complete trials with at most each error, one step line per study."""
    figure = new_figure(height=420)
    errors: list[float] = []
    looks = _looks(info)
    for side in info.studies:
        color, dash = looks[side.name]
        points = [(error, share) for error, share in side.distribution if positive(error)]
        errors += [error for error, _ in points]
        figure.add_scatter(
            name=escape(side.name),
            x=rounded(error for error, _ in points),
            y=rounded(share for _, share in points),
            mode="lines",
            line={"color": color, "width": 2, "dash": dash, "shape": "hv"},
            hovertemplate=f"{escape(side.name)}<br>%{{y:.1%}} of the complete trials"
            "<br>MSE at most %{x:.4g}<extra></extra>",
        )
    figure.update_xaxes(**log_mse_axis(errors))
    figure.update_xaxes(title_text="MSE (log)")  # of either split
    figure.update_yaxes(
        title_text="share of complete trials", tickformat=".0%", rangemode="tozero"
    )
    return figure


def _looks(info: ComparisonInfo) -> dict[str, tuple[str, str]]:
    """Return colour and dash of each study, the same in every chart."""
    return dict(zip(info.names, zip(cycle(STUDY_COLORS), cycle(_DASHES)), strict=False))


def _hover(words: str, point: BudgetPoint) -> list[str]:
    low = "–" if point.low is None else f"{point.low:.4g}"
    high = "finds none" if point.high is None else f"{point.high:.4g}"
    return [describe_budget(words, point.budget), f"{low} to {high}"]


def _add_band(figure: go.Figure, name: str, points: list[BudgetPoint], color: str) -> None:
    """Fill the 90 % band where both of its ends are there."""
    sure = [point for point in points if positive(point.low) and positive(point.high)]
    add_band(
        figure,
        x=rounded(point.budget for point in sure),
        low=[point.low for point in sure],
        high=[point.high for point in sure],
        color=color,
        legendgroup=name,
    )
