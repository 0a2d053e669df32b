"""What ``emoji-study experiment`` does: an experiment as a study, run and summed up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from emoji_ae.config import SplitMethod
from emoji_ae.dataset import EmojiDataset
from emoji_ae.seeding import resolve_device
from emoji_ae.splits import Split, split_dataset
from search_spaces import Scalar, get_space
from storage import attrs
from storage.rdb import await_server, open_storage
from storage.records import StudyRecord, load_study_record
from study.analysis.experiment import describe_experiment, get_experiment
from study.commands.run import (
    DEFAULT_DATA_SEED,
    Say,
    WorkRequest,
    chosen_vendors,
    first,
    stored_settings,
    work,
)
from study.emoji.data import StudyData, class_counts, load_split, study_data
from study.errors import StudyError
from study.experiment import PAIRED, SPACE, Design, Experiment, get_design, shared_params
from study.running import budget
from study.running.coordinator import RunOutcome, open_study
from study.settings import StudySettings, code_version, has_extra_images


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRequest(WorkRequest):
    """What ``emoji-study experiment`` was asked.

    Args:
        name: Of the experiment, and of its study unless that has another name.
        lambdas: Of the experiment on the auxiliary task; None for those of the notebook.
        n_pairs: Pairs in all; a study that has more keeps them.
    """

    name: str
    lambdas: tuple[float, ...] | None
    n_pairs: int


def experiment_request(request: ExperimentRequest, *, say: Say) -> RunOutcome:
    """Create or continue an experiment, run what it lacks, and say what came out.

    Raises:
        StudyError: If the request does not fit the study.
        SearchSpaceError, DataError, StorageError: If a part of it cannot be used.
    """
    name = request.study or request.name
    await_server(request.url, say=say)
    stored = stored_settings(request.url, name)
    data_path = request.data or (stored.data_path if stored else None)
    vendors = chosen_vendors(request.vendors, stored, data_path, study=name)
    design = get_design(
        request.name, lambdas=request.lambdas, has_extra=has_extra_images(data_path, vendors)
    )
    before = stored_experiment(request.url, name) if stored else None
    if before is not None and (before.name, before.arms) != (request.name, design.arms):
        arms = "; ".join(arm.name for arm in before.arms)
        raise StudyError(
            f"Study {name!r} is the experiment {before.name} with the arms {arms}; take another "
            "--study name to compare others."
        )
    data_seed = first(request.data_seed, stored.data_seed if stored else None, DEFAULT_DATA_SEED)
    dataset, split = load_split(
        data_path, stored, study=name, method="group", seed=data_seed, vendors=vendors
    )
    data = study_data(dataset, split)
    settings = StudySettings(
        kind=design.kind,
        space=SPACE,
        fixed=_fixed(request.assignments, design, stored),
        sampler=PAIRED,
        pruner="none",
        seed=first(request.seed, stored.seed if stored else None, 0),
        data=str(data_path) if data_path else None,
        data_fingerprint=data.fingerprint,
        split="group",
        data_seed=data_seed,
        min_accuracy=None,
        pareto=False,
        sides=split.sides,
        code_version=code_version(),
        vendors=vendors,
    )
    if stored is not None:
        stored.require_equal(settings, study=name)
    n_pairs = max(request.n_pairs, before.n_pairs if before else 0)
    experiment = Experiment(
        name=request.name,
        question=design.question,
        arms=design.arms,
        sides={
            method: pair_sides(
                before.sides[method] if before else (),
                n_pairs,
                partial(_draw, dataset, method, data_seed),
            )
            for method in dict.fromkeys(arm.split for arm in design.arms)
        },
    )
    outcome, record = run_experiment(request, name, settings, data, experiment, say=say)
    info = get_experiment(record)
    assert info is not None  # it was stored above
    for line in describe_experiment(info):
        say(line)
    return outcome


def run_experiment(
    request: WorkRequest,
    name: str,
    settings: StudySettings,
    data: StudyData,
    experiment: Experiment,
    *,
    say: Say,
) -> tuple[RunOutcome, StudyRecord]:
    """Store an experiment, or more pairs of it, and run what it lacks.

    Args:
        request: Where and with how many workers.
        name: Of the study that the experiment is.
        settings: Of that study.
        data: As its own split has them.
        experiment: With all pairs that are wanted.
        say: Takes what is to be told.

    Returns:
        How the run ended, and the study afterwards.
    """
    resolve_device(request.device)  # raises here rather than in every worker
    study = open_study(
        open_storage(request.url, create=True, write=True),
        name,
        settings,
        user_attrs={
            attrs.EXPERIMENT: experiment.to_dict(),
            attrs.CLASS_COUNTS: class_counts(data),
        },
    )
    stored = budget.extend_experiment(study, experiment)
    if stored.arms != experiment.arms:
        raise StudyError(
            f"Study {name!r} was begun with other arms at this moment, by another command; the "
            "same command again goes on with those."
        )
    experiment = stored
    pairs, arms = (
        ("seeds and splits", "configurations") if experiment.follows else ("pairs", "arms")
    )
    say(f"{experiment.question} {experiment.n_pairs} {pairs} of {len(experiment.arms)} {arms}.")
    budget.start_design(study, settings)
    target = budget.request(study, len(experiment), in_all=True)
    outcome = work(study, settings, data, request, target=target, say=say)
    return outcome, load_study_record(study._storage, name)


def _draw(dataset: EmojiDataset, method: SplitMethod, seed: int, pair: int) -> Split:
    return split_dataset(dataset, method=method, seed=seed + pair)


def pair_sides(kept: Sequence[str], n_pairs: int, draw: Callable[[int], Split]) -> tuple[str, ...]:
    """Return the split of each pair: those that are stored, and new ones behind them.

    Args:
        kept: Stored splits.
        n_pairs: How many are wanted.
        draw: Draws the split of a pair, by its number.
    """
    return (*kept, *(draw(pair).sides for pair in range(len(kept), n_pairs)))


def stored_experiment(url: str, study: str) -> Experiment | None:
    """Read the experiment that a stored study is, None if it is none."""
    storage = open_storage(url)
    user_attrs = storage.get_study_user_attrs(storage.get_study_id_from_name(study))
    return (
        Experiment.from_attrs(user_attrs, study=study) if attrs.EXPERIMENT in user_attrs else None
    )


def _fixed(
    assignments: Mapping[str, str], design: Design, stored: StudySettings | None
) -> Mapping[str, Scalar]:
    """Return what all arms share: given, stored, or the notebook's best configuration."""
    own = {name for arm in design.arms for name in arm.params}
    for name in assignments:
        if name in own:
            raise StudyError(f"`{name}` is what the arms of this experiment differ in.")
    if stored is not None and not assignments:
        return stored.fixed
    return shared_params(design) | get_space(design.kind, SPACE).parse_fixed(assignments)
