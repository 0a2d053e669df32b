"""The state of studies for a terminal."""

from collections.abc import Iterator, Sequence

from optuna.trial import TrialState
from rich.markup import escape
from rich.table import Table

from storage import attrs
from storage.records import StudyRecord, TrialRecord

_N_BEST = 5
_N_FAILURES = 5


def study_table(records: Sequence[StudyRecord]) -> Table:
    """Return one row per study."""
    table = Table("study", "kind", "space", "sampler", "pruner", box=None, header_style="bold")
    for name in ("complete", "pruned", "failed", "running", "waiting", "best"):
        table.add_column(name, justify="right")
    for record in records:
        settings = record.user_attrs.get(attrs.SETTINGS, {})
        words = [str(settings.get(name, "—")) for name in ("kind", "space", "sampler", "pruner")]
        best = record.best
        table.add_row(
            escape(record.name),
            *(escape(word) for word in words),
            *(str(_count(record, state)) for state in _STATES),
            "—" if best is None else f"{best.value:.5f}",
        )
    return table


_STATES = (
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAIL,
    TrialState.RUNNING,
    TrialState.WAITING,
)


def status_lines(record: StudyRecord) -> Iterator[Table | str]:
    """Yield what is to be known of a study: counts, running, failed and best trials."""
    yield study_table([record])
    target = record.user_attrs.get(attrs.TARGET)
    finished = sum(trial.finished for trial in record.trials)
    if target is not None:
        yield f"{finished} of {target} trials that were asked for are finished."
    running = [trial for trial in record.trials if trial.state == TrialState.RUNNING]
    if running:
        table = Table("running", "worker", "epoch", "validation MSE", box=None)
        for trial in running:
            steps = trial.intermediate_values
            last = max(steps, default=None)
            table.add_row(
                str(trial.number),
                escape(str(trial.user_attrs.get(attrs.WORKER, "—"))),
                "—" if last is None else str(last + 1),
                "—" if last is None else f"{steps[last]:.5f}",
            )
        yield table
    best = sorted(record.complete, key=lambda t: (t.value is None, t.value))[:_N_BEST]
    if best:
        table = Table("best", "validation MSE", "epoch", "parameters", box=None)
        for trial in best:
            epoch = trial.user_attrs.get(attrs.BEST_EPOCH, "—")
            table.add_row(str(trial.number), f"{trial.value:.5f}", str(epoch), _params(trial))
        yield table
    failures = [trial for trial in record.trials if trial.state == TrialState.FAIL]
    for trial in failures[-_N_FAILURES:]:
        reason = trial.user_attrs.get(attrs.FAILURE, "its worker died")
        yield escape(f"Trial {trial.number} failed: {reason}")


def _params(trial: TrialRecord) -> str:
    def shown(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return escape(", ".join(f"{name}={shown(value)}" for name, value in trial.params.items()))


def _count(record: StudyRecord, state: TrialState) -> int:
    return sum(trial.state == state for trial in record.trials)
