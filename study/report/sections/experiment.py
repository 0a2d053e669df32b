"""What the arms of a paired experiment came to."""

from study.figures.comparisons import plot_experiment
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Arms"


def experiment_key(label: str) -> str:
    """Name the chart of an experiment in the metric with this label."""
    return f"experiment-{label.lower().replace(' ', '-')}"


def section(found: Findings) -> Section | None:
    """Draw the differences of each arm, pair by pair, in every metric."""
    info = found.experiment
    if info is None:
        return None
    figures = {experiment_key(label): plot_experiment(info, label) for label in info.labels}
    metrics = {metric.label: metric for metric in found.kind.metrics}
    data = {"experiment": info, "experiment_key": experiment_key, "metrics": metrics}
    return Section(data, figures)
