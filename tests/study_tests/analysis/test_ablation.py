"""What ablations say: which step and which neighbour makes a difference, and which does not."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy import stats

from search_spaces import Scalar
from storage import attrs
from storage.records import StudyRecord
from study.analysis.ablation import (
    PATH,
    SWEEP,
    Ablated,
    AblationInfo,
    describe_ablation,
    get_ablation,
)
from study.analysis.confirmation import MIN_SEEDS, Estimate
from study.experiment import Arm
from study.formats import format_change
from tests.study_tests.analysis.test_confirmation import BASE
from tests.study_tests.synthetic import Values, trained

NOISE = [1.01, 0.985, 1.02, 0.99, 1.0]
"""Factors between two trainings that differ by chance alone."""

DEFAULT: dict[str, Scalar] = {"auto_encoder": "CNN", "learning_rate": 0.01, "width": 16}
FIRST: dict[str, Scalar] = {**DEFAULT, "learning_rate": 0.001}
WINNER: dict[str, Scalar] = {
    "auto_encoder": "linear",
    "learning_rate": 0.001,
    "bottleneck_dim": 32,
}

Params = Mapping[str, Scalar]

PATH_OF_THREE: dict[str, Params] = {
    "default": DEFAULT,
    "then learning_rate 0.001": FIRST,
    "then auto_encoder linear": WINNER,
}
NEIGHBOURS: dict[str, Params] = {
    "auto_encoder CNN": {"auto_encoder": "CNN", "learning_rate": 0.001, "width": 48},
    "learning_rate 0.01": {**WINNER, "learning_rate": 0.01},
    "learning_rate 0.1": {**WINNER, "learning_rate": 0.1},
    "bottleneck_dim 64": {**WINNER, "bottleneck_dim": 64},
}


def scaled(factor: float, *, noisy: bool = True) -> list[float]:
    """Return errors of five seeds that are a multiple of the default's, but for noise."""
    both = zip(BASE, NOISE, strict=True)
    return [value * factor * (noise if noisy else 1.0) for value, noise in both]


VALUES: dict[str, Values] = {
    "default": BASE,
    "then learning_rate 0.001": scaled(1.0),
    "then auto_encoder linear": scaled(0.7, noisy=False),
    "auto_encoder CNN": scaled(1.0),
    "learning_rate 0.01": scaled(0.6),
    "learning_rate 0.1": scaled(0.9),
    "bottleneck_dim 64": scaled(0.7),
}


def record(
    values: Mapping[str, Values] = VALUES,
    *,
    expected: Mapping[str, float] | None = None,
    path: Mapping[str, Params] = PATH_OF_THREE,
    sweeps: Mapping[str, Params] = NEIGHBOURS,
    **changes: Any,
) -> StudyRecord:
    """Return an ablation of errors, seed by seed."""
    arms = (
        Arm(name=name, params=params, role=role, expected=(expected or {}).get(name))
        for role, chosen in ((PATH, path), (SWEEP, sweeps))
        for name, params in chosen.items()
    )
    return trained(values, arms, **({"name": attrs.ABLATION} | changes))


def ablated(values: Mapping[str, Values] = VALUES, **changes: Any) -> AblationInfo:
    """Return what an ablation says."""
    return get_ablation(record(values, **changes))


def neighbours(info: AblationInfo) -> dict[str, Ablated]:
    """Return all that lies around the winner, by name."""
    return {other.name: other for sweep in info.sweeps for other in sweep.others}


def compare(found: Ablated, before: Sequence[float], after: Sequence[float]) -> None:
    """Check difference and interval by the formulas."""
    logs = np.log(after) - np.log(before)
    half = float(stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs))
    ends = np.expm1([logs.mean(), logs.mean() - half, logs.mean() + half])
    assert found.n_pairs == len(logs)
    assert (found.difference, found.low, found.high) == pytest.approx(tuple(ends))


def change(found: Ablated) -> str:
    """Write a difference as people read it."""
    change, low, high = map(format_change, (found.difference, found.low, found.high))
    return f"{change}, 95 % interval {low} to {high}"


GAINS = (
    "Better than the winner, each by itself: {}. If none of the {} changes had an effect, about "
    "{} would look better by chance; more --seeds, or more trials of the search, can tell."
)


