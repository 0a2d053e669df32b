"""What ``emoji-study dashboard`` serves: optuna-dashboard's application behind a guard.

On its own, that application has no read-only mode, lets any page of any site send it requests,
serves uploaded files so that they may run as its own pages, and fails at a file that is missing.
"""

import hmac
import html
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from bottle import HTTPResponse, request, response
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard import wsgi

from storage import attrs
from storage.artifacts import ArtifactFolder, no_picture
from storage.internals import speed_up_dashboard
from storage.moving import delete_studies
from storage.outages import first_line, is_refusal, outage
from storage.records import load_summaries
from study.dashboard.shell import POLICY, SCRIPT, script, shell
from study.dashboard.studies import render_studies

_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d{1,5}))?", re.ASCII | re.IGNORECASE)
"""Names under which a browser on this machine may ask. A site whose name an attacker points at
this machine (DNS rebinding) has another one.
"""
_PATH = re.compile(r"(/(?!\.\.?(/|$))[\w.~-]+)*/?", re.ASCII)
"""All paths that there are, as browsers send them: nothing in them needs to be encoded, so there
is one way to write each.
"""
_NUMBER = re.compile(r"-?\d+", re.ASCII)
MAX_KEY = 2**31 - 1
"""The largest key of a study or trial that all databases can be asked for."""
READING = ("GET", "HEAD", "OPTIONS")
"""Methods of requests that change nothing."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Of a report, which holds all it needs."""
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Of every answer that brings no policy of its own, so of a trial's file, under whatever path it
was asked for: whatever it is, nothing in it runs, and it loads nothing.
"""
_GUARDS = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
]
"""Headers of every answer: what browsers must keep to."""
RenderReport = Callable[[int], str]
"""Turns the study with a key of the database into a page; raises a KeyError if there is none."""
_Refusal = tuple[HTTPStatus, str]


def make_app(
    storage: BaseStorage,
    artifacts: ArtifactFolder,
    *,
    token: str,
    render_report: RenderReport,
    allow_edit: bool = False,
) -> WSGIApplication:
    """Build the application: a list of all studies, their reports at ``/report/STUDY_ID``, and
    optuna-dashboard.

    It has ``storage`` for itself, where the best trial becomes one that keeps the constraints. A
    request is answered that knows ``token``, and changes something if ``allow_edit`` says so.
    """
    speed_up_dashboard()
    _judge_by_constraints(storage)
    _shorten_splits(storage)
    store = _Artifacts(artifacts.folder)
    app = wsgi(storage, artifact_store=store)
    app.catchall = False  # what fails is said by the guard, in one line
    app.install(_without_net)

    def delete(study_id: int) -> Mapping[str, Any]:
        # optuna-dashboard begins with the files: where one of them cannot be removed, others are
        # gone and the study is still there.
        with_files = (request.json or {}).get("remove_associated_artifacts", True)
        delete_studies(
            storage, [storage.get_study_name_from_id(study_id)], store if with_files else None
        )
        response.status = 204
        return {}

    app.delete("/api/studies/<study_id:int>", callback=delete)
    pages = _Pages(app, storage, render_report, read_only=not allow_edit)
    return _Guard(pages, token=token, allow_edit=allow_edit)


@dataclass(frozen=True, slots=True)
class _Guard:
    """Refuses what must not be asked, and tells browsers what must not be done with answers."""

    app: WSGIApplication
    token: str
    allow_edit: bool

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            kept = [pair for pair in headers if pair[0] != "Access-Control-Allow-Origin"]
            kept += _GUARDS
            if not any(name == "Content-Security-Policy" for name, _ in headers):
                kept.append(("Content-Security-Policy", SANDBOX))
            return start_response(status, kept, *args)

        host = _HOST.fullmatch(environ.get("HTTP_HOST", ""))
        refusal = _misdirected(environ, host)
        if refusal is None:
            cookie = f"emoji-study-{host[1] or 80}" if host else ""  # ports share their cookies
            query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
            if environ["REQUEST_METHOD"] == "GET" and self._is_token(dict(query).get("token", "")):
                rest = [(name, text) for name, text in query if name != "token"]
                return _welcome(environ["PATH_INFO"], rest, f"{cookie}={self.token}", start)
            refusal = self._refusal(environ, cookie)
        if refusal is not None:
            return _told(environ, start, *refusal)
        # The application fails without this header, which only browsers always send.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "")
        try:
            return self.app(environ, start)
        except Exception as error:
            return _failed(error, environ, start)

    def _refusal(self, environ: Mapping[str, Any], cookie: str) -> _Refusal | None:
        """Say why this asker gets no answer, None if it does."""
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() not in ("token", "bearer"):
            pairs = (
                pair.strip().partition("=") for pair in environ.get("HTTP_COOKIE", "").split(";")
            )
            given = next((text for name, _, text in pairs if name == cookie), "")
        if not self._is_token(given.strip()):
            return HTTPStatus.FORBIDDEN, (
                "This needs the token: open the whole address that `emoji-study dashboard` "
                "printed when it started."
            )
        if environ["REQUEST_METHOD"] in READING:
            return None
        if not self.allow_edit:
            reason = "This dashboard only reads; start it with --allow-edit to change studies."
            return HTTPStatus.FORBIDDEN, reason
        origin = environ.get("HTTP_ORIGIN", "")
        site = environ.get("HTTP_SEC_FETCH_SITE", "same-origin")
        if origin != f"http://{environ['HTTP_HOST']}" or site != "same-origin":
            asker = f"A page of {origin!r}" if origin else "What does not name its origin"
            return HTTPStatus.FORBIDDEN, f"{asker} may not change anything here."
        return None

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(errors="replace"), self.token.encode())


def _misdirected(environ: Mapping[str, Any], host: re.Match[str] | None) -> _Refusal | None:
    """Say why a request asks for nothing that there can be, None if it may."""
    if host is None:
        asked = environ.get("HTTP_HOST", "")
        return HTTPStatus.FORBIDDEN, f"Ask for this page as localhost, not as {asked!r}."
    path = environ["PATH_INFO"]
    if not _PATH.fullmatch(path):
        return HTTPStatus.BAD_REQUEST, "There is no page with such an address."
    numbers = filter(_NUMBER.fullmatch, path.split("/"))
    if any(len(number) > len(str(MAX_KEY)) or int(number) > MAX_KEY for number in numbers):
        return HTTPStatus.NOT_FOUND, "There is no study or trial with such a number."
    return None


def _welcome(
    path: str, query: list[tuple[str, str]], cookie: str, start_response: StartResponse
) -> Iterable[bytes]:
    """Give a browser the token as a cookie, and send it to the address without.

    A page does, for browsers keep such a cookie from a redirection that another site began, as
    the one does from which they are opened.
    """
    address = html.escape((path or "/") + (f"?{urlencode(query)}" if query else ""))
    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">\n'
    headers = [
        ("Set-Cookie", f"{cookie}; Path=/; HttpOnly; SameSite=Strict"),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", "default-src 'none'"),
    ]
    return _answer(start_response, HTTPStatus.OK, "text/html", page.encode(), *headers)


def _failed(
    error: Exception, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer a request at which the application failed; say whose fault that is, in one line."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    wrong = (
        ValueError | TypeError | AttributeError | ArithmeticError | LookupError | RecursionError
    )
    unfit, away = isinstance(error, wrong) or is_refusal(error), outage(error)
    if away is not None:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        reason = f"The database cannot be used for now: {away}"
    elif isinstance(error, KeyError):
        status, reason = HTTPStatus.NOT_FOUND, "There is no such study or trial."
    elif isinstance(error, UpdateFinishedTrialError):
        status, reason = HTTPStatus.CONFLICT, "The trial has ended, so that it cannot be changed."
    elif unfit and (method not in READING or environ["QUERY_STRING"]):
        status, reason = HTTPStatus.BAD_REQUEST, "The request holds a value that cannot be used."
    elif unfit and path.startswith("/artifacts/"):
        status, reason = HTTPStatus.NOT_FOUND, "What is stored of this file cannot be told."
    else:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        reason = "This failed; the dashboard's terminal says why."
    if status != HTTPStatus.NOT_FOUND:
        line = f"{method} {path} failed: {type(error).__name__}: {first_line(error)}"
        environ["wsgi.errors"].write(f"Error: {line}\n")
    return _told(environ, start_response, status, reason)


def _told(
    environ: WSGIEnvironment, start_response: StartResponse, status: HTTPStatus, reason: str
) -> Iterable[bytes]:
    """Say why there is no answer, to optuna-dashboard's pages in the way in which they show it."""
    if environ["PATH_INFO"].startswith("/api/"):
        content = json.dumps({"reason": reason}).encode()
        return _answer(start_response, status, "application/json", content)
    return _answer(start_response, status, "text/plain", reason.encode())


