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
from optuna.exceptions import StorageInternalError

from storage import attrs, operations, queue
from storage.errors import StorageAccessError, StorageUnreachableError
from storage.outages import outage
from storage.rdb import open_storage
from storage.served import make_server, perform
from storage.writing import write_trial
from tests.servers import HOST, free_port, opened


@pytest.fixture
def port() -> int:
    """The port of the server of a test."""
    return free_port()


@pytest.fixture
def server(url: str, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server of a new database, which waits for no lock."""
    monkeypatch.setattr("storage.rdb._SQLITE_TIMEOUT_S", 0)
    with opened(url, create=True, write=True) as database:
        server = make_server(database, host=HOST, port=port, n_threads=4)
        server.start()
        yield server
        server.stop(grace=None).wait()


@pytest.fixture
def study(server: Any, port: int) -> Iterator[optuna.Study]:
    """A study that a client created and wants ten trials of."""
    with opened(f"grpc://{HOST}:{port}") as client:
        study = optuna.create_study(storage=client, study_name="study")
        study.set_user_attr(attrs.TARGET, 10)
        own = {"study_id": study._study_id, "replicate": 0, "end": None}
        perform(client, operations.start_design, **own)
        yield study


def claim(study: optuna.Study) -> optuna.Trial:
    """Claim a trial, of which there must be one."""
    return optuna.Trial(study, queue.claim(study)._trial_id)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without a server is an error in one line, with what starts one."""
    monkeypatch.setattr("storage.served.CONNECT_TIMEOUT_S", 0.1)
    port = free_port()
    message = rf"^Storage grpc://{HOST}:{port} cannot be reached: .*`emoji-study serve-storage`"
    with pytest.raises(StorageUnreachableError, match=message) as caught:
        open_storage(f"grpc://{HOST}:{port}")
    assert "\n" not in str(caught.value)


def test_port_in_use(url: str) -> None:
    """A port that another program has is an error in one line."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            StorageAccessError, match=rf"^Cannot listen on {HOST}:{port}: "
        ) as seen:
            make_server(open_storage(url, create=True), host=HOST, port=port, n_threads=1)
    assert "\n" not in str(seen.value)


def test_what_is_no_outage(study: optuna.Study, url: str) -> None:
    """What will not go away by itself is one line for clients too, and is not waited for."""
    trial = claim(study)
    write_trial(trial, intermediate_values={0: 1.0})
    with pytest.raises(StorageInternalError, match="IntegrityError") as caught:
        write_trial(trial, intermediate_values={0: 1.0})
    assert outage(caught.value) is None
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("DROP TABLE trial_heartbeats")
        connection.commit()
    with pytest.raises(StorageInternalError, match="no such table: trial_heartbeats") as caught:
        perform(study._storage, operations.beat, trial_id=trial._trial_id)
    assert outage(caught.value) is None
    assert "\n" not in str(caught.value)
    client: Any = study._storage
    with pytest.raises(StorageAccessError, match=r"lacks 'dance'; start `emoji-study serve-st"):
        client.call("dance", {})


def test_server_that_is_away(study: optuna.Study, server: Any, url: str) -> None:
    """A lock at the database is waited for, and described in one line; so is the server itself."""
    trial = claim(study)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(grpc.RpcError) as caught:
            write_trial(trial, intermediate_values={0: 1.0})
        assert outage(caught.value) == "database is locked"
        with pytest.raises(grpc.RpcError) as inside:
            study.set_user_attr("name", "value")
        assert outage(inside.value) is not None
    server.stop(grace=None).wait()
    with pytest.raises(grpc.RpcError) as gone:
        perform(study._storage, operations.claim, study_id=study._study_id, worker="host:1")
    assert outage(gone.value) is not None
