"""The two settings that made out most, together."""

from study.analysis.pairs import get_pair
from study.figures import plot_pair
from study.formats import format_label
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Two settings together"


def section(found: Findings) -> Section | None:
    """Draw the map of the pair that acts together, or else of the two with the largest effects."""
    agreements = found.explained.agreements.get(found.kind.objective, ())
    acting = [
        (pair.share, pair.first, pair.second)
        for agreement in agreements
        if agreement.interactions is not None
        for pair in agreement.interactions.pairs
        if pair.real
    ]
    names = [effect.name for effect in found.effects.effects][:2]
    if acting:
        _, *names = max(acting)
    if len(names) < 2:
        return None
    info = get_pair(found.record, *names)
    if info is None:
        return None
    told = " and ".join(map(format_label, names))
    return Section(
        {"pair": info, "acting": bool(acting)},
        {"pair": plot_pair(info)},
        heading=f"Together: {told}",
    )
