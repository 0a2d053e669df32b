"""What models made of some images, beside these."""

from storage import attrs
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Originals and reconstructions"


def section(found: Findings) -> Section | Missing | None:
    """Show images that the best trial draws well and badly, and what others make of them."""
    if attrs.RECONSTRUCTIONS_FILE not in {file.name for file in found.kind.files}:
        return None
    if found.data.pictures is not None:
        return Section()
    if not found.search:  # an experiment is about its arms
        return None
    best = found.summary.best
    why = "the best trial’s pictures are not stored" if best else "there is no best trial yet"
    command = found.command("train", f"--trial {best.number}") if best else found.more_trials
    return Missing(why, command)
