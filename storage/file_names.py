"""Names of studies as names of files."""

import hashlib
import unicodedata

_UNFIT = ("Cc", "Cs")  # categories: control characters, and what is no character at all
_MAX_BYTES = 150  # of the 255 of file systems; until a file is whole it has a longer name


def file_name(text: str) -> str:
    """Return a name for a file or folder that says what it belongs to, and is never a path.

    A text that can be a name stays as it is. In any other, such as an empty one, what cannot be is
    replaced or cut off, and a digest keeps it apart from what looks alike then.
    """
    name = "".join("_" if c in "/\\" or unicodedata.category(c) in _UNFIT else c for c in text)
    if name == text and 0 < len(name.encode()) <= _MAX_BYTES and not name.startswith("."):
        return name
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    short = name.lstrip(".").encode()[: _MAX_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{short or 'study'}-{digest}"
