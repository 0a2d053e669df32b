"""The expected best of n trials against brute force, and the cost of choosing by validation."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.trial import TrialState

from storage.records import StudyRecord
from study.analysis.expected_best import expected_minimum, get_expected_best, overtuning
from tests.study_tests.synthetic import SETTINGS, study, trial


def record(
    values: Sequence[float], *, sampler: str | None = "random", **attrs: Sequence[Any]
) -> StudyRecord:
    """Return a study of complete trials with these values and user attributes, if not None."""
    trials = [
        trial(i, value=float(value), attrs={k: c[i] for k, c in attrs.items() if c[i] is not None})
        for i, value in enumerate(values)
    ]
    own = {**SETTINGS, "kind": "", "sampler": sampler}
    return study(*trials, settings=own if sampler else None)


@given(values=st.lists(st.floats(-100, 100), min_size=1, max_size=8))
@examples(max_examples=50)
def test_it_is_the_mean_over_all_subsets(values: Sequence[float]) -> None:
    """Every set of n trials counts once, so it falls from the mean to the best."""
    found = [expected_minimum(np.asarray(values), n) for n in range(1, len(values) + 1)]
    for n, one in enumerate(found, start=1):
        lowest = [min(chosen) for chosen in itertools.combinations(values, n)]
        assert one == pytest.approx(sum(lowest) / len(lowest), rel=1e-9, abs=1e-9)
    assert found[-1] == min(values)
    # Of many uniform numbers it is 1 in n + 1.
    many = (np.arange(10_000) + 0.5) / 10_000
    assert expected_minimum(many, 1000) == pytest.approx(1 / 1001, rel=0.06)


def test_the_best_keeps_the_constraint() -> None:
    """What breaks it counts as the worst that keeps it, so the best of all is the study's best."""
    values, broken = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [True, True, None, None, None, True]
    info = get_expected_best(record(values, infeasible=broken))
    assert (info.best, info.points[-1].value) == (3.0, 3.0)
    assert info.points[0].value == pytest.approx((3 + 4 + 4 * 5) / 6)
    refused = get_expected_best(record(values, infeasible=[True] * 6))
    assert "No complete trial keeps the constraint" in str(refused.refusal)


def test_points_reach_from_one_trial_to_all() -> None:
    """Each has its value and seconds, and from two trials to a tenth of them an interval."""
    values = np.random.default_rng(1).random(40)
    info = get_expected_best(record(values, training_seconds=[2.0, 4.0] * 20))
    assert [p.n for p in info.points] == [*range(1, 22), 23, 24, 26, 27, 29, 31, 33, 35, 38, 40]
    assert info.points[1].interval == pytest.approx((0.2482657734790025, 0.4282278544837703))
    for point in info.points:
        assert point.value == pytest.approx(expected_minimum(values, point.n))
        assert (point.interval is None) == (not 2 <= point.n <= 4)
        low, high = point.interval or (point.value, point.value)
        assert low <= point.value <= high
        assert point.seconds == pytest.approx(3.0 * point.n)
    said = (info.refusal, info.caution, info.n_reliable, info.n_trials)
    assert said == (None, None, 4, 40)


@given(values=st.lists(st.floats(0.1, 10), min_size=5, max_size=30))
@examples(max_examples=30)
def test_the_number_of_trials_that_come_close_is_the_smallest(values: Sequence[float]) -> None:
    """It comes within 5 % of the way from the best to the median, and one trial fewer does not."""
    n = get_expected_best(record(values)).n_close
    expected = [expected_minimum(np.asarray(values), k) for k in range(1, n + 1)]
    bound = min(values) + 0.05 * (float(np.median(values)) - min(values))
    assert expected[-1] <= bound * (1 + 1e-12)
    assert n == 1 or expected[-2] > bound * (1 - 1e-12)


def test_what_does_not_count() -> None:
    """Points of another study and pruned trials; the time is that of the whole study."""
    begun = record([0.1, 1.0, 2.0, 3.0, 4.0, 5.0], warm_start=["other, trial 1", *[None] * 5])
    pruned = (trial(6 + i, state=TrialState.PRUNED, curve=(0.1,)) for i in range(3))
    failed = trial(9, state=TrialState.FAIL)
    info = get_expected_best(replace(begun, trials=(*begun.trials, *pruned, failed)))
    assert (info.n_trials, info.best) == (5, 1.0)
    assert str(info.caution).startswith("3 pruned trials have no value and are left out")
    assert (info.seconds_per_trial, info.points[0].seconds) == (None, None)
    seconds = [10.0, 20.0, 0.5, 30.0, 0.5]
    timed = record([1.0] * 5, training_seconds=seconds, reused_from=[None, None, 0, None, 0])
    assert get_expected_best(timed).seconds_per_trial == sum(seconds) / 3
    for sampler, caution in (
        ("tpe", "The sampler chose trials by earlier results"),
        *((unknown, "How trials were chosen is unknown") for unknown in (None, "imported")),
    ):
        info = get_expected_best(record([1.0, 2.0, 3.0, 4.0, 5.0], sampler=sampler))
        assert str(info.caution).startswith(caution)
    info = get_expected_best(record([1.0, 2.0, 3.0, 4.0, math.inf]))
    assert (info.points, info.best, info.n_close, info.caution) == ((), None, None, None)
    assert info.refusal == (
        "The expected best needs at least 5 complete trials with a finite value; this study has 4."
    )


def test_overtuning_is_the_distance_from_the_best_test_error_so_far() -> None:
    """It is 0 where the test error is the lowest so far."""
    assert overtuning([0.6, 0.45, 0.5, 0.48, 0.4]) == pytest.approx([0, 0, 0.05, 0.03, 0])
    assert overtuning([]) == []
