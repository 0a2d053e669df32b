"""Correlations, groups, partial correlations and their certainty, on studies of known answers."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from scipy import stats

from search_spaces import Scalar
from storage.records import StudyRecord
from study.analysis.correlation import (
    Coefficient,
    get_correlations,
    independent_trials,
    linear_interval,
    percentile_interval,
    resampled_correlations,
)
from tests.study_tests import synthetic
from tests.study_tests.synthetic import SETTINGS, START, study, trial


def record(
    values: Sequence[float], *, within: Any = None, **columns: Sequence[Scalar]
) -> StudyRecord:
    """Return a random search of these values and parameters, None where a trial lacks one."""
    ranges = {}
    for name, column in columns.items():
        texts = any(isinstance(value, str | bool) for value in column)
        choices = tuple(dict.fromkeys(value for value in column if value is not None))
        own = CategoricalDistribution(choices) if texts else FloatDistribution(-1e9, 1e9)
        ranges[name] = within or own
    trials = []
    for i, value in enumerate(values):
        params = {name: column[i] for name, column in columns.items() if column[i] is not None}
        own = {name: ranges[name] for name in params}
        trials.append(replace(trial(i, value=float(value)), params=params, distributions=own))
    return study(*trials, settings={**SETTINGS, "sampler": "random"})


def correlated(y: Sequence[float], **columns: Any) -> dict[str, Any]:
    """Return how columns go with y."""
    (family,) = get_correlations(record(y, **columns)).families
    return {p.name: p for p in family.parameters}


def effect(y: Sequence[float], kinds: Sequence[str]) -> Any:
    """Return how y differs between kinds, which have no order."""
    info = get_correlations(record(y, kind=kinds))
    assert (info.not_numeric, info.families[0].parameters) == (("kind",), ())
    return info.families[0].categorical[0]


def noise(n: int, *, seed: int = 0, n_columns: int = 1) -> np.ndarray:
    """Return standard normal numbers, shape ``(n_columns, n)``."""
    return np.random.default_rng(seed).normal(size=(n_columns, n))


def test_correlations_equal_scipy_within_each_family() -> None:
    """On a log scale where the space has one, booleans as 0 and 1, none where nothing varies."""
    one = synthetic.planted()
    info = get_correlations(one, n_resamples=2)
    assert [family.family for family in info.families] == ["CNN", "linear"]
    for family in info.families:
        members = [t for t in one.complete if t.params["auto_encoder"] == family.family]
        y = [t.value for t in members]
        for p in family.parameters:
            x = np.asarray([float(t.params[p.name]) for t in members])
            assert p.n_trials == family.n_trials == len(members)
            assert p.log == (p.name in ("learning_rate", "weight_decay"))
            if p.name == "epoch":  # it does not vary
                assert p.pearson == p.spearman == Coefficient()
                continue
            x = np.log10(x) if p.log else x
            both = (p.pearson, stats.pearsonr(x, y)), (p.spearman, stats.spearmanr(x, y))
            for found, expected in both:
                assert (found.value, found.p) == pytest.approx(tuple(expected))
    cnn, linear = ({p.name for p in family.parameters} for family in info.families)
    assert (cnn - linear, linear - cnn) == ({"batch_normalization"}, {"bottleneck_dim"})
    # A metric that does not vary has neither coefficients nor tests.
    p = correlated([1.0] * 20, x=noise(20)[0])["x"]
    assert (p.spearman, p.pearson, p.partial) == (Coefficient(), Coefficient(), None)
    assert effect([1.0] * 20, ["a", "b"] * 10).h is None
    # What varies over orders of magnitude has a log scale where a grid lists plain numbers, too.
    for name, log in (("x", False), ("learning_rate", True)):
        assert correlated([0.0, 1.0, 3.0], **{name: [1.0, 10.0, 1e3]})[name].log == log


@pytest.mark.parametrize("levels", [None, 4, 2])
def test_resamples_are_ranked_anew(levels: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resample's coefficients are SciPy's of the trials it holds; portions are small."""
    n, n_resamples = 30, 25
    x, y = noise(n, n_columns=2)
    if levels is not None:
        x, y = np.floor(levels * stats.norm.cdf(x)), np.round(y, 1)
    rank = resampled_correlations(x[None], y, n_resamples=n_resamples)
    drawn = np.random.default_rng(0).integers(0, n, size=(n, n_resamples))
    for i, chosen in enumerate(drawn.T):
        assert rank[0, i] == pytest.approx(stats.spearmanr(x[chosen], y[chosen]).statistic)
    monkeypatch.setattr("study.analysis.correlation._CHUNK", 350)
    rank = resampled_correlations(x[None], y, n_resamples=n_resamples)
    assert rank.shape == (1, n_resamples)
    assert len(set(rank[0])) > n_resamples / 2


