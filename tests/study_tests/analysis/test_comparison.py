"""Comparisons of studies: known answers, laws of equal budgets, refusals and cautions."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
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
    UNITS,
    BudgetCurve,
    ComparisonInfo,
    describe_budget,
    get_comparison,
)
from study.figures.comparisons import STUDY_COLORS, plot_best_distribution, plot_comparison
from tests.study_tests.synthetic import (
    EXPERIMENT,
    SETTINGS,
    planted,
    planted_multitask,
    study,
    trial,
)

RANDOM = {**SETTINGS, "sampler": "random"}


def done(number: int, value: float | None, *, epochs: int = 10, **attrs: Any) -> TrialRecord:
    """Return a trial of so many epochs, a second each; one without a value was pruned."""
    costs = {"epochs_run": epochs, "training_seconds": float(epochs)}
    state = TrialState.PRUNED if value is None else TrialState.COMPLETE
    return trial(number, state=state, value=value, attrs={**costs, **attrs})


def named(name: str, *trials: TrialRecord, **settings: Any) -> StudyRecord:
    """Return a study of a random search."""
    return study(*trials, name=name, settings={**RANDOM, **settings})


def of_values(name: str, values: Iterable[float], *, epochs: int = 10) -> StudyRecord:
    """Return a study of complete trials of equal cost."""
    return named(name, *(done(i, float(v), epochs=epochs) for i, v in enumerate(values)))


def drawn(name: str, n: int, *, seed: int, shift: float = 0.0, **settings: Any) -> StudyRecord:
    """Return a study of trials, every third of them pruned early, with log-normal errors."""
    rng = np.random.default_rng(seed)
    trials = (
        done(i, None, epochs=int(rng.integers(1, 10)))
        if i % 3 == 2
        else done(i, float(rng.lognormal(shift)), epochs=int(rng.choice([20, 40])))
        for i in range(n)
    )
    return named(name, *trials, **settings)


def curve_of(info: ComparisonInfo, unit: Any, name: str) -> BudgetCurve:
    """Return the curve of a study."""
    return next(curve for curve in info.budgets[unit].curves if curve.study == name)


RECORDS = planted(80), replace(planted(40, seed=1), name="other")


@cache
def pair() -> ComparisonInfo:
    """Return the comparison of two studies with pruned and failed trials."""
    return get_comparison(RECORDS)


def test_the_best_of_n_trials_is_that_of_all_tuples() -> None:
    """Medians, bands, means and probabilities are those of all draws with replacement."""
    first, second = [1.0, 4.0, 4.0, 6.0, 7.0], [2.0, 4.0, 5.0, 6.0, 8.0]
    info = get_comparison([of_values("a", first[::-1]), of_values("b", second)])
    curve = curve_of(info, "trials", "a")
    assert not curve.drawn
    assert [point.budget for point in curve.points] == [1, 2, 3, 4, 5]
    best_of = [
        [[min(chosen) for chosen in itertools.product(values, repeat=n)] for n in range(1, 6)]
        for values in (first, second)
    ]
    for point, best in zip(curve.points, best_of[0], strict=True):
        expected = [np.quantile(best, q, method="inverted_cdf") for q in (0.05, 0.5, 0.95)]
        assert [point.low, point.median, point.high] == expected
        assert (point.expected, point.share_found) == (pytest.approx(np.mean(best)), 1)
    few = [pair for pair in info.budgets["trials"].pairs if round(pair.budget) < 3]
    assert few
    for found in few:  # half of the ties count
        both = (best[round(found.budget) - 1] for best in best_of)
        wins = [(a < b) + (a == b) / 2 for a, b in itertools.product(*both)]
        assert found.probability == pytest.approx(np.mean(wins))
        assert found.interval.low <= found.probability <= found.interval.high


VALUES = st.lists(st.integers(1, 6), min_size=5, max_size=9)


@given(first=VALUES, second=VALUES, cost=st.integers(1, 20))
@examples(max_examples=20)
def test_laws(first: list[int], second: list[int], cost: int) -> None:
    """Medians fall, the order of the studies turns with them, and equal costs are one unit."""
    a, b = of_values("a", first, epochs=cost), of_values("b", second, epochs=cost)
    info, turned = (get_comparison(records, n_bootstrap=50) for records in ([a, b], [b, a]))
    assert turned.studies == info.studies[::-1]
    for mine, theirs in zip(info.budgets.values(), turned.budgets.values(), strict=True):
        assert mine.curves == theirs.curves[::-1]
        for curve, field in itertools.product(mine.curves, ("low", "median", "high")):
            values = [getattr(point, field) for point in curve.points]
            assert values == sorted(values, reverse=True)
        for one, other in zip(mine.pairs, theirs.pairs, strict=True):
            assert one.probability == pytest.approx(1 - other.probability)
            assert one.interval == pytest.approx((1 - other.interval.high, 1 - other.interval.low))
            assert one.better == other.better
    trials, epochs = (info.budgets[unit].pairs[-1] for unit in ("trials", "epochs"))
    assert epochs.budget == cost * trials.budget
    assert epochs.probability == pytest.approx(trials.probability)


def test_budgets_are_what_trials_spent() -> None:
    """All trials count, answered ones as trained, but none beyond the smaller study."""
    for record in RECORDS:
        epochs = sum(t.user_attrs["epochs_run"] for t in record.trials)
        n_trials = sum(t.finished for t in record.trials)
        totals = [curve_of(pair(), unit, record.name).total for unit in UNITS]
        assert totals == pytest.approx([n_trials, epochs, 2.5 * epochs])
    for found in pair().budgets.values():
        assert found.limiting == "other"
        least = min(curve.total for curve in found.curves)
        assert {curve.points[-1].budget for curve in found.curves} == {least}
    copied = done(8, 2.0, epochs=0, reused_from=1)
    copied = replace(copied, intermediate_values=dict.fromkeys(range(10), 2.0))
    own = named("a", *(done(i, 1.0 + i) for i in range(8)), copied)
    info = get_comparison([own, of_values("b", range(1, 20))])
    assert [curve_of(info, unit, "a").total for unit in UNITS] == pytest.approx([9, 90, 90])


def test_drawn_searches_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Medians, shares and means are those of drawing until the next trial does not fit."""
    record = drawn("a", 30, seed=3)
    info = get_comparison([record, drawn("b", 30, seed=4)], n_resamples=4000)
    curve = curve_of(info, "epochs", "a")
    rng = np.random.default_rng(0)
    costs = np.asarray([t.user_attrs["epochs_run"] for t in record.trials])
    values = np.asarray([math.inf if t.value is None else t.value for t in record.trials])
    for point in (curve.points[len(curve.points) // 2], curve.points[-1]):
        chosen = rng.integers(len(costs), size=(4000, int(point.budget) + 1))
        fitting = costs[chosen].cumsum(axis=1) <= point.budget
        best = np.where(fitting, values[chosen], math.inf).min(axis=1)
        assert point.share_found == pytest.approx(np.isfinite(best).mean(), abs=0.03)
        assert np.mean(best < point.median) <= 0.53
        assert np.mean(best <= point.median) >= 0.47
    assert point.expected == pytest.approx(best[np.isfinite(best)].mean(), rel=0.05)
    records = [drawn(name, 90, seed=i) for i, name in enumerate("ab")]
    literal = get_comparison(records, n_resamples=6000, n_bootstrap=10)
    monkeypatch.setattr("study.analysis.comparison.MAX_DRAWS", 0)
    average = get_comparison(records, n_bootstrap=10)
    found, computed = (info.budgets["epochs"].pairs[1:] for info in (literal, average))
    for one, other in zip(found, computed, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=0.02)
    drew = [curve_of(info, "epochs", "a").drawn for info in (literal, average)]
    assert drew == [True, False]


def test_what_is_told_apart() -> None:
    """Studies of which one is far better are, not those that may differ by chance alone."""
    records = [drawn("a", 60, seed=0, shift=-2.0), drawn("b", 60, seed=1)]
    found = get_comparison(records, n_bootstrap=150).budgets["epochs"].pairs[0]
    assert (found.better, found.probability > 0.5) == ("a", True)
    assert "“a” is better at equal budget" in found.verdict
    few = [of_values("a", [1, 4, 5, 8, 9]), of_values("b", [2, 3, 6, 7, 10])]
    verdict = get_comparison(few).budgets["trials"].pairs[-1].verdict
    assert verdict == "it cannot be told which is better"
    info = get_comparison([of_values(name, np.linspace(1, 2, 400)) for name in "ab"])
    found = info.budgets["trials"].pairs[0]
    assert found.verdict == "there is no evidence of a difference"
    assert found.probability == pytest.approx(0.5)
    # Of the errors of a long study the best and the worst are kept, with the right shares.
    (first, *_, last), values = info.studies[0].distribution, np.linspace(1, 2, 400)
    assert (first, last) == ((1, 1 / 400), (2, 1))
    assert 10 < len(info.studies[0].distribution) <= 300
    for error, share in info.studies[0].distribution:
        assert share == np.mean(values <= error)
    assert info.studies[0].quantiles[3] == pytest.approx(1.5)


def test_a_study_with_too_few_trials_is_left_out() -> None:
    """Infeasible and infinite errors do not count, but spend their budget."""
    odd = done(4, math.inf), done(5, math.nan), done(6, 0.1, infeasible=True)
    few = named("few", *(done(i, 1.0 + i) for i in range(4)), *odd)
    records = [few, drawn("a", 30, seed=0), drawn("b", 30, seed=1)]
    info = get_comparison(records, n_bootstrap=20)
    (refusal,) = info.refusals
    assert refusal.startswith("“few” is left out of the comparison at equal budget: it needs at")
    assert refusal.endswith("a finite error that keep its constraint, and has 4.")
    alone = get_comparison(records[:2])
    assert (alone.budgets, alone.primary, alone.studies[0].n_candidates) == ({}, None, 4)
    assert alone.studies[0].summary.best is few.trials[0]
    kept = of_values("kept", range(1, 11))
    waiting = [trial(11, state=TrialState.RUNNING), trial(12, state=TrialState.WAITING)]
    broken = named("broken", *kept.trials, done(10, 0.01, infeasible=True), *waiting)
    info = get_comparison([kept, broken])
    curve = curve_of(info, "trials", "broken")
    assert (curve.total, curve.points[-1].low) == (11, 1)
    assert info.studies[1].summary.by_state[TrialState.RUNNING] == 1
    (caution,) = info.cautions
    assert caution.startswith("1 complete trial of “broken” breaks the constraint and spends")


def test_what_is_no_budget() -> None:
    """Unknown costs are none, nor is less than a trial; one study alone is no comparison."""
    new = drawn("new", 30, seed=0)
    trials = [trial(i, value=1.0 + i, params={"epoch": 20}) for i in range(8)]
    old = named("old", *trials, sampler="imported", data_fingerprint="imported")
    info = get_comparison([old, new])
    assert curve_of(info, "epochs", "old").total == 160
    assert info.primary is info.budgets["epochs"]
    words = "no common budget in seconds: “old” does not store the training time of every trial."
    assert words in info.budgets["seconds"].refusal
    info = get_comparison([study(*(trial(i, value=1.0 + i) for i in range(8)), name="bare"), new])
    assert info.budgets["epochs"].refusal is not None
    assert info.primary is info.budgets["trials"]
    short, long = of_values("short", range(1, 7)), of_values("long", range(1, 7), epochs=100)
    info = get_comparison([short, long])
    assert "all of “short” took 60 epochs, less than a complete" in info.budgets["epochs"].refusal
    budgets = (("trials", 1), ("epochs", 1200.0), ("seconds", 90.0))
    assert [describe_budget(unit, budget) for unit, budget in budgets] == [
        *("1 trial", "1,200 epochs", "1 min 30 s of training")
    ]


def test_other_images_and_splits_are_cautions() -> None:
    """Fingerprints of own images and the split of the errors decide whether errors compare."""
    first = drawn("a", 20, seed=0, data_fingerprint="0123-4567")
    tested = [replace(t, user_attrs={**t.user_attrs, "measured_on": "test"}) for t in first.trials]
    other = drawn("b", 20, seed=1, data_fingerprint="fedcba")
    split = named("t", *tested, data_fingerprint="0123-4567")
    for second, words in (
        (other, "differ, 0123-4567 in “a”, fedcba in “b”"),
        (split, "The split of the errors is validation in “a”, test in “t”."),
    ):
        info = get_comparison([first, second], n_bootstrap=20)
        assert not info.comparable
        assert words in info.cautions[0]
    # Extra training images make no difference.
    vendors = {"data_fingerprint": "0123-4567-89ab", "vendors": ["google", "apple"]}
    info = get_comparison([first, drawn("b", 20, seed=1, **vendors)], n_bootstrap=20)
    assert info.comparable
    assert [side.judged_on for side in info.studies] == ["0123-4567"] * 2
    assert info.settings == {"vendors": ("–", "google, apple")}


def test_adaptive_unknown_and_other_searches_are_cautions() -> None:
    """Samplers, kinds, experiments and warm starts are said to limit what the numbers mean."""
    warm = named("warm", *(done(i, 1.0 + i, warm_start=f"old, trial {i}") for i in range(2)))
    arms = {"experiment": EXPERIMENT, "settings": RANDOM}
    chosen = replace(drawn("arms", 20, seed=0), user_attrs=arms)
    records = [planted(40), planted_multitask(40), warm, chosen, study(name="empty")]
    text = " ".join(get_comparison(records, n_bootstrap=10).cautions)
    for words in (
        "chose trials by earlier results, TPE in “planted”, so they are no random",
        "How the trials of “empty” were chosen is unknown",
        "autoencoder in “planted”, multitask in “multitask”",
        "The trials of “arms” are chosen arms of an experiment",
        "2 trials of “warm” began with the best points of “old”",
        "complete trials of “multitask” break the constraint and spend their budget, but",
    ):
        assert words in text


def test_what_differs_is_listed() -> None:
    """Ranges and settings that differ stand side by side, equal ones do not."""
    ranges = FloatDistribution(1e-4, 1e-1, log=True), CategoricalDistribution((0.01, 0.001))
    records = []
    for seed, (name, distribution) in enumerate(zip("ab", ranges, strict=True)):
        own = {"learning_rate": distribution, "epoch": CategoricalDistribution((20,))}
        one = trial(0, value=1.0, params={"learning_rate": 0.01, "epoch": 20})
        records.append(named(name, replace(one, distributions=own), seed=seed))
    info = get_comparison([*records, study(name="empty")])
    assert info.parameters == {
        "learning_rate": ("1e-4 to 0.1, log", "0.01, 1e-3", "–"),
        "epoch": ("20", "20", "–"),
    }
    both = get_comparison(records)
    assert both.settings == {"seed": ("0", "1")}
    assert list(both.parameters) == ["learning_rate"]


def test_chart_shows_medians_and_bands() -> None:
    """A study has a line of its own colour and dash in a band, and a step line that rises to 1."""
    figure = plot_comparison(pair(), "epochs")
    lines = [trace for trace in figure.data if trace.name]
    assert [line.line.color for line in lines] == list(STUDY_COLORS[:2])
    assert len({line.line.dash for line in lines}) == 2
    for line, name in zip(lines, ("planted", "other"), strict=True):
        points = [p for p in curve_of(pair(), "epochs", name).points if p.median is not None]
        assert line.name == name
        assert list(line.x) == pytest.approx([p.budget for p in points], rel=1e-4)
        assert list(line.y) == pytest.approx([p.median for p in points], rel=1e-4)
    assert sum(trace.fill == "tonexty" for trace in figure.data) == 2
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")
    odd = replace(pair(), studies=(replace(pair().studies[1], name="<b>"),))
    (line,) = plot_best_distribution(odd).data
    assert (line.name, line.y[-1], line.line.shape) == ("&lt;b&gt;", 1, "hv")
