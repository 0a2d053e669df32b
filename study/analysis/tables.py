"""Tables of a study: best trials, families, groups, classes, and all of its trials."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median

import pandas as pd
from optuna.trial import TrialState

from search_spaces import Scalar
from storage.attrs import (
    CLASS_COUNTS,
    CONFUSION,
    VALIDATION_ACCURACY,
    VALIDATION_BALANCED_ACCURACY,
)
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    each_training_once,
    family_of,
    kind_of,
    parameter_names,
    ranked,
    ranked_by_constraint,
    ranked_once,
)
from study.analysis.pairs import levels
from study.metrics import Metric

MAX_GROUPS = 12
"""Values of a parameter above which a table of them is no summary any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the trials with one value of a parameter reached.

    Args:
        best_number, best: The best feasible trial and its objective, None without one.
        best_accuracy, median_accuracy: Of the second metric, None if none has one.
    """

    name: str
    n_complete: int
    n_infeasible: int
    n_pruned: int
    best_number: int | None
    best: float | None
    median: float | None
    mean: float | None
    best_accuracy: float | None
    median_accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A metric of the complete trials with one value of a parameter."""

    value: Scalar
    n_trials: int
    mean: float
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsInfo:
    """A metric by ascending values of one parameter; trials without it are in no group."""

    parameter: str
    metric: Metric
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopFamily:
    """The part of one family in the best trials.

    Args:
        n_trials: Its complete trials with a finite value of the metric.
        best_number, best, best_rank: Its best trial, that one's value and place among all, from 1.
    """

    name: str
    n_top: int
    n_trials: int
    best_number: int
    best: float
    best_rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopFamiliesInfo:
    """Which families the best trials belong to.

    Args:
        k: Trials that count as the best: as many as were asked for, or all if there are fewer.
        families: Those with most of them first, of equal ones that with the better best trial.
    """

    metric: Metric
    k: int
    families: tuple[TopFamily, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """One class.

    Args:
        share: Of the validation split.
        recall: Share of its validation images that the best trial classifies correctly; None
            without a best trial that classified, or without an image.
    """

    name: str
    n_train: int
    n_validation: int
    share: float
    recall: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResultsInfo:
    """How often the classes occur, and how well the best trial tells them apart.

    Args:
        number: The best trial, None if there is none that classified, as are its accuracies.
        confusion: Its validation images by class (rows) and predicted class (columns), in the
            order of ``classes``, which is that of the data set; empty as above.
    """

    classes: tuple[ClassResult, ...]
    number: int | None
    accuracy: float | None
    balanced_accuracy: float | None
    confusion: tuple[tuple[int, ...], ...]

    @property
    def largest(self) -> ClassResult:
        """The commonest class of the validation split; its share is what guessing it scores."""
        return max(self.classes, key=lambda result: result.n_validation)

    @property
    def guessing(self) -> float:
        """The balanced accuracy of guessing one class always: that of chance."""
        return 1 / max(1, sum(result.n_validation > 0 for result in self.classes))


def get_best_trials(record: StudyRecord, *, k: int = 10) -> tuple[TrialRecord, ...]:
    """Return the ``k`` complete trials with the best objective, feasible ones first.

    Each training is there once: a grid has points that differ in nothing that has an effect.
    """
    return tuple(each_training_once(trial for _, trial in ranked_by_constraint(record))[:k])


def get_families(record: StudyRecord, *, parameter: str | None = None) -> tuple[Family, ...]:
    """Return what each family reached in the objective and the second metric, each training once.

    Args:
        parameter: The categorical parameter by which trials are grouped; None for that of the
            kind.

    Returns:
        One family for each of its values that a finished trial has, best first; those without a
        best trial last.
    """
    kind = kind_of(record)
    name_of = partial(family_of, parameter=parameter or kind.family)
    best_first = ranked_once(ranked_by_constraint(record, finite=True))
    best_of = max if kind.second is None or kind.second.maximise else min
    sign = kind.objective.sign
    pruned = [t for t in record.trials if t.state == TrialState.PRUNED]
    n_pruned = Counter(map(name_of, each_training_once(pruned)))
    families = []
    for name in sorted({name_of(trial) for trial in record.trials if trial.finished}):
        members = [(value, trial) for value, trial in best_first if name_of(trial) == name]
        values = [value for value, _ in members]
        feasible = [(value, trial) for value, trial in members if trial.feasible]
        second = [] if kind.second is None else [kind.second.of(trial) for _, trial in members]
        accuracies = [value for value in second if value is not None]
        families.append(
            Family(
                name=name,
                n_complete=len(members),
                n_infeasible=len(members) - len(feasible),
                n_pruned=n_pruned[name],
                best_number=feasible[0][1].number if feasible else None,
                best=feasible[0][0] if feasible else None,
                median=median(values) if values else None,
                mean=fmean(values) if values else None,
                best_accuracy=best_of(accuracies, default=None),
                median_accuracy=median(accuracies) if accuracies else None,
            )
        )
    return tuple(sorted(families, key=lambda f: (f.best is None, sign * (f.best or 0.0))))


def get_all_groups(record: StudyRecord, *, metric: Metric | None = None) -> tuple[GroupsInfo, ...]:
    """Summarise a metric by every parameter with several values, but few, the family first.

    Complete trials with a finite value count, whether or not they keep the study's constraint,
    also those that took the result of another one's training, as in the notebook.

    Source: ``DataFrame.groupby(parameter).agg(["mean", "median", "count"])`` of pandas, which
        leaves out rows without the parameter; the numbers are its own.
    """
    kind = kind_of(record)
    family, metric = kind.family, metric or kind.objective
    measured = [(value, t) for t in record.complete if (value := metric.of(t)) is not None]
    names = sorted(parameter_names(record), key=lambda name: name != family)
    found = (_grouped(measured, name, metric) for name in names)
    return tuple(info for info in found if info is not None)


def _grouped(
    measured: Sequence[tuple[float, TrialRecord]], parameter: str, metric: Metric
) -> GroupsInfo | None:
    members = [item for item in measured if parameter in item[1].params]
    distinct, places = levels(trial.params[parameter] for _, trial in members)
    if not 1 < len(distinct) <= MAX_GROUPS:
        return None
    values = pd.Series([value for value, _ in members], dtype="float64")
    found = values.groupby(places).agg(["count", "mean", "median"])
    return GroupsInfo(
        parameter=parameter,
        metric=metric,
        groups=tuple(
            Group(value=value, n_trials=int(count), mean=float(mean), median=float(middle))
            for value, (count, mean, middle) in zip(
                distinct, found.itertuples(index=False), strict=True
            )
        ),
    )


def get_top_families(
    record: StudyRecord, *, k: int = 50, metric: Metric | None = None
) -> TopFamiliesInfo:
    """Count the families among the ``k`` best trials, and find the best trial of each.

    Complete trials with a finite value count, whether or not they keep the study's constraint. Of
    equal ones the one with the lower number is better, as in a stable sort.

    Args:
        metric: None for the objective.

    Returns:
        Every family with such a trial, also those without one among the best.
    """
    kind = kind_of(record)
    metric = metric or kind.objective
    best_first = ranked(record, metric=metric)
    names = [family_of(trial, kind.family) for _, trial in best_first]
    in_all, in_top = Counter(names), Counter(names[:k])
    families = [  # in the order of their best trials
        TopFamily(
            name=name,
            n_top=in_top[name],
            n_trials=in_all[name],
            best_number=best_first[i][1].number,
            best=best_first[i][0],
            best_rank=i + 1,
        )
        for name, i in ((name, names.index(name)) for name in in_all)
    ]
    return TopFamiliesInfo(
        metric=metric,
        k=min(k, len(names)),
        families=tuple(sorted(families, key=lambda family: -family.n_top)),
    )


def get_class_results(record: StudyRecord) -> ClassResultsInfo | None:
    """Count the images of each class, and read how the best trial classified them.

    Returns:
        None if the study did not store the counts.

    Source: balanced accuracy, the mean of the recalls: Brodersen, Ong, Stephan, Buhmann, "The
        balanced accuracy and its posterior distribution", ICPR 2010.
    """
    counts = CLASS_COUNTS.of(record) or {}
    train, validation = counts.get("train", {}), counts.get("validation", {})
    names = list(dict.fromkeys((*train, *validation)))
    if not names:
        return None
    best = record.best
    stored = () if best is None else CONFUSION.of(best) or ()
    confusion = tuple(tuple(row) for row in stored)
    if [len(row) for row in confusion] != [len(names)] * len(names):  # of other classes
        confusion = ()
    metrics = {metric.name: metric for metric in kind_of(record).metrics}
    accuracy, balanced = (
        metrics[name].of(best) if best is not None and confusion and name in metrics else None
        for name in (VALIDATION_ACCURACY, VALIDATION_BALANCED_ACCURACY)
    )
    n_images = sum(validation.values())
    sizes = [sum(row) for row in confusion] or [0] * len(names)
    return ClassResultsInfo(
        classes=tuple(
            ClassResult(
                name=name,
                n_train=train.get(name, 0),
                n_validation=validation.get(name, 0),
                share=validation.get(name, 0) / n_images if n_images else 0.0,
                recall=confusion[i][i] / sizes[i] if sizes[i] else None,
            )
            for i, name in enumerate(names)
        ),
        number=best.number if best is not None and confusion else None,
        accuracy=accuracy,
        balanced_accuracy=balanced,
        confusion=confusion,
    )
