"""Who gets what of a dashboard: no odd request, no uploaded file, no other user, no slow peer."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import Path

import joblib
import optuna
import pytest
from optuna.trial import create_trial
from playwright.sync_api import Browser, expect

from study.report.processes import MIN_TRIALS
from study.running.objective import CONSTRAINTS
from tests.servers import opened
from tests.servers import served as served_storage
from tests.study_tests.dashboard.conftest import SECRET, UPLOADED, upload
from tests.study_tests.dashboards import Served, everything, serving, url_of

INSERTED = [
    *("%FF", "%80", "%C0%AF", "%E2%80", "\xff", "/", "//", "/.", "/./", "/..", "/%2e%2e/", "%2F"),
    *("\\", "%5C", "%00", "%09", "%0D%0A", "%20", "+", "%25", ";", ";x=1", ":", "@", "*", "%7F"),
    *("%C2%A0", "%EF%BB%BF", "%E2%80%AE", "%ED%A0%80", "~", "-", "0", "."),
]


def spellings(address: str) -> list[str]:
    """Return ways to write the path of a trial's file, some of which lead elsewhere."""
    parts = address.split("/")
    found = [address, f"/{address}", f"{address}/", f"{address}?x", f"/dashboard/..{address}"]
    found += [address.replace("a", "%61"), address.upper(), f"/x/%2e%2e{address}", f"//x{address}"]
    for inserted, place in product(INSERTED, (1, 2, 4)):
        found.append("/".join([*parts[:place], inserted + parts[place], *parts[place + 1 :]]))
        found.append("/".join([*parts[:place], parts[place] + inserted, *parts[place + 1 :]]))
    assert len(set(found)) >= 200
    return list(dict.fromkeys(found))


def ask(served: Served, target: str, *headers: str, method: str = "GET") -> tuple[int, str]:
    """Send a request as it is written; return the status and the whole answer."""
    lines = [f"{method} {target} HTTP/1.1", *headers]
    if not any(header.startswith("Host:") for header in headers):
        lines.append("Host: localhost")
    lines.append(f"Authorization: token {served.token}")
    got = served.raw("\r\n".join([*lines, "", ""]).encode("latin-1")).decode("latin-1")
    return int(got.split(" ")[1]), got


def test_uploaded_files_under_any_spelling(served: Served, uploaded: dict[str, str]) -> None:
    """Whatever is answered with their content is in the sandbox; all else is refused."""
    for name, address in uploaded.items():
        n_given = 0
        for path in spellings(address)[: None if name == "page.html" else 9]:
            status, got = ask(served, path)
            head, _, content = got.partition("\r\n\r\n")
            assert status == 200 or 400 <= status < 500, (path, got)
            assert "; sandbox" in head, (path, got)
            n_given += content == UPLOADED[name]
            assert (status == 200) == (content == UPLOADED[name]), (path, got)
        assert n_given >= 3


@pytest.mark.parametrize("n_spellings", [5, pytest.param(None, marks=pytest.mark.slow)])
def test_no_uploaded_script_runs(
    browser: Browser, served: Served, uploaded: dict[str, str], n_spellings: int | None
) -> None:
    """In a browser that has the token nothing runs, under paths that are given and odd ones."""
    page = browser.new_context().new_page()
    ran: list[str] = []
    page.on("request", lambda asked: asked.url.endswith("/ran") and ran.append(page.url))
    page.goto(f"{served.address}/dashboard?token={served.token}")
    page.wait_for_url(f"{served.address}/dashboard")
    n_loaded = 0
    for address in uploaded.values():
        for path in (*spellings(address)[:n_spellings], f"/%FF{address[1:]}"):
            page.goto(served.address + path)
            n_loaded += "loaded" in page.content()
            if page.evaluate("document.documentElement.hasAttribute('data-ran')"):
                ran.append(path)
    assert n_loaded >= 3
    assert ran == []
    page.context.close()


