"""Replayed searches: what they count, what they find, and what they explain."""

import numpy as np
import pytest

from benchmarks.explaining import distances, shares_of
from benchmarks.replay import MAX_EPOCHS, SEARCHES, Grid, replay
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


def test_what_pruned_trials_explain() -> None:
    """All points explain what the grid does; pruned ones have an answer where few are complete."""
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
