"""How good the trials of each family came out."""

from study.analysis import word_for
from study.analysis.distribution import get_distribution
from study.figures.search import plot_distribution
from study.report.findings import Findings
from study.report.page import Missing, Section, chart_key

HEADING = "Distribution"


def section(found: Findings) -> Section | Missing:
    """Draw the share of each family's trials with at most a value, for each objective."""
    infos = [get_distribution(found.record, metric=metric) for metric in found.objectives]
    several = len(infos) > 1
    heading = f"{HEADING} of {'value' if several else word_for(found.kind.objective)}s"
    if all(info.n_trials < 2 for info in infos):
        return Missing("fewer than two trials are complete", found.more_trials, heading=heading)
    figures = {
        chart_key("distribution", info.metric): plot_distribution(info, found.kind)
        for info in infos
    }
    return Section({"distributions": infos}, figures, heading=heading, folded=found.counts(""))
