"""Designs: points that depend on the space, the seed and their number alone."""

import itertools
import pickle
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from search_spaces.autoencoder import EXTENDED, NOTEBOOK
from search_spaces.base import Scalar, SearchSpace
from search_spaces.designs import DESIGNS, design_points
from search_spaces.errors import SearchSpaceError


def points(
    name: str,
    space: SearchSpace,
    n: int,
    fixed: Mapping[str, Scalar] | None = None,
    **numbers: int,
) -> list[dict[str, Scalar]]:
    """Return the first ``n`` points, maybe of a seed and from a number on."""
    design = design_points(name, space, fixed or {}, **({"seed": 0} | numbers))
    return list(itertools.islice(design, n))


@pytest.mark.parametrize("space", [NOTEBOOK, EXTENDED], ids=["notebook", "extended"])
@pytest.mark.parametrize("name", ["random", "qmc"])
def test_seed_and_number_decide(name: str, space: SearchSpace) -> None:
    """A point is the same wherever its sequence was entered; fixed values leave the others."""
    state = pickle.dumps(np.random.get_state())
    for seed in (0, 2**32):
        whole = points(name, space, 500, seed=seed)
        assert len({space.to_config(point) for point in whole}) > 250
        for start in (1, 17, 40):
            assert points(name, space, 4, seed=seed, start=start) == whole[start : start + 4]
    assert pickle.dumps(np.random.get_state()) == state
    fixed: dict[str, Scalar] = {"epoch": 3, "learning_rate": 0.5}
    found = points(name, space, 20, fixed, seed=2**32)
    assert found == [{**point, **fixed} for point in whole[:20]]
    first, *others = (points(name, space, 20, seed=seed) for seed in range(3, 10))
    assert first not in others
    # Nor is it the same sequence from another start.
    assert not any(point in other for point in first for other in others if space is EXTENDED)


def test_grid() -> None:
    """The grid's points keep their numbers, and it ends; other names than the designs' do not."""
    whole = list(NOTEBOOK.grid({}))
    assert points("grid", NOTEBOOK, 1000) == whole
    for start in (470, 480, 481):  # the seed means nothing
        assert points("grid", NOTEBOOK, 1000, start=start, seed=5) == whole[start:]
    assert DESIGNS == ("grid", "random", "qmc")
    message = r"^`design` must be one of grid, random, qmc, but got 'lhs'\.$"
    with pytest.raises(SearchSpaceError, match=message):
        points("lhs", NOTEBOOK, 1)


def test_qmc_is_balanced() -> None:
    """Of a power of two of points each has its share of each choice, which chance has not."""
    for seed in range(5):
        for key, n in (("auto_encoder", 2), ("learning_rate", 64), ("epoch", 64)):
            counts = Counter(point[key] for point in points("qmc", NOTEBOOK, n, seed=seed))
            assert len(set(counts.values())) == 1 < len(counts)
    counts = Counter(point["learning_rate"] for point in points("random", NOTEBOOK, 64))
    assert len(set(counts.values())) > 1


def test_random_points_are_uniform() -> None:
    """Values are uniform within the range, in the logarithm where the range is, and apart."""
    drawn = points("random", EXTENDED, 1500)
    rates = np.log10([float(point["learning_rate"]) for point in drawn])
    decays = np.log10([float(point["weight_decay"]) for point in drawn])
    assert stats.kstest(rates, stats.uniform(-4, 3).cdf).pvalue > 0.01
    assert stats.kstest(decays, stats.uniform(-8, 6).cdf).pvalue > 0.01
    assert abs(np.corrcoef(rates, decays)[0, 1]) < 0.1
    assert abs(np.corrcoef(rates[1:], rates[:-1])[0, 1]) < 0.1
    activations = Counter(point["activation"] for point in drawn)
    assert stats.chisquare(list(activations.values())).pvalue > 0.01
