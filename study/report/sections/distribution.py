"""How good the trials of each family came out."""

from study.analysis import word_for
from study.analysis.distribution import get_distribution
from study.analysis.expected_best import get_expected_best
from study.figures import plot_distribution
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Distribution"


def section(found: Findings) -> Section | Missing:
    """Draw the share of each family's trials with at most a value."""
    info = get_distribution(found.record)
    heading = f"{HEADING} of {word_for(found.kind.objective)}s"
    if info.n_trials < 2:
        return Missing("fewer than two trials are complete", found.more_trials, heading=heading)
    sampled = get_expected_best(found.record) if found.search else None
    data = {"distribution": info, "sampled": sampled}
    return Section(
        data,
        {"distribution": plot_distribution(info, found.kind)},
        heading=heading,
        folded=found.counts(""),
    )
