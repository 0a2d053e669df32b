"""SIGINT and SIGTERM as an event that long work asks about, and for processes that only start."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event within the block, in the main thread alone.

    One that whoever started this process told it to ignore stays ignored, as a shell does with
    Ctrl-C for what a script starts in the background.

    A handler may interrupt a thread that holds the event's lock, so a thread of its own sets it.

    Source: Python's documentation of ``queue.SimpleQueue.put``, which a handler may call.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heard: SimpleQueue[bool] = SimpleQueue()

    def listen() -> None:
        while heard.get():
            stop.set()

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: own for number, own in before.items() if own != signal.SIG_IGN}
    for number in before:
        signal.signal(number, lambda *_: heard.put(True))
    try:
        yield stop
    finally:
        for number, own in before.items():
            signal.signal(number, own)
        heard.put(False)
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
