"""What was set side by side: error against accuracy, arms of experiments, and several studies."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import cycle
from typing import Any

import plotly.graph_objects as go

from study.analysis import ALL_TRIALS, family_of, grouped
from study.analysis.ablation import AblationInfo
from study.analysis.comparison import BudgetPoint, ComparisonInfo, Unit, describe_budget
from study.analysis.confirmation import ConfirmationInfo
from study.analysis.cost import CostInfo
from study.analysis.experiment import ExperimentInfo
from study.analysis.front import Front, FrontInfo, FrontPoint
from study.analysis.metric_pairs import MetricPair, MetricPoint
from study.analysis.thinning import MAX_MARKS, thin
from study.figures.style import (
    BLUE,
    FAMILY_SYMBOLS,
    GREEN,
    NEUTRAL,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    add_band,
    add_estimates,
    count_axis,
    drawable,
    family_color,
    hollow_marker,
    mean_axis,
    new_figure,
    parameter_label,
    rounded,
    small_multiple,
    ticks,
    told,
    value_axis,
    whiskers,
)
from study.formats import format_measured
from study.kind_info import KindInfo
from study.metrics import Metric
from study.wording import OURS, Wording

_BRANCH_SYMBOLS = ("circle", "square", "diamond")  # in the order of the branches of a space
_NARROW = 100  # costs that differ by no more than so many times have ticks at 1, 2 and 5

STUDY_COLORS = (BLUE, VERMILLION, GREEN, PURPLE, SKY_BLUE, ORANGE)
"""One colour per study, in their order; with more studies they come again."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px,2px")
"""As many as are prime to the colours, so that both come again together only after 42 studies."""


