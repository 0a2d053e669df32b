"""Who gets what of a dashboard: no odd request, no uploaded file, no other user, no slow peer."""

import json
import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import product
from pathlib import Path

import joblib
import optuna
import pytest
from optuna.trial import create_trial
from playwright.sync_api import Browser, expect

from storage.internals import CONSTRAINTS
from study.report.processes import MIN_TRIALS
from tests.servers import opened
from tests.servers import served as served_storage
from tests.study_tests.dashboard.conftest import SECRET, UPLOADED, upload
from tests.study_tests.dashboards import Served, everything, serving, url_of

INSERTED = [
    *("%FF", "%C0%AF", "\xff", "/", "//", "/.", "/./", "/..", "/%2e%2e/", "%2F", "\\", "%00", "-"),
    *("%0D%0A", "%20", "+", "%25", ";x=1", ":", "@", "*", "%C2%A0", "%E2%80%AE", "~", "0", "."),
]


def spellings(address: str) -> list[str]:
    """Return ways to write the path of a trial's file, some of which lead elsewhere."""
    parts = address.split("/")
    found = [address, f"/{address}", f"{address}/", f"{address}?x", f"/dashboard/..{address}"]
    found += [address.replace("a", "%61"), address.upper(), f"/x/%2e%2e{address}", f"//x{address}"]
    for inserted, place, before in product(INSERTED, (1, 2, 4), (True, False)):
        part = inserted + parts[place] if before else parts[place] + inserted
        found.append("/".join([*parts[:place], part, *parts[place + 1 :]]))
    return list(dict.fromkeys(found))


def ask(
    served: Served, target: str, host: str = "Host: localhost", *, method: str = "GET"
) -> tuple[int, str]:
    """Send a request as it is written; return the status and the whole answer."""
    lines = [f"{method} {target} HTTP/1.1", host, f"Authorization: token {served.token}"]
    got = served.raw("\r\n".join([*lines, "", ""]).encode("latin-1")).decode("latin-1")
    return int(got.split(" ")[1]), got


def test_uploaded_files_under_any_spelling(served: Served, uploaded: dict[str, str]) -> None:
    """Whatever is answered with their content is in the sandbox; all else is refused."""
    for name, address in uploaded.items():
        n_given = 0
        for path in spellings(address)[: None if name == "page.html" else 9]:
            status, got = ask(served, path)
            head, _, content = got.partition("\r\n\r\n")
            assert "; sandbox" in head, (path, got)
            assert status == 200 if content == UPLOADED[name] else 400 <= status < 500, (path, got)
            n_given += status == 200
        assert n_given >= 3
    odd = (("HEAD", "X: x"), ("GET", "Range: bytes=0-9"), ("GET", "Script_Name: /x"))
    for method, more in odd:
        status, got = ask(served, address, f"Host: localhost\r\n{more}", method=method)
        assert (status, "; sandbox" in got) == (200, True)


HUGE = "9" * 30
TARGETS = [
    *(f"/report/{HUGE}", "/report/-1", "/report/\u00b2", "/report/2147483647", "/report/1/../1"),
    *(f"/api/studies/{HUGE}", "/api/studies/2147483648", f"/api/studies/{HUGE}/plot/contour"),
    *("/api/studies/77/param_importances", "/api/studies/77/plot/slice", "/api/studies/77"),
    *("/api/studies/1/plot/x", "/csv/77", f"/artifacts/1/{HUGE}/ab", "/artifacts/77/1/ab"),
    *("/artifacts/1/77/ab", "/artifacts/77/ab", "/api/studies/1?after=x", "/csv/1?trial_ids=x"),
    *(f"/api/studies/1?after={'9' * 5000}", "http://localhost/api/studies", "*", "x"),
    *("/static/../index.html", "/static/%2e%2e/_app.py", "/static/x", f"/{'x' * 70000}"),
]
HOSTS = [
    *("[::1", "localhost:x", "a@localhost", "\xff", "", "localhost.evil.example", "localhost:-1"),
    *("[]", "[::1]x", "[::ffff:127.0.0.1]", "[::1%25lo]", "127.1", "0.0.0.0", "localhost."),
    *("localhost, evil.example", "localhost\r\nHost: evil.example", "%6cocalhost", "localhost#"),
]


