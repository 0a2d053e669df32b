"""A kind of one's own through all commands, as a user would: a file, workers, one SQLite file."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from search_spaces.designs import design_points
from storage import attrs
from storage.rdb import open_storage
from study.analysis import kind_of
from study.kind_sources import find_kind, make_trainer
from study.kinds import Interrupted, Run, Source
from tests.conftest import Cli
from tests.study_tests.studies import stored, url_of
from tests.study_tests.toy import TOY

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


def test_a_kind_is_searched_and_read_without_its_file(cli: Cli, done: Done, toy: Path) -> None:
    """It is searched, trained, confirmed, begun again with a second metric's demand, and shown."""
    folder, study = toy.parent, "--study toy-line"
    assert "4 of 4 trials finished" in done(f"{RUN} --trials 4 --at-least size=1")
    first = stored(folder / "runs", "toy-line")
    assert first.user_attrs[attrs.SETTINGS]["pruner"] == "median"
    assert first.best.value == min(first.best.intermediate_values.values())
    assert first.best.user_attrs["size"] >= 1
    said = done(f"train {study} --out best --threads 1")
    assert "This repeats the trial's distance exactly." in said
    assert (folder / "best" / "model").exists()
    assert "seeds of 4 configurations" in done(f"confirm {study} --top 2 --seeds 2 --threads 1")
    confirmed = stored(folder / "runs", "toy-line-confirmation")
    assert len(confirmed.user_attrs[attrs.TEST_RESULTS]) == len(confirmed.complete) == 8
    assert not list((folder / "runs" / "artifacts" / "models").iterdir())
    said = done(f"{RUN} --total 1 --study second --pareto --warm-start toy-line")
    assert "The first trial repeats the best points of study toy-line." in said
    second = stored(folder / "runs", "second")
    assert second.trials[0].params == first.best.params
    assert second.directions == ("minimize", "maximize")
    assert second.user_attrs[attrs.SETTINGS]["pruner"] == "none"
    for again in ("--total 4", "--total 1 --study second", "--total 1 --study second --pareto"):
        assert done(f"{RUN} {again}").startswith("Nothing left to do: the ")
    assert (stored(folder / "runs", "toy-line"), stored(folder / "runs", "second")) == (
        first,
        second,
    )
    assert "4 trials asked for are finished, more than --total 3.\n" in done(f"{RUN} --total 3")

    toy.unlink()
    for line in ("list", f"status {study}", f"export {study} --out trials.csv", f"report {study}"):
        assert done(line)
    done("report --from runs/toy-line.html --out again.html")
    assert (folder / "again.html").read_bytes() == (folder / "runs/toy-line.html").read_bytes()
    code, _, err = cli("run", "toy_kind.py:TOY")
    assert (code, err) == (1, f"Error: {toy}: No such file or directory.\n")


def test_a_file_that_is_another_or_elsewhere(cli: Cli, done: Done, toy: Path) -> None:
    """A changed one is refused by its line or accepted and marked; a moved one can be named."""
    folder = toy.parent
    done(f"{RUN} --trials 2")
    before = kind_of(stored(folder / "runs", "toy-line")).source
    toy.write_text(TOY.replace("/ 1000", "/ 100"))
    for command in ("run toy_kind.py:TOY --trials 2", "worker", "confirm", "train"):
        code, _, err = cli(*command.split(), "--study", "toy-line")
        assert code == 1
        assert "has changed since study 'toy-line' was made: line " in err
        assert "% 7 / 1000)` and is `xs" in err
        assert "--accept-change" in err
    assert "4 of 4 trials" in done(f"{RUN} --trials 2 --accept-change")
    done(f"{RUN} --total 4")  # the new code is that of the study

    study = optuna.load_study(
        study_name="toy-line", storage=open_storage(url_of(folder / "runs"), write=True)
    )
    study.set_user_attr(attrs.TARGET, 5)
    moved = toy.rename(folder / "copy.py")
    code, _, err = cli("worker", "--study", "toy-line")
    assert code == 1
    assert f"made: {toy}: No such file or directory. Say where it lies now: --kind FILE" in err
    said = done(f"worker --study toy-line --kind {moved.name}:TOY --threads 1")
    assert "5 of 5 trials finished" in said
    record = stored(folder / "runs", "toy-line")
    after = kind_of(record).source
    digests = [trial.user_attrs[attrs.KIND_DIGEST] for trial in record.trials]
    assert digests == 2 * [before.digest] + 3 * [after.digest]


class Cut(Run):
    """A run that is interrupted after its first steps, and goes on when it is begun again."""

    def __init__(self, path: Path, *, until: int) -> None:
        super().__init__(seed=5)
        self.path, self.until, self.n_resumed = path, until, 0

    def load(self, read: Callable[[Path], Any]) -> Any:
        return read(self.path) if self.path.exists() else None

    def resumed(self, steps: list[Mapping[str, float]]) -> None:
        self.n_resumed = len(steps)

    def step(self, numbers: Mapping[str, float], *, save: Any = None) -> bool:
        self.until -= 1
        if self.until == 0:
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
    assert rest.file("mistakes.png") == whole.file("mistakes.png")


@pytest.mark.parametrize("steps", [False, True], ids=["whole", "by steps"])
def test_the_page_is_true(steps: bool, toy: Path) -> None:
    """The kinds that ``docs/your-own-model.md`` shows are trained and tested as they stand."""
    page = (DIGITS.parent.parent / "docs" / "your-own-model.md").read_text()
    code, stepwise = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    if steps:
        imports = "import copy\nimport numpy as np\nfrom dataclasses import replace\n"
        regressor = "from sklearn.linear_model import SGDRegressor\n"
        kind = "TREES = replace(TREES, trainer=SlopesTrainer)\n"
        code = "\n\n".join((imports + regressor + code, stepwise, kind))
    file, model = toy.with_name("trees.py"), toy.with_name("model")
    file.write_text(code)
    kind = find_kind(f"{file}:TREES").kind
    trainer, space = make_trainer(kind), kind.spaces["trees"]
    data = trainer.load(Source(), None)
    for params in (kind.default, next(design_points("random", space, {}, seed=0))):
        config = {**space.to_config(params), "epoch": 40}
        training = trainer.train(config, data, Run(seed=0))
        assert len(training.steps) == (40 if steps else 0)
        assert training.best is not None
        training.save(model)
        assert 0 < trainer.test(model, data, device="cpu")["error"] < 100
