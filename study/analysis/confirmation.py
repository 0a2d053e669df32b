"""What a confirmation found: which configurations stay good with fresh seeds and splits."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from storage import attrs
from storage.records import StudyRecord
from storage.values import Arm
from study.analysis import data_of, is_own, kind_of, metrics_of, min_accuracy_of, relative_change
from study.analysis.estimates import MIN_SPLITS, Estimate, Interval, count_splits, estimate_on
from study.analysis.expected_best import overtuning
from study.analysis.experiment import values_of
from study.analysis.paired import SIGNIFICANT, Difference, compare, holm, paired, scale_of
from study.analysis.rise import Again, RiseInfo, get_rise
from study.analysis.spent import training_seconds
from study.analysis.trained import Trained, get_trained
from study.analysis.unseen import get_unseen, interval_of
from study.analysis.work import Work, get_work
from study.kind_info import KindInfo
from study.metrics import Metric

TOP, CHOSEN, DEFAULT, MIDDLE = "top", "chosen", "default", "middle"
"""Roles of what is confirmed: one of the best, one that somebody chose, the default, one from the
middle of the search.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """One configuration that was trained again.

    Args:
        role: ``TOP``, ``CHOSEN``, ``DEFAULT`` or ``MIDDLE``.
        trial, search_value: The trial of the search that it repeats, if there is one.
        validation: The objective over seeds and splits, None without a finished training.
        own, fresh: The same on the search's own split, and on fresh ones alone.
        accuracy: The kind's second metric likewise, None where there is none.
        shrinkage: By which share the mean is worse than the search's value: 0.1 is 10 % worse
            than the search had promised. None without such a value.
        difference: By how much the values exceed the default's, over pairs of equal seed and
            split: of an error, -0.2 is 20 % better. None for the default itself.
        from_best: The same of the best one's; None for that itself, and for what is excluded.
        n_wins: Pairs in which it was better than the default.
        beats: 95 % Wilson interval of the probability that it beats the default
            with a fresh seed and split, None without a pair.
        tied: Whether it is not told from the best: that itself, and what may be as good.
        seconds: Mean training time, by the clock.
        work: What its training took, counted; None if that is not known of all of them.
        parameter_count: Weights of the model, None if not stored.
        test, test_accuracy: The two metrics on the test split, None before the test.
        test_rows: Interval of the first over other test data, and seeds; None if the errors of
            single examples were not kept.
        test_against: The same interval of its difference from the default's.
    """

    name: str
    role: str
    trial: int | None
    search_value: float | None
    n_failed: int
    validation: Estimate | None
    own: Estimate | None
    fresh: Estimate | None
    accuracy: Estimate | None
    shrinkage: float | None
    difference: Difference | None
    from_best: Difference | None
    n_wins: int
    beats: Interval | None
    tied: bool
    seconds: float | None
    work: float | None
    parameter_count: int | None
    test: Estimate | None
    test_accuracy: Estimate | None
    test_rows: Interval | None
    test_against: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """A best trial so far of the search, with what its configuration reaches on the test split.

    Args:
        overtuning: By how much this is worse than the best of the incumbents up to it.
    """

    trial: int
    search_value: float
    test: float
    overtuning: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationInfo:
    """What a confirmation found.

    Args:
        study, follows: Names of the study that the confirmation is, and of the search.
        other_data: Path of the data, where it trained on others than the search.
        n_own: Those of them on the search's own split.
        n_splits: Independent numbers among them, see ``estimates.by_split``.
        n_missing: Trainings that have not finished.
        confirmed: Best mean first; those without a finished training last.
        best: Name of the one with the best mean, None without a finished training.
        tied: Names of those that cannot be told from it, itself among them.
        excluded: Names of those that are neither, whatever their mean: they failed with some
            seed, or keep the constraint not even in the mean.
        worse_in: Other metrics in which the best is told to be worse than the default.
        rise: Why values are worse than the search had measured.
        incumbents: Best trials so far, as far as they were confirmed and tested.
        ratios: Whether values are compared by ratios rather than by differences.
        work_label: What work is counted in, None where it is not known.
        by_choice: Whether the best of the search are among them, and not what somebody named.
        second: What its constraint may be on; None if there is nothing.
        demanded: The same in words; empty where nothing can be.
    """

    study: str
    follows: str
    other_data: str | None
    n_seeds: int
    n_own: int
    n_splits: int
    n_missing: int
    confirmed: tuple[Confirmed, ...]
    best: str | None
    tied: tuple[str, ...]
    excluded: tuple[str, ...]
    worse_in: Mapping[Metric, Difference]
    rise: RiseInfo
    incumbents: tuple[Incumbent, ...]
    tested: bool
    objective: Metric
    ratios: bool
    work_label: str | None
    by_choice: bool
    second: Metric | None
    data: str
    demanded: str

    @property
    def default(self) -> Confirmed | None:
        """The kind's default, if it was trained beside the others."""
        return next((c for c in self.confirmed if c.role == DEFAULT), None)

    @property
    def enough(self) -> bool:
        """Whether there are enough seeds and splits to tell differences from chance."""
        return self.n_splits >= MIN_SPLITS

    def get(self, name: str) -> Confirmed:
        """Return a configuration by its name."""
        return next(c for c in self.confirmed if c.name == name)


