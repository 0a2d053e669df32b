"""How to make the results again, and what they were made with."""

from study.analysis.provenance import get_provenance
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Commands and settings"


def section(found: Findings) -> Section:
    """Tell commands, machines, methods and settings."""
    arms = () if found.experiment is None else found.experiment.made.arms
    splits = list(dict.fromkeys(arm.split for arm in arms))
    return Section({"provenance": get_provenance(found.record), "splits": splits})
