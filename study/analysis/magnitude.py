"""How large numbers are: squares that can be taken, digits in which numbers agree."""

import math

import numpy as np

_LARGE = 1e100
"""Beyond, and below its inverse, squares or their sums leave the range of a double."""


def tamed(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return finite values whose squares are numbers, and the unit that they are in.

    It is 1 but for values so large, or all so small, that it is the size of the largest.
    """
    largest = float(np.abs(values).max(initial=0.0))
    unit = 1.0 if largest == 0 or 1 / _LARGE < largest < _LARGE else largest
    return (values if unit == 1.0 else values / unit), unit


def common_digits(size: float, spread: float) -> float:
    """Return in how many digits numbers of a size agree that are so far apart; 0 if in none."""
    return math.log10(size / spread) if 0 < spread < size else 0.0
