"""All that is stored of the best trial."""

from study.analysis.spent import epochs_run, training_seconds
from study.report.findings import Findings
from study.report.page import Section

HEADING = "The best trial"


def section(found: Findings) -> Section | None:
    """Tell the parameters of the best trial, what it measured, and what it took."""
    best = found.summary.best
    if best is None:
        return None
    told = "settings, seed, size, time" if found.ours else "settings, time"
    data = {"steps_run": epochs_run(best), "seconds": training_seconds(best)}
    return Section(data, folded=f"Trial {best.number}: {told}")
