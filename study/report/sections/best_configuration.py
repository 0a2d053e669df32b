"""All that is stored of the best trial."""

import json
from typing import Any

from storage import attrs
from storage.values import Stored
from study.analysis.spent import epochs_run, training_seconds
from study.formats import format_label
from study.report.findings import Findings
from study.report.page import Section
from study.terminal.screen import shortened

HEADING = "The best trial"
MAX_TEXT = 200  # characters of an attribute of another program


def section(found: Findings) -> Section | None:
    """Tell the parameters of the best trial, what it measured, and what it took."""
    best = found.summary.best
    if best is None:
        return None
    told = "settings, seed, size, time" if found.ours else "settings, attributes, time"
    facts: dict[str, Stored[Any]] = {
        f"best {format_label(found.kind.step)}": attrs.BEST_EPOCH,
        **{"seed": attrs.SEED, "device": attrs.DEVICE, "threads": attrs.THREADS},
    }
    data = {
        "stored": {} if found.ours else {n: _told(v) for n, v in best.other_attrs.items()},
        "steps_run": epochs_run(best),
        "last_step": max(best.intermediate_values, default=None),
        "seconds": training_seconds(best),
        "facts": [(text, name.of(best)) for text, name in facts.items()],
    }
    return Section(data, folded=f"Trial {best.number}: {told}")


def _told(value: Any) -> str:
    """Write an attribute of another program."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(text, MAX_TEXT)
