"""The value of each trial, and the best so far."""

from optuna.trial import TrialState

from study.analysis.history import get_history
from study.analysis.incumbents import get_incumbents
from study.figures.search import plot_history
from study.report.findings import Findings
from study.report.page import Missing, Section, chart_key

HEADING = "History"


def section(found: Findings) -> Section | Missing:
    """Draw all trials in their order, by each objective; tell when the best so far was found."""
    every = [get_history(found.record, metric=metric) for metric in found.objectives]
    histories = [history for history in every if history.valued]
    if not histories:
        return Missing("no trial has reported a value yet", found.more_trials)
    several = len(every) > 1
    incumbents = None if several else get_incumbents(found.record)
    pruned = found.summary.by_state[TrialState.PRUNED] > 0 and not several
    data = {"histories": histories, "incumbents": incumbents, "history_pruned": pruned}
    figures = {
        chart_key("history", history.metric): plot_history(history, found.kind)
        for history in histories
    }
    return Section(data, figures)
