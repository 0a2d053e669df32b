"""The expected best of n trials against brute force, and the cost of choosing by validation."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.trial import TrialState

from storage.records import StudyRecord
from study.analysis.expected_best import (
    expected_minimum,
    get_expected_best,
    overtuning,
)
from tests.study_tests.synthetic import VALIDATION_ACCURACY, study, trial

N_SIMULATIONS = 250

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=8)


def record(
    values: Sequence[float], *, sampler: str | None = "random", **attrs: Sequence[Any]
) -> StudyRecord:
    """Return a study of complete trials with these values and user attributes."""
    trials = [
        trial(i, value=float(value), attrs={name: column[i] for name, column in attrs.items()})
        for i, value in enumerate(values)
    ]
    return study(*trials, settings=None if sampler is None else {"sampler": sampler})


@given(values=VALUES)
@examples(deadline=None)
def test_it_is_the_mean_over_all_subsets(values: Sequence[float]) -> None:
    """Every set of n trials counts once."""
    for n in range(1, len(values) + 1):
        lowest = [min(chosen) for chosen in itertools.combinations(values, n)]
        found = expected_minimum(np.asarray(values), n)
        assert found == pytest.approx(sum(lowest) / len(lowest), rel=1e-9, abs=1e-9)


@given(values=VALUES)
@examples(deadline=None)
def test_it_falls_from_the_mean_to_the_best(values: Sequence[float]) -> None:
    """One trial gives the mean, all give the minimum, and more are never worse."""
    found = [expected_minimum(np.asarray(values), n) for n in range(1, len(values) + 1)]
    assert found[0] == pytest.approx(np.mean(values), abs=1e-9)
    assert found[-1] == min(values)
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(found))


@pytest.mark.parametrize("n", [1, 7, 50, 200, 299, 300])
def test_many_trials_are_counted_without_loss(n: int) -> None:
    """With 300 trials it is what exact fractions of binomial coefficients give."""
    values = np.random.default_rng(0).normal(size=300)
    exact = sum(
        Fraction(float(value)) * math.comb(300 - i, n - 1)
        for i, value in enumerate(sorted(values), start=1)
    ) / math.comb(300, n)
    assert expected_minimum(values, n) == pytest.approx(float(exact), rel=1e-12)


def test_ten_thousand_trials_stay_finite() -> None:
    """The best of n uniform numbers is 1 in n + 1."""
    values = (np.arange(10_000) + 0.5) / 10_000
    for n in (1, 10, 100, 1000):
        assert expected_minimum(values, n) == pytest.approx(1 / (n + 1), rel=0.06)


@pytest.mark.parametrize("n", [0, 4])
def test_it_needs_as_many_values(n: int) -> None:
    """Nothing is said of no trial or of more than there are."""
    with pytest.raises(ValueError, match=rf"^`n` must be from 1 to 3, but got {n}\.$"):
        expected_minimum(np.ones(3), n)


def test_it_has_no_bias() -> None:
    """Over many studies the estimate is right, and that of draws with replacement is not."""
    found, replaced = [], []
    for seed in range(2000):
        values = np.sort(np.random.default_rng(seed).random(20))
        found.append(expected_minimum(values, 10))
        shares = np.arange(21) / 20
        replaced.append(values @ ((1 - shares[:-1]) ** 10 - (1 - shares[1:]) ** 10))
    error = np.std(found) / math.sqrt(2000)
    assert abs(np.mean(found) - 1 / 11) < 3 * error
    assert np.mean(replaced) - 1 / 11 > 5 * error


def test_points_reach_from_one_trial_to_all() -> None:
    """Values, intervals and seconds of each."""
    values = np.random.default_rng(1).random(40)
    info = get_expected_best(record(values, training_seconds=[2.0, 4.0] * 20))
    assert [p.n for p in info.points][:3] == [1, 2, 3]
    assert info.points[-1].n == info.n_trials == 40
    for point in info.points:
        assert point.value == pytest.approx(expected_minimum(values, point.n))
        assert point.low <= point.value <= point.high
        assert point.seconds == pytest.approx(3.0 * point.n)
    assert info.points[0].value == pytest.approx(values.mean())
    assert info.points[-1].value == info.best == values.min()
    assert (info.refusal, info.caution, info.adaptive) == (None, None, False)
    assert (info.seconds_per_trial, info.n_reliable) == (3.0, 8)


def test_the_interval_of_one_trial_is_that_of_the_mean() -> None:
    """It is as long as two standard errors to either side."""
    values = np.random.default_rng(2).normal(size=400)
    first = get_expected_best(record(values)).points[0]
    error = values.std(ddof=1) / 20
    assert first.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert first.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 3, 6])
def test_intervals_hold_the_truth_as_often_as_they_say(n: int) -> None:
    """About 95 of 100 intervals of 60 uniform trials hold 1 in n + 1."""
    held = 0
    for seed in range(N_SIMULATIONS):
        values = np.random.default_rng(seed).random(60)
        info = get_expected_best(record(values), seed=seed)
        (point,) = [p for p in info.points if p.n == n]
        held += point.low <= 1 / (n + 1) <= point.high
    assert 0.90 <= held / N_SIMULATIONS <= 0.98


@given(values=st.lists(st.floats(0.1, 10), min_size=5, max_size=30))
@examples(max_examples=50, deadline=None)
def test_the_number_of_trials_that_come_close_is_the_smallest(values: Sequence[float]) -> None:
    """Its expected best is within 5 % of the best seen, and one trial fewer is not."""
    info = get_expected_best(record(values), n_points=3)
    assert info.n_close is not None
    bound = 1.05 * min(values)
    assert expected_minimum(np.asarray(values), info.n_close) <= bound * (1 + 1e-12)
    if info.n_close > 1:
        assert expected_minimum(np.asarray(values), info.n_close - 1) > bound * (1 - 1e-12)


def test_one_lucky_trial_takes_all_others_to_find() -> None:
    """Where the best stands alone, only all trials are sure to hold it."""
    alone = get_expected_best(record([1.0, *[9.0] * 19]))
    equal = get_expected_best(record([1.0] * 20))
    assert (alone.n_close, equal.n_close) == (20, 1)


def test_of_a_maximised_metric_the_highest_counts() -> None:
    """Accuracies turn the whole picture and keep their sign."""
    accuracies = [0.5, 0.7, 0.6, 0.9, 0.8]
    info = get_expected_best(
        record([1.0] * 5, validation_accuracy=accuracies), metric=VALIDATION_ACCURACY
    )
    turned = get_expected_best(record([-a for a in accuracies]))
    assert info.best == 0.9
    for point, mirror in zip(info.points, turned.points, strict=True):
        assert point.value == pytest.approx(-mirror.value)
        assert (point.low, point.high) == pytest.approx((-mirror.high, -mirror.low))
    pairs = [max(chosen) for chosen in itertools.combinations(accuracies, 2)]
    assert info.points[1].value == pytest.approx(sum(pairs) / len(pairs))
    assert info.n_close == turned.n_close == 4


def test_four_trials_are_refused() -> None:
    """The refusal counts the trials that have the metric."""
    info = get_expected_best(record([1.0, 2.0, 3.0, 4.0, math.inf]))
    assert info.points == ()
    assert info.refusal == (
        "The expected best needs at least 5 complete trials with a finite value; this study has 4."
    )
    assert info.best is info.n_close is info.caution is None
    by_accuracy = get_expected_best(record([1.0] * 5), metric=VALIDATION_ACCURACY)
    assert by_accuracy.refusal is not None
    assert "a finite validation accuracy; this study has 0." in by_accuracy.refusal


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_an_adaptive_search_is_labelled(sampler: str) -> None:
    """Its trials are used, and a caution says what that means."""
    info = get_expected_best(record([1.0, 2.0, 3.0, 4.0, 5.0], sampler=sampler))
    assert (info.adaptive, info.sampler, info.n_trials) == (True, sampler, 5)
    assert info.caution == (
        "The sampler chose trials by earlier results, so this is the best of n trials picked "
        "from this search, not that of a search of n trials."
    )


@pytest.mark.parametrize("sampler", [None, "imported"])
def test_an_unknown_sampler_is_said_to_be_unknown(sampler: str | None) -> None:
    """Nobody knows whether imported trials followed results."""
    info = get_expected_best(record([1.0, 2.0, 3.0, 4.0, 5.0], sampler=sampler))
    assert not info.adaptive
    assert info.caution == (
        "How trials were chosen is unknown; this holds if no result had a part in it."
    )


def test_only_what_the_design_chose_counts() -> None:
    """The best point of another study would make this one look lucky."""
    old = ["other, trial 1", None, None, None, None, None]
    one = record([0.1, 1.0, 2.0, 3.0, 4.0, 5.0])
    begun = study(
        *(
            trial(t.number, value=t.value, attrs={} if o is None else {"warm_start": o})
            for t, o in zip(one.trials, old, strict=True)
        ),
        settings={"sampler": "random"},
    )
    info = get_expected_best(begun)
    assert (info.n_trials, info.best) == (5, 1.0)


def test_pruned_trials_are_left_out_and_said_to_be() -> None:
    """They have no value to rank them by."""
    one = record([1.0, 2.0, 3.0, 4.0, 5.0])
    pruned = tuple(trial(5 + i, state=TrialState.PRUNED, curve=(0.1,)) for i in range(3))
    info = get_expected_best(study(*one.trials, *pruned, settings={"sampler": "random"}))
    assert (info.n_trials, info.best) == (5, 1.0)
    assert info.caution == (
        "3 pruned trials have no value and are left out, so n counts trials that a pruner lets "
        "through."
    )


def test_trainings_that_were_reused_cost_what_a_training_costs() -> None:
    """Their own second of looking up is no training time; without times there are none."""
    one = record([1.0] * 5, training_seconds=[10.0, 20.0, 0.5, 30.0, 0.5], reused_from=[None] * 5)
    trials = [
        trial(
            t.number,
            value=t.value,
            attrs={k: v for k, v in t.user_attrs.items() if k != "reused_from"}
            | ({"reused_from": 0} if t.number in (2, 4) else {}),
        )
        for t in one.trials
    ]
    assert get_expected_best(study(*trials)).seconds_per_trial == 20.0
    bare = get_expected_best(record([1.0] * 5))
    assert bare.seconds_per_trial is None
    assert {p.seconds for p in bare.points} == {None}


def test_equal_arguments_give_equal_results() -> None:
    """The seed decides the resamples, and nothing else does."""
    one = record(np.random.default_rng(3).random(30))
    assert get_expected_best(one) == get_expected_best(one)
    assert get_expected_best(one) != get_expected_best(one, seed=1)


def test_portions_of_the_bootstrap_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small portions give the interval of a single one."""
    one = record(np.random.default_rng(4).random(50))
    whole = get_expected_best(one).points[0]
    monkeypatch.setattr("study.analysis.correlation._CHUNK", 350)
    parts = get_expected_best(one).points[0]
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), rel=1e-12)


