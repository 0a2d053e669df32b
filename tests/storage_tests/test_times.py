"""Times of trials and of heartbeats: the same in whatever zone a machine or a session is."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from storage import attrs, operations
from storage.operations import since
from storage.queue import silences
from storage.rdb import GRACE_PERIOD_S
from storage.served import make_server, perform
from tests.servers import free_port, new_database, opened, postgres_server

ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns")

WORKER = """
import sys
import optuna
from storage import queue
from storage.rdb import open_storage

study = optuna.load_study(study_name="study", storage=open_storage(sys.argv[1], write=True))
for line in sys.stdin:
    if line == "claim\\n":
        claimed = queue.claim(study)
        said = claimed.number
    elif line == "reap\\n":
        said = queue.reap(study)
    else:
        said = study.tell(claimed.number, 0.0).state.name
    print(said, flush=True)
"""

READ = """
import sys
from storage.rdb import open_storage
from storage.records import load_study_record

for url in sys.argv[1:]:
    for trial in load_study_record(open_storage(url), "study").trials:
        print(trial.started, trial.completed, trial.duration_s)
"""


def create(storage: BaseStorage) -> int:
    """Create a study that wants twenty trials of an endless design; return its key."""
    study = optuna.create_study(storage=storage, study_name="study")
    study.set_user_attr(attrs.TARGET, 20)
    study.set_user_attr(attrs.DESIGN, {"next": 0, "end": None, "replicate": 0})
    return study._study_id


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    """A PostgreSQL server."""
    with postgres_server(tmp_path / "server") as running:
        yield running


def test_silences_on_a_server(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of all zones read for how long the trials of all zones have been silent.

    Also those of other programs, which do not tell their zones, and of a role that has one.
    """
    url = new_database(server, "studies")
    with opened(url, create=True, write=True) as storage:
        study_id = create(storage)
    trials = []
    for zone in ZONES:
        monkeypatch.setenv("PGTZ", zone)
        with opened(url, write=True) as storage:
            trials.append(
                perform(storage, operations.claim, study_id=study_id, worker=f"host:{zone}")
            )
            trials.append(storage.create_new_trial(study_id))
            backend: Any = storage
            backend._backend.record_heartbeat(trials[-1])  # as versions before did it
    monkeypatch.delenv("PGTZ")
    server.psql("ALTER ROLE postgres SET timezone = 'Pacific/Chatham';")
    with opened(url, write=True) as storage:
        trials.append(perform(storage, operations.claim, study_id=study_id, worker="host:role"))
        perform(storage, operations.beat, trial_id=trials[0])
    for age_s in (0, 2 * GRACE_PERIOD_S):
        server.psql(
            "\\c studies\n"
            f"UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '{age_s} seconds';"
        )
        for zone in (*ZONES, None):
            if zone is None:
                monkeypatch.delenv("PGTZ")
            else:
                monkeypatch.setenv("PGTZ", zone)
            with opened(url) as storage:
                silent_s = silences(storage, study_id)
            assert set(silent_s) == set(trials)
            assert {0 <= s - age_s < GRACE_PERIOD_S for s in silent_s.values()} == {True}, zone


@pytest.mark.parametrize(
    ("seconds", "zone", "expected"),
    [
        (10, 0, 10),
        (10 - 3600, 3600, 10),
        (10 + 18000, -18000, 10),
        (100_000, 0, 100_000),
        (10, None, 10),
        (10 - 5.75 * 3600, None, 10),
        (10 + 12 * 3600, None, 10),
        (10 - 14 * 3600, None, 10),
        (400 + 3600, None, 400),
        (100_000, None, 100_000 - 12 * 3600),
    ],
)
def test_since(seconds: float, zone: float | None, expected: float) -> None:
    """A known zone is exact; of the others that one counts which makes it the shortest time."""
    assert since(seconds, zone) == expected


@contextmanager
def workers(url: str, zones: tuple[str, ...]) -> Iterator[list[subprocess.Popen[str]]]:
    """Start a worker for each zone of a session, which does what it is told line by line."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, url],
            env=os.environ | {"PGTZ": zone},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for zone in zones
    ]
    try:
        yield started
    finally:
        for process in started:
            process.communicate()


def tell(process: subprocess.Popen[str], order: str) -> str:
    """Give a worker an order; return its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{order}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_workers_of_different_zones(server: Any) -> None:
    """Two workers of different zones do twenty trials, and no trial is thought dead."""
    url = new_database(server, "studies")
    with opened(url, create=True, write=True) as storage:
        create(storage)
        with workers(url, ("UTC", "Europe/Berlin")) as both:
            numbers = []
            for _ in range(10):
                numbers += [int(tell(worker, "claim")) for worker in both]
                assert [tell(worker, "reap") for worker in both] == ["0", "0"]
                assert [tell(worker, "end") for worker in both] == ["COMPLETE"] * 2
        trials = optuna.load_study(study_name="study", storage=storage).get_trials()
    assert numbers == list(range(20))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 20


def test_records_do_not_depend_on_zones(url: str) -> None:
    """Readers in all zones get the same instants, also of the hour that Berlin has twice.

    From the file, and from a server of it in another zone.
    """
    path = url.removeprefix("sqlite:///")
    with opened(url, create=True, write=True) as storage:
        study_id = create(storage)
        for state in (TrialState.COMPLETE, TrialState.COMPLETE, None, TrialState.WAITING):
            storage.create_new_trial(
                study_id,
                None
                if state is None
                else create_trial(state=state, value=0.5 if state.is_finished() else None),
            )
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                "UPDATE trials SET datetime_start = '2026-10-25 00:59:58.500000';"
                "UPDATE trials SET datetime_complete = '2026-10-25 01:00:02.000000' "
                "WHERE state = 'COMPLETE';"
                "UPDATE trials SET datetime_start = '2026-10-25 01:30:00.000000', "
                "datetime_complete = '2026-10-25 01:30:01.000000' WHERE number = 1;"
                "UPDATE trials SET datetime_start = NULL WHERE state = 'WAITING';"
            )
        port = free_port()
        service = make_server(storage, host="127.0.0.1", port=port, n_threads=2)
        service.start()
        try:
            outputs = [
                subprocess.check_output(
                    [sys.executable, "-c", READ, url, f"grpc://127.0.0.1:{port}"],
                    env=os.environ | {"TZ": zone},
                    text=True,
                )
                for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu")
            ]
        finally:
            service.stop(grace=None).wait()
    wanted = [
        "2026-10-25 00:59:58.500000+00:00 2026-10-25 01:00:02+00:00 3.5",
        "2026-10-25 01:30:00+00:00 2026-10-25 01:30:01+00:00 1.0",
        "2026-10-25 00:59:58.500000+00:00 None None",
        "None None None",
    ]
    assert [output.splitlines() for output in outputs] == [2 * wanted] * 3
