"""The coordinator: creates or continues a study, and runs it with several worker processes."""

import threading
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import optuna
from optuna.storages import BaseStorage

from search_spaces import SearchSpace
from storage import attrs, operations, queue
from storage.artifacts import artifact_folder, folder_identity, held_folder
from storage.internals import storage_of
from storage.rdb import open_storage
from storage.records import Progress, StudyRecord, count, finished_trials
from storage.served import perform
from storage.urls import redact
from study.analysis import kind_of, none_feasible
from study.analysis.front import get_unbeaten
from study.analysis.remaining import grid_trainings
from study.dashboard.retention import clean_states
from study.formats import counted, format_measured, format_settings
from study.kind_info import KindInfo
from study.kinds import Data, Kind
from study.requests import Place, Say
from study.running.budget import exhausted
from study.running.cluster import Cluster, open_cluster
from study.running.housekeeping import housekeeping
from study.running.job import WorkerJob
from study.running.refresher import refreshing
from study.running.supervisor import supervise
from study.running.threads import other_threads, threads_each
from study.settings import StudySettings
from study.terminal.progress import progress_line, wanted
from study.terminal.signals import stop_signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A study that is ready to be run: opened for writing, with the path of the data here."""

    study: optuna.Study
    settings: StudySettings
    kind: Kind
    space: SearchSpace
    data: Data


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended: the study's counts, and how many finished trials were asked for so far.

    ``exhausted`` is a grid that has no points left, not even failed ones to try again.
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

    A new one gets more ``user_attrs``, and ``waiting`` trials: parameters and user attributes.
    """
    objectives = kind.objectives(pareto=settings.pareto)
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


def launch(ready: Ready, place: Place, *, target: int, say: Say) -> RunOutcome:
    """Run trials of a study, until it has ``target`` finished ones; raises as ``run_study``."""
    study, settings = ready.study, ready.settings
    trials = study.get_trials(deepcopy=False)
    idle = not trials or count(trials).finished >= target
    threads = threads_each(place, idle=idle, say=say)
    for warning in other_threads(trials, threads):
        say(f"Warning: {warning}")
    name = study.study_name
    job = WorkerJob(
        url=place.url,
        study=name,
        artifacts=artifact_folder(place.url, place.artifacts),
        data=settings.source.path,
        device=place.device,
        threads=threads,
        kind=place.kind,
    )
    grid = settings.sampler == "grid"
    trainings = grid_trainings(ready.space, settings.fixed) if grid else ()
    # A worker would say it too, but not before it has started.
    with held_folder(job.artifacts) as check_folder:
        if place.backend == "local":
            job = replace(job, folder=folder_identity(job.artifacts))
        watched = optuna.load_study(study_name=name, storage=open_storage(place.url))
        with open_cluster(place) as cluster, stop_signals() as stop:
            say(  # whoever hears it may interrupt at once
                f"Study {name} in {redact(place.url)}: {format_settings(settings)}; "
                f"{ready.data.describe()}; {counted(place.n_workers, 'worker')} with "
                f"{counted(threads, 'thread')} each."
            )
            with refreshing(study, watched, job, say=say):
                outcome = run_study(
                    study,
                    watched,
                    job,
                    target=target,
                    n_workers=place.n_workers,
                    stop=stop,
                    trainings=trainings,
                    cluster=cluster,
                )
        if outcome.interrupted:
            check_folder()  # or not everything was kept
    with housekeeping("states of finished trainings may be left", say):
        clean_states(storage_of(study), name, ready.space, job.artifacts)
    return outcome


def run_study(
    study: optuna.Study,
    watched: optuna.Study,
    job: WorkerJob,
    *,
    target: int,
    n_workers: int,
    stop: threading.Event,
    trainings: Sequence[str] = (),
    cluster: Cluster | None = None,
) -> RunOutcome:
    """Run a study until it has as many finished trials as ``budget.request`` gives as ``target``.

    Each worker is a process of its own with its own share of the threads. A StudyError says that
    a worker failed for another reason than a diverged training.

    Args:
        watched: The study, opened for reading, which needs no lock.
        stop: Lets the workers give back their trials; the same call then continues.
        trainings: Of a grid's points, see ``remaining.grid_trainings``; none for other studies.
        cluster: Where they run; None for this machine.
    """
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


def describe_outcome(record: StudyRecord, outcome: RunOutcome) -> str:
    """Say in a sentence or two how a run ended."""
    progress = outcome.progress
    target = wanted(record, outcome.target)
    text = (
        f"{progress.finished} of {target} trials finished: {progress.complete} complete, "
        f"{progress.pruned} pruned, {progress.failed} failed."
    )
    if len(record.directions) > 1:
        n_best = counted(len(get_unbeaten(record)), "trial")
        text += f" {n_best} that no other beats in all objectives together."
    elif record.best is not None:
        objective = kind_of(record).objective
        value = format_measured(record.best.value, objective)
        text += f" Best {objective.label} {value} (trial {record.best.number})."
    elif record.complete:
        text += f" There is no best trial: {none_feasible(record)}"
    if progress.finished < outcome.target and not outcome.interrupted:
        if outcome.exhausted:
            text += " No more to do: the grid has no more points."
        elif progress.running + progress.waiting:
            text += " The rest waits, as the workers were ended; the same command continues."
        else:
            text += " No more to do: the rest failed, see `status`."
    return text
