"""``emoji-study dashboard`` as a process of its own: what it answers, refuses and survives."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import create_trial

from storage import attrs
from storage.artifacts import no_picture
from storage.errors import StorageError
from study.commands.dashboard import dashboard_request, refresh_request
from study.errors import StudyError
from study.requests import DashboardRequest
from tests.conftest import Cli
from tests.servers import opened
from tests.study_tests.dashboard.conftest import N_TRIALS, SECRET
from tests.study_tests.dashboards import Served, everything, url_of


def test_studies_trials_notes_and_charts(served: Served) -> None:
    """Every trial has its files in one order and its note, the study its charts."""
    assert served.said.startswith("2 studies of sqlite:///")
    end = f"/?token={served.token} (read only); Ctrl-C ends it.\n"
    assert served.said.endswith(end)
    names = {study["study_name"] for study in served.json("/api/studies")["study_summaries"]}
    assert names == {"faces", SECRET}
    detail = served.json("/api/studies/1")
    states = [trial["state"] for trial in detail["trials"]]
    assert states[:5] == ["Fail", "Complete", "Pruned", "Complete", "Fail"]
    for trial, state in zip(detail["trials"], states, strict=True):
        if state in ("Complete", "Pruned", "Fail"):
            assert tuple(file["filename"] for file in trial["artifacts"]) == attrs.FILES
            assert trial["note"]["body"].startswith(f"**{state.replace('Fail', 'Failed')}")
    assert "## faces" in detail["note"]["body"]
    charts = {graph["id"] for graph in detail["plotly_graph_objects"]}
    assert charts == {"learning-curves", "families"}


def test_files_of_trials(served: Served, folder: Path) -> None:
    """They come as what they are, and run nothing; a lost one is a picture that says so."""
    with opened(url_of(folder)) as storage:
        trials = storage.get_all_trials(1)[:2]
        metas = [get_all_artifact_meta(trial, storage=storage) for trial in trials]
    kinds = ("image/png", "image/png", "text/csv")
    for meta, kind in zip(metas[1], kinds, strict=True):
        status, headers, content = served.get(f"/artifacts/1/2/{meta.artifact_id}")
        assert (status, headers["Content-Type"], len(content) > 50) == (200, kind, True)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers
    dead = metas[0][0].artifact_id
    assert served.get(f"/artifacts/1/1/{dead}")[2] == no_picture()
    lost = (folder / "artifacts" / dead).rename(folder / "lost")
    try:
        status, headers, shown = served.get(f"/artifacts/1/1/{dead}", Sec_Fetch_Dest="image")
        assert (status, headers["Content-Type"], shown) == (404, "image/png", no_picture())
        assert served.get(f"/artifacts/1/1/{dead}")[::2] == (404, b"This file is lost.")
    finally:
        lost.rename(folder / "artifacts" / dead)


def test_reports(served: Served) -> None:
    """They have their policy, and need no header that only browsers send."""
    lines = ["GET /report/2 HTTP/1.0", "Host: localhost", f"Authorization: Bearer {served.token}"]
    got = served.raw("\r\n".join([*lines, "", ""]).encode()).decode()
    for part in (" 200 OK\r\n", "text/html; charset=utf-8", "default-src 'none'"):
        assert part in got.partition("\r\n\r\n")[0]
    assert f"<title>{SECRET}" in got
    assert served.get("/report/99")[::2] == (404, b"There is no study with the key 99.")


def test_nothing_is_changed(served: Served, folder: Path) -> None:
    """Whatever asks for a change is refused, and the database and all files stay as they are."""
    before = everything(folder)
    for method, path, body in (
        ("POST", "/api/studies/1/rename", {"study_name": "renamed"}),
        ("DELETE", "/api/studies/1", {}),
        ("PUT", "/api/studies/1/note", {"version": 99, "body": "changed"}),
        ("PATCH", "/api/studies/1", {}),
    ):
        content = json.dumps(body).encode()
        status, _, answer = served.ask(method, path, content, Content_Type="application/json")
        assert status == 403
        assert b"only reads; start it with --allow-edit" in answer
    assert everything(folder) == before


def test_editing(editable: Served, changed: Path) -> None:
    """With --allow-edit its own pages may change things, and ``--refresh`` keeps their notes."""
    assert "pages may change studies" in editable.said
    version = editable.json("/api/studies/1")["note"]["version"]
    note = json.dumps({"version": version + 1, "body": "mine"}).encode()
    sent = {"Content_Type": "application/json", "Origin": editable.address}
    origins = (f"http://127.0.0.1:{editable.port + 1}", "null", "")
    for other in (*({"Origin": origin} for origin in origins), {"Sec_Fetch_Site": "same-site"}):
        assert editable.ask("PUT", "/api/studies/1/note", note, **{**sent, **other})[0] == 403
    assert editable.json("/api/studies/1")["note"]["version"] == version
    sent["Sec_Fetch_Site"] = "same-origin"
    assert editable.ask("PUT", "/api/studies/1/note", note, **sent)[0] == 204
    with opened(url_of(changed), write=True) as storage:
        optuna.load_study(study_name="faces", storage=storage).add_trial(create_trial(value=0.5))
    said: list[str] = []
    refresh_request(DashboardRequest(url=url_of(changed), refresh=True), say=said.append)
    assert said == [
        "Notes and charts of study faces are up to date. "
        "Its own note stays, which somebody else wrote.",
        f"Notes and charts of study {SECRET} are up to date.",
    ]
    detail = editable.json("/api/studies/1")
    assert detail["note"]["body"] == "mine"
    assert all(t["note"]["body"] for t in detail["trials"] if t["state"] == "Complete")


def test_what_is_not_served(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is said, and no file or folder comes into being."""
    monkeypatch.chdir(tmp_path)
    right = DashboardRequest(url=url_of(folder))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for wrong, message in (
            (replace(right, url="sqlite:///missing.db"), "Storage file missing.db does not exist"),
            (replace(right, artifacts=Path("missing")), "`artifacts` must be a folder"),
            (replace(right, port=port), f"`port` {port} cannot be used: Address"),
        ):
            with pytest.raises((StorageError, StudyError), match=message):
                dashboard_request(wrong, say=str)
    with pytest.raises(StorageError, match="no study named 'typo'"):
        refresh_request(replace(right, refresh=True, study="typo"), say=str)
    assert list(tmp_path.iterdir()) == []


def test_cleaning(cli: Cli, copied: Path) -> None:
    """``clean`` says what it removed; a wrong choice or study removes nothing."""
    before = everything(copied)
    clean = ("clean", "--storage", url_of(copied), "--study")
    code, out, err = cli(*clean, "faces", "--pictures", "some")
    assert (code, out) == (2, "")
    assert "`--pictures` must be one of all, best, none, but got 'some'." in err
    assert everything(copied) == before
    code, out, err = cli(*clean, "faces", "--pictures", "none")
    assert (code, out.count("\n"), err) == (0, 1, "")
    assert out.startswith(f"Pictures of {N_TRIALS} trials of study faces removed, 0.")
    again = f"`emoji-study train --storage {url_of(copied)} --study faces --trial N`"
    assert out.endswith(f"; curves stay. {again} draws new ones.\n")
    rows, sizes = everything(copied)
    assert (rows, set(sizes)) == (before[0], set(before[1]))
    assert sum(sizes.values()) < sum(before[1].values()) / 4
