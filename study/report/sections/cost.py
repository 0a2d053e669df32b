"""What a good value costs, in time and in size."""

from study.analysis import near_words, word_for
from study.analysis.cost import get_costs
from study.figures.comparisons import plot_costs
from study.formats import format_measured
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Cost"


def section(found: Findings) -> Section | Missing | None:
    """Draw values over costs, each with its front."""
    if len(found.objectives) > 1 and not found.ours:
        return None
    objective, costs = found.kind.objective, get_costs(found.record)
    good = "high" if objective.maximise else "low"
    heading = f"What a {good} {word_for(objective)} costs"
    if not costs:
        why = "no two complete trials differ in their cost"
        return Missing(why, found.more_trials, heading=heading)
    thinned = any(len(info.shown) < len(info.points) for info in costs)
    figures = {f"cost-{name}": chart for name, chart in plot_costs(costs, found.kind).items()}
    bound = format_measured(costs[0].best.second + objective.sign * costs[0].near, objective)
    near = f"{near_words(objective)} ({bound} or {objective.better})"
    data = {"costs": costs, "near": near, "costs_thinned": thinned}
    return Section(data, figures, heading=heading)
