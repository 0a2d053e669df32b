"""What confirmations say: known differences come out, the best is among the tied ones."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.trial import TrialState
from scipy import stats

from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis.confirmation import (
    CHOSEN,
    DEFAULT,
    MIDDLE,
    MIN_SEEDS,
    TOP,
    ConfirmationInfo,
    Confirmed,
    Estimate,
    describe_confirmation,
    estimate,
    get_confirmation,
    relative_difference,
    same_order,
)
from study.experiment import Arm, Experiment
from study.formats import format_change
from tests.study_tests.synthetic import MULTITASK_SETTINGS, SETTINGS, START, planted, study, trial

Values = Sequence[float | None]

BASE = [0.10, 0.12, 0.11, 0.13, 0.09]
"""Errors of a default over five seeds."""

BETTER = [0.081, 0.093, 0.090, 0.101, 0.073]
"""A fifth lower, with little scatter."""

N_SIMULATIONS = 300


def record(
    values: Mapping[str, Values],
    *,
    promised: Mapping[str, float] | None = None,
    accuracies: Mapping[str, Values] | None = None,
    seconds: Mapping[str, float] | None = None,
    tests: Mapping[str, Values] | None = None,
    test_accuracies: Mapping[str, Values] | None = None,
    min_accuracy: float | None = None,
    more: Sequence[TrialRecord] = (),
    **changes: Any,
) -> StudyRecord:
    """Return a confirmation; the arm ``middle`` is from the middle, all but the default are top.

    Args:
        values: The validation MSE of each arm, seed by seed; infinite for a training that
            diverged, None for one that is missing.
        promised: What the search had measured. Arm ``i`` repeats trial ``10 * i`` then.
        accuracies: Validation accuracies, seed by seed.
        seconds: Training time of each arm.
        tests: Test MSE, seed by seed.
        test_accuracies: Test accuracies, likewise.
        min_accuracy: What the search demands.
        more: Trials beside these.
        changes: Of the experiment.
    """
    trials: list[TrialRecord] = []
    results: dict[str, dict[str, float]] = {}
    for i, (arm, errors) in enumerate(values.items()):
        for pair, error in enumerate(errors):
            if error is None:
                continue
            own: dict[str, Any] = {attrs.ARM: arm, attrs.PAIR: pair}
            if error == math.inf:
                own[attrs.FAILURE] = f"{attrs.DIVERGED}: validation MSE is NaN in epoch 3"
            own[attrs.PARAMETER_COUNT] = 1000 * (i + 1)
            if seconds and arm in seconds:
                own[attrs.TRAINING_SECONDS] = seconds[arm] * (0.9 if pair % 2 else 1.1)
            if accuracies and accuracies[arm][pair] is not None:
                own[attrs.VALIDATION_ACCURACY] = accuracies[arm][pair]
            test = tests.get(arm, [None] * len(errors))[pair] if tests else None
            if test is not None:
                results[str(len(trials))] = {"mse": test}
                if test_accuracies:
                    results[str(len(trials))]["accuracy"] = test_accuracies[arm][pair] or 0.0
            state = TrialState.FAIL if error == math.inf else TrialState.COMPLETE
            value = error if state == TrialState.COMPLETE else None
            trials.append(trial(len(trials), state=state, value=value, attrs=own))
    arms = tuple(
        Arm(
            name=arm,
            params={"learning_rate": 0.01},
            role={"default": DEFAULT, "middle": MIDDLE}.get(arm, TOP),
            trial=10 * i if promised and arm in promised else None,
            expected=(promised or {}).get(arm),
        )
        for i, arm in enumerate(values)
    )
    n_seeds = len(next(iter(values.values())))
    experiment = Experiment(
        name=attrs.CONFIRMATION,
        question="Which?",
        arms=arms,
        sides={"group": ("tvx",) * n_seeds},
        follows="search",
        keep_models=True,
    )
    stored = json.loads(json.dumps(replace(experiment, **changes).to_dict()))
    kind = MULTITASK_SETTINGS if accuracies or min_accuracy else SETTINGS
    settings = {**kind, "min_accuracy": min_accuracy}
    made = study(*trials, *more, name="search-confirmation", settings=settings)
    more_attrs = {attrs.TEST_RESULTS: results} if results else {}
    return replace(made, user_attrs={**made.user_attrs, attrs.EXPERIMENT: stored, **more_attrs})


def confirmed(values: Mapping[str, Values], **changes: Any) -> ConfirmationInfo:
    """Return what a confirmation says."""
    info = get_confirmation(record(values, **changes))
    assert info is not None
    return info


def said(values: Mapping[str, Values], **changes: Any) -> str:
    """Return what is said of a confirmation."""
    return " ".join(describe_confirmation(confirmed(values, **changes)))


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean as scipy calculates it."""
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    return float(low), float(high)


