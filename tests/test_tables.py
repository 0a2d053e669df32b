"""Tables and sentences of the documents: what is compared is paired, and says what it counts."""

import math
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import benchmarks.sentences
import benchmarks.tables
from benchmarks.sentences import change, gain, steps_told
from benchmarks.tables import ablated, against_the_grid, compared


def write(folder: Path, name: str, errors: dict[str, list], seed: int = 0, **more: float) -> None:
    """Write a confirmation; each arm's test errors are half of its validation errors."""
    rows = [
        {
            "state": "COMPLETE",
            "arm": arm,
            "pair": pair,
            "seed": seed + pair,
            "sides": "tvx",
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
    for module in (benchmarks.sentences, benchmarks.tables):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    return tmp_path


def test_winners_are_compared_pair_by_pair(results: Path) -> None:
    """A tenth in every pair is a tenth without scatter; errors of other seeds are no pairs."""
    write(results, "grid", {"worse": [9.0] * 4, "best": [1.0, 2.0, 3.0, 4.0]})
    write(results, "new-confirmation", {"best": [0.1, 0.2, 0.3, 0.4], "worse": [5.0] * 4})
    line = against_the_grid(["new-confirmation"], "grid")[-1]
    assert line == "| new, best | 4 | 0.100 | 0.100 to 0.100 | 4 |"
    write(results, "other", {"best": [0.1, 0.2, 0.3, 0.4]}, seed=5)
    with pytest.raises(ValueError, match="other seeds"):
        against_the_grid(["other"], "grid")


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


def test_pairs_of_seeds(results: Path) -> None:
    """Changes are those within pairs; of accuracies, less than an image is no difference."""
    write(results, "one", {"a": [1.0, 2.0, 4.0]}, validation_accuracy=0.5)
    write(results, "two", {"b": [0.5, 1.0, 2.0], "c": [1.0, 1.0, 1.0]}, validation_accuracy=0.5)
    text = change("two", "b", "a", of="one")
    assert text == "−50 % (−50 % to −50 %, n = 3, lower with 3)"
    text = gain("two", "b", "c")
    assert text == "+0.000 (+0.000 to +0.000, n = 3, higher with 0, p = 1.000)"
    write(results, "four", {"a": [0.50, 0.50, 0.50, 0.50], "b": [0.49, 0.53, 0.54, 0.55]})
    p_value = stats.ttest_1samp([-0.01, 0.03, 0.04, 0.05], 0.0).pvalue
    assert f"higher with 3, p = {p_value:.3f}" in gain("four", "b", "a", "value")
    text = gain("four", "b", "a", "value", image=0.035)
    assert "n = 4, higher with 2 of the 2 that differ by an image, p = " in text


def test_steps_are_adjusted_for_all_steps(results: Path) -> None:
    """Holm's adjustment by hand: four times the smallest p-value, and three times the next one."""
    arms = {
        "default": [8.0, 8.2, 7.9],
        "then a": [4.0, 4.5, 3.5],
        "then b": [3.3, 4.1, 2.5],
        "then c": [3.4, 4.0, 2.5],
        "then d": [3.3, 4.1, 2.5],
    }
    write(results, "path", arms)
    before, a, b, *_ = ([math.log(value) for value in values] for values in arms.values())
    first, second = stats.ttest_rel(before, a).pvalue, stats.ttest_rel(a, b).pvalue
    assert first < second < 0.5
    assert steps_told("path") == f"a {4 * first:.3f}, b {3 * second:.3f}, the other 2 1"
