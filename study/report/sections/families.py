"""What the complete trials of each family came to."""

from study.analysis.distribution import get_distribution
from study.analysis.tables import get_families
from study.figures.search import plot_families
from study.report.findings import Findings
from study.report.page import Graph, Missing, Section

HEADING = "Families"


def section(found: Findings) -> Section | Missing | None:
    """Tell families side by side."""
    if found.kind.family is None:
        return None
    families = get_families(found.record)
    if not families:
        return Missing("no trial has ended yet", found.more_trials)
    return Section({"families": families})


def graph(found: Findings) -> Graph | None:
    """Draw the values of each family's complete trials as a box."""
    info = get_distribution(found.record)
    if found.kind.family is None or info.n_trials < 2:
        return None
    title = f"{HEADING}: lowest, middle half with median, highest"
    return Graph(title, plot_families(info, found.kind))
