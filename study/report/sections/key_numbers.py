"""The totals of a study."""

from study.report.findings import Findings
from study.report.page import Section

HEADING = "Numbers of the study"


def section(found: Findings) -> Section:
    """Count trials, steps, time and workers."""
    return Section(
        {"experiment": found.experiment},
        folded="Trials, time, workers" if found.ours else "Trials, time",
    )
