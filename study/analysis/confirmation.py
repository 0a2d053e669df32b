"""What a confirmation says: which configurations stay good with fresh seeds and splits.

Must not know plotly.
"""

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median

import numpy as np
from optuna.trial import TrialState
from scipy import stats

from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    data_of,
    is_own,
    kind_of,
    min_accuracy_of,
    relative_change,
    word_for,
)
from study.analysis.expected_best import overtuning
from study.analysis.experiment import trials_of_arm
from study.analysis.history import training_seconds
from study.formats import format_change, format_list, format_percent
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over trainings.

    Args:
        mean: Of the values.
        low: Lower end of its 95 % t interval, None with too few values.
        high: Upper end of it.
        n: Values.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """One configuration that was trained again.

    Args:
        name: For people.
        role: ``TOP``, ``CHOSEN``, ``DEFAULT`` or ``MIDDLE``.
        trial: Number of the trial of the search that it repeats, None if that has none.
        search_value: Objective of this trial.
        n_failed: Seeds with which its training failed.
        validation: The objective over seeds and splits, None without a finished training.
        accuracy: The kind's second metric likewise, None where there is none.
        shrinkage: By which share the mean is worse than the search's value: 0.1 is 10 % worse
            than the search had promised. None without such a value.
        difference: By which share the values exceed the default's over pairs of equal seed and
            split, see ``relative_difference`` and ``mean_difference``: of an error, -0.2 is 20 %
            better. None for the default itself.
        difference_low: Lower end of its 95 % interval.
        difference_high: Upper end of it.
        n_pairs: Pairs in which both finished.
        n_wins: Pairs in which it was better.
        beats_low: Lower end of the 95 % Wilson interval of the probability that it beats the
            default with a fresh seed and split, None without a pair.
        beats_high: Upper end of it.
        tied: Whether it cannot be told from the best.
        seconds: Mean training time.
        parameter_count: Weights of the model, None if not stored.
        test: The objective on the test split over the same trainings, None before the test.
        test_accuracy: The second metric likewise.
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
        trial: Its number.
        search_value: Objective in the search.
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
        study: Name of the study that the confirmation is.
        follows: Name of the search.
        other_data: Path of the data, where it trained on others than the search.
        n_seeds: Seeds and splits that are wanted.
        n_missing: Trainings that have not finished.
        confirmed: Best mean first; those without a finished training last.
        best: Name of the one with the best mean, None without a finished training.
        tied: Names of those that cannot be told from it, itself among them.
        excluded: Names of those that are neither, whatever their mean: they failed with some
            seed, or keep the constraint not even in the mean.
        cheapest: Name of the tied one with the shortest training, by the clock.
        shrinkage: Median shrinkage of those that were chosen for their score.
        middle_shrinkage: That of the one from the middle, which was not. It is worse, so other
            splits may do less to it than to good ones.
        incumbents: Best trials so far, as far as they were confirmed and tested.
        tested: Whether test errors are there.
        caution: Why to doubt it, or None.
        objective: What is compared.
        ratios: Whether it is compared by ratios rather than by differences.
        second: What its constraint may be on, and what comes with it; None if there is nothing.
        data: What the data are called.
        demanded: What the constraint is on, in words; empty where nothing can be.
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
    cheapest: str | None
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

    def get(self, name: str) -> Confirmed:
        """Return a configuration by its name."""
        return next(c for c in self.confirmed if c.name == name)


def get_confirmation(record: StudyRecord) -> ConfirmationInfo | None:
    """Compare the configurations of a confirmation.

    The tied ones hold the truly best configuration in at least 95 of 100 confirmations: another
    one is left out only if a one-sided paired t-test finds its values worse than those of the
    best, at 0.05 divided by the number of such tests. Logarithms of errors are compared, so a
    difference counts as a share; what is to be high, or not always above 0, is compared as it is.
    A configuration that failed with some seed, or keeps the constraint not even in the mean, is
    neither best nor tied.

    Args:
        record: The study that the confirmation is.

    Returns:
        None if the study is no confirmation.

    Source: selecting a subset that holds the best: Gupta, "On Some Multiple Decision (Selection
        and Ranking) Rules", Technometrics 7, 1965; tests by ``scipy.stats.ttest_rel``, interval
        of a share: Wilson, JASA 22, 1927, by ``scipy.stats.binomtest``.
    """
    experiment = record.user_attrs.get(attrs.EXPERIMENT)
    if not isinstance(experiment, Mapping):
        return None
    if experiment["name"] not in (attrs.CONFIRMATION, attrs.TRANSFER):
        return None
    kind = kind_of(record)
    elsewhere = experiment["name"] == attrs.TRANSFER
    arms = experiment["arms"]
    n_seeds = len(next(iter(experiment["sides"].values())))
    trials = {arm["name"]: trials_of_arm(record, arm["name"]) for arm in arms}
    errors = {
        name: {pair: t.value for pair, t in found.items() if t.value is not None}
        for name, found in trials.items()
    }
    default = next((errors[arm["name"]] for arm in arms if arm["role"] == DEFAULT), {})
    failed = {arm["name"]: failed_pairs(record, arm["name"], errors[arm["name"]]) for arm in arms}
    needed = min_accuracy_of(record)
    excluded = {
        name
        for name, values in errors.items()
        if failed[name] or (values and not _keeps(trials[name].values(), kind.second, needed))
    }
    ratios = compared_by_ratios(kind.objective, errors.values())
    tied = _tied(
        {name: v for name, v in errors.items() if v and name not in excluded},
        kind.objective,
        ratios=ratios,
    )
    tests = record.user_attrs.get(attrs.TEST_RESULTS) or {}
    confirmed = [
        _confirmed(
            arm,
            trials[arm["name"]],
            errors[arm["name"]],
            default,
            tests,
            kind,
            ratios=ratios,
            n_failed=len(failed[arm["name"]]),
            tied=arm["name"] in tied,
        )
        for arm in arms
    ]
    sign = kind.objective.sign
    confirmed.sort(key=lambda c: sign * c.validation.mean if c.validation else math.inf)
    shrunk = [c.shrinkage for c in confirmed if c.role == TOP and c.shrinkage is not None]
    incumbents = _incumbents(confirmed, kind.objective)
    return ConfirmationInfo(
        study=record.name,
        follows=str(experiment["follows"]),
        other_data=str(record.user_attrs[attrs.SETTINGS]["data"]) if elsewhere else None,
        n_seeds=n_seeds,
        n_missing=sum(n_seeds - len(errors[a["name"]]) - len(failed[a["name"]]) for a in arms),
        confirmed=tuple(confirmed),
        best=tied[0] if tied else None,
        tied=tuple(tied),
        excluded=tuple(c.name for c in confirmed if c.name in excluded),
        cheapest=_cheapest(confirmed),
        shrinkage=median(shrunk) if shrunk else None,
        middle_shrinkage=next((c.shrinkage for c in confirmed if c.role == MIDDLE), None),
        incumbents=incumbents,
        tested=any(c.test is not None for c in confirmed),
        caution=_caution(n_seeds),
        objective=kind.objective,
        ratios=ratios,
        second=kind.second,
        data=data_of(record),
        demanded=_demanded(record, kind.second),
    )


def same_order(first: ConfirmationInfo, second: ConfirmationInfo) -> tuple[int, int]:
    """Count the pairs of configurations whose means are in the same order in both.

    Args:
        first: A confirmation.
        second: Another one of the same search, such as on other data.

    Returns:
        These pairs, and all pairs of configurations that both have.
    """
    theirs = [c.name for c in second.confirmed if c.validation is not None]
    shared = [c.name for c in first.confirmed if c.validation is not None and c.name in theirs]
    pairs = list(combinations(shared, 2))  # best mean first in both
    return sum(theirs.index(a) < theirs.index(b) for a, b in pairs), len(pairs)


def describe_confirmation(
    info: ConfirmationInfo, at_home: ConfirmationInfo | None = None
) -> Iterator[str]:
    """Say in sentences what a confirmation found.

    Args:
        info: The confirmation.
        at_home: For one on other data: that on the search's own, if there is one.
    """
    word = word_for(info.objective)
    if info.other_data is not None:
        yield f"All trained on other {info.data} than the search's: {info.other_data}."
    if info.n_missing:
        yield f"{info.n_missing} trainings are missing; comparisons leave them out."
    if info.best is None:
        yield (
            f"No configuration of study {info.follows} can be judged: none has finished without "
            f"a failed training{_and_with(info)}."
        )
        return
    best = info.get(info.best)
    assert best.validation is not None  # it finished
    yield (
        f"Over {info.n_seeds} fresh seeds and splits, {best.name} has the "
        f"{info.objective.best} mean {info.objective.label}: {_estimate(best.validation)}."
    )
    others = [name for name in info.tied if name != info.best]
    if info.n_seeds < MIN_SEEDS:
        yield f"{info.n_seeds} seeds are too few to tell it from the others."
    elif others:
        yield (
            f"It cannot be told from {format_list(others)}. By the clock, {info.cheapest} trained "
            "in the shortest time."
        )
    elif any(not c.tied and c.validation and c.name not in info.excluded for c in info.confirmed):
        yield "All others are worse beyond what chance explains."
    if info.excluded:
        yield (
            f"Not counted, whatever the {word}: {format_list(info.excluded)}; a training failed"
            f"{_or_worse(info)}."
        )
    if best.role == DEFAULT:
        yield _default_is_best(info)
    elif best.difference is not None:
        yield _against_default(best, info.objective)
    if info.other_data is not None and at_home is not None:
        same, pairs = same_order(at_home, info)
        yield (
            f"{same} of {pairs} pairs of configurations have mean {word}s in the order that they "
            f"have on the search's own {info.data}, where {at_home.best} has the "
            f"{info.objective.best}."
        )
    if info.shrinkage is not None:
        yield _shrinkage(info)
    if best.test is not None:
        yield (
            f"On the test {info.data}, which nothing was chosen by, its "
            f"{info.objective.short_label} is {_estimate(best.test)}; the interval is that of "
            f"seeds and splits, not of other test {info.data}."
        )
    if info.caution is not None:
        yield info.caution


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


def compared_by_ratios(objective: Metric, found: Iterable[Mapping[int, float]]) -> bool:
    """Say whether ratios of values make sense, or their differences do.

    Args:
        objective: Of errors a ratio says more; what is to be high often has an upper end.
        found: Values of each arm by the number of their pair.
    """
    return not objective.maximise and all(value > 0 for own in found for value in own.values())


def relative_difference(
    pairs: Sequence[tuple[float, float]],
) -> tuple[float, float | None, float | None]:
    """Return by which share the second of each pair exceeds the first, and its 95 % interval.

    Args:
        pairs: Positive numbers, at least one pair.

    Returns:
        Ratio of the geometric means minus 1, and both ends of its interval, None with too few
        pairs.
    """
    before, after = np.log(np.asarray(pairs)).T
    differences = list(map(float, after - before))
    mean, interval = math.expm1(fmean(differences)), mean_interval(differences)
    if interval is None:
        return mean, None, None
    return mean, math.expm1(interval[0]), math.expm1(interval[1])


def mean_difference(
    pairs: Sequence[tuple[float, float]],
) -> tuple[float | None, float | None, float | None]:
    """Return the same by plain differences, for values that may be of any size and sign.

    Args:
        pairs: At least one pair.

    Returns:
        Mean difference as a share of the size of the first ones' mean, and both ends of its
        interval, None with too few pairs; all three are None where that mean is 0.
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


