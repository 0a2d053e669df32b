"""The two settings that made out most, together."""

from study.analysis.pairs import get_pair
from study.figures.parameters import plot_pair
from study.report.findings import Findings
from study.report.page import Section

HEADING = "Two settings together"


def section(found: Findings) -> Section | None:
    """Draw the map of the pair that acts together, or else of two with large effects.

    Those come first that are clear, then those that a forest needs.
    """
    acting, effects = found.explained.acting, found.effects
    named = {effect.name for effect in effects.clear} | {*effects.needed}
    names = sorted((e.name for e in effects.effects), key=lambda name: name not in named)[:2]
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
        {"pair": info, "acting": bool(acting), "sure": named.issuperset(names)},
        {"pair": plot_pair(info, wording)},
        heading=f"Together: {told}",
    )
