"""Progress for people: one live line for all workers of a study, a bar for one training."""

import statistics
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import optuna
from optuna.trial import TrialState
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from storage import attrs
from storage.internals import storage_of
from storage.outages import failure, outage
from storage.records import StudyRecord, TrialRecord, count, load_study_record
from study.analysis import kind_of
from study.analysis.remaining import to_train
from study.formats import format_count, format_duration, format_measured, format_number
from study.kinds import Step
from study.metrics import Metric
from study.terminal import screen
from study.terminal.console import Screen

_POLL_S = 1.0
_PLAIN_LINE_S = 15.0


@contextmanager
def progress_line(
    study: optuna.Study, *, target: int, n_workers: int, trainings: Sequence[str] = ()
) -> Iterator[Callable[[str], None]]:
    """Show the progress of ``study`` while the block runs, on standard error.

    A terminal gets one line that is updated in place, a file or a pipe a line now and then.
    Yields what prints another line. An outage of the database stops the line only for as long as
    it lasts. The study, opened for reading, is used by a thread of its own.
    """
    done, told = threading.Event(), [""]
    known: StudyRecord | None = None
    with _bar(auto_refresh=False) as bar:
        task = bar.add_task(study.study_name, total=target, status="")
        live = bar.console.is_terminal

        def say(line: str) -> None:
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

        def show() -> None:
            nonlocal known
            try:
                record = known = load_study_record(
                    storage_of(study), study.study_name, finished_reports=False, known=known
                )
            except Exception as error:
                if outage(error) is None:
                    raise
                return  # the workers' supervisors tell of it
            total = wanted(record, target)
            status = describe(record, target=total, n_workers=n_workers, trainings=trainings)
            finished = count(record.trials).finished
            if live:
                bar.update(task, completed=finished, total=total, status=status, refresh=True)
            elif (counts := f"{count(record.trials)}") != told[-1]:
                told.append(counts)
                screen.say(f"{study.study_name}: {finished}/{total} {status}", err=True)

        def watch() -> None:
            try:
                while not done.wait(_POLL_S if live else _PLAIN_LINE_S):
                    show()
            except Exception as error:
                if failure(error) is None:
                    raise  # else the last look raises it again, in the thread that can tell it
            storage_of(study).remove_session()  # this thread's connection

        watcher = threading.Thread(target=watch, name="progress", daemon=True)
        watcher.start()
        try:
            yield say
        finally:
            done.set()
            watcher.join()
            show()


@contextmanager
def step_bar(
    n_steps: int | None, metric: Metric, *, title: str
) -> Iterator[Callable[[Step], None]]:
    """Show the progress of one training on standard error; yields what is told of each step."""
    with _bar(TimeRemainingColumn()) as bar:
        task = bar.add_task(title, total=n_steps, status="")

        def show(numbers: Step) -> None:
            value = numbers.get(metric.name)
            status = "" if value is None else f"{metric.label} {format_measured(value, metric)}"
            bar.update(task, advance=1, status=status)

        yield show


def wanted(record: StudyRecord, target: int) -> int:
    """Return ``target``, or more finished trials, if another command has asked for more."""
    return max(target, attrs.TARGET.of(record) or 0)


def describe(
    record: StudyRecord, *, target: int, n_workers: int, trainings: Sequence[str] = ()
) -> str:
    """Say in a few words how far a study is that is done at ``target`` finished trials.

    ``n_workers`` share the work; ``trainings`` are of a grid's points, see ``grid_trainings``.
    """
    progress = count(record.trials)
    parts = [f"{progress.pruned} pruned", f"{progress.failed} failed"]
    if record.best is not None and len(record.directions) == 1:
        parts.append(f"best {format_measured(record.best.value, kind_of(record).objective)}")
    remaining = target - progress.finished
    if remaining > 0:
        parts.append(eta(record.trials, trainings, remaining=remaining, n_workers=n_workers))
    return " · ".join(parts)


def eta(
    trials: Sequence[TrialRecord],
    trainings: Sequence[str],
    *,
    remaining: int,
    n_workers: int,
    now: datetime | None = None,
) -> str:
    """Say how long ``remaining`` trials, the running ones included, will take, and their speed.

    Each takes the mean duration of those that were trained; see ``describe``.
    """
    left, trained = to_train(trainings, [t for t in trials if t.finished], remaining=remaining)
    durations_s = [t.duration_s for t in trained if t.duration_s is not None]
    if not durations_s:
        return "ETA …"
    now, mean_s = now or datetime.now(UTC), statistics.fmean(durations_s)
    running = (trial for trial in trials if trial.state == TrialState.RUNNING)
    done_s = sum(min(age_s(trial, now), mean_s) for trial in running)
    left_s = max(left * mean_s - done_s, 0.0) / n_workers
    return f"ETA {format_duration(left_s)}{_speed(mean_s / n_workers)}"


def _speed(seconds_each: float) -> str:
    if seconds_each <= 0:
        return ""
    per_hour = 3600 / seconds_each
    told = format_number(per_hour, 2) if per_hour < 10 else format_count(round(per_hour))
    return f", {told} trials/h"


def age_s(trial: TrialRecord, now: datetime) -> float:
    """Return the seconds since a trial was started."""
    return 0.0 if trial.started is None else (now - trial.started).total_seconds()


def _bar(*more: TimeRemainingColumn, auto_refresh: bool = True) -> Progress:
    console = Screen(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(),
        # It goes on below itself.
        TextColumn("{task.fields[status]}", markup=False, table_column=Column()),
        *more,
        console=console,
        disable=not console.is_terminal,
        auto_refresh=auto_refresh,
    )