def test_odd_requests(served: Served) -> None:
    """Each is answered with 4xx."""
    asked = [("GET", target, "localhost") for target in TARGETS]
    asked += [("GET", "/api/studies", host) for host in HOSTS]
    asked += [(method, "/api/studies", "localhost") for method in ("BREW", "get", "TRACE")]
    for method, target, host in asked:
        status, got = ask(served, target, f"Host: {host}", method=method)
        assert 400 <= status < 500, (method, target, host, got)
        assert SECRET not in got
    for garbage in (b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        assert SECRET.encode() not in served.raw(garbage)


def test_odd_changes(editable: Served) -> None:
    """Changes that cannot be are answered with 4xx as well, and change nothing."""
    sent = {"Content_Type": "application/json", "Origin": editable.address}
    before = [editable.json(path) for path in ("/api/studies", "/api/studies/1")]
    tell = b'{"state": "Complete", "values": [1]}'
    new = b'{"directions": ["minimize"], "study_name": %s}'
    for method, path, body in (
        *(("PUT", "/api/studies/1/note", body) for body in (b"[]", b"1", b"null", b"{}", b"{")),
        ("PUT", "/api/studies/77/note", b'{"version": 1, "body": "x"}'),
        *(("POST", f"/api/trials/{key}/tell", tell) for key in (1, 77, HUGE)),
        *(("POST", "/api/artifacts/1", body) for body in (b'{"file": "x"}', b'{"file": 3}')),
        ("POST", "/api/studies", b'{"study_name": "x", "directions": 3}'),
        *(("POST", "/api/studies", new % name) for name in (b'{"a": 1}', b"[2]", b'"\\ud800"')),
        *(("POST", "/api/studies", body) for body in (b"[" * 100_000, b"\xff\xfe{}", b"\xef{}")),
        *(("DELETE", f"/api/studies/{key}", b"{}") for key in (77, HUGE)),
    ):
        status, _, got = editable.ask(method, path, body, **sent)
        assert 400 <= status < 500, (method, path, body, got)
    for length in ("", "-1", "ten", "\xb2", "9" * 20, None):
        lines = ["Host: localhost", "Origin: http://localhost", "Content-Type: application/json"]
        lines += [] if length is None else [f"Content-Length: {length}"]
        status, got = ask(editable, "/api/studies", "\r\n".join(lines), method="POST")
        assert 400 <= status < 500, (length, got)
    assert [editable.json(path) for path in ("/api/studies", "/api/studies/1")] == before


def test_deleting_a_study_whose_entries_lead_elsewhere(changed: Path, editable: Served) -> None:
    """A study goes whole, with its files that are not lost; what its entries lead to stays."""
    artifacts, outside = changed / "artifacts", changed / "outside.txt"
    kept = set(artifacts.iterdir())
    page, picture, linked = upload(changed, "other").values()
    outside.write_text("mine")
    for address in (picture, linked):
        (artifacts / Path(address).name).unlink()
    (artifacts / Path(linked).name).symlink_to(outside)
    with opened(url_of(changed), write=True) as storage:
        key = storage.get_study_id_from_name("other")
        meta = dict.fromkeys(("artifact_id", "filename", "mimetype", "encoding"), "../outside.txt")
        storage.set_study_system_attr(key, "artifacts:../outside.txt", json.dumps(meta))
        for odd in ("text/html\r\nX: 1", "text/html\0", "\ud800"):  # no type that can be told
            meta |= {"artifact_id": Path(page).name, "mimetype": odd}
            storage.set_study_system_attr(key, f"artifacts:{Path(page).name}", json.dumps(meta))
            assert editable.get(f"/artifacts/{key}/{Path(page).name}")[0] == 404
    assert [editable.get(address)[0] for address in (page, picture, linked)] == [200, 404, 404]
    before = editable.json("/api/studies")["study_summaries"]
    sent = {"Content_Type": "application/json", "Origin": editable.address}
    assert editable.ask("DELETE", f"/api/studies/{key}", b"{}", **sent)[0] == 204
    after = editable.json("/api/studies")["study_summaries"]
    assert after == [summary for summary in before if summary["study_id"] != key] != before
    assert (outside.read_text(), set(artifacts.iterdir())) == ("mine", kept)


def test_nobody_without_the_token(changed: Path, editable: Served, served: Served) -> None:
    """Without the right one, kept in the port's own cookie and shown nowhere, all is refused."""
    before, cookie = everything(changed), f"emoji-study-{editable.port}"
    for file in ("cmdline", "environ"):
        shown = Path(f"/proc/{editable.process.pid}/{file}").read_bytes()
        assert editable.token.encode() not in shown
    wrong = [{"Cookie": f"{cookie}="}, {"Cookie": f"{cookie}={served.token}"}]
    wrong += [{"Cookie": f"emoji-study-{served.port}={editable.token}"}]
    wrong += [{"Authorization": text} for text in ("token ", f"token {served.token}")]
    paths = ("/", "/dashboard", "/api/studies/1", "/csv/1", "/report/1", "/static/bundle.js")
    paths += ("/artifacts/1/1/ab", "/dashboard?token=", "/?token=x")
    sent = {"Origin": editable.address, "Sec_Fetch_Site": "same-origin", "Authorization": ""}
    for method, path, own in product(("GET", "OPTIONS", "PUT", "DELETE"), paths, wrong):
        status, headers, got = editable.ask(method, path, **(sent | own))
        assert (status, "Set-Cookie" in headers) == (403, False), (method, path, own)
        assert b"open the whole address that `emoji-study dashboard` printed" in got
    assert everything(changed) == before
    right = {"Authorization": "", "Cookie": f"a=b=c; {cookie}={editable.token}; d"}
    assert editable.get("/api/studies", **right)[0] == 200


def test_opened_in_a_browser_behind_a_served_storage(
    browser: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], bool]], None],
) -> None:
    """--open passes a file that only its user can read; it leads to the page, which has a cookie
    that no script can read, and an address without the token.

    Behind ``serve-storage`` it is as elsewhere: a trial that breaks the constraint is not the
    best, and SIGTERM is the end.
    """
    program, told = tmp_path / "program", tmp_path / "told"
    program.write_text(f'#!/bin/sh\necho "$@" > {told}.new; mv {told}.new {told}\n')
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    with served_storage(url_of(tmp_path)) as address, opened(address) as storage:
        study = optuna.create_study(storage=storage, study_name="faces")
        for value, lack in ((0.3, -0.1), (0.1, 0.2), (0.2, 0.0)):
            study.add_trial(create_trial(value=value, system_attrs={CONSTRAINTS: [lack]}))
        with serving(address, "--artifacts", str(tmp_path), "--open") as served:
            wait_until(told.exists)
            file = Path(told.read_text().strip().removeprefix("file://"))
            modes = [path.stat().st_mode & 0o777 for path in (file, file.parent)]
            assert modes == [0o600, 0o700]
            page = browser.new_context().new_page()
            page.goto(file.as_uri())
            page.wait_for_url(f"{served.address}/")
            expect(page.get_by_text("faces").first).to_be_visible(timeout=60_000)
            (cookie,) = page.context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            page.context.close()
            (best,) = served.json("/api/studies/1")["best_trials"]
            assert best["number"] == 2
            assert served.get("/report/1")[0] == 200
            assert served.end(signal.SIGTERM) == ""
    assert not file.parent.exists()


