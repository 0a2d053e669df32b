"""The state of studies for a terminal."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from optuna.trial import TrialState
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from storage import attrs
from storage.outages import outage
from storage.queue import shown_worker
from storage.records import StudyRecord, TrialRecord
from study.analysis import VALIDATION_ACCURACY, each_training_once, sampler_of, space_of
from study.analysis.remaining import grid_trainings, to_train
from study.formats import format_accuracy
from study.terminal.progress import eta

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


def status_lines(
    record: StudyRecord,
    silent_s: Mapping[int, float] | None = None,
    *,
    now: datetime | None = None,
) -> Iterator[Table | str]:
    """Yield what is to be known of a study: counts, workers, failed and best trials.

    Args:
        record: The study.
        silent_s: Seconds since the last sign of life of running trials, by the database's key.
        now: The time, with its zone.
    """
    now = now or datetime.now(UTC)
    settings = record.user_attrs.get(attrs.SETTINGS, {})
    yield escape(
        f"Study {record.name}: {settings.get('kind', '—')}, {settings.get('space', '—')} space, "
        f"{settings.get('sampler', '—')} sampler, {settings.get('pruner', '—')} pruner"
    )
    if attrs.IMPORTED in record.user_attrs:
        origin = record.user_attrs[attrs.IMPORTED]
        yield escape(f"Imported from {origin['file']}; not to be continued.")
    finished = sum(trial.finished for trial in record.trials)
    target = record.user_attrs.get(attrs.TARGET, finished)
    running = [trial for trial in record.trials if trial.state == TrialState.RUNNING]
    counts = (
        f"{finished} of {target} trials finished: {_count(record, TrialState.COMPLETE)} complete, "
        f"{_count(record, TrialState.PRUNED)} pruned; {_count(record, TrialState.FAIL)} failed, "
        f"{len(running)} running, {_count(record, TrialState.WAITING)} waiting"
    )
    if running and finished < target:
        done = [trial for trial in record.trials if trial.finished]
        space = space_of(record) if sampler_of(record) == "grid" else None
        trainings = [] if space is None else grid_trainings(space, settings.get("fixed", {}))
        left, trained = to_train(trainings, done, remaining=target - finished)
        counts += "; " + eta(
            [trial.duration_s for trial in trained if trial.duration_s is not None],
            [_age_s(trial, now) for trial in running],
            remaining=left,
            n_workers=len(running),
        )
    yield counts
    if running:
        yield _worker_table(record, running, silent_s or {}, now)
    best = sorted(record.complete, key=lambda t: (not t.feasible, t.value is None, t.value))
    if best:
        yield _best_table(each_training_once(best)[:_N_BEST])
    failures = [trial for trial in record.trials if trial.state == TrialState.FAIL]
    for trial in failures[-_N_FAILURES:]:
        reason = trial.user_attrs.get(attrs.FAILURE, "its worker died")
        yield escape(f"Trial {trial.number} failed: {reason}")


def _worker_table(
    record: StudyRecord,
    running: Sequence[TrialRecord],
    silent_s: Mapping[int, float],
    now: datetime,
) -> Table:
    """Return one row for each worker that is at a trial."""
    n_done = Counter(t.user_attrs.get(attrs.WORKER) for t in record.trials if t.finished)
    table = Table("running", "worker", box=None, header_style="bold")
    for name in ("done", "epoch", "epochs/s", "validation MSE", "heartbeat"):
        table.add_column(name, justify="right")
    for trial in running:
        worker = trial.user_attrs.get(attrs.WORKER)
        last = max(trial.intermediate_values, default=None)
        silence = silent_s.get(trial.trial_id)
        table.add_row(
            str(trial.number),
            escape(shown_worker(str(worker or "—"))),
            str(n_done[worker]),
            "—" if last is None else f"{last + 1} of {trial.params.get('epoch', '—')}",
            "—" if last is None else _rate(trial, last + 1, now),
            "—" if last is None else f"{trial.intermediate_values[last]:.5f}",
            "—" if silence is None else f"{silence:.0f} s ago",
        )
    return table


def _rate(trial: TrialRecord, n_epochs: int, now: datetime) -> str:
    """Return the epochs per second of this attempt at a trial."""
    own = n_epochs - int(trial.user_attrs.get(attrs.RESUMED_EPOCHS, 0))
    age_s = _age_s(trial, now)
    return f"{own / age_s:.2f}" if age_s > 0 else "—"


def _age_s(trial: TrialRecord, now: datetime) -> float:
    return 0.0 if trial.started is None else (now - trial.started).total_seconds()


def watch(
    read: Callable[[], tuple[StudyRecord, Mapping[int, float]]],
    *,
    interval_s: float,
    console: Console | None = None,
) -> None:
    """Show a study's status in place until it is done or Ctrl-C is pressed.

    Args:
        read: Returns the study and what ``status_lines`` takes beside it.
        interval_s: Seconds between two looks at the storage.
        console: Where to show it; standard output unless given.
    """
    with Live(console=console or Console(), auto_refresh=False) as live:
        while True:
            try:
                record, silent_s = read()
            except Exception as error:
                reason = outage(error)
                if reason is None:
                    raise
                live.update(f"The storage is away: {escape(reason)}", refresh=True)
            else:
                live.update(Group(*status_lines(record, silent_s)), refresh=True)
                finished = sum(trial.finished for trial in record.trials)
                if finished >= int(record.user_attrs.get(attrs.TARGET, finished)):
                    return
            time.sleep(interval_s)


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
