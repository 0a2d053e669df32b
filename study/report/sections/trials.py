"""All trials, to be filtered, sorted, looked at and downloaded."""

import json
from dataclasses import asdict

from study.report.findings import Findings
from study.report.page import Missing, Section, safe_in_script
from study.report.trials import get_columns, get_constants

HEADING = "All trials"


def section(found: Findings) -> Section | Missing:
    """Offer the table that the page fills from its own data."""
    if not found.summary.n_trials:
        return Missing("there are no trials yet", found.more_trials)
    reading = {
        "columns": [asdict(column) for column in get_columns(found.record)],
        "family": found.kind.family,
        "maximise": found.kind.objective.maximise,
        "command": found.command("train", "--trial NUMBER"),
    }
    data = {
        "reading": safe_in_script(json.dumps(reading)),
        "constants": get_constants(found.record),
    }
    return Section(data)
