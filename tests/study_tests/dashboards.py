"""A study with trials of every end, and the dashboard as a process of its own."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import NopPruner, ThresholdPruner

from storage import attrs, queue
from storage.rdb import open_storage
from study.running.budget import request
from study.running.worker import run_trial
from study.settings import StudySettings
from tests.study_tests.studies import (
    claim,
    dead_worker,
    objective_of,
    open_study,
    start_design,
    url_of,
)


def everything(folder: Path) -> tuple[list[str], dict[str, int]]:
    """Return all of the database as SQL, and the sizes of all files."""
    uri = f"file:{folder / 'study.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        rows = list(connection.iterdump())
    return rows, {path.name: path.stat().st_size for path in (folder / "artifacts").iterdir()}


def begin_study(folder: Path, settings: StudySettings, name: str = "faces") -> optuna.Study:
    """Create a study whose first trial's worker was killed before its first epoch ended."""
    study = open_study(open_storage(url_of(folder), create=True, write=True), name, settings)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    study.pruner = NopPruner()
    start_design(study, settings)
    request(study, 100)
    claim(study).set_user_attr(attrs.WORKER, dead_worker())
    assert queue.reap(study, artifacts=folder / "artifacts") == 1
    return study


def add_trials(study: optuna.Study, folder: Path, settings: StudySettings, n_trials: int) -> None:
    """Train trials: the second is pruned after an epoch, the fourth is told to stop then."""
    objective = objective_of(settings, folder / "artifacts")
    for i in range(n_trials):
        stop = threading.Event()
        if i == 3:
            stop.set()
        study.pruner = ThresholdPruner(upper=0.0) if i == 1 else NopPruner()
        run_trial(study, claim(study), objective, stop)


@dataclass(frozen=True)
class Served:
    """A dashboard that is being served."""

    process: "subprocess.Popen[str]"
    address: str
    """Of the server, without a path."""
    token: str
    said: str
    """At its start."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Ask for a page; return status, headers and content."""
        return self.ask("GET", path, **headers)

    def json(self, path: str) -> Any:
        """Ask for data."""
        return json.loads(self.get(path)[2])

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request with the token; names of headers are written with underscores."""
        asked = urllib.request.Request(f"{self.address}{path}", data=body, method=method)
        for name, text in {"Authorization": f"token {self.token}", **headers}.items():
            asked.add_header(name.replace("_", "-"), text)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def raw(self, sent: bytes) -> bytes:
        """Send bytes; return all that is answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as asked:
            asked.sendall(sent)
            return b"".join(iter(lambda: asked.recv(65536), b""))

    def end(self, number: signal.Signals = signal.SIGINT) -> str:
        """End it with a signal; return what it wrote to the error stream."""
        os.killpg(self.process.pid, number)
        said = self.process.communicate(timeout=60)[1]
        assert self.process.returncode == 0, said
        return said


@contextmanager
def serving(
    url: str,
    *options: str,
    command: Sequence[str] = (sys.executable, "-m", "study"),
    env: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Serve a storage with ``emoji-study dashboard`` until the end of the block."""
    with subprocess.Popen(
        [*command, "dashboard", "--storage", url, "--port", "0", *options],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        said = process.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+)/\?token=([\w-]{43}) ", said)
        try:
            assert found, said + process.communicate(timeout=60)[1]
            yield Served(process, found[1], found[2], said)
        finally:
            process.kill()
