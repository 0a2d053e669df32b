"""Experiments, and those that follow a search: set up or continued, stored, run, and read."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from storage import attrs
from storage.artifacts import artifact_folder, require_folder
from storage.internals import storage_of
from storage.records import StudyRecord, load_study_record
from storage.values import Arm, Experiment
from study.analysis import kind_of
from study.analysis.ablation import PATH
from study.analysis.paired import describe_power, judged_on
from study.analysis.to_confirm import mean_seconds
from study.errors import StudyError
from study.experiment import PAIRED
from study.formats import format_duration
from study.kind_sources import FoundKind, find_stored
from study.kinds import Data, Trainer
from study.requests import FollowupRequest, Given, Place, Say
from study.running import budget
from study.running.coordinator import Ready, RunOutcome, launch, open_study
from study.running.deciding import decide
from study.running.opening import Database, facts_of, load_here
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
    """A search that is to be examined, and all of its trials."""

    database: Database
    record: StudyRecord
    settings: StudySettings
    found: FoundKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An experiment that can be run, as the study ``name``, with all pairs that are wanted.

    The data of one that follows a search are parted as the search's own.
    """

    database: Database
    name: str
    settings: StudySettings
    found: FoundKind
    trainer: Trainer
    data: Data
    experiment: Experiment


def find_search(study: str, place: Place, *, say: Say) -> Search:
    """Read the search that is to be examined; warn of trials of other code."""
    database = Database(place.url)
    storage, stored = database.require(study)
    if stored.settings.sampler == PAIRED:
        raise StudyError(
            f"Study {study!r} is an experiment and no search; name a study of "
            "`emoji-study run` or `import-csv`."
        )
    record = load_study_record(storage, study)
    found = find_stored(kind_of(record), study=study, where=place.kind)
    digests = [attrs.KIND_DIGEST.of(trial) for trial in record.complete]
    n_other = len(digests) - digests.count(found.digest)
    if n_other and stored.settings.sampler != IMPORTED:
        say(
            f"Warning: {n_other} of {len(digests)} complete trials were trained by "
            "another version of the kind's code; what they reached says little of this one."
        )
    return Search(database=database, record=record, settings=stored.settings, found=found)


def set_up(
    search: Search,
    what: str,
    choose: Callable[[], tuple[Arm, ...]],
    request: FollowupRequest,
    *,
    n_own: int | None,
    other: Path | None = None,
    say: Say,
) -> Prepared:
    """Continue a stored follow-up with its own arms, or set up a new one; say how long it takes.

    Args:
        what: It is: a name of ``QUESTIONS``.
        n_own: Seeds that train on the search's own split; None for half of them.
        other: Data of a transfer, whose split is drawn as the search's was.
    """
    kind, record, searched = search.found.kind, search.record, search.settings
    place = request.place
    name = request.name or f"{record.name}-{what if other is None else f'on-{other.stem}'}"
    stored = search.database.find_to_continue(name)
    before = None if stored is None else stored.experiment
    if stored is not None and (
        before is None or (before.name, before.follows) != (what, record.name)
    ):
        raise StudyError(
            f"Study {name!r} is not the {what} of study {record.name!r}; take another --name."
        )
    # An imported study knows neither the data nor the split that it was measured on.
    known = stored is not None or (searched.sampler != IMPORTED and other is None)
    method = kind.splits[0] if searched.sampler == IMPORTED else searched.split
    defaults = replace(
        searched, fixed={}, sampler=PAIRED, pruner="none", pareto=False, split=method
    )
    if other is not None:
        defaults = replace(defaults, options=kind.transfer(searched.source, other).options)
    given = Given(seed=request.seed, data=other or place.data)
    old = None if stored is None else stored.settings
    settings = decide(given, old, kind, study=name, defaults=defaults)
    trainer, data = load_here(kind, settings, place.device, study=record.name, stored=known)
    images, _, _ = data.fingerprint.partition("-")
    if other is not None and images in searched.data_fingerprint.split("-"):
        raise StudyError(
            f"{other} holds the very images of study {record.name!r}; leave --other-data out."
        )
    settings = replace(settings, data_fingerprint=data.fingerprint, sides=data.sides)
    kept = before.sides[method] if before is not None else ()
    if searched.sampler == IMPORTED and n_own:
        raise StudyError(
            f"--own-split: study {record.name!r} was imported from a file, which does not hold "
            "the split of its errors; leave it out."
        )
    if searched.sampler == IMPORTED or other is not None:
        n_own = 0
    own = own_pairs(kept, data.sides, request.n_seeds, n_own)
    arms = tuple(replace(arm, split=method) for arm in choose())
    if before is not None:
        if [arm.params for arm in arms] != [arm.params for arm in before.arms]:
            say(
                f"Study {name} goes on with the {len(before.arms)} configurations that were "
                "chosen first; today, or with these options, others would be chosen. To take "
                "these, give another --name."
            )
        arms = before.arms
    fresh = settings.data_seed + FRESH
    sides = pair_sides(
        before,
        method,
        request.n_seeds,
        lambda pair: data.sides if pair in own else data.redraw(method, fresh + pair),
    )
    experiment = Experiment(
        name=what,
        question=QUESTIONS[what].format(record.name),
        arms=arms,
        sides={method: sides},
        follows=record.name,
        keep_models=what != attrs.ABLATION,
    )
    seconds = mean_seconds(record, arms)
    if seconds is not None:
        n = experiment.n_trials
        time = format_duration(seconds * n / place.n_workers)
        say(f"{n} trainings in all; at the times that the search took, about {time}.")
    return Prepared(
        database=search.database,
        name=name,
        settings=settings,
        found=search.found,
        trainer=trainer,
        data=data,
        experiment=experiment,
    )


