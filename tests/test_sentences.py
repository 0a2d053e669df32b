"""Numbers in sentences: what is near the winner, what a search promised, what pairs differ by."""

from pathlib import Path

import pandas as pd
import pytest

import benchmarks.sentences
import benchmarks.tables
from benchmarks.sentences import accuracy_change, change, near, promised, pruned, record, saved
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
    text = accuracy_change("two", "b", "c")
    assert text == "+0.000 (+0.000 to +0.000, n = 3, higher with 0, sign test p = 1.00)"


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
