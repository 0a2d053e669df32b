"""What a study found: pure functions from a ``StudyRecord`` to small frozen ``...Info`` objects.

Nothing here draws, trains, reads or writes, so every number of the report can be tested without
a browser, a database or a model. This module holds what all analyses read from a record.
"""

import math
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from statistics import median
from typing import TypeVar

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search_spaces.designs import DESIGNS
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis.magnitude import common_digits
from study.formats import format_percent
from study.kind_info import FOREIGN, KindInfo, foreign_objectives, stored_kind
from study.metrics import Metric
from study.wording import Wording

_Item = TypeVar("_Item")
_Key = TypeVar("_Key", bound=Hashable)

ALL_TRIALS = "all"
"""The family of every trial of a study whose space has only one."""

NEAR = 0.1
"""Share of the size of the best value by which another may be worse and count as about as good:
that is chance. Where shares of a value mean nothing, it is one of the way to the middle trial."""


def kind_of(record: StudyRecord) -> KindInfo:
    """Return what is known of the study's kind: its metrics, space, and names of parameters."""
    stored = stored_kind(record.user_attrs)
    if stored is not None:
        nones = stored.space.nones if stored.space is not None else ()
        return replace(stored, wording=Wording(nones=nones)) if nones else stored
    wording = Wording(record.trials, named=bool(record.metric_names))
    return replace(FOREIGN, metrics=_objectives(record), wording=wording)


def _objectives(record: StudyRecord) -> tuple[Metric, ...]:
    """Describe the objectives of a study of which no more is known than its values."""
    found = foreign_objectives(record.directions, record.metric_names)
    values = zip(*(trial.values for trial in record.trials if trial.values), strict=False)
    columns = [[*filter(math.isfinite, column)] for column in values]
    columns += [[] for _ in found[len(columns) :]]  # earlier pages hold the first objective alone
    return tuple(
        replace(
            metric,
            wide=bool(column) and _is_wide(metric, column),
            digits=_digits(sorted(metric.sign * value for value in column)),
        )
        for metric, column in zip(found, columns, strict=True)
    )


def _is_wide(metric: Metric, values: Sequence[float]) -> bool:
    """Whether a logarithmic axis shows more of values, the good ones among them."""
    low = median(values) if metric.maximise else min(values)
    return min(values) > 0 and max(values) >= 10 * low


def _digits(losses: Sequence[float]) -> int:
    """Return how many digits tell ascending losses apart between the best and the median."""
    spread = median(losses) - losses[0] if losses else 0.0
    size = max(map(abs, losses), default=0.0)
    return 4 + max(0, min(3, int(common_digits(size, spread)) - 1))


def objectives_of(record: StudyRecord) -> tuple[Metric, ...]:
    """Return the objectives of a study, in the order of its directions."""
    kind = kind_of(record)
    return kind.objectives(pareto=len(record.directions) > 1) if kind.name else kind.metrics


def metrics_of(record: StudyRecord) -> tuple[Metric, ...]:
    """Return the metrics that any complete trial of a study has, the objective first."""
    objective, *others = kind_of(record).metrics
    return (objective, *(m for m in others if any(m.of(t) is not None for t in record.complete)))


def measured_on_request(record: StudyRecord) -> tuple[Metric, ...]:
    """Return the metrics that any complete trial of a study has, but not every one must have."""
    return tuple(metric for metric in metrics_of(record) if not metric.always)


def third_of(record: StudyRecord) -> Metric | None:
    """Return the metric behind the second one that every complete trial has, if there is one."""
    return next(iter(kind_of(record).further[1:]), None)


def word_for(metric: Metric) -> str:
    """Return what values of a metric are called where its name would be too long."""
    return "error" if metric.is_error else "value"


def is_ours(record: StudyRecord) -> bool:
    """Whether this package made the study, and trained it, with whichever kind."""
    return stored_kind(record.user_attrs) is not None


def is_own(record: StudyRecord) -> bool:
    """Whether the study's kind is one of this package, whose data are images of emoji."""
    kind = kind_of(record)
    return bool(kind.name) and kind.source is None


