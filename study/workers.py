"""The coordinator: creates or continues a study, and runs it with several worker processes."""

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from storage import attrs, queue
from storage.rdb import open_storage
from study.budget import Progress, count, finished_trials, grid_trainings
from study.cluster import Cluster
from study.jobs import WorkerJob
from study.progress import progress_line
from study.settings import StudySettings
from study.signals import stop_signals
from study.supervisor import supervise


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
    study: optuna.Study,
    job: WorkerJob,
    *,
    target: int,
    n_workers: int,
    cluster: Cluster | None = None,
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
        cluster: Where they run; None for this machine.

    Raises:
        StudyError: If a worker failed for another reason than a diverged training.
    """
    with stop_signals() as stop:
        queue.reap(study, artifacts=job.artifacts)
        remaining = target - count(study.get_trials(deepcopy=False)).finished
        if remaining > 0 and not stop.is_set():
            watched = optuna.load_study(study_name=job.study, storage=open_storage(job.url))
            settings = StudySettings.from_attrs(study.user_attrs, study=job.study)
            grid = settings.sampler == "grid"
            trainings = grid_trainings(settings.search_space, settings.fixed) if grid else []
            with progress_line(
                watched, target=target, n_workers=n_workers, trainings=trainings
            ) as say:
                n_useful = min(n_workers, remaining)
                if cluster is None:
                    _work_here(job, stop, watched, n_workers=n_useful, say=say)
                else:
                    cluster.work(job, stop, n_workers=n_useful)
    return RunOutcome(
        progress=count(study.get_trials(deepcopy=False)),
        target=target,
        interrupted=stop.is_set(),
    )


def _work_here(
    job: WorkerJob,
    stop: threading.Event,
    watched: optuna.Study,
    *,
    n_workers: int,
    say: Callable[[str], None],
) -> None:
    """Supervise workers of this machine until none of them finds anything to do."""
    with ThreadPoolExecutor(n_workers, thread_name_prefix="supervisor") as pool:
        futures = [
            pool.submit(
                supervise, job, stop, count_finished=partial(finished_trials, watched), say=say
            )
            for _ in range(n_workers)
        ]
    for future in futures:
        future.result()
