"""A kind of one's own through all commands, as a user would: files, processes, one SQLite file."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from storage import attrs
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record
from study.analysis import kind_of
from tests.study_tests.toy import TOY

DIGITS = Path(__file__).parent.parent / "examples" / "digits.py"


def command(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command line in a folder, whose study database is the default one."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "study", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def done(folder: Path, *arguments: str) -> str:
    """Run a command line that must succeed; return what it printed."""
    ended = command(folder, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def stored(folder: Path, study: str) -> StudyRecord:
    """Read a study of a folder's database."""
    return load_study_record(open_storage(f"sqlite:///{folder / 'runs' / 'study.db'}"), study)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A folder's file with a kind."""
    path = tmp_path / "toy_kind.py"
    path.write_text(TOY)
    return path


def test_a_kind_goes_through_all_commands(file: Path) -> None:
    """It is searched, trained for good, confirmed, taken apart, and read without its file."""
    folder = file.parent
    said = done(folder, "run", "toy_kind.py:TOY", "--trials", "12", "--workers", "2")
    assert "12 of 12 trials finished" in said
    record = stored(folder, "toy-line")
    best = record.best
    assert best is not None
    assert best.value == min(best.intermediate_values.values())

    said = done(folder, "train", "--study", "toy-line", "--out", "best")
    assert "This repeats the trial's distance exactly." in said
    assert (folder / "best" / "model").exists()
    said = done(folder, "confirm", "--study", "toy-line", "--top", "2", "--seeds", "3")
    assert "fresh seeds and splits" in said
    confirmed = stored(folder, "toy-line-confirmation")
    assert len(confirmed.user_attrs[attrs.TEST_RESULTS]) == len(confirmed.complete) == 12
    assert not list((folder / "runs" / "artifacts" / "models").iterdir())
    done(folder, "ablate", "--study", "toy-line", "--seeds", "2", "--param", "rate")

    file.unlink()
    for reader in ("list", "status", "export", "report"):
        arguments = [] if reader == "list" else ["--study", "toy-line"]
        arguments += ["--out", "trials.csv"] if reader == "export" else []
        assert done(folder, reader, *arguments)
    page = folder / "runs" / "toy-line.html"
    again = folder / "again.html"
    done(folder, "report", "--from", str(page), "--out", str(again))
    assert again.read_bytes() == page.read_bytes()
    refused = command(folder, "run", "toy_kind.py:TOY")
    assert (refused.returncode, refused.stderr) == (
        1,
        f"Error: {file}: No such file or directory.\n",
    )


def test_a_changed_file_is_accepted_or_refused(file: Path) -> None:
    """The first differing line is named; what is trained by other code is marked."""
    folder = file.parent
    done(folder, "run", "toy_kind.py:TOY", "--trials", "2")
    file.write_text(TOY.replace("/ 1000", "/ 100"))
    for refused in (
        command(folder, "run", "toy_kind.py:TOY", "--trials", "2"),
        command(folder, "worker", "--study", "toy-line"),
        command(folder, "confirm", "--study", "toy-line"),
        command(folder, "train", "--study", "toy-line"),
    ):
        assert refused.returncode == 1
        assert "has changed since study 'toy-line' was made: line " in refused.stderr
        assert "% 7 / 1000)` and is `xs" in refused.stderr
        assert "--accept-change" in refused.stderr
    before = kind_of(stored(folder, "toy-line")).source
    done(folder, "run", "toy_kind.py:TOY", "--trials", "2", "--accept-change")
    record = stored(folder, "toy-line")
    after = kind_of(record).source
    assert before is not None
    assert after is not None
    digests = [trial.user_attrs[attrs.KIND_DIGEST] for trial in record.trials]
    assert digests == 2 * [before.digest] + 2 * [after.digest]
    done(folder, "run", "toy_kind.py:TOY", "--trials", "1")


def test_a_worker_brings_its_own_copy(file: Path) -> None:
    """Another machine's file may lie elsewhere, if it is the same."""
    folder = file.parent
    done(folder, "run", "toy_kind.py:TOY", "--trials", "1")
    study = optuna.load_study(
        study_name="toy-line",
        storage=open_storage(f"sqlite:///{folder / 'runs' / 'study.db'}", write=True),
    )
    study.set_user_attr(attrs.TARGET, 3)
    moved = file.rename(folder / "copy.py")
    lost = command(folder, "worker", "--study", "toy-line")
    assert (lost.returncode, lost.stderr) == (1, f"Error: {file}: No such file or directory.\n")
    said = done(folder, "worker", "--study", "toy-line", "--kind", f"{moved.name}:TOY")
    assert "3 of 3 trials finished" in said


