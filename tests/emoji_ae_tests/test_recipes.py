"""The gallery's recipes: what they add up, and what they are made of."""

from emoji_ae.dataset import load_dataset
from emoji_ae.expression import Atom, parse
from emoji_ae.labels import plain_text
from emoji_ae.recipes import EYES, METHODS, MOUTH_WORDS, OWN_MOUTHS, TWINS, gallery


def test_every_text_is_in_the_data_set() -> None:
    """The embedded images have all emoji and words of the gallery."""
    texts = {plain_text(text) for text in load_dataset(None).texts}
    recipes = (recipe for item in gallery() for recipe in item.recipes.values())
    used = {atom for recipe in recipes for atom in parse(recipe)}
    assert {atom.text for atom in used if atom.kind == "emoji"} <= texts
    for words in (atom.text for atom in used if atom.kind == "attribute"):
        assert any(f" {words} " in f" {text} " for text in texts), words


def test_the_notebook_adds_what_an_average_face_has_not() -> None:
    """Its recipe is both faces less the average; of the nerd, which subtracts, none is left."""
    average = Atom("emoji", "an average's 2nd face")
    first, nerd, *others = gallery(average.text)
    for item in (first, *others):
        eyes, mouth = Atom("emoji", item.eyes), Atom("emoji", item.mouth)
        assert parse(item.recipes["notebook"]) == {average: -1, eyes: 1, mouth: 1}
    plain = "nerd face - smiling face with open mouth + face with stuck out tongue"
    assert parse(nerd.recipes["notebook"]) == parse(plain)


def test_what_stands_in_the_gallery() -> None:
    """Two named faces, 15 mouths and 7 eyes, each once; without positions no halves of them."""
    items = gallery()
    assert [item.name for item in items[:2]] == ["grin and sunglasses", "nerd with tongue"]
    assert [item.mouth for item in items[2:17]] == list(MOUTH_WORDS)
    assert tuple(item.eyes for item in items[17:]) == EYES
    assert len({(item.section, item.name) for item in items}) == len(items) == 24
    assert set(OWN_MOUTHS) < set(TWINS) == {*EYES, "nerd face"}
    assert {method for item in items for method in item.recipes} == set(METHODS)
    for item, full in zip(gallery(halves=False), items, strict=True):
        assert set(item.recipes) == set(full.recipes) - {"halves", "mended"}
        atoms = {atom for recipe in item.recipes.values() for atom in parse(recipe)}
        assert {atom.part for atom in atoms} == {"whole"}
