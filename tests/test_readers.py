"""What reads needs no torch: it neither asks for it, nor misses it where it is not installed."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
import pytest

from tests.study_tests.dashboards import serving
from tests.study_tests.toy import TOY_FILE

ROOT = Path(__file__).parent.parent
OLD = ROOT / "tests" / "assets" / "0.1.0"
MISSING = (
    "torch, which is not installed: pip install 'WHEEL[train]', with the path of emoji-study's "
    "wheel or folder"
)
SCRIPT = """
import contextlib, io, json, shlex, sys


class Missing:
    asked = False

    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            self.asked = True
            raise ModuleNotFoundError("No module named 'torch'", name=name)


missing = Missing()
sys.meta_path.insert(0, missing)
from study.cli import main

answers = {}
for line in json.load(sys.stdin):
    missing.asked = False
    sys.argv, said = ["emoji-study", *shlex.split(line)], io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as ended:
            answers[line] = ended.code, said.getvalue().strip(), missing.asked
json.dump(answers, sys.stdout)
"""
"""Runs command lines where torch is missing; tells of each what came out, and if it asked."""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A database as plain Optuna makes it: maximised, with steps, trials pruned and failed."""
    file = tmp_path / "study.db"
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(
        storage=f"sqlite:///{file}", study_name="boosting", direction="maximize", sampler=sampler
    )

    def objective(trial: optuna.Trial) -> float:
        depth, rate = trial.suggest_int("depth", 1, 9), trial.suggest_float("rate", 1e-3, 1)
        trial.report(rate, 1000)
        if depth == 1:
            raise ArithmeticError
        if depth == 2:
            raise optuna.TrialPruned
        return depth - rate

    study.optimize(objective, n_trials=20, catch=ArithmeticError)
    return file


@pytest.mark.whole
def test_torch_is_asked_for_by_what_trains_with_it(foreign: Path) -> None:
    """Readers do without; the rest creates nothing and says in a line what to install."""
    shutil.copy(OLD / "study.db", foreign.with_name("own.db"))
    theirs, own, new = (f"--storage sqlite:///{name}.db" for name in ("study", "own", "new"))
    reading = (
        *(f"list {theirs}", f"status {theirs}", f"export {theirs} --out trials.parquet"),
        *(f"report {theirs} --out boosting.html", "report --from boosting.html --out again.md"),
        *(f"list {own}", f"status {own} --study search", f"report {own} --study classes"),
        *(f"export {own} --study search --out trials.csv", f"dashboard --refresh {own}"),
        f"import-csv {OLD / 'results.csv'} --storage sqlite:///imported.db",
    )
    training = (
        *(f"run autoencoder {new}", f"worker {own} --study search", "train", "demo"),
        *(f"{name} {own} --study search" for name in ("train", "confirm", "ablate")),
        *(f"experiment leakage {new}", "data describe", "data build --out faces.parquet"),
        f"compose 'a + b' {own} --study search",
    )
    example = ROOT / "examples" / "digits.py"
    needs = f"This needs {MISSING}"
    expected = {
        **{line: [0, "", False] for line in reading},
        **{line: [1, f"Error: {needs}", True] for line in training},
        f"run {example}:DIGITS {new}": [
            *(1, f"Error: {example} cannot be imported (line 17): {needs}", True)
        ],
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(list(expected)),
        cwd=foreign.parent,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == expected
    written = {path.name for path in foreign.parent.rglob("*")}
    assert written == {
        *("study.db", "own.db", "imported.db", "trials.parquet", "trials.csv"),
        *("boosting.html", "again.md", "runs", "classes.html"),
    }


@pytest.mark.slow
def test_the_wheel_reads_without_torch(foreign: Path) -> None:
    """The lines of ``docs/any-study.md`` run without torch and leave the database as it is."""
    folder, content = foreign.parent, foreign.read_bytes()
    page = (ROOT / "docs" / "any-study.md").read_text()
    lines = re.findall(r"^(?:pipx run --spec WHEEL )?emoji-study (.*)$", page, re.MULTILINE)
    source = ["git", "checkout-index", "--all", f"--prefix={folder}/source/"]
    subprocess.run(source, cwd=ROOT, check=True)
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([*wheel, f"{folder}/source"], check=True)
    spec = next(folder.glob("*.whl"))
    pipx = [sys.executable, "-m", "pipx", "run", "--spec", str(spec), "emoji-study"]
    with TemporaryDirectory() as home:
        env = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        env["PIPX_HOME"] = home

        def ask(line: str) -> tuple[int, str]:
            command = [*pipx, *shlex.split(line)]
            done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
            return done.returncode, done.stderr.splitlines()[-1] if done.returncode else ""

        assert len(lines) > 4
        for line in lines:
            if not line.startswith("dashboard"):
                assert ask(line) == (0, ""), line
        with serving(f"sqlite:///{foreign}", command=pipx, env=env) as dashboard:
            assert b"boosting" in dashboard.get("/")[2]
            assert dashboard.get("/report/1")[0] == 200
            dashboard.end()
        assert foreign.read_bytes() == content
        assert ask("run autoencoder") == (1, f"Error: This needs {MISSING}")
        toy = f"run {TOY_FILE}:TOY --trials 2"
        assert ask(toy) == (0, "")
        assert ask(f"{toy} --study gp --sampler gp") == (1, f"Error: `gp` needs {MISSING}")
