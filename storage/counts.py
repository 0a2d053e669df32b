"""How many trials of a study are in which state."""

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from storage.outages import outage
from storage.records import TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of a study's trials by state."""

    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int

    @property
    def finished(self) -> int:
        """Trials that count: complete or pruned."""
        return self.complete + self.pruned


def count(trials: Sequence[FrozenTrial | TrialRecord]) -> Progress:
    """Count trials by state."""
    states = [trial.state for trial in trials]
    return Progress(
        complete=states.count(TrialState.COMPLETE),
        pruned=states.count(TrialState.PRUNED),
        failed=states.count(TrialState.FAIL),
        running=states.count(TrialState.RUNNING),
        waiting=states.count(TrialState.WAITING),
    )


def finished_trials(study: optuna.Study) -> int | None:
    """Return how many trials count so far; None in an outage of the database."""
    try:
        return count(study.get_trials(deepcopy=False)).finished
    except Exception as error:
        if outage(error) is None:
            raise
        return None
