"""One worker: claims trials of a study and runs them until none is left."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from search_spaces import SearchSpaceError
from storage import attrs, queue
from storage.artifacts import held_folder, study_uid
from storage.errors import ArtifactFolderError
from storage.internals import key_of, live_trial, storage_of, trial_key
from storage.outages import outage
from storage.rdb import open_storage
from storage.writing import write_trial
from study.errors import StudyError, line_of, user_message
from study.kind_info import FOREIGN, stored_kind
from study.kind_sources import find_stored, make_trainer
from study.kinds import DivergedError, Interrupted
from study.running.budget import design_point, find_experiment
from study.running.job import WorkerJob, own_threads
from study.running.objective import TrainingObjective
from study.running.opening import load_data
from study.sampling.names import make_pruner, make_sampler
from study.seeds import sampler_seed
from study.settings import StudySettings

REAP_INTERVAL_S = 10.0
"""How long a worker may go on before it looks for trials of dead ones again."""
IDLE_S = 0.5
"""How long a worker waits that may have to take over what others run now."""
MAX_DIVERGED = 10
"""Trainings that may diverge one after the other before a worker gives up."""


def run_worker(job: WorkerJob, stop: threading.Event) -> None:
    """Run trials of a study until it has as many as it wants, or ``stop`` is set.

    A diverged training fails its trial and the worker goes on, as one that was enqueued with
    values outside of the study's space. Any other error ends the worker, for it would fail the
    next trial as well. The error of a database leaves the trial as it is: the next attempt of
    this worker, or another worker, finds it and goes on with its training.
    """
    with held_folder(job.artifacts, job.folder) as check_folder:
        _run_trials(job, stop, check_folder)


def _run_trials(job: WorkerJob, stop: threading.Event, check_folder: Callable[[], None]) -> None:
    own_threads(job.threads)
    storage = open_storage(job.url, write=True)
    study = optuna.load_study(study_name=job.study, storage=storage)
    user_attrs = study.user_attrs
    settings = StudySettings.from_attrs(user_attrs, study=job.study)
    info = stored_kind(user_attrs) or FOREIGN
    found = find_stored(info, study=job.study, where=job.kind)
    kind, trainer = found.kind, make_trainer(found.kind)
    settings.require_training(kind, study=job.study)
    space = settings.space_in(kind)
    here = replace(settings, data=None if job.data is None else str(job.data))
    experiment = find_experiment(study, settings)
    objective = TrainingObjective(
        settings=settings,
        kind=kind,
        trainer=trainer,
        data=load_data(trainer, here, study=job.study, stored=True),
        artifacts=job.artifacts,
        device=trainer.resolve_device(job.device),
        threads=job.threads,
        space=space if experiment is None else space.holding(a.params for a in experiment.arms),
        kind_digest=found.digest,
        keep_models=experiment is not None and experiment.keep_models,
        draw=attrs.KEPT_PICTURES.among(user_attrs) != "none",
        measure=experiment is not None or bool(attrs.MEASURES_LATENTS.among(user_attrs)),
        check_folder=check_folder,
    )
    max_steps = kind.max_steps(space, settings.fixed)
    study.pruner = make_pruner(settings.pruner, max_steps=max_steps)
    trainer.prepare()
    own_threads(job.threads)  # of what has been imported meanwhile

    diverged = 0
    for claimed in claims(study, stop, job.artifacts, check_folder=check_folder):
        params, user_attrs = design_point(study, settings, space, claimed)
        study.sampler = make_sampler(
            settings.sampler, seed=sampler_seed(settings.seed, claimed.number), params=params
        )
        own = objective
        if sides := attrs.SIDES.among(user_attrs):  # of an experiment's trial, its own split
            own = replace(objective, data=objective.data.with_sides(sides))
        trial = live_trial(study, claimed)
        if user_attrs:
            write_trial(trial, user_attrs=user_attrs)
        diverged = diverged + 1 if run_trial(study, trial, own, stop) else 0
        if diverged == MAX_DIVERGED:
            raise StudyError(
                f"{diverged} trainings in a row diverged: `emoji-study status --study "
                f"{job.study}` tells why. Another run goes on with other trials."
            )


def claims(
    study: optuna.Study,
    stop: threading.Event,
    artifacts: Path | None = None,
    *,
    check_folder: Callable[[], None] = lambda: None,
) -> Iterator[FrozenTrial]:
    """Claim trial after trial of a study until there is nothing left to do.

    In between, the trials of dead workers are queued again, now and then; also while others
    run the last trials, which they may not finish. ``check_folder`` is called before a claim, but
    for those of a worker that only waits; it raises an error if ``artifacts`` takes no files.
    """
    last_reap = float("-inf")
    uid = study_uid(storage_of(study), key_of(study))
    claimed: FrozenTrial | queue.Empty | None = None
    while not stop.is_set():
        if claimed is not queue.Empty.BUSY:
            check_folder()
        if time.monotonic() - last_reap > REAP_INTERVAL_S:
            queue.reap(study, artifacts=artifacts)
            last_reap = time.monotonic()
        claimed = queue.claim(study, uid)
        if claimed is queue.Empty.BUSY:
            stop.wait(IDLE_S)
        elif isinstance(claimed, queue.Empty):
            return
        else:
            yield claimed


def run_trial(
    study: optuna.Study, trial: optuna.Trial, objective: TrainingObjective, stop: threading.Event
) -> bool:
    """Run one claimed trial and store how it ended; return whether its training diverged.

    One that was judged dead, so that another worker has it now, is left to that one.

    Raises:
        StudyError: If it failed for another reason than divergence or what it was enqueued with.
        ArtifactFolderError: If its files could not be stored; it is queued again.
        StorageInternalError: If the database fails; the trial stays running.
    """
    heartbeat = queue.Heartbeat(trial)

    def stop_requested() -> bool:
        heartbeat.beat()
        return stop.is_set()

    def fail(reason: str, cause: queue.Cause) -> None:
        queue.fail(study, trial_key(trial), reason, cause, artifacts=objective.artifacts)

    try:
        values = objective(trial, stop_requested)
        study.tell(trial, values, skip_if_finished=True)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except UpdateFinishedTrialError:
        return False
    except ArtifactFolderError as error:
        # No fault of the trial; what stands in for its files could not be written either.
        queue.fail(study, trial_key(trial), str(error), queue.Cause.INTERRUPTION)
        raise
    except Interrupted as error:
        fail(str(error), queue.Cause.INTERRUPTION)
    except SearchSpaceError as error:  # it was enqueued with what the space does not have
        fail(str(error), queue.Cause.CONFIGURATION)
    except DivergedError as error:
        fail(f"{attrs.DIVERGED}: {error}", queue.Cause.CONFIGURATION)
        return True
    except Exception as error:
        if outage(error) is not None:
            raise
        reason = user_message(error) or f"{type(error).__name__}: {error}"
        file = getattr(sys.modules[type(objective.trainer).__module__], "__file__", None)
        reason = reason.splitlines()[0] + line_of(error, file, named=True)
        fail(reason, queue.Cause.ERROR)
        raise StudyError(f"Trial {trial.number} failed: {reason}") from error
    return False
