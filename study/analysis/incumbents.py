"""The trials that were the best so far, and how long there has been none; must not draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import TrialState

from storage.records import Scalar, StudyRecord, TrialRecord
from study.analysis import kind_of
from study.analysis.history import EARLIEST, covered_spans, epochs_run, training_seconds
from study.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedParameter:
    """A parameter in which a trial differs from another.

    Args:
        name: The parameter.
        before: Value of the other trial, None where it has none.
        after: Value of this trial, likewise.
    """

    name: str
    before: Scalar
    after: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """A trial that was the best so far when it ended.

    Args:
        number: The trial's number.
        value: Of the objective.
        change: Relative difference from the incumbent before, below 0 if lower is better; None
            for the first one and behind a value of 0.
        n_finished: Complete and pruned trials up to then, this one included.
        epochs_run: Steps that the trials that had ended by then had trained.
        training_seconds: Their training time.
        wall_seconds: Time up to then during which at least one trial that had ended ran; None
            where the trial's end was not stored.
        changes: Parameters that differ from the incumbent before, in the order of the space;
            empty for the first.
    """

    number: int
    value: float
    change: float | None
    n_finished: int
    epochs_run: int
    training_seconds: float
    wall_seconds: float | None
    changes: tuple[ChangedParameter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncumbentsInfo:
    """How the best trial became the best.

    Args:
        incumbents: In the order in which trials ended.
        n_finished: Complete and pruned trials of the study.
        epochs_run: Steps of all trials that ended.
    """

    incumbents: tuple[Incumbent, ...]
    n_finished: int
    epochs_run: int

    @property
    def n_since(self) -> int:
        """Trials that finished after the last improvement."""
        return self.n_finished - (self.incumbents[-1].n_finished if self.incumbents else 0)

    @property
    def epochs_since(self) -> int:
        """Steps of the trials that ended after the last improvement."""
        return self.epochs_run - (self.incumbents[-1].epochs_run if self.incumbents else 0)

    @property
    def share_since(self) -> float | None:
        """The same as a share of all steps, None where none was trained."""
        return self.epochs_since / self.epochs_run if self.epochs_run else None


def get_incumbents(record: StudyRecord) -> IncumbentsInfo:
    """Follow the best feasible complete trial through the order in which trials ended.

    Args:
        record: The study. Trials without the time of their end come last, by number; those that
            have not ended count for nothing.

    Returns:
        Each trial that was better than all that had ended before it.
    """
    ended = sorted(
        (t for t in record.trials if t.finished or t.state == TrialState.FAIL),
        key=lambda t: (t.completed is None, t.completed or EARLIEST, t.number),
    )
    objective = kind_of(record).objective
    found: list[Incumbent] = []
    best: TrialRecord | None = None
    n_finished = n_epochs = 0
    seconds = 0.0
    for i, trial in enumerate(ended):
        n_finished += trial.finished
        n_epochs += epochs_run(trial)
        seconds += training_seconds(trial)
        if not _improves(trial, best, objective) or trial.value is None:
            continue
        before = best.value if best is not None else None
        found.append(
            Incumbent(
                number=trial.number,
                value=trial.value,
                change=(trial.value - before) / abs(before) if before else None,
                n_finished=n_finished,
                epochs_run=n_epochs,
                training_seconds=seconds,
                wall_seconds=_wall_seconds(ended[: i + 1]),
                changes=_changes(best, trial) if best is not None else (),
            )
        )
        best = trial
    return IncumbentsInfo(incumbents=tuple(found), n_finished=n_finished, epochs_run=n_epochs)


def _improves(trial: TrialRecord, best: TrialRecord | None, objective: Metric) -> bool:
    """Whether a trial is a better candidate for the best than the best so far."""
    if trial.state != TrialState.COMPLETE or not trial.feasible:
        return False
    if trial.value is None or not math.isfinite(trial.value):
        return False
    return best is None or best.value is None or objective.is_better(trial.value, best.value)


def _wall_seconds(ended: Sequence[TrialRecord]) -> float | None:
    """Return how long at least one of the trials ran, up to the end of the last."""
    if ended[-1].completed is None:
        return None
    spans = covered_spans((t.started, t.completed) for t in ended if t.started and t.completed)
    return sum((end - start).total_seconds() for start, end in spans)


def _changes(before: TrialRecord, after: TrialRecord) -> tuple[ChangedParameter, ...]:
    names = dict.fromkeys((*after.params, *before.params))
    pairs = ((name, before.params.get(name), after.params.get(name)) for name in names)
    return tuple(
        ChangedParameter(name=name, before=old, after=new)
        for name, old, new in pairs
        if old != new
    )
