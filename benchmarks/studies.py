"""Whole studies through the real ``run``: throughput, overhead, memory, start-up."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.measure import Figure, median, paired_ratios
from benchmarks.plain_loop import train_plainly
from benchmarks.training import baseline, default_data, encode
from emoji_ae.config import AutoencoderConfig
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record
from study.analysis.spent import epochs_run
from study.running.supervisor import ALLOCATOR

STUDY = "bench"


def run(folder: Path, *options: str, trials: int, workers: int = 1) -> StudyRecord:
    """Run a study of CNNs with ``emoji-study run`` and read it."""
    url = f"sqlite:///{folder / 'study.db'}"
    command = [sys.executable, "-P", "-m", "study", "run", "autoencoder", "--storage", url]
    command += ["--study", STUDY, "--trials", str(trials), "--workers", str(workers)]
    command += ["--threads", "1", "--pruner", "none"]
    command += ["--set", "auto_encoder=CNN", *options]
    subprocess.run(command, check=True, capture_output=True)
    return load_study_record(open_storage(url), STUDY)


def wall_s(record: StudyRecord) -> float:
    """Return the seconds from the first start to the last end of the complete trials."""
    starts = [t.started for t in record.complete if t.started is not None]
    ends = [t.completed for t in record.complete if t.completed is not None]
    return (max(ends) - min(starts)).total_seconds()


EQUAL = ("--sampler", "grid", "--set", "batch_size=16", "--set", "batch_normalization=false")
"""Leaves sixteen points, no two of them the same training, that take equally long: a sampler that
draws points repeats some, which take no time, and one worker then waits for the other.
"""


def two_workers_over_one() -> Figure:
    """Trials per second of two workers over those of one, from first start to last end."""
    n_trials = 16

    def seconds_per_trial(workers: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            options = ("--epochs", "40", *EQUAL)
            record = run(Path(folder), *options, trials=n_trials, workers=workers)
        return wall_s(record) / len(record.complete)

    ratios = paired_ratios(lambda: seconds_per_trial(1), lambda: seconds_per_trial(2))
    return Figure(
        name="CNN trials per second, two workers / one",
        value=median(ratios),
        bar=1.85,
        stretch=1.95,
        at_most=False,
        ratios=ratios,
        conditions=f"1 thread per worker, {n_trials} equal trials of 40 epochs, SQLite",
    )


def time_outside_training() -> Figure:
    """Share of a study's time, from first start to last end, that no training took."""
    shares = []
    for seed in range(2):
        with tempfile.TemporaryDirectory() as folder:
            options = ("--sampler", "random", "--epochs", "50", "--seed", str(seed))
            record = run(Path(folder), *options, trials=20)
        training = sum(float(t.user_attrs["training_seconds"]) for t in record.complete)
        shares.append(1 - training / wall_s(record))
    return Figure(
        name="time outside training / time",
        value=median(shares),
        bar=0.03,
        stretch=0.01,
        at_most=True,
        ratios=shares,
        conditions="20 CNN trials of 50 epochs, SQLite, 1 worker with 1 thread",
    )


def memory() -> list[Figure]:
    """A worker's peak memory over the least that it needs, and its growth over many trials."""
    with tempfile.TemporaryDirectory() as folder:
        data = default_data()
        tensors = Path(folder) / "data.pt"
        torch.save({"train": data.train.images, "validation": data.validation.images}, tensors)
        least = float(_python("least", str(tensors)))
        run(Path(folder), "--sampler", "random", "--epochs", "1", trials=1)  # creates the study
        words = _python("worker", folder).split()
    peak, after_20, after_300 = (float(word) for word in words)
    return [
        Figure(
            name="worker's peak memory / torch, data, model and optimizer alone",
            value=peak / least,
            bar=1.3,
            stretch=1.1,
            at_most=True,
            ratios=[peak / least],
            conditions=f"CNN, 1 thread; {peak / 1024:.0f} MB and {least / 1024:.0f} MB",
        ),
        Figure(
            name="worker's memory after 300 trials / after 20",
            value=after_300 / after_20,
            bar=1.03,
            stretch=1.0,
            at_most=True,
            ratios=[after_300 / after_20],
            conditions="CNN, 1 thread, trials of 1 epoch",
        ),
    ]


def help_time() -> Figure:
    """Seconds of ``emoji-study --help``."""
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        command = [sys.executable, "-P", "-m", "study", "--help"]
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return Figure(
        name="emoji-study --help, seconds",
        value=median(seconds),
        bar=0.4,
        stretch=0.2,
        at_most=True,
        ratios=seconds,
        conditions="a fresh process each",
    )


def whole_run_over_plain_loop(*, epochs: int = 60, pairs: int = 3) -> Figure:
    """CNN: the whole command ``run`` with two workers, start and end included, per epoch.

    Against the plain loop that decodes once, with two threads.
    """
    data = default_data()
    config = AutoencoderConfig(epoch=epochs, batch_size=16, learning_rate=1e-3)
    train, validation = (encode(side.images, 72) for side in (data.train, data.validation))

    def plain() -> float:
        torch.set_num_threads(2)
        return train_plainly(config, train, validation, seed=0, once=True)[0]

    def command() -> float:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            options = ("--sampler", "random", "--epochs", str(epochs), "--set", "batch_size=16")
            record = run(Path(folder), *options, trials=4, workers=2)
            seconds = time.perf_counter() - started
        return seconds / sum(map(epochs_run, record.complete))

    ratios = paired_ratios(plain, command, pairs=pairs)
    return Figure(
        name=f"CNN, {baseline(True)} / whole run with two workers, 72 px sources",
        value=median(ratios),
        bar=1.5,
        stretch=2.0,
        at_most=False,
        ratios=ratios,
        conditions=f"seconds per epoch; plain loop 2 threads; 4 trials of {epochs} epochs, start "
        "of Python, database, files and notes included",
    )


def figures() -> Iterator[Figure]:
    """Measure everything of this module."""
    yield whole_run_over_plain_loop()
    yield two_workers_over_one()
    yield time_outside_training()
    yield from memory()
    yield help_time()


def _python(module: str, argument: str) -> str:
    """Run a module of this package in a process of its own; return what it prints last."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.memory_{module}", argument],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | ALLOCATOR,
    )
    return done.stdout.strip().splitlines()[-1]
