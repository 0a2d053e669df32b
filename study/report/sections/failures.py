"""Which trials failed, and why."""

from optuna.trial import TrialState

from storage import attrs
from study.formats import counted
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Failures"


def section(found: Findings) -> Section | None:
    """List failed trials with their reasons."""
    failed = (trial for trial in found.record.trials if trial.state == TrialState.FAIL)
    failures = [(trial, trial.user_attrs.get(attrs.FAILURE)) for trial in failed]
    if not failures:
        return None
    folded = f"{counted(len(failures), 'trial')} failed"
    return Section({"failures": failures}, folded=folded)
