"""How a search went: history, learning curves, time, distributions, expected best, fidelity."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import cycle
from typing import TypeVar

import plotly.graph_objects as go
from optuna.trial import TrialState

from storage.records import TrialRecord
from study.analysis import breaks_constraint, family_of, grouped, word_for
from study.analysis.distribution import DistributionInfo
from study.analysis.expected_best import ExpectedBestInfo
from study.analysis.fidelity import FidelityInfo
from study.analysis.history import HistoryInfo, HistoryPoint, LearningCurve, LearningCurvesInfo
from study.analysis.hypervolume import HypervolumeInfo
from study.analysis.timeline import TimelineInfo, TimelineSpan
from study.figures.style import (
    BLUE,
    GREEN,
    PURPLE,
    STATE_ORDER,
    SYMBOLS,
    VERMILLION,
    add_band,
    count_axis,
    drawable,
    family_color,
    family_symbol,
    new_figure,
    rounded,
    told,
    trial_lines,
    value_axis,
)
from study.formats import (
    MISSING,
    counted,
    format_coefficient,
    format_duration,
    format_measured,
)
from study.kind_info import KindInfo

_DASHES = {TrialState.PRUNED: "dot", TrialState.FAIL: "dash"}
_FAMILY_DASHES = ("solid", "dash", "dot", "dashdot")
_LONGEST_HOST = 24

_Item = TypeVar("_Item", HistoryPoint, LearningCurve, TimelineSpan)


def plot_history(info: HistoryInfo, kind: KindInfo) -> go.Figure:
    """Draw the value of each trial over its number, and the best value so far as a step line.

    Of many trials it shows a selection, ``info.shown``.
    """
    figure = new_figure(height=420)
    metric, label = info.metric, escape(info.metric.label)
    steps = [p for p in (*info.incumbents, *info.points[-1:]) if drawable(p.best)]
    figure.add_scatter(
        meta={"incumbents": True} if metric.objective else None,
        name="best so far",
        x=[point.trial.number for point in steps],
        y=rounded(point.best for point in steps),
        mode="lines",
        line={"color": GREEN, "width": 2, "shape": "hv"},
        hovertemplate=f"best up to trial %{{x}}<br>{label} {told(metric, 'y')}<extra></extra>",
    )
    for name, points in _grouped(info.shown, kind).items():
        first = points[0].trial
        state, color = first.state, _color(kind, first)
        complete = state == TrialState.COMPLETE
        symbol = SYMBOLS.get(state, "circle")
        if complete:
            symbol = family_symbol(kind, family_of(first, kind.family))
        solid = complete and first.feasible
        hollow = breaks_constraint(first) or state not in SYMBOLS
        numbers = [point.trial.number for point in points]
        figure.add_scatter(
            name=name,
            meta={"trials": True},
            x=numbers,
            y=rounded(point.value for point in points),
            customdata=numbers,
            mode="markers",
            marker={
                "color": color,
                "size": 7,
                "symbol": f"{symbol}-open" if hollow else symbol,
                "line": {"color": color, "width": 0 if solid else 1.5},
            },
            hovertemplate="trial %{x}<br>"
            + (label if complete else f"last reported {escape(metric.short_label)}")
            + f" {told(metric, 'y')}",
        )
    figure.update_layout(meta={"brush": {"x": "number", "y": metric.column}})
    figure.update_xaxes(title_text="trial", rangemode="nonnegative")
    return figure.update_yaxes(**value_axis(metric, (point.value for point in info.points)))


def plot_hypervolume(info: HypervolumeInfo) -> go.Figure:
    """Draw the share of the box that trials dominate, over their number, as a step line."""
    figure = new_figure(height=320)
    gains = [
        i
        for i, share in enumerate(info.shares)
        if i in (0, len(info.shares) - 1) or share != info.shares[i - 1]
    ]
    figure.add_scatter(
        x=[info.numbers[i] for i in gains],
        y=rounded(info.shares[i] for i in gains),
        mode="lines",
        line={"color": GREEN, "width": 2, "shape": "hv"},
        hovertemplate="up to trial %{x}<br>%{y:.1%} of the box<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title_text="trial", rangemode="nonnegative")
    return figure.update_yaxes(title_text="hypervolume", range=[0, 1.02], tickformat=".0%")


def plot_learning_curves(info: LearningCurvesInfo, kind: KindInfo) -> go.Figure:
    """Draw the objective over steps; the best trials stand out, stopped ones end in an x.

    ``layout.meta`` holds what a page needs to draw it over training time: names of both axes,
    and seconds per step by number of trial.
    """
    figure = new_figure(height=460)
    drawn = info.curves
    best = [curve for curve in drawn if curve.rank is not None and curve.rank <= info.n_best]
    strong = _grouped(best, kind)
    others = [curve for curve in drawn if curve not in best]
    for name, curves in _grouped(others, kind).items():
        pale = curves[0].trial.state == TrialState.COMPLETE
        _add_curves(figure, kind, name, curves, pale=pale, showlegend=name not in strong)
    for name, curves in strong.items():
        _add_curves(figure, kind, name, curves, pale=False, showlegend=True)
    for curve in best[:1]:
        figure.add_scatter(
            name=f"best (trial {curve.trial.number})",
            meta={"trials": True},
            x=list(curve.epochs),
            y=rounded(curve.values),
            customdata=[curve.trial.number] * len(curve.values),
            mode="lines",
            line={"color": GREEN, "width": 3},
            hovertemplate=_curve_hover(kind),
        )
    names = [escape(kind.step), "training time (s)" if kind.name else "time (s)"]
    told = {curve.trial.number: curve.seconds_per_step for curve in drawn}
    seconds = {number: float(f"{each:.4g}") for number, each in told.items() if each}
    if seconds:
        figure.update_layout(meta={"progress": {"names": names, "seconds": seconds}})
    figure.update_xaxes(title_text=names[0], rangemode="tozero")
    return figure.update_yaxes(
        **value_axis(kind.objective, (v for curve in drawn for v in curve.values))
    )


def plot_timeline(info: TimelineInfo, kind: KindInfo) -> go.Figure:
    """Draw the time of each trial as a line in the row of its worker.

    Complete trials have the colour of their family, failed ones are purple; dots stand for
    pruned, thin lines for running ones and for those that break the study's constraint.
    """
    figure = new_figure(height=150 + 30 * len(info.workers))
    rows = [_row_label(worker.label) for worker in info.workers]
    seconds, unit = _time_unit(info.spent.wall_seconds)
    for name, spans in _grouped(info.spans, kind).items():
        first = spans[0].trial
        ended = first.state in (TrialState.COMPLETE, TrialState.FAIL)
        solid = ended and not breaks_constraint(first)
        figure.add_scatter(
            name=name,
            meta={"trials": True},
            x=rounded(t for s in spans for t in (s.start / seconds, s.end / seconds, None)),
            y=[row for s in spans for row in (rows[s.worker], rows[s.worker], None)],
            customdata=[n for s in spans for n in (s.trial.number, s.trial.number, None)],
            mode="lines",
            line={
                "color": _color(kind, first),
                "width": 10 if solid else 5,
                "dash": "dot" if first.state == TrialState.PRUNED else "solid",
            },
            hovertemplate=f"trial %{{customdata}}<br>%{{x:.4g}} {unit}<br>%{{y}}",
        )
    figure.update_xaxes(title_text=f"time since the first start ({unit})", rangemode="tozero")
    return figure.update_yaxes(
        type="category", categoryarray=rows, range=[len(rows) - 0.5, -0.5], showgrid=False
    )


def plot_distribution(info: DistributionInfo, kind: KindInfo) -> go.Figure:
    """Draw the share of each family's trials with at most a value, with its 95 % band."""
    figure = new_figure(height=420)
    label = escape(info.metric.label)
    for family, dash in zip(info.families, cycle(_FAMILY_DASHES), strict=False):
        values = rounded(step.value for step in family.steps)
        color = family_color(kind, family.family)
        name = counted(family.n_trials, "trial")
        if kind.family is not None:
            name = f"{escape(family.family)} ({name})"
        points = zip(values, (step.band for step in family.steps), strict=True)
        add_band(figure, points, color=color, legendgroup=name, shape="hv")
        figure.add_scatter(
            name=name,
            legendgroup=name,
            meta={"edf": family.family} if info.metric.objective else None,
            x=values,
            y=rounded(step.share for step in family.steps),
            mode="lines",
            line={"color": color, "width": 2, "dash": dash, "shape": "hv"},
            hovertemplate=f"%{{y:.1%}} have at most<br>{label} {told(info.metric, 'x')}",
        )
    steps = [step for family in info.families for step in family.steps]
    figure.update_xaxes(**value_axis(info.metric, (step.value for step in steps)))
    return figure.update_yaxes(
        title_text="share of trials<br>with at most this value", range=[0, 1.02], tickformat=".0%"
    )