def test_slow_peers_and_a_locked_database(folder: Path, served: Served) -> None:
    """Pages are answered beside peers that say nothing, and wait for a lock only if they must."""
    token = f"Authorization: token {served.token}\r\n"
    halves = ["", "GET /api", "GET / HTTP/1.1\r\nHost: localhost\r\n"]
    halves.append(f"POST / HTTP/1.1\r\nHost: localhost\r\n{token}Content-Length: 9\r\n\r\n1")
    peers = []
    for half in halves * 64:
        peers.append(socket.create_connection(("127.0.0.1", served.port)))
        peers[-1].sendall(half.encode())
    with ThreadPoolExecutor(9) as tabs:
        with closing(sqlite3.connect(folder / "study.db", isolation_level=None)) as lock:
            lock.execute("BEGIN EXCLUSIVE")
            got = [tabs.submit(served.get, p) for p in ["/api/studies/1", *["/report/2"] * 8]]
            assert served.get("/static/bundle.js")[0] == 200
            assert not any(answer.done() for answer in got)
        assert [answer.result()[0] for answer in got] == [200] * 9
    for peer in peers:
        peer.close()


@pytest.mark.skipif(joblib.cpu_count() < 2, reason="one core has no other processes")
def test_the_end_in_the_middle_of_a_report(
    tmp_path: Path, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    """Ctrl-C ends it without an error and with all processes, also while these share a report."""
    study = optuna.create_study(storage=optuna.storages.RDBStorage(url_of(tmp_path)))
    ranges = {"x": optuna.distributions.FloatDistribution(0, 1)}
    shares = [i / MIN_TRIALS for i in range(MIN_TRIALS)]
    made = (create_trial(value=x * 7 % 1, params={"x": x}, distributions=ranges) for x in shares)
    study.add_trials(made)
    with serving(url_of(tmp_path)) as served, ThreadPoolExecutor(1) as pool:
        pool.submit(served.get, "/report/1")
        tasks = Path(f"/proc/{served.process.pid}/task")

        def n_children() -> int:
            files = [file for file in tasks.glob("*/children") if file.exists()]
            return sum(len(file.read_text().split()) for file in files)

        wait_until(lambda: n_children() >= 2)  # one watches over semaphores
        os.kill(served.process.pid, signal.SIGINT)
        said = served.process.communicate(timeout=60)[1]  # all others have let go of it
    assert served.process.returncode == 0, said
    assert "Traceback" not in said
