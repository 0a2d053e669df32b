"""What ``emoji-study dashboard`` does: pages are served, or notes and charts written anew."""

import multiprocessing
import os
import secrets
import sys
import tempfile
import threading
import webbrowser
from multiprocessing import util
from pathlib import Path
from typing import NoReturn

from optuna.storages import BaseStorage

from storage.artifacts import artifact_folder
from storage.outages import outage
from storage.rdb import open_storage
from storage.records import load_study_record, study_names
from storage.urls import redact
from study.commands.report import render, study_data
from study.commands.show import existing_artifacts
from study.dashboard.app import make_app
from study.dashboard.refresh import refresh
from study.dashboard.server import HOST, listen, serve
from study.formats import counted
from study.requests import DashboardRequest, Say


def dashboard_request(request: DashboardRequest, *, say: Say) -> None:
    """Serve the studies of a storage until SIGINT or SIGTERM.

    Raises:
        StorageError: If the storage cannot be read.
        StudyError: If the port or the folder cannot be used.
    """
    storage = open_storage(request.url, write=request.allow_edit)
    n_studies = len(study_names(storage))
    folder = existing_artifacts(request)
    token = secrets.token_urlsafe(32)

    def render_report(study_id: int) -> str:
        record = load_study_record(storage, storage.get_study_name_from_id(study_id))
        data = study_data(storage, record, url=request.url, artifacts=request.artifacts)
        return render(data)

    app = make_app(
        storage, folder, token=token, render_report=render_report, allow_edit=request.allow_edit
    )
    with tempfile.TemporaryDirectory(prefix="emoji-study-") as own, listen(request.port) as opened:
        address = f"http://{HOST}:{opened.getsockname()[1]}/?token={token}"
        threading.Thread(target=_read_ahead, args=(storage,), name="reader", daemon=True).start()

        def ready() -> None:
            mode = "pages may change studies" if request.allow_edit else "read only"
            say(
                f"{counted(n_studies, 'study')} of {redact(request.url)} at "
                f"{address} ({mode}); Ctrl-C ends it."
            )
            if request.open_browser:
                _show(address, Path(own) / "dashboard.html")

        whole = serve(app, opened, ready=ready)
    if not whole:
        _end_at_once()


def _end_at_once() -> NoReturn:
    """End the process in the middle of an answer, such as a report that takes a minute.

    Python's own end waits for other processes that work for a report, or takes its memory away
    from the thread that makes it, which then aborts. The other processes end with this one.
    """
    for process in multiprocessing.active_children():  # one that just begins would complain
        process.kill()
    # As at any end, but it waits for nothing.
    util._run_finalizers(0)  # type: ignore[attr-defined]  # noqa: SLF001  # Python's own
    sys.stdout.flush()
    os._exit(0)


def _show(address: str, file: Path) -> None:
    """Open an address in the browser by way of a file that only this user can read.

    Everybody on the machine can read the command line of a process, so of a browser that is
    started with the address. Source: Jupyter's ``ServerApp.use_redirect_file``.
    """
    file.touch(mode=0o600)
    file.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">\n')
    webbrowser.open(file.as_uri())


def refresh_request(request: DashboardRequest, *, say: Say) -> None:
    """Write notes and charts of a study, or of all studies, anew.

    Raises:
        StorageError: If the storage cannot be written, or has no such study.
    """
    url, study = request.url, request.study
    storage = open_storage(url, write=True)
    for name in [study] if study is not None else study_names(storage):
        ours = refresh(storage, name, url=url, artifacts=artifact_folder(url, request.artifacts))
        kept = "" if ours else " Its own note stays, which somebody else wrote."
        say(f"Notes and charts of study {name} are up to date.{kept}")


def _read_ahead(storage: BaseStorage) -> None:
    """Read all studies, latest first, so that the first page of a large one need not wait."""
    try:
        for name in reversed(study_names(storage)):
            study_id = storage.get_study_id_from_name(name)
            storage.get_all_trials(study_id, deepcopy=False)
    except Exception as error:
        if outage(error) is None and not isinstance(error, KeyError):  # it was deleted meanwhile
            raise
    finally:
        storage.remove_session()
