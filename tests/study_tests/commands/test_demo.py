"""The demo goes the whole way: a search, its best model for good, a report."""

from pathlib import Path

import pytest

from study.commands import demo
from tests.conftest import Cli


@pytest.mark.whole
def test_the_whole_way(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it does, and ends with one next step."""
    monkeypatch.setattr(demo, "TRIALS", 2)
    monkeypatch.setattr(demo, "EPOCHS", 1)
    code, out, _ = cli("demo", "--out", "here", "--workers", "1")
    assert (code, out.count("Next: ")) == (0, 1)
    assert "2 of 2 trials finished" in out
    assert all(Path("here", name).exists() for name in ("study.db", "report.html", "best"))
