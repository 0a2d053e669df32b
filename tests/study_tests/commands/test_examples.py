"""The examples of the help do what they say."""

import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.commands import commands
from study.cli import app
from tests.conftest import Cli
from tests.servers import free_port, new_database, process

RESULTS = Path(__file__).parents[3] / "docs" / "results" / "autoencoder-extended.parquet"
ELSEWHERE = {
    *("run", "worker", "experiment", "confirm", "ablate", "train", "compose", "demo"),  # train
    *("serve-storage", "dashboard"),  # serve
}
SCRIPT = "from study.cli import main; main()"
ASK = {"copy", "rename", "delete"}
STUDIES = ("autoencoder-notebook", "autoencoder-extended", "original", "grid", "grid-confirmation")


def lines_to_run() -> list[str]:
    """Return the examples that neither train, serve, nor name a server or a journal."""
    lines = [line for command, _ in commands(app) for line in command.examples]
    here = (line for line in lines if line.split()[1] not in ELSEWHERE)
    return [line for line in here if "postgresql" not in line and "journal:" not in line]


@pytest.mark.whole
def test_examples_run(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that need no training and no server end well, each where its files are."""
    pq.write_table(pq.read_table(RESULTS).slice(0, 12), "results.parquet")
    for study in STUDIES:
        assert cli("import-csv", "results.parquet", "--study", study)[0] == 0
    others = optuna.create_study()
    others.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    others.trials_dataframe().to_parquet("trials.parquet")
    assert cli("export", "--study", "grid", "--out", "results.csv")[0] == 0
    assert cli("data", "build", "--vendor", "twitter", "--out", "twitter.parquet")[0] == 0
    shutil.copytree("runs", "runs/demo")
    lines = lines_to_run()
    assert len(lines) > 12
    for i, line in enumerate(lines):
        monkeypatch.chdir(shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-{i}")))
        words = shlex.split(line)[1:]
        code, _, err = cli(*words, *(["--yes"] if words[0] in ASK else []))
        assert (line, code, "Error" in err) == (line, 0, False)


SHORT = {
    "run": "--trials 2 --epochs 1",
    "worker": "--workers 1",
    "experiment": "--pairs 1 --epochs 1",
    "confirm": "--seeds 2 --workers 1",
    "ablate": "--seeds 2 --workers 1",
    "copy": "--yes",
}
"""What is added to an example, so that it trains for seconds; options given last count."""


@pytest.mark.slow
def test_examples_that_train_and_serve(
    postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others run as well, in the order of the help, on the same folder and real servers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROWSER", "true")
    database, port = new_database(postgres, "examples"), free_port()
    places = {
        "postgresql+psycopg://me@db/studies": database,
        "HOST:13000": f"127.0.0.1:{port}",
        "--epochs 100": "--epochs 1",
        "--host 0.0.0.0": f"--port {port}",
        "NAME": "autoencoder-extended",
        "--port 9000": f"--port {free_port()}",
        "dashboard --open": f"dashboard --open --port {free_port()}",
    }
    search = "--space notebook --sampler random --study autoencoder-extended --epochs 1"
    search += " --set auto_encoder=CNN --set batch_size=64 --set weight_decay=1e-5"
    search += " --set batch_normalization=true"
    grid = "--space notebook --sampler grid --study grid --epochs 1 --trials 1"
    journal = JournalStorage(JournalFileBackend("optuna.log"))
    optuna.create_study(storage=journal, study_name="other")
    for line in (
        f"run autoencoder {search} --trials 18",
        f"run autoencoder {search} --trials 2 --storage {database}",
        f"run autoencoder {grid}",
        "data build --vendor twitter --out twitter.parquet",
        "copy --study grid --to sqlite:///runs/demo/study.db --yes",
    ):
        run(*shlex.split(line))
    shown = set(lines_to_run())
    lines = [line for command, _ in commands(app) for line in command.examples]
    with ExitStack() as serving:
        for line in (line for line in lines if line not in shown and "demo --out" not in line):
            typed = line
            for word, place in places.items():
                typed = typed.replace(word, place)
            _, command, *words = shlex.split(f"{typed} {SHORT.get(line.split()[1], '')}")
            if command in ("serve-storage", "dashboard"):
                serving.enter_context(serves(command, *words))
                continue
            run(command, *words)
            if command == "train":  # the examples of compose take it from there
                shutil.copytree(next(Path("runs/train").iterdir()), "best", dirs_exist_ok=True)


def run(*words: str) -> None:
    """Run a command in a process of its own, as all its connections end with it."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True)
    assert (words, ended.returncode, "Error" in ended.stderr) == (words, 0, False), ended.stderr


@contextmanager
def serves(*words: str) -> Iterator[None]:
    """Start a command that serves, wait until it says where, and end it by Ctrl-C."""
    with process(SCRIPT, *words) as running:
        assert any("://" in line for line in running.stdout)
        yield
        running.send_signal(signal.SIGINT)
        assert running.wait() in (0, 130)
