"""What all charts share: colours, axes, and the parts that several of them draw.

Backgrounds are transparent and the neutral colours readable on
white and on black, so a page may put a figure on either.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np
import plotly.graph_objects as go
from optuna.trial import TrialState
from plotly.colors import hex_to_rgb
from plotly.offline import get_plotlyjs

from study.analysis.estimates import Estimate
from study.analysis.magnitude import common_digits
from study.kind_info import KindInfo
from study.metrics import Metric
from study.wording import OURS, Wording

# The colours of Okabe and Ito, distinguishable with every common colour vision; sky blue and
# orange are darker, so that all of them have a contrast of 3 to 1 with white and with dark pages.
# Source: Okabe, Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/.
BLUE, SKY_BLUE, VERMILLION = "#0072B2", "#3A92CC", "#D55E00"
GREEN, PURPLE, ORANGE = "#009E73", "#CC79A7", "#B27B00"
NEUTRAL = "#808080"

FAMILY_COLORS = (BLUE, VERMILLION, ORANGE, SKY_BLUE)
FAMILY_SYMBOLS = ("circle", "square", "diamond", "triangle-up")
"""Of families in the order of the space, the same in every chart; any further one has the last."""

STATE_ORDER = (
    TrialState.COMPLETE,
    TrialState.RUNNING,
    TrialState.WAITING,
    TrialState.PRUNED,
    TrialState.FAIL,
)
SYMBOLS = {TrialState.COMPLETE: "circle", TrialState.PRUNED: "x-thin", TrialState.FAIL: "x"}

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


def new_figure(*, height: int) -> go.Figure:
    """Return an empty figure of the common style, as wide as its place and so many px high."""
    return go.Figure(layout={"template": _TEMPLATE, "height": height})


def entitled(figure: go.Figure, title: str, *notes: str, height: int) -> go.Figure:
    """Put a title and notes over a chart that stands alone, and its legend below.

    It is ``height`` px high.
    """
    lines = [escape(line) for note in notes for line in wrap(note, width=76)]
    below = "".join(f'<br><span style="font-size: 12px">{line}</span>' for line in lines)
    return figure.update_layout(
        height=height,
        title={
            "text": escape(title) + below,
            "font": {"size": 14},
            "x": 0.01,
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 9 + 5 * len(lines)},
        },
        legend={"y": 0, "yanchor": "bottom"},
        margin={"t": 48 + 18 * len(lines), "b": 72},
    )


def small_multiple(
    traces: Iterable[go.Scatter], metric: Metric, values: Sequence[float]
) -> go.Figure:
    """Return one of several charts beside each other, which share the axis of a metric.

    The page says what the marks mean, once for all of them.
    """
    figure = new_figure(height=230).add_traces(list(traces)).update_layout(showlegend=False)
    drawn = [value for value in values if math.isfinite(value)]
    axis = value_axis(metric, drawn) | {"title": {"text": None}}
    if drawn:
        ends = min(drawn), max(drawn)
        low, high = map(math.log10, ends) if is_log(metric, drawn) else ends
        room = 0.06 * (high - low) or 0.1
        digits = max(4, 1 - math.floor(math.log10(room)))
        axis["range"] = [round(low - room, digits), round(high + room, digits)]
    return figure.update_yaxes(**axis)


PLAIN = ".3~g"
"""How numbers of a logarithmic axis are written: in full, where plotly leaves bare digits."""


_MOST_TICKS = 6  # powers of ten on an axis


def ticks(span: float, narrow: float = 300) -> int | str:
    """Return where a logarithmic axis has ticks: at 1, 2 and 5, or at powers of ten.

    Args:
        span: How many times the lowest value the highest is.
        narrow: Up to which there are more than one in a decade.
    """
    decades = math.log10(span) if 0 < span < math.inf else 0
    return "D2" if span <= narrow else max(1, math.ceil(decades / _MOST_TICKS))


def count_axis(name: str, span: float) -> dict[str, Any]:
    """Return a logarithmic axis of counts, of which the highest is so many times the lowest."""
    return {
        "type": "log",
        "title": {"text": f"{name} (log)"},
        "tickformat": ",~r",
        "dtick": ticks(span),
    }


def is_log(metric: Metric, values: Sequence[float]) -> bool:
    """Whether the axis of a metric is logarithmic for finite values of it.

    It is not where one of them is not above 0, nor where there is no tick among them.
    """
    if not values or not metric.logarithmic:
        return metric.logarithmic
    low, high = min(values), max(values)
    if low <= 0:
        return False
    power = 10.0 ** math.floor(math.log10(low))
    return any(low <= digit * power <= high for digit in (1, 2, 5, 10))


def value_axis(metric: Metric, values: Iterable[float | None]) -> dict[str, Any]:
    """Return the axis of a metric, logarithmic where that suits the values."""
    label = escape(metric.label)
    drawn = [value for value in values if value is not None and math.isfinite(value)]
    if not is_log(metric, drawn):
        return {"title": {"text": label}}
    return {
        "type": "log",
        "title": {"text": f"{label} (log)"},
        "tickformat": PLAIN,
        "dtick": ticks(max(drawn) / min(drawn) if drawn else math.inf),
    }


def told(metric: Metric, axis: str) -> str:
    """Return what a hover text holds for the metric's value on an axis, ``x`` or ``y``."""
    return f"%{{{axis}:{'.1%' if metric.is_share else f'.{metric.digits}g'}}}"


def mean_axis(metric: Metric, values: Iterable[float | None]) -> dict[str, Any]:
    """Return the same around means, which long intervals may leave."""
    if not metric.logarithmic:
        return {}
    drawn = [value for value in values if value is not None and value > 0]
    if not drawn:
        return {"type": "log"}
    ends = (min(drawn) / 1.5, max(drawn) * 1.5)
    axis = {"type": "log", "tickformat": PLAIN, "dtick": ticks(ends[1] / ends[0])}
    return axis | {"range": [round(math.log10(end), 3) for end in ends]}


