"""The charts that a study's page of the dashboard shows beside its own, each some tens of kB.

The page gets all of them anew at every look, so they hold few points, and are the report's charts
otherwise. Must not write them anywhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from storage.records import StudyRecord
from study.analysis import is_own, is_search, kind_of
from study.analysis.distribution import get_distribution
from study.analysis.front import get_front
from study.analysis.history import get_learning_curves
from study.analysis.importance import get_importances
from study.analysis.thinning import thin
from study.figures import (
    entitled,
    plot_families,
    plot_front,
    plot_importances,
    plot_learning_curves,
)

HEIGHT = 430
"""Of the place that a page has for a chart, in pixels."""

BEST_CURVES = 10
"""Learning curves that a chart shows."""

FIRST_PARAMETERS = 10
"""Parameters that a chart shows, the most important ones."""

FRONT_MARKS = 300
"""Trials that the trade-off shows at most, besides those on the front."""

_TITLES = {
    "importance": "What mattered for reaching the best tenth (95 % interval)",
    "learning-curves": f"Learning curves of the best {BEST_CURVES} trials",
    "families": "Families: lowest, middle half with median, highest",
}


def draw_graphs(record: StudyRecord) -> dict[str, str | None]:
    """Draw the charts of a study.

    Args:
        record: The study.

    Returns:
        Plotly's JSON by id; None for a chart that has nothing to show (yet).
    """
    drawing: Mapping[str, Callable[[StudyRecord], Any]] = {
        "importance": _importance,
        "learning-curves": _learning_curves,
        "families": _families,
        "trade-off": _trade_off,
    }
    titles = {**_TITLES, "trade-off": _trade_off_title(record)}
    figures = {graph_id: draw(record) for graph_id, draw in drawing.items()}
    return {
        graph_id: None
        if figure is None
        else str(entitled(figure, titles[graph_id], height=HEIGHT).to_json())
        for graph_id, figure in figures.items()
    }


def _trade_off_title(record: StudyRecord) -> str:
    kind = kind_of(record)
    if is_own(record) or kind.second is None:
        return "Trade-off of reconstruction and classification"
    return f"Trade-off of {kind.objective.short_label} and {kind.second.short_label}"


def _importance(record: StudyRecord) -> Any:
    """Draw what mattered; the arms of an experiment are no sample of a space."""
    if not is_search(record):
        return None
    info = get_importances(record)
    if not info.parameters:
        return None
    return plot_importances(replace(info, parameters=info.parameters[:FIRST_PARAMETERS]))


def _learning_curves(record: StudyRecord) -> Any:
    info = get_learning_curves(record, max_curves=BEST_CURVES, n_best=BEST_CURVES)
    best = info.curves[: info.n_best]
    return plot_learning_curves(replace(info, curves=best), kind_of(record)) if best else None


def _families(record: StudyRecord) -> Any:
    info = get_distribution(record)
    return plot_families(info, kind_of(record)) if info.n_trials > 1 else None


def _trade_off(record: StudyRecord) -> Any:
    info = get_front(record)
    few = thin(info.points, FRONT_MARKS, keep=lambda point: point.on_front)
    return plot_front(replace(info, points=few), kind_of(record)) if few else None
