"""What commands print with ``--json``; docs/tables.md says what stands under which key."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from storage.records import Progress, StudyRecord, StudySummary, TrialRecord, count
from study.analysis.front import get_unbeaten
from study.kind_info import stored_kind
from study.metrics import value_name

NOT_FINITE = "not_finite"
"""Key of the words for numbers that JSON has not, beside which they are null."""


def print_json(value: Any) -> None:
    """Print a value as one JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def list_json(summaries: Iterable[StudySummary]) -> list[dict[str, Any]]:
    """Return what is known of studies of which no trial was read."""
    return [_study(summary, summary.progress) for summary in summaries]


def status_json(record: StudyRecord) -> dict[str, Any]:
    """Return what is known of a study, with its best trial and those that no other beats.

    With several objectives there is no best one; with one it stands for all that are as good.
    """
    several = len(record.directions) > 1
    best = None if several else record.best
    front = get_unbeaten(record) if several else filter(None, [best])
    return _study(record, count(record.trials)) | {
        "best": best and _trial(best, objective_names(record)),
        "front": [trial.number for trial in front],
    }


def objective_names(study: StudyRecord | StudySummary) -> Sequence[str]:
    """Return names of a study's objectives: its own, those of its kind, or those of tables."""
    n, kind = len(study.directions), stored_kind(study.user_attrs)
    own = study.metric_names
    if not own and kind is not None:
        own = tuple(metric.name for metric in kind.objectives(pareto=n > 1))
    return own if len(set(own)) == n else [value_name(i) for i in range(n)]


def _study(study: StudyRecord | StudySummary, progress: Progress) -> dict[str, Any]:
    return {
        "study": study.name,
        "directions": list(study.directions),
        "metrics": list(objective_names(study)),
        "counts": asdict(progress),
    }


def _trial(trial: TrialRecord, names: Sequence[str]) -> dict[str, Any]:
    return told(
        {
            "number": trial.number,
            "values": dict(zip(names, trial.values, strict=True)),
            "params": dict(trial.params),
        }
    )


def told(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make numbers null that JSON has not, and say beside them what they are."""
    finite, words = _parted(values)
    return {**finite, NOT_FINITE: words} if words else {**finite}


def _parted(value: Any) -> tuple[Any, Any]:
    """Return a value with null for what is not finite, and words for that in the same places.

    Places in a list are counted from 0, as texts.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None, str(value)
    if isinstance(value, list | tuple):
        finite, words = _parted({str(i): item for i, item in enumerate(value)})
        return list(finite.values()), words
    if isinstance(value, Mapping):
        found = {str(key): _parted(item) for key, item in value.items()}
        words = {key: word for key, (_, word) in found.items() if word is not None}
        return {key: finite for key, (finite, _) in found.items()}, words or None
    return value, None
