"""What the complete trials of each branch came to: of the choice that others depend on."""

from study.analysis import varies
from study.analysis.tables import get_families
from study.formats import plural
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Branches"


def section(found: Findings) -> Section | None:
    """Tell branches side by side, where trials differ in them."""
    branch = found.branch
    if branch is None or not varies(found.record, branch):
        return None
    families = get_families(found.record, parameter=branch)
    return Section({"branches": families}, heading=plural(branch).capitalize())
