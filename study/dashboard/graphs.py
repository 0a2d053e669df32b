"""The charts that a study's page of the dashboard shows beside its own, each some tens of kB.

The page gets all of them anew at every look, so they are the report's charts with fewer points.
"""

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


def draw_graphs(record: StudyRecord) -> dict[str, str | None]:
    """Draw the charts of a study: Plotly's JSON by id, None where there is nothing to show yet."""
    kind = kind_of(record)
    sides = "reconstruction and classification"
    if kind.second is not None and not is_own(record):
        sides = f"{kind.objective.short_label} and {kind.second.short_label}"
    drawn = {
        "importance": _importance(record),
        "learning-curves": _learning_curves(record),
        "families": _families(record),
        "trade-off": _trade_off(record),
    }
    titles = {
        "importance": "What mattered for reaching the best tenth (95 % interval)",
        "learning-curves": f"Learning curves of the best {BEST_CURVES} trials",
        "families": "Families: lowest, middle half with median, highest",
        "trade-off": f"Trade-off of {sides}",
    }
    return {
        name: None if chart is None else entitled(chart, titles[name], height=HEIGHT).to_json()
        for name, chart in drawn.items()
    }


def _importance(record: StudyRecord) -> Any:
    """Draw what mattered; the arms of an experiment are no sample of a space."""
    info = get_importances(record) if is_search(record) else None
    if info is None or not info.parameters:
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
