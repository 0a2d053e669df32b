"""Names of studies as names of files."""

import hashlib
import unicodedata

_MAX_BYTES = 150
"""File systems allow 255; what is written beside a file until it is whole has a longer name."""


def file_name(text: str) -> str:
    """Return a name for a file or folder that says what it belongs to, and is never a path.

    A text that can be a name stays as it is. In any other, what cannot be is replaced or cut off,
    and a digest keeps it apart from what looks alike then.

    Args:
        text: Such as the name of a study: any characters, also none at all.
    """
    name = "".join("_" if _is_unfit(character) else character for character in text)
    if name == text and 0 < len(name.encode()) <= _MAX_BYTES and not name.startswith("."):
        return name
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    short = name.lstrip(".").encode()[: _MAX_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{short or 'study'}-{digest}"


def _is_unfit(character: str) -> bool:
    """Say whether a character leads elsewhere, is a control character or no character at all."""
    return character in "/\\" or unicodedata.category(character) in ("Cc", "Cs")
