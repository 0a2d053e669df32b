"""SIGINT and SIGTERM as an event that long work asks about."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event within the block, in the main thread alone.

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
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: heard.put(True)) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        heard.put(False)
        listener.join()
