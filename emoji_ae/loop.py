"""The one loop of all trainings: epochs of batches, and the weights of the best.

What is minimised and measured is up to a ``Task``; a hook after every epoch is the only way out.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from emoji_ae.config import AutoencoderConfig, Schedule
from emoji_ae.curve import EpochMetrics, metrics_from_dict
from emoji_ae.models import count_parameters
from emoji_ae.resume import Resume, TrainState, read_state, write_state


class Task(Protocol):
    """What a training minimises, and what it measures."""

    @property
    def judged_by(self) -> str:
        """The metric whose lowest value decides which weights are kept."""

    @property
    def model(self) -> nn.Module:
        """What learns, and has its weights kept."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return what is trained."""

    def step(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, of training images ``rows``, and what is observed of it."""

    def evaluate(self, observed: Sequence[Tensor], rows: Tensor) -> dict[str, float]:
        """Return an epoch's metrics, but number and time, of what its steps observed in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a training went: its best epoch, if any was finite, and whether the last one was not."""

    curve: tuple[EpochMetrics, ...]
    best: EpochMetrics | None
    stopped: bool
    diverged: bool


def fit(
    config: AutoencoderConfig,
    task: Task,
    draw: Callable[[Tensor], Tensor],
    *,
    n_images: int,
    n_drawn: int,
    generator: torch.Generator,
    on_epoch: Callable[[EpochMetrics], bool] | None = None,
    resume: Resume | None = None,
) -> Course:
    """Train the model of a task with Adam, to be called within ``seeded``.

    It is left in evaluation mode, with the weights of its best epoch.

    Args:
        draw: Returns the inputs of an epoch, for the rows of its images, ``(n_drawn,)`` int64.
        n_images, n_drawn: Training images, at least 2, and how many of them an epoch draws.
        generator: Of the order, fresh from the training's seed.
    """
    model = task.model
    batches = batch_bounds(n_drawn, config.batch_size)
    optimizer = torch.optim.Adam(  # as one operation over all parameters
        task.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    scheduler = build_scheduler(
        optimizer, config.schedule, config.learning_rate, config.epoch * len(batches)
    )
    state_bytes = 4 * 4 * count_parameters(model)  # weights, the best ones, Adam's two means
    curve: list[EpochMetrics] = []
    best_weights = {name: value.clone() for name, value in model.state_dict().items()}
    seed = generator.initial_seed()
    kept = None if resume is None else resume.load(lambda path: read_state(path, config, seed))
    if resume is not None and kept is not None:
        model.load_state_dict(kept.weights)
        optimizer.load_state_dict(kept.optimizer)
        if scheduler is not None and kept.scheduler is not None:
            scheduler.load_state_dict(kept.scheduler)
        generator.set_state(kept.generator)
        torch.set_rng_state(kept.random)
        curve += kept.curve
        for name, value in kept.best_weights.items():
            best_weights[name].copy_(value)
        resume.resumed([asdict(metrics) for metrics in curve])
    judge = attrgetter(task.judged_by)
    best = min(curve, key=judge, default=None)
    seconds = curve[-1].seconds if curve else 0.0
    stopped = diverged = False

    def save(path: Path) -> None:
        state = TrainState(
            identity=config.identity(),
            seed=seed,
            curve=tuple(curve),
            weights=model.state_dict(),
            best_weights=best_weights,
            optimizer=optimizer.state_dict(),
            scheduler=None if scheduler is None else scheduler.state_dict(),
            generator=generator.get_state(),
            random=torch.get_rng_state(),
        )
        write_state(state, path)

    for epoch in range(len(curve), config.epoch):
        if config.patience and best is not None and epoch - 1 - best.epoch >= config.patience:
            break
        started = time.perf_counter()
        order = torch.randperm(n_images, generator=generator)[:n_drawn]
        inputs = draw(order)
        rows = order.to(inputs.device)
        observed = []
        model.train()
        for start, stop in batches:
            loss, seen = task.step(inputs[start:stop], rows[start:stop])
            model.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            observed.append(seen)
        values = task.evaluate(observed, rows)
        seconds += time.perf_counter() - started
        metrics = metrics_from_dict({"epoch": epoch, "seconds": seconds, **values})
        curve.append(metrics)
        diverged = not all(map(math.isfinite, values.values()))
        if diverged:
            break
        if best is None or judge(metrics) < judge(best):
            best = metrics
            for name, value in model.state_dict().items():
                best_weights[name].copy_(value)
        try:
            stopped = on_epoch is not None and on_epoch(metrics)
        except BaseException:
            if resume is not None:
                resume.save(save)
            raise
        if stopped:
            break
        if resume is not None and epoch + 1 < config.epoch:
            resume.offer(save, n_bytes=state_bytes)
    model.load_state_dict(best_weights)
    model.eval()
    return Course(curve=tuple(curve), best=best, stopped=stopped, diverged=diverged)


def batch_bounds(n: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut ``n`` images into batches ``[start, stop)``, the last one smaller where need be.

    A single image left over joins the batch before it: batch statistics of one image mean
    nothing, and convolutions of one image take a slower path.
    """
    starts = list(range(0, n, batch_size))
    if n % batch_size == 1 and len(starts) > 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n], strict=True))


def build_scheduler(
    optimizer: torch.optim.Optimizer, schedule: Schedule, learning_rate: float, n_steps: int
) -> LRScheduler | None:
    """Return the learning-rate schedule over ``n_steps`` optimizer steps, None if constant.

    Source: one-cycle after Smith and Topin, https://arxiv.org/abs/1708.07120; cosine after
    Loshchilov and Hutter, https://arxiv.org/abs/1608.03983; both as torch implements them.
    """
    match schedule:
        case "constant":
            return None
        case "one_cycle":
            return OneCycleLR(optimizer, max_lr=learning_rate, total_steps=n_steps)
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=n_steps)
