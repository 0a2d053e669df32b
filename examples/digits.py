"""A kind of model of one's own: small networks that read handwritten digits.

    emoji-study run examples/digits.py:DIGITS --trials 20 --workers 2

The images are those that scikit-learn brings along, 1,797 of 8 x 8 pixels. What is searched for
is the lowest cross-entropy on the validation images. ``docs/your-own-model.md`` explains the
parts.
"""

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from search_spaces import Parameter, SearchSpace
from study.kinds import DivergedError, File, Finished, Kind, Rows, Run, Source, Trainer
from study.metrics import Metric

LOSS, ACCURACY = "validation_cross_entropy", "validation_accuracy"

DENSE, CONVOLUTIONAL = {"model": ("dense",)}, {"model": ("convolutional",)}

SPACE = SearchSpace(
    name="small",
    parameters=(
        Parameter(name="model", distribution=CategoricalDistribution(["dense", "convolutional"])),
        Parameter(name="units", distribution=IntDistribution(16, 256, log=True), when=DENSE),
        Parameter(
            name="channels", distribution=IntDistribution(4, 32, log=True), when=CONVOLUTIONAL
        ),
        Parameter(name="dropout", distribution=FloatDistribution(0.0, 0.6)),
        Parameter(name="batch_size", distribution=IntDistribution(16, 128, log=True)),
        Parameter(name="learning_rate", distribution=FloatDistribution(1e-4, 1e-1, log=True)),
        Parameter(name="epoch", distribution=CategoricalDistribution([60])),
    ),
)

DEFAULT = {
    "model": "dense",
    "units": 64,
    "channels": 8,
    "dropout": 0.0,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "epoch": 60,
}


def build(config: Mapping[str, Any]) -> nn.Sequential:
    """Build the network of a configuration, from ``(batch, 1, 8, 8)`` to ``(batch, 10)``."""
    if config["model"] == "dense":
        size = config["units"]
        body = [nn.Flatten(), nn.Linear(64, size), nn.ReLU()]
    else:
        c = config["channels"]
        size = 2 * c * 4 * 4
        body = [nn.Conv2d(1, c, 3), nn.ReLU(), nn.Conv2d(c, 2 * c, 3), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*body, nn.Dropout(config["dropout"]), nn.Linear(size, 10))


def losses(model: nn.Module, data: Rows, side: str) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the cross-entropy of each image of one side, and the metrics, in evaluation mode."""
    images, labels = map(torch.from_numpy, data.part(side))
    with torch.no_grad():
        logits = model.eval()(images)
    each = nn.functional.cross_entropy(logits, labels, reduction="none")
    accuracy = (logits.argmax(dim=1) == labels).float().mean().item()
    return each, {LOSS: each.mean().item(), ACCURACY: accuracy}


class DigitsTrainer(Trainer):
    """Trains with Adam, and keeps the weights with the lowest validation cross-entropy."""

    def load(self, source: Source, sides: str | None) -> Rows:
        pixels, labels = load_digits(return_X_y=True)
        images = (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8)
        return Rows(images, labels, sides=sides, seed=source.seed, by=labels, noun="images")

    def train(self, config: Mapping[str, Any], data: Rows, run: Run) -> Finished:
        images, labels = map(torch.from_numpy, data.part("t"))
        torch.manual_seed(run.seed)
        model = build(config)
        adam = torch.optim.Adam(model.parameters(), lr=config["learning_rate"])
        steps: list[dict[str, float]] = []
        best, seconds = model.state_dict(), 0.0
        state = run.load(lambda path: torch.load(path, weights_only=True))
        if state is not None:  # an earlier attempt was interrupted
            model.load_state_dict(state["weights"])
            adam.load_state_dict(state["adam"])
            torch.set_rng_state(state["random"])
            steps, best, seconds = state["steps"], state["best"], state["seconds"]
            run.resumed(steps)

        def save(path: Path) -> None:
            state = {"weights": model.state_dict(), "adam": adam.state_dict(), "steps": steps}
            state |= {"best": best, "seconds": seconds, "random": torch.get_rng_state()}
            torch.save(state, path)

        started = time.perf_counter() - seconds
        while len(steps) < config["epoch"]:
            model.train()
            for rows in torch.randperm(len(images)).split(config["batch_size"]):
                loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
                adam.zero_grad()
                loss.backward()
                adam.step()
            _, metrics = losses(model, data, "v")
            seconds = time.perf_counter() - started
            steps.append(metrics)
            if not np.isfinite(metrics[LOSS]):
                raise DivergedError(f"Cross-entropy {metrics[LOSS]} in epoch {len(steps)}.")
            if metrics[LOSS] == min(step[LOSS] for step in steps):
                best = {name: weights.clone() for name, weights in model.state_dict().items()}
            if run.step(metrics, save=save):
                break
        model.load_state_dict(best)
        best_step = int(np.argmin([step[LOSS] for step in steps]))
        return Finished(
            steps=steps,
            best=steps[best_step],
            best_step=best_step,
            seconds=seconds,
            facts={"weights": sum(own.numel() for own in model.parameters())},
            write=lambda path: torch.save({"config": dict(config), "weights": best}, path),
            files={"mistakes.png": draw_mistakes(model, data)},
        )

    def test(self, model: Path, data: Rows, *, device: str) -> dict[str, float]:
        kept = torch.load(model, weights_only=True)
        network = build(kept["config"])
        network.load_state_dict(kept["weights"])
        _, metrics = losses(network, data, "e")
        return {"cross_entropy": metrics[LOSS], "accuracy": metrics[ACCURACY]}


def draw_mistakes(model: nn.Module, data: Rows) -> bytes:
    """Draw the twelve validation images with the highest cross-entropy side by side, as a PNG."""
    each, _ = losses(model, data, "v")
    worst = data.part("v")[0][each.argsort(descending=True)[:12].numpy(), 0]
    strip = np.uint8(255 - 255 * np.concatenate(worst, axis=1))
    buffer = io.BytesIO()
    Image.fromarray(strip).resize((12 * 32, 32), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


DIGITS = Kind(
    name="digits",
    spaces={"small": SPACE},
    metrics=(
        Metric(name=LOSS, label="validation cross-entropy", low=0),
        Metric(name=ACCURACY, label="validation accuracy", direction="maximize", low=0, high=1),
    ),
    trainer=DigitsTrainer,
    default=DEFAULT,
    fidelity="epoch",
    family="model",
    files=(File(name="mistakes.png", label="Images read worst", picture=True),),
    costs=(Metric(name="weights", label="weights"),),
    environment=("torch", "scikit-learn"),
)
