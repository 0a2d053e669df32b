"""Whether the best stay good when they are trained again with other seeds and splits."""

from storage import attrs
from study.analysis.confirmation_text import describe_confirmation, describe_seeds
from study.figures.comparisons import plot_confirmation
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Confirmation"


def section(found: Findings) -> Section | Missing | None:
    """Tell what each confirmation found, with the means of its configurations."""
    infos = sorted(found.confirmations, key=lambda info: info is not found.at_home)
    if not infos:
        if not found.search or not found.ours:
            return None
        why = "the best configurations were not trained again with fresh seeds and splits"
        return Missing(why, found.command("confirm"))
    counted = (cost for cost in found.kind.costs if cost.name == attrs.PARAMETER_COUNT)
    data = {
        "confirmations": infos,
        "at_home": found.at_home,
        "counted": next(counted, None),
        "describe_confirmation": describe_confirmation,
        "seeds": describe_seeds,
    }
    means = {
        f"confirmation-{i}": plot_confirmation(info, found.kind)
        for i, info in enumerate(infos)
        if any(c.validation for c in info.confirmed)
    }
    return Section(data, means)
