"""Numbers in sentences: what is near the winner, what a search promised, what pairs differ by."""

import math
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import benchmarks.sentences
import benchmarks.tables
from benchmarks.sentences import (
    change,
    gain,
    hints,
    near,
    promised,
    pruned,
    record,
    risen,
    saved,
    steps_told,
)
from tests.test_tables import write


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results."""
    monkeypatch.setattr(benchmarks.sentences, "RESULTS", tmp_path)
    monkeypatch.setattr(benchmarks.tables, "RESULTS", tmp_path)
    return tmp_path


def search(folder: Path, *rows: dict[str, object]) -> None:
    """Write the trials of a search, numbered in their order."""
    given = [{"number": i, "state": "COMPLETE", **row} for i, row in enumerate(rows)]
    pd.DataFrame(given).to_parquet(folder / "search.parquet")


def sized(value: float, weights: int, seconds: float) -> dict[str, object]:
    """Return a trial with its error and its costs."""
    return {"value": value, "parameter_count": weights, "training_seconds": seconds}


def test_what_is_near_the_winner(results: Path) -> None:
    """A tenth above the lowest error is near; what is smaller or faster and worse is not."""
    search(results, sized(1.0, 9000, 9), sized(1.05, 8000, 3), sized(1.1, 7000, 4), sized(2, 1, 1))
    assert near("search") == (
        "Of the 3 complete trials within 10 % of the winner the smallest is trial 2 with 7,000 "
        "weights, the fastest trial 1"
    )
    search(results, sized(1.0, 9000, 9), sized(1.05, 8000, 3))
    assert near("search").endswith("the smallest and fastest is trial 1 with 8,000 weights")
    search(results, sized(1.0, 9000, 9), sized(1.2, 8000, 3))
    assert near("search") == "No other of the 2 complete trials is within 10 % of the winner"


def test_what_a_search_promised(results: Path) -> None:
    """The best confirmed ones count, the default and one from the middle do not."""
    search(results, sized(0.2, 1, 1), sized(0.1, 1, 1), sized(0.4, 1, 1))
    arms = {"default": [9.0], "trial 0": [0.2, 0.24], "trial 1": [0.15], "trial 2": [4.0]}
    write(results, "again", arms)
    assert promised("again", "search", n=2) == "+30 % (median of 2, +10 % to +50 %)"


def test_pairs_of_seeds(results: Path) -> None:
    """Changes are those within pairs, of errors and of accuracies."""
    write(results, "one", {"a": [1.0, 2.0, 4.0]}, validation_accuracy=0.5)
    write(results, "two", {"b": [0.5, 1.0, 2.0], "c": [1.0, 1.0, 1.0]}, validation_accuracy=0.5)
    text = change("two", "b", "a", of="one")
    assert text == "−50 % (−50 % to −50 %, n = 3, lower with 3)"
    text = gain("two", "b", "c")
    assert text == "+0.000 (+0.000 to +0.000, n = 3, higher with 0, sign test p = 1.00)"


def test_less_than_an_image_is_no_difference(results: Path) -> None:
    """Accuracies of sets of different sizes are hardly ever equal, so such a pair says nothing."""
    before, after = {"a": [0.50, 0.50, 0.50, 0.50]}, {"b": [0.49, 0.53, 0.54, 0.55]}
    write(results, "one", before | after)
    assert "higher with 3, sign test p = 0.62" in gain("one", "b", "a", "value")
    text = gain("one", "b", "a", "value", image=0.035)
    assert "n = 4, higher with 2 of the 2 that differ by an image, sign test p = 0.500" in text


def test_the_default_was_not_chosen(results: Path) -> None:
    """What the grid measured of its configuration is found by its parameters."""
    search(results, {"value": 0.2, "batch_size": 16}, {"value": 0.3, "batch_size": 32})
    write(results, "again", {"default": [0.36, 0.42], "trial 0": [0.2]}, batch_size=32)
    assert risen("again", "search") == "+30 %, from 0.30000"


def test_hints_leave_nothing_out(results: Path) -> None:
    """Each arm whose interval leaves out 0 is named, whatever its sign."""
    base = [1.0, 2.0, 3.0]
    arms = {
        "improved": base,
        "up": [1.1, 2.1, 3.1],
        "down": [0.9, 1.9, 2.9],
        "both": [1.1, 1.9, 3],
    }
    write(results, "latent-space", arms)
    assert hints("value") == "up: +0.100 (+0.100 to +0.100); down: −0.100 (−0.100 to −0.100)"


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


def test_what_was_trained(results: Path) -> None:
    """What another training answered was not; a pruned one was, up to its end."""
    search(
        results,
        {"epoch": 100, "epochs_run": 0, "reused_from": 1.0},
        {"epoch": 200, "epochs_run": 200, "reused_from": None},
    )
    assert saved("search") == (
        "2 configurations are 1 trainings and 200 epochs, where the notebook trained 300"
    )
    search(
        results,
        {"epoch": 100, "epochs_run": 30, "state": "PRUNED"},
        {"epoch": 100, "epochs_run": 100},
        {"epoch": 100, "epochs_run": 5, "state": "FAIL"},
    )
    assert pruned("search") == "1 of 2 trials were pruned, and 130 of 200 epochs trained"


def test_trials_as_the_analysis_sees_them(results: Path) -> None:
    """Parameters have the types of their space, and a pruned trial has a curve and no value."""
    rows = [
        {"value": 0.5, "depth": 3.0, "auto_encoder": "CNN", "curve": [0.7, 0.5]},
        {"value": 0.1, "depth": None, "auto_encoder": "linear", "curve": [0.1], "state": "PRUNED"},
        {"value": None, "depth": 4.0, "auto_encoder": "CNN", "curve": [], "state": "FAIL"},
    ]
    search(results, *rows)
    complete, stopped = record("search", "extended").trials
    assert complete.params == {"auto_encoder": "CNN", "depth": 3}
    assert isinstance(complete.params["depth"], int)
    assert (complete.value, stopped.value) == (0.5, None)
    assert dict(complete.intermediate_values) == {0: 0.7, 1: 0.5}
    assert stopped.params == {"auto_encoder": "linear"}
