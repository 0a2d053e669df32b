"""Which charts a report holds, by the names of their places."""

from study.figures import (
    plot_ablation,
    plot_confirmation,
    plot_correlations,
    plot_costs,
    plot_distribution,
    plot_expected_best,
    plot_experiment,
    plot_fidelity,
    plot_front,
    plot_history,
    plot_importances,
    plot_isolation,
    plot_learning_curves,
    plot_timeline,
)
from study.kind_info import KindInfo
from study.metrics import Metric
from study.report.findings import Findings


def chart_key(section: str, metric: Metric) -> str:
    """Name the chart of a section; that of the objective is named like the section."""
    return section if metric.objective else f"{section}-{metric.name}"


def experiment_key(label: str) -> str:
    """Name the chart of an experiment in the metric with this label."""
    return f"experiment-{label.lower().replace(' ', '-')}"


def draw_charts(found: Findings, kind: KindInfo) -> dict[str, str]:
    """Draw all charts that have something to show.

    Args:
        found: All analyses of a study.
        kind: Of the study.

    Returns:
        Plotly's JSON by the names of the charts' places.
    """
    figures = {}
    if found.experiment is not None:
        for label in found.experiment.labels:
            figures[experiment_key(label)] = plot_experiment(found.experiment, label)
    for i, confirmation in enumerate(found.confirmations):
        if any(c.validation for c in confirmation.confirmed):
            figures[f"confirmation-{i}"] = plot_confirmation(confirmation, kind)
    for i, ablation in enumerate(found.ablations):
        if len(ablation.path) > 1 and any(step.validation for step in ablation.path):
            figures[f"ablation-{i}"] = plot_ablation(ablation, kind)
    if found.front is not None and found.front.points:
        figures["front"] = plot_front(found.front, kind)
    if found.costs:
        figures["cost"] = plot_costs(found.costs, kind)
    for importance in found.importances:
        if importance.parameters:
            figures[chart_key("importance", importance.metric)] = plot_importances(importance)
    for correlations in found.correlations:
        if any(p.spearman.value is not None for f in correlations.families for p in f.parameters):
            key = chart_key("correlations", correlations.metric)
            figures[key] = plot_correlations(correlations, kind)
    for isolation in found.isolations:
        if isolation.parameters:
            figures[chart_key("isolation", isolation.metric)] = plot_isolation(isolation, kind)
    if found.history.valued:
        figures["history"] = plot_history(found.history, kind)
    if found.curves.curves:
        figures["learning-curves"] = plot_learning_curves(found.curves, kind)
    if any(curve.seconds for curve in found.curves.curves):
        figures["learning-curves-seconds"] = plot_learning_curves(found.curves, kind, by="second")
    if found.timeline.spans:
        figures["timeline"] = plot_timeline(found.timeline, kind)
    if found.distribution.n_trials > 1:
        figures["distribution"] = plot_distribution(found.distribution, kind)
    if found.expected_best is not None and found.expected_best.points:
        figures["expected-best"] = plot_expected_best(found.expected_best)
    if found.fidelity is not None and found.fidelity.points:
        figures["fidelity"] = plot_fidelity(found.fidelity, kind)
    return {key: str(figure.to_json()) for key, figure in figures.items()}