HUGE = "9" * 30
TARGETS = [
    *(f"/report/{HUGE}", "/report/-1", "/report/\u00b2", "/report/2147483647", "/report/1/../1"),
    *(f"/api/studies/{HUGE}", f"/api/studies/-{HUGE}", "/api/studies/2147483648"),
    *(f"/api/studies/{HUGE}/param_importances", f"/api/studies/{HUGE}/plot/contour"),
    *("/api/studies/77/param_importances", "/api/studies/77/plot/slice", "/api/studies/77"),
    *("/api/studies/1/plot/x", f"/csv/{HUGE}", "/csv/77", f"/artifacts/1/{HUGE}/ab"),
    *(f"/artifacts/{HUGE}/ab", "/artifacts/1/77/ab", "/artifacts/77/1/ab", "/artifacts/77/ab"),
    *("/api/studies/1?after=x", "/api/studies/1?after=-1", "/api/studies/1?after=%FF"),
    *(f"/api/studies/1?after={'9' * 5000}", "/csv/1?trial_ids=x", f"/csv/1?trial_ids={HUGE}"),
    *("http://localhost/api/studies", "*", "x", "/api/studies/%31", "/static/../index.html"),
    *("/static/%2e%2e/_app.py", "/static/x", "/static/bundle.js/x", f"/{'x' * 70000}"),
]


HOSTS = [
    *("[::1", "[::1]x", "localhost:x", "localhost:", "a@localhost", "[", "]", "\xff", ""),
    *("evil.example", "evil.example:80", "localhost.evil.example"),
]


