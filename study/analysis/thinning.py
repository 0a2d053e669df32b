"""Fewer marks where there are more than a chart can show."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

MAX_MARKS = 2000
"""Trials that a scatter chart of a report shows."""

_Item = TypeVar("_Item")


def thin(
    items: Sequence[_Item], limit: int, *, keep: Callable[[_Item], bool] | None = None
) -> tuple[_Item, ...]:
    """Select evenly from a sequence.

    The sequence is cut into as many parts as are wanted, of equal length, and each part gives one
    item, drawn with a fixed seed: every fifth item of a grid would have the same value of some
    parameter, or be of the same worker.

    Args:
        items: In the order in which the selection is even, and which is kept.
        limit: How many to return at most, at least 0.
        keep: Which ones are returned whatever the limit; None for no such ones.
    """
    if len(items) <= limit:
        return tuple(items)
    kept = [] if keep is None else [i for i, item in enumerate(items) if keep(item)]
    others = sorted(set(range(len(items))).difference(kept))
    n_others = min(len(others), max(0, limit - len(kept)))
    ends = np.arange(n_others + 1) * len(others) // max(1, n_others)
    drawn = np.random.default_rng(0).integers(ends[:-1], ends[1:])
    return tuple(items[i] for i in sorted([*kept, *(others[place] for place in drawn)]))
