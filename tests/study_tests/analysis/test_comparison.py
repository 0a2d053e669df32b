"""Comparisons of studies: known answers, laws of equal budgets, refusals and cautions."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from storage.records import StudyRecord, TrialRecord
from study.analysis.comparison import (
    PARTS,
    UNITS,
    BudgetCurve,
    ComparisonInfo,
    EqualBudget,
    PairComparison,
    describe_budget,
    get_comparison,
)
from study.figures import STUDY_COLORS, plot_best_distribution, plot_comparison
from tests.study_tests.synthetic import (
    SETTINGS,
    planted,
    planted_multitask,
    study,
    trial,
)

RANDOM = {**SETTINGS, "sampler": "random"}
N_SIMULATIONS = 40


def done(number: int, value: float, *, epochs: int = 10, **attrs: Any) -> TrialRecord:
    """Return a complete trial of so many epochs, a second each."""
    costs = {"epochs_run": epochs, "training_seconds": float(epochs)}
    return trial(number, value=value, attrs={**costs, **attrs})


def lost(number: int, *, epochs: int, state: TrialState = TrialState.PRUNED) -> TrialRecord:
    """Return a trial without a value."""
    costs = {"epochs_run": epochs, "training_seconds": float(epochs)}
    return trial(number, state=state, attrs=costs)


def named(name: str, *trials: TrialRecord) -> StudyRecord:
    """Return a study of a random search."""
    return study(*trials, name=name, settings=RANDOM)


def of_values(name: str, values: Iterable[float], *, epochs: int = 10) -> StudyRecord:
    """Return a study of complete trials of equal cost."""
    return named(name, *(done(i, float(v), epochs=epochs) for i, v in enumerate(values)))


def drawn(name: str, n: int, *, seed: int, shift: float = 0.0) -> StudyRecord:
    """Return a study of trials, every third of them pruned early, with log-normal errors."""
    rng = np.random.default_rng(seed)
    return named(
        name,
        *(
            lost(i, epochs=int(rng.integers(1, 10)))
            if i % 3 == 2
            else done(i, float(rng.lognormal(shift)), epochs=int(rng.choice([20, 40])))
            for i in range(n)
        ),
    )


def budget_of(info: ComparisonInfo, unit: str) -> EqualBudget:
    """Return the comparison in a unit."""
    return info.budgets[UNITS.index(unit)]


def curve_of(info: ComparisonInfo, unit: str, name: str) -> BudgetCurve:
    """Return the curve of a study."""
    return next(curve for curve in budget_of(info, unit).curves if curve.study == name)


def at_all(info: ComparisonInfo, unit: str) -> PairComparison:
    """Return the only pair at the whole budget."""
    return budget_of(info, unit).pairs[-1]


@pytest.fixture(scope="module")
def pair() -> ComparisonInfo:
    """Two studies with pruned and failed trials, the second half as long."""
    return get_comparison([planted(80), replace(planted(40, seed=1), name="other")])


def test_the_best_of_n_trials_is_that_of_all_tuples() -> None:
    """With five trials, medians, bands and means are those of all draws with replacement."""
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    info = get_comparison([of_values("a", values), of_values("b", values[::-1])])
    curve = curve_of(info, "trials", "a")
    assert [point.budget for point in curve.points] == [1, 2, 3, 4, 5]
    for n, point in enumerate(curve.points, start=1):
        best = [min(chosen) for chosen in itertools.product(values, repeat=n)]
        expected = [np.quantile(best, q, method="inverted_cdf") for q in (0.05, 0.5, 0.95)]
        assert [point.low, point.median, point.high] == expected
        assert point.expected == pytest.approx(np.mean(best))
        assert point.share_found == 1


def test_probabilities_count_all_pairs_and_half_the_ties() -> None:
    """The probability of the lower best is that of all pairs of draws."""
    first, second = [1.0, 4.0, 4.0, 6.0, 7.0], [2.0, 4.0, 5.0, 6.0, 8.0]
    info = get_comparison([of_values("a", first), of_values("b", second)])
    for found in budget_of(info, "trials").pairs:
        n = round(found.budget)
        if n > 2:
            continue
        best_a = [min(chosen) for chosen in itertools.product(first, repeat=n)]
        best_b = [min(chosen) for chosen in itertools.product(second, repeat=n)]
        wins = [(a < b) + (a == b) / 2 for a in best_a for b in best_b]
        assert found.probability == pytest.approx(np.mean(wins))
        assert found.low <= found.probability <= found.high


@given(
    first=st.lists(st.integers(1, 6), min_size=5, max_size=9),
    second=st.lists(st.integers(1, 6), min_size=5, max_size=9),
    cost=st.integers(1, 20),
)
@examples(deadline=None, max_examples=25)
def test_laws(first: list[int], second: list[int], cost: int) -> None:
    """Medians fall, the order of the studies is turned with them, and equal costs are one unit."""
    a, b = of_values("a", first, epochs=cost), of_values("b", second, epochs=cost)
    info = get_comparison([a, b], n_bootstrap=50)
    turned = get_comparison([b, a], n_bootstrap=50)
    for unit in UNITS:
        for name in "ab":
            curve = curve_of(info, unit, name)
            assert curve == curve_of(turned, unit, name)
            for field in ("low", "median", "high"):
                values = [getattr(point, field) for point in curve.points]
                assert values == sorted(values, reverse=True)
        for one, other in zip(
            budget_of(info, unit).pairs, budget_of(turned, unit).pairs, strict=True
        ):
            assert one.probability == pytest.approx(1 - other.probability)
            assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low))
            assert one.better == other.better
    trials, epochs = at_all(info, "trials"), at_all(info, "epochs")
    assert epochs.budget == cost * trials.budget
    assert epochs.probability == pytest.approx(trials.probability)


def test_three_studies_may_stand_in_any_order() -> None:
    """Curves are the studies' own; every pair is compared at every part of the budget."""
    records = [drawn(name, 30, seed=i) for i, name in enumerate("abc")]
    info = get_comparison(records, n_bootstrap=60)
    turned = get_comparison(records[::-1], n_bootstrap=60)
    assert turned.studies == info.studies[::-1]
    for unit in UNITS:
        assert budget_of(turned, unit).curves == budget_of(info, unit).curves[::-1]
        pairs = budget_of(info, unit).pairs
        assert len(pairs) == 3 * len(PARTS)
        assert {(p.first, p.second) for p in pairs} == {("a", "b"), ("a", "c"), ("b", "c")}


