"""A database served to many workers by one process, through Optuna's gRPC proxy.

Hundreds of workers then share the few connections and the cache of one server. What Optuna's
proxy lacks (atomic claims, heartbeats, several writes at once) is added as a second service to
the same server, with JSON for messages.

Source: https://optuna.readthedocs.io/en/stable/reference/generated/optuna.storages.GrpcStorageProxy.html
"""

import json
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, GrpcStorageProxy

from storage.errors import StorageAccessError, StorageUnreachableError
from storage.internals import add_proxy, channel_of, database_of
from storage.operations import OPERATIONS
from storage.outages import first_line, outage

if TYPE_CHECKING:
    import grpc

CONNECT_TIMEOUT_S = 10.0

_SERVICE = "emoji_study.Operations"

_MAX_MESSAGE = 2**28
"""Bytes that a client may send at once, which are an imported study of 100,000 trials."""

Result = TypeVar("Result")


def perform(storage: BaseStorage, operation: Callable[..., Result], /, **arguments: Any) -> Result:
    """Do one of ``storage.operations`` on the database behind a storage.

    Args:
        storage: A database, with or without Optuna's cache, or a client of a server.
        operation: What to do.
        arguments: Of the operation, but for its first one, the database.

    Raises:
        optuna.exceptions.UpdateFinishedTrialError: As the operation.
        optuna.exceptions.StorageInternalError: If the database fails.
        StorageAccessError: If the storage is neither, or the server is too old for that.
    """
    if isinstance(storage, ServedStorage):
        result: Result = storage.call(operation.__name__, arguments)
        return result
    database = database_of(storage)
    if database is None:
        raise StorageAccessError(
            f"Workers need a database, which a {type(storage).__name__} is not."
        )
    return operation(database, **arguments)


class ServedStorage(GrpcStorageProxy):
    """A client of ``make_server``; everything that Optuna's proxy is, and ``call``.

    Args:
        host: Of the server.
        port: Of the server.

    Raises:
        StorageUnreachableError: If nobody answers within ten seconds.
        ImportError: If gRPC is not installed.
    """

    def __init__(self, *, host: str, port: int) -> None:
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

    def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Do one of ``storage.operations`` at the server; raises as ``perform``."""
        import grpc

        method = channel_of(self).unary_unary(
            f"/{_SERVICE}/{operation}",
            request_serializer=_encode,
            response_deserializer=json.loads,
        )
        try:
            return method(arguments)["result"]  # gRPC takes a bare null for an error
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
                raise UpdateFinishedTrialError(error.details()) from error
            if error.code() == grpc.StatusCode.NOT_FOUND:
                raise KeyError(error.details()) from error
            if error.code() == grpc.StatusCode.INTERNAL:
                raise StorageInternalError(error.details()) from None
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
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
        host: Address to listen on.
        port: Port to listen on.
        n_threads: Requests that are answered at the same time.

    Raises:
        StorageAccessError: If gRPC is not installed, or the port cannot be had.
    """
    try:
        import grpc

        server = grpc.server(
            ThreadPoolExecutor(n_threads),
            options=[("grpc.max_receive_message_length", _MAX_MESSAGE)],
        )
        add_proxy(server, storage)
    except ImportError:
        raise StorageAccessError(
            "Serving a storage needs gRPC, which is not installed: pip install 'emoji-study[grpc]'"
        ) from None
    try:
        server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise StorageAccessError(f"Cannot listen on {host}:{port}: {error}") from None
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _answer(storage, name), request_deserializer=json.loads, response_serializer=_encode
        )
        for name in OPERATIONS
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    return server


def _answer(
    storage: BaseStorage, name: str
) -> "Callable[[dict[str, Any], grpc.ServicerContext], Any]":
    """Return what does one operation for clients."""
    import grpc

    def answer(arguments: dict[str, Any], context: grpc.ServicerContext) -> Any:
        try:
            return {"result": perform(storage, OPERATIONS[name], **arguments)}
        except UpdateFinishedTrialError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except KeyError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        except Exception as error:
            away = outage(error)
            if away is not None:
                context.abort(grpc.StatusCode.UNAVAILABLE, away)
            cause = error.__cause__ or error
            context.abort(grpc.StatusCode.INTERNAL, f"{type(cause).__name__}: {first_line(cause)}")

    return answer


def _encode(message: Any) -> bytes:
    return json.dumps(message).encode()
