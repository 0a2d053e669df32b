"""What a confirmation says: which configurations stay good with fresh seeds and splits."""

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median
from typing import Any

import numpy as np
from optuna.trial import TrialState
from scipy import stats

from storage import attrs
from storage.records import StudyRecord, TrialRecord, experiment_of
from study.analysis import data_of, is_own, kind_of, min_accuracy_of, relative_change, word_for
from study.analysis.expected_best import overtuning
from study.analysis.experiment import MIN_PAIRS, trials_of_arm
from study.analysis.spent import training_seconds
from study.formats import counted, format_change, format_list, format_measured
from study.kind_info import KindInfo
from study.metrics import Metric

MIN_SEEDS = 3
"""Trainings below which nothing is said of their scatter."""

SIGNIFICANT = 0.05
"""Probability at which the best configuration may be missing among the tied ones."""

ROUNDING = 1e-12
"""Scatter that numbers of the size of 1 have by rounding alone."""

TOP, CHOSEN, DEFAULT, MIDDLE = "top", "chosen", "default", "middle"
"""Roles of what is confirmed: one of the best, one that somebody chose, the default, one from the
middle of the search.
"""

Pairs = Sequence[tuple[float, float]]
"""Values of two arms, trained with equal seed and split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The mean of ``n`` values with its 95 % t interval; no interval with too few of them."""

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """One configuration that was trained again.

    Args:
        role: ``TOP``, ``CHOSEN``, ``DEFAULT`` or ``MIDDLE``.
        trial, search_value: The trial of the search that it repeats, if there is one.
        n_failed: Seeds with which its training failed.
        validation: The objective over seeds and splits, None without a finished training.
        accuracy: The kind's second metric likewise, None where there is none.
        shrinkage: By which share the mean is worse than the search's value: 0.1 is 10 % worse
            than the search had promised. None without such a value.
        difference: By which share the values exceed the default's over pairs of equal seed and
            split, see ``relative_difference`` and ``mean_difference``: of an error, -0.2 is 20 %
            better. None for the default itself.
        difference_low, difference_high: Its 95 % interval.
        n_pairs, n_wins: Pairs in which both finished, and in which it was better.
        beats_low, beats_high: 95 % Wilson interval of the probability that it beats the default
            with a fresh seed and split, None without a pair.
        tied: Whether it cannot be told from the best.
        seconds: Mean training time, by the clock.
        parameter_count: Weights of the model, None if not stored.
        test, test_accuracy: The two metrics on the test split, None before the test.
    """

    name: str
    role: str
    trial: int | None
    search_value: float | None
    n_failed: int
    validation: Estimate | None
    accuracy: Estimate | None
    shrinkage: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    n_pairs: int
    n_wins: int
    beats_low: float | None
    beats_high: float | None
    tied: bool
    seconds: float | None
    parameter_count: int | None
    test: Estimate | None
    test_accuracy: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """A best trial so far of the search, with what its configuration reaches on the test split.

    Args:
        test: Mean of its configuration on the test split.
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
        n_seeds: Seeds and splits that are wanted.
        n_missing: Trainings that have not finished.
        confirmed: Best mean first; those without a finished training last.
        best: Name of the one with the best mean, None without a finished training.
        tied: Names of those that cannot be told from it, itself among them.
        excluded: Names of those that are neither, whatever their mean: they failed with some
            seed, or keep the constraint not even in the mean.
        shrinkage: Median shrinkage of those that were chosen for their score.
        middle_shrinkage: That of the one from the middle, which was not. It is worse, so other
            splits may do less to it than to good ones.
        incumbents: Best trials so far, as far as they were confirmed and tested.
        ratios: Whether values are compared by ratios rather than by differences.
        second: What its constraint may be on; None if there is nothing.
        demanded: The same in words; empty where nothing can be.
    """

    study: str
    follows: str
    other_data: str | None
    n_seeds: int
    n_missing: int
    confirmed: tuple[Confirmed, ...]
    best: str | None
    tied: tuple[str, ...]
    excluded: tuple[str, ...]
    shrinkage: float | None
    middle_shrinkage: float | None
    incumbents: tuple[Incumbent, ...]
    tested: bool
    caution: str | None
    objective: Metric
    ratios: bool
    second: Metric | None
    data: str
    demanded: str

    @property
    def default(self) -> Confirmed | None:
        """The kind's default, if it was trained beside the others."""
        return next((c for c in self.confirmed if c.role == DEFAULT), None)

    def get(self, name: str) -> Confirmed:
        """Return a configuration by its name."""
        return next(c for c in self.confirmed if c.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What follows a search: its arms, as they are stored, and what their trainings came to.

    Args:
        n_seeds: Pairs of seed and split that are wanted.
        trials: By arm: its complete trials by the number of their pair.
        values: Their objective likewise.
        n_failed: By arm: pairs in which its training diverged and did not finish after all.
        ratios: Whether ratios of values make sense, or their differences do: of errors a ratio
            says more, but what is to be high often has an upper end.
    """

    name: str
    follows: str
    arms: Sequence[Mapping[str, Any]]
    n_seeds: int
    trials: Mapping[str, Mapping[int, TrialRecord]]
    values: Mapping[str, Mapping[int, float]]
    n_failed: Mapping[str, int]
    ratios: bool

    @property
    def n_missing(self) -> int:
        """Trainings that have neither finished nor diverged."""
        return sum(
            self.n_seeds - len(values) - self.n_failed[arm] for arm, values in self.values.items()
        )

    def difference(self, pairs: Pairs) -> tuple[float | None, float | None, float | None]:
        """Return by which share the second of each pair exceeds the first, with its interval."""
        return relative_difference(pairs) if self.ratios else mean_difference(pairs)


def get_trained(record: StudyRecord, *names: str) -> Trained | None:
    """Read what a study trained that follows a search, None if it is none of these experiments."""
    experiment = experiment_of(record.user_attrs)
    if experiment is None or experiment["name"] not in names:
        return None
    trials = {arm["name"]: trials_of_arm(record, arm["name"]) for arm in experiment["arms"]}
    values = {
        name: {pair: t.value for pair, t in found.items() if t.value is not None}
        for name, found in trials.items()
    }
    positive = all(value > 0 for found in values.values() for value in found.values())
    return Trained(
        name=experiment["name"],
        follows=str(experiment["follows"]),
        arms=experiment["arms"],
        n_seeds=len(next(iter(experiment["sides"].values()))),
        trials=trials,
        values=values,
        n_failed={name: _count_failed(record, name, found) for name, found in values.items()},
        ratios=not kind_of(record).objective.maximise and positive,
    )


def _count_failed(record: StudyRecord, arm: str, finished: Container[int]) -> int:
    """Count the pairs in which the training of an arm diverged, and did not finish after all."""
    return len(
        {
            trial.user_attrs[attrs.PAIR]
            for trial in record.trials
            if trial.state == TrialState.FAIL
            and trial.user_attrs.get(attrs.ARM) == arm
            and str(trial.user_attrs.get(attrs.FAILURE, "")).startswith(attrs.DIVERGED)
            and trial.user_attrs[attrs.PAIR] not in finished
        }
    )


def get_confirmation(record: StudyRecord) -> ConfirmationInfo | None:
    """Compare the configurations of a confirmation.

    The tied ones hold the truly best configuration in at least 95 of 100 confirmations: another
    one is left out only if a one-sided paired t-test finds its values worse than those of the
    best, at 0.05 divided by the number of such tests. Logarithms of errors are compared, so a
    difference counts as a share; what is to be high, or not always above 0, is compared as it is.
    A configuration that failed with some seed, or keeps the constraint not even in the mean, is
    neither best nor tied.

    Returns:
        None if the study is no confirmation.

    Source: selecting a subset that holds the best: Gupta, "On Some Multiple Decision (Selection
        and Ranking) Rules", Technometrics 7, 1965; tests by ``scipy.stats.ttest_rel``, interval
        of a share: Wilson, JASA 22, 1927, by ``scipy.stats.binomtest``.
    """
    found = get_trained(record, attrs.CONFIRMATION, attrs.TRANSFER)
    if found is None:
        return None
    kind = kind_of(record)
    objective, second = kind.objective, kind.second
    needed = min_accuracy_of(record)
    excluded = {
        name
        for name, values in found.values.items()
        if found.n_failed[name]
        or (values and not _keeps(found.trials[name].values(), second, needed))
    }
    judged = {n: values for n, values in found.values.items() if values and n not in excluded}
    tied = _tied(judged, objective, ratios=found.ratios)
    tests = record.user_attrs.get(attrs.TEST_RESULTS) or {}
    confirmed = [
        _confirmed(arm, found, tests, kind, tied=arm["name"] in tied) for arm in found.arms
    ]
    confirmed.sort(key=lambda c: objective.sign * c.validation.mean if c.validation else math.inf)
    shrunk = [c.shrinkage for c in confirmed if c.role == TOP and c.shrinkage is not None]
    elsewhere = found.name == attrs.TRANSFER
    return ConfirmationInfo(
        study=record.name,
        follows=found.follows,
        other_data=str(record.user_attrs[attrs.SETTINGS]["data"]) if elsewhere else None,
        n_seeds=found.n_seeds,
        n_missing=found.n_missing,
        confirmed=tuple(confirmed),
        best=tied[0] if tied else None,
        tied=tuple(tied),
        excluded=tuple(c.name for c in confirmed if c.name in excluded),
        shrinkage=median(shrunk) if shrunk else None,
        middle_shrinkage=next((c.shrinkage for c in confirmed if c.role == MIDDLE), None),
        incumbents=_incumbents(confirmed, objective),
        tested=any(c.test is not None for c in confirmed),
        caution=f"With fewer than {MIN_SEEDS} seeds nothing is known of the scatter; take more "
        "--seeds."
        if found.n_seeds < MIN_SEEDS
        else None,
        objective=objective,
        ratios=found.ratios,
        second=second,
        data=data_of(record),
        demanded=second.short_label if second else "accuracy" if is_own(record) else "",
    )


def same_order(first: ConfirmationInfo, second: ConfirmationInfo) -> tuple[int, int]:
    """Count the pairs of configurations whose means are in one order in both, and all pairs."""
    theirs = [c.name for c in second.confirmed if c.validation is not None]
    shared = [c.name for c in first.confirmed if c.validation is not None and c.name in theirs]
    pairs = list(combinations(shared, 2))  # best mean first in both
    return sum(theirs.index(a) < theirs.index(b) for a, b in pairs), len(pairs)


def describe_confirmation(
    info: ConfirmationInfo, at_home: ConfirmationInfo | None = None
) -> Iterator[str]:
    """Say what a confirmation found, on other data beside that on the search's own."""
    word = word_for(info.objective)
    if info.other_data is not None:
        yield f"All trained on other {info.data} than the search's: {info.other_data}."
    if info.n_missing:
        yield f"{info.n_missing} trainings are missing; comparisons leave them out."
    if info.best is None:
        keeping = f" and with the {info.demanded} that was asked for" if info.demanded else ""
        yield (
            f"No configuration of study {info.follows} can be judged: none has finished without "
            f"a failed training{keeping}."
        )
        return
    best = info.get(info.best)
    assert best.validation is not None  # it finished
    yield (
        f"Over {info.n_seeds} fresh seeds and splits, {best.name} has the "
        f"{info.objective.best} mean {info.objective.label}: "
        f"{_estimate(best.validation, info.objective)}."
    )
    others = [name for name in info.tied if name != info.best]
    if info.n_seeds < MIN_SEEDS:
        yield f"{info.n_seeds} seeds are too few to tell it from the others."
    elif others:
        yield f"{info.n_seeds} seeds are too few to tell {format_list(others)} from it."
    elif any(not c.tied and c.validation and c.name not in info.excluded for c in info.confirmed):
        yield (
            "All others are worse beyond what chance explains."
            if info.n_seeds >= MIN_PAIRS
            else f"All others are worse in these seeds; {MIN_PAIRS} are needed to rule out chance."
        )
    if info.excluded:
        worse = "lower" if info.second is None else info.second.worse
        breaking = f", or the {info.demanded} is {worse} than was asked for"
        yield (
            f"Not counted, whatever the {word}: {format_list(info.excluded)}; a training failed"
            f"{breaking if info.demanded else ''}."
        )
    if best.role == DEFAULT:
        compared = format_list([c.name for c in info.confirmed if c.role != DEFAULT])
        compared = f" of {compared}" if compared else ""
        yield f"It is the default itself: nothing{compared} is better."
    elif best.difference is not None:
        yield _against_default(best, best.difference, info.objective)
    if info.other_data is not None and at_home is not None:
        same, pairs = same_order(at_home, info)
        on = f"as on the search's own {info.data}, where {at_home.best} is the best"
        yield (
            f"They rank {on}."
            if same == pairs
            else f"{same} of {counted(pairs, 'pair')} of configurations rank {on}."
        )
    if info.shrinkage is not None:
        sign, middle = info.objective.sign, ""
        if info.middle_shrinkage is not None:
            change = format_change(sign * info.middle_shrinkage)
            middle = f"; for the one from the middle it is {change}"
        yield (
            f"The configurations that the search liked best have {word}s "
            f"{_share(sign * info.shrinkage)} what it had measured (median){middle}. Other "
            f"validation {info.data} may do that as well as luck."
        )
    if best.test is not None:
        yield (
            f"On the test {info.data}, which nothing was chosen by, its "
            f"{info.objective.short_label} is {_estimate(best.test, info.objective)}; the "
            f"interval is that of seeds and splits, not of other test {info.data}."
        )
    if info.caution is not None:
        yield info.caution


