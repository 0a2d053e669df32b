"""A database behind a real server: what clients are told where something is wrong.

What they do there is what they would do themselves, see ``test_operations``.
"""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import grpc
import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial

from storage import attrs, operations, queue
from storage.errors import StorageAccessError, StorageUnreachableError
from storage.outages import outage
from storage.rdb import open_storage
from storage.served import ServedStorage, make_server, perform
from storage.writing import write_trial
from tests.servers import HOST, free_port, opened


@pytest.fixture
def served(url: str) -> BaseStorage:
    """The database itself."""
    return open_storage(url, create=True, write=True)


@pytest.fixture
def client(served: BaseStorage) -> Iterator[ServedStorage]:
    """A client of a running server of the database."""
    port = free_port()
    server = make_server(served, host=HOST, port=port, n_threads=4)
    server.start()
    with opened(f"grpc://{HOST}:{port}") as storage:
        assert isinstance(storage, ServedStorage)
        yield storage
    server.stop(grace=None).wait()


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
        assert perform(storage, operations.claim, **arguments) == operations.Empty.EXHAUSTED
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
