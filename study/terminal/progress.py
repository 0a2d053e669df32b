"""Progress for people: one live line for all workers of a study, a bar for one training."""

import statistics
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from storage.counts import count
from storage.internals import key_of, storage_of
from storage.outages import failure, outage
from storage.records import TrialRecord, load_trials
from study.analysis.remaining import to_train
from study.formats import format_duration
from study.kinds import Step
from study.metrics import Metric

_POLL_S = 1.0
_PLAIN_LINE_S = 15.0


@contextmanager
def progress_line(
    study: optuna.Study, *, target: int, n_workers: int, trainings: Sequence[str] = ()
) -> Iterator[Callable[[str], None]]:
    """Show the progress of ``study`` while the block runs, on standard error.

    A terminal gets one line that is updated in place, a file or a pipe a line now and then.
    Yields what prints another line meanwhile. An outage of the database stops the line only for
    as long as it lasts.

    Args:
        study: Opened for reading; used by a thread of its own within the block.
        target: Finished trials at which the study is done.
        n_workers: Processes that share the remaining work.
        trainings: See ``describe``.
    """
    console = Console(stderr=True)
    maximise = study.directions[0] == StudyDirection.MAXIMIZE
    done = threading.Event()
    interval = _POLL_S if console.is_terminal else _PLAIN_LINE_S
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        console=console,
        disable=not console.is_terminal,
        auto_refresh=False,
    ) as bar:
        task = bar.add_task(study.study_name, total=target, status="")

        def say(line: str) -> None:
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

        def show() -> None:
            try:
                trials = load_trials(storage_of(study), key_of(study))
            except Exception as error:
                if outage(error) is None:
                    raise
                return  # the workers' supervisors tell of it
            status = describe(
                trials,
                target=target,
                n_workers=n_workers,
                trainings=trainings,
                maximise=maximise,
            )
            finished = count(trials).finished
            if console.is_terminal:
                bar.update(task, completed=finished, status=status, refresh=True)
            else:
                sys.stderr.write(f"{study.study_name}: {finished}/{target} {status}\n")

        def watch() -> None:
            try:
                while not done.wait(interval):
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


def describe(
    trials: Sequence[TrialRecord],
    *,
    target: int,
    n_workers: int,
    trainings: Sequence[str] = (),
    maximise: bool = False,
) -> str:
    """Say in a few words how far a study is.

    Args:
        trials: All trials of the study.
        target: Finished trials at which it is done.
        n_workers: Processes that share the remaining work.
        trainings: Of a grid's points, see ``remaining.grid_trainings``.
        maximise: Whether higher values are better.
    """
    progress = count(trials)
    parts = [f"{progress.pruned} pruned", f"{progress.failed} failed"]
    values = [
        trial.value
        for trial in trials
        if trial.state == TrialState.COMPLETE and trial.value is not None and trial.feasible
    ]
    if values:
        parts.append(f"best {(max if maximise else min)(values):.5f}")
    remaining = target - progress.finished
    if remaining > 0:
        now = datetime.now(UTC)
        begun_s = [
            (now - t.started).total_seconds()
            for t in trials
            if t.state == TrialState.RUNNING and t.started is not None
        ]
        finished = [t for t in trials if t.finished]
        left, trained = to_train(trainings, finished, remaining=remaining)
        durations_s = [t.duration_s for t in trained if t.duration_s is not None]
        parts.append(eta(durations_s, begun_s, remaining=left, n_workers=n_workers))
    return " · ".join(parts)


def eta(
    durations_s: Sequence[float], begun_s: Sequence[float], *, remaining: int, n_workers: int
) -> str:
    """Say how long a study will still take, from the mean duration of what has finished.

    Args:
        durations_s: Of the finished trials that were trained, in seconds.
        begun_s: What each running trial has taken so far.
        remaining: Trials that are to be trained, the running ones included.
        n_workers: That share the work, at least 1.
    """
    if not durations_s:
        return "ETA …"
    mean_s = statistics.fmean(durations_s)
    done_s = sum(min(seconds, mean_s) for seconds in begun_s)
    return f"ETA {format_duration(max(remaining * mean_s - done_s, 0.0) / n_workers)}"


@contextmanager
def step_bar(
    n_steps: int | None, metric: Metric, *, title: str
) -> Iterator[Callable[[Step], None]]:
    """Show the progress of one training on standard error; yields what is told of each step."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=n_steps, status="")

        def show(numbers: Step) -> None:
            value = numbers.get(metric.name)
            status = "" if value is None else f"{metric.label} {value:.5f}"
            bar.update(task, advance=1, status=status)

        yield show
