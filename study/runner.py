"""One worker: claims waiting trials of a study and runs them until none is left."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import optuna
import torch
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from emoji_ae.dataset import load_dataset
from emoji_ae.errors import DivergedError
from emoji_ae.seeding import resolve_device
from emoji_ae.splits import Split
from storage import attrs, queue
from storage.rdb import open_storage
from storage.retry import requeue
from study.data import stored_split, study_data
from study.errors import StudyError
from study.jobs import WorkerJob
from study.objectives import TrainingObjective, TrialInterrupted
from study.samplers import make_pruner, make_sampler
from study.seeds import sampler_seed
from study.settings import StudySettings, code_version

REAP_INTERVAL_S = 10.0
"""How long a worker may go on before it looks for trials of dead ones again."""


def run_worker(job: WorkerJob) -> None:
    """Run waiting trials of a study until none is left, or SIGINT or SIGTERM arrives.

    A diverged training fails its trial and the worker goes on. Any other error fails the trial
    and ends the worker, for it would fail the next trial as well.

    Raises:
        StudyError: If the study cannot be worked on here, or a trial failed unexpectedly.
    """
    own_threads(job.threads)
    with stop_signals() as stop:
        _work_through(job, stop)


def _work_through(job: WorkerJob, stop: threading.Event) -> None:
    """Run waiting trials until none is left or ``stop`` is set."""
    import torch._dynamo  # noqa: F401  an optimizer imports it at its first step: two seconds

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(job.url, write=True)
    study = optuna.load_study(study_name=job.study, storage=storage)
    settings = StudySettings.from_attrs(study.user_attrs, study=job.study)
    require_same_version(settings, study=job.study)
    dataset = load_dataset(job.data)
    objective = TrainingObjective(
        settings=settings,
        data=study_data(dataset, stored_split(settings, dataset, study=job.study)),
        artifacts=job.artifacts,
        device=resolve_device(job.device),
    )
    study.pruner = make_pruner(settings.pruner, max_epochs=settings.max_epochs)
    last_reap = float("-inf")
    while not stop.is_set():
        if time.monotonic() - last_reap > REAP_INTERVAL_S:
            queue.reap(study)
            last_reap = time.monotonic()
        claimed = queue.claim(study)
        if claimed is None:
            break
        seed = sampler_seed(settings.seed, claimed.number)
        study.sampler = make_sampler(settings.sampler, seed=seed)
        sides = claimed.user_attrs.get(attrs.SIDES)
        own = objective
        if sides is not None:  # a trial of an experiment, with a split of its own
            own = replace(objective, data=study_data(dataset, Split.from_sides(sides)))
        run_trial(study, claimed, own, stop)


def run_trial(
    study: optuna.Study,
    claimed: FrozenTrial,
    objective: TrainingObjective,
    stop: threading.Event,
) -> None:
    """Run one claimed trial and store how it ended.

    Raises:
        StudyError: If it failed for another reason than divergence.
    """
    try:
        trial = queue.start(study, claimed)
    except UpdateFinishedTrialError:
        return  # judged dead by another worker, which queued it again
    heartbeat = queue.Heartbeat(trial)

    def stop_requested() -> bool:
        heartbeat.beat()
        return stop.is_set()

    try:
        values = objective(trial, stop_requested)
        study.tell(trial, values, skip_if_finished=True)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except UpdateFinishedTrialError:
        pass  # judged dead, likewise
    except TrialInterrupted as error:
        # In this order: killed in between, the study lacks a trial and queues another; in the
        # other order it could end with one too many.
        fail(study, trial, str(error))
        requeue(study, study._storage.get_trial(claimed._trial_id))
    except DivergedError as error:
        fail(study, trial, f"{attrs.DIVERGED}: {error}")
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        fail(study, trial, reason)
        raise StudyError(f"Trial {trial.number} failed: {reason}") from error


def fail(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    """Store that a trial failed, and why."""
    trial.set_user_attr(attrs.FAILURE, reason)
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


def require_same_version(settings: StudySettings, *, study: str) -> None:
    """Raise a StudyError unless this process has the study's version of the code."""
    if settings.code_version != code_version():
        raise StudyError(
            f"Study {study!r} was made with emoji-study {settings.code_version}, but this is "
            f"{code_version()}; install that version or start another study."
        )


def own_threads(threads: int) -> None:
    """Give this process its share of the cores, before torch starts any work.

    Two processes that both use all cores are many times slower than one.
    """
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:  # may be set only once in a process
        torch.set_num_interop_threads(1)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event within the block.

    Only the main thread of a process gets signals; elsewhere the event stays unset.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
