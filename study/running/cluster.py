"""Workers on a Dask cluster, each a task that supervises a process on the machine where it runs.

So what a worker does, and what happens to its trials when it dies, is as on one machine.

Source: https://joblib.readthedocs.io/en/stable/auto_examples/parallel/distributed_backend_simple.html
"""

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import joblib
import optuna

from storage.errors import to_install
from storage.rdb import open_storage
from storage.records import finished_trials
from study.errors import StudyError
from study.requests import Place
from study.running.job import WorkerJob
from study.running.supervisor import supervise
from study.terminal.screen import log

if TYPE_CHECKING:
    import distributed

CONNECT_TIMEOUT_S = 10.0
_ASK_INTERVAL_S = 2.0
"""How often a task asks the scheduler whether to stop; there may be a thousand tasks."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Dask cluster, by the client that is connected to it."""

    client: Any

    def work(self, job: WorkerJob, stop: threading.Event, *, n_workers: int) -> None:
        """Supervise workers on the cluster until none of them finds anything to do.

        Paths of the job are those of the cluster's machines. Dask runs as many workers at a time
        as it has threads.

        Raises:
            StudyError: If the machines of the cluster lack this package, or a worker failed.
        """
        from distributed import Event

        shared = Event(f"emoji-study-{uuid.uuid4()}", client=self.client)
        ended = threading.Event()

        def pass_on() -> None:
            while not ended.wait(0.2):
                if stop.is_set():
                    shared.set()
                    return

        messenger = threading.Thread(target=pass_on, name="messenger", daemon=True)
        messenger.start()
        try:
            with joblib.parallel_config(backend="dask", client=self.client):
                joblib.Parallel(batch_size=1)(
                    joblib.delayed(_supervise_there)(job, shared) for _ in range(n_workers)
                )
        except ModuleNotFoundError as error:
            raise StudyError(
                f"The machines of the Dask cluster lack {error.name!r}: install emoji-study there."
            ) from None
        finally:
            ended.set()
            messenger.join()


@contextmanager
def open_cluster(place: Place) -> Iterator[Cluster | None]:
    """Connect to the cluster that is asked for, or one in this process; None for this machine.

    A StudyError says that Dask is not installed, or that the scheduler does not answer.
    """
    if place.backend == "local":
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise StudyError(
            f"--backend dask needs Dask, which is not installed: {to_install('dask')}"
        ) from None
    scheduler = place.scheduler
    if scheduler is not None:
        _check_encryption(scheduler)
    with nullcontext(scheduler) if scheduler else _in_this_process(place.n_workers) as there:
        try:
            client = Client(there, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise StudyError(f"Dask scheduler {scheduler} cannot be reached: {error}") from None
        with client:
            yield Cluster(client)


def _check_encryption(scheduler: str) -> None:
    """Raise a StudyError unless Dask is configured as an address needs; Dask itself would hang."""
    import dask
    from distributed import Security

    security = Security()
    loaded = dask.config.get("distributed.client.security-loader", None)
    encrypted = scheduler.startswith("tls://")
    if encrypted and not loaded and not (security.tls_ca_file and security.tls_client_cert):
        raise StudyError(
            f"Dask scheduler {scheduler} needs certificates: name them in Dask's configuration, "
            "as distributed.comm.tls.ca-file and distributed.comm.tls.client."
        )
    if security.require_encryption and not encrypted:
        raise StudyError(
            f"Dask scheduler {scheduler} is not encrypted, but Dask's configuration requires "
            "that: give tls://HOST:PORT."
        )


@contextmanager
def _in_this_process(n_workers: int) -> Iterator[Any]:
    """Start a cluster in this process, whose tasks are threads; end it with the block.

    Whoever reaches a port of Dask's runs code as its owner, and so does whoever can rename its
    scratch folder, from which it imports. So it opens no port, not even that of the HTTP server
    which it starts without a dashboard as well, and its folder is private.
    """
    import dask
    from distributed import Scheduler, SpecCluster, Worker

    class Unserved:
        def start_http_server(self, *_: object, **__: object) -> None:
            """Listen nowhere."""

    class UnservedScheduler(Unserved, Scheduler):  # type: ignore[misc]  # it has no types
        pass

    class UnservedWorker(Unserved, Worker):  # type: ignore[misc]
        pass

    inside = {"protocol": "inproc://", "dashboard": False}
    threads = {"nthreads": n_workers, "memory_limit": None}
    with (
        TemporaryDirectory(prefix="emoji-study-") as folder,
        dask.config.set({"temporary-directory": folder}),
        SpecCluster(
            scheduler={"cls": UnservedScheduler, "options": inside},
            workers={0: {"cls": UnservedWorker, "options": inside | threads}},
            silence_logs=logging.WARNING,
        ) as cluster,
    ):
        yield cluster


def _supervise_there(job: WorkerJob, shared: "distributed.Event") -> None:
    """Supervise one worker on a machine of the cluster; its messages go to the log there."""
    watched = optuna.load_study(study_name=job.study, storage=open_storage(job.url))
    supervise(job, SharedStop(shared), count_finished=partial(finished_trials, watched), say=log)


@dataclass(slots=True)
class SharedStop:
    """Whether all tasks are to end, asked of the scheduler now and then."""

    event: "distributed.Event"
    _set: bool = False
    _asked: float = float("-inf")

    def is_set(self) -> bool:
        """Say whether it is time."""
        if not self._set and time.monotonic() - self._asked >= _ASK_INTERVAL_S:
            self._set = bool(self.event.is_set())
            self._asked = time.monotonic()
        return self._set

    def wait(self, timeout: float) -> bool:
        """Wait until it is, at most about ``timeout`` seconds; say whether it is."""
        end = time.monotonic() + timeout
        while not self.is_set() and time.monotonic() < end:
            time.sleep(min(0.2, timeout))
        return self._set
