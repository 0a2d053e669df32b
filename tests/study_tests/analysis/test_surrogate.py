"""What the forest says of studies whose answers are known, and when it says nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from storage.records import StudyRecord
from study.analysis.surrogate import (
    HALF_PERMUTATIONS,
    HALF_TREES,
    MAX_TRIALS,
    MIN_TRIALS,
    SurrogateInfo,
    _cross_validate,
    _deviations,
    _ends,
    _half_width,
    _splits,
    get_branch,
    get_interactions,
    get_surrogate,
)
from tests.study_tests.synthetic import SETTINGS, VALIDATION_MSE, planted_multitask, study, trial


def additive(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sobol indices of 16, 4 and 1 parts of 21; the fourth parameter is dead."""
    return 10 + x @ np.asarray([4.0, 2.0, 1.0, 0.0]) + rng.normal(scale=0.2, size=len(x))


def product(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The first two parameters multiply."""
    return 10 + 4 * (x[:, 0] - 0.2) * x[:, 1] + x[:, 2] + rng.normal(scale=0.1, size=len(x))


def sampled(n_trials: int, function: Callable, *, seed: int = 0, n: int = 4) -> StudyRecord:
    """Return a random search over parameters ``a``, ``b``, ... in the unit cube."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(n_trials, n))
    return rebuilt([dict(zip("abcd", row, strict=False)) for row in x.tolist()], function(x, rng))


def rebuilt(
    params: Sequence[Mapping[str, Any]], losses: Sequence[float], **ranges: BaseDistribution
) -> StudyRecord:
    """Return a study of complete trials; parameters without a range are in the unit interval."""
    trials = (
        replace(
            trial(i, value=float(loss)),
            params=given,
            distributions={name: ranges.get(name, FloatDistribution(0.0, 1.0)) for name in given},
        )
        for i, (given, loss) in enumerate(zip(params, losses, strict=True))
    )
    return study(*trials, settings=SETTINGS)


RECORD = sampled(300, additive)


@cache
def surrogate() -> SurrogateInfo:
    """Return what the forest says of 300 trials of an additive function."""
    return get_surrogate(RECORD)


def test_permutation_finds_the_order_of_sobol_indices() -> None:
    """Live parameters come in their order, each surely above zero; the dead one is not."""
    info = surrogate()
    assert (info.refusal, info.metric, info.n_used) == (None, VALIDATION_MSE, MAX_TRIALS)
    assert (info.n_folds, info.n_repeats, info.n_splits) == (5, 2, 8)
    assert [p.name for p in info.parameters] == ["a", "b", "c", "d"]
    assert info.needed == ("a", "b", "c")
    assert all(p.interval.low < p.rise < p.interval.high for p in info.parameters)
    assert info.parameters[3].interval.low < 0 < info.parameters[3].interval.high
    # Permuting a parameter that explains a share S of the variance adds 2 S to the error.
    assert info.parameters[0].rise == pytest.approx(2 * 16 / 21, abs=0.3)
    # R2 lies between what the forest can learn and the share that is no noise.
    assert 0.8 < info.r2 < 1 - 0.04 / (21 / 12 + 0.04)


def test_refusals_are_plain() -> None:
    """Too few trials, nothing that varies and what cannot be predicted are said as such."""
    few = replace(RECORD, trials=RECORD.trials[: MIN_TRIALS - 1])
    flat = rebuilt([{"a": i / 40} for i in range(40)], np.ones(40))
    needed = "Importances need at least 30 complete trials with different settings,"
    for refused, reason in (
        (few, f"{needed} but there are 29."),
        (rebuilt([{"a": 0.5}] * 40, range(40)), f"{needed} but there are 1."),
        (flat, "All of these trials have the same validation MSE."),
    ):
        assert get_surrogate(refused).refusal == reason
    assert get_surrogate(RECORD, family="CNN").n_trials == 0
    record = sampled(200, lambda x, rng: 10 + rng.normal(size=len(x)))
    info = get_surrogate(record)
    assert (info.parameters, info.r2 < 0.1) == ((), True)
    assert "is not shown: R2 = \N{MINUS SIGN}0." in info.refusal
    refused = get_interactions(record, info)
    assert (refused.pairs, refused.null_level, refused.refusal) == ((), None, info.refusal)


def test_odd_studies_are_no_errors() -> None:
    """What hardly differs is refused or not permuted, and of a large study a part is used."""
    losses = np.where(np.arange(40) == 7, 1.0, 0.5)
    record = rebuilt([{"a": i / 40, "b": i % 3 / 2} for i in range(40)], losses)
    assert "is not shown" in str(get_surrogate(record).refusal)
    params = [{"a": i / 40} | ({"b": i / 40} if i in (3, 20) else {}) for i in range(40)]
    info = get_surrogate(rebuilt(params, range(40)))
    assert info.needed == ("a",)
    refusal = get_interactions(rebuilt(params, range(40)), info).refusal
    assert str(refusal).startswith("No two parameters that the forest needs vary together")
    flat, rng = replace(get_branch(RECORD), y=np.ones(300)), np.random.default_rng(0)
    found = _cross_validate(flat, np.arange(150), rng, HALF_TREES, HALF_PERMUTATIONS)
    assert found.tolist() == [1, 0, 0, 0, 0]
    info = get_surrogate(sampled(MAX_TRIALS + 200, lambda x, rng: 10 + x[:, 0], n=1))
    assert (info.n_trials, info.n_used) == (MAX_TRIALS + 200, MAX_TRIALS)


def test_what_the_forest_is_given() -> None:
    """What lacks a parameter gets another trial's value, categories keep or get an order."""
    record = planted_multitask(300)
    branch = get_branch(record, family="CNN")
    place = branch.names.index("classification_lambda")
    having = np.asarray(["classification_lambda" in t.params for t in branch.trials])
    assert 0 < having.sum() < len(having)
    assert (branch.present[:, place] == having).all()
    filled, values = branch.x[:, place], branch.values[:, place]
    assert set(filled[~having]) < set(values[having])
    assert (filled[having] == values[having]).all()
    choices = {"size": (64, 8, 16), "flag": (True, False), "kind": ("tanh", "relu", "gelu")}
    params = [
        {"size": 64, "flag": True, "kind": "tanh"},
        {"size": 8, "flag": False, "kind": "relu"},
        {"size": 16, "flag": True, "kind": "gelu"},
    ]
    ranges = {name: CategoricalDistribution(own) for name, own in choices.items()}
    branch = get_branch(rebuilt(params, np.arange(3.0), **ranges))
    assert branch.x.tolist() == [[2, 1, 2], [0, 0, 1], [1, 1, 0]]
    # Errors over orders of magnitude are fitted by their logarithms, those of any sign are not.
    params, values = [{"a": i / 9} for i in range(9)], np.linspace(-1.0, 1.0, 9)
    wide = get_branch(rebuilt(params, 10.0**values))
    assert (wide.log, wide.y.tolist()) == (True, pytest.approx(values.tolist()))
    assert get_branch(RECORD).log is get_branch(rebuilt(params, values)).log is False


def test_interactions_are_found() -> None:
    """Parameters that act together are, and no others; what only adds up has none."""
    multiplied = sampled(400, product, n=3)
    both = (multiplied, get_surrogate(multiplied), [{"a", "b"}]), (RECORD, surrogate(), [])
    for record, of, pairs in both:
        info = get_interactions(record, of)
        assert info.refusal is None
        assert [{p.first, p.second} for p in info.pairs if p.real] == pairs
        assert info.null_level is not None
        assert len(info.pairs) == 3


def test_deviations_by_hand() -> None:
    """Half of the difference of two halves, of logarithms for the error, grows with importance."""
    splits = _splits(41, np.random.default_rng(0))
    assert [tuple(len(half) for half in split) for split in splits] == [(21, 20)] * 8
    assert all(sorted(np.concatenate(split)) == list(range(41)) for split in splits)
    assert len({tuple(split[1]) for split in splits}) == 8
    first = [[0.4, 0.2, 0.3, 0.01, -0.1], [0.1, 0.4, 0.1, 0.03, 0.0]]
    halves = np.asarray([first, [[0.2, 0.3, 0.2, 0.02, -0.1], [0.2, 0.3, 0.2, 0.02, 0.0]]])
    # Four parameters: grown by half, shrunk, grown beyond belief, and nothing to grow from.
    found = _deviations(np.asarray([0.1, 0.45, 0.1, 0.5, 0.1]), halves)
    factors = np.sqrt([1.5, 1.0, 2.0, 1.0])
    grown = factors * np.asarray([0.1, -0.1, 0.01, 0.05])
    assert found[0] == pytest.approx([np.log(0.1 / 0.4) / 2, *grown])
    assert found[1] == pytest.approx([0, 0, 0, 0, 0.05])
    # Quantiles of Student's distribution with four degrees of freedom, of one interval or four.
    scatter = np.sqrt(0.005)
    assert _half_width(found)[2] == pytest.approx(2.776 * scatter, rel=1e-3)
    assert _half_width(found, n_at_once=4)[2] == pytest.approx(4.315 * scatter, rel=1e-3)
    # No logarithm of zero, and no difference between errors that are next to nothing.
    halves = np.asarray([[[0.0, 1.0], [1e-6, 1.0]]])
    assert _deviations(np.asarray([0.0, 1.0]), halves).tolist() == [[0.0, 0.0]]


def test_intervals_reach_further_up_than_down() -> None:
    """Each end lies as far off as its own scatter allows; what is 0 for sure stays 0."""
    importances, halves = np.asarray([3.0, 0.5, -0.1, 0.0]), np.asarray([1.0, 1.0, 1.0, 0.0])
    low, high = _ends(importances, halves)
    for ends in (low, high):
        far = (ends - importances)[:3]
        assert far**2 == pytest.approx(1 + far / np.asarray([3.0, 1.0, 1.0]))
    assert (low[:3] < importances[:3]).all()
    assert (high - importances > importances - low)[:3].all()
    # Noise alone reaches 0.618 of a half-width down.
    assert low[1] == pytest.approx(0.5 - 0.618, abs=1e-3)
    assert (low[3], high[3]) == (0, 0)