def get_confirmation(record: StudyRecord) -> ConfirmationInfo | None:
    """Compare the configurations of a confirmation.

    Those that are not told from the one with the best mean, by the rule of
    ``paired.compare_all``, hold the truly best configuration in at least 95 of 100
    confirmations. One that failed with some seed, or keeps the constraint not even in the mean,
    is neither best nor tied.

    Returns:
        None if the study is no confirmation.

    Source: selecting a subset that holds the best: Gupta, "On Some Multiple Decision (Selection
        and Ranking) Rules", Technometrics 7, 1965; interval of a share: Wilson, JASA 22, 1927,
        by ``statsmodels.stats.proportion``.
    """
    found = get_trained(record, attrs.CONFIRMATION, attrs.TRANSFER)
    if found is None:
        return None
    kind = kind_of(record)
    objective, second = kind.objective, kind.second
    needed = min_accuracy_of(record)
    means = {name: found.estimate(values) for name, values in found.values.items()}
    seconds = {name: _second(found, name, second) for name in means}
    excluded = {
        name
        for name, mean in means.items()
        if found.n_failed[name] or (mean and not _keeps(seconds[name], second, needed))
    }
    reached = {
        name: objective.sign * mean.mean
        for name, mean in means.items()
        if mean is not None and name not in excluded
    }
    best = min(reached, key=lambda name: reached[name], default=None)
    from_best = found.compare({n: best for n in reached if n != best} if best else {})
    told = {name for name, difference in from_best.items() if difference.told}
    default = next((arm.name for arm in found.made.arms if arm.role == DEFAULT), None)
    others = (arm.name for arm in found.made.arms if arm.name != default)
    from_default = found.compare(dict.fromkeys(others, default) if default else {})
    done = [trial for trials in found.trials.values() for trial in trials.values()]
    work = get_work(kind, done)
    confirmed = [
        _confirmed(
            record,
            arm,
            found,
            kind,
            accuracy=seconds[arm.name],
            work=work,
            from_default=from_default.get(arm.name),
            from_best=from_best.get(arm.name),
            tied=arm.name in reached and arm.name not in told,
        )
        for arm in found.made.arms
    ]
    confirmed.sort(key=lambda c: objective.sign * c.validation.mean if c.validation else math.inf)
    tied = sorted(
        (c.name for c in confirmed if c.tied and c.name != best), key=lambda n: reached[n]
    )
    elsewhere, settings = found.made.name == attrs.TRANSFER, attrs.SETTINGS.of(record)
    return ConfirmationInfo(
        study=record.name,
        follows=found.made.follows,
        other_data=str(settings.data) if settings and elsewhere else None,
        n_seeds=found.n_seeds,
        n_own=sum(pair in found.own for pair in range(found.n_seeds)),
        n_splits=found.n_splits,
        n_missing=found.n_missing,
        confirmed=tuple(confirmed),
        best=best,
        tied=(best, *tied) if best else (),
        excluded=tuple(c.name for c in confirmed if c.name in excluded),
        worse_in=_worse_in(found, best, default, metrics_of(record)[1:]),
        rise=_rise(found, excluded),
        incumbents=_incumbents(confirmed, objective),
        tested=any(c.test is not None for c in confirmed),
        objective=objective,
        ratios=found.scale == "ratio",
        work_label=None if work is None else work.label,
        by_choice=any(arm.role == TOP for arm in found.made.arms),
        second=second,
        data=data_of(record),
        demanded=second.short_label if second else "accuracy" if is_own(record) else "",
    )


def _worse_in(
    found: Trained, best: str | None, default: str | None, metrics: Sequence[Metric]
) -> dict[Metric, Difference]:
    """Compare the best with the default by other metrics; all of them are one table."""
    if best is None or default is None:
        return {}
    compared: dict[Metric, Difference] = {}
    for metric in metrics:
        before, after = (values_of(found.trials[arm], metric) for arm in (default, best))
        pairs = paired(before, after, found.sides)
        if len(pairs):
            scale = scale_of(metric, pairs.before + pairs.after)
            compared[metric] = compare(pairs, metric, "points" if metric.is_share else scale)
    adjusted = holm({m.name: d.p_value for m, d in compared.items() if d.p_value is not None})
    return {
        metric: difference
        for metric, difference in compared.items()
        if adjusted.get(metric.name, 1.0) < SIGNIFICANT
        and (difference.lower if metric.maximise else difference.higher)
    }


def _rise(found: Trained, excluded: Container[str]) -> RiseInfo:
    """Ask why values rose, of the configurations that finished with all seeds."""
    again = [
        Again(
            name=arm.name,
            chosen=arm.role == TOP,
            searched=None if arm.role == CHOSEN else arm.expected,
            own=[value for pair, value in values.items() if pair in found.own],
            fresh=[value for pair, value in values.items() if pair not in found.own],
        )
        for arm in found.made.arms
        if (values := found.values[arm.name]).keys() >= set(range(found.n_seeds))
        and arm.name not in excluded
    ]
    return get_rise(again, found.objective, ratios=found.scale == "ratio")


