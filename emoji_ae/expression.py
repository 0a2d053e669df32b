"""Sums of emoji as people write them: ``nerd face - 0.5 * "weary face" + attr(sunglasses)``.

Everything in the language is linear, so an expression is read into its terms and their weights
at once. Knows nothing of images or latents.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NoReturn

from emoji_ae.errors import ExpressionError

Kind = Literal["emoji", "attribute"]
Part = Literal["whole", "upper", "lower"]
"""What of a latent counts: all of it, or one half of its positions."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d*)?|\.\d+)
        | "(?P<double>[^"]*)" | '(?P<single>[^']*)'
        | (?P<word>[^\s"'+\-*(),]+)
        | (?P<sign>[+\-*(),])
    )""",
    re.VERBOSE,
)
_PARTS: dict[str, Part] = {"upper": "upper", "lower": "lower"}
_FUNCTIONS = ("mean", "attr", *_PARTS)


@dataclass(frozen=True, slots=True)
class Atom:
    """What an expression adds up.

    Args:
        kind: An emoji by its text, or what images with some words share: an attribute.
        text: Its text, or the words.
        part: What of its latent is added.
    """

    kind: Kind
    text: str
    part: Part = "whole"

    def __str__(self) -> str:
        """Return it as people write it."""
        name = self.text if self.kind == "emoji" else f"attr({self.text})"
        return name if self.part == "whole" else f"{self.part}({name})"


Combination = dict[Atom, float]
"""Weight of each atom, in the order of their first use; none is 0."""


def parse(expression: str) -> Combination:
    """Read an expression.

    ``+`` and ``-`` add and subtract, a number times (``*``) a part weighs it, parentheses group;
    ``mean(a, b, c)`` is the mean of expressions, ``attr(words)`` an attribute, ``upper(a)`` and
    ``lower(a)`` are the halves of an expression. Anything else is the text of an emoji, in quotes
    if it holds a sign, a number or a function's name.

    Raises:
        ExpressionError: If it is none, with the place.
    """
    parser = _Parser(expression)
    found = parser.sum()
    parser.expect_end()
    combination = {atom: weight for atom, weight in found.items() if weight}
    if not combination:
        raise ExpressionError(f"`expression` must leave something, but got {expression!r}.")
    return combination


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


class _Parser:
    """Reads tokens from left to right; each method reads what it is named after."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = list(_tokens(expression))
        self._next = 0

    def sum(self) -> Combination:
        """Read parts with signs between them."""
        total: Combination = {}
        sign = -1.0 if self._take("-") else 1.0
        while True:
            for atom, weight in self.product().items():
                total[atom] = total.get(atom, 0.0) + sign * weight
            if self._take("+"):
                sign = 1.0
            elif self._take("-"):
                sign = -1.0
            else:
                return total

    def product(self) -> Combination:
        """Read a part, with a weight before or behind it."""
        weight = 1.0
        while (number := self._peek()) is not None and number.kind == "number":
            self._next += 1
            weight *= float(number.text)
            if not self._take("*"):
                self._fail("`*` and what the number weighs")
        part = self.part()
        while self._take("*"):
            factor = self._peek()
            if factor is None or factor.kind != "number":
                self._fail("a number")
            self._next += 1
            weight *= float(factor.text)
        return {atom: weight * own for atom, own in part.items()}

    def part(self) -> Combination:
        """Read a group, a function, or the text of an emoji."""
        if self._take("("):
            group = self.sum()
            self._require(")")
            return group
        token = self._peek()
        if token is None or token.kind not in ("word", "text"):
            self._fail("the text of an emoji")
        if token.kind == "text":
            self._next += 1
            return {Atom("emoji", _plain(token.text)): 1.0}
        if token.text in _FUNCTIONS and self._follows("("):
            self._next += 2
            if token.text == "mean":
                return self._mean()
            return self._attribute() if token.text == "attr" else self._half(_PARTS[token.text])
        return {Atom("emoji", self._words()): 1.0}

    def expect_end(self) -> None:
        """Raise an ExpressionError if something is left."""
        if self._peek() is not None:
            self._fail("a sign or the end")

    def _mean(self) -> Combination:
        parts = [self.sum()]
        while self._take(","):
            parts.append(self.sum())
        self._require(")")
        total: Combination = {}
        for part in parts:
            for atom, weight in part.items():
                total[atom] = total.get(atom, 0.0) + weight / len(parts)
        return total

    def _attribute(self) -> Combination:
        token = self._peek()
        if token is not None and token.kind == "text":
            self._next += 1
            words = _plain(token.text)
        else:
            words = self._words()
        self._require(")")
        return {Atom("attribute", words): 1.0}

    def _half(self, part: Part) -> Combination:
        whole = self.sum()
        self._require(")")
        half: Combination = {}
        for atom, weight in whole.items():
            if atom.part in ("whole", part):  # of the other half, nothing lies in this one
                own = replace(atom, part=part)
                half[own] = half.get(own, 0.0) + weight
        return half

    def _words(self) -> str:
        words = []
        while (token := self._peek()) is not None and token.kind in ("word", "number"):
            words.append(token.text)
            self._next += 1
        if not words:
            self._fail("words")
        return _plain(" ".join(words))

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _follows(self, sign: str) -> bool:
        behind = self._tokens[self._next + 1 : self._next + 2]
        return bool(behind) and (behind[0].kind, behind[0].text) == ("sign", sign)

    def _take(self, sign: str) -> bool:
        token = self._peek()
        if token is None or (token.kind, token.text) != ("sign", sign):
            return False
        self._next += 1
        return True

    def _require(self, sign: str) -> None:
        if not self._take(sign):
            self._fail(f"`{sign}`")

    def _fail(self, wanted: str) -> NoReturn:
        token = self._peek()
        found = "the end" if token is None else f"{token.text!r} at character {token.place + 1}"
        raise ExpressionError(
            f"`expression` must have {wanted} where it has {found}: {self._expression!r}."
        )


def _tokens(expression: str) -> Iterator[_Token]:
    """Cut an expression into numbers, texts in quotes, words and signs."""
    place = 0
    while place < len(expression.rstrip()):
        match = _TOKEN.match(expression, place)
        if match is None:  # nothing but a quote that is not closed
            raise ExpressionError(f"`expression` has a quote that is not closed: {expression!r}.")
        kind = str(match.lastgroup)
        text = match[kind]
        yield _Token("text" if kind in ("double", "single") else kind, text, match.start(kind))
        place = match.end()


def _plain(text: str) -> str:
    return " ".join(text.split())
