"""The trials that were the best so far, and how long there has been none."""

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import TrialState

from search_spaces import Scalar
from storage.records import StudyRecord, TrialRecord
from study.analysis import kind_of
from study.analysis.spent import EARLIEST, spent_by
from study.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """A trial that was the best so far when it ended.

    Args:
        change: Difference from the incumbent before, None without one; as a share of its size
            where shares of a value mean something, and None behind 0.
        n_finished: Complete and pruned trials up to then, this one included.
        epochs_run: Steps that the trials that had ended by then had trained.
        wall_seconds: From the first start up to then; None where the trial's end was not stored.
        changes: By name the parameters in which it differs from the incumbent before, in the
            order of the space: the values of that one and of this one, None for none.
    """

    number: int
    value: float
    change: float | None
    n_finished: int
    epochs_run: int
    training_seconds: float
    wall_seconds: float | None
    changes: Mapping[str, tuple[Scalar, Scalar]]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncumbentsInfo:
    """How the best trial became the best: incumbents in the order in which trials ended."""

    incumbents: tuple[Incumbent, ...]
    n_finished: int
    epochs_run: int

    @property
    def n_since(self) -> int:
        """Trials that finished after the last improvement."""
        return self.n_finished - (self.incumbents[-1].n_finished if self.incumbents else 0)

    @property
    def share_since(self) -> float | None:
        """Share of all steps that were trained after it, None where none was trained."""
        since = self.epochs_run - (self.incumbents[-1].epochs_run if self.incumbents else 0)
        return since / self.epochs_run if self.epochs_run else None


def get_incumbents(record: StudyRecord) -> IncumbentsInfo:
    """Follow the best feasible complete trial through the order in which trials ended.

    Trials without the time of their end come last; those that have not ended do not count.
    """
    ended = sorted(
        (t for t in record.trials if t.finished or t.state == TrialState.FAIL),
        key=lambda t: (t.completed is None, t.completed or EARLIEST, t.number),
    )
    objective = kind_of(record).objective
    found: list[Incumbent] = []
    best: TrialRecord | None = None
    n_finished, n_epochs, seconds = 0, 0, 0.0
    spent = spent_by(record)
    first = min((t.started for t in record.trials if t.started), default=EARLIEST)
    for trial in ended:
        n_finished += trial.finished
        n_epochs += spent[trial.number].steps
        seconds += spent[trial.number].seconds
        value = objective.any_of(trial)
        if trial.state != TrialState.COMPLETE or not trial.feasible or value is None:
            continue
        before = found[-1].value if found else None
        if before is not None and not objective.is_better(value, before):
            continue
        found.append(
            Incumbent(
                number=trial.number,
                value=value,
                change=None if before is None else _change(value, before, objective),
                n_finished=n_finished,
                epochs_run=n_epochs,
                training_seconds=seconds,
                wall_seconds=(trial.completed - first).total_seconds()
                if trial.completed
                else None,
                changes={} if best is None else _changes(best, trial),
            )
        )
        best = trial
    return IncumbentsInfo(incumbents=tuple(found), n_finished=n_finished, epochs_run=n_epochs)


def _change(value: float, before: float, objective: Metric) -> float | None:
    if not objective.has_zero:
        return value - before
    return (value - before) / abs(before) if before else None


def _changes(before: TrialRecord, after: TrialRecord) -> dict[str, tuple[Scalar, Scalar]]:
    names = {**after.params, **before.params}
    pairs = {name: (before.params.get(name), after.params.get(name)) for name in names}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}
