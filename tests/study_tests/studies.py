"""Studies in a folder: what their workers are told, and what their database holds meanwhile."""

import sqlite3
from contextlib import closing
from pathlib import Path

from study.jobs import WorkerJob
from study.settings import StudySettings


def job_of(folder: Path, settings: StudySettings) -> WorkerJob:
    """Return the job of a one-thread worker of the study named ``study`` in ``folder``."""
    assert settings.data is not None
    return WorkerJob(
        url=f"sqlite:///{folder / 'study.db'}",
        study="study",
        artifacts=folder / "artifacts",
        data=Path(settings.data),
        device="cpu",
        threads=1,
    )


def ask(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Ask the database; nothing where there is none yet."""
    try:
        uri = f"{(folder / 'study.db').as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []
