"""Keeps what the dashboard shows of a study up to date while it runs."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import optuna

from storage.internals import storage_of
from storage.outages import failure
from storage.records import finished_trials
from study.running.housekeeping import housekeeping
from study.running.job import WorkerJob, own_process
from study.terminal.waiting import waiting

EVERY_TRIALS = 5
"""Finished trials after which notes and charts are refreshed, at least."""
LONGEST_SHARE = 0.1
"""Part of the time that refreshes may take; they also have the least claim to a core."""
_POLL_S = 5.0


@contextmanager
def refreshing(
    study: optuna.Study, watched: optuna.Study, job: WorkerJob, *, say: Callable[[str], None]
) -> Iterator[None]:
    """Refresh notes and charts of a study while the block runs, and at its end.

    Meanwhile another process does so, every few trials; at the end this one does. ``watched`` is
    the same study, opened for reading.
    """
    done = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(watched, job, done), name="refresher", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        waiting("Writing notes and charts of the dashboard")
        from study.dashboard.refresh import refresh  # slow to import

        stale = "notes and charts of the dashboard are not up to date"
        remedy = "`emoji-study dashboard --refresh` brings them up to date"
        with housekeeping(stale, say, remedy=remedy):
            refresh(storage_of(study), job.study, url=job.url, artifacts=job.artifacts)


def _watch(watched: optuna.Study, job: WorkerJob, done: threading.Event) -> None:
    """Refresh whenever enough trials have ended and the last time is long ago.

    Where the database needs a person, that is all; whoever works with it tells of that.
    """
    try:
        refreshed, not_before = finished_trials(watched) or 0, 0.0
        while not done.wait(_POLL_S):
            finished = finished_trials(watched)
            if finished is None or finished < refreshed + EVERY_TRIALS:
                continue
            began = time.monotonic()
            if began < not_before:
                continue
            _refresh_there(job, done)
            refreshed = finished
            not_before = time.monotonic() + (time.monotonic() - began) / LONGEST_SHARE
    except Exception as error:
        if failure(error) is None:
            raise
    storage_of(watched).remove_session()  # this thread's connection


def _refresh_there(job: WorkerJob, done: threading.Event) -> None:
    """Refresh in another process, until it ends or is not wanted any more.

    What goes wrong there goes wrong again at the end, where it is told.
    """
    process = subprocess.Popen(
        own_process("study.dashboard.refresh"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it died at once
            asked = {"url": job.url, "study": job.study, "artifacts": str(job.artifacts)}
            process.stdin.write(f"{json.dumps(asked)}\n")
            process.stdin.close()
        while process.poll() is None:
            if done.wait(0.2):
                process.kill()
