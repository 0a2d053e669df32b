"""Learning curves of the best trials and of some others."""

from study.analysis.history import get_learning_curves
from study.figures import plot_learning_curves
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Learning curves"


def section(found: Findings) -> Section | Missing:
    """Draw the objective over steps and, where times are stored, over training time."""
    curves = get_learning_curves(found.record)
    if not curves.curves:
        several = len(found.record.directions) > 1
        why = "several objectives have" if several else "no trial reported"
        return Missing(f"{why} no intermediate values")
    figures = {"learning-curves": plot_learning_curves(curves, found.kind)}
    return Section({"curves": curves}, figures)
