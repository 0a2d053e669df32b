"""A number that trials are compared by: its name, its label for people, which way is better."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from search_spaces import is_number
from study.choices import Direction


class Measured(Protocol):
    """A trial, as far as its numbers go."""

    @property
    def values(self) -> Sequence[float]:
        """Of the objectives."""

    @property
    def user_attrs(self) -> Any:
        """All other numbers, by name."""


def value_name(place: int) -> str:
    """Return what tables call the values of an objective: value, value_1, value_2."""
    return f"value_{place}" if place else "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that trials are compared by.

    Args:
        name: The user attribute that holds it, and its name in exported tables.
        label: Its name for people, as it stands in a sentence: ``validation accuracy``.
        unit: Behind the number, such as ``s``; empty for a plain number.
        low, high: The lowest and highest value that there can be, if that is known.
        wide: Whether its values are known to be above 0 and to span decades at the good end.
        digits: Significant digits with which it is told: as many as tell good values apart.
        always: Whether every complete trial has it; others are measured on request.
        place: Which of the study's objectives it is, from 0, so that trials have it among their
            values; None for a number that they have as an attribute.
    """

    name: str
    label: str
    direction: Direction = "minimize"
    unit: str = ""
    low: float | None = None
    high: float | None = None
    wide: bool = False
    digits: int = 4
    always: bool = True
    place: int | None = None

    @property
    def objective(self) -> bool:
        """Whether it is the study's (first) objective."""
        return self.place == 0

    @property
    def maximise(self) -> bool:
        return self.direction == "maximize"

    @property
    def has_zero(self) -> bool:
        """Whether shares of a value mean something, as nothing can be below 0."""
        return self.low is not None and self.low >= 0

    @property
    def is_error(self) -> bool:
        """Whether it is to be low and cannot be below 0."""
        return not self.maximise and self.has_zero

    @property
    def logarithmic(self) -> bool:
        """Whether it is drawn on a logarithmic axis."""
        return self.wide or self.is_error

    @property
    def sign(self) -> float:
        """What turns a value into a loss, which is to be low, and back."""
        return -1.0 if self.maximise else 1.0

    @property
    def is_share(self) -> bool:
        """Whether it goes from 0 to 1, and is told in per cent."""
        return (self.low, self.high) == (0, 1) and not self.unit

    @property
    def best(self) -> str:
        return "highest" if self.maximise else "lowest"

    @property
    def better(self) -> str:
        return "higher" if self.maximise else "lower"

    @property
    def worse(self) -> str:
        return "lower" if self.maximise else "higher"

    @property
    def column(self) -> str:
        """What tables call its values."""
        return self.name if self.place is None else value_name(self.place)

    @property
    def test_name(self) -> str:
        """The name of what the test split gives for it."""
        return self.name.removeprefix("validation_")

    @property
    def test_label(self) -> str:
        return f"test {self.short_label}"

    @property
    def short_label(self) -> str:
        """Its name for people without the split that it was measured on."""
        return self.label.removeprefix("validation ")

    def of(self, trial: Measured) -> float | None:
        """Return a trial's value of the metric as stored, or None without a finite one."""
        value = self.any_of(trial)
        return value if value is not None and math.isfinite(value) else None

    def any_of(self, trial: Measured) -> float | None:
        """Return the same, infinite ones as well."""
        if self.place is None:
            value = trial.user_attrs.get(self.name)
        else:
            value = trial.values[self.place] if self.place < len(trial.values) else None
        return float(value) if is_number(value) and not math.isnan(value) else None

    def is_better(self, value: float, other: float) -> bool:
        return value > other if self.maximise else value < other
