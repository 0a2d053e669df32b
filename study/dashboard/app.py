"""What ``emoji-study dashboard`` serves: optuna-dashboard's application behind a guard.

On its own, that application has no read-only mode, lets any page of any site send it requests,
serves uploaded files so that they may run as its own pages, and fails at a file that is missing.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from bottle import HTTPResponse, request
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard import wsgi

from storage.artifacts import no_picture

READING = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names under which a browser on this machine may ask. A site whose name an attacker points at
this machine (DNS rebinding) has another one.
"""

PAGE_POLICY = "; ".join(
    [
        *("default-src 'none'", "script-src 'unsafe-inline'", "style-src 'unsafe-inline'"),
        *("img-src data: blob:", "base-uri 'none'", "form-action 'none'"),
        "frame-ancestors 'self'",
    ]
)
"""Of a report, which holds all it needs."""

ARTIFACT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Of a trial's file: whatever it is, nothing in it runs, and it loads nothing."""

RenderReport = Callable[[int], str]
"""Turns the study with a key of the database into a page; raises a KeyError if there is none."""


def make_app(
    storage: BaseStorage,
    artifacts: FileSystemArtifactStore,
    *,
    render_report: RenderReport,
    allow_edit: bool = False,
) -> WSGIApplication:
    """Build the application, with the report of each study at ``/report/STUDY_ID``.

    Args:
        storage: For this application alone: what it calls the best trial keeps the constraints.
        artifacts: Files of trials.
        render_report: Makes a report.
        allow_edit: Whether requests may change anything.
    """
    _judge_by_constraints(storage)
    app: WSGIApplication = wsgi(storage, artifact_store=_Artifacts(artifacts))
    return _Guard(_Reports(app, render_report), allow_edit=allow_edit)


class _Guard:
    """Refuses what must not be asked, and tells browsers what must not be done with answers."""

    def __init__(self, app: WSGIApplication, *, allow_edit: bool) -> None:
        self._app = app
        self._allow_edit = allow_edit

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        artifact = environ["PATH_INFO"].startswith("/artifacts/")
        refusal = self._refusal(environ)
        if refusal is not None:
            return _answer(start_response, HTTPStatus.FORBIDDEN, "text/plain", refusal.encode())
        # The application fails without this header, which only browsers always send.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "")

        def start(status: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            return start_response(status, _guarded(headers, artifact=artifact), *args)

        return self._app(environ, start)

    def _refusal(self, environ: Mapping[str, Any]) -> str | None:
        """Say why a request is not answered, None if it is."""
        host = environ.get("HTTP_HOST", "")
        if urlsplit(f"//{host}").hostname not in LOOPBACK:
            return f"Ask for this page as localhost, not as {host!r}."
        if environ["REQUEST_METHOD"] in READING:
            return None
        if not self._allow_edit:
            return "This dashboard only reads; start it with --allow-edit to change studies."
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"A page of {origin} may not change anything here."
        return None


def _guarded(headers: list[tuple[str, str]], *, artifact: bool) -> list[tuple[str, str]]:
    """Add what browsers must keep to."""
    kept = [(name, text) for name, text in headers if name != "Access-Control-Allow-Origin"]
    kept += [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "SAMEORIGIN"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
    ]
    return [*kept, ("Content-Security-Policy", ARTIFACT_POLICY)] if artifact else kept


class _Reports:
    """Answers ``/report/STUDY_ID`` with the report as of now, one at a time."""

    def __init__(self, app: WSGIApplication, render_report: RenderReport) -> None:
        self._app = app
        self._render = render_report
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        place, _, study_id = environ["PATH_INFO"].rstrip("/").rpartition("/")
        if place != "/report" or not (study_id.isascii() and study_id.isdigit()):
            return self._app(environ, start_response)
        try:
            with self._lock:
                page = self._render(int(study_id))
        except KeyError:
            message = f"There is no study with the key {study_id}.".encode()
            return _answer(start_response, HTTPStatus.NOT_FOUND, "text/plain", message)
        policy = ("Content-Security-Policy", PAGE_POLICY)
        return _answer(start_response, HTTPStatus.OK, "text/html", page.encode(), policy)


def _answer(
    start_response: StartResponse,
    status: HTTPStatus,
    mimetype: str,
    body: bytes,
    *headers: tuple[str, str],
) -> Iterable[bytes]:
    """Answer a request."""
    own = [("Content-Type", f"{mimetype}; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", [*own, *headers])
    return [body]


class _Artifacts(FileSystemArtifactStore):
    """Files of trials, of which some may be lost: their writer was killed, or somebody removed
    them. A page then shows a picture that says so, and a study can be deleted all the same.
    """

    def __init__(self, store: FileSystemArtifactStore) -> None:
        super().__init__(store._base_path)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open a file."""
        try:
            return super().open_reader(artifact_id)
        except ArtifactNotFound:
            if request.get_header("Sec-Fetch-Dest") == "image":
                raise HTTPResponse(no_picture(), 404, {"Content-Type": "image/png"}) from None
            raise HTTPResponse("This file is lost.", 404) from None

    def remove(self, artifact_id: str) -> None:
        """Remove a file, if it is still there."""
        with suppress(ArtifactNotFound):
            super().remove(artifact_id)


def _judge_by_constraints(storage: BaseStorage) -> None:
    """Let a storage's best trial be one that keeps its constraints, as Optuna's studies do."""
    lowest = storage.get_best_trial

    def get_best_trial(study_id: int) -> FrozenTrial:
        complete = (TrialState.COMPLETE,)
        trials = storage.get_all_trials(study_id, deepcopy=False, states=complete)
        feasible = [t for t in trials if all(lack <= 0 for lack in t.constraints.values())]
        if len(feasible) in (0, len(trials)):
            return lowest(study_id)
        maximise = storage.get_study_directions(study_id)[0] == StudyDirection.MAXIMIZE
        return min(feasible, key=lambda t: -t.values[0] if maximise else t.values[0])

    storage.get_best_trial = get_best_trial  # type: ignore[method-assign]
