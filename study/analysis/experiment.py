"""What a paired experiment says: differences between arms, and how sure they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from storage import attrs
from storage.records import StudyRecord, TrialRecord
from storage.values import Experiment
from study.analysis import kind_of
from study.analysis.estimates import MIN_SPLITS, Scale, mean_on
from study.analysis.paired import (
    Compared,
    Difference,
    compare_together,
    judged_on,
    paired,
    scale_of,
)
from study.formats import counted, format_p_value
from study.metrics import Metric

_Cell = tuple[str, str, str]
"""The label of a metric, the baseline and the arm that is compared with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One arm against the baseline in one metric.

    Args:
        metric: Its label.
        baseline_mean, arm_mean: Means over the pairs in which both arms finished, geometric ones
            where differences are ratios.
    """

    arm: str
    baseline: str
    metric: str
    baseline_mean: float
    arm_mean: float
    found: Difference
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentInfo:
    """All comparisons of an experiment.

    Args:
        n_missing: Trials that have not finished, or failed.
        values: By metric's label, arm and pair; those that are missing are not there.
        on_request: Labels of the metrics that are measured on request.
    """

    made: Experiment
    n_missing: int
    comparisons: tuple[Comparison, ...]
    values: Mapping[str, Mapping[str, Mapping[int, float]]]
    on_request: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The metrics in which something was compared."""
        return tuple(dict.fromkeys(c.metric for c in self.comparisons))

    def of_metric(self, label: str) -> tuple[Comparison, ...]:
        """Return the comparisons in one metric."""
        return tuple(c for c in self.comparisons if c.metric == label)

    def read_with(self, label: str) -> tuple[Comparison, ...]:
        """Return the comparisons that p-values of one metric are adjusted for."""
        on_request = label in self.on_request
        return tuple(c for c in self.comparisons if (c.metric in self.on_request) == on_request)

    def differences(self, comparison: Comparison) -> tuple[float, ...]:
        """Return the difference in every pair in which both finished."""
        values = self.values[comparison.metric]
        pairs = paired(values[comparison.baseline], values[comparison.arm])
        return tuple(
            after / before - 1 if comparison.found.scale == "ratio" else after - before
            for before, after in zip(pairs.before, pairs.after, strict=True)
        )


def get_experiment(record: StudyRecord) -> ExperimentInfo | None:
    """Compare the arms of an experiment pair by pair, or return None if the study is none.

    Each metric has a table of its own, in which all arms are compared with the first one by the
    rule of ``paired.compare_together``; errors by ratios. The tables of what every training
    measures are read together, so the more metrics, the stricter; those of what is measured on
    request are read together as well.
    """
    experiment = attrs.EXPERIMENT.of(record)
    if experiment is None:
        return None
    arms = [arm.name for arm in experiment.arms]
    # What is not a part of the task was never trained.
    classifying = tuple(
        arm.name for arm in experiment.arms if arm.params.get("auxiliary_task", True)
    )
    sides = {arm: experiment.sides_of(arm) for arm in arms}
    metrics = kind_of(record).metrics
    trials = {arm: trials_of_arm(record, arm) for arm in arms}
    values = {
        metric.label: {
            arm: values_of(trials[arm], metric)
            for arm in (classifying if metric.always and not metric.objective else arms)
        }
        for metric in metrics
    }
    comparisons: list[Comparison] = []
    for always in (True, False):
        table: dict[_Cell, Compared] = {}
        for metric in (metric for metric in metrics if metric.always == always):
            table |= _against_first(values[metric.label], metric, sides)
        comparisons += _compared(table)
    errors = values[metrics[0].label]
    return ExperimentInfo(
        made=experiment,
        n_missing=sum(experiment.n_pairs - len(errors[arm]) for arm in arms),
        comparisons=tuple(comparisons),
        values=values,
        on_request=tuple(metric.label for metric in metrics if not metric.always),
    )


def trials_of_arm(record: StudyRecord, arm: str) -> dict[int, TrialRecord]:
    """Return the complete trials of an arm by the number of their pair."""
    return {
        pair: trial
        for trial in record.complete
        if attrs.ARM.of(trial) == arm and (pair := attrs.PAIR.of(trial)) is not None
    }


def values_of(trials: Mapping[int, TrialRecord], metric: Metric) -> dict[int, float]:
    """Return the values of a metric that trials have, by the number of their pair, ascending."""
    return {pair: v for pair, t in sorted(trials.items()) if (v := metric.of(t)) is not None}


