"""Studies in a folder: what their workers are told, and what their database holds meanwhile."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from storage import attrs, queue
from study.running.job import WorkerJob
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


def claim(study: optuna.Study) -> optuna.Trial:
    """Claim the next trial of a study, of which there must be one, for this process."""
    claimed = queue.claim(study)
    assert isinstance(claimed, FrozenTrial), claimed
    return optuna.Trial(study, claimed._trial_id)


def claim_point(
    study: optuna.Study, params: Mapping[str, Any], user_attrs: Mapping[str, Any] | None = None
) -> optuna.Trial:
    """Enqueue a trial with these parameters, as if it were wanted, and claim it."""
    study.set_user_attr(attrs.TARGET, len(study.get_trials(deepcopy=False)) + 1)
    study.enqueue_trial(dict(params), user_attrs=dict(user_attrs or {}))
    return claim(study)


def half_a_database(path: Path) -> None:
    """Write a database that another process seems to be creating, which counts as an outage."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE studies (study_id INTEGER)")
        connection.commit()
