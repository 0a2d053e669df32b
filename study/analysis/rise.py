"""Why errors rise when a search's configurations are trained again: seed, split or choice."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from study.analysis.estimates import MIN_SPLITS, Interval, half_interval, mean_variance
from study.formats import counted, format_change, format_list, format_percent, with_article
from study.metrics import Metric

Part = tuple[float, Interval | None]
"""A mean and its 95 % interval, if enough was trained for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A configuration that was trained again.

    Args:
        chosen: Whether it was chosen because the search had measured a good value.
        searched: That value; None where it had measured none, or somebody chose for himself.
        own: Values with other seeds on the search's own split, all arms in the same order.
    """

    name: str
    chosen: bool
    searched: float | None
    own: Sequence[float]
    fresh: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiseInfo:
    """By how much values are worse than the search had measured, and why; all are shares.

    Args:
        n_own, n_fresh: Seeds on the search's own split, and on fresh ones.
        chosen: By how much the values of those are worse, in the mean, that were chosen for
            them: on the own split, or on fresh ones if there is none on that; None without any.
        unchosen: The same of each that was not, by name.
        choice: By how much more those of the chosen ones are: what choosing the best has cost.
        split: By how much those of the chosen ones are worse on fresh splits than on the own.
        seed_scatter, split_scatter: Standard deviation of a value from seed to seed, and what is
            added from split to split; None where too few were trained to part them.
    """

    n_own: int
    n_fresh: int
    chosen: float | None
    unchosen: Mapping[str, float]
    choice: Part | None
    split: Part | None
    seed_scatter: float | None
    split_scatter: float | None


def get_rise(arms: Sequence[Again], metric: Metric, *, ratios: bool) -> RiseInfo:
    """Part the rise of what was trained again.

    On the search's own split another seed alone differs, so what the chosen ones rise there
    beyond those that were not chosen is what choosing the lowest has cost; the seed that the
    search had drawn for these is a part of that interval. What they rise from there to fresh
    splits is the split. Scatter is told by a mixed model: configuration fixed; split, and seed
    within it, at random.

    Args:
        arms: Those that finished in all pairs.
        ratios: Whether values are compared by logarithms, or as shares of the mean value.

    Source: variances of two-way tables, with degrees of freedom after Satterthwaite, of which
        Welch's interval is a case; variance components by ``statsmodels``' ``MixedLM``
        (restricted maximum likelihood).
    """
    n_own, n_fresh = (len(arms[0].own), len(arms[0].fresh)) if arms else (0, 0)
    searched = [arm.searched for arm in arms if arm.searched is not None]
    size = abs(fmean(searched)) if searched else 0.0
    if size == 0 or (ratios and min(searched) <= 0):
        arms = ()

    def loss(value: float) -> float:
        return metric.sign * (math.log(value) if ratios else value / size)

    def share(end: float) -> float:
        return math.expm1(end) if ratios else end

    def shares(found: Part | None) -> Part | None:
        if found is None:
            return None
        mean, interval = found
        return share(mean), interval and Interval(*map(share, interval))

    again = [
        replace(
            arm,
            searched=None if arm.searched is None else loss(arm.searched),
            own=tuple(map(loss, arm.own)),
            fresh=tuple(map(loss, arm.fresh)),
        )
        for arm in arms
    ]
    rises = {
        arm.name: fmean(arm.own or arm.fresh) - arm.searched
        for arm in again
        if arm.searched is not None
    }
    chosen = [arm for arm in again if arm.chosen and arm.name in rises]
    unchosen = [arm for arm in again if not arm.chosen and arm.name in rises]
    seed, split = _scatter(again) or (None, None)
    return RiseInfo(
        n_own=n_own,
        n_fresh=n_fresh,
        chosen=share(fmean(rises[arm.name] for arm in chosen)) if chosen else None,
        unchosen={arm.name: share(rises[arm.name]) for arm in unchosen},
        choice=shares(_choice(chosen, unchosen)),
        split=shares(_split(chosen)),
        seed_scatter=seed,
        split_scatter=split,
    )


def _choice(chosen: Sequence[Again], unchosen: Sequence[Again]) -> Part | None:
    """Return how much more the chosen ones rise on the own split, None where that is unknown."""
    k, m = len(chosen), len(unchosen)
    if not (k and m and chosen[0].own):
        return None
    table = np.asarray([arm.own for arm in (*chosen, *unchosen)])
    rises = table.mean(axis=1) - np.asarray([arm.searched for arm in (*chosen, *unchosen)])
    mean = float(rises[:k].mean() - rises[k:].mean())
    n_arms, n = table.shape
    if n < MIN_SPLITS:
        return mean, None
    of_seeds = n_arms * table.mean(axis=0).var(ddof=1)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    free = (n_arms - 1) * (n - 1)
    # What the means scatter by, and the one seed of the search behind each that was not chosen.
    both = ((1 / k + 1 / m) / n + (1 - 1 / n_arms) / m) * float((rest**2).sum()) / free
    half = half_interval([(both, free), (float(of_seeds) / (n_arms * m), n - 1)])
    return mean, Interval(mean - half, mean + half)


def _split(chosen: Sequence[Again]) -> Part | None:
    """Return how much the chosen ones rise from the own split to fresh ones."""
    if not (chosen and chosen[0].own and chosen[0].fresh):
        return None
    own = np.mean([arm.own for arm in chosen], axis=0)
    fresh = np.mean([arm.fresh for arm in chosen], axis=0)
    mean = float(fresh.mean() - own.mean())
    if min(len(own), len(fresh)) < MIN_SPLITS:
        return mean, None
    half = half_interval([mean_variance(own), mean_variance(fresh)])
    return mean, Interval(mean - half, mean + half)


def _scatter(arms: Sequence[Again]) -> tuple[float, float] | None:
    """Return the standard deviations of seed and split, None where they cannot be parted."""
    n_own, n_fresh = (len(arms[0].own), len(arms[0].fresh)) if arms else (0, 0)
    if len(arms) < 2 or min(n_own, n_fresh) < MIN_SPLITS:
        return None
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    n_seeds = n_own + n_fresh
    of_arm = np.repeat(np.eye(len(arms)), n_seeds, axis=0)
    of_seed = np.tile(np.eye(n_seeds), (len(arms), 1))
    of_split = np.tile(np.eye(1 + n_fresh)[[0] * n_own + [*range(1, 1 + n_fresh)]], (len(arms), 1))
    parts = VCSpec(
        names=["seed", "split"],
        colnames=[[list(map(str, range(some.shape[1])))] for some in (of_seed, of_split)],
        mats=[[of_seed], [of_split]],
    )
    losses = np.concatenate([[*arm.own, *arm.fresh] for arm in arms])
    groups = np.zeros(len(losses))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a scatter that is 0, or not found: see below
        try:
            model = MixedLM(losses, of_arm, groups=groups, exog_vc=parts)
            found = model.fit(method=["bfgs", "lbfgs", "powell"])
        except np.linalg.LinAlgError:
            return None
    if not found.converged:
        return None
    of_seeds, of_splits = map(float, found.vcomp)
    return math.sqrt(of_seeds + float(found.scale)), math.sqrt(of_splits)


def beside(change: float) -> str:
    """Write how one value compares with another: 12.3 % below, 4 % above."""
    side = "below" if change < 0 else "above"
    return f"{format_change(abs(change)).removeprefix('+')} {side}"


def describe_rise(info: RiseInfo, metric: Metric, *, word: str, data: str) -> Iterator[str]:
    """Say by how much values are worse than the search had measured, and why."""
    if info.chosen is None:
        return

    def part(found: Part) -> str:
        mean, interval = found
        text = format_change(metric.sign * mean)
        if interval is None:
            return text
        turned = Interval(*sorted(metric.sign * end for end in interval))
        return f"{text} (95 % interval {turned.written(format_change)})"

    where = "seeds on the search's own split" if info.n_own else "seeds and splits"
    text = (
        f"With fresh {where} the configurations that the search liked best have {word}s "
        f"{beside(metric.sign * info.chosen)} what it had measured (mean)"
    )
    if info.unchosen:
        each = [f"{name} ({beside(metric.sign * rise)})" for name, rise in info.unchosen.items()]
        text += f"; not chosen for that: {format_list(each)}"
    yield f"{text}."
    if info.choice is not None:
        _, ends = info.choice
        maybe = ", which may be none" if ends is None or ends.low < 0 < ends.high else ""
        cost = f"{part(info.choice)}, the difference{maybe}"
        yield f"So choosing by what was measured has cost {cost}."
    elif info.unchosen:
        yield (
            "What was not chosen for its result rises or falls with seeds and splits alone; only "
            "what goes beyond that is the price of choosing."
        )
    if info.split is not None:
        yield (
            f"From the search's own split to {counted(info.n_fresh, 'fresh one')} the {word}s of "
            f"the best change by {part(info.split)}: that is other validation {data}."
        )
    if info.seed_scatter is not None and info.split_scatter is not None:
        yield (
            f"From seed to seed {with_article(word)} scatters by "
            f"{format_percent(info.seed_scatter)}, from split to split by another "
            f"{format_percent(info.split_scatter)} (standard deviations, roughly)."
        )
    elif info.n_own and info.n_fresh:
        yield (
            f"{MIN_SPLITS} seeds on the search's own split and {MIN_SPLITS} fresh splits would "
            "tell how much either scatters by itself."
        )
