"""What several pages say: which steps follow, and what a page does not know."""

from collections.abc import Iterator
from dataclasses import dataclass

from optuna.trial import TrialState

from study.formats import capitalised, format_count, format_duration
from study.report.embedded import ReportData
from study.report.scale import Ruler

STATES = (  # in the order of a page
    *(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL),
    *(TrialState.RUNNING, TrialState.WAITING),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command to type next, and what it is good for.

    Args:
        check: Name of the check that asks for it, empty if none does.
    """

    why: str
    command: str
    check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What to use: settings, what to expect of them, and the command that trains them."""

    settings: str
    expected: str
    command: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a reader must know who reads nothing else.

    Args:
        headline: What was found, in a sentence that needs no other.
        doubt: What keeps it from being trusted, or what it can be trusted for.
        sure: What the data say.
        open: What the data do not tell.
        described: Whether that describes trials that chance may explain, or how they were chosen.
    """

    headline: str
    doubt: tuple[str, ...]
    about: str = ""
    use: Use | None = None
    sure: tuple[str, ...]
    open: tuple[str, ...] = ()
    described: bool = False
    next: tuple[Step, ...] = ()
    ruler: Ruler | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reader of a comparison must know who reads nothing else."""

    opening: str
    found: tuple[str, ...]
    sure: tuple[str, ...]
    next: tuple[Step, ...]


def parted(sentence: str) -> tuple[str, tuple[str, ...]]:
    """Return a sentence, and as another one what it says in brackets: how sure that is."""
    told, _, doubt = sentence.removesuffix(".").partition(" (")
    return f"{capitalised(told)}.", (f"{capitalised(doubt.removesuffix(')'))}.",) if doubt else ()


def lasting(n: float | None, each_s: float | None) -> str:
    """Say in brackets how long so many trainings take, nothing where that is not known."""
    if n is None or each_s is None:
        return ""
    return f" (about {format_duration(n * each_s)} of training)"


def describe_lacking(data: ReportData) -> Iterator[str]:
    """Say what a page that was made from older ones does not know."""
    if data.n_left_out:
        n_held = sum(len(record.trials) for record in data.studies)
        yield (
            f"This page was made from an older one, which held {format_count(n_held)} of "
            f"{format_count(n_held + data.n_left_out)} trials."
        )
    if data.thinned:
        yield (
            "This page was made from an older one, which held a part of the intermediate values: "
            "learning curves and what pruners would have done are coarser than in that page."
        )
