"""Empirical distribution functions by family, their bands, and their chart."""

import math

import numpy as np
import pytest
from scipy import stats

from study.analysis import kind_of
from study.analysis.distribution import MAX_STEPS, get_distribution
from study.figures.search import plot_distribution
from study.figures.style import FAMILY_COLORS
from tests.study_tests.synthetic import (
    SETTINGS,
    VALIDATION_ACCURACY,
    planted,
    planted_multitask,
    study,
    trial,
)

RECORD = planted()
INFO = get_distribution(RECORD)


def test_the_function_is_scipys_and_the_band_massarts() -> None:
    """Steps and quartiles are those of the family; twice the tail bound of its band is 5 %."""
    assert [family.family for family in INFO.families] == ["CNN", "linear"]
    assert INFO.n_trials == len(RECORD.complete)
    for family in INFO.families:
        own = [t for t in RECORD.complete if t.params["auto_encoder"] == family.family]
        errors = [t.value for t in own if t.value is not None]
        expected = stats.ecdf(errors).cdf
        assert family.n_trials == len(errors)
        assert [step.value for step in family.steps] == list(expected.quantiles)
        assert [step.share for step in family.steps] == pytest.approx(expected.probabilities)
        quartiles = (family.lower_quartile, family.median, family.upper_quartile)
        assert quartiles == tuple(np.quantile(errors, [0.25, 0.5, 0.75]))
        assert 2 * math.exp(-2 * family.n_trials * family.band**2) == pytest.approx(0.05)
        for step in family.steps:
            assert step.band.low == max(0, step.share - family.band)
            assert step.band.high == min(1, step.share + family.band)
    # Equal and infeasible trials are steps of their own; a study without trials has no family.
    trials = (trial(0, value=0.3), trial(1, value=0.1, attrs={"infeasible": True}))
    (family,) = get_distribution(study(*trials, trial(2, value=0.3))).families
    steps = [(step.value, step.share) for step in family.steps]
    assert steps == [(0.1, 1 / 3), (0.3, 2 / 3), (0.3, 1)]
    assert get_distribution(study()).families == ()


def test_many_trials_are_thinned_and_keep_both_ends() -> None:
    """A large family has 500 steps at shares that its whole function has."""
    values = np.random.default_rng(0).random(3001)
    trials = [trial(i, value=float(v)) for i, v in enumerate(values)]
    info = get_distribution(study(*trials))
    (family,) = info.families
    assert not get_distribution(study(*trials[:500])).thinned
    assert (family.family, family.n_trials, info.thinned) == ("all", 3001, True)
    first, *_, last = family.steps
    assert (first.value, last.value) == (min(values), max(values))
    assert len(family.steps) == MAX_STEPS == 500
    for step in family.steps:
        assert step.share == pytest.approx(np.mean(values <= step.value))


def test_chart_draws_steps_with_colours_and_dashes() -> None:
    """Each family has a line of its colour and dash in its band, and its name stays text."""
    figure = plot_distribution(INFO, kind_of(RECORD))
    low, high, line, *_, other = figure.data
    assert (line.meta, line.line.dash) == ({"edf": "CNN"}, "solid")
    assert line.line.color == FAMILY_COLORS[0]
    assert (other.meta, other.line.dash) == ({"edf": "linear"}, "dash")
    steps = INFO.families[0].steps
    assert list(line.x) == pytest.approx([step.value for step in steps], rel=1e-4)
    ends = zip(*(step.band for step in steps), strict=True)
    for trace, shares in zip((line, low, high), ([s.share for s in steps], *ends), strict=True):
        assert (list(trace.y), trace.line.shape) == (pytest.approx(shares, abs=1e-4), "hv")
    assert (low.fill, high.fill, figure.layout.xaxis.type) == (None, "tonexty", "log")
    record = planted_multitask(20)
    info = get_distribution(record, metric=VALIDATION_ACCURACY)
    assert plot_distribution(info, kind_of(record)).layout.xaxis.type is None
    evil = "<b>CNN</b>"
    record = study(trial(0, value=0.1, params={"auto_encoder": evil}), settings=SETTINGS)
    line = plot_distribution(get_distribution(record), kind_of(record)).data[-1]
    assert (line.name, line.meta) == ("&lt;b&gt;CNN&lt;/b&gt; (1 trial)", {"edf": evil})
