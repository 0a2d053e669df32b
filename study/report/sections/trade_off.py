"""The trade-off of the objective and a second metric, or of several objectives."""

from dataclasses import replace

from study.analysis import third_of, word_for
from study.analysis.front import FrontInfo
from study.analysis.thinning import thin
from study.figures.comparisons import plot_front
from study.formats import format_list
from study.report.findings import Findings
from study.report.page import Graph, Missing, Section

HEADING = "Trade-off"
GRAPHED = 300  # trials, besides those on the front


def section(found: Findings) -> Section | Missing | None:
    """Draw one metric over the other, with the front, for each pair of objectives."""
    fronts = found.fronts
    if not fronts:
        return None
    heading = _heading(found)
    if not any(front.points for front in fronts):
        several = len(found.objectives) > 1
        told = found.objectives if several else (fronts[0].first, fronts[0].second)
        why = f"no complete trial has {format_list([metric.label for metric in told])}"
        return Missing(why, found.more_trials, heading=heading)
    drawn = [front for front in fronts if front.points]
    data = {
        "drawn": drawn,
        "third": third_of(found.record) if len(found.objectives) == 1 else None,
    }
    figures = {
        f"front-{i}" if i else "front": plot_front(front, found.kind)
        for i, front in enumerate(drawn)
    }
    return Section(data, figures, heading=heading)


def graph(found: Findings) -> Graph | None:
    """Draw the first of them with fewer trials."""
    if found.front is None or not found.front.points:
        return None
    few = thin(found.front.points, GRAPHED, keep=lambda point: point.on_front)
    figure = plot_front(replace(found.front, points=few), found.kind)
    return Graph(f"{HEADING} between {_between(found.front)}", figure)


def _heading(found: Findings) -> str:
    front = found.fronts[0]
    if len(found.objectives) > 2:
        return f"{HEADING} between {len(found.objectives)} objectives"
    return f"{HEADING} between {_between(front)}"


def _between(front: FrontInfo) -> str:
    first = word_for(front.first) if front.first.has_zero else front.first.short_label
    return f"{first} and {front.second.short_label}"
