"""What ``emoji-study ablate`` does: the winner of a search, taken apart."""

from storage import attrs
from storage.records import TrialRecord
from storage.values import Arm
from study.analysis.ablation import describe_ablation, get_ablation
from study.commands.confirm import asked_search, own_confirmation
from study.commands.next_step import next_step
from study.commands.show import Show
from study.followups.arms import ablation_arms
from study.followups.setup import Search, judged, run_experiment, set_up
from study.requests import AblateRequest, Say
from study.running.choosing import find_trial
from study.running.coordinator import RunOutcome
from study.terminal.as_json import print_json
from study.terminal.followups import ablation_tables
from study.terminal.followups_json import ablation_json


def ablate(request: AblateRequest, *, say: Say, show: Show) -> RunOutcome:
    """Measure what each parameter of a search's winner is worth.

    Raises:
        StudyError: If the request does not fit the search, or the study that it continues.
        SearchSpaceError, DataError, StorageError: If a part of it cannot be used.
    """
    search = asked_search(request, say=say)
    kind, settings = search.found.kind, search.settings

    def choose() -> tuple[Arm, ...]:
        space, trial = settings.space_in(kind), _winner(request.trial, search)
        winner = space.given(trial.params)
        fixed, only = settings.fixed, request.params
        return ablation_arms(search.record, space, kind, fixed, winner, only=only)

    followup = set_up(search, attrs.ABLATION, choose, request, n_own=0, say=say)
    outcome, after = run_experiment(followup, request.place, say=say)
    info = get_ablation(after)
    assert info is not None  # it was stored as one
    if request.as_json:
        print_json(ablation_json(info))
    else:
        for table in ablation_tables(info):
            show(table)
    for line in describe_ablation(info):
        say(line)
    if not outcome.interrupted:
        say(next_step("report", "--study", search.record.name, url=request.place.url))
    return judged(outcome, info.n_missing)


def _winner(which: str | None, search: Search) -> TrialRecord:
    """Return the trial that is to be taken apart."""
    if which is None:
        which = "best"
        info = own_confirmation(search.database, search.record)
        if info is not None and info.best is not None:
            trial = info.get(info.best).trial
            which = which if trial is None else str(trial)
    return find_trial(search.record, which)
