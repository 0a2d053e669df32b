"""What trainings take, counted and not timed: seconds of a busy machine compare no models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.attrs import MULTIPLY_ADDS, PARAMETER_COUNT
from storage.records import TrialRecord
from study.analysis.spent import epochs_run
from study.formats import plural
from study.kind_info import KindInfo

WORK = "work"
_OF_A_STEP = {MULTIPLY_ADDS: "multiply-adds of an example", PARAMETER_COUNT: "weights"}
"""What a step's work is a multiple of in models of one study, the best known first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The work of trials, by their numbers, in units of the label: ``weights × epochs``.

    Args:
        even: Whether all train equally long, so that it is what a step takes, many times.
    """

    label: str
    of: Mapping[int, float]
    even: bool


def get_work(kind: KindInfo, trials: Sequence[TrialRecord]) -> Work | None:
    """Count what trainings take, or would have taken that another one's curve answered.

    Returns:
        None where no one thing is known of all trials.
    """
    steps = {t.number: epochs_run(t) or len(t.intermediate_values) for t in trials}
    for name, label in _OF_A_STEP.items():
        found = {t.number: (name.of(t) or 0) * steps[t.number] for t in trials}
        if found and all(found.values()):
            even = len(set(steps.values())) == 1
            return Work(label=f"{label} × {plural(kind.step)}", of=found, even=even)
    return None
