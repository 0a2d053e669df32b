"""A study's trials as a file."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from study.errors import StudyError
from study.exchange.write_table import write_table
from tests.study_tests.synthetic import MARKUP, planted, study


def read(path: Path) -> pd.DataFrame:
    """Read a table by its ending."""
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def test_round_trip(tmp_path: Path) -> None:
    """One row per trial, whatever its state, in new folders or instead of an old file.

    On request a last column has what each trial reported; an empty study can be read.
    """
    record = planted(40)
    (tmp_path / "trials.csv").write_text("old")
    paths = [tmp_path / name for name in ("trials.csv", "new/folder/trials.parquet")]
    for path in paths:
        assert write_table(record, path) == 40
        without = list(read(path))
        write_table(record, path, curves=True)
        frame = read(path)
        assert list(frame) == [*without, "curve"]
        for trial, (_, row) in zip(record.trials, frame.iterrows(), strict=True):
            assert (row["number"], row["state"]) == (trial.number, trial.state.name)
            assert row["learning_rate"] == pytest.approx(trial.params["learning_rate"], rel=1e-12)
            value = math.nan if trial.value is None else trial.value
            assert row["value"] == pytest.approx(value, rel=1e-12, nan_ok=True)
            curve = json.loads(row["curve"]) if path.suffix == ".csv" else list(row["curve"])
            assert curve == list(trial.intermediate_values.values())
        assert frame["failure"].dropna().tolist() == [MARKUP] * 2
    assert list(read(paths[0])) == list(read(paths[1]))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["new", "trials.csv"]
    for path in paths:
        assert write_table(study(), path) == len(read(path)) == 0


def test_refused(tmp_path: Path) -> None:
    """Another ending, and a folder that cannot exist, before anything is written."""
    (tmp_path / "file").touch()
    for name in ("trials.xlsx", "trials", "trials.CSV.bak"):
        with pytest.raises(StudyError, match=r"^`out` must end in \.csv or \.parquet, but got "):
            write_table(study(), tmp_path / name)
    with pytest.raises(OSError, match="file"):
        write_table(study(), tmp_path / "file" / "trials.csv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
