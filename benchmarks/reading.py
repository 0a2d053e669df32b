"""What commands cost that read a large study, over Optuna's own read of it, in CPU seconds.

What a command takes on a database with one empty study, which is its start, is taken off.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    distribution_to_json,
)
from optuna.trial import TrialState

from benchmarks.measure import Figure, median
from storage.internals import database_of, key_of, models
from storage.rdb import open_storage
from storage.reading import INTERMEDIATE_VALUES, PARAMS, TRIALS, USER_ATTRS, VALUES

N_TRIALS, N_REPORTS, N_PARAMS = 2000, 200, 8
N_ROUNDS = 3
FULL, EMPTY = "full", "empty"

_READ = "import sys, optuna; optuna.logging.set_verbosity(40); url, name = sys.argv[1:]; "
ORM = f"{_READ}optuna.load_study(study_name=name, storage=url).get_trials(deepcopy=False)"
OURS = (
    f"{_READ}from storage.rdb import open_storage; storage = open_storage(url); "
    "storage.get_all_trials(storage.get_study_id_from_name(name), deepcopy=False)"
)


def figures() -> Iterator[Figure]:
    """Measure everything of this module."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for study, n_trials in ((FULL, N_TRIALS), (EMPTY, 0)):
            fill(f"sqlite:///{folder / study}.db", study, n_trials)
        command = ["-m", "study"]
        measured = {
            ("list", 1 / 20): [*command, "list"],
            ("status", 1 / 10): [*command, "status"],
            ("export", 1 / 8): [*command, "export", "--out", str(folder / "table.csv")],
            ("all trials of our storage", 1 / 6): ["-c", OURS],
        }
        rounds: dict[str, list[float]] = {}
        for _ in range(N_ROUNDS):
            orm = _seconds(folder, ["-c", ORM])
            for (what, _), words in measured.items():
                rounds.setdefault(what, []).append(_seconds(folder, words) / orm)
        for what, bar in measured:
            yield Figure(
                name=f"reading {N_TRIALS:,} trials x {N_REPORTS}: {what} / Optuna's read",
                value=median(rounds[what]),
                bar=bar,
                stretch=bar / 2,
                at_most=True,
                ratios=rounds[what],
                conditions="SQLite, CPU seconds, start-up taken off",
            )


def fill(url: str, name: str, n_trials: int, n_reports: int = N_REPORTS) -> None:
    """Create a database with a study of complete trials, each with reports and attributes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(url, create=True, write=True)
    key = key_of(optuna.create_study(storage=storage, study_name=name))
    rng, began = np.random.default_rng(0), datetime(2025, 1, 1)  # noqa: DTZ001  # in UTC, as Optuna stores it
    finite = models.TrialValueModel.TrialValueType.FINITE
    finite_report = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
    choice = distribution_to_json(CategoricalDistribution(["a", "b", "c"]))
    rate = distribution_to_json(FloatDistribution(1e-5, 1e-1, log=True))
    x = rng.random((n_trials, N_PARAMS))
    y = ((x - 0.3) ** 2).sum(axis=1) + 0.1
    rows: dict[Any, list[dict[str, Any]]] = {
        TRIALS: [
            {
                "trial_id": i + 1,
                "number": i,
                "study_id": key,
                "state": TrialState.COMPLETE,
                "datetime_start": began + timedelta(seconds=50 * i),
                "datetime_complete": began + timedelta(seconds=50 * i + 45),
            }
            for i in range(n_trials)
        ],
        VALUES: [
            {"trial_id": i + 1, "objective": 0, "value": float(y[i]), "value_type": finite}
            for i in range(n_trials)
        ],
        PARAMS: [
            {
                "trial_id": i + 1,
                "param_name": f"parameter_{j}",
                "param_value": float(10 ** (4 * x[i, j] - 5)) if j else float(int(3 * x[i, j])),
                "distribution_json": rate if j else choice,
            }
            for i in range(n_trials)
            for j in range(N_PARAMS)
        ],
        USER_ATTRS: [
            {"trial_id": i + 1, "key": key, "value_json": str(i)}
            for i in range(n_trials)
            for key in ("parameters", "seconds")
        ],
        INTERMEDIATE_VALUES: [
            {
                "trial_id": i + 1,
                "step": step,
                "intermediate_value": float(y[i] + 1 / (step + 1)),
                "intermediate_value_type": finite_report,
            }
            for i in range(n_trials)
            for step in range(n_reports)
        ],
    }
    database = database_of(storage)
    assert database is not None
    with database.engine.begin() as connection:
        for table, values in rows.items():
            if values:
                connection.execute(table.insert(), values)


def _seconds(folder: Path, words: list[str]) -> float:
    """Return the CPU seconds of a command on the large study, without its start."""
    full, empty = (_cpu(folder, words, study) for study in (FULL, EMPTY))
    return full - empty


def _cpu(folder: Path, words: list[str], study: str) -> float:
    url = f"sqlite:///{folder / study}.db"
    where = [url, study] if words[0] == "-c" else ["--storage", url]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words, *where], check=True, capture_output=True, env=environment
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