def around(mean: float, *, seed: int, n: int = 5, scatter: float = 0.01) -> list[float]:
    """Return errors whose logarithms scatter around that of their mean."""
    rng = np.random.default_rng(seed)
    return list(map(float, mean * np.exp(rng.normal(scale=scatter, size=n))))


def test_other_studies_are_no_confirmations() -> None:
    """A search has no arms, and another experiment other questions."""
    assert get_confirmation(planted(20)) is None
    assert get_confirmation(study()) is None
    assert get_confirmation(replace(study(), user_attrs={attrs.EXPERIMENT: None})) is None
    values = {"default": BASE, "trial 10": BETTER}
    assert get_confirmation(record(values, name="auxiliary-task")) is None
    assert get_confirmation(record(values, name=attrs.ABLATION)) is None


def test_means_and_intervals() -> None:
    """They are those of the errors over the seeds; the lowest mean comes first."""
    info = confirmed({"default": BASE, "a": BETTER, "middle": [0.2, 0.3, 0.2, 0.25, 0.2]})
    assert (info.study, info.follows) == ("search-confirmation", "search")
    assert (info.n_seeds, info.n_missing, info.caution) == (5, 0, None)
    assert [c.name for c in info.confirmed] == ["a", "default", "middle"]
    assert [c.role for c in info.confirmed] == [TOP, DEFAULT, MIDDLE]
    for name, values in (("default", BASE), ("a", BETTER)):
        found = info.get(name).validation
        assert found is not None
        assert (found.mean, found.n) == (pytest.approx(np.mean(values)), 5)
        assert (found.low, found.high) == pytest.approx(t_interval(values))
    assert info.get("a").accuracy is None
    assert [info.get(name).parameter_count for name in ("default", "a", "middle")] == [
        1000,
        2000,
        3000,
    ]


def test_estimates_are_not_negative() -> None:
    """An error cannot be below 0, so neither is the end of its interval."""
    values = [0.1, 0.2, 0.9]
    assert t_interval(values)[0] < 0
    assert estimate(values) == Estimate(
        mean=pytest.approx(0.4), low=0.0, high=pytest.approx(t_interval(values)[1]), n=3
    )
    assert estimate([]) is None
    assert estimate([0.5, 0.7]) == Estimate(mean=pytest.approx(0.6), low=None, high=None, n=2)


@pytest.mark.parametrize("value", [0.1, 0.3, 1.0])
def test_estimates_without_scatter(value: float) -> None:
    """Equal values have an interval of one point."""
    assert estimate([value] * 7) == Estimate(mean=value, low=value, high=value, n=7)


def test_difference_by_hand() -> None:
    """It is the ratio of the geometric means over pairs, minus 1, with an interval by logs."""
    c = confirmed({"default": BASE, "a": BETTER}).get("a")
    assert c.difference == pytest.approx(stats.gmean(BETTER) / stats.gmean(BASE) - 1)
    low, high = t_interval((np.log(BETTER) - np.log(BASE)).tolist())
    assert c.difference_low == pytest.approx(math.exp(low) - 1)
    assert c.difference_high == pytest.approx(math.exp(high) - 1)
    assert c.difference is not None
    assert c.difference_low is not None
    assert c.difference_high is not None
    assert -0.25 < c.difference_low < c.difference < c.difference_high < -0.15


def test_the_default_is_compared_with_nothing() -> None:
    """It neither differs from itself nor beats itself."""
    c = confirmed({"default": BASE, "a": BETTER}).get("default")
    assert (c.difference, c.difference_low, c.difference_high) == (None, None, None)
    assert (c.beats_low, c.beats_high, c.n_wins) == (None, None, 0)


@given(
    pairs=st.lists(
        st.tuples(st.floats(1e-5, 10), st.floats(1e-5, 10)), min_size=MIN_SEEDS, max_size=9
    )
)
@examples(max_examples=50)
def test_differences_turn_round(pairs: list[tuple[float, float]]) -> None:
    """What is a third lower than another is compared with it half as high again."""
    there = relative_difference(pairs)
    back = relative_difference([(after, before) for before, after in pairs])
    assert there[1] is not None
    assert there[2] is not None
    assert there[1] <= there[0] <= there[2]
    assert [1 / (1 + x) - 1 for x in (there[0], there[2], there[1])] == pytest.approx(
        back, rel=1e-6, abs=1e-9
    )