def add_band(
    figure: go.Figure,
    points: Iterable[tuple[float | None, tuple[float | None, float | None] | None]],
    *,
    color: str,
    legendgroup: str | None = None,
    shape: str = "linear",
) -> None:
    """Fill the intervals of a curve.

    Without a group, the curve is the only one and its 95 % interval has a legend entry. Bands
    of several curves go with theirs, and are paler, as they may overlap.

    Args:
        points: Places and the ends of their intervals; None where there is none.
    """
    alone, sure = legendgroup is None, [(x, ends) for x, ends in points if ends is not None]
    edge = {
        "legendgroup": legendgroup,
        "x": [x for x, _ in sure],
        "mode": "lines",
        "line": {"width": 0, "shape": shape},
        "hoverinfo": "skip",
    }
    figure.add_scatter(**edge, y=rounded(low for _, (low, _) in sure), showlegend=False)
    figure.add_scatter(
        **edge,
        name="95 % interval" if alone else None,
        showlegend=alone,
        y=rounded(high for _, (_, high) in sure),
        fill="tonexty",
        fillcolor=pale(color, 0.2 if alone else 0.15),
    )


def add_estimates(
    figure: go.Figure,
    estimates: Sequence[tuple[str, Estimate | None]],
    metric: Metric,
    *,
    name: str,
    color: str,
    symbol: str = "circle",
    mode: str = "markers",
) -> None:
    """Draw means with their intervals, one row each; the ends that 0 or infinity hides are cut."""
    present = [(row, e) for row, e in estimates if e is not None and drawable(e.mean)]
    if not present:
        return
    whole = [(e.mean, e.interval or (e.mean, e.mean)) for _, e in present]
    if metric.logarithmic:  # its axis has no 0, where an interval may end
        whole = [(mean, (max(low, mean / 100), high)) for mean, (low, high) in whole]
    figure.add_scatter(
        name=name,
        x=rounded(found.mean for _, found in present),
        y=[row for row, _ in present],
        mode=mode,
        orientation="h",
        line={"color": color, "width": 1},
        marker={"color": color, "size": 10, "symbol": symbol},
        error_x=whiskers(whole, color=color),
        hovertemplate=f"%{{y}}<br>{told(metric, 'x')}",
    )


def trial_lines(
    lines: Iterable[tuple[int, Sequence[float], Iterable[float | None]]], **look: Any
) -> go.Scatter:
    """Return lines of trials, by number, x and y, with a gap behind each; a click opens one."""
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for number, places, values in lines:
        x += [*places, None]
        y += [*rounded(values), None]
        numbers += [number] * len(places) + [None]
    return go.Scatter(
        meta={"trials": True},
        x=listed(x),
        y=listed(y),
        customdata=listed(numbers),
        mode="lines",
        **look,
    )


def hollow_marker(kind: KindInfo, family: str) -> dict[str, Any]:
    """Return the look of a family's trials in one of several charts beside each other."""
    symbol = f"{family_symbol(kind, family)}-open"
    return {"color": family_color(kind, family), "symbol": symbol, "size": 6}


def pale(color: str, share: float = 0.4) -> str:
    """Return a colour that lets the page through, of which it takes a share."""
    return f"rgba{(*hex_to_rgb(color), share)}"


def whiskers(
    ends: Iterable[tuple[float, tuple[float, float]]],
    *,
    color: str,
    thickness: float = 2,
    width: int = 5,
) -> dict[str, Any]:
    """Return intervals about values, as the lengths of their sides."""
    sides = [(max(0.0, value - low), max(0.0, high - value)) for value, (low, high) in ends]
    return {
        "type": "data",
        "symmetric": False,
        "array": rounded(above for _, above in sides),
        "arrayminus": rounded(below for below, _ in sides),
        "color": color,
        "thickness": thickness,
        "width": width,
    }


def family_place(kind: KindInfo, family: str) -> int:
    """Return which of the colours and symbols a family has."""
    names = [*map(str, kind.choices(kind.family))] or [family]
    last = len(FAMILY_COLORS) - 1
    return min(names.index(family), last) if family in names else last


def family_color(kind: KindInfo, family: str) -> str:
    """Return the colour of a family."""
    return FAMILY_COLORS[family_place(kind, family)]


def family_symbol(kind: KindInfo, family: str) -> str:
    """Return the shape of a family's marks."""
    return FAMILY_SYMBOLS[family_place(kind, family)]


def parameter_label(name: str, wording: Wording = OURS) -> str:
    """Write a parameter's name so that it is safe in plotly's markup."""
    return escape(wording.label(name))


def drawable(value: float | None) -> bool:
    """Whether a value has a place on an axis."""
    return value is not None and math.isfinite(value)


def listed(values: Sequence[Any]) -> np.ndarray:
    """Return values, or rows of equal length, such that plotly does not look at each of them.

    The chart is the same, to the byte, in a third of the time.
    """
    return np.array(values, dtype=object)


def rounded(values: Iterable[float | None]) -> list[float | None]:
    """Round to 5 significant digits, finer than a screen; a gap for what cannot be drawn.

    Where values differ by less than a hundredth of their size, there are more digits.
    """
    held = list(values)
    drawn = [value for value in held if value is not None and math.isfinite(value)]
    size, span = max(map(abs, drawn), default=0), max(drawn, default=0) - min(drawn, default=0)
    digits = 5 + max(0, int(min(12.0, common_digits(size, span))) - 2)
    return [
        float(f"{value:.{digits}g}") if value is not None and math.isfinite(value) else None
        for value in held
    ]
