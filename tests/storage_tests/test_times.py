"""Times of trials and of heartbeats: the same in whatever zone a machine or a session is."""

import sqlite3
import time
from contextlib import closing
from itertools import product
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from storage import attrs, operations, queue
from storage.operations import since
from storage.rdb import GRACE_PERIOD_S
from storage.records import load_study_record
from storage.served import perform
from tests.servers import new_database, opened, served

pytestmark = pytest.mark.whole

ZONES = ("UTC", "Asia/Kathmandu", "Etc/GMT+12", "Pacific/Kiritimati", "<mars>-5:45")


def test_silences_on_a_server(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of all zones read the same silences of all zones' trials, other programs' too."""
    url = new_database(postgres, "zones")
    postgres.psql("ALTER DATABASE zones SET timezone = 'Pacific/Chatham';")
    with opened(url, create=True, write=True) as storage:
        study = optuna.create_study(storage=storage)
        study.set_user_attr(attrs.TARGET, 20)
        own = {"study_id": (study_id := study._study_id)}
        perform(storage, operations.start_design, replicate=0, end=None, **own)
        trials = [perform(storage, operations.claim, worker=w, **own) for w in ("h:1", "h:2")]
    for zone in ZONES:
        monkeypatch.setenv("PGTZ", zone)
        with opened(url, write=True) as storage:
            own = {"study_id": study_id, "worker": f"host:{zone}"}
            trials.append(perform(storage, operations.claim, **own))
            trials.append(storage.create_new_trial(study_id))
            storage._backend.record_heartbeat(trials[-1])  # as versions before did it
            perform(storage, operations.beat, trial_id=trials[0])
    for age_s in (0, 2 * GRACE_PERIOD_S):
        postgres.psql(
            "\\c zones\n"
            f"UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '{age_s} seconds';"
        )
        for zone in ZONES:
            monkeypatch.setenv("PGTZ", zone)
            with opened(url) as storage:
                silent_s = queue.silences(storage, study_id)
            assert set(silent_s) == set(trials)
            assert {0 <= s - age_s < GRACE_PERIOD_S for s in silent_s.values()} == {True}, zone


def test_since() -> None:
    """A known zone is exact; of the others that one counts which makes it the shortest time."""
    assert since(10 - 3600, 3600) == 10
    assert since(100_000, 0) == 100_000
    for hours in (-14, -5.75, 0, 12):
        assert since(10 + hours * 3600, None) == 10
    assert since(400 + 3600, None) == 400
    assert since(100_000, None) == 100_000 - 12 * 3600


def test_records_do_not_depend_on_zones(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers in all zones get the same instants, also of the hour that Berlin has twice."""
    made = create_trial(value=0.5)
    with opened(url, create=True, write=True) as storage:
        study_id = optuna.create_study(storage=storage, study_name="study")._study_id
        for template in (made, made, None, create_trial(state=TrialState.WAITING)):
            storage.create_new_trial(study_id, template)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.executescript(
            "UPDATE trials SET datetime_start = '2026-10-25 00:59:58.500000';"
            "UPDATE trials SET datetime_complete = '2026-10-25 01:00:02.000000' "
            "WHERE state = 'COMPLETE';"
            "UPDATE trials SET datetime_start = '2026-10-25 01:30:00.000000', "
            "datetime_complete = '2026-10-25 01:30:01.000000' WHERE number = 1;"
            "UPDATE trials SET datetime_start = NULL WHERE state = 'WAITING';"
        )
    wanted = [
        ("2026-10-25 00:59:58.500000+00:00", "2026-10-25 01:00:02+00:00", 3.5),
        ("2026-10-25 01:30:00+00:00", "2026-10-25 01:30:01+00:00", 1.0),
        ("2026-10-25 00:59:58.500000+00:00", "None", None),
        ("None", "None", None),
    ]
    with served(url) as address:
        for zone, place in product(("UTC", "Europe/Berlin"), (url, address)):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            with opened(place) as storage:
                trials = load_study_record(storage, "study").trials
            assert [(str(t.started), str(t.completed), t.duration_s) for t in trials] == wanted
    monkeypatch.undo()
    time.tzset()
