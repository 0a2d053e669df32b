"""Data set files of every type of column, and what small ones may ask of the memory."""

import base64
import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from emoji_ae.dataset import load_dataset
from emoji_ae.errors import DataError
from emoji_ae.images import encode_png
from emoji_ae.rows import read_rows

PNG = encode_png(np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8))
BASE64 = base64.b64encode(PNG).decode()
FACES = ["nerd face", "flag", "cat face"]
NO_TEXT = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff face"], pa.binary()).buffers())
DELTA: dict[str, Any] = {
    "use_dictionary": False,
    "column_encoding": {"text": "DELTA_BYTE_ARRAY", "image": "DELTA_BYTE_ARRAY"},
}


def write(path: Path, text: Any, image: Any, **options: Any) -> Path:
    """Write a data set file; return its path."""
    with path.open("wb") as file:
        pq.write_table(pa.table({"text": text, "image": image}), file, **options)
    return path


def repeated(value: Any, n: int) -> pa.Array:
    """Return a value many times over, stored once."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), [value])


@pytest.mark.parametrize(
    ("text", "image", "options"),
    [
        (FACES, [{"bytes": PNG, "path": None, "width": 64}] * 3, {}),
        (FACES, pa.array([PNG] * 3, pa.binary(len(PNG))), {}),
        (pa.array(FACES, pa.string_view()), pa.array([PNG] * 3, pa.binary_view()), {}),
        ([text.encode() for text in FACES], pa.array([PNG] * 3).dictionary_encode(), {}),
        (FACES, [BASE64] * 3, {}),
        (FACES, [{"bytes": f"data:image/png;base64,\n {BASE64}\n"}] * 3, {}),
        (FACES, [PNG] * 3, {"row_group_size": 1}),
        (FACES, [PNG] * 3, DELTA),
    ],
)
def test_what_can_be_read(tmp_path: Path, text: Any, image: Any, options: Any) -> None:
    """Whatever type and encoding texts and images are stored in, they are the same data."""
    loaded = load_dataset(write(tmp_path / "f.parquet", text, image, **options))
    assert loaded.texts == ("nerd face", "cat face")
    same = load_dataset(write(tmp_path / "f.parquet", FACES, [PNG] * 3))
    assert loaded.fingerprint == same.fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ([1.5], "`text` of .*f.parquet must be text, but got double."),
        ([["nerd face"]], "`text` of .* must be text, but got list<element: string>."),
        ([{"en": "face"}], "`text` of .* must be text, but got struct<en: string>."),
        (NO_TEXT, "`text` of .* must be text, but got bytes that are not UTF-8."),
        (["flag", None], r"f.parquet, row 1 \(from 0\): `text` must be text, but got null."),
        (["flag", "clock face"], "must have the word 'face'.* but got none in 2 rows"),
        (pa.array([], pa.string()), "must have the word 'face'.* but got none in 0 rows"),
        (["two face coin", "Big face-card."], "but got 'two face coin', 'Big face-card.'; rename"),
        (["stone face of " * 10**4], r"must have a class, but got 'stone face of .{85}…'; rename"),
        ([f"stone face {i}" for i in range(99)], "'stone face 4' and 94 more; rename these"),
    ],
)
def test_texts_that_cannot_be_read(tmp_path: Path, text: Any, message: str) -> None:
    """One short line names the column, what it holds and what it must hold."""
    with pytest.raises(DataError, match=message) as error:
        load_dataset(write(tmp_path / "f.parquet", text, [PNG] * len(text)))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (7, "`image` of .*f.parquet must be image files: a struct with .* but got int64."),
        ([PNG], "`image` of .* must be image files: .* but got list<element: binary>."),
        ([[[0.5]]], "`image` of .* must be image files: .* but got list<element: list<.*double>>"),
        ({"path": "1f600.png"}, "`image` of .* must have a field `bytes`, but got path"),
        ({"bytes": [1]}, "`image.bytes` of .* must be bytes, or base64 as text, but got list<"),
        ({"bytes": PNG, "path": 3}, "`image.path` of .* must be text, but got int64."),
        (None, r"f.parquet, row 2 \(from 0\), 'cat face': `image` must have bytes, but got null"),
        (b"", r"f.parquet, row 2 \(from 0\), 'cat face': `image` must have bytes, but got none"),
        ({"bytes": None, "path": "a/b.png"}, "bytes, but got only the file's path 'a/b.png'."),
        ("faces/a.png", "must be bytes, or base64 as text, but got 'faces/a.png'"),
        (BASE64[:-8] + "\x1b[31m", r"base64 as text, but got 'iVBORw0KGgo.{88}…'\.\Z"),
    ],
)
def test_images_that_cannot_be_read(tmp_path: Path, image: Any, message: str) -> None:
    """One short line names the column or the row, what it holds and what it must hold."""
    with pytest.raises(DataError, match=message):
        load_dataset(write(tmp_path / "f.parquet", ["flag", "flag", "cat face"], [image] * 3))


def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a relative path, which may be a study's, it is told where it was looked for."""
    monkeypatch.chdir(tmp_path)
    for path, where in (("x.parquet", f" in {tmp_path}"), (str(tmp_path / "x.parquet"), "")):
        with pytest.raises(DataError, match=re.escape(f"got no such file{where}.")):
            read_rows(Path(path))


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A file whose name could be neither stored nor printed is refused with one that can."""
    path = write(tmp_path / os.fsdecode(b"\xff \xe9.parquet"), FACES, [PNG] * 3)
    with pytest.raises(DataError, match=r"`.*/� �.parquet` must have a name in UTF-8; rename the"):
        read_rows(path)


@pytest.mark.parametrize(
    ("text", "image", "message"),
    [
        (repeated("nerd face", 2_000), repeated(bytes(10**6), 2_000), "but got no known image f"),
        (repeated("x" * 10**6, 10**6), pa.nulls(10**6), "but got none in 1,000,000 rows"),
        (["x" * 10**6] * 99, pa.nulls(99, pa.binary()), "to at most 200 times its size, but g"),
        (FACES, [b"", b"x" * 10**7, b"x" * 10**7], "row 0 .* must have bytes, but got none"),
        (pa.array(["face"]), [bytes(7 * 10**7)], "to at most 200 times its size, but got 70,"),
        (repeated("nerd face", 10**5 + 1), pa.nulls(10**5 + 1), "in at most 100,000 rows, but"),
        (repeated("a", 10**7 + 1), pa.nulls(10**7 + 1), "at most 10,000,000 rows, but got 10,"),
    ],
)
def test_small_files_take_little(tmp_path: Path, text: Any, image: Any, message: str) -> None:
    """Files of kilobytes that unpack to gigabytes are read in parts, or refused."""
    options = {"store_schema": False} if isinstance(text, pa.Array) else DELTA
    path = write(tmp_path / "f.parquet", text, image, compression="zstd", **options)
    assert path.stat().st_size < 200_000
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(DataError, match=message):
            load_dataset(path)
    finally:
        pa.set_memory_pool(usual)
    assert pool.max_memory() < 500 * 2**20


def test_what_became_of_the_rows(tmp_path: Path) -> None:
    """Rows that are left out, and images that are turned, later frames or white, are counted."""
    turned, film, empty = io.BytesIO(), io.BytesIO(), Image.new("RGBA", (9, 9))
    exif = Image.Exif()
    exif[274] = 8
    Image.linear_gradient("L").save(turned, "JPEG", exif=exif)
    later = Image.linear_gradient("L").resize((9, 9))
    empty.save(film, "PNG", save_all=True, append_images=[later])
    white = encode_png(np.full((3, 9, 9), 255, "u1"))
    files = [PNG, PNG, turned.getvalue(), film.getvalue(), white]
    text = ["a flag", "clock face.", "Face!", "(sad) face", "cat’s face"]
    loaded = load_dataset(write(tmp_path / "f.parquet", text, [{"bytes": file} for file in files]))
    intake = loaded.intake
    assert (len(loaded), intake.embedded) == (3, False)
    assert (intake.n_without_face, intake.n_clock, intake.n_turned) == (1, 1, 1)
    assert (intake.n_later_frames, intake.n_blank, sum(intake.kinds.values())) == (1, 1, 3)
    assert load_dataset(None).intake.n_without_face == 1_845 - load_dataset(None).intake.n_clock


@given(data=st.data())
@settings(max_examples=60)
def test_damaged_files_never_crash(data: st.DataObject, tmp_path_factory: Any) -> None:
    """A damaged file is either read or refused, and no other error comes out."""
    path = write(tmp_path_factory.mktemp("d") / "f.parquet", FACES, [{"bytes": PNG}] * 3)
    content = bytearray(path.read_bytes())
    ends = st.sampled_from([*range(200), *range(len(content) - 1_500, len(content))])
    for place in data.draw(st.lists(ends, min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert len(load_dataset(path)) == 2