def test_medians_fall_with_the_budget(pair: ComparisonInfo) -> None:
    """In every unit, also where searches are drawn one by one, a larger budget is no worse."""
    for found in pair.budgets:
        for curve in found.curves:
            medians = [math.inf if p.median is None else p.median for p in curve.points]
            assert medians == sorted(medians, reverse=True)
            shares = [point.share_found for point in curve.points]
            assert shares == sorted(shares)


def test_budgets_are_what_trials_spent(pair: ComparisonInfo) -> None:
    """Finished trials, epochs and seconds of every trial; nothing beyond the smaller study."""
    records = {"planted": planted(80), "other": planted(40, seed=1)}
    for name, record in records.items():
        epochs = sum(t.user_attrs["epochs_run"] for t in record.trials)
        assert curve_of(pair, "trials", name).total == sum(t.finished for t in record.trials)
        assert curve_of(pair, "epochs", name).total == epochs
        assert curve_of(pair, "seconds", name).total == pytest.approx(2.5 * epochs)
    for found in pair.budgets:
        assert found.limiting == "other"
        last = {curve.points[-1].budget for curve in found.curves}
        assert last == {found.total}
        assert found.total == min(curve.total for curve in found.curves)


def test_pruned_and_failed_trials_spend_their_epochs() -> None:
    """The same errors cost twice the epochs where other trials ran for nothing."""
    values = np.arange(1.0, 21.0)
    clean = of_values("clean", values)
    wasted = [lost(20 + i, epochs=5) for i in range(20)]
    wasted += [lost(40 + i, epochs=5, state=TrialState.FAIL) for i in range(20)]
    messy = named("messy", *clean.trials, *wasted)
    info = get_comparison([clean, messy], n_resamples=5000)
    assert curve_of(info, "trials", "messy").total == 40
    assert curve_of(info, "epochs", "messy").total == 400
    assert curve_of(info, "epochs", "messy").drawn
    assert not curve_of(info, "epochs", "clean").drawn
    found = at_all(info, "epochs")
    assert found.budget == 200
    # A third of the messy draws takes 2 of 40 units and has an error, the others take 1.
    chances = np.zeros((41, 22))  # of having spent so many units on so many errors
    chances[0, 0] = 1
    n_errors = np.zeros(22)
    for units in range(41):
        for n in range(21):
            if units + 2 <= 40:
                chances[units + 2, n + 1] += chances[units, n] / 3
            else:
                n_errors[n] += chances[units, n] / 3
            if units + 1 <= 40:
                chances[units + 1, n] += chances[units, n] * 2 / 3
            else:
                n_errors[n] += chances[units, n] * 2 / 3
    best = [sum((i / 20) ** n for i in range(1, 21)) for n in range(22)]
    n_clean = curve_of(info, "epochs", "clean").points[-1]
    n_messy = curve_of(info, "epochs", "messy").points[-1]
    assert n_errors.sum() == pytest.approx(1)
    assert n_clean.expected == pytest.approx(best[20])
    assert n_messy.expected == pytest.approx(n_errors @ best, rel=0.05)
    assert found.probability > 0.6


