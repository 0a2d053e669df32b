"""Tables of results: what is compared is paired, and a difference of seeds is no pair."""

from pathlib import Path

import pandas as pd
import pytest

import benchmarks.tables
from benchmarks.tables import ablated, against_the_grid, compared, confirmed, families


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
    """A tenth in every pair is a tenth without scatter, however the pairs differ."""
    write(results, "grid", {"worse": [9.0] * 4, "best": [1.0, 2.0, 3.0, 4.0]})
    write(results, "new-confirmation", {"best": [0.1, 0.2, 0.3, 0.4], "worse": [5.0] * 4})
    line = against_the_grid(["new-confirmation"], "grid")[-1]
    assert line == "| new, best | 4 | 0.100 | 0.100 to 0.100 | 4 |"


def test_other_seeds_are_no_pairs(results: Path) -> None:
    """Errors of other splits are not set against each other."""
    write(results, "grid", {"best": [1.0, 2.0, 3.0]})
    write(results, "new", {"best": [0.1, 0.2, 0.3]}, seed=5)
    with pytest.raises(ValueError, match="other seeds"):
        against_the_grid(["new"], "grid")


def test_accuracies_of_a_confirmation(results: Path) -> None:
    """They have columns where something was classified, and none elsewhere."""
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


def test_accuracies_end_at_one(results: Path) -> None:
    """The interval of nearly perfect accuracies is cut."""
    write(results, "cut", {"a": [0.1] * 3})
    frame = pd.read_parquet(results / "cut.parquet")
    frame["validation_accuracy"] = frame["test_accuracy"] = [1.0, 1.0, 0.97]
    frame.to_parquet(results / "cut.parquet")
    assert confirmed("cut")[-1].count("to 1.000)") == 2


def test_arms_are_compared_with_the_first(results: Path) -> None:
    """Twice the error in every pair is 100 % more; equal errors are no change."""
    base = [0.1, 0.2, 0.3]
    arms = {"none": base, "twice": [2 * x for x in base], "same": base}
    write(results, "arms", arms, validation_accuracy=0.5)
    first, twice, same = (line.split(" | ")[3:6] for line in compared("arms")[2:])
    assert first == ["–", "–", "–"]
    assert twice == ["+100 %", "+100 % to +100 %", "0"]
    assert same == ["+0 %", "+0 % to +0 %", "0"]
    assert "against none" in compared("arms")[0]


def test_families_of_the_grid(results: Path) -> None:
    """Each has its lowest, middle and highest error, and how many it has among the best 50."""
    rows = [
        {"state": "COMPLETE", "auto_encoder": family, "value": i / 1000 + offset}
        for family, offset in (("CNN", 0.0), ("linear", 0.0455))
        for i in range(1, 52)
    ]
    pd.DataFrame(rows).to_parquet(results / "grid-autoencoder.parquet")
    assert families()[2:] == [
        "| CNN | 51 | 0.00100 | 0.02600 | 0.05100 | 48 |",
        "| linear | 51 | 0.04650 | 0.07150 | 0.09650 | 2 |",
    ]


def test_steps_of_an_ablation(results: Path) -> None:
    """Each step stands beside the one before it, a neighbour beside the winner at their end."""
    arms = {
        "default": [1.0, 2.0, 4.0],
        "then width 9": [0.5, 1.0, 2.0],
        "then depth 2": [1.0, 2.0, 4.0],
        "width 7": [4.0, 8.0, 16.0],
    }
    write(results, "path", arms)
    assert ablated("path")[2:] == [
        "| default | 3 | 2.33333 | – | – | – |",
        "| then width 9 | 3 | 1.16667 | −50 % | −50 % to −50 % | 3 |",
        "| then depth 2 | 3 | 2.33333 | +100 % | +100 % to +100 % | 0 |",
        "| winner with width 7 | 3 | 9.33333 | +300 % | +300 % to +300 % | 0 |",
    ]
