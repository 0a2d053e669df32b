"""One attempt of a worker, as a process of its own: ``python -m study.attempt``.

The job is read from standard input, so that no password shows in the list of processes. What the
supervisor must know of an error is all that goes to standard output, as JSON; the exit code tells
the rest. When standard input closes, the supervisor is gone, and the worker ends as after SIGTERM.
"""

import json
import os
import signal
import sys
import threading

from study.jobs import WorkerJob
from study.signals import stop_signals

EXIT_ERROR = 1
"""Another attempt would meet the error again."""
EXIT_OUTAGE = 75
"""The database is away or locked: EX_TEMPFAIL of sysexits.h."""


def main() -> int:
    """Run one worker; return the exit code."""
    answer, sys.stdout = sys.stdout, sys.stderr  # whatever else is printed is for people
    with stop_signals() as stop:
        job = WorkerJob.from_json(sys.stdin.readline())
        threading.Thread(target=_stop_without_supervisor, name="supervisor", daemon=True).start()
        # Slow to import, and signals are to be heard meanwhile.
        from storage.outages import outage
        from study.cli import user_message
        from study.runner import run_worker

        try:
            run_worker(job, stop)
        except Exception as error:
            away = outage(error)
            message = user_message(error) if away is None else away
            if message is None:
                raise
            answer.write(json.dumps({"error": message}))
            answer.flush()
            return EXIT_ERROR if away is None else EXIT_OUTAGE
    return 0


def _stop_without_supervisor() -> None:
    sys.stdin.read()  # until it closes
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
