"""Ratios of two timings, taken in turn so that both sides see the same machine."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAIRS = 5


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the results.

    Args:
        name: What is compared.
        value: Median of the ratios, or the only one.
        bar: The value that is good enough.
        stretch: The value that is aimed at.
        at_most: Whether smaller is better.
        ratios: Every measured ratio.
        conditions: Threads, sizes, and what else decides the figure.
    """

    name: str
    value: float
    bar: float
    stretch: float
    at_most: bool
    ratios: Sequence[float]
    conditions: str

    @property
    def passed(self) -> bool:
        """Whether the bar is reached."""
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def paired_ratios(
    numerator: Callable[[], float], denominator: Callable[[], float], *, pairs: int = PAIRS
) -> list[float]:
    """Measure two sides in turn, A B B A A B ..., after one uncounted pair.

    Args:
        numerator: Returns a figure of the first side, such as seconds per epoch.
        denominator: Returns that of the second side.
        pairs: Counted pairs.

    Returns:
        The ratio of each pair.
    """
    numerator(), denominator()
    ratios = []
    for i in range(pairs):
        if i % 2:
            below = denominator()
            above = numerator()
        else:
            above = numerator()
            below = denominator()
        ratios.append(above / below)
    return ratios


def median(ratios: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(ratios)


def require_close(a: float, b: float, *, tolerance: float, what: str) -> None:
    """Refuse to compare two sides that do not reach the same result.

    Raises:
        SystemExit: If ``a`` and ``b`` differ by more than ``tolerance``, relative to the smaller.
    """
    if abs(a - b) > tolerance * min(a, b):
        raise SystemExit(f"{what}: the two sides reach {a:.5f} and {b:.5f}; no speed is compared.")


def peak_kb() -> int:
    """Return the most memory that this process has held.

    Not ``ru_maxrss``, which starts at what the parent held when it started this process.
    """
    return _status_kb("VmHWM")


def resident_kb() -> int:
    """Return the memory that this process holds now."""
    return _status_kb("VmRSS")


def _status_kb(name: str) -> int:
    """Read a line of Linux's ``/proc/self/status``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))
