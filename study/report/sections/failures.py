"""Which trials failed, and why."""

from storage import attrs
from storage.records import TrialRecord
from study.analysis.failures import describe_failures, texts_stored
from study.report.findings import Findings
from study.report.page import Section
from study.terminal.screen import shortened

HEADING = "Failures"
MAX_TEXT = 500  # characters of another program's attributes


def section(found: Findings) -> Section | None:
    """List failed trials with their reasons, or with what another program stored as text."""
    info = found.summary.failures
    if not info.trials:
        return None
    told = attrs.FAILURE.of if found.ours else _stored
    failures = [(trial, told(trial)) for trial in info.trials]
    return Section({"failures": failures}, folded=describe_failures(info))


def _stored(trial: TrialRecord) -> str:
    return shortened(texts_stored(trial), MAX_TEXT)
