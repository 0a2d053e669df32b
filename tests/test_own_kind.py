"""A kind of one's own through all commands, as a user would: a file, workers, one SQLite file."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from storage import attrs
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record
from study.analysis import kind_of
from study.kind_sources import find_kind, make_trainer
from study.kinds import Interrupted, Run, Source
from tests.conftest import Cli
from tests.study_tests.toy import TOY, toy

__all__ = ["toy"]

DIGITS = Path(__file__).parent.parent / "examples" / "digits.py"

RUN = "run toy_kind.py:TOY --threads 1"

Done = Callable[[str], str]


@pytest.fixture
def done(cli: Cli) -> Done:
    """Return a function that runs a command line that must succeed; it returns what is said."""

    def run(line: str) -> str:
        code, out, err = cli(*line.split())
        assert code == 0, err
        return out

    return run


def stored(folder: Path, study: str) -> StudyRecord:
    """Read a study of a folder's default database."""
    return load_study_record(open_storage(f"sqlite:///{folder / 'runs' / 'study.db'}"), study)


def test_a_kind_goes_through_all_commands(cli: Cli, done: Done, toy: Path) -> None:
    """It is searched, trained for good, confirmed, taken apart, and read without its file."""
    folder = toy.parent
    assert "12 of 12 trials finished" in done(f"{RUN} --trials 12 --workers 2")
    best = stored(folder, "toy-line").best
    assert best is not None
    assert best.value == min(best.intermediate_values.values())

    said = done("train --study toy-line --out best")
    assert "This repeats the trial's distance exactly." in said
    assert (folder / "best" / "model").exists()
    said = done("confirm --study toy-line --top 2 --seeds 3")
    assert "fresh seeds and splits" in said
    confirmed = stored(folder, "toy-line-confirmation")
    assert len(confirmed.user_attrs[attrs.TEST_RESULTS]) == len(confirmed.complete) == 12
    assert not list((folder / "runs" / "artifacts" / "models").iterdir())
    done("ablate --study toy-line --seeds 2 --param rate")
    said = done(f"{RUN} --trials 1 --study second --warm-start toy-line")
    assert "The first 1 trials repeat the best points of study toy-line." in said
    assert stored(folder, "second").trials[0].params == best.params

    toy.unlink()
    study = "--study toy-line"
    for line in ("list", f"status {study}", f"export {study} --out trials.csv", f"report {study}"):
        assert done(line)
    done("report --from runs/toy-line.html --out again.html")
    assert (folder / "again.html").read_bytes() == (folder / "runs/toy-line.html").read_bytes()
    code, _, err = cli("run", "toy_kind.py:TOY")
    assert (code, err) == (1, f"Error: {toy}: No such file or directory.\n")


def test_a_changed_file_is_accepted_or_refused(cli: Cli, done: Done, toy: Path) -> None:
    """The first differing line is named; what is trained by other code is marked."""
    folder = toy.parent
    done(f"{RUN} --trials 2")
    toy.write_text(TOY.replace("/ 1000", "/ 100"))
    for line in (f"{RUN} --trials 2", "worker", "confirm", "train"):
        code, _, err = cli(*line.split(), "--study", "toy-line")
        assert code == 1
        assert "has changed since study 'toy-line' was made: line " in err
        assert "% 7 / 1000)` and is `xs" in err
        assert "--accept-change" in err
    before = kind_of(stored(folder, "toy-line")).source
    done(f"{RUN} --trials 2 --accept-change")
    record = stored(folder, "toy-line")
    after = kind_of(record).source
    assert before is not None
    assert after is not None
    digests = [trial.user_attrs[attrs.KIND_DIGEST] for trial in record.trials]
    assert digests == 2 * [before.digest] + 2 * [after.digest]
    done(f"{RUN} --total 4")  # the new code is that of the study


def test_a_worker_brings_its_own_copy(cli: Cli, done: Done, toy: Path) -> None:
    """Another machine's file may lie elsewhere, if it is the same."""
    folder = toy.parent
    done(f"{RUN} --trials 1")
    study = optuna.load_study(
        study_name="toy-line",
        storage=open_storage(f"sqlite:///{folder / 'runs' / 'study.db'}", write=True),
    )
    study.set_user_attr(attrs.TARGET, 3)
    moved = toy.rename(folder / "copy.py")
    code, _, err = cli("worker", "--study", "toy-line")
    assert (code, err) == (1, f"Error: {toy}: No such file or directory.\n")
    said = done(f"worker --study toy-line --kind {moved.name}:TOY")
    assert "3 of 3 trials finished" in said


