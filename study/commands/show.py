"""What ``emoji-study list``, ``status`` and ``export`` do: they only read."""

from collections.abc import Callable

from optuna.storages import BaseStorage
from rich.console import RenderableType

from storage.queue import silences
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record, only_study, study_names
from study.commands.next_step import next_step
from study.requests import ExportRequest, ListRequest, Say, StatusRequest
from study.terminal.status import status_lines, study_table, watch

Show = Callable[[RenderableType], None]


def stored_record(url: str, study: str | None) -> tuple[BaseStorage, StudyRecord]:
    """Read a study; if no name is given the only one of the storage, follow-ups aside."""
    storage = open_storage(url)
    return storage, load_study_record(storage, study or only_study(storage))


def list_studies(request: ListRequest, *, show: Show, say: Say) -> None:
    """Show all studies of a storage."""
    storage = open_storage(request.url)
    names = study_names(storage)
    show(study_table([load_study_record(storage, name) for name in names]))
    if names:
        say(next_step("status", "--study", names[-1], url=request.url))


def status(request: StatusRequest, *, show: Show, say: Say) -> None:
    """Show a study once, or again and again until it is done."""
    storage, record = stored_record(request.url, request.study)
    study_id = storage.get_study_id_from_name(record.name)
    if request.watch:
        watch(
            lambda: (load_study_record(storage, record.name), silences(storage, study_id)),
            interval_s=request.every,
        )
    else:
        for part in status_lines(record, silences(storage, study_id)):
            show(part)
    say(next_step("report", "--study", record.name, url=request.url))


def export(request: ExportRequest) -> int:
    """Write the trials of a study as a table; return how many there are."""
    from study.exchange.write_table import write_table  # with pandas, which others do without

    _, record = stored_record(request.url, request.study)
    return write_table(record, request.out, curves=request.curves)
