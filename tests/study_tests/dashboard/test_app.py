"""``emoji-study dashboard`` as a process of its own: what it answers, refuses and survives."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState

from storage import attrs
from storage.artifacts import no_picture
from storage.rdb import open_storage
from storage.served import make_server
from study.settings import StudySettings
from tests.servers import close_storage, free_port
from tests.study_tests.dashboards import (
    Served,
    add_trials,
    begin_study,
    make_study,
    serving,
    url_of,
)

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, settings: StudySettings) -> Path:
    """A folder with a study, its files and what the dashboard shows of it."""
    made = tmp_path_factory.mktemp("dashboard")
    make_study(made, settings)
    return made


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    """The dashboard of that folder."""
    with serving(url_of(folder)) as dashboard:
        yield dashboard


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


def test_what_it_says(served: Served) -> None:
    """One line: how many studies, where, with what token, and that they can only be read."""
    assert served.said.startswith("1 study of sqlite:///")
    end = f"/dashboard?token={served.token} (read only); Ctrl-C ends it."
    assert served.said.rstrip().endswith(end)


def test_studies_trials_notes_and_charts(served: Served) -> None:
    """The data of the pages: every trial with its files in one order, its note, the charts."""
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
            assert trial["note"]["body"].startswith(
                f"**{trial['state'].replace('Fail', 'Failed')}"
            )
    assert "## faces" in detail["note"]["body"]
    charts = {graph["id"]: graph["graph_object"] for graph in detail["plotly_graph_objects"]}
    assert set(charts) == {"learning-curves", "families"}
    assert all(json.loads(figure)["data"] for figure in charts.values())


def test_files_of_trials(served: Served, folder: Path) -> None:
    """They come as what they are, and tell browsers to run nothing in them."""
    for path, kind in zip(
        artifact_paths(folder, 1), ("image/png", "image/png", "text/csv"), strict=True
    ):
        status, headers, content = served.get(path)
        assert (status, headers["Content-Type"]) == (200, kind)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert len(content) > 50
    dead = [served.get(path)[2] for path in artifact_paths(folder, 0)]
    assert dead[:2] == [no_picture()] * 2


def test_lost_files(served: Served, folder: Path) -> None:
    """A file that is gone, as a killed worker may leave its entry, is a picture that says so."""
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


@pytest.mark.parametrize(("method", "path", "body"), WRITING)
def test_nothing_is_changed(
    served: Served, folder: Path, method: str, path: str, body: dict[str, object]
) -> None:
    """Whatever asks for a change is refused, and the database and all files stay as they are."""
    before = everything(folder)
    status, _, answer = served.ask(
        method, path, json.dumps(body).encode(), Content_Type="application/json"
    )
    assert (status, answer.decode()) == (
        403,
        "This dashboard only reads; start it with --allow-edit to change studies.",
    )
    assert everything(folder) == before


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", ""])
def test_other_names_of_this_machine(served: Served, host: str) -> None:
    """A site whose name was pointed at this machine cannot read through its visitors' browsers."""
    status, _, answer = served.get("/api/studies", Host=host)
    assert status in (400, 403)
    assert b"faces" not in answer


def test_pages_need_no_header(served: Served) -> None:
    """What the application fails at without a header of browsers is answered all the same."""
    token = f"Authorization: Bearer {served.token}\r\n".encode()
    got = served.raw(b"GET /favicon.ico HTTP/1.0\r\nHost: localhost\r\n" + token + b"\r\n")
    assert got.split(b"\r\n")[0].endswith(b"200 OK")
    assert served.get("/dashboard/studies/1")[0] == 200


def test_report(served: Served) -> None:
    """The report of the moment, with the policy that it has as a file; of no other study."""
    status, headers, page = served.get("/report/1")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"<title>faces" in page
    assert served.get("/report/99")[::2] == (404, b"There is no study with the key 99.")
    assert served.get("/report/x")[0] == 404


