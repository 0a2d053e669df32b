"""All that is stored of the best trial."""

from typing import Any

from storage import attrs
from storage.values import Stored
from study.analysis.spent import epochs_run, training_seconds
from study.formats import format_label
from study.report.findings import Findings
from study.report.page import Section

HEADING = "The best trial"


def section(found: Findings) -> Section | None:
    """Tell the parameters of the best trial, what it measured, and what it took."""
    best = found.summary.best
    if best is None:
        return None
    told = "settings, seed, size, time" if found.ours else "settings, time"
    facts: dict[str, Stored[Any]] = {
        f"best {format_label(found.kind.step)}": attrs.BEST_EPOCH,
        **{"seed": attrs.SEED, "device": attrs.DEVICE, "threads": attrs.THREADS},
    }
    data = {
        "steps_run": epochs_run(best),
        "seconds": training_seconds(best),
        "facts": [(text, name.of(best)) for text, name in facts.items()],
    }
    return Section(data, folded=f"Trial {best.number}: {told}")
