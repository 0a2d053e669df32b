"""All trials of a study as a file."""

import json
from pathlib import Path

from storage.files import atomic_path
from storage.records import StudyRecord
from study.analysis.tables import to_frame
from study.errors import StudyError


def write_table(record: StudyRecord, out: Path, *, curves: bool = False) -> int:
    """Write one row per trial, as CSV or Parquet by the file's ending; return the rows.

    ``curves`` adds a last column ``curve`` with what each trial reported, step by step: a list of
    numbers, in CSV as JSON. Raise a StudyError for another ending.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise StudyError(f"`out` must end in .csv or .parquet, but got {str(out)!r}.")
    frame = to_frame(record)
    if curves:
        reported = [list(trial.intermediate_values.values()) for trial in record.trials]
        frame["curve"] = list(map(json.dumps, reported)) if out.suffix == ".csv" else reported
    with atomic_path(out) as partial:
        if out.suffix == ".csv":
            frame.to_csv(partial, index=False)
        else:
            frame.to_parquet(partial, index=False)
    return len(frame)
