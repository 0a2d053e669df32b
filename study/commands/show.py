"""What ``emoji-study list``, ``status`` and ``export`` do: they only read."""

from collections.abc import Callable, Mapping

from optuna.storages import BaseStorage
from rich.console import RenderableType

from storage.artifacts import ArtifactFolder, artifact_folder
from storage.attrs import TARGET
from storage.queue import silences
from storage.rdb import open_storage
from storage.records import StudyRecord, count, load_study_record, load_summaries, only_study
from study.commands.next_step import next_step
from study.errors import StudyError, require_ending
from study.requests import ExportRequest, ListRequest, Say, StatusRequest, WithArtifacts
from study.terminal.as_json import list_json, print_json, status_json
from study.terminal.status import status_lines, study_table, watch

Show = Callable[[RenderableType], None]


def stored_record(
    url: str, study: str | None, *, finished_reports: bool = True
) -> tuple[BaseStorage, StudyRecord]:
    """Read a study; if no name is given the only one of the storage, follow-ups aside.

    Without ``finished_reports`` trials that have ended come without their intermediate values.
    """
    storage = open_storage(url)
    name = study or only_study(storage)
    return storage, load_study_record(storage, name, finished_reports=finished_reports)


def existing_artifacts(request: WithArtifacts) -> ArtifactFolder:
    """Return the folder of the artifacts, which must exist if somebody named it."""
    named = request.artifacts
    if named is not None and not named.is_dir():
        raise StudyError(f"`artifacts` must be a folder, but got {str(named)!r}.")
    return ArtifactFolder(artifact_folder(request.url, named))


def list_studies(request: ListRequest, *, show: Show, say: Say) -> None:
    """Show all studies of a storage."""
    summaries = load_summaries(open_storage(request.url))
    if request.as_json:
        print_json(list_json(summaries))
    else:
        show(study_table(summaries))
    if summaries:
        say(next_step("status", "--study", summaries[-1].name, url=request.url))


def status(request: StatusRequest, *, show: Show, say: Say) -> None:
    """Show a study once, or again and again until it is done."""
    storage, record = stored_record(request.url, request.study, finished_reports=False)
    study_id = storage.get_study_id_from_name(record.name)
    if request.as_json:
        print_json(status_json(record))
    elif request.watch:
        known = record

        def look() -> tuple[StudyRecord, Mapping[int, float]]:
            nonlocal known
            known = load_study_record(storage, known.name, finished_reports=False, known=known)
            return known, silences(storage, study_id)

        watch(look, interval_s=request.every)
    else:
        for part in status_lines(record, silences(storage, study_id)):
            show(part)
    n, target = count(record.trials), TARGET.of(record) or 0
    lacks = n.finished < target and n.running == 0 < n.waiting
    say(next_step("worker" if lacks else "report", "--study", record.name, url=request.url))


def export(request: ExportRequest) -> int:
    """Write the trials of a study as a table; return how many there are."""
    from study.exchange.write_table import ENDINGS, write_table  # with pandas, as no other does

    require_ending(request.out, *ENDINGS)
    _, record = stored_record(request.url, request.study, finished_reports=request.curves)
    return write_table(record, request.out, curves=request.curves)