def plot_front(info: FrontInfo, kind: KindInfo) -> go.Figure:
    """Draw the second metric over the first, and the front as rings, joined if it is theirs.

    Colours stand for families, shapes for branches; a hollow mark breaks the constraint. Of
    many trials it shows a selection, ``info.shown``.
    """
    figure = new_figure(height=460)
    branches = dict(zip(kind.choices(info.branch), _BRANCH_SYMBOLS, strict=False))
    line = _front_line(info)
    mode = line.mode if info.joined else "markers"
    figure.add_trace(line.update(name="trade-off front", mode=mode))
    named: set[str] = set()
    for (family, branch, infeasible), points in _front_groups(info, kind):
        parts = ("" if family == ALL_TRIALS else family, branch)
        name = escape(", ".join(filter(None, parts))) or "complete trials"
        symbol = branches.get(branch, "circle")
        marks = _marks(
            points,
            name=name,
            legendgroup=name,
            showlegend=name not in named,
            marker={
                "color": family_color(kind, family),
                "size": 8,
                "symbol": f"{symbol}-open" if infeasible else symbol,
                "line": {"width": 1.5 if infeasible else 0},
            },
            hovertemplate=_told_of_two(info) + infeasible * "<br>breaks the constraint",
        )
        figure.add_trace(marks)
        named.add(name)
    if info.least is not None:
        figure.add_hline(
            y=info.least,
            name=f"{format_measured(info.least, info.second)} needed",
            showlegend=True,
            line={"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        )
    return _of_two_metrics(figure, info)


def plot_metric_pair(info: MetricPair, wording: Wording = OURS) -> go.Figure:
    """Draw one metric over another; colours and shapes are levels of the setting behind both."""
    figure = new_figure(height=400)
    few = thin(info.points, MAX_MARKS // 2)
    for place, words in enumerate([level.words for level in info.levels] or ["trials"]):
        label = parameter_label(info.parameter or "", wording)
        marks = _marks(
            [point for point in few if point.level == place],
            name=escape(f"{label} {words}" if info.parameter else words),
            marker={
                "color": STUDY_COLORS[place % len(STUDY_COLORS)],
                "size": 8,
                "symbol": FAMILY_SYMBOLS[place % len(FAMILY_SYMBOLS)],
            },
            hovertemplate=_told_of_two(info),
        )
        figure.add_trace(marks)
    return _of_two_metrics(figure, info)


def _told_of_two(info: FrontInfo | MetricPair) -> str:
    """Return what is told of a trial between two metrics."""
    told_of = ((info.first, "x"), (info.second, "y"))
    lines = (f"{escape(metric.label)} {told(metric, axis)}" for metric, axis in told_of)
    return "<br>".join(("trial %{customdata}", *lines))


def _of_two_metrics(figure: go.Figure, info: FrontInfo | MetricPair) -> go.Figure:
    """Put axes to a chart of one metric over another, which can be brushed."""
    figure.update_layout(meta={"brush": {"x": info.first.column, "y": info.second.column}})
    figure.update_xaxes(**value_axis(info.first, (point.first for point in info.points)))
    figure.update_yaxes(**value_axis(info.second, (point.second for point in info.points)))
    for metric, update in ((info.first, figure.update_xaxes), (info.second, figure.update_yaxes)):
        if metric.is_share:
            update(tickformat=".0%")
    return figure


def plot_costs(infos: Sequence[CostInfo], kind: KindInfo) -> dict[str, go.Figure]:
    """Draw the objective over each cost in a chart of its own, and the front as a step line.

    Of many trials each shows a selection, ``info.shown``.
    """
    values = [point.second for info in infos for point in info.points]
    figures = {}
    for info in infos:
        figure = small_multiple(_cost_traces(info, kind), kind.objective, values)
        figure.update_layout(meta={"brush": {"x": info.first.name, "y": "value"}})
        figures[info.first.name] = figure.update_xaxes(
            type="log",
            title_text=f"{escape(info.first.label)} (log)",
            tickformat="~s",
            dtick=ticks(info.spread, _NARROW),
        )
    return figures


def _marks(points: Sequence[FrontPoint | MetricPoint], **look: Any) -> go.Scatter:
    """Return marks of trials along two metrics; a click on one opens it."""
    return go.Scatter(
        meta={"trials": True},
        x=rounded(point.first for point in points),
        y=rounded(point.second for point in points),
        customdata=[point.trial.number for point in points],
        mode="markers",
        **look,
    )


def _front_line(info: Front) -> go.Scatter:
    """Return a front as a step line with rings on its trials."""
    return go.Scatter(
        x=rounded(point.first for point in info.front),
        y=rounded(point.second for point in info.front),
        mode="lines+markers",
        line={"color": GREEN, "width": 2, "shape": "hv"},
        marker={"color": GREEN, "size": 14, "symbol": "circle-open", "line": {"width": 2}},
        hoverinfo="skip",
    )


def _cost_traces(info: CostInfo, kind: KindInfo) -> Iterator[go.Scatter]:
    objective = kind.objective
    yield _front_line(info).update(name="front")
    families = grouped(info.shown, lambda point: family_of(point.trial, kind.family))
    for family, points in sorted(families.items()):
        yield _marks(
            points,
            name="complete trials" if family == ALL_TRIALS else escape(family),
            marker=hollow_marker(kind, family),
            hovertemplate="trial %{customdata}"
            f"<br>{escape(objective.label)} {told(objective, 'y')}"
            f"<br>{escape(info.first.label)} %{{x:,.4~r}}",
        )


def plot_experiment(info: ExperimentInfo, label: str) -> go.Figure:
    """Draw the difference of each arm from the baseline in one metric, with its interval."""
    comparisons = info.of_metric(label)
    figure = new_figure(height=130 + 46 * len(comparisons))
    pairs = [(escape(c.arm), d) for c in comparisons for d in info.differences(c)]
    ratios = any(c.found.scale == "ratio" for c in comparisons)
    points = any(c.found.scale == "points" for c in comparisons)
    size = 100 if points else 1
    number = ":+.1%" if ratios else ":+.1f" if points else ":.4g"
    figure.add_scatter(
        name="one pair",
        x=rounded(size * difference for _, difference in pairs),
        y=[arm for arm, _ in pairs],
        mode="markers",
        marker={"color": NEUTRAL, "size": 9, "symbol": "line-ns-open"},
        hovertemplate=f"%{{y}}<br>difference %{{x{number}}}",
    )
    sure = {
        escape(c.arm): (size * found.mean, (size * found.interval.low, size * found.interval.high))
        for c in comparisons
        if (found := c.found).mean is not None and found.interval is not None
    }
    figure.add_scatter(
        name="mean, 95 % interval",
        x=rounded(mean for mean, _ in sure.values()),
        y=list(sure),
        mode="markers",
        marker={"color": BLUE, "size": 10},
        error_x=whiskers(sure.values(), color=BLUE, width=6),
        hovertemplate=f"%{{y}}<br>mean difference %{{x{number}}}",
    )
    figure.update_xaxes(
        title_text=f"{label}: difference from<br>{escape(comparisons[0].baseline)}"
        + (", in points" if points else ""),
        zeroline=True,
        rangemode="tozero",
        exponentformat="none",
        tickformat="+.0%" if ratios else None,
    )
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def plot_confirmation(info: ConfirmationInfo, kind: KindInfo) -> go.Figure:
    """Draw what each configuration reached on fresh seeds, on test images, and in the search."""
    names = [escape(c.name) for c in info.confirmed]
    figure = new_figure(height=150 + 44 * len(names))
    rows = list(zip(names, info.confirmed, strict=True))
    if info.other_data is None:
        searched = [(name, c.search_value) for name, c in rows if c.search_value is not None]
        figure.add_scatter(
            name="the search's trial",
            x=rounded(value for _, value in searched),
            y=[name for name, _ in searched],
            mode="markers",
            orientation="h",
            marker={"color": NEUTRAL, "size": 10, "symbol": "x-thin-open", "line": {"width": 2}},
            hovertemplate=f"%{{y}}<br>search {told(kind.objective, 'x')}",
        )
    metric = kind.objective
    validation = [(name, c.validation) for name, c in rows]
    test = [(name, c.test) for name, c in rows]
    add_estimates(figure, validation, metric, name="validation, fresh seeds", color=BLUE)
    name = "test, the same trainings"
    add_estimates(figure, test, metric, name=name, color=VERMILLION, symbol="square")
    means = [c.search_value for c in info.confirmed]
    means += [e.mean for _, e in (*validation, *test) if e is not None]
    figure.update_layout(scattermode="group", scattergap=0.5)
    return _of_means(figure, names, metric.short_label, mean_axis(metric, means))


def plot_ablation(info: AblationInfo, kind: KindInfo) -> go.Figure:
    """Draw the objective along the path, as measured and as the surrogate expects it."""
    names = [parameter_label(found.name) for found in info.path]
    figure = new_figure(height=150 + 40 * len(names))
    if info.guided:
        figure.add_scatter(
            name="surrogate",
            x=rounded(found.expected for found in info.path),
            y=names,
            mode="lines+markers",
            line={"color": NEUTRAL, "dash": "dot"},
            marker={"color": NEUTRAL, "symbol": "diamond-open", "size": 8},
            hovertemplate=f"%{{y}}<br>expected {told(kind.objective, 'x')}",
        )
    measured = [(name, found.validation) for name, found in zip(names, info.path, strict=True)]
    add_estimates(
        figure, measured, kind.objective, name="measured", color=BLUE, mode="lines+markers"
    )
    means = [found.expected for found in info.path]
    means += [found.validation.mean for found in info.path if found.validation is not None]
    return _of_means(figure, names, kind.objective.label, mean_axis(kind.objective, means))


def _of_means(
    figure: go.Figure, names: Sequence[str], label: str, axis: Mapping[str, object]
) -> go.Figure:
    """Put names and an axis of means to a chart of estimates."""
    figure.update_xaxes(title_text=f"{escape(label)} (mean, 95 % interval)", **axis)
    return figure.update_yaxes(autorange="reversed", showgrid=False, categoryarray=names)


def _front_groups(
    info: FrontInfo, kind: KindInfo
) -> list[tuple[tuple[str, str, bool], list[FrontPoint]]]:
    """Group the shown points by family, branch and constraint, feasible ones first."""

    def look(point: FrontPoint) -> tuple[str, str, bool]:
        branch = point.trial.params.get(info.branch or "", "")
        return family_of(point.trial, kind.family), str(branch), not point.trial.feasible

    return sorted(grouped(info.shown, look).items())


def plot_comparison(info: ComparisonInfo, unit: Unit) -> go.Figure:
    """Draw the median best error over the budget, with 90 % bands, one colour per study."""
    figure = new_figure(height=440)
    metric = info.objective  # of either split
    label = escape(metric.short_label)
    found, looks = info.budgets[unit], _looks(info)
    words = found.words
    drawn: list[float | None] = []
    budgets: list[float] = []
    for curve in found.curves:
        name, (color, dash) = curve.study, looks[curve.study]
        points = [point for point in curve.points if drawable(point.median)]
        budgets += [point.budget for point in points]
        drawn += [value for p in points for value in (p.median, p.low, p.high)]
        sure = [p for p in points if drawable(p.low) and drawable(p.high)]
        ends = ((point.low, point.high) for point in sure)
        band = zip(rounded(point.budget for point in sure), ends, strict=True)
        add_band(figure, band, color=color, legendgroup=name)
        figure.add_scatter(
            name=escape(name),
            legendgroup=name,
            x=rounded(point.budget for point in points),
            y=rounded(point.median for point in points),
            customdata=[_hover(words, point, metric) for point in points],
            mode="lines+markers",
            line={"color": color, "width": 2, "dash": dash},
            marker={"size": 4},
            hovertemplate=f"{escape(name)}<br>%{{customdata[0]}}<br>median best "
            f"{label} {told(metric, 'y')}<br>90 % band: %{{customdata[1]}}<extra></extra>",
        )
    title = f"budget in {escape('seconds of training' if unit == 'seconds' else words)}"
    span = max(budgets) / min(budgets) if budgets else math.inf
    figure.update_xaxes(**count_axis(title, span))
    best = replace(metric, label=f"best {metric.short_label}")
    return figure.update_yaxes(**value_axis(best, drawn))


def plot_best_distribution(info: ComparisonInfo) -> go.Figure:
    """Draw the share of complete trials with at most each error, one step line per study."""
    figure = new_figure(height=420)
    metric = info.objective  # of either split
    label = escape(metric.short_label)
    errors: list[float] = []
    for side, (color, dash) in zip(info.studies, _looks(info).values(), strict=True):
        points = side.distribution
        errors += [error for error, _ in points]
        figure.add_scatter(
            name=escape(side.name),
            x=rounded(error for error, _ in points),
            y=rounded(share for _, share in points),
            mode="lines",
            line={"color": color, "width": 2, "dash": dash, "shape": "hv"},
            hovertemplate=f"{escape(side.name)}<br>%{{y:.1%}} of the complete trials"
            f"<br>{label} at most {told(metric, 'x')}<extra></extra>",
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
        text if end is None else format_measured(end, metric)
        for end, text in zip((point.low, point.high), missing, strict=True)
    )
    return [describe_budget(words, point.budget), f"{low} to {high}"]