def data_of(record: StudyRecord) -> str:
    """Return what the data of a study are called: images of emoji, else what its kind says."""
    noun = attrs.NOUN.of(record) or ""  # stored, so it may be anything
    if re.fullmatch(r"\w[\w -]{0,30}", noun):
        return noun
    return "images" if is_own(record) else "data"


def reference_of(record: StudyRecord) -> str | None:
    """Return what commands call the study's kind, None if it has none."""
    kind = kind_of(record)
    return (kind.source.reference if kind.source else kind.name) or None


def n_again(record: StudyRecord) -> int:
    """Return how many trials would double a study, or begin it."""
    return max(10, sum(trial.finished for trial in record.trials))


def sampler_of(record: StudyRecord) -> str | None:
    """Return the name of the study's sampler, or None if it was not stored."""
    settings = attrs.SETTINGS.of(record)
    return None if settings is None else settings.sampler


def is_independent(record: StudyRecord) -> bool:
    """Whether a design chose the trials, so that no result had a part in it."""
    return sampler_of(record) in DESIGNS


def is_search(record: StudyRecord) -> bool:
    """Whether a sampler or a design chose the trials, rather than an experiment its arms."""
    return attrs.EXPERIMENT.of(record) is None


def min_accuracy_of(record: StudyRecord) -> float | None:
    """Return the accuracy below which a trial breaks the study's constraint, if it has one."""
    settings = attrs.SETTINGS.of(record)
    return None if settings is None else settings.min_accuracy


def relative_change(value: float, other: float) -> float | None:
    """Return by which share of another value a value is above it, None where that is 0."""
    return (value / other - 1) * math.copysign(1.0, other) if other else None


def margin(metric: Metric, losses: Sequence[float], share: float) -> float:
    """Return by how much a loss may exceed the lowest one for a share, whatever the signs.

    Args:
        losses: At least one, ascending.
        share: Of the size of the lowest; of its distance from the median where shares of a value
            mean nothing.
    """
    return share * (abs(losses[0]) if metric.has_zero else median(losses) - losses[0])


def near_words(metric: Metric) -> str:
    """Say which values are about as good as the best one, "it", behind "within"."""
    return f"{format_percent(NEAR)} of {'it' if metric.has_zero else 'the way to the median'}"


def family_of(trial: TrialRecord, parameter: str | None) -> str:
    """Return a trial's value of the parameter that tells families apart, as text."""
    return ALL_TRIALS if parameter is None else str(trial.params.get(parameter, ALL_TRIALS))


def branch_of(record: StudyRecord) -> str | None:
    """Return the choice beside the family that other parameters depend on, if there is one."""
    kind = kind_of(record)
    parameters = () if kind.space is None else kind.space.parameters
    conditions = {name for parameter in parameters for name in parameter.when} - {kind.family}
    for p in (p for p in parameters if p.name in conditions):
        match p.distribution:
            case CategoricalDistribution(choices=choices) if all(
                isinstance(choice, str) for choice in choices
            ):
                return p.name
    return None


def none_feasible(record: StudyRecord) -> str:
    """Say that every complete trial breaks the study's constraint."""
    second = kind_of(record).second
    label = "second metric" if second is None else second.label
    return f"no trial reaches the {label} of {min_accuracy_of(record)} that is demanded."


def training_of(trial: TrialRecord) -> int:
    """Return the number of the trial that was trained for a trial's result, mostly its own."""
    source = attrs.REUSED_FROM.of(trial)
    return trial.number if source is None else source


