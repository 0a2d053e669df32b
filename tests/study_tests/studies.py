"""Studies of this package's kinds and of a toy: how they begin, what workers are told."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from search_spaces import SearchSpace
from storage import attrs, queue
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record
from study.kind_sources import FoundKind, find_kind, make_trainer
from study.kinds import Data, Kind
from study.running import budget, coordinator
from study.running.job import WorkerJob
from study.running.objective import TrainingObjective
from study.settings import StudySettings, default_settings
from tests.study_tests.toy import TOY_FILE


def toy_settings(folder: Path, **changes: Any) -> StudySettings:
    """Return settings of a random design of the kind of ``toy_kind.py``, which loads no torch.

    Nothing diverges with the rate that they fix.

    Its data are a new folder, ``data``: its workers sign it, and are slow while it has ``slow``.
    """
    data = folder / "data"
    data.mkdir(parents=True)
    plain = default_settings(find_kind(f"{TOY_FILE}:TOY").kind)
    random = replace(plain, sampler="random", fixed={"rate": 0.5})
    return replace(random, data=str(data), data_fingerprint="nothing", **changes)


def found_kind(settings: StudySettings) -> FoundKind:
    """Find the kind of a study, which is one of this package or the toy."""
    return find_kind(f"{TOY_FILE}:TOY" if settings.kind == "toy" else settings.kind)


def kind_of(settings: StudySettings) -> Kind:
    """Return the kind of a study."""
    return found_kind(settings).kind


def space_of(settings: StudySettings) -> SearchSpace:
    """Return the space of a study."""
    return settings.space_in(kind_of(settings))


def open_study(
    storage: BaseStorage, name: str, settings: StudySettings, **more: Any
) -> optuna.Study:
    """Create a study with these settings, or open it."""
    kind = found_kind(settings).info(space_of(settings))
    return coordinator.open_study(storage, name, settings, kind, **more)


def start_design(study: optuna.Study, settings: StudySettings, *, replicate: int = 0) -> None:
    """Let new trials of a study go on with its design."""
    budget.start_design(study, settings, space_of(settings), replicate=replicate)


def wanting(url: str, settings: StudySettings, n_trials: int = 1) -> optuna.Study:
    """Create the study named ``study``, which wants trials; only workers ask its own sampler."""
    study = open_study(open_storage(url, create=True, write=True), "study", settings)
    study.sampler, study.pruner = RandomSampler(seed=0), NopPruner()
    start_design(study, settings)
    budget.request(study, n_trials)
    return study


def objective_of(
    settings: StudySettings, artifacts: Path, *, data: Data | None = None
) -> TrainingObjective:
    """Return the objective of a study, on its own data unless others are given."""
    kind = kind_of(settings)
    trainer = make_trainer(kind)
    return TrainingObjective(
        settings=settings,
        kind=kind,
        trainer=trainer,
        data=data or trainer.load(settings.source, settings.sides),
        artifacts=artifacts,
        device="cpu",
        threads=1,
        space=space_of(settings),
    )


def toy_run(url: str, data: object, *options: str) -> list[str]:
    """Return a command that runs a random design of the toy, in which nothing diverges."""
    return [
        *(sys.executable, "-m", "study", "run", f"{TOY_FILE}:TOY", "--storage", url),
        *("--study", "study", "--data", str(data), "--threads", "1", "--set", "rate=0.5"),
        *("--sampler", "random", "--pruner", "none", *options),
    ]


def url_of(folder: Path) -> str:
    """Return the URL of the database in a folder."""
    return f"sqlite:///{folder / 'study.db'}"


def stored(folder: Path, name: str = "study") -> StudyRecord:
    """Read a study of the database in a folder."""
    return load_study_record(open_storage(url_of(folder)), name)


def merge_log(folder: Path) -> None:
    """Move what SQLite's log holds into the file, which otherwise happens at some later time."""
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not busy


def job_of(folder: Path, settings: StudySettings) -> WorkerJob:
    """Return the job of a one-thread worker of the study named ``study`` in ``folder``."""
    return WorkerJob(
        url=url_of(folder),
        study="study",
        artifacts=folder / "artifacts",
        data=Path(settings.data),
        device="cpu",
        threads=1,
    )


def watched(job: WorkerJob) -> optuna.Study:
    """Return the study of a job, opened for reading."""
    return optuna.load_study(study_name=job.study, storage=open_storage(job.url))


def ask(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Ask the database; nothing where there is none yet."""
    try:
        uri = f"{(folder / 'study.db').as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


TRAINED = "SELECT COUNT(DISTINCT trial_id) FROM trial_intermediate_values"
"""Asks how many trials have reported a value."""


@contextmanager
def when_trained(
    folder: Path,
    wait_until: Callable[[Callable[[], bool]], None],
    act: Callable[[], object],
    *,
    n_trials: int = 1,
) -> Iterator[None]:
    """Run a block, and in a thread ``act`` when so many trials of ``folder`` are in training."""

    def watch() -> None:
        wait_until(lambda: ask(folder, TRAINED) >= [(n_trials,)])
        act()

    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(watch)
        yield
        acting.result()


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


def dead_worker() -> str:
    """Return the name of a worker of this host whose process has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    return f"{queue.worker_id().rpartition('-')[0]}-0:{ended.pid}"