def test_new_trials_appear(tmp_path: Path, settings: StudySettings) -> None:
    """A trial that ends while the dashboard runs is in its data two seconds later."""
    study = begin_study(tmp_path, settings)
    with serving(url_of(tmp_path)) as served:
        assert len(served.json("/api/studies/1")["trials"]) == 2
        add_trials(study, tmp_path, settings, 2)
        told = threading.Event()
        for _ in range(100):
            states = [t["state"] for t in served.json("/api/studies/1?after=1")["trials"]]
            if states == ["Complete", "Pruned"]:
                return
            told.wait(0.1)
        raise AssertionError(states)


def test_infeasible_trials(tmp_path: Path, multitask: StudySettings) -> None:
    """A trial that breaks the constraint is shown as such, and is never the best."""
    strict = replace(multitask, min_accuracy=0.5)
    study = begin_study(tmp_path, strict)
    add_trials(study, tmp_path, strict, 12)
    ended = [t for t in study.get_trials() if t.state == TrialState.COMPLETE]
    accuracy = {t.number: t.user_attrs[attrs.VALIDATION_ACCURACY] for t in ended}
    feasible = {n for n, reached in accuracy.items() if reached >= 0.5}
    assert 0 < len(feasible) < len(ended), accuracy
    with serving(url_of(tmp_path)) as served:
        detail = served.json("/api/studies/1")
    broken = {t["number"] for t in detail["trials"] if any(c > 0 for c in t["constraints"])}
    lacking = broken & set(accuracy)  # one that was stopped may be infeasible as well
    assert lacking == set(accuracy) - feasible
    (best,) = detail["best_trials"]
    values = {t.number: t.value for t in ended if t.number in feasible}
    assert best["number"] == min(values, key=lambda number: (values[number], number))


def test_editing(tmp_path: Path, settings: StudySettings) -> None:
    """With --allow-edit its own pages may change things, those of other sites may not."""
    make_study(tmp_path, settings, n_trials=2)
    note = json.dumps({"version": 2, "body": "mine"}).encode()
    for file in (tmp_path / "artifacts").iterdir():  # one is lost
        file.unlink()
        break
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
        del sent["Origin"]
        assert served.ask("PUT", "/api/studies/1/note", note, **sent)[0] == 403
        assert served.json("/api/studies/1")["note"]["version"] == 1
        sent["Origin"] = served.address
        own = served.ask("PUT", "/api/studies/1/note", note, Sec_Fetch_Site="same-origin", **sent)
        assert own[0] == 204
        assert served.json("/api/studies/1")["note"]["body"] == "mine"
        # Deleting a study removes its files, also where one of them is lost.
        assert served.ask("DELETE", "/api/studies/1", b"{}", **sent)[0] == 204
        assert served.json("/api/studies")["study_summaries"] == []
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_refreshing(tmp_path: Path, settings: StudySettings) -> None:
    """``--refresh`` writes what is missing, and keeps the note that somebody edited."""
    study = begin_study(tmp_path, settings)
    add_trials(study, tmp_path, settings, 2)
    command = [sys.executable, "-m", "study", "dashboard", "--refresh"]
    command += ["--storage", url_of(tmp_path)]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert first.stdout == "Notes and charts of study faces are up to date.\n"
    with serving(url_of(tmp_path), "--allow-edit") as served:
        edited = json.dumps({"version": 2, "body": "mine"}).encode()
        sent = {"Content_Type": "application/json", "Origin": served.address}
        assert served.ask("PUT", "/api/studies/1/note", edited, **sent)[0] == 204
        add_trials(study, tmp_path, settings, 1)
        again = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "Its own note stays" in again.stdout
        detail = served.json("/api/studies/1")
    assert detail["note"]["body"] == "mine"
    assert all(t["note"]["body"] for t in detail["trials"] if t["state"] == "Complete")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end(folder: Path, number: signal.Signals) -> None:
    """Ctrl-C ends it at once, without a traceback, and the port is free again."""
    with serving(url_of(folder)) as served:
        assert served.get("/api/studies")[0] == 200
        os.killpg(served.process.pid, number)
        _, errors = served.process.communicate(timeout=60)
        assert (served.process.returncode, errors) == (0, "")
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", served.port))