def _second(found: Trained, arm: str, second: Metric | None) -> Estimate | None:
    """Return the second metric of an arm, None where there is none."""
    if second is None:
        return None
    return estimate_on("share", values_of(found.trials[arm], second), second, found.sides)


def _keeps(reached: Estimate | None, second: Metric | None, needed: float | None) -> bool:
    """Whether trainings keep a constraint on the second metric in the mean that is told."""
    if needed is None or second is None:
        return needed is None
    return reached is not None and not second.is_better(needed, reached.mean)


def _confirmed(
    record: StudyRecord,
    arm: Arm,
    found: Trained,
    kind: KindInfo,
    *,
    accuracy: Estimate | None,
    from_default: Difference | None,
    from_best: Difference | None,
    work: Work | None,
    tied: bool,
) -> Confirmed:
    values, trials = found.values[arm.name], found.trials[arm.name]
    own = {pair: value for pair, value in values.items() if pair in found.own}
    fresh = {pair: value for pair, value in values.items() if pair not in found.own}
    validation, change = found.estimate(values), None
    if validation is not None and arm.expected is not None:
        change = relative_change(validation.mean, arm.expected)
    default = next((a.name for a in found.made.arms if a.role == DEFAULT), arm.name)
    n_wins, beats = 0, None
    if from_default is not None:
        n_wins = from_default.n_above if kind.objective.maximise else from_default.n_below
        both = [found.sides[pair] for pair in values.keys() & found.values[default].keys()]
        beats = _wilson(n_wins / len(both), both)
    rows, others = (get_unseen(record, found.trials[name]) for name in (arm.name, default))
    against = None
    if rows is not None and others is not None and default != arm.name:
        against = interval_of(rows, found.sides, before=others)
    seconds = [s for s in map(training_seconds, trials.values()) if s > 0]
    counts = map(attrs.PARAMETER_COUNT.of, trials.values())
    tests = attrs.TEST_RESULTS.of(record) or {}
    tested = {pair: tests[str(t.number)] for pair, t in trials.items() if str(t.number) in tests}
    return Confirmed(
        name=arm.name,
        role=arm.role,
        trial=arm.trial,
        search_value=arm.expected,
        n_failed=found.n_failed[arm.name],
        validation=validation,
        own=found.estimate(own),
        fresh=found.estimate(fresh),
        accuracy=accuracy,
        shrinkage=None if change is None else kind.objective.sign * change,
        difference=from_default,
        from_best=from_best,
        n_wins=n_wins,
        beats=beats,
        tied=tied,
        seconds=fmean(seconds) if seconds else None,
        work=fmean(work.of[t.number] for t in trials.values()) if work and trials else None,
        parameter_count=next((count for count in counts if count is not None), None),
        test=_of_tests(found, tested, kind.objective),
        test_accuracy=None if kind.second is None else _of_tests(found, tested, kind.second),
        test_rows=None if rows is None else interval_of(rows, found.sides),
        test_against=against,
    )


def _of_tests(
    found: Trained, tested: Mapping[int, Mapping[str, float]], metric: Metric
) -> Estimate | None:
    """Return the mean of a metric of test data, which are the same in all splits."""
    values = {
        pair: reached[metric.test_name]
        for pair, reached in sorted(tested.items())
        if metric.test_name in reached
    }
    scale = found.scale if metric == found.objective else "share"
    return estimate_on(scale, values, metric, found.sides, overlapping=False)


def _wilson(share: float, sides: Sequence[str]) -> Interval:
    """Return the interval of a probability after a share of trainings with these splits.

    Splits of the same data count as the number of independent ones whose wins scatter as much:
    differences that correlate by the part that two splits share have signs that correlate by
    2 / pi times its arc sine, where either wins as often.

    Source: Sheppard, "On the application of the theory of error to cases of normal distribution
        and normal correlation", Phil. Trans. A 192, 1899.
    """
    from statsmodels.stats.proportion import proportion_confint

    n_splits, overlap = count_splits(sides)
    n = n_splits / (1 + (n_splits - 1) * 2 / math.pi * math.asin(overlap))
    return Interval(*map(float, proportion_confint(share * n, n, method="wilson")))


def _incumbents(confirmed: Sequence[Confirmed], objective: Metric) -> tuple[Incumbent, ...]:
    """Return the confirmed and tested trials that were better than all of these before them."""
    found: list[tuple[int, float, float]] = []
    for c in sorted(confirmed, key=lambda c: -1 if c.trial is None else c.trial):
        if c.trial is None or c.search_value is None or c.test is None:
            continue
        if not found or objective.is_better(c.search_value, found[-1][1]):
            found.append((c.trial, c.search_value, c.test.mean))
    sign = objective.sign
    costs = overtuning([sign * test for *_, test in found])
    return tuple(
        Incumbent(trial=trial, search_value=value, test=test, overtuning=cost)
        for (trial, value, test), cost in zip(found, costs, strict=True)
    )
