"""Designs: sequences of points that do not depend on any result (grid, random, qmc).

Point ``i`` of a design is a function of the space and the seed alone, so it does not matter
which worker trains it, when, or after how many interruptions.
"""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from search_spaces.base import Scalar, SearchSpace
from search_spaces.errors import SearchSpaceError

DESIGNS = ("grid", "random", "qmc")


def design_points(
    name: str, space: SearchSpace, fixed: Mapping[str, Scalar], *, seed: int, start: int = 0
) -> Iterator[dict[str, Scalar]]:
    """Yield the points of a design from number ``start`` on; the grid ends, the others do not.

    ``random`` points are independent and uniform (in the logarithm where the range is
    logarithmic); ``qmc``, a scrambled Sobol sequence, covers the space more evenly.

    Raises:
        SearchSpaceError: If the name is unknown, or a grid is asked of a continuous space.

    Source: https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.qmc.Sobol.html
    """
    match name:
        case "grid":
            yield from itertools.islice(space.grid(fixed), start, None)
        case "random":
            for i in itertools.count(start):
                unit = np.random.default_rng([seed, i]).random(len(space.parameters))
                yield space.at(unit.tolist(), fixed)
        case "qmc":
            from scipy.stats import qmc  # slow to import

            sobol = qmc.Sobol(len(space.parameters), scramble=True, rng=seed)
            if start:
                sobol.fast_forward(start)
            while True:
                yield space.at(sobol.random(1)[0].tolist(), fixed)
        case _:
            raise SearchSpaceError(
                f"`design` must be one of {', '.join(DESIGNS)}, but got {name!r}."
            )