def pair_sides(
    before: Experiment | None, method: str, n_pairs: int, draw: Callable[[int], str]
) -> tuple[str, ...]:
    """Return the split of each pair: those that are stored, and new ones up to ``n_pairs``."""
    kept = before.sides[method] if before else ()
    return (*kept, *(draw(pair) for pair in range(len(kept), n_pairs)))


def own_pairs(
    kept: Sequence[str], searched: str, n_pairs: int, n_own: int | None
) -> frozenset[int]:
    """Return which new pairs get the search's own split, evenly among those with fresh ones.

    Args:
        n_own: How many pairs are to have it in all. None for half, but for none where stored
            pairs do without.

    Raises:
        StudyError: If that cannot be.
    """
    n_kept, n_new = kept.count(searched), max(0, n_pairs - len(kept))
    if not searched:
        if n_own:
            raise StudyError("--own-split: these data are parted in one way only; leave it out.")
        return frozenset()
    if n_own is None:
        half = 0 if kept and not n_kept else math.ceil(n_pairs / 2)
        n_wanted = min(max(0, half - n_kept), n_new)
    else:
        n_wanted = n_own - n_kept
        if not 0 <= n_wanted <= n_new:
            most = f" to {n_kept + n_new}" if n_new else ""
            raise StudyError(
                f"--own-split must be {n_kept}{most} with --seeds {n_pairs}: "
                f"{n_kept} of {len(kept)} stored seeds are on the search's own split. Got {n_own}."
            )
    counted = (n_wanted * (i + 1) // n_new > n_wanted * i // n_new for i in range(n_new))
    return frozenset(len(kept) + i for i, is_own in enumerate(counted) if is_own)


def run_experiment(
    prepared: Prepared, place: Place, *, say: Say
) -> tuple[RunOutcome, StudyRecord]:
    """Store an experiment, or more pairs of it, and run what it lacks; read it afterwards."""
    name, settings, found = prepared.name, prepared.settings, prepared.found
    experiment, data = prepared.experiment, prepared.data
    space = settings.space_in(found.kind)
    user_attrs = {attrs.EXPERIMENT: experiment.to_dict(), **facts_of(data)}
    require_folder(artifact_folder(place.url, place.artifacts))
    storage = prepared.database.create()
    study = open_study(storage, name, settings, found.info(space), user_attrs=user_attrs)
    stored = budget.extend_experiment(study, experiment)
    if not experiment.goes_with(stored):
        raise StudyError(
            f"Study {name!r} was begun with other arms or splits at this moment, by another "
            "command; the same command again goes on with those."
        )
    pairs, arms = ("seeds", "configurations") if stored.follows else ("pairs", "arms")
    say(f"{stored.question} {stored.n_pairs} {pairs} of {len(stored.arms)} {arms}.")
    n_steps = sum(arm.role == PATH for arm in stored.arms)  # each is compared with the one before
    if n_compared := (n_steps or len(stored.arms)) - 1:
        first, last = (stored.sides_of(arm.name) for arm in (stored.arms[0], stored.arms[-1]))
        n_metrics = 1 if stored.follows else sum(m.always for m in found.kind.metrics)
        noun = "seed" if stored.follows else "pair"
        say(describe_power(judged_on(first, last), n_compared * n_metrics, noun))
    budget.start_design(study, settings, space)
    target = budget.request(study, stored.n_trials, in_all=True)
    ready = Ready(study=study, settings=settings, kind=found.kind, space=space, data=data)
    outcome = launch(ready, place, target=target, say=say)
    return outcome, load_study_record(storage_of(study), name)


def judged(outcome: RunOutcome, n_missing: int) -> RunOutcome:
    """Count trainings that diverged as done, for they would diverge again and are a result."""
    return outcome if n_missing else replace(outcome, target=outcome.progress.finished)
