"""The best trials, each training once."""

from study.analysis.tables import get_best_trials
from study.report.findings import Findings
from study.report.page import Section
from study.report.trials import get_costs_told

HEADING = "Best trials"


def section(found: Findings) -> Section | None:
    """List the best trials with their parameters."""
    best_trials = get_best_trials(found.record)
    if not best_trials.trials:
        return None
    data = {
        "best_trials": best_trials,
        "stored": {trial.number: trial for trial in found.record.trials},
        "costs_told": get_costs_told(found.record),
    }
    return Section(data)