def paired(before: Mapping[int, float], after: Mapping[int, float]) -> Pairs:
    """Return the values of two arms, by the number of their pair, where both have one."""
    return [(before[pair], value) for pair, value in after.items() if pair in before]


def estimate(values: Sequence[float], metric: Metric | None = None) -> Estimate | None:
    """Return the mean of values with its 95 % t interval, None without a value.

    The interval of values of which none is negative is cut at 0, that of a metric that is to be
    high at the highest value that there can be.
    """
    if not values:
        return None
    low, high = mean_interval(values) or (None, None)
    if low is not None and min(values) >= 0:
        low = max(0.0, low)
    if high is not None and metric is not None and metric.maximise and metric.high is not None:
        high = min(metric.high, high)
    return Estimate(mean=fmean(values), low=low, high=high, n=len(values))


def relative_difference(pairs: Pairs) -> tuple[float, float | None, float | None]:
    """Return by which share the second of each pair exceeds the first, and its 95 % interval.

    The share is the ratio of the geometric means minus 1, of positive numbers; with too few pairs
    there is no interval.
    """
    before, after = np.log(np.asarray(pairs)).T
    differences = list(map(float, after - before))
    mean, interval = math.expm1(fmean(differences)), mean_interval(differences)
    if interval is None:
        return mean, None, None
    return mean, math.expm1(interval[0]), math.expm1(interval[1])


