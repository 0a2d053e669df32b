"""The two settings that made out most, together."""

from study.analysis.pairs import get_pair
from study.figures.parameters import plot_pair
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Two settings together"


def section(found: Findings) -> Section | None:
    """Draw the map of the pair that acts together, or else of the two with the largest effects."""
    acting = found.explained.acting
    names = [effect.name for effect in found.effects.effects][:2]
    if acting:
        names = [acting[0].first, acting[0].second]
    if len(names) < 2:
        return None
    info = get_pair(found.record, *names)
    if info is None:
        return None
    wording = found.kind.wording
    told = " and ".join(map(wording.label, names))
    return Section(
        {"pair": info, "acting": bool(acting)},
        {"pair": plot_pair(info, wording)},
        heading=f"Together: {told}",
    )
