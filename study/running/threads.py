"""How many threads each worker of a study gets, and what is to be said of it."""

from collections.abc import Iterable, Iterator

import joblib
import psutil
from optuna.trial import FrozenTrial, TrialState

from storage import attrs
from study.formats import counted, format_number
from study.requests import Place, Say


def threads_each(place: Place, *, idle: bool, say: Say) -> int:
    """Return the threads of each worker; warn where they would slow each other down.

    Other programs do not matter where the workers stay ``idle``, nor before the first trial of a
    study, when it may have been pip.
    """
    if place.scheduler is not None:
        return place.threads or 1
    cores = joblib.cpu_count()
    threads = place.threads or max(1, cores // place.n_workers)
    busy = 0.0 if idle else psutil.getloadavg()[0]
    for warning in oversubscription(cores, threads * place.n_workers, busy=busy):
        say(f"Warning: {warning}")
    return threads


def oversubscription(cores: int, threads: int, *, busy: float) -> Iterator[str]:
    """Say whether more threads than cores would be at work, which slows all of them many times.

    ``threads`` are all of all workers, ``busy`` the load average of the last minute.
    """
    if threads > cores:
        yield (
            f"{threads} threads of all workers on {cores} cores slow each other down many "
            "times; take fewer --workers or --threads."
        )
    elif threads + busy > cores + 0.5:
        kept = "all" if busy > cores - 0.5 else f"about {format_number(busy, 2)}"
        yield (
            f"other programs kept {kept} of "
            f"{counted(cores, 'core')} busy in the last minute, so trials may take many times as "
            "long; end those programs, or take fewer --workers or --threads."
        )


def other_threads(trials: Iterable[FrozenTrial], threads: int) -> Iterator[str]:
    """Say whether trials of a study had other threads than each worker, which changes results."""
    before = {
        stored
        for trial in trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and (stored := attrs.THREADS.of(trial)) is not None
    }
    if before - {threads}:
        numbers = " or ".join(map(str, sorted(before)))
        yield (
            f"finished trials of this study were trained with {numbers} threads, and now there "
            f"are {threads} for each worker: one training gives other results with another "
            "number; --threads decides it."
        )
