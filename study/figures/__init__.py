"""Charts of a study: each function turns one ``...Info`` of the analysis into a plotly figure.

The only package that knows plotly. It must not know records, templates or files: what a chart
says is decided in ``study.analysis``, where it stands in ``study.report``.
"""

from study.figures.comparisons import plot_ablation, plot_confirmation, plot_experiment, plot_front
from study.figures.parameters import SIGNIFICANT, plot_correlations, plot_importances
from study.figures.search import (
    plot_expected_best,
    plot_fidelity,
    plot_history,
    plot_learning_curves,
)
from study.figures.style import FAMILY_COLORS, plotly_js

__all__ = [
    "FAMILY_COLORS",
    "SIGNIFICANT",
    "plot_ablation",
    "plot_confirmation",
    "plot_correlations",
    "plot_expected_best",
    "plot_experiment",
    "plot_fidelity",
    "plot_front",
    "plot_history",
    "plot_importances",
    "plot_learning_curves",
    "plotly_js",
]
