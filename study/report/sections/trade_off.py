"""The trade-off of the objective and a second metric."""

from dataclasses import replace

from study.analysis import third_of, word_for
from study.analysis.thinning import thin
from study.figures import plot_front, shown_front
from study.kind_info import KindInfo
from study.report.findings import Findings
from study.report.page import Graph, Missing, Section

HEADING = "Trade-off"
GRAPHED = 300  # trials, besides those on the front


def section(found: Findings) -> Section | Missing | None:
    """Draw the second metric over the objective, with the front."""
    front, kind = found.front, found.kind
    if front is None or kind.second is None:
        return None
    heading = _heading(kind)
    if not front.points:
        why = f"no complete trial has {kind.objective.label} and {kind.second.label}"
        return Missing(why, found.more_trials, heading=heading)
    data = {"third": third_of(found.record), "n_front_shown": len(shown_front(front))}
    return Section(data, {"front": plot_front(front, kind)}, heading=heading)


def graph(found: Findings) -> Graph | None:
    """Draw the same with fewer trials."""
    if found.front is None or not found.front.points:
        return None
    few = thin(found.front.points, GRAPHED, keep=lambda point: point.on_front)
    figure = plot_front(replace(found.front, points=few), found.kind)
    return Graph(_heading(found.kind), figure)


def _heading(kind: KindInfo) -> str:
    second = "" if kind.second is None else kind.second.short_label
    return f"{HEADING} between {word_for(kind.objective)} and {second}"
