"""``emoji-study dashboard`` as a process of its own: what it answers, refuses and survives."""

import json
import os
import signal
import socket
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import create_trial

from storage import attrs
from storage.artifacts import no_picture
from storage.errors import StorageError
from storage.rdb import open_storage
from study.commands.dashboard import clean_request, dashboard_request, refresh_request
from study.errors import StudyError
from study.requests import CleanRequest, DashboardRequest
from study.running.objective import CONSTRAINTS
from study.settings import StudySettings
from tests.conftest import Cli
from tests.servers import opened
from tests.servers import served as served_storage
from tests.study_tests.dashboards import Served, add_trials, begin_study, serving, url_of

WRITING = [
    ("POST", "/api/studies", {"study_name": "new", "directions": ["minimize"]}),
    ("POST", "/api/studies/1/rename", {"study_name": "renamed"}),
    ("DELETE", "/api/studies/1", {}),
    ("PUT", "/api/studies/1/note", {"version": 99, "body": "changed"}),
    ("PUT", "/api/studies/1/1/note", {"version": 99, "body": "changed"}),
    ("POST", "/api/trials/1/tell", {"state": "Fail"}),
    ("POST", "/api/trials/1/user-attrs", {"user_attrs": {"a": 1}}),
    ("POST", "/api/artifacts/1", {"file": "data:text/plain;base64,YQ==", "filename": "a.txt"}),
    ("PATCH", "/api/studies/1", {}),
]
"""What optuna-dashboard would do, and a method that it may learn."""


def everything(folder: Path) -> tuple[list[str], dict[str, int]]:
    """Return all of the database as SQL, and the sizes of all files."""
    uri = f"file:{folder / 'study.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        rows = list(connection.iterdump())
    return rows, {path.name: path.stat().st_size for path in (folder / "artifacts").iterdir()}


def artifact_paths(folder: Path, number: int) -> list[str]:
    """Return the addresses of a trial's files."""
    storage = open_storage(url_of(folder))
    trial = storage.get_all_trials(1)[number]
    metas = get_all_artifact_meta(trial, storage=storage)
    return [f"/artifacts/1/{trial._trial_id}/{meta.artifact_id}" for meta in metas]


def test_studies_trials_notes_and_charts(served: Served) -> None:
    """Every trial has its files in one order and its note, the study its charts."""
    assert served.said.startswith("1 study of sqlite:///")
    end = f"/dashboard?token={served.token} (read only); Ctrl-C ends it."
    assert served.said.rstrip().endswith(end)
    (summary,) = served.json("/api/studies")["study_summaries"]
    assert summary["study_name"] == "faces"
    detail = served.json("/api/studies/1")
    assert [t["state"] for t in detail["trials"][:6]] == [
        *("Fail", "Complete", "Pruned", "Complete", "Fail"),
        "Complete",
    ]
    for trial in detail["trials"]:
        if trial["state"] in ("Complete", "Pruned", "Fail"):
            assert tuple(file["filename"] for file in trial["artifacts"]) == attrs.FILES
            title = trial["state"].replace("Fail", "Failed")
            assert trial["note"]["body"].startswith(f"**{title}")
    assert "## faces" in detail["note"]["body"]
    charts = {graph["id"]: graph["graph_object"] for graph in detail["plotly_graph_objects"]}
    assert set(charts) == {"importance", "learning-curves", "families"}
    assert all(json.loads(figure)["data"] for figure in charts.values())


def test_files_of_trials(served: Served, folder: Path) -> None:
    """They come as what they are, and run nothing; a lost one is a picture that says so."""
    kinds = ("image/png", "image/png", "text/csv")
    for path, kind in zip(artifact_paths(folder, 1), kinds, strict=True):
        status, headers, content = served.get(path)
        assert (status, headers["Content-Type"]) == (200, kind)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert len(content) > 50
    dead = [served.get(path)[2] for path in artifact_paths(folder, 0)]
    assert dead[:2] == [no_picture()] * 2
    path = artifact_paths(folder, 5)[0]
    file = folder / "artifacts" / path.rpartition("/")[2]
    content = file.read_bytes()
    file.unlink()
    try:
        status, headers, shown = served.get(path, Sec_Fetch_Dest="image")
        assert (status, headers["Content-Type"], shown) == (404, "image/png", no_picture())
        assert served.get(path)[::2] == (404, b"This file is lost.")
        assert len(served.json("/api/studies/1")["trials"]) >= 8
    finally:
        file.write_bytes(content)


def test_nothing_is_changed(served: Served, folder: Path) -> None:
    """Whatever asks for a change is refused, and the database and all files stay as they are."""
    before = everything(folder)
    for method, path, body in WRITING:
        content = json.dumps(body).encode()
        status, _, answer = served.ask(method, path, content, Content_Type="application/json")
        assert (status, answer.decode()) == (
            403,
            "This dashboard only reads; start it with --allow-edit to change studies.",
        )
    assert everything(folder) == before


def test_pages(served: Served) -> None:
    """They need no header of browsers, but a name of this machine; reports have their policy."""
    for host in ("evil.example", "evil.example:80", "localhost.evil.example", ""):
        status, _, answer = served.get("/api/studies", Host=host)
        assert status in (400, 403)
        assert b"faces" not in answer
    token = f"Authorization: Bearer {served.token}\r\n".encode()
    got = served.raw(b"GET /favicon.ico HTTP/1.0\r\nHost: localhost\r\n" + token + b"\r\n")
    assert got.split(b"\r\n")[0].endswith(b"200 OK")
    assert served.get("/dashboard/studies/1")[0] == 200
    status, headers, page = served.get("/report/1")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"<title>faces" in page
    assert served.get("/report/99")[::2] == (404, b"There is no study with the key 99.")
    assert served.get("/report/x")[0] == 404


