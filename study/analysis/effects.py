"""How much each setting went with better values, and what chance explains of that."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from scipy import stats

from search_spaces import Scalar
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    by_configuration,
    is_independent,
    is_numeric,
    kind_of,
    parameter_names,
    ranked,
    word_for,
)
from study.analysis.held_fixed import partial_p_values
from study.analysis.magnitude import tamed
from study.analysis.paired import holm
from study.analysis.pairs import range_words
from study.analysis.surrogate import MIN_TRIALS
from study.formats import (
    MINUS,
    counted,
    format_measured,
    format_number,
    format_points,
)
from study.metrics import Metric
from study.wording import Wording

MIN_GROUP = 5
"""Trials with a value of a setting below which nothing is said of it."""

MIN_BLOCKS = 8
"""Blocks of trials that differ in one setting alone from which on these are compared."""

MAX_GROUPS = 6
"""Values that are looked at one by one; a range with more is cut into quarters of its trials."""

IN_QUARTERS = 40
"""Trials from which on it is; fewer are cut at the middle, which hides what is best inside."""

CLEAR = 0.03
"""Adjusted p-value below which chance does not explain that the values of a setting differ.

It leaves room for what a forest names by mistake: all that a page names shall be alive in 95 of
100 studies."""

CLEAR_ALONE = 0.002
"""The same where trials followed earlier results and are too few to ask a forest."""

PARTIAL_LEVEL = 0.05
"""P-value, other settings held fixed, that a setting which a forest needs must stay below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The trials with one value of a setting, or on one side of the middle of its range.

    Args:
        words: The value, or which values these are.
    """

    words: str
    n_trials: int
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Trials of a grid in blocks: those of a block differ in one setting alone.

    Args:
        values: Of the metric, shape ``(n_blocks, n_values)``.
        levels: The blocks of each level of another setting, by that level in words.
    """

    words: tuple[str, ...]
    values: np.ndarray
    levels: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One setting.

    Args:
        best, worst: Its sides with the best and with the worst median, or mean within blocks.
        p_adjusted: Of the test over all of its sides, adjusted for all settings.
        size: The best median in units of the worst, 0.5 is half of it, within blocks the mean
            ratio; None unless all are positive and shares of a value mean something.
        difference: Of the best from the worst, medians or the mean within blocks.
        blocks: In how many blocks the best is better, and how many there are; None without.
        turned: The level of another setting at which it is the other way round, beyond chance.
        clear: Whether neither chance nor another setting that moved along explains it.
    """

    name: str
    best: Side
    worst: Side
    p_adjusted: float = 1.0
    size: float | None
    difference: float
    blocks: tuple[int, int] | None = None
    turned: str | None = None
    clear: bool = False

    @property
    def turning(self) -> tuple[str, ...]:
        """Where it is the other way round, in words; empty where it is nowhere."""
        return () if self.turned is None else (f"the other way round with {self.turned}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectsInfo:
    """All settings that vary, the clear ones first, by their sizes.

    Args:
        untold: Settings that vary and have no two sides with enough trials.
        n_trials: Complete trials that keep the constraint, each training once.
        independent: Whether a design chose the trials, without a look at results.
        needed: Settings that a forest needs to predict the metric.
    """

    metric: Metric
    effects: tuple[Effect, ...]
    untold: tuple[str, ...]
    n_trials: int
    independent: bool
    needed: Collection[str]

    @property
    def clear(self) -> tuple[Effect, ...]:
        """Those that chance does not explain."""
        return tuple(effect for effect in self.effects if effect.clear)

    @property
    def unclear(self) -> tuple[str, ...]:
        """Names of all others that vary."""
        return (*(e.name for e in self.effects if not e.clear), *self.untold)


def get_effects(
    record: StudyRecord, *, metric: Metric | None = None, needed: Collection[str] = ()
) -> EffectsInfo:
    """Compare the values of each setting.

    In a grid they are compared among trials that differ in nothing else (``Matched``), for what
    other settings do would hide what one of them does; elsewhere whatever the other settings.
    Trials with equal settings count once, with their mean.

    Where a design chose the trials, a setting without effect is as often clear as the test says.
    A sampler that learns moves settings together, and in a third of the studies of 50 trials that
    TPE searched the test alone finds a setting that does nothing. So there, and where it is not
    known how trials were chosen, a setting is clear if the forest needs it as well, which knows
    the others, and a fit with all of them does (``partial_p_values``); of fewer trials than a
    forest is grown on, if the test is far surer. How often dead settings are named then is
    measured in ``tests/study_tests/analysis/test_naming.py``.

    Args:
        needed: The settings that a forest of all trials needs to predict the metric. Beside
            those that are compared within blocks, they alone may be clear where trials followed
            earlier results.

    Source: the tests are those of Kruskal and Wallis, within blocks of Wilcoxon (two values) and
        Friedman, adjusted for the number of settings: Holm, "A simple sequentially rejective
        multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    kind = kind_of(record)
    metric = metric or kind.objective
    feasible = (item for item in ranked(record, metric=metric) if item[1].feasible)
    members = by_configuration(feasible)
    found, p_values, untold = [], {}, []
    names = parameter_names(record)
    scattered = {name for name in names if _is_scattered(name, members)}
    for name in names:
        having = [(value, trial) for value, trial in members if name in trial.params]
        if len({_key(trial.params[name]) for _, trial in having}) < 2:
            continue
        sides = [
            (w, values)
            for w, values in _sides(name, having, kind.wording)
            if len(values) >= MIN_GROUP
        ]
        if len(sides) < 2:
            untold.append(name)
            continue
        matched = None if scattered - {name} else _matched(name, having, kind.wording)
        found.append(_effect(name, sides, matched, metric))
        p_values[name] = _p_value(sides, matched)
    adjusted = holm(p_values)
    independent = is_independent(record)
    if not independent:
        ranking = [t for _, t in sorted(members, key=lambda item: metric.sign * item[0])]
        partial = partial_p_values(ranking)
        needed = [name for name in needed if partial.get(name, 0.0) < PARTIAL_LEVEL]
    few = not independent and len(members) < MIN_TRIALS

    def is_clear(effect: Effect) -> bool:
        p = adjusted[effect.name]
        if independent or effect.blocks is not None:  # nothing else differs within blocks
            return p < CLEAR
        return p < (CLEAR_ALONE if few else CLEAR) and (few or effect.name in needed)

    effects = [
        replace(effect, p_adjusted=adjusted[effect.name], clear=is_clear(effect))
        for effect in found
    ]
    return EffectsInfo(
        metric=metric,
        effects=tuple(sorted(effects, key=_order)),
        untold=tuple(untold),
        n_trials=len(members),
        independent=independent,
        needed=needed,
    )


