"""An experiment as a study: stored, run, and read afterwards."""

from collections.abc import Callable, Sequence

from storage import attrs
from storage.internals import storage_of
from storage.records import StudyRecord, load_study_record
from study.errors import StudyError
from study.experiment import Experiment
from study.kind_sources import FoundKind
from study.kinds import Data
from study.requests import Place, Say
from study.running import budget
from study.running.coordinator import Ready, RunOutcome, launch, open_study
from study.running.opening import Database
from study.settings import StudySettings


def run_experiment(
    database: Database,
    name: str,
    settings: StudySettings,
    found: FoundKind,
    data: Data,
    experiment: Experiment,
    place: Place,
    *,
    say: Say,
) -> tuple[RunOutcome, StudyRecord]:
    """Store an experiment, or more pairs of it, and run what it lacks.

    Args:
        database: Where it is stored.
        name: Of the study that the experiment is.
        settings: Of that study.
        found: Its kind.
        data: As its own split has them.
        experiment: With all pairs that are wanted.
        place: Where it runs.
        say: Takes what is to be told.

    Returns:
        How the run ended, and the study afterwards.
    """
    space = settings.space_in(found.kind)
    study = open_study(
        database.create(),
        name,
        settings,
        found.info(space),
        user_attrs={attrs.EXPERIMENT: experiment.to_dict(), **data.facts()},
    )
    stored = budget.extend_experiment(study, experiment)
    if stored.arms != experiment.arms:
        raise StudyError(
            f"Study {name!r} was begun with other arms at this moment, by another command; the "
            "same command again goes on with those."
        )
    pairs, arms = ("seeds and splits", "configurations") if stored.follows else ("pairs", "arms")
    say(f"{stored.question} {stored.n_pairs} {pairs} of {len(stored.arms)} {arms}.")
    budget.start_design(study, settings, space)
    target = budget.request(study, len(stored), in_all=True)
    ready = Ready(study=study, settings=settings, kind=found.kind, space=space, data=data)
    outcome = launch(ready, place, target=target, say=say)
    return outcome, load_study_record(storage_of(study), name)


def pair_sides(kept: Sequence[str], n_pairs: int, draw: Callable[[int], str]) -> tuple[str, ...]:
    """Return the split of each pair: those that are stored, and new ones behind them.

    Args:
        kept: Stored splits.
        n_pairs: How many are wanted.
        draw: Draws the split of a pair, by its number.
    """
    return (*kept, *(draw(pair) for pair in range(len(kept), n_pairs)))
