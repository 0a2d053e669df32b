"""What ``emoji-study confirm`` does: the best of a search on fresh seeds and splits."""

from dataclasses import replace

from storage import attrs
from storage.rdb import await_server, open_storage
from storage.records import StudyRecord, load_study_record, only_study
from storage.values import Arm
from study.analysis.confirmation import ConfirmationInfo, get_confirmation
from study.analysis.confirmation_text import describe_confirmation
from study.analysis.to_confirm import confirmation_arms
from study.commands.next_step import next_step
from study.commands.show import Show
from study.errors import StudyError
from study.followups.setup import Search, find_search, judged, run_experiment, set_up
from study.followups.testing import measure_models
from study.requests import ConfirmRequest, FollowupRequest, Say
from study.running.coordinator import RunOutcome
from study.running.opening import Database
from study.terminal.as_json import print_json
from study.terminal.followups import confirmation_tables
from study.terminal.followups_json import confirmation_json


def confirm(request: ConfirmRequest, *, say: Say, show: Show) -> RunOutcome:
    """Train the best configurations of a search again, and say which of them stay good.

    With other images the errors of the search's trials say nothing, so none are compared with.

    Raises:
        StudyError: If the request does not fit the search, or the study that it continues.
        SearchSpaceError, DataError, StorageError: If a part of it cannot be used.
    """
    place, other_data = request.place, request.other_data
    if other_data is not None and place.data is not None:
        raise StudyError("--other-data stands in the place of --data; give one of them.")
    search = asked_search(request, say=say)
    kind, record, searched = search.found.kind, search.record, search.settings

    def choose() -> tuple[Arm, ...]:
        arms = confirmation_arms(
            record,
            searched.space_in(kind),
            kind,
            searched.fixed,
            top=request.top,
            numbers=request.trials,
            seed=searched.seed,
        )
        if other_data is None:
            return arms
        return tuple(replace(arm, expected=None) for arm in arms)

    what = attrs.CONFIRMATION if other_data is None else attrs.TRANSFER
    own = request.n_own
    followup = set_up(search, what, choose, request, n_own=own, other=other_data, say=say)
    outcome, after = run_experiment(followup, place, say=say)
    info = get_confirmation(after)
    assert info is not None  # it was stored as one
    if info.n_missing == 0:
        storage = search.database.existing()
        info = get_confirmation(measure_models(followup, storage, after, place, say=say))
        assert info is not None
    if request.as_json:
        print_json(confirmation_json(info))
    else:
        for table in confirmation_tables(info):
            show(table)
    at_home = None if other_data is None else own_confirmation(search.database, record)
    for line in describe_confirmation(info, at_home):
        say(line)
    if not outcome.interrupted:
        say(next_step("report", "--study", record.name, url=request.place.url))
    return judged(outcome, info.n_missing)


def asked_search(request: FollowupRequest, *, say: Say) -> Search:
    """Read the search that is to be followed up, see ``find_search``."""
    url = request.place.url
    await_server(url, say=say)
    return find_search(request.study or only_study(open_storage(url)), request.place, say=say)


def own_confirmation(database: Database, record: StudyRecord) -> ConfirmationInfo | None:
    """Return what a search's confirmation on its own data says, None without one."""
    name = f"{record.name}-{attrs.CONFIRMATION}"
    if database.find(name) is None:
        return None
    return get_confirmation(load_study_record(database.existing(), name))
