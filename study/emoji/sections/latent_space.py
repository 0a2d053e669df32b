"""What the latents can do, and sums of emoji."""

from storage import attrs
from study.analysis.latents import get_latents
from study.report.findings import Findings
from study.report.page import Missing, Section

GROUP = "models"
HEADING = "Latent space"


def section(found: Findings) -> Section | Missing | None:
    """Tell what was measured of latents, of the search and of what followed it."""
    metrics = found.kind.metrics
    if not any(m.name == attrs.LATENT_ATTRIBUTE_AUC and not m.always for m in metrics):
        return None
    latents = tuple(filter(None, map(get_latents, (found.record, *found.data.followups))))
    if not latents and found.data.gallery is None:
        why = "no trial has measured its latents"
        return Missing(why, found.command("confirm") if found.search else None)
    return Section({"latents": latents, "gallery": found.data.gallery})
