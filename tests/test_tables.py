"""Tables of results: what is compared is paired, and a difference of seeds is no pair."""

from pathlib import Path

import pandas as pd
import pytest

import benchmarks.tables
from benchmarks.tables import against_the_grid


def write(folder: Path, name: str, errors: dict[str, list[float]], seed: int = 0) -> None:
    """Write a confirmation; each arm's test errors are half of its validation errors."""
    rows = [
        {
            "state": "COMPLETE",
            "arm": arm,
            "pair": pair,
            "seed": seed + pair,
            "value": value,
            "test_mse": value / 2,
        }
        for arm, values in errors.items()
        for pair, value in enumerate(values)
    ]
    pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")


def test_winners_are_compared_pair_by_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth in every pair is a tenth without scatter, however the pairs differ."""
    monkeypatch.setattr(benchmarks.tables, "RESULTS", tmp_path)
    write(tmp_path, "grid", {"worse": [9.0] * 4, "best": [1.0, 2.0, 3.0, 4.0]})
    write(tmp_path, "new-confirmation", {"best": [0.1, 0.2, 0.3, 0.4], "worse": [5.0] * 4})
    line = against_the_grid(["new-confirmation"], "grid")[-1]
    assert line == "| new, best | 4 | 0.100 | 0.100 to 0.100 | 4 |"


def test_other_seeds_are_no_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of other splits are not set against each other."""
    monkeypatch.setattr(benchmarks.tables, "RESULTS", tmp_path)
    write(tmp_path, "grid", {"best": [1.0, 2.0, 3.0]})
    write(tmp_path, "new", {"best": [0.1, 0.2, 0.3]}, seed=5)
    with pytest.raises(ValueError, match="other seeds"):
        against_the_grid(["new"], "grid")
