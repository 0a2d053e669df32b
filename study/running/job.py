"""What a coordinator tells its workers, and how it starts them; light, without torch."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerJob:
    """All that a worker must be told.

    Args:
        url: The storage.
        study: Name of the study.
        artifacts: Folder of the artifact store.
        kind: Where the code of the study's kind lies here; None for where it lay when the study
            was made.
        folder: Identity of that folder, which the coordinator holds on this machine; None for
            workers of other machines, each of which creates it where it does not exist.
        data: Path of the data; None for what the kind brings along.
        device: As the user named it, such as ``auto``.
        threads: CPU threads that belong to this worker, at least 1.
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
        paths = {"artifacts": str(self.artifacts), "data": str(self.data) if self.data else None}
        return json.dumps(asdict(self) | paths)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` gave."""
        values = json.loads(text)
        values["artifacts"] = Path(values["artifacts"])
        values["data"] = Path(values["data"]) if values["data"] else None
        values["folder"] = tuple(values["folder"]) if values["folder"] else None
        return cls(**values)


def own_process(module: str) -> list[str]:
    """Return the command that runs a module of this package as a process of its own.

    The current folder is the user's: no module is taken from it (``-P``), whatever its name.
    """
    return [sys.executable, "-P", "-m", module]
