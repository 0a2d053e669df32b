"""Whether forest and test agree, in words."""

from dataclasses import replace

from study.analysis.agreement import describe_agreement
from study.analysis.effects import get_effects
from study.analysis.surrogate import get_surrogate
from tests.study_tests.synthetic import SETTINGS, planted


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
