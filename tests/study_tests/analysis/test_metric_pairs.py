"""Pairs of metrics, with and without a setting behind both."""

import numpy as np
import pytest

from storage.attrs import VALIDATION_ACCURACY, VALIDATION_BALANCED_ACCURACY
from study.analysis.metric_pairs import MetricPair, Tie, get_metric_pairs
from study.report.sections.metrics import sentence
from tests.study_tests.synthetic import multitask, trial

LEVELS, EACH = (16, 32, 64), 40


def pair(*, between: float, within: float, seed: int = 0) -> MetricPair:
    """Return error and accuracy of trials with slopes between the levels of a setting, and within.

    A negative slope is one of a lower error with a higher accuracy.
    """
    rng = np.random.default_rng(seed)
    trials = []
    for i, batch_size in enumerate(LEVELS):
        for _ in range(EACH):
            x = rng.normal()
            accuracy = 0.5 + 0.1 * between * i + 0.02 * within * x + 0.01 * rng.normal()
            trials.append(
                trial(
                    len(trials),
                    value=1.0 + 0.2 * i + 0.05 * x,
                    params={"batch_size": batch_size, "dropout": float(0.7 * rng.random())},
                    attrs={VALIDATION_ACCURACY: accuracy, VALIDATION_BALANCED_ACCURACY: 0.5},
                )
            )
    found = get_metric_pairs(multitask(*trials))
    (told,) = (p for p in found if p.second.name == VALIDATION_ACCURACY)
    assert len(told.points) == len(trials)
    return told


@pytest.mark.parametrize(
    ("between", "within", "tie", "words"),
    [
        (-1.0, -1.0, Tie.TOGETHER, "also where batch size is equal"),
        (1.0, 1.0, Tie.TRADE_OFF, "a trade-off"),
        (-1.0, 0.0, Tie.COMMON_CAUSE, "batch size makes both"),
        (-1.0, 1.5, Tie.REVERSED, "the other way round: a trade-off"),
    ],
)
def test_what_is_left(between: float, within: float, tie: Tie, words: str) -> None:
    """What a setting makes is told from what is left where it is equal."""
    found = pair(between=between, within=within)
    assert (found.parameter, found.tie) == ("batch_size", tie)
    assert words in sentence(found)
    assert [level.words for level in found.levels] == [str(size) for size in LEVELS]
    if within:
        inside = found.within_spearman
        assert inside.interval.low <= inside.value <= inside.interval.high
        assert np.sign(inside.value) == np.sign(within)
    whole = np.corrcoef([(p.first, p.second) for p in found.points], rowvar=False)[0, 1]
    assert found.pearson.value == pytest.approx(whole)


def test_within_is_the_correlation_of_what_levels_leave() -> None:
    """The coefficient within levels is Pearson's of the values minus their level's mean."""
    found = pair(between=-1.0, within=1.0)
    values = np.asarray([(p.first, p.second) for p in found.points])
    levels = np.asarray([p.level for p in found.points])
    for level in set(levels.tolist()):
        values[levels == level] -= values[levels == level].mean(axis=0)
    expected = np.corrcoef(values, rowvar=False)[0, 1]
    assert found.within_pearson.value == pytest.approx(expected)


def test_coverage_of_what_is_left() -> None:
    """Where nothing is left, its interval holds zero in about 95 of 100 studies."""
    found = [pair(between=-1.0, within=0.0, seed=seed).within_spearman for seed in range(60)]
    held = sum(c.interval.low <= 0 <= c.interval.high for c in found)
    assert held >= 52, held


def test_few_trials_and_constants() -> None:
    """Too few trials have no pair; a metric that does not vary has no coefficient."""
    attrs = {VALIDATION_ACCURACY: 0.5, VALIDATION_BALANCED_ACCURACY: 0.5}
    few = [trial(i, value=float(i + 1), attrs=attrs) for i in range(2)]
    assert get_metric_pairs(multitask(*few)) == ()
    more = [trial(i, value=float(i + 1), attrs=attrs) for i in range(12)]
    (found, *_) = get_metric_pairs(multitask(*more))
    assert (found.pearson.value, found.tie) == (None, Tie.UNCERTAIN)
    assert "does not vary" in sentence(found)