def test_linear_interval() -> None:
    """It is SciPy's, of ten trials or more, and has no length where all lie on a line."""
    x, y = noise(30, n_columns=2)
    found = correlated(y, x=x)["x"].pearson
    expected = stats.pearsonr(x, y).confidence_interval()
    assert found.interval == pytest.approx(tuple(expected), abs=1e-4)
    assert linear_interval(0.5, 9) is linear_interval(None, 30) is None
    assert linear_interval(-1.0, 10) == (-1.0, -1.0)


def test_up_to_one_in_twenty_resamples_may_lack_a_coefficient() -> None:
    """A parameter that differs in one trial is constant in every third."""
    resampled = np.random.default_rng(0).permutation(np.arange(1001.0))
    some = np.append(resampled, [math.nan] * 50)
    assert percentile_interval(resampled) == percentile_interval(some) == (25, 975)
    assert percentile_interval(np.append(some, [math.nan] * 10)) is None
    p = correlated(noise(40)[0], x=[float(i == 3) for i in range(40)])["x"]
    assert p.spearman.value is not None
    assert p.spearman.interval is None


def test_few_trials() -> None:
    """Two points always lie on a line, ten have an interval, and p-values are exact."""
    for n in (2, 3, 9, 10):
        x, y = noise(n, n_columns=2)
        p = correlated(y, x=x)["x"]
        assert (p.spearman.interval is None) == (p.pearson.interval is None) == (n < 10)
        assert (p.spearman.value is None) == (p.pearson.value is None) == (n < 3)
    x, y = [1.0, 2.0, 2.0, 3.0, 5.0, 4.0], [3.0, 1.0, 5.0, 4.0, 6.0, 6.0]
    ranks = stats.rankdata(x)
    products = [ranks @ order for order in itertools.permutations(stats.rankdata(y))]
    p = 2 * np.mean(np.asarray(products) >= ranks @ stats.rankdata(y) - 1e-9)
    assert correlated(y, x=x)["x"].spearman.p == pytest.approx(p)


def test_what_a_partial_correlation_is() -> None:
    """What is left of ranks once the others are fitted, given more trials than controls."""
    columns = noise(60, n_columns=4)
    columns[1] += columns[0]
    y = columns.sum(axis=0) + noise(60, seed=1)[0]
    found = correlated(y, **dict(zip("abcd", columns, strict=True)))
    ranks = np.asarray([stats.rankdata(column) for column in columns])
    for i, name in enumerate("abcd"):
        others = np.column_stack([np.ones(60), *np.delete(ranks, i, axis=0)])
        both = np.column_stack([ranks[i], stats.rankdata(y)])
        left = both - others @ np.linalg.lstsq(others, both)[0]
        assert found[name].partial == pytest.approx(np.corrcoef(left.T)[0, 1])
        assert found[name].n_controls == 3
    for n, defined in ((5, False), (6, True)):
        y, a, b, c = noise(n, seed=3, n_columns=4)
        p = correlated(y, a=a, b=b, c=c)["a"]
        assert (p.n_controls, p.partial is not None) == (2, defined)
    # A constant is no control, nor is what other trials have; copies leave nothing.
    x, z, rest = noise(50, n_columns=3)
    y = x + z + rest
    alone = correlated(y, x=x, epoch=[20] * 50)["x"]
    assert (alone.n_controls, alone.partial) == (0, pytest.approx(alone.spearman.value))
    found = correlated(y, x=x, copy=np.exp(x), z=z)
    assert found["x"].partial is found["copy"].partial is None
    assert found["z"].partial == pytest.approx(correlated(y, x=x, z=z)["z"].partial)
    found = correlated(y, x=x, extra=[v if i % 2 else None for i, v in enumerate(rest)])
    assert (found["x"].n_trials, found["x"].n_controls) == (50, 0)
    assert (found["extra"].n_trials, found["extra"].n_controls) == (25, 1)
    alone, own = correlated(y[1::2], extra=rest[1::2])["extra"].spearman, found["extra"].spearman
    assert (own.value, *own.interval) == pytest.approx((alone.value, *alone.interval))


