"""What ablations say: which step and which neighbour makes a difference, and which does not."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from search_spaces import Scalar
from storage import attrs
from storage.records import StudyRecord
from storage.values import Arm
from study.analysis.ablation import (
    PATH,
    SWEEP,
    Ablated,
    AblationInfo,
    describe_ablation,
    get_ablation,
)
from study.formats import format_change
from tests.study_tests.analysis.test_confirmation import BASE
from tests.study_tests.synthetic import Values, trained

DEFAULT: dict[str, Scalar] = {"auto_encoder": "CNN", "learning_rate": 0.01, "width": 16}
FIRST: dict[str, Scalar] = {**DEFAULT, "learning_rate": 0.001}
WINNER: dict[str, Scalar] = dict(auto_encoder="linear", learning_rate=0.001, bottleneck_dim=32)

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
    both = zip(BASE, (1.01, 0.985, 1.02, 0.99, 1.0), strict=True)
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
    compared = found.difference
    assert compared.n_pairs == len(logs)
    assert (compared.mean, *compared.interval) == pytest.approx(tuple(ends))


def test_path() -> None:
    """Each step is compared with the one before, by seed, the winner with the default too."""
    info = ablated()
    assert (info.study, info.follows, info.n_seeds) == ("search-ablation", "search", 5)
    start, first, last = info.path
    assert [step.name for step in info.path] == list(PATH_OF_THREE)
    assert (start.difference, start.verdict) == (None, "")
    compare(first, BASE, VALUES[first.name])
    compare(last, VALUES[first.name], VALUES[last.name])
    flags = [(step.better, step.worse) for step in info.path]
    assert flags == [(False, False), (False, False), (True, False)]
    assert (first.verdict, last.verdict) == ("equal within 10\N{NO-BREAK SPACE}%", "better")
    equal = "Steps that change next to nothing, within 10\N{NO-BREAK SPACE}%: learning_rate 0.001."
    assert equal in describe_ablation(info)
    changes = [{}, {"learning_rate": 0.001}, {"auto_encoder": "linear", "bottleneck_dim": 32}]
    assert [step.changes for step in info.path] == changes
    total = info.total
    assert (total.name, total.better) == ("then auto_encoder linear", True)
    ends = (total.difference.mean, *total.difference.interval)
    assert ends == pytest.approx((-0.3, -0.3, -0.3))
    assert total.changes == WINNER
    # A winner that is the default has no path and no total, but neighbours.
    values = {"default": BASE, "learning_rate 0.001": scaled(0.9)}
    info = ablated(values, path={"default": DEFAULT}, sweeps={"learning_rate 0.001": FIRST})
    assert (len(info.path), info.total.difference, info.total.changes) == (1, None, {})
    compare(neighbours(info)["learning_rate 0.001"], BASE, scaled(0.9))
    first, gains = describe_ablation(info)
    assert first == "The winner is the default: there is no path between them."
    assert "Better than the winner, each by itself: learning_rate 0.001." in gains


def test_sweeps() -> None:
    """What lies around the winner is grouped by parameter and compared with the winner."""
    info = ablated()
    assert [(s.value, len(s.others)) for s in info.sweeps] == [("linear", 1), (0.001, 2), (32, 1)]
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
    names = ["auto_encoder", "learning_rate", "bottleneck_dim"]
    for found in (info, ablated(path=path)):
        assert [sweep.parameter for sweep in found.sweeps] == names


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
    assert without.total.expected is without.total.expected_difference is None
    for known, guided in ((None, False), (expected, True), ({"default": 0.1}, False)):
        info = ablated(expected=known)
        in_order = "the path takes parameters in the order of the space."
        assert info.guided == guided == (in_order not in " ".join(describe_ablation(info)))


def test_missing_trainings() -> None:
    """A pair counts where both finished; what diverged is said and not better."""
    values: dict[str, Values] = {
        **VALUES,
        "then learning_rate 0.001": [0.05, None, 0.055, math.inf, 0.045],
        "auto_encoder CNN": [None, None, None, 0.091, 0.063],
        "learning_rate 0.01": [0.01, 0.0105, 0.0099, 0.0101, math.inf],
        "bottleneck_dim 64": [None] * 5,
    }
    info = ablated(values)
    assert [found.n_failed for found in info.path] == [0, 1, 0]
    assert [found.difference.n_pairs for found in info.path[1:]] == [3, 3]
    few, better, _, none = neighbours(info).values()
    assert (few.difference.n_pairs, few.difference.mean) == (2, pytest.approx(0.0))
    assert (few.difference.interval, few.better, few.worse) == (None, False, False)
    assert few.verdict == ""
    assert better.difference.lower  # with its other seeds
    assert (better.n_failed, better.better) == (1, False)
    assert (none.validation, none.difference) == (None, None)
    assert list(describe_ablation(info))[:2] == [
        "9 trainings are missing; comparisons leave them out.",
        "With some seed the training diverged: then learning_rate 0.001, learning_rate 0.01.",
    ]
    info = ablated({name: [None] * 5 for name in VALUES})
    assert (info.n_missing, info.total.difference) == (35, None)
    assert "From the default" not in " ".join(describe_ablation(info))


def test_sentences() -> None:
    """They hold the total, the largest steps, better neighbours, and what chance explains."""
    values = {**VALUES, "then learning_rate 0.001": scaled(1.1)}
    info = ablated(values, expected=dict.fromkeys(VALUES, 0.1))
    total, steps, gains = describe_ablation(info)
    for found, line in ((info.total, total), (info.path[1], steps), (info.path[2], steps)):
        of = found.difference
        change, low, high = map(format_change, (of.mean, *of.interval))
        assert f"{change}, 95 % interval {low} to {high}" in line
    assert "validation MSE changes by \N{MINUS SIGN}30.0\N{NO-BREAK SPACE}%" in total
    assert steps.index("auto_encoder linear (") < steps.index("; learning_rate 0.001 (+10.1")
    assert gains == "Better than the winner, each by itself: learning_rate 0.01."
    rng = np.random.default_rng(3)
    values = {name: (np.exp(rng.normal(scale=0.1, size=5)) / 10).tolist() for name in VALUES}
    assert list(describe_ablation(ablated(values, expected=dict.fromkeys(VALUES, 0.1))))[1:] == [
        "No single step makes a difference beyond what chance explains.",
        "No single change around the winner is better beyond what chance explains.",
    ]
    # With two seeds differences are there, but none of them is told from chance.
    info, three = (ablated({name: v[:n] for name, v in VALUES.items()}) for n in (2, 3))
    assert not [text for text in describe_ablation(three) if "fewer" in text]
    assert info.total.difference.mean == pytest.approx(-0.3)
    total = info.total
    assert (total.difference.interval, total.better, total.worse) == (None, False, False)
    first, *_, last = describe_ablation(info)
    assert first.endswith("30.0\N{NO-BREAK SPACE}%, over 2 seeds and splits.")
    path = dict(list(PATH_OF_THREE.items())[:2])
    one = {name: v[:1] for name, v in VALUES.items() if name in path | NEIGHBOURS}
    (total, *_) = describe_ablation(ablated(one, path=path))
    assert total.endswith("%, over 1 seed and split.")
    assert last.startswith("With fewer than 3 seeds no difference can be told from chance;")