def test_a_constraint_and_a_second_objective_are_of_the_second_metric(file: Path) -> None:
    """``--min-accuracy`` and ``--pareto`` ask the kind which metric that is."""
    folder = file.parent
    done(folder, "run", "toy_kind.py:TOY", "--trials", "3", "--min-accuracy", "1", "--study", "a")
    assert all("constraints" not in trial.user_attrs for trial in stored(folder, "a").trials)
    done(folder, "run", "toy_kind.py:TOY", "--trials", "3", "--pareto", "--study", "b")
    assert stored(folder, "b").directions == ("minimize", "maximize")


def test_digits_go_on_in_the_middle_of_a_training(
    tmp_path: Path, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    """A worker that is killed is started again, and its training goes on from its saved state."""
    arguments = [sys.executable, "-P", "-m", "study", "run", f"{DIGITS}:DIGITS", "--trials", "1"]
    arguments += ["--set", "epoch=300", "--set", "model=dense", "--threads", "1"]
    arguments += ["--set", "batch_size=16"]  # long enough to be saved on any machine
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        unfinished = tmp_path / "runs" / "artifacts" / "unfinished"
        wait_until(lambda: unfinished.is_dir() and any(unfinished.glob("*.pt")))
        (trial,) = stored(tmp_path, "digits-small").trials
        assert trial.state is TrialState.RUNNING
        os.kill(int(trial.user_attrs[attrs.WORKER].rpartition(":")[2]), signal.SIGKILL)
        said, _ = running.communicate()
    assert running.returncode == 0
    assert "1 of 1 trials finished" in said
    first, second = stored(tmp_path, "digits-small").trials
    assert (first.state, second.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert 0 < second.user_attrs[attrs.RESUMED_EPOCHS] < 300
    assert second.user_attrs[attrs.EPOCHS_RUN] == len(second.intermediate_values) == 300


@pytest.mark.parametrize("steps", [False, True], ids=["whole", "by steps"])
def test_the_page_is_true(steps: bool, tmp_path: Path) -> None:
    """The kinds that ``docs/your-own-model.md`` shows can be searched as they stand there."""
    page = (DIGITS.parent.parent / "docs" / "your-own-model.md").read_text()
    code, stepwise = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    if steps:
        imports = (
            "import copy\nimport numpy as np\nfrom sklearn.linear_model import SGDRegressor\n"
        )
        code = imports + code.replace("TREES = Kind(", f"{stepwise}\n\nTREES = Kind(")
        for old, new in (
            ("trainer=TreesTrainer", 'trainer=SlopesTrainer, fidelity="epoch"'),
            ("default={", 'default={"epoch": 40,'),
            ("parameters=(", 'parameters=(Parameter(name="epoch", distribution=CHOICE),'),
            ("SPACE =", "CHOICE = CategoricalDistribution([40])\n\nSPACE ="),
        ):
            assert old in code
            code = code.replace(old, new, 1)
    (tmp_path / "trees.py").write_text(code)
    said = done(tmp_path, "run", "trees.py:TREES", "--trials", "2", "--threads", "1")
    assert "2 of 2 trials finished: 2 complete" in said
    lengths = {len(trial.intermediate_values) for trial in stored(tmp_path, "trees-trees").trials}
    assert lengths == {40 if steps else 0}


@pytest.mark.slow
def test_digits_go_through_all_commands(tmp_path: Path) -> None:
    """The example is searched with two workers and pruning, and all that follows works."""
    few = ("--set", "epoch=12")
    done(tmp_path, "run", f"{DIGITS}:DIGITS", "--trials", "16", "--workers", "2", *few)
    record = stored(tmp_path, "digits-small")
    assert sum(trial.finished for trial in record.trials) == 16
    assert len(record.complete) < 16  # some were pruned
    done(tmp_path, "train", "--study", "digits-small", "--out", "best")
    assert (tmp_path / "best" / "mistakes.png").exists()
    done(tmp_path, "confirm", "--study", "digits-small", "--top", "2", "--seeds", "2")
    done(tmp_path, "ablate", "--study", "digits-small", "--seeds", "2", "--param", "dropout")
    done(tmp_path, "report", "--study", "digits-small")
    done(tmp_path, "dashboard", "--refresh")
