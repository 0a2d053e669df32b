"""What a coordinator tells its workers, and what their processes get; light, without torch."""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import msgspec

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerJob:
    """All that a worker must be told; ``kind`` and ``data`` as of a ``Place``.

    ``folder`` is the identity of ``artifacts``, which the coordinator holds on this machine; None
    for workers of other machines, each of which creates it where it does not exist.
    """

    url: str
    study: str
    artifacts: Path
    data: Path | None
    device: str
    threads: int
    kind: str | None = None
    folder: tuple[int, int] | None = None

    def to_json(self) -> str:
        """Return all of it as one line, the password of the storage included."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` gave."""
        return msgspec.json.decode(text, type=cls, dec_hook=lambda wanted, value: wanted(value))


def own_process(module: str) -> list[str]:
    """Return the command that runs a module of this package as a process of its own.

    The current folder is the user's: no module is taken from it (``-P``), whatever its name.
    """
    return [sys.executable, "-P", "-m", module]


def own_threads(threads: int) -> None:
    """Give this process its share of the cores, before any work starts.

    Two that use all cores are many times slower than one. Libraries read the variables when they
    are imported; torch, where it has been, is told.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    torch = sys.modules.get("torch")
    if torch is None:
        return
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:  # may be set only once in a process
        torch.set_num_interop_threads(1)
