"""Where the trainings of a study run."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
from optuna.trial import FrozenTrial, TrialState

from storage import attrs
from study.errors import StudyError

if TYPE_CHECKING:
    from study.running.cluster import Cluster

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the trainings of a study run, and with how many workers.

    Args:
        url: The storage.
        data: Path of the data here; None for the study's.
        n_workers: Worker processes, at least 1.
        threads: CPU threads per worker; None for an equal share of the cores.
        device: ``auto``, or one that the kind's trainer knows.
        artifacts: Folder of the artifact store; None for the one beside the storage.
        backend: Where the workers run: ``local`` or ``dask``.
        scheduler: Address of the Dask cluster; None for one on this machine.
        kind: Where the code of the study's kind lies here; None for where it lay when the study
            was made.
    """

    url: str
    data: Path | None = None
    n_workers: int = 1
    threads: int | None = None
    device: str = "auto"
    artifacts: Path | None = None
    backend: str = "local"
    scheduler: str | None = None
    kind: str | None = None

    def check(self) -> None:
        """Raise a StudyError if workers cannot run there."""
        if self.backend not in ("local", "dask"):
            raise StudyError(f"`backend` must be local or dask, but got {self.backend!r}.")
        if self.backend == "local" and self.scheduler is not None:
            raise StudyError("--scheduler belongs to --backend dask.")

    def share(self, *, say: Say) -> int:
        """Return the threads of each worker; warn where they would slow each other down."""
        if self.scheduler is not None:
            return self.threads or 1
        cores = joblib.cpu_count()
        threads = self.threads or max(1, cores // self.n_workers)
        for warning in oversubscription(cores, threads * self.n_workers, busy=os.getloadavg()[0]):
            say(f"Warning: {warning}")
        return threads

    def open_cluster(self) -> "AbstractContextManager[Cluster | None]":
        """Return the cluster that is asked for, as a context; of nothing for this machine."""
        if self.backend == "local":
            return nullcontext()
        from study.running.cluster import Cluster  # slow to import

        return Cluster(self.scheduler, n_workers=self.n_workers)


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
        yield (
            f"other programs kept about {busy:.1f} of {cores} cores busy in the last minute; "
            f"{threads} more threads may be slowed down many times."
        )


def other_threads(trials: Iterable[FrozenTrial], threads: int) -> Iterator[str]:
    """Say whether trials of a study had other threads than each worker, which changes results."""
    before = {
        int(trial.user_attrs[attrs.THREADS])
        for trial in trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and attrs.THREADS in trial.user_attrs
    }
    if before - {threads}:
        numbers = " or ".join(map(str, sorted(before)))
        yield (
            f"finished trials of this study were trained with {numbers} threads, and now there "
            f"are {threads} for each worker: one training gives other results with another "
            "number; --threads decides it."
        )
