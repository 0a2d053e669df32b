"""Fixtures of several packages: a tiny data set, study settings, storages, and waiting."""

import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoji_ae.emojicloud import SCHEMA, build_table
from emoji_ae.labels import exclusion
from study.kinds import Source
from study.settings import StudySettings, code_version
from tests.servers import new_database, postgres_server
from tests.study_tests.toy import toy
from tests.times import (
    pytest_configure,
    pytest_runtest_protocol,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)

__all__ = [
    "pytest_configure",
    "pytest_runtest_protocol",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "toy",
]

# Trainings here are tiny: several threads only get in each other's way, and slow them down many
# times while other processes need the cores. Read by torch when it is imported.
os.environ["OMP_NUM_THREADS"] = "1"

# A shell that runs the tests in the background makes them, and what they start, deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, and none of them fails for being slow on a busy machine.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

Cli = Callable[..., tuple[int, str, str]]
"""Runs the command; returns the exit code, standard output and standard error."""

Wait = Callable[[Callable[[], bool]], None]
"""Waits until a condition holds."""

TIME_LIMIT_S = 300.0
"""Of every wait; far more than anything takes, for the machine may be busy."""

WHOLE = frozenset(
    {
        *("Browser", "serving", "make_server", "postgres_server"),
        *("fit", "train_classifier", "train_model"),
        *("objective_of", "run_trial", "run_worker", "run_study", "supervise", "refreshing"),
        *("Place", "train_final", "main"),
        *("render_report", "render_data"),
    }
)
"""What a module of tests imports that drives a browser, asks a server, trains or draws pages."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of modules that import one of ``WHOLE``, on a server, and of the command line.

    Their files, the longest, come first, so that neither process waits for the other's last one.
    """
    for item in items:
        if not WHOLE.isdisjoint(vars(item.getparent(pytest.Module).obj)) or (
            {"database", "cli"} & set(item.fixturenames)
        ):
            item.add_marker(pytest.mark.whole)
    long = {item.path for item in items if item.get_closest_marker("whole")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set file with 40 face emoji, which split into 24, 8 and 8."""
    table = build_table().to_pandas()
    faces = table[[exclusion(text) is None for text in table["text"]]].iloc[::3].head(40)
    path = tmp_path_factory.mktemp("data") / "faces.parquet"
    pq.write_table(pa.Table.from_pandas(faces, schema=SCHEMA, preserve_index=False), path)
    return path


@pytest.fixture(scope="session")
def dataset(tiny_data: Path) -> Any:
    """That data set."""
    from emoji_ae.dataset import load_dataset  # needs torch, unlike the storage tests

    return load_dataset(tiny_data)


@pytest.fixture(scope="session")
def other_data(tiny_data: Path) -> Path:
    """A data set file with the same face emoji in reverse, which makes them other data."""
    table = pq.read_table(tiny_data)
    path = tiny_data.with_name("reverse.parquet")
    pq.write_table(table.take(list(range(len(table)))[::-1]), path)
    return path


@pytest.fixture(scope="session")
def settings(tiny_data: Path) -> StudySettings:
    """Settings of a study on the tiny data: a random design of CNNs, two epochs each."""
    from study.emoji.trainer import EmojiTrainer  # needs torch, unlike the storage tests

    data = EmojiTrainer().load(Source(path=tiny_data, split="group", seed=42), None)
    return StudySettings(
        kind="autoencoder",
        space="notebook",
        fixed={"auto_encoder": "CNN", "epoch": 2, "batch_size": 16},
        sampler="random",
        pruner="none",
        seed=0,
        data=str(tiny_data),
        data_fingerprint=data.fingerprint,
        split="group",
        data_seed=42,
        min_accuracy=None,
        pareto=False,
        sides=data.sides,
        code_version=code_version(),
    )


@pytest.fixture(scope="session")
def multitask(settings: StudySettings) -> StudySettings:
    """Settings of a multitask study on the tiny data: a random design, two epochs each."""
    return replace(settings, kind="multitask", fixed={"epoch": 2, "batch_size": 16})


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server for all tests that leave it as it is."""
    with postgres_server() as server:
        yield server


def new_url(kind: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of a new database, ``sqlite`` or ``postgresql``."""
    if kind == "sqlite":
        return str(request.getfixturevalue("url"))
    return new_database(request.getfixturevalue("postgres"), f"studies_{uuid.uuid4().hex}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a new database on a file, then on a server."""
    return new_url(request.param, request)


@pytest.fixture
def wait_until() -> Wait:
    """Return a function that waits until a condition holds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIME_LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, "the condition never came true"
            time.sleep(0.02)

    return wait


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Cli:
    """Return a function that runs the command in this process, in ``tmp_path``."""
    from study.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EMOJI_STUDY_STORAGE", raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["emoji-study", *args])
        capsys.readouterr()
        with pytest.raises(SystemExit, match=r"^\d+$") as ended:
            main()
        seen = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, seen.out, seen.err

    return run
