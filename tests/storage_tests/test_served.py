"""A database behind a real server: what clients are told where something is wrong.

What they do there is what they would do themselves, see ``test_operations``.
"""

import socket
import sqlite3
from contextlib import ExitStack, closing

import grpc
import optuna
import pytest
from optuna.exceptions import StorageInternalError

from storage import operations
from storage.errors import StorageAccessError, StorageUnreachableError
from storage.outages import outage
from storage.rdb import open_storage
from storage.served import make_server, perform
from storage.writing import write_trial
from tests.servers import HOST, close_storage, free_port, served


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without a server is an error in one line, with what starts one."""
    monkeypatch.setattr("storage.served.CONNECT_TIMEOUT_S", 0.1)
    port = free_port()
    message = rf"^Storage grpc://{HOST}:{port} cannot be .*; `emoji-study serve-storage` .*\Z"
    with pytest.raises(StorageUnreachableError, match=message):
        open_storage(f"grpc://{HOST}:{port}")


def test_port_in_use(url: str) -> None:
    """A port that another program has is an error in one line."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StorageAccessError, match=rf"^Cannot listen on {HOST}:{port}: .*\Z"):
            make_server(open_storage(url, create=True), host=HOST, port=port, n_threads=1)


def test_what_clients_are_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock or a lost server is an outage in one line; what stays wrong is an error."""
    monkeypatch.setattr("storage.rdb._SQLITE_TIMEOUT_S", 0)
    with ExitStack() as stack:
        client = open_storage(stack.enter_context(served(url)))
        study = optuna.create_study(storage=client, study_name="study")
        trial = optuna.Trial(study, client.create_new_trial(study._study_id))
        write_trial(trial, intermediate_values={0: 1.0})
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(grpc.RpcError) as caught:
                write_trial(trial, intermediate_values={1: 1.0})
            assert outage(caught.value) == "database is locked"
            with pytest.raises(grpc.RpcError) as inside:
                study.set_user_attr("name", "value")
            assert outage(inside.value) is not None
        with pytest.raises(StorageInternalError, match=r"^IntegrityError: .*\Z") as wrong:
            write_trial(trial, intermediate_values={0: 1.0})
        assert outage(wrong.value) is None
        with pytest.raises(StorageAccessError, match=r"lacks 'dance'; start `emoji-study ser"):
            client.call("dance", {})
        stack.close()
        with pytest.raises(grpc.RpcError) as gone:
            perform(client, operations.claim, study_id=study._study_id, worker="host:1")
        assert outage(gone.value) is not None
        close_storage(client)