def test_through_a_served_storage(folder: Path) -> None:
    """The studies behind ``serve-storage`` are shown as well."""
    storage = open_storage(url_of(folder))
    port = free_port()
    server = make_server(storage, host="127.0.0.1", port=port, n_threads=4)
    server.start()
    options = ("--artifacts", str(folder / "artifacts"))
    with serving(f"grpc://127.0.0.1:{port}", *options) as served:
        assert len(served.json("/api/studies/1")["trials"]) >= 8
        assert served.ask("DELETE", "/api/studies/1")[0] == 403
        assert served.get("/report/1")[0] == 200
        os.killpg(served.process.pid, signal.SIGINT)
        _, errors = served.process.communicate(timeout=60)
        assert (served.process.returncode, errors) == (0, "")
    server.stop(grace=None).wait()


def test_a_locked_database_is_waited_for(
    tmp_path: Path, settings: StudySettings, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    """Pages wait for another program that locks the whole file, as without a write-ahead log."""
    close_storage(make_study(tmp_path, settings, n_trials=1)._storage)
    with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
        assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    found: list[int] = []
    with serving(url_of(tmp_path)) as served:
        lock = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
        with closing(lock):
            lock.execute("BEGIN EXCLUSIVE")
            asking = threading.Thread(
                target=lambda: found.append(served.get("/api/studies/1")[0]), daemon=True
            )
            asking.start()
            asking.join(8)  # longer than SQLite's own patience of five seconds
            assert asking.is_alive()
            lock.execute("COMMIT")
        wait_until(lambda: bool(found))
    assert found == [200]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--storage", "sqlite:///missing.db"], "Storage file missing.db does not exist"),
        (["--storage", "nonsense"], "`storage` must be a database URL"),
        (["--storage", "{url}", "--artifacts", "missing"], "`artifacts` must be a folder"),
        (["--storage", "{url}", "--port", "{port}"], "`port` {port} cannot be used: Address"),
        (["--storage", "{url}", "--refresh", "--study", "typo"], "no study named 'typo'"),
    ],
)
def test_what_cannot_be_served(
    folder: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    """One line says what is wrong, and no file or folder comes into being."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        known = {"url": url_of(folder), "port": taken.getsockname()[1]}
        done = subprocess.run(
            [sys.executable, "-m", "study", "dashboard", *(o.format(**known) for o in options)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert message.format(**known) in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_study_belongs_to_refresh(folder: Path) -> None:
    """A flag that would do nothing is refused."""
    command = [sys.executable, "-m", "study", "dashboard", "--study", "faces"]
    done = subprocess.run([*command, "--storage", url_of(folder)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--study belongs to --refresh" in done.stderr


def test_cleaning(tmp_path: Path, settings: StudySettings) -> None:
    """``clean`` says what it removed; a wrong choice or study removes nothing."""
    make_study(tmp_path, settings, n_trials=2)
    command = [sys.executable, "-m", "study", "clean", "--storage", url_of(tmp_path)]
    before = everything(tmp_path)
    for wrong in (["--pictures", "some"], ["--pictures", "none", "--study", "typo"]):
        done = subprocess.run([*command, *wrong], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
    assert everything(tmp_path) == before
    done = subprocess.run([*command, "--pictures", "none"], capture_output=True, text=True)
    assert done.stdout.startswith("Pictures of 2 trials of study faces removed, 0.")
    rows, sizes = everything(tmp_path)
    assert rows == before[0]
    assert set(sizes) == set(before[1])
    assert sum(sizes.values()) < sum(before[1].values()) / 4