def test_path() -> None:
    """Each step is compared with the one before, by seed, the winner with the default too."""
    info = ablated()
    assert (info.study, info.follows) == ("search-ablation", "search")
    assert (info.n_seeds, info.n_missing) == (5, 0)
    start, first, last = info.path
    assert [step.name for step in info.path] == list(PATH_OF_THREE)
    assert (start.difference, start.low, start.high, start.n_pairs) == (None, None, None, 0)
    compare(first, BASE, VALUES[first.name])
    compare(last, VALUES[first.name], VALUES[last.name])
    flags = [(step.better, step.worse) for step in info.path]
    assert flags == [(False, False), (False, False), (True, False)]
    changes = [{}, {"learning_rate": 0.001}, {"auto_encoder": "linear", "bottleneck_dim": 32}]
    assert [step.changes for step in info.path] == changes
    for step in info.path:
        mean = pytest.approx(np.mean(VALUES[step.name]))
        assert (step.validation.mean, step.validation.n) == (mean, 5)
    total = info.total
    assert (total.name, total.better) == ("then auto_encoder linear", True)
    assert (total.difference, total.low, total.high) == pytest.approx((-0.3, -0.3, -0.3))
    assert total.changes == WINNER
    # A winner that is the default has no path and no total, but neighbours.
    values = {"default": BASE, "learning_rate 0.001": scaled(0.9)}
    info = ablated(values, path={"default": DEFAULT}, sweeps={"learning_rate 0.001": FIRST})
    assert len(info.path) == 1
    assert (info.total.difference, info.total.n_pairs, info.total.changes) == (None, 0, {})
    assert [(s.parameter, s.value) for s in info.sweeps] == [("learning_rate", 0.01)]
    compare(neighbours(info)["learning_rate 0.001"], BASE, scaled(0.9))
    assert list(describe_ablation(info)) == [
        "The winner is the default: there is no path between them.",
        GAINS.format("learning_rate 0.001", 1, 0.0),
    ]


def test_sweeps() -> None:
    """What lies around the winner is grouped by parameter and compared with the winner."""
    info = ablated()
    assert [(s.parameter, s.value, len(s.others)) for s in info.sweeps] == [
        ("auto_encoder", "linear", 1),
        ("learning_rate", 0.001, 2),
        ("bottleneck_dim", 32, 1),
    ]
    assert list(neighbours(info)) == list(NEIGHBOURS)
    winner = VALUES["then auto_encoder linear"]
    for name, found in neighbours(info).items():
        compare(found, winner, VALUES[name])
    assert {n.name: (n.changes, n.better, n.worse) for n in neighbours(info).values()} == {
        "auto_encoder CNN": ({"auto_encoder": "CNN", "width": 48}, False, True),
        "learning_rate 0.01": ({"learning_rate": 0.01}, True, False),
        "learning_rate 0.1": ({"learning_rate": 0.1}, False, True),
        "bottleneck_dim 64": ({"bottleneck_dim": 64}, False, False),
    }
    # What vanishes with a value is not taken for what was swept, whatever the order.
    path = {**PATH_OF_THREE, "then auto_encoder linear": dict(reversed(WINNER.items()))}
    assert [s.parameter for s in ablated(path=path).sweeps] == [s.parameter for s in info.sweeps]


def test_what_the_surrogate_expects() -> None:
    """Its differences are those of its own predictions; without any, the order is explained."""
    expected = dict(zip(VALUES, [0.2, 0.1, 0.08, 0.16, 0.04, 0.08, 0.12], strict=True))
    info, without = ablated(expected=expected), ablated()
    assert [step.expected for step in info.path] == [0.2, 0.1, 0.08]
    differences = [step.expected_difference for step in info.path]
    assert differences == [None, pytest.approx(-0.5), pytest.approx(-0.2)]
    assert info.total.expected_difference == pytest.approx(-0.6)
    assert [found.expected_difference for found in neighbours(info).values()] == pytest.approx(
        [1.0, -0.5, 0.0, 0.5]
    )
    assert [a.difference for a in info.path] == [a.difference for a in without.path]
    assert (info.guided, without.guided) == (True, False)
    for found in (*without.path, without.total, *neighbours(without).values()):
        assert (found.expected, found.expected_difference) == (None, None)
    for known, guided in ((None, False), (expected, True), ({"default": 0.1}, False)):
        said = " ".join(describe_ablation(ablated(expected=known)))
        assert ("the path takes parameters in the order of the space." in said) != guided


@given(
    values=st.lists(
        st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)), min_size=MIN_SEEDS, max_size=8
    )
)
@examples(max_examples=50)
def test_flags(values: list[tuple[float, float]]) -> None:
    """Better is an interval below zero, worse one above, as the t-test of logarithms decides."""
    before, after = map(list, zip(*values, strict=True))
    path = {"default": DEFAULT, "then learning_rate 0.001": FIRST}
    there, back, same = (
        ablated(dict(zip(path, columns, strict=True)), path=path, sweeps={}).path[1]
        for columns in ((before, after), (after, before), (before, before))
    )
    assert there.better == (there.high < 0)
    assert there.worse == (there.low > 0)
    assert not (there.better and there.worse)
    assert (there.better, there.worse) == (back.worse, back.better)
    logs = np.log(after) - np.log(before)
    if np.ptp(logs) > 1e-6:
        p = stats.ttest_1samp(logs, 0.0).pvalue
        if abs(p - 0.05) > 1e-6:
            assert (there.better or there.worse) == (p < 0.05)
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    assert (same.better, same.worse) == (False, False)