def test_editing(tmp_path: Path, settings: StudySettings) -> None:
    """With --allow-edit its own pages may change things, and ``--refresh`` keeps their notes."""
    study = begin_study(tmp_path, settings)
    add_trials(study, tmp_path, settings, 2)
    said: list[str] = []
    refresh_request(DashboardRequest(url=url_of(tmp_path), refresh=True), say=said.append)
    assert said == ["Notes and charts of study faces are up to date."]
    next((tmp_path / "artifacts").iterdir()).unlink()  # one is lost
    note = json.dumps({"version": 2, "body": "mine"}).encode()
    with serving(url_of(tmp_path), "--allow-edit") as served:
        assert "pages may change studies" in served.said
        sent = {"Content_Type": "application/json", "Origin": served.address}
        for other in (
            {"Origin": "http://evil.example"},
            {"Origin": f"http://127.0.0.1:{served.port + 1}"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Sec_Fetch_Site": "same-site"},
            {"Authorization": "token wrong"},
        ):
            theirs = served.ask("PUT", "/api/studies/1/note", note, **{**sent, **other})
            assert theirs[0] == 403
        nobody = {"Content_Type": "application/json"}
        assert served.ask("PUT", "/api/studies/1/note", note, **nobody)[0] == 403
        assert served.json("/api/studies/1")["note"]["version"] == 1
        own = served.ask("PUT", "/api/studies/1/note", note, Sec_Fetch_Site="same-origin", **sent)
        assert own[0] == 204
        add_trials(study, tmp_path, settings, 1)
        refresh_request(DashboardRequest(url=url_of(tmp_path), refresh=True), say=said.append)
        assert "Its own note stays" in said[-1]
        detail = served.json("/api/studies/1")
        assert detail["note"]["body"] == "mine"
        assert all(t["note"]["body"] for t in detail["trials"] if t["state"] == "Complete")
        # Deleting a study removes its files, also where one of them is lost.
        assert served.ask("DELETE", "/api/studies/1", b"{}", **sent)[0] == 204
        assert served.json("/api/studies")["study_summaries"] == []
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_through_a_served_storage(tmp_path: Path) -> None:
    """Behind ``serve-storage`` a trial that breaks the constraint is not the best; the end."""
    with served_storage(url_of(tmp_path)) as address, opened(address) as storage:
        study = optuna.create_study(storage=storage, study_name="faces")
        for value, lack in ((0.3, -0.1), (0.1, 0.2), (0.2, 0.0), (0.4, -0.2)):
            study.add_trial(create_trial(value=value, system_attrs={CONSTRAINTS: [lack]}))
        (tmp_path / "artifacts").mkdir()
        options = ("--artifacts", str(tmp_path / "artifacts"))
        with serving(address, *options) as served:
            detail = served.json("/api/studies/1")
            broken = {t["number"] for t in detail["trials"] if max(t["constraints"]) > 0}
            (best,) = detail["best_trials"]
            assert (broken, best["number"]) == ({1}, 2)
            assert served.ask("DELETE", "/api/studies/1")[0] == 403
            assert served.get("/report/1")[0] == 200
            os.killpg(served.process.pid, signal.SIGTERM)
            _, errors = served.process.communicate(timeout=60)
            assert (served.process.returncode, errors) == (0, "")
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", served.port))


def test_what_cannot_be_served(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong is said, and no file or folder comes into being."""
    monkeypatch.chdir(tmp_path)
    right = DashboardRequest(url=url_of(folder))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for wrong, message in (
            (replace(right, url="sqlite:///missing.db"), "Storage file missing.db does not exist"),
            (replace(right, url="nonsense"), "`storage` must be a database URL"),
            (replace(right, artifacts=Path("missing")), "`artifacts` must be a folder"),
            (replace(right, port=port), f"`port` {port} cannot be used: Address"),
        ):
            with pytest.raises((StorageError, StudyError), match=message):
                dashboard_request(wrong, say=str)
    with pytest.raises(StorageError, match="no study named 'typo'"):
        refresh_request(replace(right, refresh=True, study="typo"), say=str)
    assert list(tmp_path.iterdir()) == []


def test_cleaning(cli: Cli, tmp_path: Path, settings: StudySettings) -> None:
    """``clean`` says what it removed; a wrong choice or study removes nothing."""
    add_trials(begin_study(tmp_path, settings), tmp_path, settings, 2)
    before = everything(tmp_path)
    right = CleanRequest(url=url_of(tmp_path), pictures="none")
    said: list[str] = []
    with pytest.raises(StudyError, match="`pictures` must be one of all, best, none, but got"):
        clean_request(replace(right, pictures="some"), say=said.append)
    with pytest.raises(StorageError, match="no study named 'typo'"):
        clean_request(replace(right, study="typo"), say=said.append)
    assert everything(tmp_path) == before
    url = ("--storage", url_of(tmp_path))
    code, out, err = cli("clean", *url, "--pictures", "some")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("Error: `pictures` must be one of all, best, none, but got 'some'")
    assert everything(tmp_path) == before
    code, told, err = cli("clean", *url, "--pictures", "none")
    assert (code, told.count("\n"), err, said) == (0, 1, "", [])
    assert told.startswith("Pictures of 2 trials of study faces removed, 0.")
    rows, sizes = everything(tmp_path)
    assert rows == before[0]
    assert set(sizes) == set(before[1])
    assert sum(sizes.values()) < sum(before[1].values()) / 4
