"""Which trials failed, and why."""

from storage import attrs
from study.analysis.failures import describe_failures
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Failures"


def section(found: Findings) -> Section | None:
    """List failed trials with their reasons."""
    info = found.summary.failures
    if not info.trials:
        return None
    failures = [(trial, attrs.FAILURE.of(trial)) for trial in info.trials]
    return Section({"failures": failures}, folded=describe_failures(info))
