"""What ``emoji-study experiment`` does: an experiment as a study, run and summed up."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from search_spaces import Scalar
from storage.rdb import await_server
from storage.values import Experiment
from study.analysis.experiment import describe_experiment, get_experiment
from study.commands.next_step import next_step
from study.errors import StudyError, wrong_choice
from study.experiment import PAIRED, Design
from study.followups.setup import Prepared, pair_sides, run_experiment
from study.kind_sources import (
    FoundKind,
    find_kind,
    installed_kinds,
    require_same_code,
)
from study.kinds import Kind
from study.requests import ExperimentRequest, Say
from study.running.coordinator import RunOutcome
from study.running.deciding import decide
from study.running.opening import Database, load_here
from study.settings import StudySettings, default_settings


def experiment(request: ExperimentRequest, *, say: Say) -> RunOutcome:
    """Create or continue an experiment, run what it lacks, and say what came out.

    A study that has more pairs keeps them.

    Raises:
        StudyError: If the request does not fit the study.
        SearchSpaceError, DataError, StorageError: If a part of it cannot be used.
    """
    name, place = request.name, request.place
    found = _find(name, place.kind)
    kind, study = found.kind, request.study or name
    place = replace(place, kind=None if found.source is None else place.kind)
    await_server(place.url, say=say)
    database = Database(place.url)
    stored = database.find_to_continue(study)
    before = None
    if stored is not None:
        require_same_code(stored.kind, found, study=study)
        before = stored.experiment
    stored_settings = None if stored is None else stored.settings
    defaults = replace(default_settings(kind), sampler=PAIRED)
    given = replace(request.given, assignments={}, n_steps=None)
    settings = decide(given, stored_settings, kind, study=study, defaults=defaults)
    options = {"lambdas": request.lambdas} if request.lambdas else {}
    design = kind.experiments[name](settings.source, options)
    if before is not None and (before.name, before.arms) != (name, design.arms):
        arms = "; ".join(arm.name for arm in before.arms)
        raise StudyError(
            f"Study {study!r} is the experiment {before.name} with the arms {arms}; take another "
            "--study name to compare others."
        )
    assignments = kind.with_steps(request.given.assignments, request.given.n_steps)
    fixed = _fixed(assignments, design, kind, stored_settings)
    settings = replace(settings, space=design.space, fixed=fixed)
    trainer, data = load_here(kind, settings, place.device, study=study, stored=stored is not None)
    settings = replace(settings, data_fingerprint=data.fingerprint, sides=data.sides)
    if stored is not None:
        stored.settings.require_equal(settings, study=study)

    def draw(method: str, pair: int) -> str:
        return data.draw(method, settings.data_seed + pair)

    wanted = Experiment(
        name=name,
        question=design.question,
        arms=design.arms,
        sides={
            method: pair_sides(before, method, request.n_pairs, partial(draw, method))
            for method in dict.fromkeys(arm.split for arm in design.arms)
        },
    )
    prepared = Prepared(
        database=database,
        name=study,
        settings=settings,
        found=found,
        trainer=trainer,
        data=data,
        experiment=wanted,
    )
    outcome, record = run_experiment(prepared, place, say=say)
    info = get_experiment(record)
    assert info is not None  # it was stored above
    for line in describe_experiment(info):
        say(line)
    if not outcome.interrupted:
        say(next_step("report", "--study", study, url=place.url))
    return outcome


def _find(name: str, reference: str | None) -> FoundKind:
    """Return the kind that has an experiment of a name; raise a StudyError if none has."""
    found = [find_kind(known) for known in ([reference] if reference else installed_kinds())]
    names: list[str] = []
    for one in found:
        if name in one.kind.experiments:
            return one
        names += one.kind.experiments
    if names:
        raise wrong_choice("experiment", name, names)
    raise StudyError(f"`experiment` needs a kind that has some, but got {name!r}.")


def _fixed(
    assignments: Mapping[str, str], design: Design, kind: Kind, stored: StudySettings | None
) -> Mapping[str, Scalar]:
    """Return what all arms share: given, stored, or the design's."""
    own = {name for arm in design.arms for name in arm.params}
    for name in assignments:
        if name in own:
            raise StudyError(f"`{name}` is what the arms of this experiment differ in.")
    if stored is not None and not assignments:
        return stored.fixed
    return {**design.shared, **kind.spaces[design.space].parse_fixed(assignments)}
