"""All trials, to be filtered, sorted, looked at and downloaded."""

import json
from dataclasses import asdict

from storage import attrs
from study.analysis import parameter_names
from study.analysis.spent import training_seconds
from study.analysis.tables import get_best_trials
from study.metrics import value_name
from study.report.findings import Findings
from study.report.page import Missing, Section, safe_in_script
from study.report.trials import get_columns, get_constants, get_costs_told, get_hidden

HEADING = "Table of trials"


def section(found: Findings) -> Section | Missing:
    """Offer the table that the page fills from its own data, and without JavaScript the best."""
    if not found.summary.n_trials:
        return Missing("there are no trials yet", found.more_trials)
    columns = get_columns(found.record)
    reading = {
        "columns": [asdict(column) for column in columns],
        "hidden": [asdict(column) for column in get_hidden(found.record)],
        "family": found.kind.family,
        "maximise": found.kind.objective.maximise,
        "objectives": [value_name(i) for i in range(len(found.record.directions))],
        "command": found.command("train", "--trial NUMBER") if found.ours else "",
        "ours": found.ours,
        "digits": {m.column: m.digits for m in found.objectives if m.digits != 4},
    }
    best = get_best_trials(found.record)
    used = {name for trial in best for name in trial.params}
    data = {
        "reading": safe_in_script(json.dumps(reading)),
        "constants": get_constants(found.record),
        "best_trials": best,
        "parameters": [name for name in parameter_names(found.record) if name in used],
        "arms": {t.number: arm for t in found.record.trials if (arm := attrs.ARM.of(t))},
        "seconds": training_seconds,
        "costs_told": get_costs_told(found.record),
        "n_optional": sum(column.optional for column in columns),
    }
    return Section(data)
