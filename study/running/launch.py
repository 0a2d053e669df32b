"""Runs trials of a study that is ready, with its workers."""

from dataclasses import dataclass, replace

import optuna

from search_spaces import SearchSpace
from storage import attrs
from storage.artifacts import artifact_folder, folder_identity, held_folder
from storage.internals import storage_of
from storage.rdb import open_storage
from storage.records import StudyRecord
from storage.urls import redact
from study.analysis import kind_of, none_feasible
from study.analysis.remaining import grid_trainings
from study.dashboard.retention import clean_states
from study.formats import counted
from study.kinds import Data, Kind
from study.requests import Place, Say
from study.running.coordinator import RunOutcome, run_study
from study.running.housekeeping import housekeeping
from study.running.job import WorkerJob
from study.running.place import open_cluster, other_threads, threads_each
from study.running.refresher import refreshing
from study.settings import StudySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A study that is ready to be run.

    Args:
        study: Opened for writing.
        settings: Of the study, with the path of the data here.
        space: That its trials have parameters of.
    """

    study: optuna.Study
    settings: StudySettings
    kind: Kind
    space: SearchSpace
    data: Data


def launch(ready: Ready, place: Place, *, target: int, say: Say) -> RunOutcome:
    """Run trials of a study, until it has ``target`` finished ones; raises as ``run_study``."""
    study, settings = ready.study, ready.settings
    threads = threads_each(place, say=say)
    for warning in other_threads(study.get_trials(deepcopy=False), threads):
        say(f"Warning: {warning}")
    name = study.study_name
    say(
        f"Study {name} in {redact(place.url)}: {settings.kind}, {settings.space} space, "
        f"{settings.sampler} sampler, {settings.pruner} pruner; {ready.data.describe()}; "
        f"{counted(place.n_workers, 'worker')} with {counted(threads, 'thread')} each."
    )
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
        with open_cluster(place) as cluster, refreshing(study, watched, job, say=say):
            outcome = run_study(
                study,
                watched,
                job,
                target=target,
                n_workers=place.n_workers,
                trainings=trainings,
                cluster=cluster,
            )
        if outcome.interrupted:
            check_folder()  # or not everything was kept
    with housekeeping("states of finished trainings may be left", say):
        clean_states(storage_of(study), name, ready.space, job.artifacts)
    return outcome


def describe_outcome(record: StudyRecord, outcome: RunOutcome) -> str:
    """Say in a sentence or two how a run ended."""
    progress = outcome.progress
    # Another command may have asked for more meanwhile.
    target = max(outcome.target, int(record.user_attrs.get(attrs.TARGET, 0)))
    text = (
        f"{progress.finished} of {target} trials finished: {progress.complete} complete, "
        f"{progress.pruned} pruned, {progress.failed} failed."
    )
    if record.best is not None:
        label = kind_of(record).objective.label
        text += f" Best {label} {record.best.value:.5f} (trial {record.best.number})."
    elif record.complete:
        text += f" There is no best trial: {none_feasible(record)}"
    if progress.finished < outcome.target and not outcome.interrupted:
        reason = (
            "the grid has no more points" if outcome.exhausted else "the rest failed, see `status`"
        )
        text += f" No more to do: {reason}."
    return text
