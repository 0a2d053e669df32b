"""Tables of results: what is compared is paired, and a difference of seeds is no pair."""

from pathlib import Path

import pandas as pd
import pytest

import benchmarks.tables
from benchmarks.tables import against_the_grid, confirmed


def write(
    folder: Path, name: str, errors: dict[str, list[float]], seed: int = 0, **more: float
) -> None:
    """Write a confirmation; each arm's test errors are half of its validation errors."""
    rows = [
        {
            "state": "COMPLETE",
            "arm": arm,
            "pair": pair,
            "seed": seed + pair,
            "value": value,
            "test_mse": value / 2,
            "parameter_count": 1234,
            "training_seconds": 5.6,
            **more,
        }
        for arm, values in errors.items()
        for pair, value in enumerate(values)
    ]
    pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results."""
    monkeypatch.setattr(benchmarks.tables, "RESULTS", tmp_path)
    return tmp_path


def test_winners_are_compared_pair_by_pair(results: Path) -> None:
    """A tenth in every pair is a tenth without scatter; other seeds are no pairs."""
    write(results, "grid", {"worse": [9.0] * 4, "best": [1.0, 2.0, 3.0, 4.0]})
    write(results, "new-confirmation", {"best": [0.1, 0.2, 0.3, 0.4], "worse": [5.0] * 4})
    line = against_the_grid(["new-confirmation"], "grid")[-1]
    assert line == "| new, best | 4 | 0.100 | 0.100 to 0.100 | 4 |"
    write(results, "other", {"best": [0.1, 0.2, 0.3]}, seed=5)
    with pytest.raises(ValueError, match="other seeds"):
        against_the_grid(["other"], "grid")


def test_accuracies_of_a_confirmation(results: Path) -> None:
    """They have columns where something was classified; intervals end at one."""
    arms = {"b": [0.2] * 3, "a": [0.1] * 3}
    write(results, "both", arms, validation_accuracy=0.9, test_accuracy=1.0)
    head, _, best, _ = confirmed("both")
    assert "validation accuracy | test accuracy" in head
    assert best == (
        "| a | 3 | 0.10000 (0.10000 to 0.10000) | 0.05000 (0.05000 to 0.05000) | "
        "0.900 (0.900 to 0.900) | 1.000 (1.000 to 1.000) | 1,234 | 6 |"
    )
    write(results, "one", arms)
    assert "accuracy" not in confirmed("one")[0]
    write(results, "cut", {"a": [0.1] * 3})
    frame = pd.read_parquet(results / "cut.parquet")
    frame["validation_accuracy"] = frame["test_accuracy"] = [1.0, 1.0, 0.97]
    frame.to_parquet(results / "cut.parquet")
    assert confirmed("cut")[-1].count("to 1.000)") == 2
