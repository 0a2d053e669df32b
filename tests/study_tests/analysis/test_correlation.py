"""Correlations, groups, partial correlations and their certainty, on studies of known answers."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from scipy import stats

from storage.records import Scalar, StudyRecord, TrialRecord
from study.analysis.correlation import (
    CategoricalEffect,
    Coefficient,
    CorrelationsInfo,
    ParameterCorrelation,
    get_correlations,
    independent_trials,
    percentile_interval,
    resampled_correlations,
)
from tests.study_tests.synthetic import SETTINGS, START, study, trial

N_SIMULATIONS = 250


def record(
    values: Sequence[float],
    *,
    sampler: str = "random",
    **columns: Sequence[Scalar],
) -> StudyRecord:
    """Return a study of complete trials with these values and parameters.

    Args:
        values: Of the objective.
        sampler: Its name.
        columns: The values of each parameter; None where a trial lacks it.
    """
    trials = []
    for i, value in enumerate(values):
        params = {name: column[i] for name, column in columns.items() if column[i] is not None}
        trials.append(
            replace(
                trial(i, value=float(value)),
                params=params,
                distributions={name: distribution(columns[name]) for name in params},
            )
        )
    return study(*trials, settings={**SETTINGS, "sampler": sampler})


def distribution(column: Sequence[Scalar]) -> FloatDistribution | CategoricalDistribution:
    """Return a range that holds the values of a parameter."""
    values = [value for value in column if value is not None]
    if any(isinstance(value, str | bool) for value in values):
        return CategoricalDistribution(tuple(dict.fromkeys(values)))
    return FloatDistribution(-1e9, 1e9)


def parameters(info: CorrelationsInfo) -> dict[str, ParameterCorrelation]:
    """Return the ordered parameters of the only family."""
    (family,) = info.families
    return {p.name: p for p in family.parameters}


def effects(info: CorrelationsInfo) -> dict[str, CategoricalEffect]:
    """Return the unordered parameters of the only family."""
    (family,) = info.families
    return {effect.name: effect for effect in family.categorical}


def noise(n: int, *, seed: int = 0, n_columns: int = 1) -> np.ndarray:
    """Return standard normal numbers, shape ``(n_columns, n)``."""
    return np.random.default_rng(seed).normal(size=(n_columns, n))


def test_a_monotone_parameter_has_a_perfect_rank_correlation() -> None:
    """Its coefficient and interval are 1, while the linear one falls short."""
    x = np.linspace(0, 10, 40)
    p = parameters(get_correlations(record(np.exp(x), x=list(x))))["x"]
    assert p.spearman.value == pytest.approx(1)
    assert (p.spearman.low, p.spearman.high) == pytest.approx((1, 1))
    assert p.pearson.value == pytest.approx(np.corrcoef(x, np.exp(x))[0, 1])
    assert p.pearson.value is not None
    assert p.pearson.low is not None
    assert p.pearson.high is not None
    assert p.pearson.low < p.pearson.value < 0.9
    assert p.pearson.value < p.pearson.high


def test_an_interval_of_independent_columns_holds_zero_and_shrinks() -> None:
    """Four times the trials halve it."""
    lengths = []
    for n in (100, 400):
        x, y = noise(n, seed=1, n_columns=2)
        p = parameters(get_correlations(record(y, x=list(x))))["x"]
        assert p.spearman.low is not None
        assert p.spearman.high is not None
        assert p.spearman.low < 0 < p.spearman.high
        lengths.append(p.spearman.high - p.spearman.low)
    assert lengths[0] / lengths[1] == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("levels", [None, 4, 2])
def test_resamples_are_ranked_anew(levels: int | None) -> None:
    """Each resample's coefficients are those that SciPy finds in the trials it holds."""
    n, n_resamples, seed = 30, 25, 7
    x, y = noise(n, n_columns=2)
    if levels is not None:
        x, y = np.floor(levels * stats.norm.cdf(x)), np.round(y, 1)
    linear, rank = resampled_correlations(x[None], y, n_resamples=n_resamples, seed=seed)
    drawn = np.random.default_rng(seed).integers(0, n, size=(n, n_resamples))
    for i in range(n_resamples):
        chosen = drawn[:, i]
        assert rank[0, i] == pytest.approx(stats.spearmanr(x[chosen], y[chosen]).statistic)
        assert linear[0, i] == pytest.approx(stats.pearsonr(x[chosen], y[chosen]).statistic)