def test_drawn_searches_are_those_of_a_plain_loop() -> None:
    """Drawing trial by trial until the next one does not fit gives the same medians and shares."""
    record = drawn("a", 30, seed=3)
    info = get_comparison([record, drawn("b", 30, seed=4)], n_resamples=4000)
    curve = curve_of(info, "epochs", "a")
    assert curve.drawn
    rng = np.random.default_rng(0)
    costs = np.asarray([t.user_attrs["epochs_run"] for t in record.trials])
    values = np.asarray([math.inf if t.value is None else t.value for t in record.trials])
    for point in curve.points[:: len(curve.points) // 3]:
        best = []
        for _ in range(4000):
            spent, lowest = 0, math.inf
            while spent <= point.budget:
                i = int(rng.integers(len(costs)))
                spent += int(costs[i])
                if spent <= point.budget:
                    lowest = min(lowest, float(values[i]))
            best.append(lowest)
        assert point.share_found == pytest.approx(np.isfinite(best).mean(), abs=0.03)
        if point.median is not None:
            assert np.mean(np.asarray(best) < point.median) <= 0.53
            assert np.mean(np.asarray(best) <= point.median) >= 0.47


def test_long_searches_are_computed_like_drawn_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a budget buys some thirty trials, their average number says as much as drawing."""
    records = [drawn(name, 90, seed=i) for i, name in enumerate("ab")]
    literal = get_comparison(records, n_resamples=6000, n_bootstrap=10)
    monkeypatch.setattr("study.analysis.comparison.MAX_DRAWS", 0)
    average = get_comparison(records, n_bootstrap=10)
    for one, other in zip(
        budget_of(literal, "epochs").pairs[1:], budget_of(average, "epochs").pairs[1:], strict=True
    ):
        assert one.probability == pytest.approx(other.probability, abs=0.02)
    assert curve_of(literal, "epochs", "a").drawn
    assert not curve_of(average, "epochs", "a").drawn


@pytest.mark.whole
@pytest.mark.parametrize("unit", ["trials", "epochs"])
def test_equal_studies_are_seldom_told_apart(unit: str) -> None:
    """Of simulated pairs from one distribution few are told apart, whatever the budget."""
    told = np.zeros(len(PARTS))
    for i in range(N_SIMULATIONS):
        info = get_comparison(
            [drawn("a", 40, seed=2 * i), drawn("b", 40, seed=2 * i + 1)],
            n_resamples=100,
            n_bootstrap=150,
        )
        told += [pair.better is not None for pair in budget_of(info, unit).pairs]
    assert (told <= 0.2 * N_SIMULATIONS).all()


def test_a_better_study_is_told() -> None:
    """Errors three times lower are seen in nearly all simulated pairs."""
    better = 0
    for i in range(10):
        info = get_comparison(
            [drawn("a", 60, seed=2 * i, shift=-2.0), drawn("b", 60, seed=2 * i + 1)],
            n_resamples=100,
            n_bootstrap=150,
        )
        found = budget_of(info, "epochs").pairs[0]
        assert found.probability > 0.5
        better += found.better == "a"
        assert (found.better == "a") == ("“a” is better at equal budget" in found.verdict)
    assert better >= 8


def test_what_says_nothing_is_said_to() -> None:
    """Five trials each leave everything open."""
    info = get_comparison([of_values("a", [1, 4, 5, 8, 9]), of_values("b", [2, 3, 6, 7, 10])])
    assert at_all(info, "trials").verdict == "it cannot be told which is better"
    same = [of_values(name, np.linspace(1, 2, 400)) for name in "ab"]
    found = budget_of(get_comparison(same), "trials").pairs[0]
    assert found.verdict == "there is no evidence of a difference"
    assert found.probability == pytest.approx(0.5)


def test_a_study_with_too_few_trials_is_left_out() -> None:
    """Infeasible and infinite errors do not count; the others are compared without it."""
    few = named(
        "few",
        *(done(i, 1.0 + i) for i in range(4)),
        done(4, math.inf),
        done(5, math.nan),
        done(6, 0.1, infeasible=True),
    )
    records = [few, drawn("a", 30, seed=0), drawn("b", 30, seed=1)]
    info = get_comparison(records, n_bootstrap=20)
    assert info.refusals == (
        "“few” is left out of the comparison at equal budget: it needs at least 5 complete "
        "trials with a finite error that keep its constraint, and has 4.",
    )
    assert {curve.study for curve in budget_of(info, "trials").curves} == {"a", "b"}
    alone = get_comparison(records[:2])
    assert alone.budgets == ()
    assert alone.primary is None
    assert alone.studies[0].n_candidates == 4
    assert alone.studies[0].summary.best is few.trials[0]


def test_infeasible_trials_are_no_candidates() -> None:
    """They spend their budget; the lowest error of all is not found."""
    kept = of_values("kept", range(1, 11))
    broken = named("broken", *kept.trials, done(10, 0.01, infeasible=True))
    info = get_comparison([kept, broken])
    assert curve_of(info, "trials", "broken").total == 11
    assert curve_of(info, "trials", "broken").points[-1].low == 1
    assert info.cautions == (
        "1 complete trial of “broken” breaks the constraint and spends its budget, but cannot be "
        "the best.",
    )


def test_unknown_costs_are_no_budget() -> None:
    """Imported trials know their epochs, by their parameter, but not their time."""
    imported = study(
        *(trial(i, value=1.0 + i, params={"epoch": 20}) for i in range(8)),
        name="old",
        settings={**SETTINGS, "sampler": "imported", "data_fingerprint": "imported"},
    )
    info = get_comparison([imported, drawn("new", 30, seed=0)])
    assert curve_of(info, "epochs", "old").total == 160
    assert info.primary is budget_of(info, "epochs")
    assert budget_of(info, "seconds").refusal == (
        "There is no common budget in seconds: “old” does not store the training time of every "
        "trial."
    )
    unknown = study(*(trial(i, value=1.0 + i) for i in range(8)), name="bare")
    info = get_comparison([unknown, drawn("new", 30, seed=0)])
    assert budget_of(info, "epochs").refusal is not None
    assert info.primary is budget_of(info, "trials")


def test_a_budget_below_one_trial_is_none() -> None:
    """A study whose whole search is shorter than one trial of the other is not compared."""
    short, long = of_values("short", range(1, 7)), of_values("long", range(1, 7), epochs=100)
    info = get_comparison([short, long])
    assert budget_of(info, "epochs").refusal == (
        "There is no common budget in epochs: all of “short” took 60 epochs, less than a complete "
        "trial of “long” usually takes, 100 epochs."
    )
    assert budget_of(info, "trials").refusal is None


def test_answers_from_stored_curves_cost_a_training() -> None:
    """A search that draws such a trial would have had to train it."""
    own = [done(i, 1.0 + i) for i in range(8)]
    curve = tuple([2.0] * 10)
    copied = trial(
        8,
        value=2.0,
        curve=curve,
        attrs={"epochs_run": 0, "training_seconds": 0.0, "reused_from": 1},
    )
    info = get_comparison([named("a", *own, copied), of_values("b", range(1, 20))])
    assert curve_of(info, "epochs", "a").total == 90
    assert curve_of(info, "seconds", "a").total == pytest.approx(90)


def test_running_and_waiting_trials_are_left_out() -> None:
    """Neither spends nor finds anything."""
    values = list(range(1, 9))
    waiting = [trial(8, state=TrialState.RUNNING), trial(9, state=TrialState.WAITING)]
    info = get_comparison(
        [named("a", *of_values("a", values).trials, *waiting), of_values("b", values)]
    )
    assert curve_of(info, "trials", "a").total == 8
    assert info.studies[0].count(TrialState.RUNNING) == 1


@pytest.mark.parametrize("names", [["a"], ["a", "a"], []])
def test_studies_need_names_of_their_own(names: list[str]) -> None:
    """One study, or one twice, is no comparison."""
    with pytest.raises(ValueError, match="`records` must be two or more studies of different"):
        get_comparison([of_values(name, range(6)) for name in names])


def test_other_images_and_splits_are_cautions() -> None:
    """Fingerprints and the split of the errors decide whether errors compare."""
    first = drawn("a", 20, seed=0)
    elsewhere = study(
        *drawn("b", 20, seed=1).trials,
        name="b",
        settings={**RANDOM, "data_fingerprint": "fedcba"},
    )
    info = get_comparison([first, elsewhere], n_bootstrap=20)
    assert not info.comparable
    assert "differ, 0123456789abcdef in “a”, fedcba in “b”" in info.cautions[0]
    tested = [replace(t, user_attrs={**t.user_attrs, "measured_on": "test"}) for t in first.trials]
    info = get_comparison([first, named("t", *tested)], n_bootstrap=20)
    assert [side.measured_on for side in info.studies] == ["validation", "test"]
    assert not info.comparable
    assert "The split of the errors is validation in “a”, test in “t”." in info.cautions[0]
    assert get_comparison([first, drawn("c", 20, seed=2)], n_bootstrap=20).comparable


def test_extra_training_images_compare() -> None:
    """Studies whose own images and split are the same are judged on the same images."""
    one, two = (
        study(
            *drawn(name, 20, seed=seed).trials,
            name=name,
            settings={**RANDOM, "data_fingerprint": f"0123-4567{extra}", **vendors},
        )
        for seed, (name, extra, vendors) in enumerate(
            [("a", "", {}), ("b", "-89ab", {"vendors": ["google", "apple"]})]
        )
    )
    info = get_comparison([one, two], n_bootstrap=20)
    assert info.comparable
    assert [side.judged_on for side in info.studies] == ["0123-4567"] * 2
    (difference,) = info.settings
    assert (difference.name, difference.values) == ("vendors", ("–", "google, apple"))


def test_adaptive_unknown_and_other_searches_are_cautions() -> None:
    """Samplers, kinds, experiments and warm starts are said to limit what the numbers mean."""
    warm = named("warm", *(done(i, 1.0 + i, warm_start=f"old, trial {i}") for i in range(2)))
    chosen = replace(drawn("arms", 20, seed=0), user_attrs={"experiment": {}, "settings": RANDOM})
    records = [planted(40), planted_multitask(40), warm, chosen, study(name="empty")]
    text = " ".join(get_comparison(records, n_bootstrap=10).cautions)
    assert "chose trials by earlier results, TPE in “planted”, so they are no random" in text
    assert "How the trials of “empty” were chosen is unknown" in text
    assert "autoencoder in “planted”, multitask in “multitask”" in text
    assert "The trials of “arms” are chosen arms of an experiment" in text
    assert "2 trials of “warm” began with the best points of “old”" in text
    assert (
        "complete trials of “multitask” break the constraint and spend their budget, but" in text
    )


def test_what_differs_is_listed() -> None:
    """Ranges and settings that differ stand side by side, equal ones do not."""
    ranges = FloatDistribution(1e-4, 1e-1, log=True), CategoricalDistribution((0.01, 0.001))
    records = [
        study(
            *(
                replace(
                    trial(i, value=1.0, params={"learning_rate": 0.01, "epoch": 20}),
                    distributions={
                        "learning_rate": distribution,
                        "epoch": CategoricalDistribution((20,)),
                    },
                )
                for i in range(2)
            ),
            name=name,
            settings={**RANDOM, "seed": seed},
        )
        for seed, (name, distribution) in enumerate(zip("ab", ranges, strict=True))
    ]
    info = get_comparison([*records, study(name="empty")])
    assert [(d.name, d.values) for d in info.parameters] == [
        ("learning_rate", ("1e-4 to 0.1, log", "0.01, 1e-3", "–")),
        ("epoch", ("20", "20", "–")),
    ]
    both = get_comparison(records)
    assert [(d.name, d.values) for d in both.settings] == [("seed", ("0", "1"))]
    assert [d.name for d in both.parameters] == ["learning_rate"]


def test_nothing_changes_between_two_calls(pair: ComparisonInfo) -> None:
    """Equal studies, equal numbers."""
    again = get_comparison([planted(80), replace(planted(40, seed=1), name="other")])
    assert again == pair


def test_distributions_are_thinned_to_the_best() -> None:
    """A long study keeps its best errors, its worst, and the right shares."""
    values = np.random.default_rng(0).permutation(np.arange(1, 2001)) / 100
    info = get_comparison([of_values("a", values), of_values("b", [1.0] * 6)], n_bootstrap=5)
    points = info.studies[0].distribution
    assert len(points) <= 300
    assert points[:10] == tuple((i / 100, i / 2000) for i in range(1, 11))
    assert points[-1] == (20.0, 1.0)
    assert all(share == pytest.approx(error / 20) for error, share in points)
    assert {share for _, share in info.studies[1].distribution} == {1.0}
    assert info.studies[0].quantiles[3] == pytest.approx(np.median(values))


def test_budgets_are_written_with_their_unit() -> None:
    """As people say them."""
    assert describe_budget("trials", 1) == "1 trial"
    assert describe_budget("epochs", 1200.0) == "1,200 epochs"
    assert describe_budget("seconds", 90.0) == "1 min 30 s of training"


@pytest.mark.parametrize("unit", UNITS)
def test_chart_shows_medians_and_bands(pair: ComparisonInfo, unit: Any) -> None:
    """One line per study with its own colour and dash, a band, and logarithmic axes."""
    figure = plot_comparison(pair, unit)
    lines = [trace for trace in figure.data if trace.name]
    assert [line.name for line in lines] == ["planted", "other"]
    assert [line.line.color for line in lines] == list(STUDY_COLORS[:2])
    assert len({line.line.dash for line in lines}) == 2
    for line in lines:
        points = [p for p in curve_of(pair, unit, line.name).points if p.median is not None]
        assert list(line.x) == pytest.approx([p.budget for p in points], rel=1e-4)
        assert list(line.y) == pytest.approx([p.median for p in points], rel=1e-4)
    assert sum(trace.fill == "tonexty" for trace in figure.data) == 2
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")


def test_chart_of_the_distribution_is_a_step_line_per_study(pair: ComparisonInfo) -> None:
    """It rises to all trials, and shows names as text."""
    odd = replace(planted(40, seed=1), name="<b>odd</b>")
    figure = plot_best_distribution(get_comparison([planted(40), odd], n_bootstrap=5))
    assert [trace.name for trace in figure.data] == ["planted", "&lt;b&gt;odd&lt;/b&gt;"]
    assert all(trace.y[-1] == 1 and trace.line.shape == "hv" for trace in figure.data)
    empty = plot_best_distribution(get_comparison([study(name="a"), study(name="b")]))
    assert all(len(trace.x) == 0 for trace in empty.data)
