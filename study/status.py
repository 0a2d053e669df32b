"""The state of studies for a terminal."""

from collections.abc import Iterator, Sequence

from optuna.trial import TrialState
from rich.markup import escape
from rich.table import Table

from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis import VALIDATION_ACCURACY
from study.formats import format_accuracy

_N_BEST = 5
_N_FAILURES = 5
_SHORT_NAME = 24


def study_table(records: Sequence[StudyRecord]) -> Table:
    """Return one row per study, with a column for accuracy if a best trial classifies."""
    bests = [record.best for record in records]
    accuracies = [None if best is None else VALIDATION_ACCURACY.of(best) for best in bests]
    classified = any(accuracy is not None for accuracy in accuracies)
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    # With the column for accuracy, 80 columns are too few: then the kind is folded, not the name.
    short = all(len(record.name) <= _SHORT_NAME for record in records)
    table.add_column("study", overflow="fold", no_wrap=classified and short)
    for name in ("kind", "space"):
        table.add_column(name, overflow="fold")
    for name in ("done", "failed", "running", "waiting", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    if classified:
        table.add_column("accuracy", justify="right", no_wrap=True)
    for record, best, accuracy in zip(records, bests, accuracies, strict=True):
        settings = record.user_attrs.get(attrs.SETTINGS, {})
        failed, running, waiting = (
            str(_count(record, state))
            for state in (TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)
        )
        table.add_row(
            escape(record.name),
            escape(str(settings.get("kind", "—"))),
            escape(str(settings.get("space", "—"))),
            str(sum(trial.finished for trial in record.trials)),
            failed,
            running,
            waiting,
            "—" if best is None else f"{best.value:.5f}",
            *([_accuracy(accuracy)] if classified else []),
        )
    return table


def status_lines(record: StudyRecord) -> Iterator[Table | str]:
    """Yield what is to be known of a study: counts, running, failed and best trials."""
    settings = record.user_attrs.get(attrs.SETTINGS, {})
    yield escape(
        f"Study {record.name}: {settings.get('kind', '—')}, {settings.get('space', '—')} space, "
        f"{settings.get('sampler', '—')} sampler, {settings.get('pruner', '—')} pruner"
    )
    finished = sum(trial.finished for trial in record.trials)
    target = record.user_attrs.get(attrs.TARGET, finished)
    yield (
        f"{finished} of {target} trials finished: {_count(record, TrialState.COMPLETE)} complete, "
        f"{_count(record, TrialState.PRUNED)} pruned; {_count(record, TrialState.FAIL)} failed, "
        f"{_count(record, TrialState.RUNNING)} running, "
        f"{_count(record, TrialState.WAITING)} waiting"
    )
    running = [trial for trial in record.trials if trial.state == TrialState.RUNNING]
    if running:
        table = Table(
            "running", "worker", "epoch", "validation MSE", box=None, header_style="bold"
        )
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
    best = sorted(record.complete, key=lambda t: (not t.feasible, t.value is None, t.value))
    if best:
        yield _best_table(best[:_N_BEST])
    failures = [trial for trial in record.trials if trial.state == TrialState.FAIL]
    for trial in failures[-_N_FAILURES:]:
        reason = trial.user_attrs.get(attrs.FAILURE, "its worker died")
        yield escape(f"Trial {trial.number} failed: {reason}")


def _best_table(trials: Sequence[TrialRecord]) -> Table:
    """Return one row per trial; accuracy and constraint only where they tell something."""
    classified = any(VALIDATION_ACCURACY.of(trial) is not None for trial in trials)
    constrained = not all(trial.feasible for trial in trials)
    table = Table("best", "validation MSE", box=None, header_style="bold")
    if classified:
        table.add_column("accuracy")
    if constrained:
        table.add_column("constraint")
    table.add_column("epoch")
    table.add_column("parameters")
    for trial in trials:
        table.add_row(
            str(trial.number),
            f"{trial.value:.5f}",
            *([_accuracy(VALIDATION_ACCURACY.of(trial))] if classified else []),
            *(["kept" if trial.feasible else "broken"] if constrained else []),
            str(trial.user_attrs.get(attrs.BEST_EPOCH, "—")),
            _params(trial),
        )
    return table


def _accuracy(value: float | None) -> str:
    return "—" if value is None else format_accuracy(value)


def _params(trial: TrialRecord) -> str:
    def shown(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return escape(", ".join(f"{name}={shown(value)}" for name, value in trial.params.items()))


def _count(record: StudyRecord, state: TrialState) -> int:
    return sum(trial.state == state for trial in record.trials)
