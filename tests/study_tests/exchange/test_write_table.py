"""A study's trials as a file."""

import json
from pathlib import Path

import pandas as pd
import pytest

from study.errors import StudyError
from study.exchange.write_table import write_table
from tests.study_tests.synthetic import MARKUP, planted, study


def read(path: Path) -> pd.DataFrame:
    """Read a table by its ending."""
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.mark.parametrize("name", ["trials.csv", "trials.parquet", "new/folder/trials.csv"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    """One row per trial, whatever its state, with values, parameters and failures."""
    record = planted(40)
    assert write_table(record, tmp_path / name) == 40
    frame = read(tmp_path / name)
    assert frame["number"].tolist() == list(range(40))
    for trial, (_, row) in zip(record.trials, frame.iterrows(), strict=True):
        assert row["state"] == trial.state.name
        assert row["learning_rate"] == pytest.approx(trial.params["learning_rate"], rel=1e-12)
        if trial.value is None:
            assert pd.isna(row["value"])
        else:
            assert row["value"] == pytest.approx(trial.value, rel=1e-12)
    assert frame["failure"].dropna().tolist() == [MARKUP] * 2


def test_formats_agree(tmp_path: Path) -> None:
    """Both formats have the same columns in the same order."""
    for name in ("a.csv", "a.parquet"):
        write_table(planted(10), tmp_path / name)
    assert list(read(tmp_path / "a.csv")) == list(read(tmp_path / "a.parquet"))


@pytest.mark.parametrize("name", ["trials.csv", "trials.parquet"])
def test_curves(tmp_path: Path, name: str) -> None:
    """On request a last column has what each trial reported; without, there is none."""
    record = planted(20)
    write_table(record, tmp_path / f"without-{name}")
    write_table(record, tmp_path / name, curves=True)
    without, frame = read(tmp_path / f"without-{name}"), read(tmp_path / name)
    assert [*without, "curve"] == list(frame)
    for trial, curve in zip(record.trials, frame["curve"], strict=True):
        found = json.loads(curve) if isinstance(curve, str) else list(curve)
        assert found == list(trial.intermediate_values.values())
    assert any(trial.intermediate_values for trial in record.trials)


def test_no_trials(tmp_path: Path) -> None:
    """An empty study is an empty table that can be read."""
    for name in ("a.csv", "a.parquet"):
        assert write_table(study(), tmp_path / name) == 0
        assert len(read(tmp_path / name)) == 0


@pytest.mark.parametrize("name", ["trials.xlsx", "trials", "trials.CSV.bak"])
def test_other_endings(tmp_path: Path, name: str) -> None:
    """Another ending is refused before anything is written."""
    with pytest.raises(StudyError, match=r"^`out` must end in \.csv or \.parquet, but got "):
        write_table(planted(5), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_replaces_whole_files(tmp_path: Path) -> None:
    """An old file is replaced, and nothing else is left in the folder."""
    path = tmp_path / "trials.csv"
    path.write_text("old")
    write_table(planted(5), path)
    assert len(read(path)) == 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["trials.csv"]


def test_below_a_file(tmp_path: Path) -> None:
    """A folder that cannot exist is an error of the operating system."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_table(planted(5), tmp_path / "file" / "trials.csv")
