"""The coordinator: creates or continues a study, and runs it with several worker processes."""

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.storages import BaseStorage

from storage import attrs, operations, queue
from storage.counts import Progress, count, finished_trials
from storage.served import perform
from study.kind_info import KindInfo
from study.running.budget import exhausted
from study.running.cluster import Cluster
from study.running.job import WorkerJob
from study.running.supervisor import supervise
from study.settings import StudySettings
from study.signals import stop_signals
from study.terminal.progress import progress_line


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Args:
        progress: The study's counts afterwards.
        target: Finished trials that were asked for so far.
        interrupted: Whether a signal ended it before that.
        exhausted: Whether a grid has no points left, not even failed ones to try again.
    """

    progress: Progress
    target: int
    interrupted: bool
    exhausted: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.exhausted or self.progress.finished >= self.target


def open_study(
    storage: BaseStorage,
    name: str,
    settings: StudySettings,
    kind: KindInfo,
    *,
    user_attrs: Mapping[str, Any] | None = None,
    waiting: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]] = (),
) -> optuna.Study:
    """Create a study, or open it; raise a StudyError if it exists with other settings.

    Args:
        storage: Opened for writing.
        user_attrs: What else a new study keeps from the beginning.
        waiting: Parameters and user attributes of the trials that a new study begins with.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    objectives = [kind.objective, *([kind.second] if settings.pareto and kind.second else [])]
    created = perform(
        storage,
        operations.create_study,
        name=name,
        directions=[metric.direction.upper() for metric in objectives],
        metrics=[metric.name for metric in objectives],
        user_attrs={
            attrs.UID: uuid.uuid4().hex,
            attrs.SETTINGS: settings.to_dict(),
            attrs.KIND: kind.to_dict(),
            **(user_attrs or {}),
        },
        waiting=list(waiting),
    )
    study = optuna.load_study(study_name=name, storage=storage)
    if not created:
        stored = StudySettings.from_attrs(study.user_attrs, study=name)
        stored.require_equal(settings, study=name)
    return study


def run_study(
    study: optuna.Study,
    watched: optuna.Study,
    job: WorkerJob,
    *,
    target: int,
    n_workers: int,
    trainings: Sequence[str] = (),
    cluster: Cluster | None = None,
) -> RunOutcome:
    """Run a study until it has as many finished trials as are wanted.

    Each worker is a process of its own with its own share of the threads. SIGINT and SIGTERM
    let the workers give back their trials; the same call then continues.

    Args:
        study: As ``open_study`` returns it.
        watched: The same, opened for reading, which needs no lock.
        target: Finished trials of the study in all, as ``budget.request`` gives it.
        trainings: Of a grid's points, see ``remaining.grid_trainings``; none for other studies.
        cluster: Where they run; None for this machine.

    Raises:
        StudyError: If a worker failed for another reason than a diverged training.
    """
    with stop_signals() as stop:
        queue.reap(study, artifacts=job.artifacts)
        remaining = target - count(study.get_trials(deepcopy=False)).finished
        if remaining > 0 and not stop.is_set():
            with progress_line(
                watched, target=target, n_workers=n_workers, trainings=trainings
            ) as say:
                n_useful = min(n_workers, remaining)
                if cluster is None:
                    with ThreadPoolExecutor(n_useful, thread_name_prefix="supervisor") as pool:
                        watch = partial(finished_trials, watched)
                        work = partial(supervise, job, stop, count_finished=watch, say=say)
                        futures = [pool.submit(work) for _ in range(n_useful)]
                    for future in futures:
                        future.result()
                else:
                    cluster.work(job, stop, n_workers=n_useful)
    progress = count(study.get_trials(deepcopy=False))
    done = progress.finished >= target
    idle = progress.running + progress.waiting == 0
    return RunOutcome(
        progress=progress,
        target=target,
        interrupted=stop.is_set() and not done,
        exhausted=bool(trainings) and idle and not done and exhausted(study),
    )
