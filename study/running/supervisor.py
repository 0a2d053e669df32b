"""The supervisor of one worker, which only waits: whatever ends an attempt, the work goes on."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from study.errors import StudyError
from study.formats import format_duration
from study.running.attempt import EXIT_OUTAGE
from study.running.job import THREAD_VARIABLES, WorkerJob, own_process
from study.terminal.signals import held_interrupts

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**33)}
"""Lets glibc keep large blocks, as gradients of a linear model are, for the next step.

Handing them back makes the kernel clear 100 MB of pages in each step. Source: mallopt(3).
"""
MAX_DEATHS = 5
"""Attempts that may die one after the other while the study gets nowhere."""
PATIENCE_S = 24 * 3600.0
"""How long a database may stay away."""
_LONGEST_EPOCH_S = 120.0
"""How long a worker that was told to stop may take: it hears of it after an epoch."""
_POLL_S = 0.2
_LONGEST_WAIT_S = 30.0


class Stop(Protocol):
    """Whether to end: ``threading.Event``, or one that a cluster shares."""

    def is_set(self) -> bool:
        """Say whether it is time."""

    def wait(self, timeout: float) -> bool:
        """Wait until it is, at most ``timeout`` seconds; say whether it is."""


def supervise(
    job: WorkerJob,
    stop: Stop,
    *,
    count_finished: Callable[[], int | None],
    say: Callable[[str], None],
) -> None:
    """Run a worker until the study has no more work for it, anew whenever it ends too early.

    A worker that loses its database leaves its training's state on disk and is started again
    when the database is back, after 1, 2, 4 ... 30 seconds. One that is stopped gives its trial
    back. As long as the number of finished trials grows, deaths are forgiven; it is None where it
    cannot be told now.

    Raises:
        StudyError: If the worker cannot work here, keeps dying, or its database stays away.
    """
    deaths, outages, finished = 0, 0, count_finished()
    away_since = 0.0
    while not stop.is_set():
        code, answer = _attempt(job, stop)
        message = None if answer is None else answer["error"]
        if stop.is_set() or (answer is not None and message is None):
            return
        before, finished = finished, count_finished()
        progress = None not in (before, finished) and finished != before
        if code == EXIT_OUTAGE and message is not None:
            outages = 1 if progress else outages + 1
            away_since = time.monotonic() if outages == 1 else away_since
            if time.monotonic() - away_since > PATIENCE_S:
                raise StudyError(f"The storage stayed away for a day: {message}")
            wait_s = _wait_s(outages)
            say(f"The storage is away ({message}); next attempt in {format_duration(wait_s)}.")
        elif message is not None:
            raise StudyError(message)
        else:
            deaths = 1 if progress else deaths + 1
            reason = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            question = "is memory short?"
            if code == 0:
                reason = "without an answer"
                question = "does PYTHONPATH lead to another program's modules?"
            if deaths > MAX_DEATHS:
                raise StudyError(
                    f"A worker died {deaths} times in a row, the last time {reason}: {question}"
                )
            wait_s = _wait_s(deaths)
            say(f"A worker died {reason}; next attempt in {format_duration(wait_s)}.")
        stop.wait(wait_s)


def _wait_s(n: int) -> float:
    """Return the seconds to wait after ``n`` attempts in a row that ended too early."""
    return min(2.0 ** min(n - 1, 10), _LONGEST_WAIT_S)


def _attempt(job: WorkerJob, stop: Stop) -> tuple[int, Mapping[str, str | None] | None]:
    """Run one process to its end; return its exit code, and its answer if it gave one."""
    threads = dict.fromkeys(THREAD_VARIABLES, str(job.threads))
    with held_interrupts():
        process = subprocess.Popen(
            own_process("study.running.attempt"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            env=ALLOCATOR | os.environ | threads,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        with suppress(BrokenPipeError):  # it died at once, as its exit code will tell
            os.write(process.stdin.fileno(), f"{job.to_json()}\n".encode())
        while process.poll() is None:
            if stop.wait(_POLL_S):
                process.stdin.close()  # which tells it to stop, on every system
                try:
                    process.wait(_LONGEST_EPOCH_S)
                except subprocess.TimeoutExpired:
                    process.kill()
        written = process.stdout.read()
    with suppress(ValueError):  # the last line may be another's
        answer = json.loads(written.rpartition("\n")[2])
        if isinstance(answer, dict) and isinstance(answer.get("error", 0), str | None):
            return process.returncode, answer
    return process.returncode, None
