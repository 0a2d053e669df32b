"""A database behind a real server: what clients do there is what they would do themselves."""

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import grpc
import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from storage import attrs, operations, queue
from storage.errors import StorageAccessError, StorageUnreachableError
from storage.outages import outage
from storage.rdb import open_storage
from storage.records import load_study_record
from storage.served import ServedStorage, make_server, perform
from storage.writing import Reports, suggesting, write_trial
from tests.servers import free_port

HOST = "127.0.0.1"


@pytest.fixture
def served(url: str) -> BaseStorage:
    """The database itself."""
    return open_storage(url, create=True, write=True)


@pytest.fixture
def address(served: BaseStorage) -> Iterator[str]:
    """The URL of a running server of the database."""
    port = free_port()
    server = make_server(served, host=HOST, port=port, n_threads=4)
    server.start()
    yield f"grpc://{HOST}:{port}"
    server.stop(grace=None).wait()


@pytest.fixture
def client(address: str) -> Iterator[ServedStorage]:
    """A client of that server."""
    storage = open_storage(address)
    assert isinstance(storage, ServedStorage)
    yield storage
    storage.close()


@pytest.fixture
def study(client: ServedStorage) -> optuna.Study:
    """A study that a client created and wants ten trials of."""
    study = optuna.create_study(storage=client, study_name="study")
    study.set_user_attr(attrs.TARGET, 10)
    perform(client, operations.start_design, study_id=study._study_id, replicate=0, end=None)
    return study


def claim(study: optuna.Study) -> optuna.Trial:
    """Claim a trial, of which there must be one."""
    claimed = queue.claim(study)
    assert isinstance(claimed, FrozenTrial), claimed
    return optuna.Trial(study, claimed._trial_id)


def heartbeats(url: str) -> list[tuple[Any, ...]]:
    """Return all heartbeats in the database."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute("SELECT trial_id, heartbeat FROM trial_heartbeats").fetchall()


def test_a_trial_from_claim_to_end(study: optuna.Study, served: BaseStorage) -> None:
    """Trials are claimed, written and finished through a server as without one."""
    trial = claim(study)
    with suggesting(trial):
        assert trial.suggest_float("x", 0, 1) == trial.params["x"]
    write_trial(trial, user_attrs={"text": "Ü", "list": [1, 2]}, intermediate_values={0: 0.5})
    reports = Reports(trial)
    for step, value in ((1, 0.25), (2, float("inf"))):
        reports.add(value, step=step)
    reports.flush()
    study.tell(trial, 0.25)
    direct = optuna.load_study(study_name="study", storage=served)
    (stored,) = direct.get_trials()
    assert study.get_trials() == [stored]
    assert (stored.state, stored.value, stored.params) == (
        TrialState.COMPLETE,
        0.25,
        trial.params,
    )
    assert stored.intermediate_values == {0: 0.5, 1: 0.25, 2: float("inf")}
    assert stored.user_attrs == {
        "text": "Ü",
        "list": [1, 2],
        attrs.DESIGN_INDEX: 0,
        attrs.WORKER: queue.worker_id(),
    }
    assert load_study_record(study._storage, "study") == load_study_record(served, "study")


def test_empty(study: optuna.Study) -> None:
    """Why there is nothing to claim comes through as well."""
    study.set_user_attr(attrs.TARGET, 1)
    mine = claim(study)
    assert claim(study)._trial_id == mine._trial_id
    arguments = {"study_id": study._study_id, "worker": "elsewhere:1"}
    assert perform(study._storage, operations.claim, **arguments) == queue.Empty.BUSY.value
    study.tell(mine, 0.5)
    assert queue.claim(study) is queue.Empty.DONE


def test_failures(study: optuna.Study) -> None:
    """Trials are failed and queued again by the server, in one transaction there."""
    first = claim(study)
    assert queue.fail(study, first._trial_id, "disk full", queue.Cause.ERROR)
    assert not queue.fail(study, first._trial_id, "again", queue.Cause.ERROR)
    second = claim(study)
    assert second.user_attrs[attrs.RETRY_OF] == 0
    assert queue.fail(study, second._trial_id, None, queue.Cause.CONFIGURATION)
    failed = study.get_trials()
    assert [trial.state for trial in failed] == [TrialState.FAIL] * 2
    assert failed[0].user_attrs[attrs.FAILURE] == "disk full"


def test_heartbeats(study: optuna.Study, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats, silence and the dead are seen through a server, too."""
    monkeypatch.setattr(queue, "HEARTBEAT_INTERVAL_S", 0)
    trial = claim(study)
    trial.set_user_attr(attrs.WORKER, "elsewhere:1")
    long_ago = (trial._trial_id, "2001-01-01 00:00:00")
    for beats in (True, False):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute("UPDATE trial_heartbeats SET heartbeat = ?", long_ago[1:])
            connection.commit()
        if beats:
            queue.Heartbeat(trial).beat()
            assert heartbeats(url) > [long_ago]
        assert list(queue.silences(study._storage, study._study_id)) == [trial._trial_id]
        assert queue.reap(study) == (not beats)


