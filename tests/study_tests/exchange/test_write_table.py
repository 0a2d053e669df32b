"""A study's trials as a file."""

import json
from pathlib import Path

import pandas as pd
import pytest

from study.errors import StudyError
from study.exchange.columns import columns_of, to_frame
from study.exchange.write_table import write_table
from tests.study_tests.synthetic import MARKUP, SETTINGS, planted, study, trial


def read(path: Path) -> pd.DataFrame:
    """Read a table by its ending."""
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def test_round_trip(tmp_path: Path) -> None:
    """One row per trial, its reports on request, in new folders or instead of an old file."""
    record = planted(40)
    (tmp_path / "trials.csv").write_text("old")
    paths = [tmp_path / name for name in ("trials.csv", "new/folder/trials.parquet")]
    for path in paths:
        assert write_table(record, path) == 40
        without = list(read(path))
        write_table(record, path, curves=True)
        frame = read(path)
        assert list(frame) == [*without, "curve"]
        rates = [trial.params["learning_rate"] for trial in record.trials]
        assert frame["learning_rate"].tolist() == rates
        curves = map(json.loads, frame["curve"]) if path.suffix == ".csv" else frame["curve"]
        reported = [list(trial.intermediate_values.values()) for trial in record.trials]
        assert list(map(list, curves)) == reported
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


def test_frame_has_one_row_per_trial_and_clean_types() -> None:
    """Numbers are numbers, booleans nullable, times times, and a lacking value is missing."""
    frame = to_frame(columns_of(planted()))
    assert list(frame.columns[:4]) == ["number", "state", "value", "auto_encoder"]
    assert list(frame.columns[-3:]) == ["started", "completed", "duration_s"]
    types = frame.dtypes.astype(str).to_dict()
    for kind, names in (
        ("Int64", ("batch_size", "bottleneck_dim", "seed")),
        ("float64", ("learning_rate", "value", "duration_s")),
        ("string", ("state", "failure")),
        ("boolean", ("batch_normalization",)),
        ("datetime64[us, UTC]", ("started", "completed")),
    ):
        assert {types[name] for name in names} == {kind}
    linear = frame["auto_encoder"] == "linear"
    assert (frame["batch_normalization"].isna() == linear).all()
    assert (len(frame), frame["value"].notna().sum()) == (120, 102)
    assert frame["duration_s"].eq(60.0).all()
    # A user attribute never replaces a column, what is no scalar stays out; none is a header.
    clashing = trial(0, value=0.1, attrs={"value": 9, "mixed": 1, "list": [1]})
    other = trial(1, value=0.2, attrs={"mixed": "one"})
    frame = to_frame(columns_of(study(clashing, other)))
    assert frame["value"].tolist() == [0.1, 0.2]
    assert frame["attr_value"].tolist() == [9, pd.NA]
    assert frame["mixed"].tolist() == ["1", "one"]
    assert "list" not in frame
    columns = to_frame(columns_of(study(settings=SETTINGS))).columns
    assert " ".join(columns) == "number state value started completed duration_s"
