"""A number is moved towards 3, step by step: a kind that trains in no time, without torch."""

import os
import time
from pathlib import Path

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces import Parameter, SearchSpace
from study.kinds import Data, DivergedError, Finished, Kind, Trainer
from study.metrics import Metric

SPACE = SearchSpace(
    name="line",
    parameters=(
        Parameter(name="rate", distribution=FloatDistribution(0.01, 4.0)),
        Parameter(name="start", distribution=FloatDistribution(-1.0, 1.0)),
        Parameter(name="rounds", distribution=IntDistribution(3, 5)),
    ),
)
FEW = SearchSpace(
    name="few",
    parameters=(
        Parameter(name="rate", distribution=CategoricalDistribution((0.25, 0.5, 1.0, 1.5))),
        Parameter(name="start", distribution=CategoricalDistribution((-1.0, 1.0))),
        Parameter(name="rounds", distribution=IntDistribution(3, 5)),
    ),
)


class Folder(Data):
    """Nothing, or a folder, which workers sign; a file ``slow`` in it delays all trainings."""

    def __init__(self, path):
        self.slow = None if path is None else path / "slow"
        if path is not None:
            (path / str(os.getpid())).touch()

    @property
    def fingerprint(self):
        return "nothing"


class ToyTrainer(Trainer):
    def load(self, source, sides):
        return Folder(source.path)

    def train(self, config, data, run):
        kept = run.load(lambda path: [float(x) for x in path.read_text().split()])
        xs = kept or [config["start"]]
        steps = [{"loss": abs(x - 3)} for x in xs[1:]]
        if steps:
            run.resumed(steps)
        while len(steps) < config["rounds"]:
            if data.slow is not None and data.slow.exists():
                time.sleep(0.05)
            xs.append(xs[-1] + config["rate"] * (3 - xs[-1]) + run.seed % 7 / 1000)
            if abs(xs[-1]) > 50:
                raise DivergedError(f"It is at {xs[-1]:.0f}.")
            steps.append({"loss": abs(xs[-1] - 3)})
            if run.step(steps[-1], save=lambda path: path.write_text(" ".join(map(repr, xs)))):
                break
        best = min(range(len(steps)), key=lambda i: steps[i]["loss"])
        return Finished(
            steps=steps,
            best=steps[best] | {"size": abs(xs[best + 1])},
            best_step=best,
            write=lambda path: path.write_text(repr(xs[best + 1])),
        )

    def test(self, model, data, *, device):
        x = float(Path(model).read_text())
        return {"loss": abs(x - 3), "size": abs(x)}


TOY = Kind(
    name="toy",
    spaces={"line": SPACE, "few": FEW},
    metrics=(
        Metric(name="loss", label="distance", low=0),
        Metric(name="size", label="size", direction="maximize"),
    ),
    trainer=ToyTrainer,
    default={"rate": 0.5, "start": 0.0, "rounds": 5},
    fidelity="rounds",
)
