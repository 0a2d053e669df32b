"""What ``emoji-study confirm`` and ``ablate`` do: experiments that follow a search."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from optuna.storages import BaseStorage
from optuna.trial import TrialState
from rich.table import Table

from emoji_ae.checkpoint import load_training
from emoji_ae.dataset import EmojiDataset
from emoji_ae.drawing.gallery import draw_gallery, drawable
from emoji_ae.errors import CheckpointError
from emoji_ae.latent import encode
from emoji_ae.models import Autoencoder
from emoji_ae.recipes import gallery
from emoji_ae.seeding import resolve_device
from emoji_ae.splits import Split, redraw_validation
from search_spaces import Scalar
from storage import attrs, operations
from storage.artifacts import (
    artifact_folder,
    earlier_model_path,
    model_path,
    open_artifacts,
    save_study_artifact,
    study_uid,
)
from storage.rdb import await_server, open_storage
from storage.records import StudyRecord, TrialRecord, load_study_record
from storage.served import perform
from study.analysis.ablation import describe_ablation, get_ablation
from study.analysis.confirmation import (
    ConfirmationInfo,
    describe_confirmation,
    get_confirmation,
)
from study.analysis.experiment import trials_of_arm
from study.analysis.history import training_seconds
from study.commands.experiment import pair_sides, run_experiment, stored_experiment
from study.commands.run import Say, WorkRequest, check_backend, find_trial, first, stored_settings
from study.commands.train import measure_test
from study.emoji.data import StudyData, load_split, study_data
from study.emoji.pictures import caption_gallery
from study.errors import StudyError
from study.experiment import PAIRED, Arm, Experiment
from study.followups.arms import ablation_arms, confirmation_arms
from study.formats import format_duration
from study.running.coordinator import RunOutcome
from study.running.housekeeping import housekeeping
from study.running.worker import own_threads
from study.settings import IMPORTED, StudySettings, code_version, has_extra_images
from study.terminal.followups import ablation_tables, confirmation_table

FRESH = 1
"""Where the seeds of fresh splits begin, behind that of the search's own split."""

