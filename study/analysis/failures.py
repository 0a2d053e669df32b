"""How many trials failed, and how many of them were made up for: one count, in the same words."""

from dataclasses import dataclass

from optuna.trial import TrialState

from storage.attrs import RETRY_OF
from storage.records import StudyRecord, TrialRecord
from study.formats import counted, format_count, in_line


@dataclass(frozen=True, slots=True, kw_only=True)
class FailuresInfo:
    """The failed trials of a study.

    Args:
        lost: Those whose work no other trial took up again.
        n_open: Those whose work another one is to take up, or is at.
    """

    trials: tuple[TrialRecord, ...]
    lost: tuple[TrialRecord, ...]
    n_open: int
    n_ended: int

    @property
    def share_lost(self) -> float:
        """Share of the trials whose work was not taken up again that failed."""
        n = self.n_ended - len(self.trials) + len(self.lost)
        return len(self.lost) / n if n else 0.0


def get_failures(record: StudyRecord) -> FailuresInfo:
    """Collect the failed trials of a study."""
    retries = {RETRY_OF.of(trial): trial for trial in record.trials}  # the last of each

    def last(trial: TrialRecord) -> TrialRecord:
        while (again := retries.get(trial.number)) is not None and again.number > trial.number:
            trial = again
        return trial

    failed = [trial for trial in record.trials if trial.state == TrialState.FAIL]
    return FailuresInfo(
        trials=tuple(failed),
        lost=tuple(trial for trial in failed if trial.number not in retries),
        n_open=sum(not last(trial).state.is_finished() for trial in failed),
        n_ended=sum(trial.state.is_finished() for trial in record.trials),
    )


def describe_failures(info: FailuresInfo) -> str:
    """Say how many trials failed, without a full stop: 5 of 485 trials failed, all made up for."""
    n, n_again = len(info.trials), len(info.trials) - len(info.lost) - info.n_open
    if not n:
        ended = f"None of {counted(info.n_ended, 'trial')} failed"
        return ended if info.n_ended else "No trial has ended yet"
    text = f"{format_count(n)} of {counted(info.n_ended, 'trial')} failed"
    if n_again == n:
        return f"{text} and {'was' if n == 1 else 'were'} made up for"
    were, are = "was" if n_again == 1 else "were", "is" if info.n_open == 1 else "are"
    told = [f"{format_count(n_again)} of which {were} made up for"] if n_again else []
    told += (
        [f"{format_count(info.n_open)} of which {are} to be taken up again"] if info.n_open else []
    )
    return ", ".join([text, *told])


def texts_stored(trial: TrialRecord) -> str:
    """Return the texts among another program's attributes of a trial: error: loss is nan.

    Optuna stores no reasons of failures; whoever wants them stores them there.
    """
    texts = ((name, value) for name, value in trial.other_attrs.items() if isinstance(value, str))
    return "; ".join(f"{in_line(name)}: {in_line(value)}" for name, value in texts)
