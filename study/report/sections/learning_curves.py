"""Learning curves of the best trials and of some others."""

from dataclasses import replace

from study.analysis.history import get_learning_curves
from study.figures.search import plot_learning_curves
from study.formats import counted
from study.report.findings import Findings
from study.report.page import Graph, Missing, Section

HEADING = "Learning curves"
GRAPHED = 10  # curves, those of the best trials


def section(found: Findings) -> Section | Missing:
    """Draw the objective over steps and, where times are stored, over training time."""
    curves = get_learning_curves(found.record)
    if not curves.curves:
        several = len(found.record.directions) > 1
        why = "several objectives have no" if several else "no trial reported"
        return Missing(f"{why} intermediate values")
    figures = {"learning-curves": plot_learning_curves(curves, found.kind)}
    return Section({"curves": curves}, figures)


def graph(found: Findings) -> Graph | None:
    """Draw the curves of the best trials alone."""
    info = get_learning_curves(found.record, max_curves=GRAPHED, n_best=GRAPHED)
    best = info.curves[: info.n_best]
    if not best:
        return None
    figure = plot_learning_curves(replace(info, curves=best), found.kind)
    return Graph(f"Learning curves of the best {counted(len(best), 'trial')}", figure)