def test_overtuning_is_the_distance_from_the_best_test_error_so_far() -> None:
    """A worked example: the third incumbent is worse on the test split than the second."""
    pairs = [(0.5, 0.6), (0.4, 0.45), (0.3, 0.5), (0.2, 0.48), (0.1, 0.4)]
    assert overtuning(pairs) == pytest.approx((0, 0, 0.05, 0.03, 0))
    assert overtuning([]) == ()


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20),
    shift=st.floats(-5, 5),
)
def test_overtuning_is_never_negative_and_knows_no_offset(
    pairs: Sequence[tuple[float, float]], shift: float
) -> None:
    """It is that of the definition, and 0 where the test error only falls."""
    incumbents = [
        (v, t) for v, (_, t) in zip(sorted((v for v, _ in pairs))[::-1], pairs, strict=True)
    ]
    found = overtuning(incumbents)
    tests = [t for _, t in incumbents]
    assert found == tuple(t - min(tests[: i + 1]) for i, t in enumerate(tests))
    assert all(cost >= 0 for cost in found)
    moved = overtuning([(v, t + shift) for v, t in incumbents])
    assert moved == pytest.approx(found, abs=1e-9)
    falling = sorted(tests, reverse=True)
    assert set(overtuning([(v, t) for (v, _), t in zip(incumbents, falling, strict=True)])) == {0}


@pytest.mark.parametrize("later", [0.31, math.nan])
def test_overtuning_refuses_what_was_no_incumbent(later: float) -> None:
    """A trial with a higher validation error never was the best."""
    message = f"^Validation errors of `incumbents` must not rise, but got {later:.4g} after 0.3.$"
    with pytest.raises(ValueError, match=message):
        overtuning([(0.3, 0.5), (later, 0.4)])
