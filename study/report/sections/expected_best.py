"""How good the best of so many trials is expected to be."""

from study.analysis.expected_best import get_expected_best
from study.figures.search import plot_expected_best
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Expected best"


def section(found: Findings) -> Section | Missing | None:
    """Draw the expected best over the number of trials; an experiment is no search."""
    if len(found.objectives) > 1:
        return Missing("several objectives have no best trial")
    info = get_expected_best(found.record)
    if not info.points:
        return Missing(f"{info.refusal}", found.more_trials)
    return Section(
        {"expected_best": info},
        {"expected-best": plot_expected_best(info, found.kind)},
        methods=[("expected best", f"{info.n_resamples} bootstrap resamples")],
        folded=found.counts("How many trials would have been enough?"),
    )
