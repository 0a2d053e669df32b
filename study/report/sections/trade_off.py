"""The trade-off of the objective and a second metric."""

from study.analysis import third_of, word_for
from study.figures import plot_front, shown_front
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Trade-off"


def section(found: Findings) -> Section | Missing | None:
    """Draw the second metric over the objective, with the front."""
    front, kind = found.front, found.kind
    if front is None or kind.second is None:
        return None
    heading = f"Trade-off between {word_for(kind.objective)} and {kind.second.short_label}"
    if not front.points:
        why = f"no complete trial has {kind.objective.label} and {kind.second.label}"
        return Missing(why, found.more_trials, heading=heading)
    data = {"third": third_of(found.record), "n_front_shown": len(shown_front(front))}
    return Section(data, {"front": plot_front(front, kind)}, heading=heading)