def _without_net(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a view of data fail; optuna-dashboard would print a traceback and always answer 500.

    What it answers is shortened.
    """
    inner = getattr(view, "__wrapped__", None)
    if inner is None:
        return view

    def answer(*args: Any, **kwargs: Any) -> Any:
        response.content_type = "application/json"
        return _shortened(inner(*args, **kwargs))

    return answer


def _shortened(found: Any) -> Any:
    """Return what a view found, the best values with as many digits as in a report."""
    for trial in found.get("best_trials", ()) if isinstance(found, dict) else ():
        trial["values"] = [float(f"{float(value):.4g}") for value in trial["values"]]
    return found


@dataclass(frozen=True, slots=True)
class _Pages:
    """Answers with our own pages; a report is that of the moment, and made one at a time."""

    app: WSGIApplication
    storage: BaseStorage
    render_report: RenderReport
    read_only: bool
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"].rstrip("/")
        mimetype, policy = "text/html", PAGE_POLICY
        if path == "":
            page = render_studies(load_summaries(self.storage), read_only=self.read_only)
        elif path == SCRIPT:
            page, mimetype = script(), "text/javascript"
        elif f"{path}/".startswith("/dashboard/"):
            page, policy = shell(read_only=self.read_only), POLICY
        elif (asked := re.fullmatch(r"/report/([0-9]+)", path)) is not None:
            try:
                with self.lock:
                    page = self.render_report(int(asked[1]))
            except KeyError:
                reason = f"There is no study with the key {asked[1]}."
                return _told(environ, start_response, HTTPStatus.NOT_FOUND, reason)
        else:
            return self.app(environ, start_response)
        own = ("Content-Security-Policy", policy)
        return _answer(start_response, HTTPStatus.OK, mimetype, page.encode(), own)


def _answer(
    start_response: StartResponse,
    status: HTTPStatus,
    mimetype: str,
    body: bytes,
    *headers: tuple[str, str],
) -> Iterable[bytes]:
    own = [("Content-Type", f"{mimetype}; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", [*own, *headers])
    return [body]


class _Artifacts(ArtifactFolder):
    """Files of trials, of which some may be lost: their writer was killed, or somebody removed
    them. A page then shows a picture that says so, and a study can be deleted all the same.
    """

    def open_reader(self, artifact_id: str) -> BinaryIO:
        try:
            return super().open_reader(artifact_id)
        except ArtifactNotFound:
            if request.get_header("Sec-Fetch-Dest") == "image":
                raise HTTPResponse(no_picture(), 404, {"Content-Type": "image/png"}) from None
            raise HTTPResponse("This file is lost.", 404) from None

    def remove(self, artifact_id: str) -> None:
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


def _shorten_splits(storage: BaseStorage) -> None:
    """Let a storage's studies show how many images are on each side, not which."""
    whole = storage.get_all_studies

    def get_all_studies() -> list[Any]:
        studies = whole()
        for study in studies:
            settings = attrs.SETTINGS.of(study)
            if settings is not None:
                counts = {"sides": dict(Counter(settings.sides))}
                study.user_attrs[attrs.SETTINGS] = settings.to_dict() | counts
        return studies

    storage.get_all_studies = get_all_studies  # type: ignore[method-assign]
