"""The tables of the documents are those of the trials that are kept beside them."""

from pathlib import Path

import pytest

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
        assert text.count(head) == sum(lines[0] == head for lines in tables)


def test_every_kept_file_is_used() -> None:
    """Nothing lies in the folder that no table is made from."""
    code = (DOCS.parent / "benchmarks" / "tables.py").read_text()
    files = list((DOCS / "results").glob("*.parquet"))
    assert files
    for file in files:
        assert f'"{file.name}"' in code or f'"{file.stem}"' in code
