"""How much settings made out: planted effects are found, others are not, by medians by hand."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from scipy import stats

from study.analysis.agreement import describe_agreement
from study.analysis.effects import describe_effect, get_effects
from study.analysis.held_fixed import partial_p_values
from study.analysis.pairs import get_pair
from study.analysis.surrogate import get_surrogate
from tests.study_tests.analysis.test_laws import both
from tests.study_tests.synthetic import SETTINGS, planted, study, trial

DESIGNED = {"settings": {**SETTINGS, "sampler": "random"}}


@pytest.mark.parametrize("n_trials", [36, 120])
def test_what_was_planted_is_clear(n_trials: int) -> None:
    """Family and learning rate decide, the rest does not; sizes are ratios of the medians."""
    record = replace(planted(n_trials), user_attrs=DESIGNED)
    info = get_effects(record)
    assert info.independent
    assert {effect.name for effect in info.clear} == {"auto_encoder", "learning_rate"}
    others = {"batch_size", "weight_decay", "batch_normalization", "bottleneck_dim"}
    assert set(info.unclear) == others
    (family,) = (effect for effect in info.effects if effect.name == "auto_encoder")
    values = {
        name: [t.value for t in record.complete if t.params["auto_encoder"] == name]
        for name in ("CNN", "linear")
    }
    assert (family.best.words, family.worst.words) == ("CNN", "linear")
    assert family.size == pytest.approx(np.median(values["CNN"]) / np.median(values["linear"]))
    p = stats.kruskal(*values.values()).pvalue
    assert p <= family.p_adjusted <= len(info.effects) * p


@pytest.mark.parametrize("plain", [False, True])
def test_what_followed_results_is_clear_with_a_second_reason(plain: bool) -> None:
    """Few trials must be clearer, more need the forest as well; a plain study counts as such."""
    own = {} if plain else {"settings": SETTINGS}
    few, many = (replace(planted(n), user_attrs=own) for n in (30, 120))
    info = get_effects(few)
    assert (info.independent, info.n_trials) == (False, 26)
    assert [effect.name for effect in info.clear] == ["auto_encoder"]
    assert len([e for e in info.effects if e.p_adjusted < 0.05]) == 3
    assert get_effects(many).clear == ()
    info = get_effects(many, needed=["learning_rate", "batch_size"])
    assert [effect.name for effect in info.clear] == ["learning_rate"]


def test_a_grid_is_compared_among_trials_that_differ_in_nothing_else() -> None:
    """A small effect shows below a large one, a dead one does not; copies change nothing."""
    points = list(itertools.product([16, 32, 64], [1e-4, 1e-3, 1e-2], [1e-5, 1e-3], [False, True]))
    names = ("batch_size", "learning_rate", "weight_decay", "batch_normalization")
    rng = np.random.default_rng(2)
    values = [
        10 * rate**0.5 * (1 + 0.002 * batch) * (1 - 0.2 * normal) * math.exp(rng.normal(0, 0.01))
        for batch, rate, _, normal in points
    ]
    trials = [
        trial(i, value=value, params=dict(zip(names, point, strict=True)))
        for i, (point, value) in enumerate(zip(points, values, strict=True))
    ]
    info = get_effects(study(*trials, settings={**SETTINGS, "sampler": "grid"}))
    clear = {"learning_rate", "batch_normalization", "batch_size"}
    assert {effect.name for effect in info.clear} == clear
    assert [*info.unclear] == ["weight_decay"]
    (batch,) = (effect for effect in info.clear if effect.name == "batch_size")
    table = np.reshape(values, (3, -1))  # the batch size changes slowest
    assert (batch.best.words, batch.worst.words, batch.blocks) == ("16", "64", (12, 12))
    assert batch.size == pytest.approx(stats.gmean(table[0]) / stats.gmean(table[2]))
    p = stats.friedmanchisquare(*np.log(table)).pvalue
    assert p <= batch.p_adjusted <= 4 * p
    assert describe_effect(batch, info.metric) == (
        "16 instead of 64: error × 0.92 in the mean, lower in 12 of 12 pairs with all else equal"
    )
    again = [replace(t, number=t.number + 100) for t in trials]
    twice = study(*trials, *again, settings={**SETTINGS, "sampler": "grid"})
    assert get_effects(twice).effects == info.effects
    assert get_surrogate(twice).n_trials == len(trials)
    # Numbers have no limits, and equal ones no effect.
    for pair, clear in (
        ((1.7e308, -1.7e308), ["batch_normalization"]),
        ((5e-324, 1e-323), ["batch_normalization"]),
        ((-2.0, -2.0), []),
    ):
        changed = (replace(t, values=(pair[t.number % 2],)) for t in trials)
        info = get_effects(study(*changed, settings={**SETTINGS, "sampler": "grid"}))
        assert [effect.name for effect in info.clear] == clear


def test_blocks_need_no_design_and_tell_where_an_effect_turns() -> None:
    """Nothing else differs within them, whoever chose the trials; one level is an exception."""
    points = itertools.product([16, 32], [1e-4, 1e-3, 1e-2], np.linspace(0.1, 0.9, 9).tolist())
    trials = []
    for i, (batch, rate, decay) in enumerate(points):
        ratio = (1.1 if rate == 1e-2 else 0.8) if batch == 16 else 1.0
        params = {"batch_size": batch, "learning_rate": rate, "weight_decay": decay}
        trials.append(trial(i, value=(1 + decay) * ratio * (1 + i % 5 / 100), params=params))
    info = get_effects(study(*trials))
    assert not info.independent
    (batch,) = (effect for effect in info.clear if effect.name == "batch_size")
    assert (batch.best.words, batch.blocks) == ("16", (18, 27))
    assert describe_effect(batch, info.metric).endswith(
        "18 of 27 pairs with all else equal, the other way round with learning_rate 0.01"
    )


def test_a_setting_that_moves_along_is_told_from_one_that_acts() -> None:
    """With the other one held fixed it tells nothing; few trials tell nothing of either."""
    rng = np.random.default_rng(0)
    ranges = {"acts": FloatDistribution(0, 1), "follows": FloatDistribution(0, 1)}
    trials = []
    for i, acts in enumerate(rng.random(60)):
        params = {"acts": float(acts), "follows": float(0.8 * acts + 0.2 * rng.random())}
        value = float(acts + 0.05 * rng.standard_normal())
        trials.append(replace(trial(i, value=value), params=params, distributions=ranges))
    trials.sort(key=lambda t: t.value)
    found = partial_p_values(trials)
    assert found["acts"] < 1e-6
    assert found["follows"] > 0.05
    assert partial_p_values(trials[:9]) == {}
    only = [replace(t, distributions={"acts": ranges["acts"]}) for t in trials[::2]]
    assert partial_p_values([*trials[::2], *only]).keys() == {"acts"}


def test_high_values_are_the_better_ones() -> None:
    """Of a maximised objective the same settings are clear, with the same good sides."""
    low, high = (
        get_effects(replace(r, user_attrs={**r.user_attrs, **DESIGNED})) for r in both(planted(60))
    )
    assert [effect.name for effect in low.clear] == [effect.name for effect in high.clear]
    assert [e.best.words for e in low.clear] == [e.best.words for e in high.clear]


def test_two_settings_together() -> None:
    """Each trial is in one cell; a range is cut into quarters; medians are those of the cells."""
    record = planted(120)
    info = get_pair(record, "auto_encoder", "learning_rate")
    assert (info.columns, len(info.rows)) == (("CNN", "linear"), 4)
    assert sum(cell.n_trials for cell in info.cells) == len(record.complete)
    by_row = [sum(c.n_trials for c in info.cells if c.row == row) for row in range(4)]
    assert max(by_row) - min(by_row) <= 2
    assert get_pair(record, "batch_normalization", "bottleneck_dim") is None


def test_agreement_is_told_both_ways() -> None:
    """What both find, what the test misses, and what it finds without the forest's need."""
    record = planted()
    forest, effects = get_surrogate(record), get_effects(record)
    assert set(forest.needed) == {"learning_rate", "auto_encoder"}
    agreed = describe_agreement(forest, effects)
    assert agreed.startswith("The test of each setting by itself agrees on ")
    assert agreed.count(".") == 1
    none = replace(forest, parameters=())
    alone = describe_agreement(none, effects)
    assert "alone, but trials may have followed earlier results" in alone
    grid = replace(record, user_attrs={"settings": {**SETTINGS, "sampler": "grid"}})
    said = describe_agreement(none, get_effects(grid))
    assert "that the forest can do without: effects too small" in said
    missed = describe_agreement(forest, replace(effects, effects=()))
    assert "does not find " in missed
    assert describe_agreement(none, replace(effects, effects=())).endswith("finds none either.")