@given(
    values=st.lists(st.floats(0.01, 1), min_size=MIN_SEEDS, max_size=9),
    share=st.sampled_from([-0.5, -0.1, 0.0, 0.01, 0.1, 2.0]),
)
@examples(max_examples=50)
def test_difference_without_scatter(values: list[float], share: float) -> None:
    """The same share with every seed is known for sure, whatever the errors are."""
    found = relative_difference([(value, value * (1 + share)) for value in values])
    assert found == pytest.approx((share, share, share), abs=1e-9)


@pytest.mark.parametrize("n_wins", range(6))
def test_wins(n_wins: int) -> None:
    """The probability of beating the default has a Wilson interval; a tie is no win."""
    mine = [*(v - 0.01 for v in BASE[:n_wins]), *BASE[n_wins:]]
    c = confirmed({"default": BASE, "a": mine}).get("a")
    assert (c.n_wins, c.n_pairs) == (n_wins, 5)
    z = stats.norm.ppf(0.975)
    share = n_wins / 5
    middle = (share + z**2 / 10) / (1 + z**2 / 5)
    half = z / (1 + z**2 / 5) * math.sqrt(share * (1 - share) / 5 + z**2 / 100)
    assert c.beats_low == pytest.approx(middle - half)
    assert c.beats_high == pytest.approx(middle + half)


def test_shrinkage() -> None:
    """Of each the share by which the search had flattered it, of those at the top the median."""
    values: dict[str, Values] = {
        "default": [0.3] * 3,
        "a": [0.11] * 3,
        "b": [0.13] * 3,
        "c": [0.10] * 3,
        "middle": [0.21] * 3,
    }
    promised = {"default": 0.2, "a": 0.1, "b": 0.1, "c": 0.1, "middle": 0.2}
    info = confirmed(values, promised=promised)
    found = {c.name: c.shrinkage for c in info.confirmed}
    assert found == {
        "default": pytest.approx(0.5),
        "a": pytest.approx(0.1),
        "b": pytest.approx(0.3),
        "c": pytest.approx(0.0, abs=1e-12),
        "middle": pytest.approx(0.05),
    }
    assert info.shrinkage == pytest.approx(0.1)
    assert info.middle_shrinkage == pytest.approx(0.05)
    assert (info.get("a").search_value, info.get("a").trial) == (0.1, 10)


def test_without_a_promise_there_is_no_shrinkage() -> None:
    """A default that was not searched had promised nothing."""
    info = confirmed({"default": BASE, "a": BETTER}, promised={"a": 0.08})
    assert info.get("default").shrinkage is None
    assert (info.get("default").trial, info.get("default").search_value) == (None, None)
    assert info.middle_shrinkage is None
    assert confirmed({"default": BASE}).shrinkage is None


# What is tied with the best


def test_clear_winner() -> None:
    """One that is better by far stands alone."""
    info = confirmed({"default": BASE, "a": BETTER, "b": around(0.2, seed=1)})
    assert (info.best, info.tied, info.cheapest) == ("a", ("a",), "a")
    assert [c.name for c in info.confirmed if c.tied] == ["a"]


def test_arms_that_are_equal() -> None:
    """What trains the same is tied, in the order in which it is given."""
    info = confirmed({"default": BASE, "a": BASE, "b": BASE, "c": [v * 2 for v in BASE]})
    assert info.tied == ("default", "a", "b")
    assert info.best == "default"


def test_arms_that_differ_by_noise() -> None:
    """Differences that a few seeds do not show leave all of them."""
    values = {"default": around(0.1, seed=0, scatter=0.1)}
    values |= {f"trial {i}": around(0.1, seed=i, scatter=0.1) for i in range(1, 7)}
    info = confirmed(values)
    assert sorted(info.tied) == sorted(values)
    means = [c.validation.mean for c in info.confirmed if c.validation is not None]
    assert means == sorted(means)
    assert info.best == info.tied[0] == info.confirmed[0].name


@pytest.mark.parametrize(("n_others", "left_out"), [(1, True), (2, True), (3, False), (6, False)])
def test_the_bound_is_shared_by_all_tests(n_others: int, left_out: bool) -> None:
    """Each of the others is tested at 0.05 by their number, so that 0.05 holds for all."""
    rng = np.random.default_rng(5)
    logs = rng.normal(size=5)
    logs = (logs - logs.mean()) / stats.sem(logs)
    t = float(stats.t.isf(0.02, 4))  # the p-value that is to come out
    worse = [base * math.exp(0.001 * (log + t)) for base, log in zip(BASE, logs, strict=True)]
    values = {"default": BASE, "a": worse}
    values |= {f"trial {i}": [v * 2 for v in BASE] for i in range(n_others - 1)}
    info = confirmed(values)
    assert stats.ttest_rel(np.log(worse), np.log(BASE), alternative="greater").pvalue == (
        pytest.approx(0.02)
    )
    assert info.best == "default"
    assert ("a" not in info.tied) == left_out