def each_training_once(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trial of each training that was trained for it, or else its first, in order.

    Which one counts must not depend on the values: of two lengths of a training the better one in
    some metric would make that length look better. Trials with equal settings, seeds and values
    are one training as well: it was repeated exactly, or its result was copied.
    """
    found: dict[int, tuple[int, TrialRecord]] = {}
    alike: dict[tuple[float, ...], list[TrialRecord]] = {}
    for place, trial in enumerate(trials):
        source = training_of(trial)
        if source == trial.number and trial.values and trial.params:
            same = alike.setdefault(trial.values, [])
            source = next((t.number for t in same if _is_copy(t, trial)), source)
            same.append(trial)
        if source not in found or trial.number == source:
            found[source] = place, trial
    return [trial for _, trial in sorted(found.values(), key=itemgetter(0))]


def _is_copy(trial: TrialRecord, other: TrialRecord) -> bool:
    """Whether trials with equal values have equal settings, and no seeds that differ."""
    return trial.params == other.params and attrs.SEED.of(trial) == attrs.SEED.of(other)


def ranked_once(found: Iterable[tuple[float, TrialRecord]]) -> list[tuple[float, TrialRecord]]:
    """Return ranked trials, each training once, see ``each_training_once``."""
    ranking = list(found)
    kept = {trial.number for trial in each_training_once(trial for _, trial in ranking)}
    return [item for item in ranking if item[1].number in kept]


def by_configuration(
    found: Iterable[tuple[float, TrialRecord]],
) -> list[tuple[float, TrialRecord]]:
    """Return ranked trials, each training once, and of those with equal settings the first one.

    It stands for them with their mean value, for more trainings of some settings tell more of
    these, and nothing of others.
    """
    groups = grouped(
        ranked_once(found),
        lambda item: frozenset((name, repr(x)) for name, x in item[1].params.items()),
    )
    # Divided first, for the sum of the largest numbers has no float.
    return [
        (math.fsum(value / len(group) for value, _ in group), group[0][1])
        for group in groups.values()
    ]


def n_telling(record: StudyRecord) -> int:
    """Count the trials that tell of settings: complete ones, each training once."""
    return len(each_training_once(record.complete))


def is_default(kind: KindInfo, trial: TrialRecord) -> bool:
    """Whether a trial has the kind's default settings, at any fidelity."""
    return (
        kind.default is not None
        and bool(trial.params)
        and all(kind.default.get(n) == x for n, x in trial.params.items() if n != kind.fidelity)
    )


def grouped(items: Iterable[_Item], key: Callable[[_Item], _Key]) -> dict[_Key, list[_Item]]:
    """Return items by a key, both in the order in which they come."""
    found: dict[_Key, list[_Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def breaks_constraint(trial: TrialRecord) -> bool:
    """Whether a trial is complete but no candidate for the best."""
    return trial.state == TrialState.COMPLETE and not trial.feasible


def ranked(
    record: StudyRecord, *, metric: Metric | None = None, finite: bool = True
) -> list[tuple[float, TrialRecord]]:
    """Return the complete trials with a value of a metric, feasible or not, best first.

    Args:
        metric: None for the objective; equal trials keep the order of their numbers.
        finite: Whether to leave out infinite values, with which nothing can be computed.

    Returns:
        Each trial behind its value, which is the stored one also where higher is better.
    """
    metric = metric or kind_of(record).objective
    sign = metric.sign
    found = sorted(
        (sign * value, trial.number, i, trial)
        for i, trial in enumerate(record.complete)
        if (value := metric.of(trial) if finite else metric.any_of(trial)) is not None
    )
    return [(sign * loss, trial) for loss, _, _, trial in found]


def ranked_by_constraint(
    record: StudyRecord, *, finite: bool = False
) -> list[tuple[float, TrialRecord]]:
    """Return the complete trials by the objective, those that break the constraint last.

    So the first one is the study's best trial if any trial keeps the constraint.

    Source: Deb, "An efficient constraint handling method for genetic algorithms", Computer
        Methods in Applied Mechanics and Engineering 186, 2000.
    """
    return sorted(ranked(record, finite=finite), key=lambda item: breaks_constraint(item[1]))


def is_numeric(name: str, trials: Iterable[TrialRecord]) -> bool:
    """Whether a parameter has a range of numbers in each of some trials."""
    return all(
        isinstance(trial.distributions.get(name), FloatDistribution | IntDistribution)
        for trial in trials
    )


def varies(record: StudyRecord, name: str) -> bool:
    """Whether finished trials differ in a parameter."""
    return len({t.params[name] for t in record.trials if t.finished and name in t.params}) > 1


def parameter_names(record: StudyRecord) -> list[str]:
    """Return every parameter of any trial, in the order of their first use."""
    return list(dict.fromkeys(name for trial in record.trials for name in trial.params))