def _against_first(
    reached: Mapping[str, Mapping[int, float]],
    metric: Metric,
    sides: Mapping[str, Sequence[str]],
) -> dict[_Cell, Compared]:
    """Return the pairs of every arm but the first with the first, which is the baseline."""
    baseline, *others = reached
    every = chain.from_iterable(found.values() for found in reached.values())
    scale: Scale = "points" if metric.is_share else "plain"
    if metric.objective and scale_of(metric, every) == "ratio":
        scale = "ratio"
    pairs = {
        arm: paired(reached[baseline], reached[arm], judged_on(sides[baseline], sides[arm]))
        for arm in others
    }
    return {
        (metric.label, baseline, arm): Compared(pairs=own, metric=metric, scale=scale)
        for arm, own in pairs.items()
    }


def _compared(table: Mapping[_Cell, Compared]) -> Iterator[Comparison]:
    """Compare what a table holds, in words as well."""
    told = compare_together(table)
    for (label, baseline, arm), found in told.items():
        scale, pairs = found.scale, table[label, baseline, arm].pairs
        yield Comparison(
            arm=arm,
            baseline=baseline,
            metric=label,
            baseline_mean=mean_on(scale, pairs.before, pairs.sides),
            arm_mean=mean_on(scale, pairs.after, pairs.sides),
            found=found,
            verdict=f"{arm}: {_verdict(found, label, baseline, alone=len(told) == 1)}.",
        )


def _verdict(found: Difference, metric: str, baseline: str, *, alone: bool) -> str:
    """Say what a comparison found, and how sure that is.

    ``alone`` if nothing else is compared with it, so that its p-value is not adjusted.
    """
    n = found.n_pairs
    if found.p_value is None or found.mean is None or found.interval is None:
        return (
            f"{counted(n, 'pair')} {'is' if n == 1 else 'are'} too few to tell a difference in "
            f"{metric} from chance; {MIN_SPLITS} are needed"
        )
    if found.n_above == found.n_below == 0:
        return f"the {metric} equals that of {baseline} in all {n} pairs"
    side, agreeing = ("higher", found.n_above) if found.mean > 0 else ("lower", found.n_below)
    mean, ends = found.written(found.mean), found.interval.written(found.written)
    p = format_p_value(found.p_value)
    detail = (
        f"95 % interval {ends}, {side} in {agreeing} of {n} pairs, "
        f"{'p' if alone else 'adjusted p'} {'' if p.startswith('<') else '= '}{p}"
    )
    if found.told:
        size = mean.lstrip("+\N{MINUS SIGN}")
        return f"the {metric} is {side} than with {baseline} by {size} ({detail})"
    detail = f"mean difference {mean}; {detail}"
    if found.equal:
        return f"the {metric} is that of {baseline}, {found.within} ({detail})"
    return f"cannot be told from {baseline} in {metric} ({detail}{found.asking('pair')})"


def describe_experiment(info: ExperimentInfo) -> Iterator[str]:
    """Say what each arm does to each metric, and sum up those that are measured on request."""
    if info.n_missing:
        yield (
            f"{info.n_missing} of {info.made.n_trials} trainings are missing; their pairs are "
            "left out."
        )
    for label in info.labels:
        comparisons = info.of_metric(label)
        if label in info.on_request:
            yield sum_up(comparisons)
        else:
            yield from (comparison.verdict for comparison in comparisons)


def sum_up(comparisons: Sequence[Comparison]) -> str:
    """Say in a sentence which arms differ from the baseline in one metric."""
    label, baseline = comparisons[0].metric, comparisons[0].baseline
    opening = f"{label[0].upper()}{label[1:]}, against {baseline}: "
    if all(c.found.p_value is None for c in comparisons):
        n_pairs = max(c.found.n_pairs for c in comparisons)
        return f"{opening}{n_pairs} pairs are too few to tell; {MIN_SPLITS} are needed."
    groups = {
        "higher with": [c for c in comparisons if c.found.higher],
        "lower with": [c for c in comparisons if c.found.lower],
        f"that of it, {comparisons[0].found.within}, with": [
            c for c in comparisons if c.found.equal
        ],
        "cannot be told with": [c for c in comparisons if not (c.found.told or c.found.equal)],
    }
    parts = (
        f"{word} {', '.join(f'{c.arm} ({c.found.written(c.found.mean)})' for c in those)}"
        for word, those in groups.items()
        if those
    )
    return f"{opening}{'; '.join(parts)}."
