"""One attempt of a worker, as a process of its own: ``python -m study.running.attempt``.

The job is read from standard input, so that no password shows in the list of processes. The last
line of standard output is the answer, as JSON: ``error`` is what the supervisor must know of an
error, null if there was none; the exit code tells the rest. A process that ends without an answer
has died. When standard input closes, the worker is told to stop, or its supervisor is gone: it
ends as after SIGTERM, which not every system has.
"""

import json
import os
import sys
import threading
from contextlib import suppress

from study.running.job import WorkerJob
from study.terminal.signals import hear_interrupts, stop_signals

EXIT_ERROR = 1
"""Another attempt would meet the error again."""
EXIT_OUTAGE = 75
"""The database is away or locked: EX_TEMPFAIL of sysexits.h."""


def main() -> int:
    """Run one worker; return the exit code."""
    sys.stdout = sys.stderr  # whatever is printed is for people
    code, message = 0, None
    with stop_signals() as stop:
        hear_interrupts()
        job = WorkerJob.from_json(sys.stdin.readline())
        threading.Thread(target=_listen, args=(stop,), name="supervisor", daemon=True).start()
        # Slow to import, and signals are to be heard meanwhile.
        from storage.outages import outage
        from study.errors import user_message
        from study.running.worker import run_worker

        try:
            run_worker(job, stop)
        except Exception as error:
            away = outage(error)
            message = user_message(error) if away is None else away
            if message is None:
                raise
            code = EXIT_ERROR if away is None else EXIT_OUTAGE
        answer = f"\n{json.dumps({'error': message})}"  # on a line of its own, whatever is there
        with suppress(BrokenPipeError):  # the supervisor is gone
            os.write(1, answer.encode())  # no buffer that fails at the end when nobody reads it
    return code


def _listen(stop: threading.Event) -> None:
    sys.stdin.read()  # until it closes
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
