"""What is in a data set: its words, its classes on the sides of the split, near-duplicates."""

from html import escape

import plotly.graph_objects as go

from emoji_ae.describe import NeighboursInfo, SplitInfo, WordsInfo
from study.analysis.estimates import Interval
from study.figures.style import BLUE, GREEN, NEUTRAL, SKY_BLUE, VERMILLION, new_figure, rounded
from study.formats import format_number

_SIDE_COLORS = {"training": BLUE, "validation": VERMILLION, "test": GREEN}
_MAX_LABEL = 30


def plot_words(info: WordsInfo) -> go.Figure:
    """Draw the number of images of each of the most frequent words as bars."""
    figure = new_figure(height=90 + 24 * len(info.top))
    rows = list(range(len(info.top)))
    figure.add_bar(
        orientation="h",
        # A word may look like a number, which plotly would put elsewhere.
        y=rows,
        x=[n for _, n in info.top],
        customdata=[escape(word) for word, _ in info.top],
        marker={"color": SKY_BLUE},
        hovertemplate="%{customdata}<br>%{x} images<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title_text="images whose text has the word", rangemode="tozero")
    figure.update_yaxes(
        autorange="reversed",
        tickvals=rows,
        ticktext=[escape(_label(word)) for word, _ in info.top],
        showgrid=False,
    )
    return figure


def plot_classes(info: SplitInfo, classes: tuple[str, ...]) -> go.Figure:
    """Draw the share of each class, in the order of the counts, on each side as bars."""
    figure = new_figure(height=150 + 70 * len(classes))
    for side in info.sides:
        figure.add_bar(
            name=f"{side.name} ({side.n_images} images)",
            orientation="h",
            y=list(classes),
            x=rounded(n / max(1, side.n_images) for n in side.images_by_class),
            customdata=list(side.images_by_class),
            marker={"color": _SIDE_COLORS[side.name]},
            hovertemplate="%{y}<br>%{x:.1%} of the side, %{customdata} images",
        )
    figure.update_xaxes(title_text="share of the side’s images", tickformat=".0%")
    return figure.update_yaxes(autorange="reversed", showgrid=False, type="category")


def plot_neighbours(info: NeighboursInfo) -> go.Figure:
    """Draw how far images are from their nearest training images, as a stacked histogram."""
    figure = new_figure(height=360)
    bins = list(zip(info.edges, info.edges[1:], strict=False))
    for found in info.distances:
        figure.add_bar(
            name=found.side,
            x=rounded((low + high) / 2 for low, high in bins),
            y=list(found.counts),
            width=[info.threshold] * len(bins),
            customdata=[Interval(*ends).written(format_number) for ends in bins],
            marker={"color": _SIDE_COLORS[found.side]},
            hovertemplate="MSE %{customdata}<br>%{y} images",
        )
    figure.add_vline(
        x=info.threshold,
        name="near-duplicates below",
        showlegend=True,
        line={"color": NEUTRAL, "width": 1.5, "dash": "dash"},
    )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title_text="MSE to the nearest training image", rangemode="tozero")
    return figure.update_yaxes(title_text="images")


def _label(word: str) -> str:
    """Cut a word that would leave no room for its bar."""
    return word if len(word) <= _MAX_LABEL else f"{word[: _MAX_LABEL - 1]}…"