def test_resamples_do_not_depend_on_the_size_of_their_portions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All resamples are there, each with numbers of its own, also in several portions."""
    x, y = noise(50, n_columns=2)
    monkeypatch.setattr("study.analysis.correlation._CHUNK", 350)
    linear, rank = resampled_correlations(x[None], y, n_resamples=30, seed=0)
    assert linear.shape == rank.shape == (1, 30)
    assert len(set(linear[0])) == len(set(rank[0])) == 30


def test_a_resample_without_variation_has_no_coefficient() -> None:
    """A parameter that differs in one trial is constant in every third resample."""
    x = np.zeros(40)
    x[3] = 1
    linear, rank = resampled_correlations(x[None], noise(40)[0], n_resamples=600, seed=0)
    undefined = np.isnan(linear).mean()
    assert undefined == pytest.approx((1 - 1 / 40) ** 40, abs=0.06)
    assert (np.isnan(linear) == np.isnan(rank)).all()
    assert percentile_interval(rank[0]) == (None, None)
    p = parameters(get_correlations(record(noise(40)[0], x=list(x))))["x"]
    assert p.spearman.value is not None
    assert p.spearman.low is p.spearman.high is p.pearson.low is p.pearson.high is None


def test_an_interval_holds_the_middle_95_of_100_resamples() -> None:
    """Up to one in twenty may lack a coefficient, and the others are then all there are."""
    resampled = np.random.default_rng(0).permutation(np.arange(1001.0))
    assert percentile_interval(resampled) == (25, 975)
    some = np.append(resampled, [math.nan] * 50)
    assert percentile_interval(some) == (25, 975)
    assert percentile_interval(np.append(some, [math.nan] * 10)) == (None, None)


@pytest.mark.parametrize("n", [9, 10])
def test_fewer_than_ten_trials_have_no_interval(n: int) -> None:
    """From ten trials on there is one."""
    x, y = noise(n, n_columns=2)
    p = parameters(get_correlations(record(y, x=list(x))))["x"]
    assert (p.spearman.low is None) == (p.pearson.high is None) == (n < 10)
    assert p.spearman.value is not None


def test_three_trials_in_order_are_no_evidence() -> None:
    """The p-value of few trials counts permutations: two of six orders are as extreme."""
    p = parameters(get_correlations(record([1, 2, 3], x=[1.0, 2.0, 3.0])))["x"]
    assert p.spearman.value == pytest.approx(1)
    assert p.spearman.p == pytest.approx(1 / 3)


def test_the_p_value_of_six_trials_is_exact() -> None:
    """It is that of all 720 orders of the metric, ties included."""
    x, y = [1.0, 2.0, 2.0, 3.0, 5.0, 4.0], [3.0, 1.0, 5.0, 4.0, 6.0, 6.0]
    p = parameters(get_correlations(record(y, x=x)))["x"]
    ranks = stats.rankdata(x)
    products = [ranks @ order for order in itertools.permutations(stats.rankdata(y))]
    own = ranks @ stats.rankdata(y)
    assert p.spearman.p == pytest.approx(2 * np.mean(np.asarray(products) >= own - 1e-9))


@given(
    pairs=st.lists(
        st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=12, max_size=30
    ),
    power=st.sampled_from([1, 3]),
    shift=st.integers(-5, 5),
)
@examples(max_examples=40, deadline=None)
def test_monotone_maps_leave_all_of_spearman_alone(
    pairs: Sequence[tuple[int, int]], power: int, shift: int
) -> None:
    """Coefficient, interval and p-value are those of the ranks; a falling map turns the sign."""
    x = [float(a) for a, _ in pairs]
    y = [float(b) for _, b in pairs]
    before = parameters(get_correlations(record(y, x=x), n_resamples=40))["x"]
    mapped = [value**power + shift for value in x]
    after = parameters(get_correlations(record(y, x=mapped), n_resamples=40))["x"]
    for name in ("value", "low", "high", "p"):
        expected = pytest.approx(getattr(before.spearman, name), abs=1e-9)
        assert getattr(after.spearman, name) == expected, name
    assert after.partial == pytest.approx(before.partial, abs=1e-9)
    turned = parameters(get_correlations(record(y, x=[-v for v in mapped]), n_resamples=40))["x"]
    if before.spearman.value is None:
        assert turned.spearman.value is None
    else:
        assert turned.spearman.value == pytest.approx(-before.spearman.value, abs=1e-9)
    if before.spearman.low is not None and turned.spearman.high is not None:
        assert turned.spearman.high == pytest.approx(-before.spearman.low, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_intervals_hold_the_truth_as_often_as_they_say(kind: str) -> None:
    """About 95 of 100 intervals of 40 normal pairs hold the coefficient of the population.

    Source: Spearman's coefficient of a normal pair is 6 / pi * asin(rho / 2); Kruskal, "Ordinal
        Measures of Association", JASA 53, 1958.
    """
    rho = 0.5
    truth = rho if kind == "pearson" else 6 / math.pi * math.asin(rho / 2)
    held = 0
    for seed in range(N_SIMULATIONS):
        x, rest = noise(40, seed=seed, n_columns=2)
        y = rho * x + math.sqrt(1 - rho**2) * rest
        p = parameters(get_correlations(record(y, x=list(x)), seed=seed))["x"]
        found = getattr(p, kind)
        held += found.low <= truth <= found.high
    assert 0.90 <= held / N_SIMULATIONS <= 0.98


def test_the_partial_correlation_of_a_confounded_parameter_vanishes() -> None:
    """What goes with the metric only through another parameter has none of its own."""
    cause, x, y = noise(2000, n_columns=3)
    found = parameters(
        get_correlations(
            record(cause + 0.5 * y, cause=list(cause), x=list(cause + 0.5 * x)), n_resamples=2
        )
    )
    assert found["x"].spearman.value == pytest.approx(0.78, abs=0.04)
    assert found["x"].partial == pytest.approx(0, abs=0.06)
    assert found["cause"].partial is not None
    assert found["cause"].partial > 0.6
    assert found["x"].n_controls == found["cause"].n_controls == 1


def test_the_partial_correlation_is_that_of_the_inverse_and_of_residuals() -> None:
    """Both textbook ways give the same number."""
    columns = noise(60, n_columns=4)
    columns[1] += columns[0]
    y = columns.sum(axis=0) + noise(60, seed=1)[0]
    names = ("a", "b", "c", "d")
    found = parameters(
        get_correlations(record(y, **{n: list(c) for n, c in zip(names, columns, strict=True)}))
    )
    inverse = np.linalg.inv(stats.spearmanr(np.vstack([y, columns]).T).statistic)
    ranks = np.asarray([stats.rankdata(c) for c in columns])
    for i, name in enumerate(names, start=1):
        expected = -inverse[0, i] / math.sqrt(inverse[0, 0] * inverse[i, i])
        assert found[name].partial == pytest.approx(expected)
        others = np.column_stack([np.ones(60), *np.delete(ranks, i - 1, axis=0)])
        both = np.column_stack([ranks[i - 1], stats.rankdata(y)])
        left = both - others @ np.linalg.lstsq(others, both)[0]
        assert found[name].partial == pytest.approx(np.corrcoef(left.T)[0, 1])
        assert found[name].n_controls == 3


def test_without_controls_the_partial_correlation_is_the_plain_one() -> None:
    """A constant parameter is no control."""
    x, y = noise(20, n_columns=2)
    p = parameters(get_correlations(record(y, x=list(x), epoch=[20] * 20)))["x"]
    assert p.n_controls == 0
    assert p.partial == pytest.approx(p.spearman.value)


@pytest.mark.parametrize(("n", "defined"), [(5, False), (6, True)])
def test_a_partial_correlation_needs_more_trials_than_controls(n: int, defined: bool) -> None:
    """With two controls it takes six trials."""
    y, *columns = noise(n, seed=3, n_columns=4)
    info = get_correlations(
        record(y, **{name: list(c) for name, c in zip("abc", columns, strict=True)})
    )
    for p in parameters(info).values():
        assert p.n_controls == 2
        assert (p.partial is not None) == defined


def test_parameters_that_determine_each_other_have_no_partial_correlation() -> None:
    """Neither of two with equal ranks has one, a third, of which both are controls, does."""
    x, z, rest = noise(50, n_columns=3)
    found = parameters(
        get_correlations(record(x + z + rest, x=list(x), copy=list(np.exp(x)), z=list(z)))
    )
    assert found["x"].partial is found["copy"].partial is None
    alone = parameters(get_correlations(record(x + z + rest, x=list(x), z=list(z))))
    assert found["z"].partial == pytest.approx(alone["z"].partial)


def test_a_conditional_parameter_is_judged_in_its_branch() -> None:
    """Trials without it neither count for it nor does it control what they have."""
    x, y, extra = noise(60, n_columns=3)
    conditional = [float(v) if i % 2 else None for i, v in enumerate(extra)]
    found = parameters(get_correlations(record(y, x=list(x), extra=conditional)))
    assert (found["x"].n_trials, found["x"].n_controls) == (60, 0)
    assert (found["extra"].n_trials, found["extra"].n_controls) == (30, 1)
    own = stats.spearmanr(extra[1::2], y[1::2])
    assert found["extra"].spearman.value == pytest.approx(own.statistic)
    alone = parameters(get_correlations(record(y[1::2], extra=list(extra[1::2]))))["extra"]
    assert (found["extra"].spearman.low, found["extra"].spearman.high) == pytest.approx(
        (alone.spearman.low, alone.spearman.high)
    )


def test_a_logarithmic_space_is_correlated_by_its_logarithm() -> None:
    """A range on a logarithmic scale makes the linear coefficient that of the exponent."""
    exponents, y = noise(30, n_columns=2)
    plain = record(y, x=[10.0**e for e in exponents])
    scaled = replace(
        plain,
        trials=tuple(
            replace(t, distributions={"x": FloatDistribution(1e-9, 1e9, log=True)})
            for t in plain.trials
        ),
    )
    found = parameters(get_correlations(scaled))["x"]
    assert found.log
    assert found.pearson.value == pytest.approx(np.corrcoef(exponents, y)[0, 1])
    assert not parameters(get_correlations(plain))["x"].log


def test_groups_that_differ_have_an_effect() -> None:
    """H and its p-value are SciPy's, eta squared is of the planted size, medians are exact."""
    rng = np.random.default_rng(0)
    kinds = [str(kind) for kind in rng.choice(["relu", "selu", "tanh"], size=300)]
    y = rng.normal(size=300) + 2.0 * np.asarray([kind == "tanh" for kind in kinds])
    info = get_correlations(record(y, kind=kinds))
    effect = effects(info)["kind"]
    by_kind = {k: y[np.asarray(kinds) == k] for k in ("relu", "selu", "tanh")}
    expected = stats.kruskal(*by_kind.values())
    assert (effect.h, effect.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert effect.eta_squared == pytest.approx((expected.statistic - 2) / 297)
    assert effect.eta_squared is not None
    assert effect.eta_squared > 0.3
    assert [(g.value, g.n_trials, g.median) for g in effect.groups] == [
        (kind, len(values), pytest.approx(np.median(values))) for kind, values in by_kind.items()
    ]
    assert info.not_numeric == ("kind",)
    assert parameters(info) == {}


def test_an_effect_is_never_below_nothing() -> None:
    """Where groups differ less than by chance, eta squared is 0 and not negative."""
    y = [float(i) for i in range(20)]
    effect = effects(get_correlations(record(y, kind=["a", "b", "b", "a"] * 5)))["kind"]
    assert effect.h == pytest.approx(0)
    assert effect.eta_squared == 0


def test_small_groups_are_listed_and_not_tested() -> None:
    """A value of four trials has a median and no part in the test."""
    y = list(noise(24)[0])
    kinds = ["a"] * 10 + ["b"] * 10 + ["rare"] * 4
    effect = effects(get_correlations(record(y, kind=kinds)))["kind"]
    assert [(g.value, g.n_trials, g.tested) for g in effect.groups] == [
        ("a", 10, True),
        ("b", 10, True),
        ("rare", 4, False),
    ]
    assert effect.h == pytest.approx(stats.kruskal(y[:10], y[10:20]).statistic)
    assert effect.n_trials == 20
    lonely = effects(get_correlations(record(y[:14], kind=["a"] * 10 + ["rare"] * 4)))["kind"]
    assert lonely.h is lonely.p is lonely.p_adjusted is lonely.eta_squared is None
    assert lonely.n_trials == 10


def test_equal_values_are_no_evidence() -> None:
    """A metric that does not vary has neither coefficients nor tests."""
    info = get_correlations(record([1.0] * 20, x=list(noise(20)[0]), kind=["a", "b"] * 10))
    p = parameters(info)["x"]
    assert p.spearman == p.pearson == Coefficient()
    assert p.partial is None
    assert effects(info)["kind"].h is None


def test_p_values_are_adjusted_over_the_whole_table_by_their_kind() -> None:
    """Each column's values are those of Benjamini and Hochberg over all families."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=120)
    columns: dict[str, list[Scalar]] = {f"p{i}": list(rng.normal(size=120)) for i in range(4)}
    columns["p0"] = list(y + rng.normal(size=120))
    columns |= {f"k{i}": [str(k) for k in rng.choice(["a", "b"], size=120)] for i in range(3)}
    columns["epoch"] = [20] * 120
    families: list[Scalar] = ["CNN", "linear"] * 60
    info = get_correlations(record(y, auto_encoder=families, **columns))
    assert len(info.families) == 2
    rows = [p for family in info.families for p in family.parameters if p.name != "epoch"]
    groups = [e for family in info.families for e in family.categorical]
    assert (len(rows), len(groups)) == (8, 6)
    for found, plain in (
        ([p.spearman.p_adjusted for p in rows], [p.spearman.p for p in rows]),
        ([p.pearson.p_adjusted for p in rows], [p.pearson.p for p in rows]),
        ([e.p_adjusted for e in groups], [e.p for e in groups]),
    ):
        assert found == pytest.approx(list(stats.false_discovery_control(plain)))
        assert found != pytest.approx(plain)


def test_adjusting_keeps_nothing_of_pure_noise() -> None:
    """Of 60 parameters without effect some are below 0.05 by themselves, none once adjusted."""
    y, *columns = noise(100, seed=2, n_columns=61)
    names = [f"p{i}" for i in range(60)]
    info = get_correlations(
        record(y, **{name: list(c) for name, c in zip(names, columns, strict=True)}), n_resamples=2
    )
    found = parameters(info).values()
    assert any(p.spearman.p is not None and p.spearman.p < 0.05 for p in found)
    assert all(p.spearman.p_adjusted is not None and p.spearman.p_adjusted > 0.05 for p in found)


def test_equal_arguments_give_equal_results() -> None:
    """The seed decides the resamples, and nothing else does."""
    x, y = noise(50, n_columns=2)
    one = record(y, x=list(x))
    assert get_correlations(one) == get_correlations(one)
    assert get_correlations(one).n_resamples == 1000
    assert get_correlations(one) != get_correlations(one, seed=1)


def timed(
    n: int,
    *,
    sampler: str = "tpe",
    workers: int = 1,
    states: Mapping[int, TrialState] | None = None,
) -> StudyRecord:
    """Return a study of one-minute trials, started in turns of so many workers."""
    states = states or {}
    trials = []
    for i in range(n):
        started = START + timedelta(minutes=i // workers)
        state = states.get(i, TrialState.COMPLETE)
        trials.append(
            trial(
                i,
                state=state,
                value=float(i) if state == TrialState.COMPLETE else None,
                params={"learning_rate": 10.0 ** (-1 - i / n)},
                started=started,
                completed=started + timedelta(minutes=1),
            )
        )
    return study(*trials, settings={**SETTINGS, "sampler": sampler})


def numbers(trials: Sequence[TrialRecord]) -> list[int]:
    """Return the numbers of trials."""
    return [t.number for t in trials]


@pytest.mark.parametrize("sampler", ["grid", "random", "qmc", "paired"])
def test_all_trials_of_a_fixed_design_are_independent(sampler: str) -> None:
    """What was laid down before the first result is not bent by results."""
    one = timed(30, sampler=sampler)
    assert numbers(independent_trials(one)) == list(range(30))
    info = get_correlations(one, trials="independent")
    assert (info.n_trials, info.n_independent, info.adaptive) == (30, 30, False)
    assert info.families == get_correlations(one).families


@pytest.mark.parametrize(
    ("workers", "expected"), [(1, 10), (3, 12), (4, 12), (8, 16)], ids="{}".format
)
def test_start_up_trials_are_those_that_started_before_the_tenth_ended(
    workers: int, expected: int
) -> None:
    """Several workers start more of them: those that run when the tenth trial ends."""
    one = timed(40, workers=workers)
    assert numbers(independent_trials(one)) == list(range(expected))
    info = get_correlations(one, trials="independent")
    assert (info.n_trials, info.n_independent, info.adaptive) == (expected, expected, True)
    assert (info.trials, info.families[0].n_trials) == ("independent", expected)
    everything = get_correlations(one)
    assert (everything.n_trials, everything.n_independent) == (40, expected)


@pytest.mark.parametrize(("sampler", "expected"), [("tpe", 11), ("gp", 13)])
def test_each_sampler_learns_from_its_own_kinds_of_trials(sampler: str, expected: int) -> None:
    """Failed trials teach neither, pruned ones only TPE."""
    states = {2: TrialState.FAIL, 4: TrialState.PRUNED, 6: TrialState.PRUNED}
    one = timed(30, sampler=sampler, states=states)
    assert numbers(independent_trials(one)) == list(range(expected))


def test_without_times_the_first_ten_trials_count() -> None:
    """A database that lost its times keeps its order."""
    one = timed(30)
    bare = replace(one, trials=tuple(replace(t, started=None, completed=None) for t in one.trials))
    assert numbers(independent_trials(bare)) == list(range(10))
    partly = replace(
        one,
        trials=tuple(replace(t, completed=None) if t.number == 25 else t for t in one.trials),
    )
    assert numbers(independent_trials(partly)) == list(range(10))


def test_a_search_that_has_not_begun_to_learn_is_independent() -> None:
    """Nine ended trials teach nothing yet."""
    assert numbers(independent_trials(timed(9))) == list(range(9))


def test_points_of_another_study_are_not_independent() -> None:
    """They were chosen because they had been best there."""
    for sampler in ("random", "tpe"):
        one = timed(12, sampler=sampler)
        first = replace(one.trials[0], user_attrs={"warm_start": "old, trial 3"})
        begun = replace(one, trials=(first, *one.trials[1:]))
        assert 0 not in numbers(independent_trials(begun))
        assert 1 in numbers(independent_trials(begun))


@pytest.mark.parametrize("settings", [None, {"sampler": "imported"}], ids=["none", "imported"])
def test_an_unknown_sampler_vouches_for_nothing(settings: Mapping[str, Any] | None) -> None:
    """Where nobody knows how trials were chosen, none counts as independent."""
    one = study(*timed(20).trials, settings=settings)
    info = get_correlations(one, trials="independent")
    assert independent_trials(one) == ()
    assert (info.n_trials, info.n_independent, info.families) == (0, 0, ())
    assert get_correlations(one).n_trials == 20


def test_integer_ranges_have_a_logarithm_too() -> None:
    """A whole number that was searched on a logarithmic scale enters as its logarithm."""
    plain = record([1.0, 2.0, 3.0, 4.0], width=[1.0, 10.0, 100.0, 1000.0])
    scaled = replace(
        plain,
        trials=tuple(
            replace(t, distributions={"width": IntDistribution(1, 1000, log=True)})
            for t in plain.trials
        ),
    )
    found = parameters(get_correlations(scaled))["width"]
    assert found.log
    assert found.pearson.value == pytest.approx(1)
