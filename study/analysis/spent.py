"""What a study has cost: steps, training time, time from start to end, processes; counted once.

Every number of a study's cost comes from here, so that no two places tell different ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

from optuna.trial import TrialState

from storage.attrs import EPOCHS_RUN, RESUMED_EPOCHS, RETRY_OF, TRAINING_SECONDS, WORKER
from storage.records import StudyRecord, TrialRecord
from study.analysis import grouped

EARLIEST = datetime.min.replace(tzinfo=UTC)

Timed = tuple[datetime, datetime, TrialRecord]
"""Start and end of a trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one trial added to the cost of its study."""

    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentInfo:
    """The cost of a study, pruned, failed and running trials included.

    Args:
        steps: Each once, however often its training was interrupted, resumed or reused.
        training_seconds: The time of these steps, all workers together.
        wall_seconds: From the first start to the last end.
        pause_seconds: The part of it in which no trial ran.
        utilisation: Share of the time between each worker's first start and last end that it was
            at a trial, all workers together; None where no time passed.
        n_workers: Distinct processes that ran trials; 0 if none was stored.
        n_at_once: Trials that ran at the same time, at most.
    """

    steps: int
    training_seconds: float
    wall_seconds: float
    pause_seconds: float
    utilisation: float | None
    n_workers: int
    n_at_once: int


def get_spent(record: StudyRecord) -> SpentInfo:
    """Count what a study has cost; all are zeros for one without trials."""
    spent, spans = spent_by(record).values(), timed(record)
    covered = covered_spans((start, end) for start, end, _ in spans)
    wall = (max(end for _, end, _ in spans) - spans[0][0]).total_seconds() if spans else 0.0
    workers = by_worker(spans).values()
    busy = sum(map(_length, (covered_spans((s, e) for s, e, _ in own) for own in workers)))
    present = sum((max(e for _, e, _ in own) - own[0][0]).total_seconds() for own in workers)
    return SpentInfo(
        steps=sum(one.steps for one in spent),
        training_seconds=sum(one.seconds for one in spent),
        wall_seconds=wall,
        pause_seconds=wall - _length(covered),
        utilisation=busy / present if present else None,
        n_workers=len(set(filter(None, map(WORKER.of, record.trials)))),
        n_at_once=_most_at_once(spans),
    )


def spent_by(record: StudyRecord) -> dict[int, Spent]:
    """Return what each trial added to the cost, by number.

    A training that went on where an interrupted one ended stores the steps and the time of both;
    here it counts for what it added.
    """
    trials = {trial.number: trial for trial in record.trials}
    return {number: _added(trial, trials) for number, trial in trials.items()}


def _added(trial: TrialRecord, trials: Mapping[int, TrialRecord]) -> Spent:
    steps, seconds = epochs_run(trial), training_seconds(trial)
    resumed = min(RESUMED_EPOCHS.of(trial) or 0, steps)
    if resumed and TRAINING_SECONDS.of(trial) is not None:
        number = RETRY_OF.of(trial)
        earlier = None if number is None else trials.get(number)
        before = None if earlier is None else TRAINING_SECONDS.of(earlier)
        # One that died stored no time: then each step has taken equally long.
        seconds -= min(seconds, before if before is not None else seconds * resumed / steps)
    return Spent(steps=steps - resumed, seconds=seconds)


def epochs_run(trial: TrialRecord) -> int:
    """Return the steps of a trial's training, earlier attempts included; 0 if it is another's."""
    stored = EPOCHS_RUN.of(trial)
    return steps_reported(trial) if stored is None else stored


def steps_reported(trial: TrialRecord) -> int:
    """Return how many steps a trial had come to at its last report."""
    steps = trial.intermediate_values
    # Who begins with 0 is one ahead of what is stored.
    return max(steps) + (min(steps) == 0) if steps else 0


def training_seconds(trial: TrialRecord) -> float:
    """Return the seconds of a trial's training, earlier attempts included.

    They are those of its own clock, or from its start to its end where it stored none.
    """
    stored = TRAINING_SECONDS.of(trial)
    return trial.duration_s or 0.0 if stored is None else stored


def timed(record: StudyRecord) -> list[Timed]:
    """Return the trials whose times are known, by their starts.

    A running trial ends at the last time that the study knows.
    """
    times = [time for t in record.trials for time in (t.started, t.completed) if time is not None]
    last = max(times, default=EARLIEST)
    found = (
        (trial.started, max(trial.started, trial.completed or last), trial)
        for trial in record.trials
        if trial.started and (trial.completed or trial.state == TrialState.RUNNING)
    )
    return sorted(found, key=lambda span: (span[0], span[2].number))


def by_worker(spans: Iterable[Timed]) -> dict[str, list[Timed]]:
    """Return trials by the process that ran them, "" where none is stored, in their order."""
    return grouped(spans, lambda span: WORKER.of(span[2]) or "")


def covered_spans(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return the union of spans of time, in order and with time between each and the next.

    Those that do not end after their start count for nothing.
    """
    union: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        elif end > start:
            union.append((start, end))
    return union


def _length(spans: Iterable[tuple[datetime, datetime]]) -> float:
    return sum((end - start).total_seconds() for start, end in spans)


def _most_at_once(spans: Iterable[Timed]) -> int:
    """Return how many trials ran at the same time; one that ends as another starts is over."""
    ran = [(start, end) for start, end, _ in spans if end > start]
    changes = sorted(change for start, end in ran for change in ((start, 1), (end, -1)))
    return max(accumulate(change for _, change in changes), default=0)
