"""How the front of several objectives advanced."""

from study.analysis.hypervolume import get_hypervolume
from study.figures.search import plot_hypervolume
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Hypervolume"


def section(found: Findings) -> Section | None:
    """Draw the hypervolume over the trials, and state its point of reference."""
    info = get_hypervolume(found.record)
    if info is None:
        return None
    return Section({"hypervolume": info}, {"hypervolume": plot_hypervolume(info)})
