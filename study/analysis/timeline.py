"""When which worker ran which trial, and how busy workers were."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, pairwise

from storage.records import StudyRecord, TrialRecord
from study.analysis import is_ours
from study.analysis.spent import (
    EARLIEST,
    SpentInfo,
    Timed,
    by_worker,
    covered_spans,
    get_spent,
    timed,
)
from study.analysis.thinning import thin

MAX_SPANS, MAX_WORKERS = 1500, 40
UNKNOWN_WORKER = "unknown worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineSpan:
    """One trial's time.

    Args:
        worker: Which of the shown workers ran it, from 0.
        start, end: Seconds since the first start of the study; the end of a running trial is the
            last time that the study knows.
    """

    trial: TrialRecord
    worker: int
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineWorker:
    """One worker process.

    Args:
        label: ``worker 1 (HOST)``, counted in the order of first starts, or ``unknown worker``.
        start, end: Its first start and last end, seconds since the first start of the study.
        busy_seconds: Time in between during which it ran a trial.
        longest_gap: Longest time in between during which it ran none, in seconds; 0 without any.
    """

    label: str
    n_trials: int
    start: float
    end: float
    busy_seconds: float
    longest_gap: float

    @property
    def utilisation(self) -> float | None:
        """Share of the time between its first start and last end that it was busy."""
        return self.busy_seconds / (self.end - self.start) if self.end > self.start else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineInfo:
    """The time of all trials that were started.

    Args:
        workers, spans: Shown ones, in the order of their starts.
        n_spans: Trials of all workers that have a start, and an end or are running.
    """

    workers: tuple[TimelineWorker, ...]
    spans: tuple[TimelineSpan, ...]
    n_workers: int
    n_spans: int
    spent: SpentInfo

    @property
    def thinned(self) -> bool:
        """Whether some trial of a shown worker is not shown."""
        return len(self.spans) < sum(worker.n_trials for worker in self.workers)

    @property
    def longest_gap(self) -> TimelineWorker | None:
        """The worker with the longest gap, the first of equal ones; None without any gap."""
        waiting = [worker for worker in self.workers if worker.longest_gap > 0]
        return max(waiting, key=lambda worker: worker.longest_gap, default=None)


def get_timeline(record: StudyRecord) -> TimelineInfo:
    """Lay out the trials by worker and time.

    A worker is a process: one that was started again is another worker. Trials of processes that
    stored no name are those of one unknown worker; in another program's study, where nobody
    does, workers are rows, numbered, that no two trials share at a time. Trials without a start,
    or that ended without a time, are left out.

    Returns:
        The first 40 workers, measured by all of their trials, of which 1,500 are selected evenly.
    """
    times, spent = timed(record), get_spent(record)
    first = times[0][0] if times else EARLIEST
    numbers = count(1)
    workers, spans = [], []
    ours = is_ours(record)
    for place, (name, items) in enumerate((by_worker if ours else _rows)(times).items()):
        label = f"worker {next(numbers)} ({_host(name)})" if name else UNKNOWN_WORKER
        label = label if ours else name
        workers.append(_worker(label, items, first))
        spans += [
            TimelineSpan(
                trial=trial,
                worker=place,
                start=(start - first).total_seconds(),
                end=(end - first).total_seconds(),
            )
            for start, end, trial in items
            if place < MAX_WORKERS
        ]
    # By worker, so that each keeps its share.
    shown = sorted(thin(spans, MAX_SPANS), key=lambda span: (span.start, span.trial.number))
    return TimelineInfo(
        workers=tuple(workers[:MAX_WORKERS]),
        spans=tuple(shown),
        n_workers=len(workers),
        n_spans=len(times),
        spent=spent,
    )


def _rows(times: Sequence[Timed]) -> dict[str, list[Timed]]:
    """Put trials into as few rows as need be, so that those of a row follow each other."""
    rows: list[list[Timed]] = []
    ends: list[tuple[datetime, int]] = []
    for span in times:
        if ends and ends[0][0] <= span[0]:
            _, place = heapq.heappop(ends)
        else:
            place = len(rows)
            rows.append([])
        rows[place].append(span)
        heapq.heappush(ends, (span[1], place))
    return {str(number): row for number, row in enumerate(rows, start=1)}


def _worker(label: str, times: Sequence[Timed], first: datetime) -> TimelineWorker:
    """Measure a worker by the starts and ends of its trials, which come in order."""
    busy = covered_spans((start, end) for start, end, _ in times)
    gaps = [(after[0] - before[1]).total_seconds() for before, after in pairwise(busy)]
    start = times[0][0]
    end = max(end for _, end, _ in times)
    return TimelineWorker(
        label=label,
        n_trials=len(times),
        start=(start - first).total_seconds(),
        end=(end - first).total_seconds(),
        busy_seconds=sum((end - start).total_seconds() for start, end in busy),
        longest_gap=max(gaps, default=0.0),
    )


def _host(worker: str) -> str:
    """Return the host of ``host/...:pid``, or what stands before a process's number alone."""
    host = worker.partition("/")[0]
    return host.rpartition(":")[0] or host
