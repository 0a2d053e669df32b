"""All settings of each trial beside each other."""

from study.analysis import parameter_names, ranked, varies
from study.figures.parameters import plot_parallel
from study.report.findings import Findings
from study.report.page import Section

HEADING = "All settings side by side"


def section(found: Findings) -> Section | None:
    """Draw each trial as a line over its settings and values."""
    names = [name for name in parameter_names(found.record) if varies(found.record, name)]
    if len(names) < 2 or len(ranked(found.record)) < 2:
        return None
    several = len(found.objectives) > 1
    front = [trial.number for trial in found.unbeaten] if several else None
    figure = plot_parallel(found.record, found.objectives, names, front)
    return Section({}, {"parallel": figure}, folded="Which settings do the best trials share?")