def test_missing_trainings() -> None:
    """A pair counts where both finished; what diverged is said and not better."""
    values: dict[str, Values] = {
        **VALUES,
        "then learning_rate 0.001": [0.05, None, 0.055, math.inf, 0.045],
        "auto_encoder CNN": [None, None, None, 0.091, 0.063],
        "bottleneck_dim 64": [None] * 5,
    }
    info = ablated(values)
    assert info.n_missing == 1 + 3 + 5
    assert [found.n_failed for found in info.path] == [0, 1, 0]
    _, first, last = info.path
    assert (first.n_pairs, first.difference) == (3, pytest.approx(-0.5))
    assert (last.n_pairs, last.difference) == (3, pytest.approx(0.4))
    assert info.total.n_pairs == 5
    few = neighbours(info)["auto_encoder CNN"]
    assert (few.n_pairs, few.difference) == (2, pytest.approx(0.0))
    assert (few.low, few.high, few.better, few.worse) == (None, None, False, False)
    assert few.validation == Estimate(mean=pytest.approx(0.077), low=None, high=None, n=2)
    none = neighbours(info)["bottleneck_dim 64"]
    assert (none.validation, none.difference, none.n_pairs) == (None, None, 0)
    assert list(describe_ablation(info))[:2] == [
        "9 trainings are missing; comparisons leave them out.",
        "With some seed the training diverged: then learning_rate 0.001.",
    ]
    assert "missing" not in " ".join(describe_ablation(ablated()))

    values = {**VALUES, "learning_rate 0.01": [0.01, 0.0105, 0.0099, 0.0101, math.inf]}
    better = neighbours(ablated(values))["learning_rate 0.01"]
    assert better.high < 0  # with its other seeds
    assert (better.n_failed, better.better) == (1, False)
    info = ablated({name: [None] * 5 for name in VALUES})
    assert info.n_missing == 35
    assert {step.validation for step in info.path} == {None}
    assert (info.total.difference, info.total.n_pairs) == (None, 0)
    first, *others = describe_ablation(info)
    assert first == "35 trainings are missing; comparisons leave them out."
    assert "From the default" not in " ".join(others)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_too_few_seeds(n_seeds: int) -> None:
    """Differences are there, but none of them is told from chance."""
    info = ablated({name: values[:n_seeds] for name, values in VALUES.items()})
    assert info.total.difference == pytest.approx(-0.3)
    for found in (*info.path, info.total, *neighbours(info).values()):
        assert (found.low, found.high, found.better, found.worse) == (None, None, False, False)
    lines = list(describe_ablation(info))
    assert lines[0] == (
        "From the default to the winner the validation MSE changes by "
        f"\N{MINUS SIGN}30.0\N{NO-BREAK SPACE}%, over {n_seeds} seeds and splits."
    )
    assert lines[-1] == (
        "With fewer than 3 seeds no difference can be told from chance; take more --seeds."
    )
    assert not any("chance explains" in line or "Better" in line for line in lines)


def test_sentences() -> None:
    """They hold the total, the largest steps, better neighbours, and what chance explains."""
    values = {**VALUES, "then learning_rate 0.001": scaled(1.1)}
    info = ablated(values, expected=dict.fromkeys(VALUES, 0.1))
    _, first, last = info.path
    assert first.worse
    lines = list(describe_ablation(info))
    assert lines == [
        f"From the default to the winner the validation MSE changes by {change(info.total)}, over "
        "5 seeds and splits.",
        f"Steps that make a difference, by an interval for each alone: auto_encoder linear "
        f"({change(last)}); learning_rate 0.001 ({change(first)}).",
        GAINS.format("learning_rate 0.01", 4, 0.1),
    ]
    assert "+10.1\N{NO-BREAK SPACE}%" in lines[1]
    assert "\N{MINUS SIGN}36.4\N{NO-BREAK SPACE}%" in lines[1]
    rng = np.random.default_rng(3)
    values = {name: (np.exp(rng.normal(scale=0.1, size=5)) / 10).tolist() for name in VALUES}
    assert list(describe_ablation(ablated(values, expected=dict.fromkeys(VALUES, 0.1))))[1:] == [
        "No single step makes a difference beyond what chance explains.",
        "No single change around the winner is better beyond what chance explains.",
    ]
