"""What ``emoji-study ablate`` does: the winner of a search, taken apart."""

from search_spaces import Scalar
from storage import attrs
from storage.rdb import await_server
from study.analysis.ablation import describe_ablation, get_ablation
from study.commands.confirm import Show, own_confirmation
from study.experiment import Arm
from study.followups.arms import ablation_arms
from study.followups.setup import Search, find_search, judged, run_followup, set_up
from study.requests import Place, Say
from study.running.choosing import find_trial
from study.running.coordinator import RunOutcome
from study.terminal.followups import ablation_tables


def ablate(
    study: str,
    place: Place,
    *,
    trial: str | None = None,
    only: tuple[str, ...] = (),
    name: str | None = None,
    seed: int | None = None,
    n_seeds: int,
    say: Say,
    show: Show,
) -> RunOutcome:
    """Measure what each parameter of a search's winner is worth.

    Args:
        study: Name of the search.
        place: Where it runs.
        trial: Number of the winner, ``best``, or None for the best confirmed one, if there is a
            confirmation, else the best.
        only: Parameters to sweep; empty for all that were searched.
        name: Of the study to store it as; None for the search's name with what it is.
        seed: Of that study; None for that of the search.
        n_seeds: Seeds and splits in all; a study that has more keeps them.
        say: Takes what is to be told.
        show: Takes tables.

    Raises:
        StudyError: If the request does not fit the search, or the study that it continues.
        SearchSpaceError, DataError, StorageError: If a part of it cannot be used.
    """
    await_server(place.url, say=say)
    search = find_search(study, place, say=say)
    kind, settings = search.found.kind, search.settings

    def choose() -> tuple[Arm, ...]:
        return ablation_arms(
            search.record,
            settings.space_in(kind),
            kind,
            settings.fixed,
            _winner(trial, search),
            only=only,
        )

    followup = set_up(
        search, attrs.ABLATION, choose, place, name=name, seed=seed, n_seeds=n_seeds, say=say
    )
    outcome, after = run_followup(followup, place, say=say)
    info = get_ablation(after)
    assert info is not None  # it was stored as one
    for table in ablation_tables(info):
        show(table)
    for line in describe_ablation(info):
        say(line)
    return judged(outcome, info.n_missing)


def _winner(which: str | None, search: Search) -> dict[str, Scalar]:
    """Return the parameters of the trial that is to be taken apart."""
    if which is None:
        which = "best"
        info = own_confirmation(search.database, search.record)
        if info is not None and info.best is not None:
            trial = info.get(info.best).trial
            which = which if trial is None else str(trial)
    return find_trial(search.record, which).given