@pytest.mark.parametrize(("share", "tied"), [(0.01, False), (0.0, True)])
def test_differences_without_scatter(share: float, tied: bool) -> None:
    """A share that is the same with every seed is no chance."""
    info = confirmed({"default": BASE, "a": [v * (1 + share) for v in BASE]})
    assert info.best == "default"
    assert ("a" in info.tied) == tied


def test_shared_noise_does_not_count() -> None:
    """Splits that are hard for all of them hide no difference."""
    pairs = [1.0, 3.0, 0.5, 2.0, 5.0]
    mine = [v * p for v, p in zip(around(0.100, seed=1), pairs, strict=True)]
    theirs = [v * p for v, p in zip(around(0.115, seed=2), pairs, strict=True)]
    assert stats.ttest_ind(mine, theirs).pvalue > 0.5
    assert confirmed({"default": theirs, "a": mine}).tied == ("a",)


def test_one_that_failed_with_a_seed() -> None:
    """It is neither best nor tied, however low its other errors are."""
    fragile = [0.01, 0.01, math.inf, 0.01, 0.01]
    info = confirmed({"default": BASE, "a": fragile, "b": BETTER})
    c = info.get("a")
    assert (c.n_failed, c.tied, c.n_pairs, c.n_wins) == (1, False, 4, 4)
    assert info.confirmed[0] == c
    assert (info.best, info.tied, info.cheapest) == ("b", ("b",), "b")
    assert (info.excluded, info.n_missing) == (("a",), 0)
    assert c.difference == pytest.approx(0.01 / stats.gmean([BASE[i] for i in (0, 1, 3, 4)]) - 1)


def test_one_that_was_trained_again_after_it_failed() -> None:
    """A failed attempt is no failure where the next one finished."""
    again = trial(
        99,
        state=TrialState.FAIL,
        attrs={attrs.ARM: "a", attrs.PAIR: 2, attrs.FAILURE: f"{attrs.DIVERGED}: NaN"},
    )
    values = {"default": BASE, "a": BETTER}
    assert confirmed(values, more=[again]) == confirmed(values)


@pytest.mark.parametrize("failure", [None, "RuntimeError: out of memory"])
def test_an_attempt_that_was_interrupted(failure: str | None) -> None:
    """Errors of the machine do not speak against a configuration; the training is missing."""
    own = {attrs.ARM: "a", attrs.PAIR: 4, **({attrs.FAILURE: failure} if failure else {})}
    attempt = trial(99, state=TrialState.FAIL, attrs=own)
    info = confirmed({"default": BASE, "a": [*BETTER[:4], None]}, more=[attempt])
    assert (info.get("a").n_failed, info.n_missing, info.excluded) == (0, 1, ())
    assert info.best == "a"


def test_all_failed() -> None:
    """Then there is no best, and those without any error come last."""
    values = {"default": [math.inf] * 3, "a": [0.1, 0.1, math.inf]}
    info = confirmed(values)
    assert (info.best, info.tied, info.cheapest) == (None, (), None)
    assert [c.name for c in info.confirmed] == ["a", "default"]
    assert info.confirmed[1].validation is None
    assert (info.confirmed[0].difference, info.confirmed[0].n_pairs) == (None, 0)
    assert said(values) == (
        "No configuration of study search can be judged: none has finished without a failed "
        "training and with the accuracy that was asked for."
    )


def test_accuracy_that_is_demanded() -> None:
    """What keeps it not even in the mean is neither best nor tied."""
    values: dict[str, Values] = {"default": BASE, "a": [0.01] * 5, "b": BETTER}
    accuracies: dict[str, Values] = {
        "default": [0.8] * 5,
        "a": [0.9, 0.6, 0.6, 0.6, 0.7],
        "b": [0.9, 0.9, 0.65, 0.65, 0.65],
    }
    info = confirmed(values, accuracies=accuracies, min_accuracy=0.7)
    assert (info.best, info.tied, info.excluded) == ("b", ("b",), ("a",))
    free = confirmed(values, accuracies=accuracies)
    assert (free.best, free.excluded) == ("a", ())
    unknown = confirmed(values, min_accuracy=0.7)
    assert (unknown.best, set(unknown.excluded)) == (None, set(values))