def test_odd_requests(served: Served) -> None:
    """Each is answered with 4xx."""
    for target in TARGETS:
        status, got = ask(served, target)
        assert 400 <= status < 500, (target, got)
        assert "Traceback" not in got
    for host in HOSTS:
        status, got = ask(served, "/api/studies", f"Host: {host}")
        assert 400 <= status < 500, host
        assert SECRET not in got
    for method in ("BREW", "get", "CONNECT", "TRACE"):
        assert 400 <= ask(served, "/api/studies", method=method)[0] < 500, method
    for garbage in (b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        assert SECRET.encode() not in served.raw(garbage)


def test_odd_changes(editable: Served) -> None:
    """Changes that cannot be are answered with 4xx as well, and change nothing."""
    tell = {"state": "Complete", "values": [1]}
    odd: list[tuple[str, str, object]] = [
        *(("PUT", "/api/studies/1/note", body) for body in ([], 1, "x", None, {"version": 1})),
        ("PUT", "/api/studies/1/note", {"version": "x", "body": 3}),
        ("PUT", "/api/studies/77/note", {"version": 1, "body": "x"}),
        *(("POST", f"/api/trials/{key}/tell", tell) for key in (1, 77, HUGE)),
        ("POST", "/api/trials/1/tell", [1]),
        *(("POST", "/api/artifacts/1", {"file": text}) for text in ("x", "data:x", 3)),
        ("POST", "/api/studies", {"study_name": "x", "directions": 3}),
        *(("DELETE", f"/api/studies/{key}", {}) for key in (77, HUGE)),
    ]
    sent = {"Content_Type": "application/json", "Origin": editable.address}
    before = editable.json("/api/studies/1")
    for method, path, body in odd:
        status, _, got = editable.ask(method, path, json.dumps(body).encode(), **sent)
        assert 400 <= status < 500, (method, path, body, got)
    assert editable.ask("PUT", "/api/studies/1/note", b"{", **sent)[0] == 400
    assert editable.json("/api/studies/1") == before


def test_deleting_a_study_with_entries_that_lead_elsewhere(
    changed: Path, editable: Served
) -> None:
    """A study goes whole, with its files that are not lost; what its entries lead to stays."""
    artifacts = changed / "artifacts"
    (artifacts / "models").mkdir()
    kept = set(artifacts.iterdir())
    page, picture, linked = upload(changed, "other").values()
    outside = changed / "outside.txt"
    outside.write_text("mine")
    for address in (picture, linked):
        (artifacts / Path(address).name).unlink()
    (artifacts / Path(linked).name).symlink_to(outside)
    with opened(url_of(changed), write=True) as storage:
        key = storage.get_study_id_from_name("other")
        wrong = ("../outside.txt", str(outside), "a/../../outside.txt", "models", "", ".", "a\0b")
        for bad in wrong:
            meta = {"artifact_id": bad, "filename": "a", "mimetype": "text/plain"}
            entry = json.dumps(meta | {"encoding": None})
            storage.set_study_system_attr(key, f"artifacts:{bad}", entry)
    assert [editable.get(address)[0] for address in (page, picture, linked)] == [200, 404, 404]
    assert editable.get(linked)[2] == b"This file is lost."
    before = editable.json("/api/studies")["study_summaries"]
    sent = {"Content_Type": "application/json", "Origin": editable.address}
    assert editable.ask("DELETE", f"/api/studies/{key}", b"{}", **sent)[0] == 204
    after = editable.json("/api/studies")["study_summaries"]
    assert after == [summary for summary in before if summary["study_id"] != key] != before
    assert outside.read_text() == "mine"
    assert set(artifacts.iterdir()) == kept


OTHER_USER = """
import encodings.idna, http.client, os, sys
user, port, pid = map(int, sys.argv[1:])
if os.getuid() != user:  # only root can become another user
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
for name in ("cmdline", "environ", "mem"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as opened:
            print(opened.read(100000))
    except OSError:
        pass
for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"):
    for path in ("/", "/dashboard", "/api/studies", "/api/studies/1", "/csv/1", "/report/1",
                 "/static/bundle.js", "/artifacts/1/1/ab", "/dashboard?token=", "/?token=x"):
        for more in ({}, {"Cookie": f"emoji-study-{port}="}, {"Authorization": "token "},
                     {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}):
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            asked.request(method, path, headers=more)
            answer = asked.getresponse()
            assert answer.status == 403 and not answer.getheader("Set-Cookie"), (method, path)
            print(answer.read().decode())
print(os.getuid(), "is done")
"""


def test_another_user_without_the_token(changed: Path, editable: Served) -> None:
    """Reads nothing and changes nothing, also of a dashboard that may change studies."""
    before = everything(changed)
    other = 65534 if os.geteuid() == 0 else os.geteuid()
    numbers = (other, editable.port, editable.process.pid)
    done = subprocess.run(
        [sys.executable, "-I", "-c", OTHER_USER, *map(str, numbers)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{other} is done\n")
    assert SECRET not in done.stdout
    assert editable.token not in done.stdout
    assert "open the whole address that `emoji-study dashboard` printed" in done.stdout
    assert everything(changed) == before


def test_tokens_are_each_for_one_dashboard(served: Served, editable: Served) -> None:
    """Neither the token of another dashboard nor the cookie of another port opens one."""
    assert served.get("/api/studies", Authorization=f"token {editable.token}")[0] == 403
    cookies = {
        f"emoji-study-{editable.port}={served.token}": 403,
        f"emoji-study-{served.port}={editable.token}": 403,
        f"a=b=c; emoji-study-{served.port}={served.token}; d": 200,
    }
    for cookie, status in cookies.items():
        assert served.get("/api/studies", Authorization="", Cookie=cookie)[0] == status


def test_opened_in_a_browser_behind_a_served_storage(
    browser: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], bool]], None],
) -> None:
    """--open passes a file that only its user can read; it leads to the page, which has a cookie
    that no script can read, and an address without the token.

    Behind ``serve-storage`` it is as elsewhere: a trial that breaks the constraint is not the
    best, nothing is changed, and SIGTERM is the end, after which the port is free.
    """
    program, told = tmp_path / "program", tmp_path / "told"
    program.write_text(f'#!/bin/sh\necho "$@" > {told}.new; mv {told}.new {told}\n')
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    with served_storage(url_of(tmp_path)) as address, opened(address) as storage:
        study = optuna.create_study(storage=storage, study_name="faces")
        for value, lack in ((0.3, -0.1), (0.1, 0.2), (0.2, 0.0), (0.4, -0.2)):
            study.add_trial(create_trial(value=value, system_attrs={CONSTRAINTS: [lack]}))
        (tmp_path / "artifacts").mkdir()
        options = ("--artifacts", str(tmp_path / "artifacts"), "--open")
        with serving(address, *options) as served:
            wait_until(told.exists)
            arguments = told.read_text().strip()
            file = Path(arguments.removeprefix("file://"))
            assert served.token not in arguments
            assert file.stat().st_mode & 0o777 == 0o600
            assert file.parent.stat().st_mode & 0o777 == 0o700
            page = browser.new_context().new_page()
            refused = page.goto(f"{served.address}/dashboard")
            assert refused is not None
            assert refused.status == 403
            page.goto(arguments)
            page.wait_for_url(f"{served.address}/dashboard")
            expect(page.get_by_text("faces").first).to_be_visible(timeout=60_000)
            (cookie,) = page.context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            assert page.evaluate("document.cookie") == ""
            page.context.close()
            detail = served.json("/api/studies/1")
            broken = {t["number"] for t in detail["trials"] if max(t["constraints"]) > 0}
            (best,) = detail["best_trials"]
            assert (broken, best["number"]) == ({1}, 2)
            assert served.ask("DELETE", "/api/studies/1")[0] == 403
            assert served.get("/report/1")[0] == 200
            assert served.end(signal.SIGTERM) == ""
    assert not file.parent.exists()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", served.port))


