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
    needed = forest.needed
    found = [effect.name for effect in effects.effects if effect.p_adjusted < CLEAR]
    both = [name for name in needed if name in found]
    return " ".join(
        _sentences(
            *(
                list(map(wording.label, names))
                for names in (
                    both,
                    [name for name in needed if name not in found],
                    [name for name in found if name not in needed],
                )
            ),
            independent=effects.independent,
            halved=effects.n_trials < IN_QUARTERS,
        )
    )


def _sentences(
    both: list[str], needed: list[str], found: list[str], *, independent: bool, halved: bool
) -> Iterator[str]:
    """Yield them; ``halved`` ranges, of few trials, are not compared by quarters."""
    test = "The test of each setting by itself"
    if both:
        yield f"{test} agrees on {format_list(both)}."
    if needed:
        middle = ", or is best in the middle of its range," if halved else ""
        yield (
            f"{test} does not find {format_list(needed)}: what matters only together with another "
            f"setting{middle} looks like nothing there."
        )
    if found:
        why = (
            "that the forest can do without: effects too small for it"
            if independent
            else "but trials may have followed earlier results, where settings move together"
        )
        yield f"{test} finds {format_list(found)}{'' if both or needed else ' alone'}, {why}."
    if not (both or needed or found):
        yield f"{test} finds none either."
