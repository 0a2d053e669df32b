"""The columns of the table of all trials, which the page fills from its embedded data."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from search_spaces import Scalar, is_number
from storage import attrs
from storage.record_json import encode
from storage.records import StudyRecord
from study.analysis import (
    is_numeric,
    is_ours,
    kind_of,
    measured_on_request,
    min_accuracy_of,
    parameter_names,
)
from study.formats import MISSING, plural
from study.metrics import Metric
from study.wording import Wording

MAX_ATTRIBUTES = 12
"""Columns of what another program stores of its trials."""
_NONE = {"$none": True}
"""What a page calls None where it is a value, and not the lack of one."""

Format = Literal["number", "measured", "share", "count", "duration", "value", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Args:
        key: Of what ``source`` of a trial holds; charts name their axes by it.
        format: How a cell is written; what is not ``value`` or ``text`` is a number.
        choices: All values that occur, if the column is filtered by choice, as the page holds
            them, None for none; empty if it is filtered by a range.
        texts: How choices are written; empty where ``format`` says it.
        optional: Whether it is only there for who asks for it, and not filtered.
    """

    key: str
    source: Literal["trial", "params", "user_attrs"]
    label: str
    format: Format
    choices: tuple[Any, ...] = ()
    texts: tuple[str, ...] = ()
    optional: bool = False


def get_columns(record: StudyRecord) -> list[Column]:
    """Return the columns for a study: results, then the parameters that vary, then costs."""
    kind = kind_of(record)
    states = tuple(dict.fromkeys(trial.state.name for trial in record.trials))
    steps, told = "epochs_run", f"{plural(kind.step)} run"
    if not kind.name:
        steps, told = "last_step", f"last {kind.step}"
    time = "training time" if kind.name else "time"
    constraint = Column(
        key=attrs.INFEASIBLE,
        source="user_attrs" if kind.name else "trial",
        label="breaks the constraint",
        format="value",
        choices=(True, None),
        texts=("yes", "no"),
    )
    constrained = any(trial.constraints for trial in record.trials)
    return [
        Column(key="number", source="trial", label="trial", format="number"),
        Column(key="state", source="trial", label="state", format="text", choices=states),
        *_places(record),
        *map(_metric, (kind.objective, *kind.further)),
        *([constraint] if min_accuracy_of(record) is not None or constrained else []),
        *map(_metric, measured_on_request(record)),
        *(
            _parameter(record, kind.wording, name, values)
            for name, values in _values(record).items()
            if len(values) > 1
        ),
        *(
            [Column(key=steps, source="trial", label=told, format="count")]
            if kind.name or any(trial.intermediate_values for trial in record.trials)
            else []
        ),
        Column(key="training_seconds", source="trial", label=time, format="duration"),
        *(
            Column(key=cost.name, source="user_attrs", label=cost.label, format="count")
            for cost in get_costs_told(record)
        ),
        *islice(() if is_ours(record) else _attributes(record, kind.wording), MAX_ATTRIBUTES),
    ]


def get_costs_told(record: StudyRecord) -> tuple[Metric, ...]:
    """Return the costs of models that tables have columns for: weights, and what trials store."""
    stored = {attrs.PARAMETER_COUNT, *(name for t in record.trials for name in t.user_attrs)}
    return tuple(cost for cost in kind_of(record).costs if cost.name in stored)


def get_hidden(record: StudyRecord) -> list[Column]:
    """Return the columns of parameters that have one value, which only a single trial shows."""
    wording = kind_of(record).wording
    return [
        _parameter(record, wording, name, [value]) for name, value in get_constants(record).items()
    ]


def get_constants(record: StudyRecord) -> dict[str, Scalar]:
    """Return the parameters that have one value in all trials, which the table leaves out."""
    return {name: values[0] for name, values in _values(record).items() if len(values) == 1}


def _places(record: StudyRecord) -> list[Column]:
    """Return what tells the trials of an experiment apart: arm and pair."""
    arms = {attrs.ARM.of(t): None for t in record.trials if attrs.ARM.of(t) is not None}
    if attrs.EXPERIMENT.of(record) is None or not arms:
        return []
    arm = Column(
        key=attrs.ARM, source="user_attrs", label="arm", format="value", choices=tuple(arms)
    )
    return [arm, Column(key=attrs.PAIR, source="user_attrs", label="pair", format="number")]


def _metric(metric: Metric) -> Column:
    how: Format = "share" if metric.is_share else "measured"
    return Column(
        key=metric.column,
        source="user_attrs" if metric.place is None else "trial",
        label=metric.label,
        format=how,
    )


def _parameter(
    record: StudyRecord, wording: Wording, name: str, values: Sequence[Scalar]
) -> Column:
    having = [trial for trial in record.trials if wording.holds(name, trial.params)]
    lacking = len(having) < len(record.trials)
    column = Column(key=name, source="params", label=wording.label(name), format="value")
    if is_numeric(name, having):
        return column
    texts = [wording.value(value, name) for value in values] + [MISSING] * lacking
    return replace(
        column,
        choices=(*(_NONE if v is None else encode(v) for v in values), *[None] * lacking),
        texts=() if is_ours(record) else tuple(texts),
    )


def _attributes(record: StudyRecord, wording: Wording) -> Iterator[Column]:
    """Yield what trials of another program store, the commonest first.

    It differs between them, as what some of them lack does, and is no list.
    """
    stored = [trial.other_attrs for trial in record.trials if trial.state.is_finished()]
    times = Counter(name for own in stored for name in own)
    for name, n in times.most_common():
        found = [own[name] for own in stored if name in own]
        plain = all(isinstance(value, str | int | float) for value in found)
        if plain and (n < len(stored) or len(set(map(repr, found))) > 1):
            yield Column(
                key=name,
                source="user_attrs",
                label=wording.label(name),
                format="value",
                optional=True,
            )


def _values(record: StudyRecord) -> dict[str, list[Scalar]]:
    """Return the different values of each parameter, numbers by size, others by name."""
    found: dict[str, set[tuple[type, Scalar]]] = {name: set() for name in parameter_names(record)}
    wording = kind_of(record).wording
    for trial in record.trials:
        for name, value in trial.params.items():
            if wording.holds(name, trial.params):
                found[name].add((type(value), value))  # True equals 1, but is another value

    def order(item: tuple[type, Scalar]) -> tuple[str, float, str]:
        number = float(item[1]) if is_number(item[1]) else 0.0
        return "float" if is_number(item[1]) else item[0].__name__, number, str(item[1])

    return {
        name: [value for _, value in sorted(values, key=order)] for name, values in found.items()
    }
