"""How the best trial classifies."""

from study.analysis.tables import get_class_results
from study.report.findings import Findings
from study.report.page import Section

GROUP = "models"
HEADING = "Classes"


def section(found: Findings) -> Section | None:
    """Tell recalls and confusions beside what guessing would reach."""
    results = get_class_results(found.record) if found.kind.second is not None else None
    return None if results is None else Section({"class_results": results})
