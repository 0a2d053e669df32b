"""All that is stored of the best trial."""

import json
from typing import Any

from study.analysis.spent import epochs_run, training_seconds
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
    stored = {} if found.ours else {n: _told(v) for n, v in best.other_attrs.items()}
    data = {"stored": stored, "steps_run": epochs_run(best), "seconds": training_seconds(best)}
    return Section(data, folded=f"Trial {best.number}: {told}")


def _told(value: Any) -> str:
    """Write an attribute of another program."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(text, MAX_TEXT)