Show = Callable[[Table], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowupRequest(WorkRequest):
    """What a command was asked that examines a search.

    Args:
        name: Of the study to store it as; None for the search's name with what it is.
        n_seeds: Seeds and splits in all; a study that has more keeps them.
    """

    name: str | None
    n_seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmRequest(FollowupRequest):
    """What ``emoji-study confirm`` was asked.

    Args:
        top: How many of the best are confirmed.
        trials: Numbers of the trials that are confirmed in their place; none for the best.
        other_data: Data set file of other images than the search's, to train and test on; None
            for those of the search.
    """

    top: int
    trials: tuple[int, ...] = ()
    other_data: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AblateRequest(FollowupRequest):
    """What ``emoji-study ablate`` was asked.

    Args:
        trial: Number of the winner, ``best``, or None for the best confirmed one, if there is
            a confirmation, else the best.
        only: Parameters to sweep; empty for all that were searched.
    """

    trial: str | None
    only: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Followup:
    """An experiment that follows a search, ready to be run."""

    name: str
    settings: StudySettings
    experiment: Experiment
    dataset: EmojiDataset
    split: Split
    data: StudyData


def confirm_request(request: ConfirmRequest, *, say: Say, show: Show) -> RunOutcome:
    """Train the best configurations of a search again, and say which of them stay good.

    With other images the errors of the search's trials say nothing, so none are compared with.

    Raises:
        StudyError: If the request does not fit the search, or the study that it continues.
        SearchSpaceError, DataError, StorageError: If a part of it cannot be used.
    """
    await_server(request.url, say=say)
    record, searched = _search(request)
    space = searched.search_space
    other = request.other_data
    if other is not None and request.data is not None:
        raise StudyError("--other-data stands in the place of --data; give one of them.")

    def choose() -> tuple[Arm, ...]:
        arms = confirmation_arms(
            record,
            space,
            searched.fixed,
            top=request.top,
            numbers=request.trials,
            seed=searched.seed,
        )
        return arms if other is None else tuple(replace(arm, expected=None) for arm in arms)

    kind = attrs.CONFIRMATION if other is None else attrs.TRANSFER
    followup = _followup(request, record, searched, kind, choose, other=other, say=say)
    outcome, after = _run(followup, request, record, say=say)
    info = get_confirmation(after)
    assert info is not None  # it was stored as one
    if info.n_missing == 0:
        info = get_confirmation(_test(followup, after, request, say=say))
        assert info is not None
    show(confirmation_table(info))
    at_home = None if other is None else _own_confirmation(request.url, record)
    for line in describe_confirmation(info, at_home):
        say(line)
    return _judged(outcome, info.n_missing)


def _own_confirmation(url: str, record: StudyRecord) -> ConfirmationInfo | None:
    """Return what a search's confirmation on its own images says, None without one."""
    name = f"{record.name}-{attrs.CONFIRMATION}"
    if stored_settings(url, name) is None:
        return None
    return get_confirmation(load_study_record(open_storage(url), name))


def ablate_request(request: AblateRequest, *, say: Say, show: Show) -> RunOutcome:
    """Measure what each parameter of a search's winner is worth.

    Raises:
        StudyError: If the request does not fit the search, or the study that it continues.
        SearchSpaceError, DataError, StorageError: If a part of it cannot be used.
    """
    await_server(request.url, say=say)
    record, searched = _search(request)

    def choose() -> tuple[Arm, ...]:
        return ablation_arms(
            record,
            searched.search_space,
            searched.fixed,
            _winner(request, record),
            only=request.only,
        )

    followup = _followup(request, record, searched, attrs.ABLATION, choose, say=say)
    outcome, after = _run(followup, request, record, say=say)
    info = get_ablation(after)
    assert info is not None  # it was stored as one
    for table in ablation_tables(info):
        show(table)
    for line in describe_ablation(info):
        say(line)
    return _judged(outcome, info.n_missing)


def _search(request: FollowupRequest) -> tuple[StudyRecord, StudySettings]:
    """Read the search that is to be examined."""
    check_backend(request)
    record = load_study_record(open_storage(request.url), str(request.study))
    settings = StudySettings.from_attrs(record.user_attrs, study=record.name)
    if settings.sampler == PAIRED:
        raise StudyError(
            f"Study {record.name!r} is an experiment and no search; name a study of "
            "`emoji-study run` or `import-csv`."
        )
    return record, settings


def _followup(
    request: FollowupRequest,
    record: StudyRecord,
    searched: StudySettings,
    kind: str,
    choose: Callable[[], tuple[Arm, ...]],
    *,
    other: Path | None = None,
    say: Say,
) -> _Followup:
    """Continue a stored follow-up with its own arms, or set up a new one.

    ``other`` is the data set file of a transfer, whose split is drawn as the search's was.
    """
    what = kind if other is None else f"on-{other.stem}"
    name = request.name or f"{record.name}-{what}"
    stored = stored_settings(request.url, name)
    before = stored_experiment(request.url, name) if stored else None
    if stored is not None and (
        before is None or (before.name, before.follows) != (kind, record.name)
    ):
        raise StudyError(
            f"Study {name!r} is not the {kind} of study {record.name!r}; take another --name."
        )
    # An imported study knows neither the images nor the split that it was measured on.
    own = stored if searched.sampler == IMPORTED or other is not None else searched
    method = "group" if searched.sampler == IMPORTED else searched.split
    data_seed = stored.data_seed if stored else searched.data_seed
    data_path = other or request.data or (stored or searched).data_path
    vendors = searched.vendors
    if other is not None and not has_extra_images(searched.data_path, vendors):
        vendors = ()  # beside a file, every vendor's images are extra ones
    dataset, split = load_split(
        data_path,
        own,
        study=record.name,
        method=method,
        seed=data_seed,
        vendors=vendors,
    )
    if other is not None and dataset.fingerprint in searched.data_fingerprint.split("-"):
        raise StudyError(
            f"{other} holds the very images of study {record.name!r}; leave --other-data out."
        )
    data = study_data(dataset, split)
    settings = replace(
        searched,
        fixed={},
        sampler=PAIRED,
        pruner="none",
        pareto=False,
        seed=first(request.seed, stored.seed if stored else None, searched.seed),
        data=str(data_path) if data_path else None,
        data_fingerprint=data.fingerprint,
        vendors=vendors,
        split=method,
        sides=split.sides,
        code_version=code_version(),
    )
    if stored is not None:
        stored.require_equal(settings, study=name)
    arms = tuple(replace(arm, split=method) for arm in choose())
    if before is not None:
        if [arm.params for arm in arms] != [arm.params for arm in before.arms]:
            say(
                f"Study {name} goes on with the {len(before.arms)} configurations that were "
                "chosen first; today, or with these options, others would be chosen. To take "
                "these, give another --name."
            )
        arms = before.arms

    def draw(pair: int) -> Split:
        return redraw_validation(dataset, split, method=method, seed=data_seed + FRESH + pair)

    n_pairs = max(request.n_seeds, before.n_pairs if before else 0)
    sides = pair_sides(before.sides[method] if before else (), n_pairs, draw)
    questions = {
        attrs.CONFIRMATION: f"Which of the best of study {record.name} stay good?",
        attrs.TRANSFER: f"Are the best of study {record.name} good on other images?",
        attrs.ABLATION: f"What is each parameter of the best of study {record.name} worth?",
    }
    experiment = Experiment(
        name=kind,
        question=questions[kind],
        arms=arms,
        sides={method: sides},
        follows=record.name,
        keep_models=kind != attrs.ABLATION,
    )
    return _Followup(
        name=name,
        settings=settings,
        experiment=experiment,
        dataset=dataset,
        split=split,
        data=data,
    )


def _run(
    followup: _Followup, request: FollowupRequest, record: StudyRecord, *, say: Say
) -> tuple[RunOutcome, StudyRecord]:
    """Say how long it may take, and run it."""
    seconds = [s for s in map(training_seconds, record.complete) if s > 0]
    if seconds:
        whole = fmean(seconds) * len(followup.experiment) / request.n_workers
        say(
            f"{len(followup.experiment)} trainings in all; at the mean time of the search's, "
            f"about {format_duration(whole)}."
        )
    return run_experiment(
        request, followup.name, followup.settings, followup.data, followup.experiment, say=say
    )


def _judged(outcome: RunOutcome, n_missing: int) -> RunOutcome:
    """Count trainings that diverged as done, for they would diverge again and are a result."""
    if n_missing:
        return outcome
    return replace(outcome, target=outcome.progress.finished)


def _winner(request: AblateRequest, record: StudyRecord) -> dict[str, Scalar]:
    """Return the parameters of the trial that is to be taken apart."""
    which = request.trial
    if which is None:
        which = "best"
        info = _own_confirmation(request.url, record)
        if info is not None and info.best is not None:
            trial = info.get(info.best).trial
            which = which if trial is None else str(trial)
    return find_trial(record, which).given


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptModels:
    """The trained models of a follow-up, which are kept until they have been tested.

    Args:
        folder: Of the artifact store.
        uid: Of the follow-up.
        study_id: The database's key of it.
        settings: Of it.
    """

    folder: Path
    uid: str
    study_id: int
    settings: StudySettings

    def load(self, trial: TrialRecord) -> Autoencoder | None:
        """Return a trial's model; None if it is lost, or another trial's lies in its place."""
        for path in (
            model_path(self.folder, self.uid, trial.number),
            earlier_model_path(self.folder, self.study_id, trial.number),
        ):
            with suppress(CheckpointError):
                return load_training(
                    path,
                    config=self.settings.search_space.to_config(trial.given),
                    seed=trial.user_attrs[attrs.SEED],
                    data_fingerprint=trial.user_attrs[attrs.DATA_FINGERPRINT],
                ).model
        return None

    def remove(self, trial: TrialRecord) -> None:
        """Remove a trial's model, if there is one."""
        model_path(self.folder, self.uid, trial.number).unlink(missing_ok=True)


def _test(
    followup: _Followup, record: StudyRecord, request: FollowupRequest, *, say: Say
) -> StudyRecord:
    """Measure the kept models of a confirmation on the test split, each once.

    This comes after the last choice: the split that all pairs share was seen by none of them.
    Another command may do the same, and has removed a model only when its result was stored.
    """
    storage = open_storage(request.url, write=True)
    study_id = storage.get_study_id_from_name(followup.name)
    device = resolve_device(request.device)
    models = _KeptModels(
        folder=artifact_folder(request.url, request.artifacts),
        uid=study_uid(storage, study_id),
        study_id=study_id,
        settings=followup.settings,
    )
    tested: Mapping[str, object] = record.user_attrs.get(attrs.TEST_RESULTS) or {}
    found: dict[str, dict[str, float]] = {}
    for trial in record.complete:
        model = None if str(trial.number) in tested else models.load(trial)
        if model is None:
            continue
        classifies = attrs.CONFUSION in trial.user_attrs
        own_threads(trial.user_attrs.get(attrs.THREADS, 1))  # as `train` does
        measured = measure_test(
            model.to(device),
            followup.dataset,
            followup.split,
            device,
            classifies=classifies,
        )
        found[str(trial.number)] = {
            "mse": measured["test_mse"],
            **({"accuracy": measured["test_accuracy"]} if classifies else {}),
        }
    results = perform(
        storage,
        operations.merge_study_attr,
        study_id=study_id,
        name=attrs.TEST_RESULTS,
        entries=found,
    )
    after = load_study_record(storage, followup.name)
    with housekeeping("the gallery of sums of emoji is not drawn", say):
        _draw_sums(followup, after, storage, models)
    with housekeeping("models that were tested may be left", say):
        for trial in record.trials:
            if str(trial.number) in results or trial.state is TrialState.FAIL:
                models.remove(trial)
    lost = sum(str(trial.number) not in results for trial in record.complete)
    if lost:
        say(
            f"Warning: the trained models of {lost} trials are not in {models.folder}; workers on "
            "other machines must share it (--artifacts) for the test."
        )
    return after


def _draw_sums(
    followup: _Followup, record: StudyRecord, storage: BaseStorage, models: _KeptModels
) -> None:
    """Keep a gallery of sums of emoji by a model of the best confirmed configuration.

    It shows all images, those of the test split too, which has its results by now.
    """
    info = get_confirmation(record)
    if info is None or info.best is None:
        return
    dataset = followup.dataset
    for pair, trial in sorted(trials_of_arm(record, info.best).items()):
        model = models.load(trial)
        if model is None:
            continue  # it was tested before, or is lost
        own = slice(dataset.n_own)
        space = encode(model, dataset.images[own], dataset.texts[own])
        items, _ = drawable(space, gallery(halves=space.has_halves))
        if items:
            caption = f"{info.best}, seed and split {pair + 1} of {record.name}"
            png = caption_gallery(draw_gallery(space, items), caption)
            store = open_artifacts(models.folder)
            save_study_artifact(store, storage, models.study_id, attrs.GALLERY_FILE, png)
        return
