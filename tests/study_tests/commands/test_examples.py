"""The examples of the help do what they say."""

import shlex
import shutil
from pathlib import Path

import optuna
import pyarrow.parquet as pq
import pytest

from benchmarks.commands import commands
from study.cli import app
from tests.conftest import Cli

RESULTS = Path(__file__).parents[3] / "docs" / "results" / "autoencoder-extended.parquet"
ELSEWHERE = {
    *("run", "worker", "experiment", "confirm", "ablate", "train", "compose", "demo"),  # train
    *("serve-storage", "dashboard"),  # serve
}
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
