"""What ``emoji-study report`` does: one study, several side by side, or an older page again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from optuna.storages import BaseStorage

from storage.artifacts import artifact_folder, open_artifacts
from storage.file_names import file_name
from storage.files import write_bytes
from storage.rdb import open_storage
from storage.records import StudyRecord, followups, load_study_record, only_study
from storage.urls import for_others
from study.errors import StudyError, require_ending
from study.formats import counted
from study.report import ReportData, read_report_data, render_data
from study.report.markdown import to_markdown
from study.report.pictures import best_pictures, latent_gallery, trial_files
from study.report.processes import other_processes
from study.requests import DEFAULT_STORAGE, ReportRequest
from study.terminal.waiting import waiting


def report_request(request: ReportRequest) -> Path | str:
    """Write the page that was asked for; return its path, or its text if that is asked for.

    Raises:
        StudyError: If a page holds no study, two have one name, or the file has another ending.
        StorageError: If a study cannot be read.
        OSError: If a file cannot be read or written.
    """
    if request.out is not None and str(request.out) != "-":
        require_ending(request.out, ".html", ".md")
    found = [read_report_data(page) for page in request.pages]
    if request.studies or not request.pages:
        storage = open_storage(request.url)
        names = request.studies or [only_study(storage)]
        records = [load_study_record(storage, name) for name in names]
        if len(records) == 1 and not found:
            found = [study_data(storage, records[0], url=request.url, artifacts=request.artifacts)]
        else:
            place = _told(request.url)
            found += [ReportData(studies=(record,), storage=place) for record in records]
    data = found[0] if len(found) == 1 else _together(found)
    if request.independent:
        if len(data.studies) > 1:
            raise StudyError(
                "--independent belongs to the report of one study, but there are "
                f"{len(data.studies)}; a comparison has no correlations."
            )
        data = replace(data, correlated="independent")
    name = "-and-".join(record.name for record in data.studies)
    path = request.out or Path("runs") / f"{file_name(name)}.html"
    n_trials = sum(len(record.trials) for record in data.studies)
    waiting(f"Analysing {counted(n_trials, 'trial')}, which takes seconds to minutes")
    page = render(data)
    if str(path) == "-":
        return to_markdown(page, name=None).text
    if path.suffix.lower() == ".md":
        written = to_markdown(page, name=path.stem)
        for file, content in written.pictures.items():
            write_bytes(path.with_name(file), content)
        page = written.text
    write_bytes(path, page.encode())
    return path


def render(data: ReportData) -> str:
    """Return a page, with the help of other processes where it is large."""
    with other_processes(max(len(record.trials) for record in data.studies)) as processes:
        return render_data(data, processes=processes)


def study_data(
    storage: BaseStorage, record: StudyRecord, *, url: str, artifacts: Path | None
) -> ReportData:
    """Return a study with its pictures and with what confirmed it or took it apart."""
    folder = artifact_folder(url, artifacts)
    names = [name for name, search in followups(storage).items() if search == record.name]
    data = ReportData(
        studies=(record,),
        followups=tuple(load_study_record(storage, name) for name in names),
        storage=_told(url),
    )
    if not folder.is_dir():
        return data
    store = open_artifacts(folder)
    return replace(
        data,
        pictures=best_pictures(record, storage, store),
        files=trial_files(record, storage, store),
        gallery=latent_gallery([record.name, *names], storage, store),
    )


def _told(url: str) -> str | None:
    """Return the storage as a page names it, None for the default one."""
    return None if url == DEFAULT_STORAGE else for_others(url)


def _together(found: Sequence[ReportData]) -> ReportData:
    """Return the studies of several data, which must have different names."""
    studies = tuple(record for data in found for record in data.studies)
    names = [record.name for record in studies]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StudyError(
            f"A comparison needs studies with different names, but {', '.join(twice)} comes twice."
        )
    places = {data.storage for data in found}
    return ReportData(
        studies=studies,
        storage=places.pop() if len(places) == 1 else None,
        n_left_out=sum(data.n_left_out for data in found),
        thinned=any(data.thinned for data in found),
    )
