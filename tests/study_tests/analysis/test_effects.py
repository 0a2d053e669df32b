"""How much settings made out: planted effects are found, others are not, by medians by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from study.analysis.effects import get_effects
from study.analysis.pairs import get_pair
from tests.study_tests.analysis.test_laws import both
from tests.study_tests.synthetic import SETTINGS, planted

DESIGNED = {"settings": {**SETTINGS, "sampler": "random"}}


@pytest.mark.parametrize("n_trials", [36, 120])
def test_what_was_planted_is_clear(n_trials: int) -> None:
    """Family and learning rate decide, the rest does not; sizes are ratios of the medians."""
    record = replace(planted(n_trials), user_attrs=DESIGNED)
    info = get_effects(record)
    assert info.independent
    assert {effect.name for effect in info.clear} == {"auto_encoder", "learning_rate"}
    assert set(info.unclear) == {
        *("batch_size", "weight_decay", "batch_normalization", "bottleneck_dim")
    }
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
    few, many = (
        replace(r, user_attrs={} if plain else r.user_attrs) for r in (planted(30), planted(120))
    )
    info = get_effects(few)
    assert (info.independent, info.n_trials) == (False, 26)
    assert [effect.name for effect in info.clear] == ["auto_encoder"]
    assert len([e for e in info.effects if e.p_adjusted < 0.05]) == 3
    assert get_effects(many).clear == ()
    info = get_effects(many, needed=["learning_rate", "batch_size"])
    assert [effect.name for effect in info.clear] == ["learning_rate"]


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
    assert info is not None
    assert (info.columns, len(info.rows)) == (("CNN", "linear"), 4)
    assert sum(cell.n_trials for cell in info.cells) == len(record.complete)
    by_row = [sum(c.n_trials for c in info.cells if c.row == row) for row in range(4)]
    assert max(by_row) - min(by_row) <= 2
    assert get_pair(record, "batch_normalization", "bottleneck_dim") is None
