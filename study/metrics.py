"""A number that trials are compared by: its name, its label for people, which way is better."""

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Direction = Literal["minimize", "maximize"]


class Measured(Protocol):
    """A trial, as far as its numbers go."""

    @property
    def value(self) -> float | None:
        """Of the (first) objective."""

    @property
    def user_attrs(self) -> Any:
        """All other numbers, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that trials are compared by.

    Args:
        name: The user attribute that holds it, and its name in exported tables.
        label: Its name for people, as it stands in a sentence: ``validation accuracy``.
        unit: Behind the number, such as ``s``; empty for a plain number.
        low, high: The lowest and highest value that there can be, if there is one.
        always: Whether every complete trial has it; others are measured on request.
        objective: Whether it is the study's (first) objective, which is a trial's value as well.
    """

    name: str
    label: str
    direction: Direction = "minimize"
    unit: str = ""
    low: float | None = None
    high: float | None = None
    always: bool = True
    objective: bool = False

    @property
    def maximise(self) -> bool:
        return self.direction == "maximize"

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
    def worst(self) -> str:
        return "lowest" if self.maximise else "highest"

    @property
    def better(self) -> str:
        return "higher" if self.maximise else "lower"

    @property
    def worse(self) -> str:
        return "lower" if self.maximise else "higher"

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
        value = trial.value if self.objective else trial.user_attrs.get(self.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if math.isfinite(value) else None

    def is_better(self, value: float, other: float) -> bool:
        return value > other if self.maximise else value < other