def plot_families(info: DistributionInfo, kind: KindInfo) -> go.Figure:
    """Draw the range, the middle half and the median of each family's trials as a box."""
    figure = new_figure(height=140 + 60 * len(info.families))
    for family in info.families:
        name = f"{escape(family.family)} ({counted(family.n_trials, 'trial')})"
        figure.add_box(
            name=name,
            y=[name],
            orientation="h",
            lowerfence=rounded([family.steps[0].value]),
            q1=rounded([family.lower_quartile]),
            median=rounded([family.median]),
            q3=rounded([family.upper_quartile]),
            upperfence=rounded([family.steps[-1].value]),
            marker={"color": family_color(kind, family.family)},
            showlegend=False,
        )
    ends = [f.steps[i].value for f in info.families for i in (0, -1)]
    figure.update_xaxes(**value_axis(info.metric, ends))
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def plot_expected_best(info: ExpectedBestInfo, kind: KindInfo) -> go.Figure:
    """Draw the expected best over the number of trials, with its 95 % interval as a band."""
    figure = new_figure(height=420)
    numbers = [point.n for point in info.points]
    add_band(figure, ((point.n, point.interval) for point in info.points), color=BLUE)
    label = escape(info.metric.label)
    time = "training time" if kind.name else "time"
    figure.add_scatter(
        name="expected best",
        x=numbers,
        y=rounded(point.value for point in info.points),
        customdata=[
            [
                MISSING
                if point.interval is None
                else point.interval.written(lambda end: format_measured(end, info.metric)),
                format_duration(point.seconds),
            ]
            for point in info.points
        ],
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        marker={"size": 5},
        hovertemplate=f"best of %{{x}} trials<br>{label} {told(info.metric, 'y')}"
        f"<br>95 % interval: %{{customdata[0]}}<br>{time}: %{{customdata[1]}}",
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
    figure.update_xaxes(**count_axis("trials", numbers[-1]))
    values = [v for p in info.points for v in (p.value, *(p.interval or ()))]
    return figure.update_yaxes(**value_axis(info.metric, values))


def plot_fidelity(info: FidelityInfo, kind: KindInfo) -> go.Figure:
    """Draw the rank correlation with the final value over steps, with its interval as a band.

    Where trials were pruned, dotted lines show it had all of them ended worst, and best.
    """
    figure = new_figure(height=420)
    add_band(figure, ((point.step, point.interval) for point in info.points), color=BLUE)
    epochs = [point.step for point in info.points]
    step = escape(kind.step)
    figure.add_scatter(
        name="complete trials",
        x=epochs,
        y=rounded(point.spearman for point in info.points),
        customdata=[
            [p.interval.written(format_coefficient) if p.interval else "none", p.n_pruned_before]
            for p in info.points
        ],
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        marker={"size": 6},
        hovertemplate=f"{step} %{{x}}<br>Spearman %{{y:.2f}}<br>95 % interval: %{{customdata[0]}}"
        "<br>pruned before: %{customdata[1]}",
    )
    if info.n_pruned:
        worst = [point.pruned_worst for point in info.points]
        best = [point.pruned_best for point in info.points]
        for end, values, color in (("worst", worst, GREEN), ("best", best, VERMILLION)):
            name = f"pruned ones ended {end}"
            figure.add_scatter(
                name=name,
                x=epochs,
                y=rounded(values),
                mode="lines",
                line={"color": color, "width": 1.5, "dash": "dot"},
                hovertemplate=f"{step} %{{x}}<br>if {name}: %{{y:.2f}}",
            )
    figure.update_xaxes(**count_axis(step, epochs[-1]))
    drawn = [y for trace in figure.data for y in trace.y or () if y is not None]
    return figure.update_yaxes(
        title_text=f"Spearman correlation<br>with the final {word_for(kind.objective)}",
        range=[-1.05 if min(drawn, default=0) < 0 else 0, 1.05],
        zeroline=True,
    )


def _add_curves(
    figure: go.Figure,
    kind: KindInfo,
    name: str,
    curves: Sequence[LearningCurve],
    *,
    pale: bool,
    showlegend: bool,
) -> None:
    """Add the curves of one group as a single line with gaps, and the ends of stopped ones."""
    state, color = curves[0].trial.state, _color(kind, curves[0].trial)
    lines = trial_lines(
        ((curve.trial.number, curve.epochs, curve.values) for curve in curves),
        name=name,
        legendgroup=name,
        showlegend=showlegend,
        line={"color": color, "width": 0.5 if pale else 1.5, "dash": _DASHES.get(state)},
        hovertemplate=_curve_hover(kind),
    )
    figure.add_trace(lines)
    if state in _DASHES:
        figure.add_scatter(
            legendgroup=name,
            showlegend=False,
            meta={"trials": True},
            x=[curve.epochs[-1] for curve in curves],
            y=rounded(
                next((v for v in reversed(curve.values) if drawable(v)), None) for curve in curves
            ),
            customdata=[curve.trial.number for curve in curves],
            mode="markers",
            marker={"color": color, "size": 6, "symbol": "x"},
            hoverinfo="skip",
        )


def _grouped(items: Iterable[_Item], kind: KindInfo) -> dict[str, list[_Item]]:
    """Group trials by the name of their legend entry: complete ones first, failed ones last."""

    def place(item: _Item) -> tuple[int, str, bool]:
        trial = item.trial
        family = family_of(trial, kind.family)
        return STATE_ORDER.index(trial.state), family, breaks_constraint(trial)

    def name(item: _Item) -> str:
        trial = item.trial
        end = "infeasible" if breaks_constraint(trial) else trial.state.name.lower()
        family = "" if kind.family is None else f"{escape(family_of(trial, kind.family))} "
        return "failed" if trial.state == TrialState.FAIL else f"{family}{end}"

    return grouped(sorted(items, key=place), name)


def _color(kind: KindInfo, trial: TrialRecord) -> str:
    failed = trial.state == TrialState.FAIL
    return PURPLE if failed else family_color(kind, family_of(trial, kind.family))


def _curve_hover(kind: KindInfo) -> str:
    label = escape(kind.objective.label)
    value = told(kind.objective, "y")
    return f"trial %{{customdata}}<br>%{{xaxis.title.text}} %{{x:.4~g}}<br>{label} {value}"


def _time_unit(longest: float) -> tuple[float, str]:
    """Return the seconds of a unit in which so many seconds are easily read, and its name."""
    if longest < 180:
        return 1.0, "s"
    return (60.0, "min") if longest < 3 * 3600 else (3600.0, "h")


def _row_label(worker: str) -> str:
    """Write a worker's name below each other: what it is, and where."""
    name, _, host = worker.partition(" (")
    host = host.removesuffix(")")
    if len(host) > _LONGEST_HOST:
        host = f"{host[: _LONGEST_HOST - 1]}…"
    return f"{escape(name)}<br>{escape(host)}" if host else escape(name)
