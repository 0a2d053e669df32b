"""The best value that each value of a parameter came to."""

from study.analysis.isolation import get_isolation
from study.figures import plot_isolation
from study.report.findings import Findings
from study.report.page import Missing, Section, chart_key

HEADING = "Each setting by itself"


def section(found: Findings) -> Section | Missing | None:
    """Draw the metrics over each parameter."""
    if not found.search:
        return None
    infos = [get_isolation(found.record, metric=metric) for metric in found.explained_metrics]
    figures = {
        chart_key("isolation", info.metric): plot_isolation(info, found.kind)
        for info in infos
        if info.parameters
    }
    if not figures:
        why = "no two complete trials differ in a setting"
        return Missing(why, found.more_trials)
    return Section({"all_isolations": infos}, figures)
