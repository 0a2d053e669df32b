"""Replayed searches: what they count, what they find, and what they explain."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from benchmarks.explaining import distances, shares_of
from benchmarks.replay import (
    CHEAP,
    MAX_EPOCHS,
    SEARCHES,
    Budget,
    Grid,
    confirmed_best,
    replay,
    table,
)
from search_spaces import SPACES
from search_spaces.base import SearchSpace

SPACE: SearchSpace = SPACES["autoencoder"]["notebook"]


def planted() -> Grid:
    """Return a grid whose errors fall with the epochs, the faster the larger the step is."""
    curves = {}
    epochs = np.arange(1, MAX_EPOCHS + 1)
    for point in SPACE.grid({"epoch": MAX_EPOCHS}):
        rate = float(point["learning_rate"]) * 16 / float(point["batch_size"])
        worse = 1.0 if point["auto_encoder"] == "CNN" else 5.0
        floor = worse * (0.01 + 0.005 * float(point["weight_decay"]) / 1e-2)
        curves[tuple(sorted(point.items()))] = floor + np.exp(-epochs * min(1.0, rate))
    return Grid(space=SPACE, curves=curves)


GRID = planted()
POINTS = list(GRID.curves)


def test_searches_reach_what_is_there() -> None:
    """Every search finds an error that a tenth of the grid reaches, with less than the grid."""
    target = float(np.quantile([curve[-1] for curve in GRID.curves.values()], 0.1))
    found = replay(GRID, target, seeds=[0, 1])
    assert set(found) == set(SEARCHES)
    for name, epochs in found.items():
        assert all(e is not None and e < MAX_EPOCHS * len(POINTS) for e in epochs), name
    assert {n: [e[0]] for n, e in found.items()} == replay(GRID, target, seeds=[0])


def test_what_is_not_there_is_never_reached() -> None:
    """A search of the whole grid ends, having trained each configuration once at most."""
    for name in CHEAP:
        budget = Budget(GRID, target=0.0)
        SEARCHES[name](GRID, budget, 0)
        assert budget.reached is None
        assert budget.epochs <= MAX_EPOCHS * len(POINTS)
    found: dict[str, list[int | None]] = {"all": [None] * 9, "half": [None] * 4 + [100] * 5}
    every, half = table(GRID, found)[2:]
    assert every.split(" | ")[2:] == ["inf", "inf to inf", "never", "9 |"]
    assert half.split(" | ")[2:] == ["100", "100 to inf", f"1/{len(POINTS) * 2}", "4 |"]


@given(
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(1, MAX_EPOCHS)), max_size=12),
    target=st.floats(0.02, 1.0),
)
@examples(max_examples=50)
def test_budget(steps: list[tuple[int, int]], target: float) -> None:
    """What counts is how far each configuration got; a target is noticed at its first epoch."""
    chosen = [POINTS[50 * i] for i in range(5)]
    budget = Budget(GRID, target=target)
    errors: list[float] = []
    seen = dict.fromkeys(range(5), 0)
    for i, epochs in steps:
        curve = GRID.curves[chosen[i]]
        assert len(budget.train(chosen[i], epochs)) == epochs
        errors += curve[seen[i] : epochs].tolist()
        seen[i] = max(seen[i], epochs)
    assert budget.epochs == len(errors) == sum(seen.values())
    reached = [n for n, error in enumerate(errors, start=1) if error <= target]
    assert budget.reached == (reached[0] if reached else None)


def test_target_is_what_was_confirmed(tmp_path: Path) -> None:
    """It is the lowest mean over seeds, not the lowest single error."""
    errors = {"lucky": [0.1, 0.5], "steady": [0.2, 0.22], "bad": [0.9, 0.9]}
    rows = [
        {"arm": arm, "value": value, "state": "COMPLETE"}
        for arm, values in errors.items()
        for value in values
    ]
    rows.append({"arm": "lucky", "value": None, "state": "FAIL"})
    pd.DataFrame(rows).to_parquet(tmp_path / "confirmation.parquet")
    assert confirmed_best(tmp_path / "confirmation.parquet") == pytest.approx(0.21)


def test_what_pruned_trials_explain() -> None:
    """All points, in whatever order, explain what the grid explains.

    Where too few trials are complete, pruned ones have an answer, for fewer epochs.
    """
    shares = shares_of(GRID)
    found = distances(GRID, shares, "random", "none", len(POINTS), seeds=[3])
    assert found["complete"] == [len(POINTS)]
    assert found["alone"] == found["with pruned"] == pytest.approx([0.0], abs=1e-9)
    whole = distances(GRID, shares, "random", "none", 30, seeds=[0])
    halved = distances(GRID, shares, "random", "halving", 30, seeds=[0])
    assert sum(halved["epochs"]) < sum(whole["epochs"]) / 3
    assert max(halved["complete"]) < 10
    assert halved["alone"] == []
    assert all(0 < distance < 1 for distance in halved["with pruned"])