def failed_pairs(record: StudyRecord, arm: str, finished: Container[int]) -> set[int]:
    """Return the pairs in which the training of an arm diverged.

    Args:
        record: The experiment.
        arm: Name of the arm.
        finished: Pairs in which it finished all the same, which do not count.
    """
    return {
        int(trial.user_attrs[attrs.PAIR])
        for trial in record.trials
        if trial.state == TrialState.FAIL
        and trial.user_attrs.get(attrs.ARM) == arm
        and str(trial.user_attrs.get(attrs.FAILURE, "")).startswith(attrs.DIVERGED)
        and trial.user_attrs[attrs.PAIR] not in finished
    }


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


def _demanded(record: StudyRecord, second: Metric | None) -> str:
    if second is None:
        return "accuracy" if is_own(record) else ""
    return second.short_label


def _and_with(info: ConfirmationInfo) -> str:
    return f" and with the {info.demanded} that was asked for" if info.demanded else ""


def _or_worse(info: ConfirmationInfo) -> str:
    worse = "lower" if info.second is None else info.second.worse
    return f", or the {info.demanded} is {worse} than was asked for" if info.demanded else ""


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
    pairs = [(values[pair], best[pair]) for pair in values if pair in best]
    if len(pairs) < MIN_SEEDS:
        return 1.0
    mine, theirs = (np.log(np.asarray(pairs)) if ratios else sign * np.asarray(pairs)).T
    if np.ptp(mine - theirs) <= ROUNDING:  # no scatter to compare with
        return 0.0 if fmean(mine - theirs) > ROUNDING else 1.0
    return float(stats.ttest_rel(mine, theirs, alternative="greater").pvalue)