def test_accuracies() -> None:
    """They have a mean and an interval of their own."""
    mine = [0.7, 0.8, 0.75, 0.9, 0.7]
    info = confirmed({"default": BASE, "a": BETTER}, accuracies={"default": [0.5] * 5, "a": mine})
    found = info.get("a").accuracy
    assert found is not None
    assert (found.mean, found.n) == (pytest.approx(0.77), 5)
    assert (found.low, found.high) == pytest.approx(t_interval(mine))
    assert info.get("default").accuracy == Estimate(mean=0.5, low=0.5, high=0.5, n=5)


# What is not there yet


def test_missing_pairs() -> None:
    """A pair counts where both finished; one with too few of them may still be the best."""
    values: dict[str, Values] = {
        "default": [0.1, 0.2, 0.3, None, 0.5],
        "a": [0.05, 0.1, None, 0.2, 0.25],
        "b": [None, None, None, 0.4, 0.5],
        "c": [None] * 5,
    }
    info = confirmed(values)
    assert info.n_missing == 1 + 1 + 3 + 5
    assert [info.get(name).n_pairs for name in "abc"] == [3, 1, 0]
    assert info.get("a").difference == pytest.approx(-0.5)
    assert info.get("a").n_wins == 3
    b = info.get("b")
    assert (b.difference, b.difference_low) == (pytest.approx(0.0), None)
    assert b.validation == Estimate(mean=pytest.approx(0.45), low=None, high=None, n=2)
    assert (info.best, info.tied, info.excluded) == ("a", ("a", "b"), ())
    c = info.get("c")
    assert (c.validation, c.difference, c.beats_low, c.seconds) == (None, None, None, None)
    assert (c.parameter_count, c.tied, c.shrinkage) == (None, False, None)
    assert next(describe_confirmation(info)) == (
        "10 trainings are missing; comparisons leave them out."
    )


def test_nothing_finished() -> None:
    """A confirmation that has only begun has nothing to say."""
    values: dict[str, Values] = {"default": [None] * 3, "a": [None] * 3}
    info = confirmed(values)
    assert (info.best, info.tied, info.excluded, info.n_missing) == (None, (), (), 6)
    assert [c.name for c in info.confirmed] == ["default", "a"]
    assert "can be judged" in said(values)


@pytest.mark.parametrize(
    "state", [TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING, TrialState.FAIL]
)
def test_only_complete_trials_count(state: TrialState) -> None:
    """What an attempt reached that did not end well is no value."""
    attempts = [
        trial(
            100 + pair,
            state=state,
            attrs={attrs.ARM: "a", attrs.PAIR: pair, attrs.VALIDATION_MSE: 9.0},
        )
        for pair in range(5)
    ]
    values = {"default": BASE, "a": BETTER}
    assert confirmed(values, more=attempts) == confirmed(values)


@pytest.mark.parametrize("n_seeds", range(1, MIN_SEEDS))
def test_too_few_seeds(n_seeds: int) -> None:
    """Differences are there, intervals are not, and nothing is ruled out."""
    values = {"default": [0.9] * n_seeds, "a": [0.1] * n_seeds, "b": [0.2] * n_seeds}
    info = confirmed(values)
    a = info.get("a")
    assert (a.difference, a.difference_low, a.difference_high) == (
        pytest.approx(1 / 9 - 1),
        None,
        None,
    )
    assert a.validation == Estimate(mean=pytest.approx(0.1), low=None, high=None, n=n_seeds)
    assert info.tied == ("a", "b", "default")
    assert info.caution is not None
    text = said(values)
    assert f"{n_seeds} seeds are too few to tell it from the others." in text
    assert text.endswith("take more --seeds.")
    assert "interval" not in text


# Costs


def test_cheapest() -> None:
    """Of the tied ones the one with the shortest mean training, whatever others take."""
    values: dict[str, Values] = {
        "default": [v * 3 for v in BASE],
        "a": BASE,
        "b": [v * (1.01 if i % 2 else 0.995) for i, v in enumerate(BASE)],
        "c": [v * (0.995 if i % 2 else 1.01) for i, v in enumerate(BASE)],
    }
    info = confirmed(values, seconds={"default": 1.0, "a": 50.0, "b": 40.0, "c": 60.0})
    assert (info.best, set(info.tied), info.cheapest) == ("a", {"a", "b", "c"}, "b")
    assert info.get("a").seconds == pytest.approx(50.0 * (3 * 1.1 + 2 * 0.9) / 5)
    some = confirmed(values, seconds={"c": 60.0})
    assert some.cheapest == "c"
    unknown = confirmed(values)
    assert (unknown.cheapest, unknown.get("a").seconds) == ("a", None)


