"""The coordinator: creates or continues a study, and runs it with several worker processes."""

import multiprocessing
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

import joblib
import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from storage import attrs, queue
from storage.rdb import open_storage
from storage.retry import MAX_RETRIES
from study.budget import Progress, count, top_up
from study.jobs import WorkerJob
from study.progress import progress_line
from study.runner import run_worker, stop_signals
from study.settings import StudySettings

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
}
"""Lets glibc keep large blocks, as gradients of a linear model are, for the next step.

Handing them back makes the kernel clear 100 MB of pages in each step. Source: mallopt(3).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Args:
        progress: The study's counts afterwards.
        target: Finished trials that were asked for so far.
        interrupted: Whether a signal ended it.
    """

    progress: Progress
    target: int
    interrupted: bool


def open_study(storage: BaseStorage, name: str, settings: StudySettings) -> optuna.Study:
    """Create a study, or open it if it exists with the same settings.

    Args:
        storage: Opened for writing.
        name: Of the study.
        settings: What its trials are.

    Raises:
        StudyError: If it exists with other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        directions = [StudyDirection.MINIMIZE]
        if settings.pareto:
            directions.append(StudyDirection.MAXIMIZE)
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        study.set_user_attr(attrs.SETTINGS, settings.to_dict())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            names = [attrs.VALIDATION_MSE, attrs.VALIDATION_ACCURACY]
            study.set_metric_names(names[: len(directions)])
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage)
        stored = StudySettings.from_attrs(study.user_attrs, study=name)
        stored.require_equal(settings, study=name)
    return study


def run_study(
    study: optuna.Study, job: WorkerJob, *, target: int, n_workers: int, replicate: int = 0
) -> RunOutcome:
    """Run a study until it has as many finished trials as are wanted.

    Each worker is a process of its own with its own share of the threads. SIGINT and SIGTERM
    let the workers give back their trials; the same call then continues.

    Args:
        study: As ``open_study`` returns it.
        job: What each worker is told.
        target: Finished trials (complete or pruned) of the study in all, as
            ``budget.request`` gives it.
        n_workers: Processes, at least 1.
        replicate: Of the added trials; see ``budget.top_up``.

    Raises:
        StudyError: If a worker failed for another reason than a diverged training.
    """
    settings = StudySettings.from_attrs(study.user_attrs, study=job.study)
    fruitless = 0
    with stop_signals() as stop:
        while not stop.is_set():
            queue.reap(study)
            top_up(study, settings, target, replicate=replicate)
            before = count(study.get_trials(deepcopy=False))
            if before.finished >= target or not before.waiting:
                break
            n_processes = min(n_workers, before.waiting)
            died = _run_round(job, n_workers=n_processes, target=target, stop=stop)
            progressed = count(study.get_trials(deepcopy=False)).finished > before.finished
            fruitless = 0 if progressed else fruitless + 1
            if fruitless > (MAX_RETRIES if died else 0):
                break  # nothing but failures: more of the same would not help
    queue.reap(study)  # what killed workers had begun
    return RunOutcome(
        progress=count(study.get_trials(deepcopy=False)),
        target=target,
        interrupted=stop.is_set(),
    )


def _run_round(job: WorkerJob, *, n_workers: int, target: int, stop: threading.Event) -> bool:
    """Let ``n_workers`` processes work until the queue is empty; say whether one died."""
    watched = optuna.load_study(study_name=job.study, storage=open_storage(job.url))
    finished = threading.Event()

    def pass_on() -> None:
        """Tell the workers of a signal that only this process may have received."""
        while not finished.wait(0.2):
            if stop.is_set():
                for child in _worker_processes():
                    child.terminate()
                return

    messenger = threading.Thread(target=pass_on, name="messenger", daemon=True)
    messenger.start()
    try:
        with (
            environment(ALLOCATOR),
            progress_line(watched, target=target, n_workers=n_workers),
            # At least two: joblib would run a single job in this process.
            joblib.parallel_config(
                backend="loky", n_jobs=max(2, n_workers), inner_max_num_threads=job.threads
            ),
        ):
            errors = joblib.Parallel()(joblib.delayed(_work)(job) for _ in range(n_workers))
    except (BrokenProcessPool, KeyboardInterrupt):  # the latter hit a worker that was starting
        for child in _worker_processes():  # joblib gives up on all of them
            child.kill()
            child.join()
        return True
    finally:
        finished.set()
        messenger.join()
    for error in errors:
        if error is not None:
            raise error
    return False


def _worker_processes() -> list[BaseProcess]:
    """Return joblib's worker processes of this process."""
    return [child for child in multiprocessing.active_children() if child.name.startswith("Loky")]


def _work(job: WorkerJob) -> Exception | None:
    """Run one worker; return its error, for a raised one would end the other workers too."""
    try:
        run_worker(job)
    except KeyboardInterrupt:  # before it was ready for signals; others have work to give back
        return None
    except Exception as error:
        return error
    return None


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Add to the environment of the processes that are started in the block."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
