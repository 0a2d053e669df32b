"""Whether the two ways to ask what mattered say the same."""

from collections.abc import Iterator

from study.analysis.effects import CLEAR, IN_QUARTERS, EffectsInfo
from study.analysis.surrogate import SurrogateInfo
from study.formats import format_list
from study.wording import OURS, Wording


def describe_agreement(
    forest: SurrogateInfo, effects: EffectsInfo, wording: Wording = OURS
) -> str:
    """Say which settings both a forest needs and a test of each by itself finds, and which one."""
    return " ".join(_sentences(forest, effects, wording))


def _sentences(forest: SurrogateInfo, effects: EffectsInfo, wording: Wording) -> Iterator[str]:
    clear = [effect.name for effect in effects.effects if effect.p_adjusted < CLEAR]
    both = [wording.label(name) for name in forest.needed if name in clear]
    needed = [wording.label(name) for name in forest.needed if name not in clear]
    found = [wording.label(name) for name in clear if name not in forest.needed]
    test = "The test of each setting by itself"
    if both:
        yield f"{test} agrees on {format_list(both)}."
    if needed:
        halved = effects.n_trials < IN_QUARTERS
        middle = ", or is best in the middle of its range," if halved else ""
        yield (
            f"{test} does not find {format_list(needed)}: what matters only together with another "
            f"setting{middle} looks like nothing there."
        )
    if found:
        why = (
            "that the forest can do without: effects too small for it"
            if effects.independent
            else "but trials may have followed earlier results, where settings move together"
        )
        yield f"{test} finds {format_list(found)}{'' if both or needed else ' alone'}, {why}."
    if not (both or needed or found):
        yield f"{test} finds none either."