def test_time_of_trials_that_did_not_store_it() -> None:
    """It is then that from their start to their end."""
    made = record({"default": BASE, "a": BETTER})
    trials = tuple(
        replace(t, started=START, completed=START.replace(second=30)) for t in made.trials
    )
    info = get_confirmation(replace(made, trials=trials))
    assert info is not None
    assert info.get("a").seconds == pytest.approx(30.0)


# The test split


def test_test_errors() -> None:
    """They are there where results are, over the same trainings."""
    tests: dict[str, Values] = {
        "default": [0.2, 0.3, 0.4, 0.3, 0.2],
        "a": [0.1, None, 0.3, 0.2, None],
    }
    info = confirmed({"default": BASE, "a": BETTER, "b": BETTER}, tests=tests)
    assert info.tested
    found = info.get("default").test
    assert found is not None
    assert (found.mean, found.low, found.high, found.n) == (
        pytest.approx(0.28),
        *map(pytest.approx, t_interval([0.2, 0.3, 0.4, 0.3, 0.2])),
        5,
    )
    assert info.get("a").test == Estimate(
        mean=pytest.approx(0.2),
        low=0.0,
        high=pytest.approx(t_interval([0.1, 0.3, 0.2])[1]),
        n=3,
    )
    assert info.get("b").test is None
    assert {c.test_accuracy for c in info.confirmed} == {None}


def test_test_accuracies() -> None:
    """What classifies has a test accuracy beside its test error."""
    equal = {"default": [0.1] * 5, "a": [0.1] * 5}
    accuracies = {"default": [0.5] * 5, "a": [0.6, 0.7, 0.8, 0.7, 0.7]}
    info = confirmed(
        equal, accuracies=accuracies, tests=equal, test_accuracies={**accuracies, "a": [0.4] * 5}
    )
    assert info.get("a").test_accuracy == Estimate(mean=0.4, low=0.4, high=0.4, n=5)
    assert info.get("default").test_accuracy == Estimate(mean=0.5, low=0.5, high=0.5, n=5)
    assert info.get("a").accuracy is not None


def test_not_tested() -> None:
    """Before the test there are neither errors nor incumbents."""
    values = {"default": BASE, "a": BETTER}
    info = confirmed(values, promised={"a": 0.08})
    assert (info.tested, info.incumbents) == (False, ())
    assert [c.test for c in info.confirmed] == [None, None]
    assert "test images" not in said(values)


def test_incumbents_by_hand() -> None:
    """Along the trials that were best so far, the test error may rise: this is overtuning."""
    names = ["default", "a", "b", "c", "middle", "d"]
    promised = dict(zip(names, [0.9, 0.5, 0.6, 0.4, 0.7, 0.3], strict=True))
    means = dict(zip(names, [0.8, 0.5, 0.1, 0.55, 0.1, 0.45], strict=True))
    info = confirmed(
        {name: [0.5] * 3 for name in names},
        promised=promised,
        tests={name: [mean - 0.01, mean + 0.01, mean] for name, mean in means.items()},
    )
    # Trials 0, 10, 30 and 50 were incumbents; 20 and 40 were not, low as their test errors are.
    assert [i.trial for i in info.incumbents] == [0, 10, 30, 50]
    assert [i.search_value for i in info.incumbents] == [0.9, 0.5, 0.4, 0.3]
    assert [i.test for i in info.incumbents] == pytest.approx([0.8, 0.5, 0.55, 0.45])
    assert [i.overtuning for i in info.incumbents] == pytest.approx([0, 0, 0.05, 0], abs=1e-12)


def test_incumbents_that_were_searched_and_tested() -> None:
    """A default that the search had not tried was none, nor was one that was not tested."""
    info = confirmed(
        {"default": BASE, "a": BETTER, "b": BETTER},
        promised={"a": 0.08, "b": 0.07},
        tests={"default": BASE, "a": BASE},
    )
    assert [i.trial for i in info.incumbents] == [10]


# In words


