"""What ``emoji-study serve-storage`` does: one database for hundreds of workers."""

from storage.rdb import open_storage
from storage.served import make_server
from storage.urls import redact, server_address
from study.errors import StudyError
from study.requests import Say, ServeRequest
from study.terminal.signals import stop_signals


def serve(request: ServeRequest, *, say: Say) -> None:
    """Serve a storage until SIGINT or SIGTERM; answers that are under way are finished.

    Raises:
        StorageError: If it cannot be served, or is itself a server.
    """
    url, host, port = request.url, request.host, request.port
    if server_address(url) is not None:
        raise StudyError(f"`storage` must be a database to be served, but got {redact(url)!r}.")
    storage = open_storage(url, create=True, write=True)
    with stop_signals() as stop:
        server = make_server(storage, host=host, port=port, n_threads=request.threads)
        server.start()
        address = f"grpc://{host}:{port}"
        say(f"Serving {redact(url)} as {address}; Ctrl-C ends it.")
        say(f"Next, where workers run: emoji-study worker --storage {address} --study NAME")
        stop.wait()
        server.stop(grace=5).wait()
