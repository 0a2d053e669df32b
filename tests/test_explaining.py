"""Distances between the importances of a search and those of its grid."""

import pytest

from benchmarks.explaining import distances, row, shares_of, table
from tests.test_replay import GRID, POINTS


@pytest.fixture(scope="module")
def shares() -> dict[str, float]:
    """Importances in the whole grid."""
    return shares_of(GRID)


def test_the_grid_itself_has_no_distance(shares: dict[str, float]) -> None:
    """All points, in whatever order, explain what the grid explains."""
    found = distances(GRID, shares, "random", "none", len(POINTS), seeds=[3])
    assert found["complete"] == [len(POINTS)]
    assert found["alone"] == found["with pruned"] == pytest.approx([0.0], abs=1e-9)


def test_pruned_trials_explain(shares: dict[str, float]) -> None:
    """Where too few trials are complete, pruned ones have an answer, for fewer epochs."""
    whole = distances(GRID, shares, "random", "none", 30, seeds=[0])
    halved = distances(GRID, shares, "random", "halving", 30, seeds=[0])
    assert sum(halved["epochs"]) < sum(whole["epochs"]) / 3
    assert max(halved["complete"]) < 10
    assert halved["alone"] == []
    assert all(0 < distance < 1 for distance in halved["with pruned"])


def test_row_and_table() -> None:
    """Medians and means with intervals; a search without complete trials enough says so."""
    found = {
        "epochs": [1000.0, 1100.0, 1200.0],
        "complete": [4.0, 5.0, 6.0],
        "alone": [0.5],
        "with pruned": [0.2, 0.25, 0.3],
    }
    few, some = (
        table([row(("tpe", "halving", 40), found | {"alone": alone})])[2]
        for alone in ([0.5], [0.5] * 3)
    )
    assert few.startswith("| tpe, halving | 40 | 1,100 | 5 | 3 | too few | 0.25 (")
    assert "| 0.50 (0.50 to 0.50) |" in some
