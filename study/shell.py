"""Commands of this program as lines that a reader pastes into a shell."""

import re
import shlex
from collections.abc import Iterable

_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
_SHORT = {"\\": r"\\", "'": r"\x27", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def quote(word: str) -> str:
    """Quote a word; what does not print, such as a line feed, stands as an escape: $'a\\nb'.

    Source: POSIX.1-2024, Shell Command Language, section 2.2.4; bash, zsh and ksh have it, and
        ``\\u`` as well.
    """
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character in _SHORT or character.isprintable():
        return _SHORT.get(character, character)
    code = ord(character)
    kind, digits = ("x", 2) if code < 0x80 else ("u", 4) if code < 0x10000 else ("U", 8)
    return f"\\{kind}{code:0{digits}x}"


def join(words: Iterable[str]) -> str:
    """Return a command of words that are not quoted yet."""
    return " ".join(map(quote, words))


def at_storage(command: str, storage: str | None) -> str:
    """Return a command of this program with its storage, before its other options.

    Args:
        command: As ``join`` quotes it.
        storage: None for the default one, which need not be named.
    """
    if storage is None:
        return command
    words = _WORD.findall(command)
    first = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    return " ".join([*words[:first], "--storage", quote(storage), *words[first:]])