def test_sentences() -> None:
    """They hold the numbers of the best: mean, difference, wins, shrinkage and test."""
    values: dict[str, Values] = {
        "default": BASE,
        "trial 10": BETTER,
        "middle": [v * 2 for v in BASE],
    }
    changes: dict[str, Any] = {
        "promised": {"trial 10": 0.08, "middle": 0.22},
        "tests": {name: [0.3, 0.31, 0.32, 0.3, 0.31] for name in values},
    }
    info = confirmed(values, **changes)
    c = info.get("trial 10")
    lines = list(describe_confirmation(info))

    def shares(*numbers: float | None) -> list[str]:
        return [format_change(x or 0) for x in numbers]

    low, high = t_interval(BETTER)
    difference = c.difference
    assert difference is not None
    assert lines[0] == (
        "Over 5 fresh seeds and splits, trial 10 has the lowest mean validation MSE: "
        f"0.08760 (95 % interval {low:.5f} to {high:.5f})."
    )
    assert lines[1] == "All others are worse beyond what chance explains."
    ends = shares(c.difference_low, c.difference_high)
    assert lines[2] == (
        f"Its error is {-100 * difference:.1f}\N{NO-BREAK SPACE}% below that of the default "
        f"(95 % interval {ends[0]} to {ends[1]}); it was lower with 5 of 5 seeds, so it beats the "
        "default with a probability of 57\N{NO-BREAK SPACE}% to 100\N{NO-BREAK SPACE}%."
    )
    assert lines[3] == (
        "The configurations that the search liked best have errors 9.5\N{NO-BREAK SPACE}% above "
        "what it had measured (median); for the one from the middle it is +0.0\N{NO-BREAK SPACE}%."
        " Other validation images may do that as well as luck."
    )
    test_low, test_high = t_interval([0.3, 0.31, 0.32, 0.3, 0.31])
    assert lines[4:] == [
        "On the test images, which nothing was chosen by, its MSE is 0.30800 (95 % interval "
        f"{test_low:.5f} to {test_high:.5f}); the interval is that of seeds and splits, not of "
        "other test images."
    ]


def test_tied_in_words() -> None:
    """Those that may be as good are named, and the fastest of them, which need not be cheaper."""
    values: dict[str, Values] = {
        "default": [v * 3 for v in BASE],
        "a": BASE,
        "b": [v * (1.01 if i % 2 else 0.995) for i, v in enumerate(BASE)],
        "c": [v * (0.995 if i % 2 else 1.01) for i, v in enumerate(BASE)],
    }
    text = said(values, seconds={"a": 50.0, "b": 40.0, "c": 60.0})
    assert "a has the lowest mean" in text
    assert "It cannot be told from b and c. By the clock, b trained in the shortest time." in text
    assert "All others" not in text


def test_the_default_is_best_in_words() -> None:
    """A search that found nothing better is told so."""
    text = said({"default": BETTER, "a": BASE}, promised={"a": 0.05})
    assert "default has the lowest mean" in text
    assert "It is the default itself: the search found nothing better." in text
    assert "that of the default" not in text
    assert "have errors 120.0\N{NO-BREAK SPACE}% above what it had measured (median)." in text


def test_the_default_is_better_than_what_somebody_chose() -> None:
    """That says nothing of what the search found."""
    info = confirmed({"default": BETTER, "a": BASE})
    arms = [replace(c, role=CHOSEN) if c.name == "a" else c for c in info.confirmed]
    text = " ".join(describe_confirmation(replace(info, confirmed=tuple(arms))))
    assert "It is the default itself: none of the other configurations here is better." in text
    assert "the search found" not in text


def test_a_default_that_always_failed_in_words() -> None:
    """The best is not taken for the default where the default has no error to compare with."""
    text = said({"default": [math.inf] * 5, "a": BETTER, "b": [v * 2 for v in BASE]})
    assert "a has the lowest mean" in text
    assert "default itself" not in text
    assert "All others are worse beyond what chance explains." in text
    assert "Not counted, whatever the error: default; a training failed" in text


def test_excluded_in_words() -> None:
    """Nothing is said of the errors of others if there are none that count."""
    text = said({"default": BASE, "a": [0.01, 0.01, 0.01, 0.01, math.inf]})
    assert "default has the lowest mean" in text
    assert "All others" not in text
    assert "Not counted, whatever the error: a; a training failed" in text


# Simulations


@given(
    logs=st.lists(st.lists(st.floats(-1, 1), min_size=5, max_size=5), min_size=2, max_size=6),
    factor=st.floats(0.01, 100),
)
@examples(max_examples=40)
def test_units_do_not_matter(logs: list[list[float]], factor: float) -> None:
    """Errors in another unit lead to the same differences, wins and tied ones."""
    names = ["default", *(f"trial {i}" for i in range(1, len(logs)))]
    values = {n: [round(math.exp(x), 6) for x in xs] for n, xs in zip(names, logs, strict=True)}
    one = confirmed(values)
    other = confirmed({name: [v * factor for v in column] for name, column in values.items()})

    def numbers(c: Confirmed) -> list[float]:
        return [c.difference or 0.0, c.difference_low or 0.0, c.difference_high or 0.0]

    assert set(one.tied) >= {one.best}
    for name in names:
        assert numbers(other.get(name)) == pytest.approx(numbers(one.get(name)), abs=1e-6)
        found = one.get(name).validation
        scaled = other.get(name).validation
        assert found is not None
        assert scaled is not None
        assert scaled.mean == pytest.approx(found.mean * factor)


