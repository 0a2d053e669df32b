"""What a coordinator tells its workers; light enough to be imported without torch."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerJob:
    """All that a worker must be told.

    Args:
        url: The storage.
        study: Name of the study.
        artifacts: Folder of the artifact store.
        data: The data set file; None for the embedded images.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads that belong to this worker, at least 1.
    """

    url: str
    study: str
    artifacts: Path
    data: Path | None
    device: str
    threads: int
