"""Charts of a study: each function turns one ``...Info`` of the analysis into a plotly figure.

What a chart says is decided in ``study.analysis``, where it stands in ``study.report``.
"""

from study.figures.comparisons import (
    STUDY_COLORS,
    plot_ablation,
    plot_best_distribution,
    plot_comparison,
    plot_confirmation,
    plot_costs,
    plot_experiment,
    plot_front,
    plot_metric_pair,
    shown_costs,
    shown_front,
)
from study.figures.parameters import (
    SIGNIFICANT,
    plot_correlations,
    plot_importances,
    plot_isolation,
    plot_pair,
    plot_parallel,
)
from study.figures.search import (
    plot_distribution,
    plot_expected_best,
    plot_families,
    plot_fidelity,
    plot_history,
    plot_hypervolume,
    plot_learning_curves,
    plot_timeline,
)
from study.figures.style import FAMILY_COLORS, entitled, family_place, family_symbol, plotly_js

__all__ = [
    "FAMILY_COLORS",
    "SIGNIFICANT",
    "STUDY_COLORS",
    "entitled",
    "family_place",
    "family_symbol",
    "plot_ablation",
    "plot_best_distribution",
    "plot_comparison",
    "plot_confirmation",
    "plot_correlations",
    "plot_costs",
    "plot_distribution",
    "plot_expected_best",
    "plot_experiment",
    "plot_families",
    "plot_fidelity",
    "plot_front",
    "plot_history",
    "plot_hypervolume",
    "plot_importances",
    "plot_isolation",
    "plot_learning_curves",
    "plot_metric_pair",
    "plot_pair",
    "plot_parallel",
    "plot_timeline",
    "plotly_js",
    "shown_costs",
    "shown_front",
]
