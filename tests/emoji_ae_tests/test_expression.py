"""Sums of emoji: what is read from them, and what is said of what cannot be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.errors import ExpressionError
from emoji_ae.expression import Atom, Combination, Part, parse


def emoji(text: str, part: Part = "whole") -> Atom:
    """Return the atom of an emoji, or of a half of it."""
    return Atom("emoji", text, part)


A, B, C = emoji("a"), emoji("b"), emoji("c")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("-a + b", {A: -1, B: 1}),
        ("2 * (a + b) * .5 * 3 - (b - c)", {A: 3, B: 2, C: 1}),
        ("mean(a, b + c, a)", {A: 2 / 3, B: 1 / 3, C: 1 / 3}),
        ("nerd face - 'a'", {emoji("nerd face"): 1, A: -1}),
        ('"1 2 + (x)" + b', {emoji("1 2 + (x)"): 1, B: 1}),
        ("a + 2 * attr(open  mouth)", {A: 1, Atom("attribute", "open mouth"): 2}),
        ("attr('open-mouth') - a", {Atom("attribute", "open-mouth"): 1, A: -1}),
        ("attr + lower case face", {emoji("attr"): 1, emoji("lower case face"): 1}),
        ("upper(a) + upper(lower(a)) + b", {emoji("a", "upper"): 1, B: 1}),
    ],
)
def test_parse(expression: str, expected: dict[Atom, float]) -> None:
    """Signs, weights, groups, means, attributes and quotes give the terms and their weights."""
    assert parse(expression) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("   ", "must have the text of an emoji where it has the end: '   '"),
        ("+ a", r"must have the text of an emoji where it has '\+' at character 1"),
        ("a (b)", r"must have a sign or the end where it has '\(' at character 3"),
        ("2 a", r"must have `\*` and what the number weighs where it has 'a' at character 3"),
        ("a * b", "must have a number where it has 'b' at character 5"),
        ("attr()", r"must have words where it has '\)' at character 6"),
        ("upper(a, b)", r"must have `\)` where it has ',' at character 8"),
        ("upper(lower(a))", r"must leave something, but got 'upper\(lower\(a\)\)'"),
        ("'a", 'has a quote that is not closed: "\'a"'),
    ],
)
def test_wrong_expressions(expression: str, message: str) -> None:
    """What is wrong, and where, is said in one line."""
    with pytest.raises(ExpressionError, match=f"^`expression` {message}"):
        parse(expression)


parts: list[Part] = ["whole", "upper", "lower"]
names = st.sampled_from("abcdef")
atoms = st.builds(Atom, st.sampled_from(["emoji", "attribute"]), names, st.sampled_from(parts))
combinations = st.dictionaries(atoms, st.integers(1, 9).map(float), min_size=1, max_size=6)


def again(combination: Combination) -> str:
    """Return a combination as an expression."""
    return " + ".join(f"{weight:g} * {atom}" for atom, weight in combination.items())


@given(combinations, combinations, st.integers(1, 9))
def test_expressions_are_linear(first: Combination, second: Combination, factor: int) -> None:
    """What is written of a combination gives it, and groups and halves of sums add up."""
    assert parse(again(first)) == first
    expected = {emoji("z"): 1.0}
    for sign, terms in ((factor, first), (-1, second)):
        for atom, weight in terms.items():
            expected[atom] = expected.get(atom, 0.0) + sign * weight
    found = parse(f"{factor} * ({again(first)}) - ({again(second)}) + z")
    assert found == pytest.approx({atom: weight for atom, weight in expected.items() if weight})

    for half in parts[1:]:
        inside = f"{half}({again(first)} + 0.5 * ({again(second)})) + z"
        outside = f"{half}({again(first)}) + 0.5 * {half}({again(second)}) + z"
        assert parse(inside) == pytest.approx(parse(outside))
        assert parse(f"{half}({inside}) + y") == parse(f"{half}({outside}) + y")
        assert {atom.part for atom in parse(f"{half}({inside})")} == {half}


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    """Nothing else than an ExpressionError comes of any text."""
    said = "nothing"
    try:
        found = parse(text)
    except ExpressionError as error:
        said, found = str(error), {emoji("none"): 1.0}
    assert "\n" not in said
    assert all(found.values())
