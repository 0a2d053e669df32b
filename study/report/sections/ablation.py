"""What each setting of the winner is worth."""

from study.analysis.ablation import describe_ablation
from study.figures.comparisons import plot_ablation
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Ablation"


def section(found: Findings) -> Section | Missing | None:
    """Tell what each ablation found, with the path from the default to the winner."""
    infos = found.ablations
    if not infos:
        if not found.search or not found.ours:
            return None
        why = "what each setting of the winner is worth was not measured"
        return Missing(why, found.command("ablate"))
    paths = {
        f"ablation-{i}": plot_ablation(info, found.kind)
        for i, info in enumerate(infos)
        if len(info.path) > 1 and any(step.validation for step in info.path)
    }
    data = {"ablations": infos, "describe_ablation": describe_ablation}
    return Section(data, paths)
