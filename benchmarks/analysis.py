"""What a report costs where a study is large: all of its analyses, the page, and its size.

The studies are made up in memory from the extended spaces, with curves of 200 epochs.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from optuna.trial import TrialState
from playwright.sync_api import sync_playwright

from benchmarks.measure import Figure, median
from search_spaces import SPACES
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.report import ReportData, render_data
from study.report.findings import Findings
from study.report.processes import other_processes
from study.report.sections import groups_of

N_TRIALS, N_FEWER = 10_000, 1_000
_WINDOW_PER_PAINT = """() => new Promise((resolve) => {
    const waits = [...document.querySelectorAll(".chart")].filter(
        (place) => place.getBoundingClientRect().top + scrollY < innerHeight);
    const [{ startTime }] = performance.getEntriesByName("first-contentful-paint");
    new PerformanceObserver((list) => {
        const last = list.getEntries().at(-1).startTime;
        resolve(waits.length ? Infinity : last / startTime);
    }).observe({ type: "largest-contentful-paint", buffered: true });
})"""

N_EPOCHS = 200

N_OPENINGS = 5

PRUNED_SHARE, FAILED_SHARE = 0.04, 0.01

MIN_ACCURACY = 0.7

CLASS_COUNTS = {
    "train": {"animal": 36, "human face": 180, "other": 54, "person": 90},
    "validation": {"animal": 12, "human face": 60, "other": 18, "person": 30},
}

START = datetime(2025, 1, 1, tzinfo=UTC)


def made_up(kind: str, n_trials: int, *, seed: int = 0) -> StudyRecord:
    """Return a study of random points of the extended space, by two workers.

    The error depends on learning rate, architecture and activation; where trials classify,
    accuracy depends on the weight of the classifier's loss.

    Args:
        n_trials: Of any state, 200 epochs each; 4 % are pruned after 7, 21 or 63 epochs, and 1 %
            failed.
    """
    rng = np.random.default_rng(seed)
    space = SPACES[kind]["extended"].without("extra_images")
    distributions = {p.name: p.distribution for p in space.parameters}
    units = rng.random((n_trials, len(space.parameters)))
    decay = np.exp(-np.arange(N_EPOCHS) / (10 + 40 * rng.random((n_trials, 1))))
    noise = rng.random((n_trials, N_EPOCHS))
    chances = rng.random(n_trials)
    trials = []
    for number in range(n_trials):
        params = space.at(units[number], {"epoch": N_EPOCHS})
        curve = _level(params) + 0.2 * decay[number] + 0.002 * noise[number]
        state, epochs = TrialState.COMPLETE, N_EPOCHS
        if chances[number] < PRUNED_SHARE:
            state, epochs = TrialState.PRUNED, 7 * 3 ** int(rng.integers(3))
        elif chances[number] > 1 - FAILED_SHARE:
            state, epochs = TrialState.FAIL, int(rng.integers(1, N_EPOCHS))
        curve = curve[:epochs]
        complete = state == TrialState.COMPLETE
        started = START + timedelta(seconds=50 * number)
        trials.append(
            TrialRecord(
                number=number,
                trial_id=number + 1,
                state=state,
                values=(float(curve.min()),) if complete else (),
                params=params,
                distributions={name: distributions[name] for name in params},
                intermediate_values=dict(enumerate(curve.tolist())),
                user_attrs={
                    attrs.SEED: number,
                    attrs.WORKER: f"host/ab:{number % 2}",
                    attrs.EPOCHS_RUN: epochs,
                    attrs.TRAINING_SECONDS: 0.45 * epochs,
                    attrs.PARAMETER_COUNT: 200_000,
                    attrs.BEST_EPOCH: int(curve.argmin()) + 1,
                    **({attrs.FAILURE: "no memory"} if state == TrialState.FAIL else {}),
                    **(_classified(params, rng) if complete and kind == "multitask" else {}),
                },
                started=started,
                completed=started + timedelta(seconds=0.5 * epochs),
            )
        )
    return StudyRecord(
        name=f"{kind} of {n_trials}",
        directions=("minimize",),
        user_attrs={
            attrs.SETTINGS: _settings(kind),
            **({attrs.CLASS_COUNTS: CLASS_COUNTS} if kind == "multitask" else {}),
        },
        trials=tuple(trials),
    )


def seconds_of_analyses(kind: str) -> Figure:
    """Seconds of everything that a report of 10,000 trials finds out and draws."""
    data = ReportData(studies=(made_up(kind, N_TRIALS),))
    with other_processes(N_TRIALS) as processes:
        seconds = _seconds(lambda: groups_of(Findings(data, processes)))
    return _figure(
        f"analyses of 10,000 trials, seconds, {kind}",
        [seconds],
        bar=20.0,
        stretch=10.0,
    )


def reports(n_trials: int, *, n_times: int, bar: float, stretch: float) -> Iterator[Figure]:
    """Seconds of a whole page of so many trials of either kind, and its megabytes."""
    seconds: dict[str, list[float]] = {}
    megabytes = []
    for kind in ("autoencoder", "multitask"):
        data = ReportData(studies=(made_up(kind, n_trials),))
        for _ in range(n_times):
            started = time.perf_counter()
            with other_processes(n_trials) as processes:
                page = render_data(data, processes=processes)
            seconds.setdefault(kind, []).append(time.perf_counter() - started)
        megabytes.append(len(page.encode()) / 1e6)
    trials = f"{n_trials:,} trials"
    slower = max(seconds.values(), key=median)
    yield _figure(f"report of {trials}, seconds", slower, bar=bar, stretch=stretch)
    yield _figure(f"report of {trials}, MB", [max(megabytes)], bar=8.5, stretch=7.0)


def opening(page: str) -> Iterator[Figure]:
    """Seconds from opening a report in a browser; nothing where there is no Chromium.

    First until its table of trials answers, then until all of its charts are drawn as well, which
    a page does as they come near. And how many times the first paint it takes until the first
    window is complete, for that has no chart that waits for a library.
    """
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser is None:
        return
    seconds: dict[str, list[float]] = {"trials": [], "charts": []}
    times = []
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        path.write_text(page)
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for _ in range(N_OPENINGS):
            tab = chromium.new_page()
            started = time.perf_counter()
            tab.goto(path.as_uri(), wait_until="commit")
            tab.wait_for_selector("html[data-trials=ready]", state="attached")
            seconds["trials"].append(time.perf_counter() - started)
            tab.evaluate("drawAll()")
            seconds["charts"].append(time.perf_counter() - started)
            times.append(tab.evaluate(_WINDOW_PER_PAINT))
            tab.close()
        chromium.close()
    name = f"report of {N_TRIALS:,} trials opened, seconds until"
    yield _figure(f"{name} its table answers", seconds["trials"], bar=3.0, stretch=1.5)
    yield _figure(f"{name} all is drawn", seconds["charts"], bar=6.0, stretch=3.0)
    yield _figure(
        f"report of {N_TRIALS:,} trials opened, first window per first paint",
        times,
        bar=3.0,
        stretch=1.5,
    )


def figures() -> Iterator[Figure]:
    """Measure everything of this module."""
    warm = ReportData(studies=(made_up("multitask", 200),))
    groups_of(Findings(warm))  # the first use of a library is the slowest
    yield seconds_of_analyses("autoencoder")
    yield seconds_of_analyses("multitask")
    yield from reports(N_TRIALS, n_times=1, bar=30.0, stretch=15.0)
    yield from reports(N_FEWER, n_times=5, bar=10.0, stretch=5.0)
    yield from opening(render_data(ReportData(studies=(made_up("autoencoder", N_TRIALS),))))


def _level(params: Mapping[str, Any]) -> float:
    """Return the error that a training of these parameters ends with."""
    distance = np.log10(params["learning_rate"]) + 2
    activation = {"relu": 0.004, "leaky_relu": 0.002}.get(params["activation"], 0.0)
    family = 0.03 * (params["auto_encoder"] == "linear")
    return float(0.012 + 0.01 * distance**2 + activation + family)


def _classified(params: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return the attributes of a trial that classifies the better the more its loss counts."""
    counts = np.asarray(list(CLASS_COUNTS["validation"].values()))
    weight = (np.log10(params.get("classification_lambda", 1e-3)) + 3) / 4
    shares = np.clip(0.5 + 0.4 * weight + rng.uniform(-0.15, 0.15, size=len(counts)), 0, 1)
    right = np.round(shares * counts).astype(int)
    confusion = np.diag(right) + np.diag((counts - right)[:-1], 1)
    confusion[-1, 0] = counts[-1] - right[-1]
    accuracy = float(right.sum() / counts.sum())
    return {
        attrs.VALIDATION_ACCURACY: accuracy,
        attrs.VALIDATION_BALANCED_ACCURACY: float((right / counts).mean()),
        attrs.CONFUSION: confusion.tolist(),
        **({attrs.INFEASIBLE: True} if accuracy < MIN_ACCURACY else {}),
    }


def _settings(kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "space": "extended",
        "fixed": {},
        "sampler": "random",
        "pruner": "hyperband",
        "seed": 0,
        "data": None,
        "data_fingerprint": "0123456789abcdef",
        "split": "group",
        "data_seed": 42,
        "min_accuracy": MIN_ACCURACY if kind == "multitask" else None,
        "pareto": False,
        "sides": "ttvtx" * 35,
        "code_version": "0.1.0",
    }


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _figure(name: str, values: list[float], *, bar: float, stretch: float) -> Figure:
    return Figure(
        name=name,
        value=median(values),
        bar=bar,
        stretch=stretch,
        at_most=True,
        ratios=values,
        conditions=f"extended space, curves of {N_EPOCHS} epochs, a process on each core",
    )
