"""A gallery of sums of emoji, in the language of ``emoji_ae.expression``: the notebook's and more.

Source: ingredients and the recipes "notebook" are those of the notebook study that this package
replaces (see ARCHITECTURE.md), which adds features taken relative to an average face.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Method = Literal["notebook", "halves", "mended", "attributes"]

METHODS: Mapping[Method, str] = {
    "notebook": "the average face, and what each of the two faces has and it has not",
    "halves": "the upper half of one latent over the lower half of the other",
    "mended": "halves, and most of what the eyes have below the middle and a face with the same "
    "mouth has not",
    "attributes": "the face with the eyes, less the attribute of its own mouth, plus that of the "
    "other mouth",
}
"""What each column of the gallery adds up."""

DEFAULT_AVERAGE = "slightly smiling face"
"""The average face that the notebook took first."""

SUNGLASSES = "smiling face with sunglasses"
GRIN = "grinning face"
NERD = "nerd face"
TONGUE = "face with stuck out tongue"
OPEN = "smiling face with open mouth"

EYES = (
    "grinning face with star eyes",
    "face with stuck out tongue and winking eye",
    "face with rolling eyes",
    "dizzy face",
    SUNGLASSES,
    "flushed face",
    "face with pleading eyes",
)
"""Faces whose eyes the notebook featured."""

TWINS: Mapping[str, str] = {
    "grinning face with star eyes": OPEN,
    "face with stuck out tongue and winking eye": TONGUE,
    "face with rolling eyes": "face with one eyebrow raised",
    "dizzy face": "face with open mouth",
    SUNGLASSES: "slightly smiling face",
    "flushed face": "pensive face",
    "face with pleading eyes": "lying face",
    NERD: OPEN,
}
"""For each face with eyes of its own, one with about its mouth and with plainer eyes."""

OWN_MOUTHS: Mapping[str, str] = {
    "face with stuck out tongue and winking eye": "stuck out tongue",
    "face with rolling eyes": "one eyebrow raised",
    "dizzy face": "hushed",
    SUNGLASSES: "slightly smiling",
    "flushed face": "pensive",
    "face with pleading eyes": "lying",
    NERD: OPEN,
}
"""For each of them, words of images with about its mouth; the one with a grin keeps it."""

MOUTH_WORDS: Mapping[str, str] = {
    GRIN: OPEN,
    OPEN: OPEN,
    "smiling face with open mouth and smiling eyes": OPEN,
    TONGUE: "stuck out tongue",
    "face with stuck out tongue and tightly closed eyes": "stuck out tongue",
    "grinning face with smiling eyes": "grinning face with smiling eyes",
    "smiling face with open mouth and tightly closed eyes": OPEN,
    "sleepy face": "sleepy",
    "face with medical mask": "medical mask",
    "smiling face with open mouth and cold sweat": OPEN,
    "face with open mouth vomiting": "vomiting",
    "face with tears of joy": "tears of joy",
    "weary face": "weary face",
    "tired face": "tired",
    "face with look of triumph": "look of triumph",
}
"""For each face whose mouth the notebook featured, words of images with that mouth."""

MENDED_SHARE = 0.75
"""Of what the eyes have below the middle; with all of it, mouths get dark edges.

With batch normalisation and seed 0 the mean squared distance of 15 mouths with sunglasses from
the images themselves, cut and joined below the glasses, is 0.021 for halves, 0.010, 0.0077 and
0.0077 with shares of 0.5, 0.75 and 1, and 0.013 for the notebook's recipe.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A wished-for face, with eyes and mouth of the emoji with these texts, and ways to it.

    Recipes are expressions by method, without those that make no sense for it.
    """

    section: str
    name: str
    eyes: str
    mouth: str
    recipes: Mapping[Method, str]


def gallery(average: str = DEFAULT_AVERAGE, *, halves: bool = True) -> tuple[Item, ...]:
    """Return the gallery's items, section by section, with an average face by its text.

    Without halves nothing is made of halves of latents, and attributes are added as a whole.
    """
    base = _written(average)
    # The average cancels out, so this is its very first sum as well: nerd - open mouth + tongue.
    nerd = f"{NERD} - ({OPEN} - {base}) + ({TONGUE} - {base})"

    def item(section: str, name: str, eyes: str, mouth: str, notebook: str = "") -> Item:
        relative = f"{base} + ({eyes} - {base}) + ({mouth} - {base})"
        recipes: dict[Method, str] = {"notebook": notebook or relative}
        if halves:
            joined = f"upper({eyes}) + lower({mouth})"
            rest = f"{MENDED_SHARE} * lower({eyes} - {TWINS[eyes]})"
            recipes |= {"halves": joined, "mended": f"{joined} + {rest}"}
        if eyes in OWN_MOUTHS:
            swap = f"attr({MOUTH_WORDS[mouth]}) - attr({OWN_MOUTHS[eyes]})"
            recipes["attributes"] = f"{eyes} + lower({swap})" if halves else f"{eyes} + {swap}"
        return Item(section=section, name=name, eyes=eyes, mouth=mouth, recipes=recipes)

    first = "What the notebook tried first"
    return (
        item(first, "grin and sunglasses", SUNGLASSES, GRIN),
        item(first, "nerd with tongue", NERD, TONGUE, nerd),
        *(
            item("Featured mouths with sunglasses", mouth, SUNGLASSES, mouth)
            for mouth in MOUTH_WORDS
        ),
        *(item("Featured eyes with a grin", eyes, eyes, GRIN) for eyes in EYES),
    )


def _written(text: str) -> str:
    """Return a text as it stands in an expression, in quotes if need be."""
    quote = "'" if '"' in text else '"'
    return text if re.fullmatch(r"[A-Za-z ]+", text) else f"{quote}{text}{quote}"
