"""What a check is, and what all of them ask of a study."""

import enum
from dataclasses import dataclass

from scipy import stats

from storage import attrs
from storage.records import StudyRecord
from study.analysis import (
    is_ours,
    is_own,
    is_search,
    kind_of,
    margin,
    ranked,
    reference_of,
    sampler_of,
    word_for,
)
from study.analysis.confirmation import ConfirmationInfo
from study.analysis.provenance import keeping
from study.formats import format_count, plural
from study.shell import quote


class Level(enum.IntEnum):
    """How bad it is; what cannot be told is neither good nor bad."""

    PASS = 0
    UNKNOWN = 1
    WARN = 2
    FAIL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding, and the command that does something about it, if there is one."""

    name: str
    level: Level
    sentence: str
    command: str | None = None


def check(
    name: str, bad: bool, good: str, wrong: str, command: str | None = None, severe: bool = False
) -> Check:
    """Return a check that passes in one sentence, or warns in another one."""
    if not bad:
        return passed(name, good)
    level = Level.FAIL if severe else Level.WARN
    return Check(name=name, level=level, sentence=wrong, command=command)


def passed(name: str, sentence: str) -> Check:
    return Check(name=name, level=Level.PASS, sentence=sentence)


def unknown(name: str, sentence: str, command: str | None = None) -> Check:
    return Check(name=name, level=Level.UNKNOWN, sentence=sentence, command=command)


ACCIDENTS, ACCIDENTS_LEVEL = 0.005, 0.02
"""Share of trials that may go wrong by accident, and how often chance may look like more."""


def more_than_accidents(n: int, total: int) -> bool:
    """Whether so many of a total went wrong that it is no accident: 2 of 40, by a binomial test.

    Source: Clopper, Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case
        of the Binomial", Biometrika 26, 1934.
    """
    return bool(stats.binom.sf(n - 1, total, ACCIDENTS) < ACCIDENTS_LEVEL)


def of_all(n: int, total: int) -> str:
    """Say how many of all: 3 of 1,200."""
    return f"{format_count(n)} of {format_count(total)}"


class Checked:
    """What several checks ask of a study."""

    def __init__(self, record: StudyRecord, confirmation: ConfirmationInfo | None) -> None:
        self.record, self.trials, self.confirmation = record, record.trials, confirmation
        self.search = is_search(record)
        self.imported = attrs.IMPORTED.of(record) is not None
        self.kind, self.own = kind_of(record), is_own(record)
        self.settings = attrs.SETTINGS.of(record)
        self.in_notebook = self.settings is not None and self.settings.space == "notebook"
        self.by_design = sampler_of(record) == "grid"
        self.ranked = ranked(record)
        # With several objectives, no trial need be the best.
        single = len(record.directions) == 1
        self.leaders = [trial for _, trial in self.ranked if trial.feasible and single]
        self.values = [value for value, trial in self.ranked if trial.feasible and single]
        self.best = record.best if single else None
        self.word = word_for(self.kind.objective)
        self.steps = plural(self.kind.step)
        self.ours = is_ours(record)
        self.training = "training" if self.ours else "trial"

    def run(self, options: str) -> str | None:
        """Return a command that goes on with the study, None if it cannot be continued."""
        kind = reference_of(self.record)
        if kind is None or self.imported or not self.search:
            return None
        return f"emoji-study run {quote(kind)} --study {self.name} {options}"

    def new_study(self, suffix: str, options: str, *, warm: bool = True) -> str | None:
        """Return a command that begins another study, by default with the best of this one."""
        kind, new = reference_of(self.record), quote(f"{self.record.name}-{suffix}")
        if kind is None or not self.search:
            return None
        start = f" --warm-start {self.name}" if warm else ""
        kept = keeping(self.record, options)
        return f"emoji-study run {quote(kind)} --study {new}{start} {kept}"

    def wider(self, options: str = "") -> str | None:
        """Return a command that searches the wider space of this package's kinds."""
        return self.new_study("wider", f"--space extended{options}") if self.own else None

    @property
    def confirm(self) -> str | None:
        """The command that trains the best again, None where that is done or cannot be."""
        if self.confirmation or not self.ours:
            return None
        return f"emoji-study confirm --study {self.name}"

    def margin(self, share: float) -> float:
        """Return by how much a value may be worse than the best for a share of ``margin``."""
        objective = self.kind.objective
        return margin(objective, [objective.sign * value for value in self.values], share)

    @property
    def name(self) -> str:
        """The study's name, for a shell."""
        return quote(self.record.name)
