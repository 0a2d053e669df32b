"""How much each setting went with better values, and what chance explains of that."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution
from scipy import stats

from search_spaces import Scalar
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    is_independent,
    kind_of,
    parameter_names,
    ranked,
    ranked_once,
    word_for,
)
from study.analysis.paired import holm
from study.analysis.surrogate import MIN_TRIALS
from study.formats import format_measured, format_number, format_value
from study.metrics import Metric
from study.wording import Wording

MIN_GROUP = 5
"""Trials with a value of a setting below which nothing is said of it."""

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
class Effect:
    """One setting.

    Args:
        best, worst: Its sides with the best and with the worst median.
        p_adjusted: Of the Kruskal-Wallis test over all of its sides, adjusted for all settings.
        size: The best median in units of the worst, 0.5 is half of it; None unless both are
            positive and shares of a value mean something.
        clear: Whether neither chance nor another setting that moved along explains it.
    """

    name: str
    best: Side
    worst: Side
    p_adjusted: float
    size: float | None
    clear: bool


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
    """Compare the values of each setting, whatever the other settings.

    Where a design chose the trials, a setting without effect is as often clear as the test says.
    A sampler that learns moves settings together, and in a third of the studies of 50 trials that
    TPE searched the test alone finds a setting that does nothing. So there, and where it is not
    known how trials were chosen, a setting is clear if the forest needs it as well, which knows
    the others; of fewer trials than a forest is grown on, if the test is far surer. How often
    dead settings are named then is measured in
    ``tests/study_tests/analysis/test_naming.py``.

    Args:
        needed: The settings that a forest of all trials needs to predict the metric. They alone
            may be clear where trials followed earlier results.

    Source: the test is that of Kruskal and Wallis, adjusted for the number of settings: Holm, "A
        simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics
        6, 1979.
    """
    kind = kind_of(record)
    metric = metric or kind.objective
    members = ranked_once(item for item in ranked(record, metric=metric) if item[1].feasible)
    tested: list[tuple[str, list[tuple[str, list[float]]], float]] = []
    untold = []
    for name in parameter_names(record):
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
        groups = [values for _, values in sides]
        differ = np.ptp(np.concatenate(groups)) > 0
        tested.append((name, sides, float(stats.kruskal(*groups).pvalue) if differ else 1.0))
    adjusted = holm({name: p for name, _, p in tested})
    independent = is_independent(record)
    few = not independent and len(members) < MIN_TRIALS
    effects = [
        _effect(
            name,
            sides,
            p := adjusted[name],
            metric,
            clear=p < (CLEAR_ALONE if few else CLEAR) and (few or independent or name in needed),
        )
        for name, sides, _ in tested
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
    medians = (
        f"medians {format_measured(best.median, metric)} and "
        f"{format_measured(worst.median, metric)} of {best.n_trials} and {worst.n_trials} trials"
    )
    change = (
        "" if effect.size is None else f" {word_for(metric)} × {format_number(effect.size, 2)},"
    )
    name = "" if wording is None else f"{wording.label(effect.name)} "
    return f"{name}{best.words} instead of {worst.words}:{change} {medians}"


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
    if effect.p_adjusted < CLEAR and not info.independent:
        return f"{others} may explain it"
    return "chance may explain it" + ("" if info.independent else f", or {others}")


def _sides(
    name: str, having: Sequence[tuple[float, TrialRecord]], wording: Wording
) -> list[tuple[str, list[float]]]:
    """Return the values of the metric by value of a setting, or by quarter or half of all."""
    groups: dict[tuple[str, str], tuple[Scalar, list[float]]] = {}
    for value, trial in having:
        own = trial.params[name]
        groups.setdefault(_key(own), (own, []))[1].append(value)
    numeric = all(
        isinstance(trial.distributions.get(name), FloatDistribution | IntDistribution)
        for _, trial in having
    )
    if len(groups) <= MAX_GROUPS or not numeric:
        return [(wording.value(own, name), values) for own, values in groups.values()]
    numbers = np.asarray([float(str(trial.params[name])) for _, trial in having])
    values = np.asarray([value for value, _ in having])
    parts = 4 if len(having) >= IN_QUARTERS else 2
    inner = np.linspace(0, 1, parts + 1)[1:-1]
    edges = np.unique(np.quantile(numbers, inner, method="inverted_cdf"))
    places = np.searchsorted(edges, numbers, side="left")
    told = [format_value(float(edge)) for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(told)]
    words = [f"up to {told[0]}", *between, f"above {told[-1]}"]
    return [(w, values[places == i].tolist()) for i, w in enumerate(words)]


def _effect(
    name: str,
    sides: Sequence[tuple[str, list[float]]],
    p: float,
    metric: Metric,
    *,
    clear: bool,
) -> Effect:
    told = [Side(words=w, n_trials=len(v), median=median(v)) for w, v in sides]
    best, *_, worst = sorted(told, key=lambda side: metric.sign * side.median)
    positive = metric.has_zero and min(best.median, worst.median) > 0
    size = best.median / worst.median if positive else None
    return Effect(name=name, best=best, worst=worst, p_adjusted=p, size=size, clear=clear)


def _order(effect: Effect) -> tuple[bool, float, float]:
    difference = abs(effect.best.median - effect.worst.median)
    size = difference if effect.size is None else abs(math.log(effect.size))
    return not effect.clear, -size, effect.p_adjusted


def _key(value: Scalar) -> tuple[str, str]:
    """Tell values apart: True equals 1, but is another value."""
    return str(value), type(value).__name__