def _confirmed(
    arm: Mapping[str, object],
    trials: Mapping[int, TrialRecord],
    errors: Mapping[int, float],
    default: Mapping[int, float],
    tests: Mapping[str, Mapping[str, float]],
    kind: KindInfo,
    *,
    ratios: bool,
    n_failed: int,
    tied: bool,
) -> Confirmed:
    validation = estimate(list(errors.values()), kind.objective)
    shrinkage = None
    search_value = arm["expected"]
    assert search_value is None or isinstance(search_value, float)
    if validation is not None and search_value is not None:
        change = relative_change(validation.mean, search_value)
        shrinkage = None if change is None else kind.objective.sign * change
    pairs = [(default[pair], errors[pair]) for pair in errors if pair in default]
    difference = difference_low = difference_high = beats_low = beats_high = None
    n_wins = sum(kind.objective.is_better(mine, base) for base, mine in pairs)
    if pairs and arm["role"] != DEFAULT:
        compare = relative_difference if ratios else mean_difference
        difference, difference_low, difference_high = compare(pairs)
        share = stats.binomtest(n_wins, len(pairs)).proportion_ci(0.95, method="wilson")
        beats_low, beats_high = float(share.low), float(share.high)
    seconds = [s for s in map(training_seconds, trials.values()) if s > 0]
    counts = [t.user_attrs.get(attrs.PARAMETER_COUNT) for t in trials.values()]
    tested = [tests[str(t.number)] for t in trials.values() if str(t.number) in tests]
    second = "" if kind.second is None else kind.second.test_name
    trial = arm["trial"]
    assert trial is None or isinstance(trial, int)
    return Confirmed(
        name=str(arm["name"]),
        role=str(arm["role"]),
        trial=trial,
        search_value=search_value,
        n_failed=n_failed,
        validation=validation,
        accuracy=estimate(_values(kind.second, trials.values())),
        shrinkage=shrinkage,
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
        test=estimate([found[kind.objective.test_name] for found in tested], kind.objective),
        test_accuracy=estimate([found[second] for found in tested if second in found]),
    )


