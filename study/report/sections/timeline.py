"""When each worker ran which trial."""

from study.analysis.timeline import get_timeline
from study.figures.search import plot_timeline
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Timeline of workers"


def section(found: Findings) -> Section | Missing:
    """Draw the time of each trial in the row of its worker."""
    info = get_timeline(found.record)
    heading = HEADING if found.ours else "Timeline"
    if not info.spent.wall_seconds:
        return Missing("no trial stores when it ran", heading=heading)
    figure = plot_timeline(info, found.kind)
    folded = f"When did {'which worker run which trial' if found.ours else 'which trial run'}?"
    return Section({"timeline": info}, {"timeline": figure}, heading=heading, folded=folded)
