"""What the complete trials of each family came to."""

from study.analysis.tables import get_families
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Families"


def section(found: Findings) -> Section | Missing | None:
    """Tell families side by side."""
    if found.kind.family is None:
        return None
    families = get_families(found.record).families
    if not families:
        return Missing("no trial has ended yet", found.more_trials)
    return Section({"families": families})
