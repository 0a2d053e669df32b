"""What mattered: importances and correlations of parameters."""

from html import escape
from textwrap import wrap

import plotly.graph_objects as go

from study.analysis.correlation import CorrelationsInfo, ParameterCorrelation
from study.analysis.importance import ImportanceInfo
from study.figures.style import GREEN, NEUTRAL, family_color, new_figure, parameter_label, rounded

SIGNIFICANT = 0.05
"""Bars of correlations with a larger adjusted p-value are drawn pale."""


def plot_importances(info: ImportanceInfo) -> go.Figure:
    """Draw the share of each parameter as a bar with its 95 % interval."""
    parameters = info.parameters
    figure = new_figure(height=110 + 38 * len(parameters))
    figure.add_bar(
        orientation="h",
        y=[parameter_label(p.name) for p in parameters],
        x=rounded(p.share for p in parameters),
        marker={"color": GREEN, "opacity": 0.6},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": rounded(max(0.0, p.high - p.share) for p in parameters),
            "arrayminus": rounded(max(0.0, p.share - p.low) for p in parameters),
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
    figure = new_figure(height=140 + 26 * max(1, len(info.families)) * len(names))
    reach = 0.0
    for family in info.families:
        having = [p for p in family.parameters if p.spearman is not None]
        # The arrays of whiskers end before the rows that have none.
        rows = sorted(having, key=lambda p: p.spearman_low is None)
        sure = [p for p in rows if p.spearman_low is not None]
        ends = [_whisker_end(p) for p in rows]
        reach = max(reach, *map(abs, ends), 0.0)
        color = family_color(family.family)
        position = {
            "orientation": "h",
            "y": [parameter_label(p.name) for p in rows],
            "legendgroup": family.family,
            "offsetgroup": family.family,
        }
        figure.add_bar(
            **position,
            name=f"{escape(family.family)} ({family.n_trials} trials)",
            x=rounded(p.spearman for p in rows),
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
                "array": rounded(_length(p.spearman, p.spearman_high) for p in sure),
                "arrayminus": rounded(_length(p.spearman_low, p.spearman) for p in sure),
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
            x=rounded(ends),
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
        categoryarray=[parameter_label(name) for name in names],
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