def test_a_constraint_and_a_second_objective_are_of_the_second_metric(
    done: Done, toy: Path
) -> None:
    """``--min-accuracy`` and ``--pareto`` ask the kind which metric that is, and are kept."""
    folder = toy.parent
    for name, option, directions in (
        ("a", "--min-accuracy 1", ("minimize",)),
        ("b", "--pareto", ("minimize", "maximize")),
    ):
        run = f"{RUN} --total 3 --study {name}"
        done(f"{run} {option}")
        record = stored(folder, name)
        assert record.directions == directions
        assert [trial.feasible for trial in record.trials] == [
            option == "--pareto" or trial.user_attrs["size"] >= 1 for trial in record.trials
        ]
        settings = record.user_attrs[attrs.SETTINGS]
        assert settings["pruner"] == ("none" if option == "--pareto" else "median")
        for line in (run, f"{run} {option}"):
            said = done(line).splitlines()
            assert said[0] == "Nothing left to do: the 3 trials that were asked for are finished."
        assert stored(folder, name) == record


class Cut(Run):
    """A run that is interrupted after its first steps, and goes on when it is begun again."""

    def __init__(self, path: Path, *, until: int) -> None:
        super().__init__(seed=5)
        self.path, self.until, self.n_resumed = path, until, 0

    def load(self, read: Callable[[Path], Any]) -> Any:
        return read(self.path) if self.path.exists() else None

    def resumed(self, steps: list[Mapping[str, float]]) -> None:
        self.n_resumed = len(steps)

    def step(
        self, numbers: Mapping[str, float], *, save: Callable[[Path], object] | None = None
    ) -> bool:
        self.until -= 1
        if self.until == 0:
            assert save is not None
            save(self.path)
            raise Interrupted
        return False


@pytest.mark.parametrize("model", ["dense", "convolutional"])
def test_digits_go_on_as_if_they_had_not_been_interrupted(model: str, tmp_path: Path) -> None:
    """The example's training, saved and begun again in the middle, ends as one at a stretch."""
    kind = find_kind(f"{DIGITS}:DIGITS").kind
    trainer = make_trainer(kind)
    data = trainer.load(Source(), None)
    config = kind.default | {"model": model, "epoch": 4, "batch_size": 128, "dropout": 0.2}
    whole = trainer.train(config, data, Run(seed=5))
    with pytest.raises(Interrupted):
        trainer.train(config, data, Cut(tmp_path / "state", until=3))
    again = Cut(tmp_path / "state", until=-1)
    rest = trainer.train(config, data, again)
    assert again.n_resumed == 3
    assert (rest.steps, rest.best_step) == (whole.steps, whole.best_step)
    for name, training in (("whole", whole), ("rest", rest)):
        training.save(tmp_path / name)
    kept, again_kept = (torch.load(tmp_path / name)["weights"] for name in ("whole", "rest"))
    assert all(torch.equal(weights, again_kept[name]) for name, weights in kept.items())
    assert trainer.test(tmp_path / "rest", data, device="cpu")["accuracy"] > 0.5


@pytest.mark.parametrize("steps", [False, True], ids=["whole", "by steps"])
def test_the_page_is_true(steps: bool, done: Done, toy: Path) -> None:
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
    toy.with_name("trees.py").write_text(code)
    said = done("run trees.py:TREES --trials 2 --threads 1")
    assert "2 of 2 trials finished: 2 complete" in said
    trials = stored(toy.parent, "trees-trees").trials
    lengths = {len(trial.intermediate_values) for trial in trials}
    assert lengths == {40 if steps else 0}


@pytest.mark.slow
def test_digits_go_through_all_commands(done: Done, tmp_path: Path) -> None:
    """The example is searched with two workers and pruning, and all that follows works."""
    done(f"run {DIGITS}:DIGITS --trials 16 --workers 2 --set epoch=12")
    record = stored(tmp_path, "digits-small")
    assert sum(trial.finished for trial in record.trials) == 16
    assert len(record.complete) < 16  # some were pruned
    study = "--study digits-small"
    done(f"train {study} --out best")
    assert (tmp_path / "best" / "mistakes.png").exists()
    done(f"confirm {study} --top 2 --seeds 2")
    done(f"ablate {study} --seeds 2 --param dropout")
    done(f"report {study}")
    done("dashboard --refresh")
