"""A follow-up of a search, set up or continued: its arms, settings, data and pairs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from storage import attrs
from storage.records import StudyRecord, load_study_record
from study.analysis import kind_of
from study.analysis.history import training_seconds
from study.errors import StudyError
from study.experiment import PAIRED, Arm, Experiment
from study.followups.running import pair_sides, run_experiment
from study.formats import format_duration
from study.kind_sources import FoundKind, find_stored, make_trainer
from study.kinds import Data, Trainer
from study.requests import Given, Place, Say
from study.running.coordinator import RunOutcome
from study.running.deciding import decide
from study.running.opening import Database, StoredStudy, load_data
from study.settings import IMPORTED, StudySettings

FRESH = 1
"""Where the seeds of fresh splits begin, behind that of the search's own split."""

QUESTIONS = {
    attrs.CONFIRMATION: "Which of the best of study {} stay good?",
    attrs.TRANSFER: "Are the best of study {} good on other images?",
    attrs.ABLATION: "What is each parameter of the best of study {} worth?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search that is to be examined.

    Args:
        database: Where it is.
        record: All of it.
        settings: What its trials are.
        found: Its kind.
    """

    database: Database
    record: StudyRecord
    settings: StudySettings
    found: FoundKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Followup:
    """An experiment that follows a search, ready to be run.

    Args:
        name: Of its study.
        search: That it follows.
        settings: Of its study.
        trainer: Of its kind.
        data: As the search's own split has them.
        experiment: Its arms and pairs.
    """

    name: str
    search: Search
    settings: StudySettings
    trainer: Trainer
    data: Data
    experiment: Experiment


def find_search(study: str, place: Place, *, say: Say) -> Search:
    """Read the search that is to be examined.

    Args:
        study: Its name.
        place: Where it is.
        say: Takes a warning about trials of other code.

    Raises:
        StudyError: If the study is none, or its kind's code is missing or changed.
    """
    place.check()
    database = Database(place.url)
    storage, stored = database.require(study)
    if stored.settings.sampler == PAIRED:
        raise StudyError(
            f"Study {study!r} is an experiment and no search; name a study of "
            "`emoji-study run` or `import-csv`."
        )
    record = load_study_record(storage, study)
    found = find_stored(kind_of(record), study=study, where=place.kind)
    n_other = sum(
        trial.user_attrs.get(attrs.KIND_DIGEST) != found.digest for trial in record.complete
    )
    if n_other and stored.settings.sampler != IMPORTED:
        say(
            f"Warning: {n_other} of {len(record.complete)} complete trials were trained by "
            "another version of the kind's code; what they reached says little of this one."
        )
    return Search(database=database, record=record, settings=stored.settings, found=found)


def set_up(
    search: Search,
    what: str,
    choose: Callable[[], tuple[Arm, ...]],
    place: Place,
    *,
    name: str | None,
    seed: int | None,
    n_seeds: int,
    other: Path | None = None,
    say: Say,
) -> Followup:
    """Continue a stored follow-up with its own arms, or set up a new one.

    Args:
        search: That it follows.
        what: It is: a name of ``QUESTIONS``.
        choose: Chooses the arms of a new one.
        place: Where it runs.
        name: Of its study; None for the search's name with what it is.
        seed: Of its study; None for that of the search.
        n_seeds: Seeds and splits in all.
        other: Data of a transfer, whose split is drawn as the search's was.
        say: Takes what is to be told.
    """
    kind, record, searched = search.found.kind, search.record, search.settings
    name = name or f"{record.name}-{what if other is None else f'on-{other.stem}'}"
    stored = search.database.find_to_continue(name)
    before = _stored_experiment(stored, what, record.name)
    # An imported study knows neither the data nor the split that it was measured on.
    known = stored is not None or (searched.sampler != IMPORTED and other is None)
    method = kind.splits[0] if searched.sampler == IMPORTED else searched.split
    defaults = replace(
        searched, fixed={}, sampler=PAIRED, pruner="none", pareto=False, split=method
    )
    if other is not None:
        defaults = replace(defaults, options=kind.transfer(searched.source, other).options)
    settings = decide(
        Given(seed=seed, data=other or place.data),
        None if stored is None else stored.settings,
        kind,
        study=name,
        defaults=defaults,
    )
    trainer = make_trainer(kind)
    trainer.resolve_device(place.device)  # raises here rather than in every worker
    data = load_data(trainer, settings, study=record.name, stored=known)
    if other is not None and data.fingerprint.split("-")[0] in searched.data_fingerprint.split(
        "-"
    ):
        raise StudyError(
            f"{other} holds the very images of study {record.name!r}; leave --other-data out."
        )
    settings = replace(settings, data_fingerprint=data.fingerprint, sides=data.sides)
    if stored is not None:
        stored.settings.require_equal(settings, study=name)
    arms = tuple(replace(arm, split=method) for arm in choose())
    if before is not None:
        if [arm.params for arm in arms] != [arm.params for arm in before.arms]:
            say(
                f"Study {name} goes on with the {len(before.arms)} configurations that were "
                "chosen first; today, or with these options, others would be chosen. To take "
                "these, give another --name."
            )
        arms = before.arms
    sides = pair_sides(
        before.sides[method] if before else (),
        max(n_seeds, before.n_pairs if before else 0),
        lambda pair: data.redraw(method, settings.data_seed + FRESH + pair),
    )
    experiment = Experiment(
        name=what,
        question=QUESTIONS[what].format(record.name),
        arms=arms,
        sides={method: sides},
        follows=record.name,
        keep_models=what != attrs.ABLATION,
    )
    return Followup(
        name=name,
        search=search,
        settings=settings,
        trainer=trainer,
        data=data,
        experiment=experiment,
    )


def run_followup(followup: Followup, place: Place, *, say: Say) -> tuple[RunOutcome, StudyRecord]:
    """Say how long it may take, and run it."""
    search, experiment = followup.search, followup.experiment
    seconds = [s for s in map(training_seconds, search.record.complete) if s > 0]
    if seconds:
        whole = fmean(seconds) * len(experiment) / place.n_workers
        say(
            f"{len(experiment)} trainings in all; at the mean time of the search's, "
            f"about {format_duration(whole)}."
        )
    return run_experiment(
        search.database,
        followup.name,
        followup.settings,
        search.found,
        followup.data,
        experiment,
        place,
        say=say,
    )


def judged(outcome: RunOutcome, n_missing: int) -> RunOutcome:
    """Count trainings that diverged as done, for they would diverge again and are a result."""
    return outcome if n_missing else replace(outcome, target=outcome.progress.finished)


def _stored_experiment(stored: StoredStudy | None, what: str, follows: str) -> Experiment | None:
    """Return the experiment that a stored study is.

    Raises:
        StudyError: If it is not the follow-up of the search.
    """
    if stored is None:
        return None
    before = stored.experiment
    if before is None or (before.name, before.follows) != (what, follows):
        raise StudyError(
            f"Study {stored.name!r} is not the {what} of study {follows!r}; take another --name."
        )
    return before
