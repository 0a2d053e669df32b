"""The table of a file, CSV or Parquet, as it stands there."""

import json
import re
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from study.errors import StudyError
from study.exchange.cells import decode, encode, read_plain
from study.exchange.write_table import META

COUNT = "Unnamed: 0"
"""What pandas calls a column that counts the rows, when it reads and writes a table."""
_NESTED = ("params", "user_attrs", "system_attrs", "intermediate_values", "values")
"""Names of the upper row of a head of two, as ``trials_dataframe(multi_index=True)`` has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table.

    Args:
        where: File and number, as spreadsheets count.
        cells: By column, without those that are empty.
        coded: Columns in which texts stand for all values.
    """

    where: str
    cells: Mapping[str, Any]
    coded: Container[str]

    def value(self, column: str, *, plain: bool = False) -> Any:
        """Return the value of a cell that is not empty; ``plain`` if texts stand as they are."""
        cell = self.cells[column]
        if column not in self.coded:
            return cell
        return read_plain(cell) if plain else decode(cell)

    def text(self, column: str) -> str:
        """Return a cell as CSV has it, without our quotation marks; empty without one."""
        if column not in self.cells:
            return ""
        value = self.value(column)
        if isinstance(value, str):
            return value
        return str(self.cells[column]) if column in self.coded else encode(value)

    def wrong(self, column: str, rule: str) -> StudyError:
        """Return the error of a cell that breaks a rule."""
        cell = self.cells.get(column)
        found = "is missing" if cell is None else f"must be {rule}, but is {cell!r}"
        return StudyError(f"{self.where}: `{column}` {found}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table.

    Args:
        about: What the file says of the study; empty for CSV and other programs' files.
        fields: What it says of its columns.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_sheet(path: Path) -> Sheet:
    """Read a Parquet or a CSV file, told apart by the name's end; a StudyError names the file."""
    sheet = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    for name, n in Counter(sheet.columns).items():
        if n > 1:
            raise StudyError(f"{path} has {n} columns named {name!r}; give them different names.")
    if not sheet.rows:
        raise StudyError(f"{path} has no rows.")
    return sheet


def _read_csv(path: Path) -> Sheet:
    try:
        with path.open("rb") as file:  # a path may be a URL to pandas
            frame = pd.read_csv(
                file,
                header=None,
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
                skip_blank_lines=False,
            )
    except pd.errors.ParserError:
        _require_commas(path)
        raise StudyError(
            f"{path} must have as many cells in every row as in its first, the names of columns."
        ) from None
    except UnicodeDecodeError:
        raise StudyError(f"{path} must be CSV in UTF-8, but is encoded otherwise.") from None
    except ValueError as error:
        raise StudyError(f"{path} is no CSV file: {str(error).splitlines()[0]}") from None
    head, *rows = frame.to_numpy().tolist()
    if len(head) == 1:
        _require_commas(path)
    if set(head) & set(_NESTED) and rows:
        head = ["_".join(filter(None, pair)) for pair in zip(head, rows.pop(0), strict=True)]
    head = ["" if name == COUNT else name for name in head]
    first, coded = len(frame) - len(rows) + 1, frozenset(head)
    found = [
        {name: cell for name, cell in zip(head, row, strict=True) if name and cell} for row in rows
    ]
    return Sheet(
        path=path,
        columns=tuple(filter(None, head)),
        rows=tuple(
            Row(where=f"{path}, row {i}", cells=cells, coded=coded)
            for i, cells in enumerate(found, first)
            if cells
        ),
    )


def _require_commas(path: Path) -> None:
    """Raise a StudyError if the first line has no comma, but another sign between its names."""
    with path.open(encoding="utf-8-sig") as file:
        line = file.readline()
    for sign, name in {";": "semicolons", "\t": "tabs", "|": "bars"}.items():
        if sign in line and "," not in line:
            raise StudyError(
                f"{path} must have commas between its columns and points in its numbers, but its "
                f"first line has {name}: save it as CSV with commas."
            )


def _read_parquet(path: Path) -> Sheet:
    try:
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read()
    except pa.ArrowException as error:
        raise StudyError(f"{path} is no Parquet file: {str(error).splitlines()[0]}") from None
    names = [_flat(found.name) for found in table.schema]
    about = [_told(found.metadata) for found in table.schema]
    fields = {name: told for name, told in zip(names, about, strict=True) if told}
    coded = frozenset(name for name, told in fields.items() if told["coded"])
    columns = [_cells(column) for column in table.columns]
    return Sheet(
        path=path,
        columns=tuple(names),
        rows=tuple(
            Row(
                where=f"{path}, row {i}",
                cells={n: x for n, x in zip(names, row, strict=True) if x is not None and x == x},
                coded=coded,
            )
            for i, row in enumerate(zip(*columns, strict=True), 2)
        ),
        about=_told(table.schema.metadata),
        fields=fields,
    )


def _flat(name: str) -> str:
    """Return the name of a column as one text, of which pandas made a pair: ``('a', 'b')``."""
    pair = re.fullmatch(r"\('(.*)', '(.*)'\)", name, re.DOTALL)
    return "_".join(filter(None, pair.groups())) if pair else name


def _told(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    return dict(json.loads((metadata or {}).get(META, b"{}")))


def _cells(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):  # Python's times have no nanoseconds
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return list(column.to_pylist())
