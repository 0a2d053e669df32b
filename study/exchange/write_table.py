"""All trials of a study as a file."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from storage.attrs import SETTINGS
from storage.files import atomic_path
from storage.records import StudyRecord
from study.errors import require_ending
from study.exchange.cells import encode
from study.exchange.columns import Column, columns_of, to_frame

ENDINGS = (".csv", ".parquet")
META = b"emoji_study"
"""Key of what a Parquet file says, as JSON, of the study and of each column."""


def write_table(record: StudyRecord, out: Path, *, curves: bool = False) -> int:
    """Write one row per trial, as CSV or Parquet by the file's ending; return the rows.

    ``curves`` adds what each trial reported, step by step: lists of numbers, in CSV as JSON.
    Raise a StudyError for another ending.
    """
    require_ending(out, *ENDINGS)
    columns = columns_of(record, curves=curves)
    with atomic_path(out) as partial:
        if out.suffix.lower() != ".parquet":
            texts = {column.name: _texts(column) for column in columns}
            with partial.open("w", encoding="utf-8", newline="") as file:
                pd.DataFrame(texts).to_csv(file, index=False)
        else:
            with partial.open("wb") as sink:
                pq.write_table(_parquet(record, columns), sink)
    return len(record.trials)


def _texts(column: Column) -> "pd.Series[Any]":
    """Return what a column's cells are in CSV, which knows texts alone."""
    if column.coded or column.values.dtype not in ("string", "object"):
        return column.values
    return column.values.map(encode, na_action="ignore")


def _parquet(record: StudyRecord, columns: list[Column]) -> pa.Table:
    """Return a table that says what CSV cannot: objectives, ranges, what each column holds."""
    table = pa.Table.from_pandas(to_frame(columns), preserve_index=False)
    settings = SETTINGS.of(record)
    about = {
        "directions": list(record.directions),
        "metric_names": list(record.metric_names),
        "kind": settings and settings.kind,
        "user_attrs": {} if settings else dict(record.other_attrs),
    }
    fields = [
        field.with_metadata({META: json.dumps(_about(column)).encode()})
        for field, column in zip(table.schema, columns, strict=True)
    ]
    meta = {**table.schema.metadata, META: json.dumps(about).encode()}
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields, metadata=meta))


def _about(column: Column) -> dict[str, Any]:
    """Say of a column what its name does not; the trials of its first range are all others."""
    ranges = [
        {"range": json.loads(text), "trials": numbers if i else None}
        for i, (text, numbers) in enumerate(column.ranges.items())
    ]
    return {"part": column.part, "key": column.key, "coded": column.coded, "ranges": ranges}
