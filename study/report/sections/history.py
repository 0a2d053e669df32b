"""The value of each trial, and the best so far."""

from study.analysis.history import get_history
from study.analysis.incumbents import get_incumbents
from study.figures import plot_history
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "History"


def section(found: Findings) -> Section | Missing:
    """Draw all trials in their order; tell when the best so far was found."""
    history = get_history(found.record)
    if not history.valued:
        return Missing("no trial has reported a value yet", found.more_trials)
    data = {"history": history, "incumbents": get_incumbents(found.record)}
    figure = plot_history(history, found.kind)
    return Section(data, {"history": figure})