@pytest.mark.slow
@pytest.mark.parametrize("pair_scatter", [0.0, 0.5])
def test_the_best_is_among_the_tied(pair_scatter: float) -> None:
    """Of simulated confirmations 95 % keep the truly best, and most leave out what is far worse.

    The truly best is better by 1 % than five others, which noise of 10 % hides; one is worse by
    half. Splits that are hard for all of them make no difference.
    """
    rng = np.random.default_rng(0)
    truth = [0.101, 0.1, 0.101, 0.101, 0.101, 0.101, 0.15]
    names = ["default", *(f"trial {i}" for i in range(1, 7))]
    n_best_first = n_best_tied = n_worst_tied = 0
    for _ in range(N_SIMULATIONS):
        noise = rng.normal(scale=0.1, size=(7, 5)) + rng.normal(scale=pair_scatter, size=5)
        values = np.asarray(truth)[:, None] * np.exp(noise)
        info = confirmed(dict(zip(names, values.tolist(), strict=True)))
        n_best_first += info.best == "trial 1"
        n_best_tied += "trial 1" in info.tied
        n_worst_tied += names[-1] in info.tied
    # Below this, a true share of 0.95 would come out once in a thousand times.
    assert n_best_tied >= stats.binom.ppf(0.001, N_SIMULATIONS, 0.95)
    assert n_best_first < N_SIMULATIONS / 2  # the mean alone does not find it
    assert n_worst_tied < N_SIMULATIONS / 4


def transfer(values: Mapping[str, Values], *, name: str, data: str) -> StudyRecord:
    """Return a confirmation on the images of another file."""
    made = record(values, name=attrs.TRANSFER)
    settings = {**made.user_attrs[attrs.SETTINGS], "data": data}
    return replace(made, name=name, user_attrs={**made.user_attrs, attrs.SETTINGS: settings})


def elsewhere(values: Mapping[str, Values]) -> ConfirmationInfo:
    """Return what the same configurations say on other images."""
    made = transfer(values, name="search-on-twitter", data="twitter.parquet")
    info = get_confirmation(made)
    assert info is not None
    return info


def test_order_by_hand() -> None:
    """Of three pairs of configurations two keep their order; one that only one has is left out."""
    here = confirmed({"default": [0.3] * 3, "a": [0.1] * 3, "b": [0.2] * 3, "c": [0.4] * 3})
    there = elsewhere({"default": [0.3] * 3, "a": [0.2] * 3, "b": [0.1] * 3})
    assert same_order(here, there) == same_order(there, here) == (2, 3)


@given(
    st.lists(st.floats(0.01, 1), min_size=2, max_size=6, unique=True).flatmap(
        lambda means: st.tuples(st.just(means), st.permutations(means))
    )
)
@examples(max_examples=30, deadline=None)
def test_order_turned_round(means: tuple[list[float], list[float]]) -> None:
    """What is in the same order becomes what is not, if one order is reversed."""
    first, second = means
    names = ["default", *(f"trial {i}" for i in range(1, len(first)))]
    here = confirmed({name: [mean] * 3 for name, mean in zip(names, first, strict=True)})
    there = elsewhere({name: [mean] * 3 for name, mean in zip(names, second, strict=True)})
    back = elsewhere({name: [1.1 - mean] * 3 for name, mean in zip(names, second, strict=True)})
    n_same, n_pairs = same_order(here, there)
    assert n_pairs == len(first) * (len(first) - 1) // 2
    assert same_order(here, back) == (n_pairs - n_same, n_pairs)
    assert same_order(here, here) == (n_pairs, n_pairs)


def test_other_images_in_words() -> None:
    """Where it was trained and whether the order holds is told; of a search's errors nothing."""
    here = confirmed({"default": BASE, "trial 7": BETTER})
    there = elsewhere({"default": BETTER, "trial 7": BASE})
    assert (here.other_data, there.other_data) == (None, "twitter.parquet")
    assert there.shrinkage is None
    text = " ".join(describe_confirmation(there, here))
    assert "trained on other images than the search's: twitter.parquet" in text
    assert (
        "0 of 1 pairs of configurations have mean errors in the order that they have on the "
        "search's own images, where trial 7 has the lowest." in text
    )
    alone = " ".join(describe_confirmation(there))
    assert "in the order" not in alone
    assert "other images" not in " ".join(describe_confirmation(here, here))
