"""How long a page of the dashboard waits for the data of a large study."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, create_trial

from benchmarks.analysis import made_up
from benchmarks.measure import Figure, median
from storage.artifacts import open_artifacts, stand_ins
from storage.rdb import close_all, open_storage
from storage.records import TrialRecord
from study.dashboard.refresh import refresh

N_TRIALS = 1000
N_LOOKS = 5
STALE_S = 10.5
"""Seconds after which the dashboard reads a study of that size anew."""


def figures() -> Iterator[Figure]:
    """Measure everything of this module."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = refresh_s(Path(folder))
        yield _figure("notes and charts written, seconds", [seconds], bar=30.0, stretch=10.0)
        first, later = looks_s(Path(folder))
    yield _figure("page opened at once, seconds for its data", first, bar=10.0, stretch=3.0)
    yield _figure("page refreshed, seconds for its data", later, bar=1.5, stretch=0.5)


def refresh_s(folder: Path) -> float:
    """Store a study with an entry of each file per trial; return the seconds of a refresh."""
    url = f"sqlite:///{folder / 'study.db'}"
    storage = open_storage(url, create=True, write=True)
    record = made_up("multitask", N_TRIALS)
    store = open_artifacts(folder / "artifacts")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=record.name)
    for name, value in record.user_attrs.items():
        study.set_user_attr(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.add_trials(_frozen(trial, stand_ins(store)) for trial in record.trials)
    started = time.perf_counter()
    refresh(storage, record.name, url=url, artifacts=folder / "artifacts")
    seconds = time.perf_counter() - started
    close_all()
    return seconds


def looks_s(folder: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of first looks, each at a new server, and of later ones."""
    first, later = [], []
    for _ in range(N_LOOKS):
        command = [sys.executable, "-P", "-m", "study", "dashboard", "--port", "0"]
        command += ["--storage", f"sqlite:///{folder / 'study.db'}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            printed = process.stdout.readline().split(" at ")[1].split(" ")[0]
            address, _, token = printed.partition("/?token=")
            first.append(_look_s(f"{address}/api/studies/1", token))
            time.sleep(STALE_S)
            later.append(_look_s(f"{address}/api/studies/1?after={N_TRIALS}", token))
            process.terminate()
    return first, later


def _look_s(address: str, token: str) -> float:
    asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    started = time.perf_counter()
    with urllib.request.urlopen(asked) as answer:
        json.loads(answer.read())
    return time.perf_counter() - started


def _frozen(trial: TrialRecord, artifacts: dict[str, str]) -> FrozenTrial:
    return create_trial(
        state=trial.state,
        value=trial.value,
        params=dict(trial.params),
        distributions=dict(trial.distributions),
        user_attrs=dict(trial.user_attrs),
        system_attrs=dict(artifacts),
        intermediate_values=dict(trial.intermediate_values),
    )


def _figure(name: str, values: list[float], *, bar: float, stretch: float) -> Figure:
    return Figure(
        name=f"dashboard of {N_TRIALS:,} trials: {name}",
        value=median(values),
        bar=bar,
        stretch=stretch,
        at_most=True,
        ratios=values,
        conditions="multitask study, curves of 200 epochs, SQLite",
    )
