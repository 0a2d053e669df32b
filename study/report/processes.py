"""Other processes that share the analyses of a large study."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context, parent_process
from typing import ParamSpec, TypeVar

import joblib

from study.terminal.signals import held_interrupts

P = ParamSpec("P")
T = TypeVar("T")

MIN_TRIALS = 300  # from which on a process saves more than its start costs, about two seconds

_MAX_PROCESSES = 3  # more would wait for the slowest piece of work
_SAFE_PATH = "PYTHONSAFEPATH"


class OtherProcesses:
    """Processes that take pieces of work from this one, a piece at a time; they start at once."""

    def __init__(self, n_processes: int) -> None:
        # They take no module from the current folder, which is the user's; some start later.
        self._before = os.environ.get(_SAFE_PATH)
        os.environ[_SAFE_PATH] = "1"
        self._processes = ProcessPoolExecutor(
            n_processes, get_context("spawn"), initializer=_end_with_parent
        )
        # One thread for each, as the pool itself takes pieces that it cannot begin yet.
        self._threads = ThreadPoolExecutor(n_processes)
        with held_interrupts():  # the user's Ctrl-C goes to all processes
            for _ in range(n_processes):
                self._processes.submit(os.getpid)

    def begin(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Callable[[], T]:
        """Call a pure function of a module elsewhere as soon as a process has nothing else to do.

        Returns:
            What waits for the result and returns it. It calls the function in this process if no
            other one has begun to, or if the one that did was killed.
        """
        future = self._threads.submit(
            lambda: self._processes.submit(function, *args, **kwargs).result()
        )

        def finish() -> T:
            if not future.cancel():
                try:
                    return future.result()
                except BrokenExecutor:
                    pass
            return function(*args, **kwargs)

        return finish

    def close(self) -> None:
        """End the processes; what none has begun is not done."""
        self._threads.shutdown(cancel_futures=True)
        self._processes.shutdown()
        if self._before is None:
            os.environ.pop(_SAFE_PATH, None)
        else:
            os.environ[_SAFE_PATH] = self._before


def _end_with_parent() -> None:
    """Let this process end when its parent does, however that ends, and not before."""

    def wait() -> None:
        if (parent := parent_process()) is not None:
            parent.join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be held
    threading.Thread(target=wait, name="parent", daemon=True).start()


@contextmanager
def other_processes(n_trials: int) -> Iterator[OtherProcesses | None]:
    """Offer a process for each core but this one's own, None for few trials or one core.

    The program's main module must be safe to import, as ``multiprocessing`` says of the start
    method "spawn".
    """
    n_processes = min(joblib.cpu_count() - 1, _MAX_PROCESSES)
    if n_trials < MIN_TRIALS or n_processes < 1:
        yield None
    else:
        with closing(OtherProcesses(n_processes)) as processes:
            yield processes
