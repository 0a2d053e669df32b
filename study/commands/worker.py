"""What ``emoji-study worker`` does: it joins a study that was created elsewhere."""

from dataclasses import replace

import optuna

from storage import attrs
from storage.rdb import await_server
from storage.records import load_study_record
from study.commands.next_step import next_step
from study.kind_sources import find_stored
from study.requests import Say, WorkRequest
from study.running.coordinator import Ready, RunOutcome, describe_outcome, launch
from study.running.opening import Database, load_here


def work(request: WorkRequest, *, say: Say) -> RunOutcome:
    """Join a study, until it has the trials that it wants.

    Raises:
        StudyError: If this machine has other data, or other code.
        StorageError: If the storage cannot be used, or has no such study.
    """
    study, place, accept_change = request.study, request.place, request.accept_change
    await_server(place.url, say=say)
    storage, stored = Database(place.url).require(study)
    found = find_stored(stored.kind, study=study, where=place.kind, accept_change=accept_change)
    stored.settings.require_training(found.kind, study=study)
    space = stored.settings.space_in(found.kind)
    settings = stored.settings
    if place.data is not None:
        settings = replace(settings, data=str(place.data))
    _, data = load_here(found.kind, settings, place.device, study=study, stored=True)
    opened = optuna.load_study(study_name=study, storage=storage)
    if accept_change and found.source is not None:
        opened.set_user_attr(attrs.KIND, found.info(space).to_dict())
    ready = Ready(study=opened, settings=settings, kind=found.kind, space=space, data=data)
    outcome = launch(ready, place, target=attrs.TARGET.of(stored) or 0, say=say)
    say(describe_outcome(load_study_record(storage, study), outcome))
    if not outcome.interrupted:
        say(next_step("report", "--study", study, url=place.url))
    return outcome