def _cheapest(confirmed: Sequence[Confirmed]) -> str | None:
    """Return the tied one with the shortest training; the best of those without a time."""
    tied = [c for c in confirmed if c.tied]
    cheapest = min(tied, key=lambda c: math.inf if c.seconds is None else c.seconds, default=None)
    return None if cheapest is None else cheapest.name


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


def _default_is_best(info: ConfirmationInfo) -> str:
    text = "It is the default itself: "
    if any(c.role == TOP for c in info.confirmed):
        return text + "the search found nothing better."
    return text + "none of the other configurations here is better."


def _against_default(best: Confirmed, objective: Metric) -> str:
    assert best.difference is not None
    text = f"Its {word_for(objective)} is {_share(best.difference)} that of the default"
    if best.difference_low is not None and best.difference_high is not None:
        low, high = format_change(best.difference_low), format_change(best.difference_high)
        text += f" (95 % interval {low} to {high})"
    text += f"; it was {objective.better} with {best.n_wins} of {best.n_pairs} seeds"
    if best.beats_low is not None and best.beats_high is not None:
        text += (
            f", so it beats the default with a probability of {format_percent(best.beats_low)} to "
            f"{format_percent(best.beats_high)}"
        )
    return text + "."


def _shrinkage(info: ConfirmationInfo) -> str:
    assert info.shrinkage is not None
    sign = info.objective.sign
    text = (
        f"The configurations that the search liked best have {word_for(info.objective)}s "
        f"{_share(sign * info.shrinkage)} what it had measured (median)"
    )
    if info.middle_shrinkage is not None:
        text += (
            f"; for the one from the middle it is {format_change(sign * info.middle_shrinkage)}"
        )
    return f"{text}. Other validation {info.data} may do that as well as luck."


def _caution(n_seeds: int) -> str | None:
    if n_seeds >= MIN_SEEDS:
        return None
    return f"With fewer than {MIN_SEEDS} seeds nothing is known of the scatter; take more --seeds."


def _estimate(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{found.mean:.5f}"
    return f"{found.mean:.5f} (95 % interval {found.low:.5f} to {found.high:.5f})"


def _share(difference: float) -> str:
    """Write how one value compares with another: 12.3 % below, 4 % above."""
    side = "below" if difference < 0 else "above"
    return f"{format_change(abs(difference)).removeprefix('+')} {side}"