def mean_difference(pairs: Pairs) -> tuple[float | None, float | None, float | None]:
    """Return the same by plain differences, for values that may be of any size and sign.

    The share is one of the size of the first ones' mean; there is none where that is 0.
    """
    before, after = np.asarray(pairs).T
    size = abs(float(before.mean()))
    if size == 0:
        return None, None, None
    differences = list(map(float, after - before))
    mean, interval = fmean(differences) / size, mean_interval(differences)
    if interval is None:
        return mean, None, None
    return mean, interval[0] / size, interval[1] / size


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean, None with too few values."""
    if len(values) < MIN_SEEDS:
        return None
    if np.ptp(values) <= ROUNDING:  # scipy warns of a loss of precision
        return fmean(values), fmean(values)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return float(interval.low), float(interval.high)


def _keeps(trials: Iterable[TrialRecord], second: Metric | None, needed: float | None) -> bool:
    """Whether trainings keep a constraint on the second metric in the mean."""
    if needed is None:
        return True
    values = _values(second, trials)
    return bool(values) and second is not None and not second.is_better(needed, fmean(values))


def _values(metric: Metric | None, trials: Iterable[TrialRecord]) -> list[float]:
    """Return the values of a metric that trials have."""
    if metric is None:
        return []
    return [value for value in map(metric.of, trials) if value is not None]


def _tied(
    values: Mapping[str, Mapping[int, float]], objective: Metric, *, ratios: bool
) -> list[str]:
    """Return the arm with the best mean, and behind it those that may be as good."""
    if not values:
        return []
    sign = objective.sign
    best, *others = sorted(values, key=lambda name: sign * fmean(values[name].values()))
    bound = SIGNIFICANT / max(1, len(others))
    p_values = {name: _p_worse(values[name], values[best], sign, ratios) for name in others}
    return [best, *(name for name in others if p_values[name] >= bound)]


def _p_worse(
    values: Mapping[int, float], best: Mapping[int, float], sign: float, ratios: bool
) -> float:
    """Return the p-value against an arm being at least as good as another, 1 with few pairs."""
    pairs = paired(best, values)
    if len(pairs) < MIN_SEEDS:
        return 1.0
    theirs, mine = (np.log(np.asarray(pairs)) if ratios else sign * np.asarray(pairs)).T
    if np.ptp(mine - theirs) <= ROUNDING:  # no scatter to compare with
        return 0.0 if fmean(mine - theirs) > ROUNDING else 1.0
    return float(stats.ttest_rel(mine, theirs, alternative="greater").pvalue)


def _confirmed(
    arm: Mapping[str, Any],
    found: Trained,
    tests: Mapping[str, Mapping[str, float]],
    kind: KindInfo,
    *,
    tied: bool,
) -> Confirmed:
    values, trials = found.values[arm["name"]], found.trials[arm["name"]].values()
    default = next((found.values[a["name"]] for a in found.arms if a["role"] == DEFAULT), {})
    validation = estimate(list(values.values()), kind.objective)
    change = None
    if validation is not None and arm["expected"] is not None:
        change = relative_change(validation.mean, arm["expected"])
    pairs = paired(default, values)
    difference = difference_low = difference_high = beats_low = beats_high = None
    n_wins = sum(kind.objective.is_better(mine, base) for base, mine in pairs)
    if pairs and arm["role"] != DEFAULT:
        difference, difference_low, difference_high = found.difference(pairs)
        share = stats.binomtest(n_wins, len(pairs)).proportion_ci(0.95, method="wilson")
        beats_low, beats_high = float(share.low), float(share.high)
    seconds = [s for s in map(training_seconds, trials) if s > 0]
    counts = [t.user_attrs.get(attrs.PARAMETER_COUNT) for t in trials]
    tested = [tests[str(t.number)] for t in trials if str(t.number) in tests]
    second = "" if kind.second is None else kind.second.test_name
    return Confirmed(
        name=arm["name"],
        role=arm["role"],
        trial=arm["trial"],
        search_value=arm["expected"],
        n_failed=found.n_failed[arm["name"]],
        validation=validation,
        accuracy=estimate(_values(kind.second, trials)),
        shrinkage=None if change is None else kind.objective.sign * change,
        difference=difference,
        difference_low=difference_low,
        difference_high=difference_high,
        n_pairs=len(pairs),
        n_wins=n_wins,
        beats_low=beats_low,
        beats_high=beats_high,
        tied=tied,
        seconds=fmean(seconds) if seconds else None,
        parameter_count=next((int(count) for count in counts if count is not None), None),
        test=estimate([reached[kind.objective.test_name] for reached in tested], kind.objective),
        test_accuracy=estimate([reached[second] for reached in tested if second in reached]),
    )


def _incumbents(confirmed: Sequence[Confirmed], objective: Metric) -> tuple[Incumbent, ...]:
    """Return the confirmed and tested trials that were better than all of these before them."""
    found: list[tuple[int, float, float]] = []
    for c in sorted(confirmed, key=lambda c: -1 if c.trial is None else c.trial):
        if c.trial is None or c.search_value is None or c.test is None:
            continue
        if not found or objective.is_better(c.search_value, found[-1][1]):
            found.append((c.trial, c.search_value, c.test.mean))
    sign = objective.sign
    costs = overtuning([(sign * value, sign * test) for _, value, test in found])
    return tuple(
        Incumbent(trial=trial, search_value=value, test=test, overtuning=cost)
        for (trial, value, test), cost in zip(found, costs, strict=True)
    )


def _against_default(best: Confirmed, difference: float, objective: Metric) -> str:
    text = f"Its {word_for(objective)} is {_share(difference)} that of the default"
    if best.difference_low is not None and best.difference_high is not None:
        low, high = format_change(best.difference_low), format_change(best.difference_high)
        text += f" (95 % interval {low} to {high})"
    wins = (
        f"all {best.n_pairs}"
        if best.n_wins == best.n_pairs
        else f"{best.n_wins} of {best.n_pairs}"
    )
    return f"{text}, {objective.better} with {wins} seeds."


def _estimate(found: Estimate, metric: Metric) -> str:
    mean = format_measured(found.mean, metric)
    if found.low is None or found.high is None:
        return mean
    low, high = format_measured(found.low, metric), format_measured(found.high, metric)
    return f"{mean} (95 % interval {low} to {high})"


def _share(difference: float) -> str:
    """Write how one value compares with another: 12.3 % below, 4 % above."""
    side = "below" if difference < 0 else "above"
    return f"{format_change(abs(difference)).removeprefix('+')} {side}"
