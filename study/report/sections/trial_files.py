"""Pictures that trials attach, of whatever the kind draws."""

from study.report.findings import Findings
from study.report.page import Section

HEADING = "Pictures of trials"


def section(found: Findings) -> Section | None:
    """Show each picture by the best, the median and the worst trial."""
    return Section() if found.data.files else None
