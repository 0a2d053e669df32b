"""A database served to many workers by one process, through Optuna's gRPC proxy.

Hundreds of workers then share the few connections and the cache of one server. What Optuna's
proxy lacks (atomic claims, heartbeats, several writes at once) is added as a second service to
the same server, with JSON for messages.

Source: https://optuna.readthedocs.io/en/stable/reference/generated/optuna.storages.GrpcStorageProxy.html
"""

import functools
import json
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, GrpcStorageProxy
from optuna.study import StudyDirection

from storage import operations
from storage.errors import StorageAccessError, StorageUnreachableError, to_install
from storage.internals import add_proxy, channel_of, database_of, forget, key_of, storage_of
from storage.operations import OPERATIONS
from storage.outages import first_line, outage
from storage.reading import Database

if TYPE_CHECKING:
    import grpc

CONNECT_TIMEOUT_S = 10.0

_SERVICE = "emoji_study.Operations"
_MAX_MESSAGE = 2**28  # bytes at once from a client: an imported study of 100,000 trials

_ERRORS: dict[str, type[Exception]] = {  # by the code of a server's answer
    "FAILED_PRECONDITION": UpdateFinishedTrialError,
    "NOT_FOUND": KeyError,
    "INTERNAL": StorageInternalError,
}
Result = TypeVar("Result")


def perform(storage: BaseStorage, operation: Callable[..., Result], /, **arguments: Any) -> Result:
    """Do one of ``storage.operations`` on the database behind a storage, and raise as it does.

    Where there is no database, or a server is too old for that, it is a StorageAccessError.
    """
    result: Result
    if isinstance(storage, ServedStorage):
        result = storage.call(operation.__name__, arguments)
        return result
    database = database_of(storage)
    if database is None:
        raise StorageAccessError(
            f"This needs a database, which a {type(storage).__name__} is not."
        )
    result = operation(database, **arguments)
    if operation in (operations.rename_studies, operations.delete_studies):
        forget(storage)
    return result


def perform_for(
    study: optuna.Study, operation: Callable[..., Result], /, **arguments: Any
) -> Result:
    """Do one of ``storage.operations`` for a study, as ``perform``."""
    return perform(storage_of(study), operation, study_id=key_of(study), **arguments)


def operable(storage: BaseStorage) -> bool:
    """Whether operations can be done: it is a server, or a database with all of its tables."""
    database = database_of(storage)
    lacking = isinstance(database, Database) and database.lacking
    return isinstance(storage, ServedStorage) or (database is not None and not lacking)


class ServedStorage(GrpcStorageProxy):
    """A client of ``make_server``; everything that Optuna's proxy is, and ``call``.

    It is a StorageUnreachableError if nobody answers, an ImportError without gRPC.
    """

    def __init__(self, host: str, port: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(host=host, port=port)
        try:
            self.wait_server_ready(timeout=CONNECT_TIMEOUT_S)
        except ConnectionError:
            self.close()
            raise StorageUnreachableError(
                f"Storage grpc://{host}:{port} cannot be reached: nobody answers; "
                "`emoji-study serve-storage` starts a server."
            ) from None

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study, and forget what another one with its key may have left here."""
        key = super().create_new_study(directions, study_name)
        forget(self)
        return key

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the key of a study, and forget what an earlier one with it may have left here."""
        key = super().get_study_id_from_name(study_name)
        forget(self)
        return key

    def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Do one of ``storage.operations`` at the server; raises as ``perform``."""
        import grpc

        method = channel_of(self).unary_unary(
            f"/{_SERVICE}/{operation}", _encode, response_deserializer=json.loads
        )
        try:
            return method(arguments)["result"]  # gRPC takes a bare null for an error
        except grpc.RpcError as error:
            code = error.code().name
            if code in _ERRORS:
                raise _ERRORS[code](error.details()) from error
            if code == "UNIMPLEMENTED":
                raise StorageAccessError(
                    f"The storage's server is another version, which lacks {operation!r}; "
                    "start `emoji-study serve-storage` again with this one."
                ) from None
            raise


def make_server(storage: BaseStorage, *, host: str, port: int, n_threads: int) -> "grpc.Server":
    """Build a server of a database, not started yet.

    Nothing is encrypted and nobody is asked for a password: it is for a trusted network.

    Args:
        storage: A database, opened for writing, with Optuna's cache.
    """
    try:
        import grpc

        options = [("grpc.max_receive_message_length", _MAX_MESSAGE)]
        server = grpc.server(ThreadPoolExecutor(n_threads), options=options)
        add_proxy(server, storage)
    except ImportError:
        raise StorageAccessError(
            f"Serving a storage needs gRPC, which is not installed: {to_install('grpc')}"
        ) from None
    try:
        server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise StorageAccessError(f"Cannot listen on {host}:{port}: {error}") from None
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            functools.partial(_answer, storage, operation), json.loads, _encode
        )
        for name, operation in OPERATIONS.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    return server


def _answer(
    storage: BaseStorage,
    operation: Callable[..., Any],
    arguments: dict[str, Any],
    context: "grpc.ServicerContext",
) -> Any:
    from grpc import StatusCode

    try:
        return {"result": perform(storage, operation, **arguments)}
    except UpdateFinishedTrialError as error:
        context.abort(StatusCode.FAILED_PRECONDITION, str(error))
    except KeyError as error:
        context.abort(StatusCode.NOT_FOUND, str(error))
    except Exception as error:
        away = outage(error)
        if away is not None:
            context.abort(StatusCode.UNAVAILABLE, away)
        cause = error.__cause__ or error
        context.abort(StatusCode.INTERNAL, f"{type(cause).__name__}: {first_line(cause)}")


def _encode(message: Any) -> bytes:
    return json.dumps(message).encode()