def test_slow_peers(served: Served) -> None:
    """Pages are answered beside any number of connections that say nothing or half of it."""
    token = f"Authorization: token {served.token}\r\n"
    halves = ["", "GET /api", "GET / HTTP/1.1\r\nHost: localhost\r\n"]
    halves.append(f"POST / HTTP/1.1\r\nHost: localhost\r\n{token}Content-Length: 9\r\n\r\n1")
    peers = []
    for half in halves * 64:
        peers.append(socket.create_connection(("127.0.0.1", served.port)))
        peers[-1].sendall(half.encode())
    assert served.get("/dashboard")[0] == 200
    assert served.json("/api/studies")["study_summaries"]
    for peer in peers:
        peer.close()


def test_a_locked_database_is_waited_for(folder: Path, served: Served) -> None:
    """Pages wait for a program that locks the whole file; whatever needs none is answered."""
    assert served.get("/report/2")[0] == 200
    got: list[int] = []
    tabs = [
        threading.Thread(target=lambda path=path: got.append(served.get(path)[0]), daemon=True)
        for path in ["/api/studies/1", *["/report/2"] * 8]
    ]
    with closing(sqlite3.connect(folder / "study.db", isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        for tab in tabs:
            tab.start()
        assert served.get("/static/bundle.js")[0] == 200
        tabs[0].join(8)  # longer than SQLite's own patience of five seconds
        assert got == []
        lock.execute("COMMIT")
    for tab in tabs:
        tab.join()
    assert got == [200] * 9


@pytest.mark.skipif(joblib.cpu_count() < 2, reason="one core has no other processes")
def test_the_end_in_the_middle_of_a_report(
    tmp_path: Path, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    """Ctrl-C ends it without an error and with all processes, also while these share a report."""
    study = optuna.create_study(storage=optuna.storages.RDBStorage(url_of(tmp_path)))
    kept = optuna.distributions.FloatDistribution(0, 1)
    study.add_trials(
        optuna.trial.create_trial(
            value=i % 7, params={"x": i / MIN_TRIALS}, distributions={"x": kept}
        )
        for i in range(MIN_TRIALS)
    )
    with serving(url_of(tmp_path)) as served, socket.socket() as asked:
        asked.connect(("127.0.0.1", served.port))
        token = f"Authorization: token {served.token}"
        asked.sendall(f"GET /report/1 HTTP/1.1\r\nHost: localhost\r\n{token}\r\n\r\n".encode())
        tasks = Path(f"/proc/{served.process.pid}/task")

        def n_children() -> int:
            files = [file for file in tasks.glob("*/children") if file.exists()]
            return sum(len(file.read_text().split()) for file in files)

        wait_until(lambda: n_children() >= 2)  # one watches over semaphores
        os.kill(served.process.pid, signal.SIGINT)
        said = served.process.communicate(timeout=60)[1]  # all others have let go of it
    assert served.process.returncode == 0, said
    assert "Traceback" not in said
    assert "terminate called" not in said