def describe_effect(effect: Effect, metric: Metric, wording: Wording | None = None) -> str:
    """Say in a line how much a setting made out, with its name if it is told how to write it."""
    best, worst = effect.best, effect.worst
    name = "" if wording is None else f"{wording.label(effect.name)} "
    if effect.blocks is not None:
        n_better, n_blocks = effect.blocks
        paired = (
            f"{name}{best.words} instead of {worst.words}: {_change(effect, metric)} in the mean, "
            f"{metric.better} in {n_better} of {counted(n_blocks, 'pair')} with all else equal"
        )
        return ", ".join((paired, *effect.turning))
    medians = (
        f"medians {format_measured(best.median, metric)} and "
        f"{format_measured(worst.median, metric)} of {best.n_trials} and {worst.n_trials} trials"
    )
    change = (
        "" if effect.size is None else f" {word_for(metric)} × {format_number(effect.size, 2)},"
    )
    return f"{name}{best.words} instead of {worst.words}:{change} {medians}"


def _change(effect: Effect, metric: Metric) -> str:
    if effect.size is not None and not metric.is_share:
        return f"{word_for(metric)} × {format_number(effect.size, 2)}"
    if metric.is_share:
        return format_points(effect.difference)
    return f"{'+' if effect.difference > 0 else MINUS}{format_number(abs(effect.difference))}"


def describe_effects(info: EffectsInfo) -> dict[str, str]:
    """Say what each setting made out, as a sentence after its name, and what may explain it."""
    words = dict.fromkeys(info.untold, "too few trials of some values to tell")
    for effect in info.effects:
        text = describe_effect(effect, info.metric)
        words[effect.name] = text if effect.clear else f"{text}; {_doubt(effect, info)}"
    return words


def _doubt(effect: Effect, info: EffectsInfo) -> str:
    """Say why an effect is not clear."""
    others = "other settings that changed along with it"
    if effect.name in info.needed:
        return "that alone may be chance, but trials are predicted worse without the setting"
    if info.independent or effect.blocks is not None:
        return "chance may explain it"
    if effect.p_adjusted < CLEAR:
        return f"{others} may explain it"
    return f"chance may explain it, or {others}"


def _sides(
    name: str, having: Sequence[tuple[float, TrialRecord]], wording: Wording
) -> list[tuple[str, list[float]]]:
    """Return the values of the metric by value of a setting, or by quarter or half of all."""
    groups: dict[tuple[str, str], tuple[Scalar, list[float]]] = {}
    for value, trial in having:
        own = trial.params[name]
        groups.setdefault(_key(own), (own, []))[1].append(value)
    if len(groups) <= MAX_GROUPS or not is_numeric(name, (trial for _, trial in having)):
        return [(wording.value(own, name), values) for own, values in groups.values()]
    numbers = np.asarray([float(str(trial.params[name])) for _, trial in having])
    values = np.asarray([value for value, _ in having])
    parts = 4 if len(having) >= IN_QUARTERS else 2
    inner = np.linspace(0, 1, parts + 1)[1:-1]
    edges = np.unique(np.quantile(numbers, inner, method="inverted_cdf"))
    places = np.searchsorted(edges, numbers, side="left")
    words = range_words(edges.tolist())
    return [(w, values[places == i].tolist()) for i, w in enumerate(words)]