def test_ended_trials(study: optuna.Study) -> None:
    """Writing to a trial that has ended is the same error as without a server."""
    trial = claim(study)
    study.tell(trial, 0.5)
    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        write_trial(trial, user_attrs={"late": 1})
    assert "late" not in study.get_trials()[0].user_attrs


def test_unknown_trials(study: optuna.Study) -> None:
    """A trial that does not exist is a KeyError, as Optuna's storages have it."""
    with pytest.raises(KeyError):
        perform(
            study._storage, operations.write, trial_id=99, user_attrs={}, intermediate_values=[]
        )


def test_several_clients(study: optuna.Study, address: str) -> None:
    """Clients that claim at the same time never get the same trial, and no more than wanted."""
    claimed: list[list[Any]] = [[] for _ in range(4)]
    start = threading.Barrier(len(claimed))

    def work(number: int) -> None:
        storage = open_storage(address)
        assert isinstance(storage, ServedStorage)
        arguments = {"study_id": study._study_id, "worker": f"host:{number}"}
        start.wait()
        while isinstance(trial_id := storage.call("claim", arguments), int):
            claimed[number].append(trial_id)
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
        storage.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(claimed))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({trial_id for one in claimed for trial_id in one}) == sum(map(len, claimed)) == 10
    indices = [trial.user_attrs[attrs.DESIGN_INDEX] for trial in study.get_trials()]
    assert indices == list(range(10))


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without a server is an error in one line, with what starts one."""
    monkeypatch.setattr("storage.served.CONNECT_TIMEOUT_S", 0.1)
    port = free_port()
    message = rf"^Storage grpc://{HOST}:{port} cannot be reached: .*`emoji-study serve-storage`"
    with pytest.raises(StorageUnreachableError, match=message) as caught:
        open_storage(f"grpc://{HOST}:{port}")
    assert "\n" not in str(caught.value)


def test_port_in_use(served: BaseStorage) -> None:
    """A port that another program has is an error in one line."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            StorageAccessError, match=rf"^Cannot listen on {HOST}:{port}: "
        ) as seen:
            make_server(served, host=HOST, port=port, n_threads=1)
    assert "\n" not in str(seen.value)


def test_no_database() -> None:
    """What is neither a database nor a server of one is refused by its name."""
    message = r"^Workers need a database, which a InMemoryStorage is not\.$"
    with pytest.raises(StorageAccessError, match=message):
        perform(InMemoryStorage(), operations.beat, trial_id=0)


def test_with_and_without_cache(url: str, served: BaseStorage) -> None:
    """Operations find the database below Optuna's cache, or as it is."""
    plain: Any = optuna.storages.RDBStorage(url)
    study = optuna.create_study(storage=served)
    study.set_user_attr(attrs.TARGET, 1)
    arguments: dict[str, Any] = {"study_id": study._study_id, "worker": "host:1"}
    for storage in (served, plain):
        assert perform(storage, operations.claim, **arguments) == operations.EXHAUSTED
    plain.remove_session()
    plain.engine.dispose()


def test_damage_is_no_outage(study: optuna.Study, url: str) -> None:
    """What will not go away by itself is one line for clients too, and is not waited for."""
    trial = claim(study)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("DROP TABLE trial_heartbeats")
        connection.commit()
    with pytest.raises(StorageInternalError, match="no such table: trial_heartbeats") as caught:
        perform(study._storage, operations.beat, trial_id=trial._trial_id)
    assert outage(caught.value) is None
    assert "\n" not in str(caught.value)


def test_server_of_another_version(client: ServedStorage) -> None:
    """What the server does not know is said in one line, with what to do."""
    with pytest.raises(StorageAccessError, match=r"lacks 'dance'; start `emoji-study serve-st"):
        client.call("dance", {})


def test_repeated_step_is_no_outage(study: optuna.Study) -> None:
    """An operation that can never succeed says so."""
    trial = claim(study)
    write_trial(trial, intermediate_values={0: 1.0})
    with pytest.raises(StorageInternalError, match="IntegrityError") as caught:
        write_trial(trial, intermediate_values={0: 1.0})
    assert outage(caught.value) is None


def test_locked_database_is_an_outage(study: optuna.Study, url: str, served: BaseStorage) -> None:
    """A lock at the server's database is waited for, and described in one line."""
    trial = claim(study)
    backend: Any = served
    engine = backend._backend.engine
    engine.dispose()
    patience = sqlalchemy.event.listens_for(engine, "connect")
    patience(lambda connection, _: connection.execute("PRAGMA busy_timeout = 50"))
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(grpc.RpcError) as caught:
            write_trial(trial, intermediate_values={0: 1.0})
    assert outage(caught.value) == "database is locked"
