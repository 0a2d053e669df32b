"""The errors of this package, all under one base class; each message is one line for a person."""

_LONGEST = 100
"""Characters of what a message cites."""


class EmojiAEError(Exception):
    """Base class of every error that this package raises on purpose."""

    for_users = True
    """The message says what a person can do."""


class ConfigError(EmojiAEError, ValueError):
    """A configuration breaks one of its rules."""


class DataError(EmojiAEError, ValueError):
    """A data set cannot be built, read, labelled or split; the message names file and row."""


class ExpressionError(EmojiAEError, ValueError):
    """A sum of emoji cannot be read, or names an emoji that the data set does not have."""


class CheckpointError(EmojiAEError, ValueError):
    """A checkpoint cannot be written or read, or does not fit what it is used with."""


def shortened(text: str) -> str:
    """Return a text on one line, cut where it is too long for a message."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def quoted(text: str) -> str:
    """Return a text in quotes, with blanks and all, cut where it is too long for a message."""
    return repr(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
