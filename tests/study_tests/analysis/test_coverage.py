"""Intervals hold the truth about as often as they say, in simulations."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from study.analysis.correlation import correlate
from study.analysis.estimates import estimate, estimate_on
from study.analysis.expected_best import get_expected_best
from study.analysis.paired import Pairs, compare
from study.analysis.rise import Again, get_rise
from study.analysis.unseen import Unseen, interval_of
from tests.study_tests.analysis.test_ablation import ablated
from tests.study_tests.analysis.test_confirmation import confirmed
from tests.study_tests.analysis.test_expected_best import record
from tests.study_tests.analysis.test_experiment import analysed
from tests.study_tests.synthetic import VALIDATION_MSE as ERROR

pytestmark = pytest.mark.slow

N = 250


@pytest.mark.parametrize("n", [10, 15, 40, 100])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_correlations(n: int, rho: float) -> None:
    """Of normal pairs; Spearman's truth is 6 / pi * asin(rho / 2) (Kruskal, JASA 53, 1958).

    Values that are skewed have the same ranks, and linear intervals that are somewhat short.
    """
    rng = np.random.default_rng(n)
    pairs = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=(4 * N, n))
    held = np.zeros(3)
    of_skewed = rho * math.exp(0.5) / math.sqrt(math.exp(2) - math.exp(1))
    for x, y in pairs.transpose(0, 2, 1):
        ((linear, rank),) = correlate([x], y, n_resamples=400)
        ((skewed, _),) = correlate([x], np.exp(y), n_resamples=0)
        truths = (rho, 6 / math.pi * math.asin(rho / 2), of_skewed)
        held += [
            f.interval.low <= t <= f.interval.high
            for f, t in zip((linear, rank, skewed), truths, strict=True)
        ]
    assert (held[:2] / len(pairs) >= 0.93).all()
    assert (held[:2] / len(pairs) <= 0.98).all()
    assert 0.85 <= held[2] / len(pairs) <= 0.98


@pytest.mark.parametrize(("n_trials", "n"), [(30, 2), (60, 4), (60, 6), (150, 2), (150, 15)])
@pytest.mark.parametrize("skewed", [False, True])
def test_expected_best(n_trials: int, n: int, skewed: bool) -> None:
    """Of uniform trials the best of n is 1 in n + 1, of exponential ones 1 in n."""
    held, rng, truth = 0, np.random.default_rng(n_trials + n), 1 / n if skewed else 1 / (n + 1)
    for _ in range(2 * N):
        values = rng.exponential(size=n_trials) if skewed else rng.random(n_trials)
        info = get_expected_best(record(values))
        (point,) = [p for p in info.points if p.n == n]
        held += point.interval.low <= truth <= point.interval.high
    assert 0.92 <= held / (2 * N) <= 0.98


def parted(rng: np.random.Generator, n_own: int, n_fresh: int) -> tuple[str, ...]:
    """Return splits of one set of images of which a quarter judges: one for some, then others."""
    drawn = ["".join(rng.permutation(list("v" * 30 + "t" * 90))) for _ in range(1 + n_fresh)]
    return (*[drawn[0]] * n_own, *drawn[1 : 1 + n_fresh])


def errors(
    rng: np.random.Generator, sides: Sequence[str], arms: Sequence[str], seed_scatter: float
) -> dict[str, list[float]]:
    """Return errors of arms that differ in nothing but in what is hard for them, split by split.

    How hard images are they share; a little is each one's own. So are seeds, and a little.
    """
    images = rng.normal(scale=0.5, size=len(sides[0]))
    judged = np.array([[letter == "v" for letter in text] for text in sides])
    common = rng.normal(scale=seed_scatter, size=len(sides))
    found = {}
    for arm in arms:
        own = np.exp(images + rng.normal(scale=0.3, size=images.size))
        means = (judged * own).sum(axis=1) / judged.sum(axis=1)
        noise = common + rng.normal(scale=seed_scatter, size=len(sides))
        found[arm] = (means * np.exp(noise)).tolist()
    return found


@pytest.mark.parametrize(("n_own", "n_fresh"), [(0, 3), (0, 8), (0, 20), (3, 3), (4, 4)])
def test_means_and_differences_of_splits_that_overlap(n_own: int, n_fresh: int) -> None:
    """They hold what other images would give; taken as independent, far fewer would."""
    rng, scatter = np.random.default_rng(0), math.hypot(0.5, 0.3)
    truth = math.exp(scatter**2 / 2)
    sets = np.exp(rng.normal(scale=scatter, size=(100_000, 30))).mean(axis=1)
    geometric_truth = math.exp(np.log(sets).mean())
    held, n = np.zeros(5), 4 * N
    for _ in range(n):
        sides = parted(rng, n_own, n_fresh)
        mine, theirs = errors(rng, sides, "ab", 0.01).values()
        own = dict(zip(("default", "a"), (mine, theirs), strict=True))
        wins = confirmed(own, sides={"group": sides}).get("a").beats
        mean = estimate(mine, sides=sides)
        geometric = estimate_on("ratio", dict(enumerate(mine)), ERROR, sides)
        both = Pairs(before=tuple(mine), after=tuple(theirs), sides=sides)
        change = compare(both, ERROR, "ratio")
        plain = estimate(mine)
        held += [
            ends.low <= center <= ends.high
            for ends, center in (
                (mean.interval, truth),
                (change.interval, 0),
                (plain.interval, truth),
                (geometric.interval, geometric_truth),
                (wins, 0.5),
            )
        ]
    mean, change, plain, geometric, win = held / n
    assert win >= 0.93
    assert 0.93 <= mean <= 0.97
    assert 0.93 <= geometric <= 0.97
    assert 0.93 <= change <= 0.97
    assert plain < 0.93


@pytest.mark.parametrize("n_seeds", [3, 5, 8])
def test_ablations_without_an_effect(n_seeds: int) -> None:
    """At most one of 20 names a step of nine, and each interval holds 0 often enough."""
    rng, named, held = np.random.default_rng(0), 0, 0
    path = {f"step {i}": {"learning_rate": 0.1 / (i + 1)} for i in range(10)}
    for _ in range(2 * N):
        sides = parted(rng, 0, n_seeds)
        values = errors(rng, sides, list(path), 0.05)
        info = ablated(values, path=path, sweeps={}, sides={"group": sides})
        named += any(step.better or step.worse for step in info.path)
        low, high = info.path[1].difference.interval
        held += low <= 0 <= high
    assert named <= 0.05 * 2 * N
    assert held >= 0.93 * 2 * N


@pytest.mark.parametrize("scatter", [0.02, 0.15])
def test_a_tripled_error_is_found(scatter: float) -> None:
    """Among nine arms in 8 pairs nearly always, and nothing else in 95 of 100 experiments."""
    rng, found, wrong = np.random.default_rng(0), 0, 0
    for _ in range(N):
        noise = np.exp(rng.normal(scale=scatter, size=(10, 8)))
        values = {f"arm {i}": (row * (3 if i == 9 else 1)).tolist() for i, row in enumerate(noise)}
        *others, tripled = analysed(values).comparisons
        found += tripled.found.higher
        wrong += any(c.found.told for c in others)
    assert found >= 0.99 * N
    assert wrong <= 0.07 * N


def test_what_is_called_equal() -> None:
    """Of arms as far apart as the margin one of 20 is called equal; of equal ones most are."""
    rng = np.random.default_rng(0)
    called = np.zeros(2)
    for _ in range(2 * N):
        base = np.exp(rng.normal(scale=0.2, size=8))
        noise = np.exp(rng.normal(scale=0.05, size=(2, 8)))
        for i, factor in enumerate((1.1, 1.0)):
            pairs = Pairs(before=tuple(base), after=tuple(base * noise[i] * factor))
            called[i] += compare(pairs, ERROR, "ratio").equal
    assert called[0] <= 0.06 * 2 * N
    assert called[1] >= 0.8 * 2 * N


@pytest.mark.parametrize(("n_own", "n_fresh"), [(3, 3), (5, 5)])
def test_parts_of_a_rise(n_own: int, n_fresh: int) -> None:
    """Choice and split are held as often as intervals say, and the scatter comes out."""
    rng, held, scatter, n = np.random.default_rng(0), np.zeros(2), [], 4 * N
    for _ in range(n):
        truth = rng.normal(scale=0.3, size=60)
        searched = truth + rng.normal(scale=math.hypot(0.02, 0.04), size=60)
        ranks = np.argsort(searched)
        arms = [*ranks[:5], ranks[30], rng.integers(60)]
        shift = np.r_[np.zeros(n_own), rng.normal(scale=0.08, size=n_fresh)]
        common = rng.normal(scale=0.02, size=n_own + n_fresh) + shift
        values = np.exp(truth[arms, None] + common + rng.normal(scale=0.04, size=(7, len(common))))
        again = [
            Again(
                name=str(i),
                chosen=i < 5,
                searched=math.exp(searched[arm]),
                own=values[i, :n_own].tolist(),
                fresh=values[i, n_own:].tolist(),
            )
            for i, arm in enumerate(arms)
        ]
        info = get_rise(again, ERROR, ratios=True)
        (_, (low, high)), (_, (least, most)) = info.choice, info.split
        cost = math.expm1(np.mean(truth[ranks[:5]] - searched[ranks[:5]]))
        held += [low <= cost <= high, least <= 0 <= most]
        scatter.append((info.seed_scatter, info.split_scatter))
    assert (held >= 0.93 * n).all()
    assert (held <= 0.97 * n).all()
    seeds, splits = np.sqrt(np.nanmean(np.square(np.array(scatter, dtype=float)), axis=0))
    assert (seeds, splits) == (pytest.approx(0.045, rel=0.1), pytest.approx(0.08, rel=0.25))


@pytest.mark.parametrize(("n_seeds", "n_groups"), [(3, 30), (8, 30), (5, 100)])
def test_other_test_images(n_seeds: int, n_groups: int) -> None:
    """The error with other images and seeds is held, and so is its difference from another's."""
    rng, held, n = np.random.default_rng(0), np.zeros(2), 4 * N
    sides = [str(i) for i in range(n_seeds)]
    for _ in range(n):
        counts, images = rng.integers(1, 3, size=n_groups), rng.normal(scale=0.4, size=n_groups)

        def arm(counts: np.ndarray = counts, images: np.ndarray = images) -> Unseen:
            own = images + rng.normal(scale=0.15, size=n_groups)
            seeds = rng.normal(scale=0.04, size=(n_seeds, 1))
            noise = rng.normal(scale=0.1, size=(n_seeds, n_groups))
            sums = counts * np.exp(own + seeds + noise)
            return Unseen(counts=counts, sums=dict(enumerate(sums)))

        mine, theirs = arm(), arm()
        truth = math.exp((0.4**2 + 0.15**2 + 0.04**2 + 0.1**2) / 2)
        low, high = interval_of(mine, sides)
        least, most = interval_of(mine, sides, before=theirs)
        held += [low <= truth <= high, least <= 0 <= most]
    assert (held >= 0.93 * n).all()
    assert (held <= 0.97 * n).all()


def test_the_best_is_among_the_tied() -> None:
    """95 of 100 confirmations keep the truly best, and most leave out a far worse one."""
    rng, names = np.random.default_rng(0), ["default", *(f"trial {i}" for i in range(1, 7))]
    truth = np.array([0.101, 0.1, 0.101, 0.101, 0.101, 0.101, 0.15])[:, None]
    tied = []
    for _ in range(N):
        values = truth * np.exp(rng.normal(scale=0.1, size=(7, 5)))
        tied.append(confirmed(dict(zip(names, values.tolist(), strict=True))).tied)
    assert sum("trial 1" in found for found in tied) >= 0.95 * N
    assert sum("trial 6" in found for found in tied) <= N / 4
