"""Serving the dashboard on this machine, until SIGINT or SIGTERM."""

import socket
import threading
from collections.abc import Callable
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

from study.errors import StudyError
from study.signals import stop_signals

HOST = "127.0.0.1"
"""Nobody is asked for a password, so other machines are not served."""

N_THREADS = 4


def listen(port: int) -> socket.socket:
    """Open a port of this machine; 0 takes a free one.

    Raises:
        StudyError: If it cannot be had.
    """
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((HOST, port))
        opened.listen()
    except OSError as error:
        opened.close()
        raise StudyError(
            f"`port` {port} cannot be used: {error.strerror}; give another --port."
        ) from None
    return opened


def serve(
    make_app: Callable[[], WSGIApplication],
    opened: socket.socket,
    *,
    fork: bool,
    ready: Callable[[], None],
) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Args:
        make_app: Builds what answers, in the process that does.
        opened: As ``listen`` returned it.
        fork: Whether that may be another process: then Gunicorn serves, where it is installed.
        ready: Called when requests are answered.
    """
    if fork and find_spec("gunicorn") is not None:
        _serve_by_gunicorn(make_app, opened, ready)
    else:
        _serve_here(make_app(), opened, ready)


def _serve_by_gunicorn(
    make_app: Callable[[], WSGIApplication], opened: socket.socket, ready: Callable[[], None]
) -> None:
    """Serve by one process with several threads.

    Source: https://docs.gunicorn.org/en/stable/custom.html
    """
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):  # type: ignore[misc]  # it has no types
        def load_config(self) -> None:
            self.cfg.set("bind", f"fd://{opened.fileno()}")
            self.cfg.set("threads", N_THREADS)
            self.cfg.set("loglevel", "warning")
            self.cfg.set("when_ready", lambda _server: ready())

        def load(self) -> WSGIApplication:
            return make_app()

    Application().run()


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


def _serve_here(app: WSGIApplication, opened: socket.socket, ready: Callable[[], None]) -> None:
    """Serve by a thread per request."""
    server = _ThreadingServer(opened.getsockname(), _QuietHandler, bind_and_activate=False)
    server.socket.close()
    server.socket = opened
    server.server_name, server.server_port = opened.getsockname()
    server.setup_environ()
    server.set_app(app)
    with stop_signals() as stop, server:
        thread = threading.Thread(target=server.serve_forever, name="server")
        thread.start()
        ready()
        stop.wait()
        server.shutdown()
        thread.join()