def test_groups_that_differ_have_an_effect() -> None:
    """H and p-value are SciPy's, of values with five trials or more; medians are exact."""
    rng = np.random.default_rng(0)
    kinds = rng.choice(["relu", "selu", "tanh"], size=300)
    y = rng.normal(size=300) + 2.0 * (kinds == "tanh")
    found = effect(y, kinds.tolist())
    by_kind = {k: y[kinds == k] for k in ("relu", "selu", "tanh")}
    expected = stats.kruskal(*by_kind.values())
    assert (found.h, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.eta_squared == pytest.approx((expected.statistic - 2) / 297)
    for group, (kind, values) in zip(found.groups, by_kind.items(), strict=True):
        assert (group.value, group.n_trials) == (kind, len(values))
        assert group.median == pytest.approx(np.median(values))
    none = effect([float(i) for i in range(20)], ["a", "b", "b", "a"] * 5)
    assert (none.h, none.eta_squared) == (pytest.approx(0), 0)
    y = noise(25)[0]
    found = effect(y, ["a"] * 16 + ["b"] * 5 + ["rare"] * 4)
    assert found.h == pytest.approx(stats.kruskal(y[:16], y[16:21]).statistic)
    lonely = effect(y[:14], ["a"] * 10 + ["rare"] * 4)
    assert (lonely.h, lonely.p, lonely.eta_squared) == (None, None, None)


def test_p_values_are_adjusted_over_the_whole_table_by_their_kind() -> None:
    """Each column's values are those of Benjamini and Hochberg over all families."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=120)
    columns: dict[str, Any] = {f"p{i}": rng.normal(size=120) for i in range(4)}
    columns["p0"] = y + rng.normal(size=120)
    columns |= {f"k{i}": [str(k) for k in rng.choice(["a", "b"], size=120)] for i in range(3)}
    columns |= {"epoch": [20] * 120, "auto_encoder": ["CNN", "linear"] * 60}
    families = get_correlations(record(y, **columns)).families
    rows = [p for family in families for p in family.parameters if p.name != "epoch"]
    groups = [e for family in families for e in family.categorical]
    assert (len(rows), len(groups)) == (8, 6)
    for column in ([p.spearman for p in rows], [p.pearson for p in rows], groups):
        found, plain = [c.p_adjusted for c in column], [c.p for c in column]
        assert found == pytest.approx(list(stats.false_discovery_control(plain)))
        assert found != pytest.approx(plain)


def timed(n: int, sampler: str | None, *, workers: int = 1, lost: Any = None) -> StudyRecord:
    """Return a study of one-minute trials, started in turns; those lost have other states."""
    trials = []
    for i in range(n):
        started = START + timedelta(minutes=i // workers)
        state = (lost or {}).get(i, TrialState.COMPLETE)
        value = float(i) if state == TrialState.COMPLETE else None
        one = trial(i, state=state, value=value, params={"learning_rate": 10.0 ** (-1 - i / n)})
        trials.append(replace(one, started=started, completed=started + timedelta(minutes=1)))
    return study(*trials, settings=sampler and {**SETTINGS, "sampler": sampler})


def independent(one: StudyRecord) -> list[int]:
    """Return the numbers of the independent trials."""
    return [t.number for t in independent_trials(one)]


@pytest.mark.parametrize(
    ("sampler", "workers", "expected"),
    [
        *((sampler, 1, 40) for sampler in ("grid", "random", "qmc", "paired")),
        *(("tpe", workers, n) for workers, n in ((1, 10), (3, 12), (8, 16))),
        *((None, 1, 0), ("imported", 1, 0)),
    ],
)
def test_which_trials_are_independent(sampler: str | None, workers: int, expected: int) -> None:
    """All of a fixed design are, and of an adaptive one those before the tenth had ended."""
    one = timed(40, sampler, workers=workers)
    info = get_correlations(one, trials="independent", n_resamples=2)
    assert independent(one) == list(range(expected))
    assert (info.trials, info.n_trials, info.n_independent) == ("independent", expected, expected)
    assert [family.n_trials for family in info.families] == [expected] * bool(expected)
    everything = get_correlations(one, n_resamples=2)
    assert (everything.n_trials, everything.n_independent) == (40, expected)
    assert info.tested
    assert everything.tested == (sampler not in ("tpe", "imported", None))


def test_what_a_sampler_has_learnt_from() -> None:
    """Failed trials teach none, pruned ones only TPE; points of another study are chosen."""
    lost = {2: TrialState.FAIL, 4: TrialState.PRUNED, 6: TrialState.PRUNED}
    for sampler, expected in (("tpe", 11), ("gp", 13)):
        assert independent(timed(30, sampler, lost=lost)) == list(range(expected))
        assert independent(timed(9, sampler)) == list(range(9))
    one = timed(30, "tpe")
    partly = (replace(t, completed=None) if t.number == 25 else t for t in one.trials)
    for trials in (partly, (replace(t, started=None, completed=None) for t in one.trials)):
        assert independent(replace(one, trials=tuple(trials))) == list(range(10))
    for sampler in ("random", "tpe"):
        one = timed(12, sampler)
        first = replace(one.trials[0], user_attrs={"warm_start": "old, trial 3"})
        assert independent(replace(one, trials=(first, *one.trials[1:])))[:2] == [1, 2]
