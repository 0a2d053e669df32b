"""Sums of emoji as people write them: ``nerd face - 0.5 * "weary face" + attr(sunglasses)``.

All of the language is linear, so an expression is read into its terms and weights at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

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
    """What an expression adds up: an emoji, or what images with some words share: an attribute."""

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
    if it holds a sign, a number or a function's name. An ExpressionError tells the place.
    """
    parser = _Parser(expression)
    found = parser.sum()
    parser.require("end", "a sign or the end")
    combination = {atom: weight for atom, weight in found.items() if weight}
    if not combination:
        raise ExpressionError(f"`expression` must leave something, but got {expression!r}.")
    return combination


@dataclass(frozen=True, slots=True)
class _Token:
    """A number, word or text in quotes; a sign is a kind of its own, and so is the end."""

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
            _add(total, {atom: sign * weight for atom, weight in self._product().items()})
            if self._take("+"):
                sign = 1.0
            elif self._take("-"):
                sign = -1.0
            else:
                return total

    def require(self, kind: str, wanted: str) -> str:
        """Read a token, or raise an ExpressionError that says what was wanted."""
        token = self._take(kind)
        if token is None:
            token = self._tokens[self._next]
            found = f"{token.text!r} at character {token.place + 1}"
            found = "the end" if token.kind == "end" else found
            raise ExpressionError(
                f"`expression` must have {wanted} where it has {found}: {self._expression!r}."
            )
        return token.text

    def _product(self) -> Combination:
        """Read a part, with weights before or behind it."""
        weight = 1.0
        while number := self._take("number"):
            weight *= float(number.text)
            self.require("*", "`*` and what the number weighs")
        part = self._part()
        while self._take("*"):
            weight *= float(self.require("number", "a number"))
        return {atom: weight * own for atom, own in part.items()}

    def _part(self) -> Combination:
        """Read a group, a function, or the text of an emoji."""
        if self._take("("):
            return self._closed(self.sum())
        token, *behind = self._tokens[self._next : self._next + 2]
        if token.kind == "word" and token.text in _FUNCTIONS and behind[0].kind == "(":
            self._next += 2
            if token.text == "attr":
                return self._closed({Atom("attribute", self._text("words")): 1.0})
            return self._mean() if token.text == "mean" else self._half(_PARTS[token.text])
        return {Atom("emoji", self._text("the text of an emoji")): 1.0}

    def _mean(self) -> Combination:
        parts = [self.sum()]
        while self._take(","):
            parts.append(self.sum())
        total: Combination = {}
        for part in parts:
            _add(total, {atom: weight / len(parts) for atom, weight in part.items()})
        return self._closed(total)

    def _half(self, part: Part) -> Combination:
        half: Combination = {}
        for atom, weight in self._closed(self.sum()).items():
            if atom.part in ("whole", part):  # of the other half, nothing lies in this one
                _add(half, {replace(atom, part=part): weight})
        return half

    def _text(self, wanted: str) -> str:
        """Read a text in quotes, or words and numbers up to something else."""
        if token := self._take("text"):
            return " ".join(token.text.split())
        words = []
        while token := self._take("word") or self._take("number"):
            words.append(token.text)
        return " ".join(words) if words else self.require("word", wanted)

    def _closed(self, combination: Combination) -> Combination:
        self.require(")", "`)`")
        return combination

    def _take(self, kind: str) -> _Token | None:
        """Read the next token if it is of a kind."""
        token = self._tokens[self._next]
        if token.kind != kind:
            return None
        self._next += 1
        return token


def _add(total: Combination, part: Combination) -> None:
    for atom, weight in part.items():
        total[atom] = total.get(atom, 0.0) + weight


def _tokens(expression: str) -> Iterator[_Token]:
    """Cut an expression into tokens, the last of which is its end."""
    place = 0
    while place < len(expression.rstrip()):
        match = _TOKEN.match(expression, place)
        if match is None:  # nothing but a quote that is not closed
            raise ExpressionError(f"`expression` has a quote that is not closed: {expression!r}.")
        group = str(match.lastgroup)
        text = match[group]
        kind = {"double": "text", "single": "text", "sign": text}.get(group, group)
        yield _Token(kind, text, match.start(group))
        place = match.end()
    yield _Token("end", "", place)
