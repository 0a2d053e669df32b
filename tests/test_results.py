"""The tables of the documents are those of the trials that are kept beside them."""

from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from benchmarks.kept import RESULTS
from benchmarks.replay import CHEAP, MAX_EPOCHS, SEEDS, confirmed_best, read_grid, replay, table
from benchmarks.sentences import FIGURES
from benchmarks.tables import TABLES

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("name", list(TABLES))
def test_tables_are_those_of_the_kept_trials(name: str) -> None:
    """Every table stands in its document line by line, and there is no other one like them."""
    text = (DOCS / name).read_text()
    tables = [table() for table in TABLES[name]]
    for lines in tables:
        assert len(lines) > 2
        assert text.count("\n".join(lines)) == 1, f"run `python -m benchmarks.tables`: {name}"
    for head in {lines[0] for lines in tables}:
        assert text.count(f"{head}\n") == sum(lines[0] == head for lines in tables)


def test_replayed_searches_are_those_of_the_kept_curves() -> None:
    """The lines of the searches that are replayed within a second stand in the document."""
    grid = read_grid(RESULTS / "grid-autoencoder.parquet", "autoencoder")
    target = confirmed_best(RESULTS / "grid-autoencoder-confirmation.parquet")
    text = (DOCS / "results.md").read_text()
    assert f"at most {target:.5f}, the lowest *confirmed* one" in text
    assert f"The grid takes {len(grid.curves) * MAX_EPOCHS:,} epochs" in text
    assert f"{grid.reaching(target)} it." in text
    found = replay(grid, target, seeds=SEEDS, names=CHEAP)
    assert f"with the {len(SEEDS)} seeds from {SEEDS.start} to {SEEDS[-1]}" in text
    random = median(epochs for epochs in found["random"] if epochs is not None)
    assert f"in random order {random:,.0f} to that error" in text
    assert (
        f"random points alone take {round(random, -2):,.0f},"
        in (DOCS.parent / "README.md").read_text()
    )
    head, rule, *lines = table(grid, found)
    for line in (f"{head}\n{rule}", *lines):
        assert text.count(f"{line}\n") == 1, "run `python -m benchmarks.replay`"


@pytest.mark.whole
@pytest.mark.parametrize("name", list(FIGURES))
def test_numbers_in_sentences_are_those_of_the_kept_trials(name: str) -> None:
    """Each of them stands in the document as often as it is listed: no place may go astray."""
    text = (DOCS.parent / name).read_text()
    expected = Counter(figure() for figure in FIGURES[name])
    assert {found: text.count(found) for found in expected} == expected, (
        "run `python -m benchmarks.sentences`"
    )