def _is_scattered(name: str, members: Sequence[tuple[float, TrialRecord]]) -> bool:
    """Whether most trials have a value of their own, so that no two differ in something else."""
    own = [trial.params[name] for _, trial in members if name in trial.params]
    return 2 * len(set(own)) > max(len(own), 2 * MAX_GROUPS)


def _matched(
    name: str, having: Sequence[tuple[float, TrialRecord]], wording: Wording
) -> Matched | None:
    """Return the complete blocks, if at least half of the trials are in ``MIN_BLOCKS`` or more."""
    levels = {_key(trial.params[name]): trial.params[name] for _, trial in having}
    if not 2 <= len(levels) <= MAX_GROUPS:
        return None
    blocks: dict[frozenset[tuple[str, tuple[str, str]]], dict[tuple[str, str], float]] = {}
    for value, trial in having:
        others = frozenset((n, _key(own)) for n, own in trial.params.items() if n != name)
        blocks.setdefault(others, {})[_key(trial.params[name])] = value
    whole = {others: own for others, own in blocks.items() if len(own) == len(levels)}
    if len(whole) < MIN_BLOCKS or 2 * len(whole) * len(levels) < len(having):
        return None
    params = {(n, _key(own)): own for _, trial in having for n, own in trial.params.items()}
    members: dict[tuple[str, tuple[str, str]], list[int]] = {}
    for i, others in enumerate(whole):
        for level in others:
            members.setdefault(level, []).append(i)
    return Matched(
        words=tuple(wording.value(value, name) for value in levels.values()),
        values=np.asarray([[own[key] for key in levels] for own in whole.values()]),
        levels={
            f"{wording.label(level[0])} {wording.value(params[level], level[0])}": places
            for level, places in sorted(members.items())
            if MIN_BLOCKS <= len(places) < len(whole)
        },
    )


def _p_value(sides: Sequence[tuple[str, list[float]]], matched: Matched | None) -> float:
    """Ask whether the values of a setting differ, within blocks where there are some."""
    if matched is None:
        groups = [values for _, values in sides]
        differ = np.ptp(np.concatenate(groups)) > 0
        return float(stats.kruskal(*groups).pvalue) if differ else 1.0
    values = matched.values
    # In a unit in which the largest numbers have differences.
    table = np.log(values) if values.min() > 0 else tamed(values)[0]
    if not (table != table[:, :1]).any():
        return 1.0
    if table.shape[1] == 2:
        return float(stats.wilcoxon(table[:, 0], table[:, 1]).pvalue)
    return float(stats.friedmanchisquare(*table.T).pvalue)


def _effect_in_blocks(
    name: str, sides: Mapping[str, Side], matched: Matched, metric: Metric
) -> Effect:
    """Compare the values with the best and the worst mean within blocks."""
    shares = metric.has_zero and matched.values.min() > 0
    plain, unit = tamed(matched.values)
    table = np.log(plain) if shares else plain
    order = np.argsort(metric.sign * table.mean(axis=0), kind="stable")
    best, worst = int(order[0]), int(order[-1])
    gains = metric.sign * (table[:, worst] - table[:, best])
    losing = {
        level: float(stats.wilcoxon(gains[places], alternative="less").pvalue)
        for level, places in matched.levels.items()
        if gains[places].any()
    }
    turned = min(losing, key=lambda level: losing[level], default=None)
    if turned is None or losing[turned] * len(losing) >= CLEAR:
        turned = None
    return Effect(
        name=name,
        best=sides[matched.words[best]],
        worst=sides[matched.words[worst]],
        size=math.exp((table[:, best] - table[:, worst]).mean()) if shares else None,
        difference=float((plain[:, best] - plain[:, worst]).mean()) * unit,
        blocks=(int((gains > 0).sum()), len(gains)),
        turned=turned,
    )


def _effect(
    name: str, sides: Sequence[tuple[str, list[float]]], matched: Matched | None, metric: Metric
) -> Effect:
    told = [Side(words=w, n_trials=len(v), median=median(v)) for w, v in sides]
    if matched is not None:
        return _effect_in_blocks(name, {side.words: side for side in told}, matched, metric)
    best, *_, worst = sorted(told, key=lambda side: metric.sign * side.median)
    positive = metric.has_zero and min(best.median, worst.median) > 0
    return Effect(
        name=name,
        best=best,
        worst=worst,
        size=best.median / worst.median if positive else None,
        difference=best.median - worst.median,
    )


def _order(effect: Effect) -> tuple[bool, float, float]:
    size = abs(effect.difference) if effect.size is None else abs(math.log(effect.size))
    return not effect.clear, -size, effect.p_adjusted


def _key(value: Scalar) -> tuple[str, str]:
    """Tell values apart: True equals 1, but is another value."""
    return str(value), type(value).__name__
