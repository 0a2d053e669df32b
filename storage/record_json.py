"""Study records as JSON and back, without loss, so that a file can carry a whole study.

JSON here is what browsers read, too: it has no NaN, no infinity, and no integers beyond
2**53, so such numbers stand as ``{"$number": "nan"}``.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.trial import TrialState

from storage import attrs
from storage.errors import StorageError
from storage.records import StudyRecord, TrialRecord
from storage.values import Scalar

_EXACT = 2**53  # up to which a double, a browser's only number, tells all integers apart
_NUMBER = "$number"


def record_to_json(record: StudyRecord) -> dict[str, Any]:
    """Return a study as nested lists, dicts, texts and numbers that any JSON writer takes."""
    shared = {id(d): d for trial in record.trials for d in trial.distributions.values()}
    written = {key: distribution_to_json(distribution) for key, distribution in shared.items()}
    texts = list(dict.fromkeys(written.values()))
    positions = {text: i for i, text in enumerate(texts)}
    places = {key: positions[text] for key, text in written.items()}
    trials = [_trial_to_json(trial, places) for trial in record.trials]
    return {
        "name": record.name,
        "directions": list(record.directions),
        "metric_names": list(record.metric_names),
        "user_attrs": encode({**record.user_attrs, **record.other_attrs}),
        "distributions": texts,
        "trials": trials,
    }


def record_from_json(values: Any) -> StudyRecord:
    """Read what ``record_to_json`` gave; a StorageError if it is something else."""
    try:
        distributions = [json_to_distribution(text) for text in values["distributions"]]
        user_attrs = _decoded_mapping(values["user_attrs"])
        ours = attrs.is_ours(user_attrs)
        own, others = attrs.parted(user_attrs, ours=ours)
        return StudyRecord(
            name=str(values["name"]),
            directions=tuple(map(str, values["directions"])),
            metric_names=tuple(map(str, values.get("metric_names", ()))),
            user_attrs=own,
            other_attrs=others,
            trials=tuple(
                _trial_from_json(trial, distributions, ours=ours) for trial in values["trials"]
            ),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StorageError(f"This is no study as JSON: {error!r}.") from error


def _trial_to_json(trial: TrialRecord, places: Mapping[int, int]) -> dict[str, Any]:
    """Return a trial; of its distributions, the places in the list that trials share."""
    reports = list(trial.intermediate_values.values())
    constraints = {}
    if trial.constraints or attrs.INFEASIBLE in trial.other_attrs:
        constraints["constraints"] = encode(trial.constraints)
    return {
        "number": trial.number,
        "trial_id": trial.trial_id,
        "state": trial.state.name,
        "values": encode(trial.values),
        "params": encode(trial.params),
        "distributions": {
            name: places[id(distribution)] for name, distribution in trial.distributions.items()
        },
        "steps": list(trial.intermediate_values),
        "reports": reports if all(map(math.isfinite, reports)) else encode(reports),
        "user_attrs": encode({**trial.user_attrs, **trial.other_attrs}),
        **constraints,
        "started": trial.started and trial.started.isoformat(sep=" "),
        "completed": trial.completed and trial.completed.isoformat(sep=" "),
    }


def _trial_from_json(
    values: Mapping[str, Any], distributions: list[BaseDistribution], *, ours: bool
) -> TrialRecord:
    own, others = attrs.parted(_decoded_mapping(values["user_attrs"]), ours=ours)
    constraints = _decoded_mapping(values.get("constraints", {}))
    if not ours and "constraints" not in values and others.get(attrs.INFEASIBLE) is True:
        constraints = {attrs.INFEASIBLE: 1.0}  # all that earlier versions kept of constraints
    params = _decoded_mapping(values["params"])
    reports = (float(_decode(report)) for report in values["reports"])
    if not all(isinstance(item, get_args(Scalar)) for item in params.values()):
        raise ValueError(f"parameters of trial {values['number']}")
    ranges = {name: distributions[i] for name, i in values["distributions"].items()}
    for name, distribution in ranges.items():
        distribution.to_internal_repr(params[name])  # a ValueError if it holds no such value
    return TrialRecord(
        number=int(values["number"]),
        trial_id=int(values["trial_id"]),
        state=TrialState[values["state"]],
        values=_values_from_json(values),
        params=params,
        distributions=ranges,
        intermediate_values=dict(zip(map(int, values["steps"]), reports, strict=True)),
        user_attrs=own,
        other_attrs=others,
        constraints={name: float(lack) for name, lack in constraints.items()},
        started=_time_from_json(values["started"]),
        completed=_time_from_json(values["completed"]),
    )


def _values_from_json(values: Mapping[str, Any]) -> tuple[float, ...]:
    """Read the values of a trial; earlier versions kept that of the first objective alone."""
    first = values.get("value")
    stored = values.get("values", [] if first is None else [first])
    return tuple(float(_decode(value)) for value in stored)


def encode(value: Any) -> Any:
    """Return a value with numbers that a browser has."""
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    beyond = isinstance(value, float) and not math.isfinite(value)
    if beyond or (isinstance(value, int) and abs(value) > _EXACT):
        return {_NUMBER: str(value)}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {_NUMBER}:
            text = value[_NUMBER]
            return float(text) if text in ("nan", "inf", "-inf") else int(text)
        return {key: _decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return value


def _decoded_mapping(values: Any) -> Mapping[str, Any]:
    return {str(key): _decode(item) for key, item in values.items()}


def _time_from_json(text: str | None) -> datetime | None:
    """Read a time; one without a zone, as earlier versions wrote them, is taken as UTC."""
    time = None if text is None else datetime.fromisoformat(text)
    return time and time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
