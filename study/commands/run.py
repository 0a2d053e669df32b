"""What ``emoji-study run`` does: a study is created or continued, and trials of it are run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial

from search_spaces import SearchSpace
from storage import attrs
from storage.artifacts import artifact_folder, require_folder
from storage.internals import storage_of
from storage.limits import require_names
from storage.rdb import await_server
from storage.records import count, load_study_record
from study.commands.next_step import next_step
from study.errors import StudyError
from study.kind_sources import find_kind, require_same_code
from study.requests import DEFAULT_TRIALS, Place, RunRequest, Say
from study.running import budget
from study.running.coordinator import Ready, RunOutcome, describe_outcome, launch, open_study
from study.running.deciding import decide_search
from study.running.opening import Database, StoredStudy, facts_of, load_here
from study.running.warm_start import began_with, best_points
from study.sampling.names import ADAPTIVE_SAMPLERS
from study.settings import StudySettings


def run(request: RunRequest, *, say: Say) -> RunOutcome:
    """Create or continue a study and run trials of it.

    What is refused has created nothing.

    Raises:
        StudyError: If the request does not fit the study or the program.
        SearchSpaceError, DataError, StorageError: If a part of the request cannot be used.
    """
    given, place = request.given, request.place
    found = find_kind(request.kind)
    own, place = found.kind, replace(place, kind=None if found.source is None else request.kind)
    name = request.study or f"{own.name}-{given.space or next(iter(own.spaces))}"
    if request.extra and all(metric.always for metric in own.metrics):
        raise StudyError(f"--latents is no option of the kind {own.name}.")
    await_server(place.url, say=say)
    database = Database(place.url)
    stored = database.find_to_continue(name)
    if stored is not None:
        require_same_code(stored.kind, found, study=name, accept_change=request.accept_change)
    before = None if stored is None else stored.settings
    settings = decide_search(given, before, own, study=name, n_trials=request.n_first)
    space = settings.space_in(own)
    require_names("a parameter", (parameter.name for parameter in space.parameters))
    require_names("a metric", (metric.name for metric in own.metrics))
    waiting = _first_points(database, request, settings, space, stored)
    _, data = load_here(own, settings, place.device, study=name, stored=stored is not None)
    settings = replace(settings, data_fingerprint=data.fingerprint, sides=data.sides)
    info, facts = found.info(space), facts_of(data)
    require_folder(artifact_folder(place.url, place.artifacts))
    opened = open_study(database.create(), name, settings, info, user_attrs=facts, waiting=waiting)
    from_now_on: dict[str, object] = {
        attrs.MAX_RETRIES: request.max_retries,
        attrs.KEPT_PICTURES: request.pictures,
        attrs.MEASURES_LATENTS: request.extra or None,
    }
    if stored is not None and request.accept_change and found.source is not None:
        from_now_on[attrs.KIND] = info.to_dict()
    for attr, value in from_now_on.items():
        if value is not None:
            opened.set_user_attr(attr, value)
    if waiting and stored is None:
        first = "trial repeats" if len(waiting) == 1 else f"{len(waiting)} trials repeat"
        say(f"The first {first} the best points of study {request.warm_start}.")
    ready = Ready(study=opened, settings=settings, kind=own, space=space, data=data)
    return _run(ready, place, request, say=say)


def _run(ready: Ready, place: Place, request: RunRequest, *, say: Say) -> RunOutcome:
    study, settings, replicate = ready.study, ready.settings, request.replicate
    trials = study.get_trials(deepcopy=False)
    before = count(trials).finished, _n_finished(trials, replicate)
    budget.start_design(study, settings, ready.space, replicate=replicate)
    target = budget.request(
        study,
        request.n_total or request.n_trials or _default_trials(ready, replicate),
        in_all=request.n_total is not None,
        replicate=replicate,
    )
    if count(study.get_trials(deepcopy=False)).finished >= target:
        asked = "trial that was asked for is" if target == 1 else f"{target} trials asked for are"
        more = request.n_total is not None and request.n_total < target
        than = f", more than --total {request.n_total}" if more else ""
        say(f"Nothing left to do: the {asked} finished{than}.")
    outcome = launch(ready, place, target=target, say=say)
    last = attrs.LAST_REQUEST.among(study.user_attrs)
    n_now = _n_finished(study.get_trials(deepcopy=False), replicate)
    lacks = target - before[0] > n_now - before[1]
    if last is not None and last.replicate != replicate and lacks and not outcome.interrupted:
        raise StudyError(
            f"Replicate {last.replicate} was asked for meanwhile, by another command, so that "
            f"replicate {replicate} lacks trials; the same command again trains them."
        )
    say(describe_outcome(load_study_record(storage_of(study), study.study_name), outcome))
    if outcome.done:
        budget.acknowledge(study, target)
    if not outcome.interrupted:
        say(next_step("report", "--study", study.study_name, url=place.url))
    return outcome


def _n_finished(trials: Sequence[FrozenTrial], replicate: int) -> int:
    """Return how many trials of a replicate are finished."""
    return count([t for t in trials if (attrs.REPLICATE.of(t) or 0) == replicate]).finished


def _default_trials(ready: Ready, replicate: int) -> int:
    """Return the trials to add: all that a grid still lacks, else a small number."""
    n_points = budget.n_points(ready.study, ready.settings, ready.space)
    if n_points is None:
        return DEFAULT_TRIALS
    trials = ready.study.get_trials(deepcopy=False)
    return max(0, n_points - _n_finished(trials, replicate))


def _first_points(
    database: Database,
    request: RunRequest,
    settings: StudySettings,
    space: SearchSpace,
    stored: StoredStudy | None,
) -> Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the points that a new study, which may be stored already, is to begin with."""
    if request.warm_start is None:
        return ()
    if settings.sampler not in ADAPTIVE_SAMPLERS:
        raise StudyError(
            f"--warm-start needs a sampler that learns ({', '.join(ADAPTIVE_SAMPLERS)}), not "
            f"{settings.sampler}."
        )
    storage = database.existing()
    source = load_study_record(storage, request.warm_start)
    record = None if stored is None else load_study_record(storage, stored.name)
    if record is not None and record.trials and not began_with(record, source.name):
        raise StudyError(
            f"--warm-start begins a new study, but {record.name!r} has trials; take another "
            "--study name, or leave --warm-start out."
        )
    points = best_points(source, space, settings.fixed, n_trials=request.n_first)
    if not points:
        raise StudyError(
            f"--warm-start has no effect: no complete trial of study {source.name!r} has a "
            "parameter that this study searches."
        )
    return points
