"""From the text of an emoji to the subset and the class.

Source: the texts of each class are those of the notebook study that this package replaces,
in ``classes.json``; the rules are for texts that it did not have.
"""

import json
import re
import unicodedata
from importlib.resources import files
from typing import Literal

Exclusion = Literal["no face", "clock"]
"""Why an emoji does not belong to the subset."""

CLASSES = ("animal", "human face", "other", "person")
"""Names of the classes; a label is an index into them."""

_LISTED: dict[str, int] = {
    text: CLASSES.index(name)
    for name, texts in json.loads(files("emoji_ae").joinpath("classes.json").read_text()).items()
    for text in texts
}

# The first rule that finds its pattern in the text decides.
_RULES = (
    (
        "animal",
        r"\b(bear|bird|cat|chicken|cow|deer|dog|donkey|dragon|elephant|fox|frog|giraffe|goat"
        r"|hamster|horse|koala|lion|monkey|moose|mouse|panda|pig|rabbit|tiger|unicorn|wolf"
        r"|zebra)\b",
    ),
    ("person", r"\b(baby|boy|child|girl|man|men|people|person|woman|women)\b"),
    ("other", r"\b(alien|clown|ghost|moon|robot|skull|sun|wind)\b"),
    ("human face", r"^face\b|\bface$|\bface with(out)?\b"),
)


class _Parts(dict[int, str]):
    """What each code point is to the words of a text, looked up when it is first met.

    A gap is a blank, what only joins or directs writing is nothing, and all else is itself.
    Source: the default word boundaries of Unicode (UAX 29), of which those inside of ``a.b``,
    ``a_b`` and ``1,5`` are gaps here.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if character in "'\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}\uff07":
            part = "'"
        elif unicodedata.name(character, "").startswith(("CJK", "HIRAGANA", "KATAKANA")):
            part = f" {character} "  # written without blanks: each is a word
        elif category == "Cf" and character != "\N{ZERO WIDTH SPACE}":
            part = ""
        else:
            part = character if category[0] in "LM" or category in ("Nd", "Nl") else " "
        self[code] = part
        return part


_PARTS = _Parts()
_TONE = re.compile(r"\b((medium )?(light|dark)|medium) skin tone\b")


def plain_text(text: str) -> str:
    """Return the words of a text in lower case, with single blanks between.

    Words end where Unicode says so, and at hyphens. An article in front, a skin tone, as CLDR
    names it or as ``type 3`` at the end, and the ``'s`` of a possessive do not count.
    """
    whole = unicodedata.normalize("NFKC", text.translate(_PARTS)).lower()
    words = (word.rstrip("'").removesuffix("'s") for word in re.findall(r"\w\S*", whole))
    plain = " ".join(words)
    if "skin tone" in plain:
        plain = " ".join(_TONE.sub(" ", plain).split())
    return re.sub(r"^(a|an|the) (?=\w)| type (1 2|[3-6])$", "", plain)


def has_words(text: str, words: str) -> bool:
    """Whether a text has some words, one after the other, by ``plain_text``."""
    return f" {plain_text(words)} " in f" {plain_text(text)} "


def exclusion(text: str) -> Exclusion | None:
    """Return why an emoji does not belong to the subset, None if it does."""
    if text.isascii() and "face" not in text.lower():
        return "no face"  # said at once, for files may have millions of such rows
    words = plain_text(text).split()
    if "face" not in words:
        return "no face"
    return "clock" if "clock" in words else None


def is_listed(text: str) -> bool:
    """Whether the original study listed the emoji's class, so that no rule has to decide."""
    return plain_text(text) in _LISTED


def class_index(text: str) -> int | None:
    """Return the class, an index in ``CLASSES``, as listed or else by rule; None without one."""
    plain = plain_text(text)
    by_rule = (CLASSES.index(name) for name, pattern in _RULES if re.search(pattern, plain))
    return _LISTED[plain] if plain in _LISTED else next(by_rule, None)
