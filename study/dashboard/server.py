"""Serving the dashboard on this machine, until SIGINT or SIGTERM."""

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication, WSGIEnvironment

from storage.outages import first_line
from study.errors import StudyError
from study.terminal.screen import say_error
from study.terminal.signals import stop_signals

HOST = "127.0.0.1"
"""Other machines are not served. As a number, for to whom ``localhost`` leads is not the same
everywhere: another user may listen at the same port of ``::1``.
"""
MAX_UNHEARD = 128
"""Connections of which the whole head of a request has not come yet; one more ends the oldest.
One that is heard is not counted any more, so those who say nothing keep no place from others.
"""
PATIENCE_S = 30
"""Seconds without a byte of the head of a request, after which a connection is given up."""
SIGNAL_S = 0.5
"""Seconds after which the main thread looks for signals. One that came while another thread was
starting a process did not wake it.
"""
ANSWER_S = 600
"""Seconds in which an answer must have been taken, be it a report through a slow tunnel."""


def listen(port: int) -> socket.socket:
    """Open a port of this machine, 0 for a free one, or raise a StudyError."""
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


def serve(app: WSGIApplication, opened: socket.socket, *, ready: Callable[[], None]) -> bool:
    """Answer requests, each in a thread of its own, until SIGINT or SIGTERM.

    Paths come to ``app`` as they were asked for, with nothing decoded. Returns whether all that
    were heard are answered; else threads are still at work.
    """
    server = _Server(opened)
    server.set_app(app)
    with stop_signals() as stop, server:
        thread = threading.Thread(target=server.serve_forever, name="server")
        thread.start()
        ready()
        while not stop.wait(SIGNAL_S):
            pass
        server.shutdown()
        thread.join()
        return not server.at_work


class _Server(ThreadingMixIn, WSGIServer):
    """A thread per connection, and no more than some that wait for a request."""

    daemon_threads = True

    def __init__(self, opened: socket.socket) -> None:
        super().__init__(opened.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = opened
        self.server_name, self.server_port = opened.getsockname()
        self.setup_environ()
        self._unheard: dict[Any, None] = {}  # in the order in which they came
        self.at_work: set[Any] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._unheard[request] = None
            if len(self._unheard) > MAX_UNHEARD:
                oldest = next(iter(self._unheard))
                del self._unheard[oldest]
                with suppress(OSError):  # it has just gone by itself
                    oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def heard(self, request: Any) -> None:
        """Note that the head of a request has come."""
        with self._lock:
            self._unheard.pop(request, None)
            self.at_work.add(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._unheard.pop(request, None)
            self.at_work.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what failed, but nothing of connections that were cut."""
        _say(sys.exception())


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE_S
    error_message_format = "%(message)s.\n"
    error_content_type = "text/plain; charset=utf-8"

    def handle(self) -> None:
        """Answer one request.

        Source: ``wsgiref.simple_server.WSGIRequestHandler.handle``, which names its classes.
        """
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
            return
        if not self.parse_request():
            return
        self.server.heard(self.request)  # type: ignore[attr-defined]  # it is ours
        self.connection.settimeout(ANSWER_S)
        files: tuple[Any, Any, Any] = (self.rfile, self.wfile, self.get_stderr())
        answering = _Answering(*files, self.get_environ())
        answering.request_handler = self  # type: ignore[attr-defined]
        answering.run(self.server.get_app())  # type: ignore[attr-defined]

    def get_environ(self) -> WSGIEnvironment:
        """Describe the request, with the path as it came: nobody else is to read another one."""
        environ = super().get_environ()
        environ["PATH_INFO"] = self.requestline.split()[1].partition("?")[0]
        return environ

    def log_message(self, *_: Any) -> None:
        pass  # requests are not told


class _Answering(ServerHandler):
    os_environ: dict[str, str] = {}  # noqa: RUF012  # else HTTP_HOST of the shell is a header

    def log_exception(self, exc_info: Any) -> None:
        _say(exc_info[1])


def _say(error: BaseException | None) -> None:
    if error is not None and not isinstance(error, ConnectionError | TimeoutError):
        say_error(f"{type(error).__name__}: {first_line(error)}")
