"""SIGINT and SIGTERM as an event that long work asks about, and for processes that only start."""

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event within the block, in the main thread alone.

    One that whoever started this process told it to ignore stays ignored, as a shell does with
    Ctrl-C for what a script starts in the background.

    The event is set by a thread that hears of the signal from the kernel's side: a handler in
    Python would wait for the main thread, which may itself wait for a lock. Any thread that just
    starts a process can be the one that a signal reaches, and then no lock's wait ends for it.

    Source: Python's documentation of ``signal.set_wakeup_fd``; signal(7): which thread is chosen.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heard, woken = socket.socketpair()
    woken.setblocking(False)
    numbers = (signal.SIGINT, signal.SIGTERM)

    def listen() -> None:
        while found := heard.recv(4096):
            if not stop.is_set() and any(number in found for number in numbers):
                stop.set()

    with heard, woken:
        listener = threading.Thread(target=listen, name="signals", daemon=True)
        listener.start()
        before = {number: signal.getsignal(number) for number in numbers}
        before = {number: own for number, own in before.items() if own != signal.SIG_IGN}
        woken_before = signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        for number in before:
            signal.signal(number, lambda *_: None)
        try:
            yield stop
        finally:
            for number, own in before.items():
                signal.signal(number, own)
            signal.set_wakeup_fd(woken_before)
            woken.shutdown(socket.SHUT_WR)
            listener.join()


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Let processes that start within the block hear of Ctrl-C only when they ask for it.

    A terminal sends it to all processes, and Python answers one in its first moments, before any
    code of ours, with a traceback. Windows has no masks, so nothing is held there.

    Source: sigprocmask(2): a mask is inherited by a new process, and what came meanwhile waits.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear_interrupts() -> None:
    """Ask for Ctrl-C in a process that was started within ``held_interrupts``."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
