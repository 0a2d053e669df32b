"""What the arms of a paired experiment came to."""

from collections import Counter

from storage.values import Experiment
from study.analysis import data_of
from study.figures.comparisons import plot_experiment
from study.formats import format_list
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Arms"
SIDES = {"t": "training", "v": "validation", "x": "test"}


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
    data = {
        "experiment": info,
        "experiment_key": experiment_key,
        "metrics": metrics,
        "sizes": _sizes(info.made, data_of(found.record)),
    }
    return Section(data, figures)


def _sizes(made: Experiment, data: str) -> str:
    """Say how much data the splits of arms have, where arms have splits of their own."""
    if len(made.sides) < 2:
        return ""
    told = []
    for method, sides in made.sides.items():
        counts = [Counter(text) for text in sides]
        each = (f"{_ends([c[key] for c in counts])} {name}" for key, name in SIDES.items())
        told.append(f"{method} {format_list(list(each))} {data}")
    return "; ".join(told)


def _ends(numbers: list[int]) -> str:
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"{low}" if low == high else f"{low} to {high}"
