"""A database in each of three places, shared by all tests that need none of their own."""

from collections.abc import Iterator
from contextlib import nullcontext

import optuna
import pytest
from optuna.storages import BaseStorage

from tests.conftest import new_url
from tests.servers import opened, served


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "grpc"])
def shared_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a new database on a file, on a server, and on a file behind gRPC.

    All that workers do must come out the same in each of them.
    """
    url = f"sqlite:///{tmp_path_factory.mktemp('shared') / 'study.db'}"
    if request.param == "postgresql":
        url = new_url(request.param, request)
    with served(url) if request.param == "grpc" else nullcontext(url) as address:
        yield address


@pytest.fixture(scope="session")
def shared_storage(shared_place: str) -> Iterator[BaseStorage]:
    """The storage of ``shared_place``, open for writing."""
    with opened(shared_place, create=True, write=True) as storage:
        yield storage


@pytest.fixture
def study(shared_storage: BaseStorage) -> optuna.Study:
    """A new study in each place."""
    return optuna.create_study(storage=shared_storage)
