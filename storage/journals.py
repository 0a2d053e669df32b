"""Optuna's journals, files of one JSON object a line: read, and never written, locked or created.

Source: https://optuna.readthedocs.io/en/stable/reference/generated/optuna.storages.journal.JournalFileBackend.html
"""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from storage.errors import StorageAccessError
from storage.strangers import describe_file, near

_LONGEST = 10_000  # bytes of a first line, which creates a study


def is_journal(path: Path) -> bool:
    """Whether a file begins as a journal does."""
    with path.open("rb") as file:
        line = file.readline(_LONGEST)
    try:
        first = json.loads(line)
    except ValueError:
        return False
    return isinstance(first, dict) and "op_code" in first


def open_journal(path: Path) -> JournalStorage:
    """Open a journal for reading; a StorageAccessError if it is none, or is damaged."""
    if not path.is_file():
        raise StorageAccessError(f"Storage file {path} does not exist{near(path)}.")
    if path.stat().st_size and not is_journal(path):
        what = describe_file(path) or "is no journal of Optuna's."
        raise StorageAccessError(f"Storage file {path} {what}")
    backend = _Journal(path)
    try:
        return JournalStorage(backend)
    except (OSError, StorageAccessError):
        raise
    except Exception as error:  # whatever Optuna makes of a line that it did not write
        raise backend.damaged(backend.line) from error


class _Journal(JournalFileBackend):
    """A journal's file. ``line`` counts what was read of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path, self.line = path, 0

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        self.line = log_number_from
        try:
            for log in super().read_logs(log_number_from):
                self.line += 1
                yield log
        except ValueError:
            raise self.damaged(self.line + 1) from None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise StorageAccessError(f"Storage file {self.path} is a journal, which is only read.")

    def damaged(self, line: int) -> StorageAccessError:
        """Return the error of a line that is none of a journal."""
        return StorageAccessError(
            f"Storage file {self.path} is no journal of Optuna's, or damaged: its line {line} "
            "cannot be read."
        )
