"""What commands cost that read a large study, over Optuna's own read of it, in CPU seconds.

What a command takes on a database with one empty study, which is its start, is taken off.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from benchmarks.measure import Figure, median
from storage.importing import insert_study
from storage.rdb import open_storage
from storage.records import StudyRecord, TrialRecord

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
            storage = open_storage(f"sqlite:///{folder / study}.db", create=True, write=True)
            insert_study(storage, study_of(study, n_trials))
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


def study_of(name: str, n_trials: int) -> StudyRecord:
    """Return a study of complete trials as another program makes it, with reports."""
    rng, began = np.random.default_rng(0), datetime(2025, 1, 1, tzinfo=UTC)
    rate = FloatDistribution(1e-5, 1e-1, log=True)
    ranges: dict[str, BaseDistribution] = {f"rate_{i}": rate for i in range(1, N_PARAMS)}
    ranges["model"] = CategoricalDistribution(["a", "b", "c"])
    trials = []
    for number in range(n_trials):
        x = rng.random(N_PARAMS)
        value, started = (
            float(((x - 0.3) ** 2).sum() + 0.1),
            began + timedelta(seconds=50 * number),
        )
        rates = {f"rate_{i}": float(10 ** (4 * x[i] - 5)) for i in range(1, N_PARAMS)}
        trials.append(
            TrialRecord(
                number=number,
                trial_id=number,
                state=TrialState.COMPLETE,
                values=(value,),
                params={**rates, "model": "abc"[int(3 * x[0])]},
                distributions=ranges,
                intermediate_values={i: value + 1 / (i + 1) for i in range(N_REPORTS)},
                user_attrs={},
                other_attrs={"parameters": number, "seconds": 45},
                started=started,
                completed=started + timedelta(seconds=45),
            )
        )
    return StudyRecord(name=name, directions=("minimize",), user_attrs={}, trials=tuple(trials))


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
