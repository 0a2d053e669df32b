"""The columns of the table of all trials, which the page fills from its embedded data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from optuna.distributions import FloatDistribution, IntDistribution

from storage import attrs
from storage.records import Scalar, StudyRecord
from study.analysis import kind_of, metrics_of, min_accuracy_of, parameter_names
from study.formats import format_label, plural
from study.metrics import Metric

Format = Literal["number", "measured", "share", "count", "duration", "value", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Args:
        key: Name of a parameter or an attribute, or of a trial's own field; charts name their
            axes by it.
        source: Where a trial has it: ``trial``, ``params`` or ``user_attrs``.
        label: Heading.
        format: How a cell is written; what is not ``value`` or ``text`` is a number.
        choices: All values that occur, None for none, if the column is filtered by choice;
            empty if it is filtered by a range.
    """

    key: str
    source: Literal["trial", "params", "user_attrs"]
    label: str
    format: Format
    choices: tuple[Scalar, ...] = ()


def get_columns(record: StudyRecord) -> list[Column]:
    """Return the columns for a study: results, then the parameters that vary, then costs."""
    kind = kind_of(record)
    always = [metric for metric in kind.metrics[1:] if metric.always]
    on_request = [metric for metric in metrics_of(record) if not metric.always]
    return [
        Column(key="number", source="trial", label="trial", format="number"),
        Column(
            key="state",
            source="trial",
            label="state",
            format="text",
            choices=tuple(dict.fromkeys(trial.state.name for trial in record.trials)),
        ),
        *map(_metric, (kind.objective, *always)),
        *_constraint(record),
        *map(_metric, on_request),
        *(
            _parameter(record, name)
            for name in parameter_names(record)
            if len(_values(record, name)) > 1
        ),
        Column(
            key="epochs_run",
            source="trial",
            label=f"{plural(kind.step)} run",
            format="count",
        ),
        Column(key="training_seconds", source="trial", label="training time", format="duration"),
        *(
            Column(key=cost.name, source="user_attrs", label=cost.label, format="count")
            for cost in get_costs_told(record)
        ),
    ]


def get_costs_told(record: StudyRecord) -> tuple[Metric, ...]:
    """Return the costs of models that tables have columns for: weights, and what trials store."""
    stored = {attrs.PARAMETER_COUNT, *(name for t in record.trials for name in t.user_attrs)}
    return tuple(cost for cost in kind_of(record).costs if cost.name in stored)


def get_reading(record: StudyRecord) -> dict[str, Any]:
    """Return what the page's scripts must know of a study to read its trials.

    Returns:
        JSON-ready: the parameter that names families, and whether the objective is to be high.
    """
    kind = kind_of(record)
    return {"family": kind.family, "maximise": kind.objective.maximise}


def get_constants(record: StudyRecord) -> dict[str, Scalar]:
    """Return the parameters that have one value in all trials, which the table leaves out."""
    names = parameter_names(record)
    return {name: values[0] for name in names if len(values := _values(record, name)) == 1}


def _metric(metric: Metric) -> Column:
    how: Format = "share" if metric.is_share else "measured"
    return Column(
        key="value" if metric.objective else metric.name,
        source="trial" if metric.objective else "user_attrs",
        label=metric.label,
        format=how if metric.always else "number",
    )


def _constraint(record: StudyRecord) -> Iterator[Column]:
    if min_accuracy_of(record) is not None:
        yield Column(
            key=attrs.INFEASIBLE,
            source="user_attrs",
            label="breaks the constraint",
            format="value",
            choices=(True, None),
        )


def _parameter(record: StudyRecord, name: str) -> Column:
    numeric = all(
        isinstance(trial.distributions.get(name), FloatDistribution | IntDistribution)
        for trial in record.trials
        if name in trial.params
    )
    return Column(
        key=name,
        source="params",
        label=format_label(name),
        format="value",
        choices=() if numeric else _choices(record, name),
    )


def _choices(record: StudyRecord, name: str) -> tuple[Scalar, ...]:
    """Return the values of a parameter, None behind them where trials lack it."""
    lacking = any(name not in trial.params for trial in record.trials)
    return (*_values(record, name), *((None,) if lacking else ()))


def _values(record: StudyRecord, name: str) -> list[Scalar]:
    """Return the different values of a parameter, numbers by size, others by name."""
    # True equals 1, but is another value.
    found = {
        (type(value), value) for t in record.trials if (value := t.params.get(name)) is not None
    }
    return [value for _, value in sorted(found, key=_order)]


def _order(item: tuple[type, Scalar]) -> tuple[str, float, str]:
    kind, value = item
    number = float(value) if isinstance(value, int | float) else 0.0
    return kind.__name__, number, str(value)
