"""Values as texts, as they stand in the cells of a table, and back without loss.

A cell reads as what it looks like: a number, ``True``, ``False``, ``null``, a list or mapping as
JSON, else a text. A text that looks like something else, that tables cannot hold, or that a
spreadsheet would compute, stands in quotation marks, as JSON: ``"16"``, ``"=A1"``. An empty cell
is none of these: there is no value.
"""

import json
import re
from typing import Any

_WORDS = {"True": True, "False": False, "null": None}
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f]")
"""Characters at which readers of CSV end a cell, or a row."""
_FORMULA = ("=", "+", "-", "@", "\t")
"""Beginnings of texts that spreadsheets compute."""


def encode(value: Any) -> str:
    """Write a value that JSON holds; NaN and infinity are ``nan``, ``inf`` and ``-inf``."""
    if isinstance(value, str):
        unsafe = not value or value.startswith(_FORMULA) or _UNWRITABLE.search(value)
        plain = not unsafe and decode(value) == value
        return value if plain else _quoted(value)
    if isinstance(value, bool | int | float):
        return str(value)
    return _quoted(value)


def decode(text: str) -> Any:
    """Read what ``encode`` wrote."""
    if text[:1] in ('"', "[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return _WORDS[text] if text in _WORDS else read_plain(text)


def read_plain(text: str) -> bool | int | float | str:
    """Read a cell of a table of another program, in which every text stands as it is."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def encode_name(name: str) -> str:
    """Write a name, which is a text whatever it looks like."""
    unsafe = name.startswith(('"', *_FORMULA)) or "\n" in name or _UNWRITABLE.search(name)
    return _quoted(name) if unsafe else name


def decode_name(text: str) -> str:
    """Read what ``encode_name`` wrote."""
    name = decode(text) if text[:1] == '"' else text
    return name if isinstance(name, str) else text


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
