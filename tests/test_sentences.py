"""Numbers in sentences: what is near the winner, and what chance alone does not explain."""

import math
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import benchmarks.sentences
import benchmarks.tables
from benchmarks.sentences import hints, near, steps_told
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


def test_hints_leave_nothing_out(results: Path) -> None:
    """Each arm whose interval leaves out 0 is named, whatever its sign."""
    base = [1.0, 2.0, 3.0]
    up, down, both = [1.1, 2.1, 3.1], [0.9, 1.9, 2.9], [1.1, 1.9, 3.0]
    arms = {"improved": base, "up": up, "down": down, "both": both}
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
