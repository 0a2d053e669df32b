"""The loop that all trainings share: epochs of augmented batches, and the weights of the best.

What is minimised and measured is up to a ``Task``. Knows nothing of search: a hook after every
epoch is its only way out.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from emoji_ae.augment import augment
from emoji_ae.config import AutoencoderConfig, Schedule
from emoji_ae.curve import EpochMetrics
from emoji_ae.errors import EmojiAEError
from emoji_ae.models import Autoencoder, build_model, count_parameters
from emoji_ae.resume import ResumeFile, TrainState

Metrics = TypeVar("Metrics", bound=EpochMetrics)
MetricsCo = TypeVar("MetricsCo", bound=EpochMetrics, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult(Generic[Metrics]):
    """A finished, stopped or diverged training.

    Args:
        model: In evaluation mode, with the weights of the epoch with the lowest validation error.
        curve: Every epoch that was run, in order.
        best: The epoch whose weights were kept; None if not even the first was finite.
    """

    model: Autoencoder
    curve: tuple[Metrics, ...]
    best: Metrics | None


class DivergedError(EmojiAEError, ArithmeticError):
    """A training error became NaN or infinite.

    Args:
        message: Says when, and which.
        result: The training up to there: its curve, and the model of its best epoch.
    """

    def __init__(self, message: str, result: "TrainResult[Any]") -> None:
        super().__init__(message)
        self.result = result


class Task(Protocol[MetricsCo]):
    """What a training minimises, and what it measures."""

    @property
    def metrics(self) -> type[MetricsCo]:
        """The class of an epoch's metrics."""

    def parameters(self, model: Autoencoder) -> Iterable[nn.Parameter]:
        """Return what is trained."""

    def step(self, model: Autoencoder, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch's loss, and its metrics as one tensor without gradient.

        Args:
            model: In training mode.
            images: ``(batch, 3, 64, 64)`` float32 in [0, 1], augmented.
            rows: ``(batch,)`` int64: which of the training images they are.
        """

    def evaluate(self, model: Autoencoder, train_means: Tensor) -> dict[str, float]:
        """Return the metrics of an epoch by name, all but its number and its time.

        Args:
            model: As it is after the epoch.
            train_means: Means over the training images of the metrics that ``step`` gave.
        """


def fit(
    config: AutoencoderConfig,
    task: Task[Metrics],
    train_images: Tensor,
    *,
    generator: torch.Generator,
    device: torch.device,
    seed: int,
    images_per_epoch: int | None = None,
    patience: int = 0,
    on_epoch: Callable[[Metrics], bool] | None = None,
    resume: ResumeFile | None = None,
) -> TrainResult[Metrics]:
    """Train the model of a configuration with Adam, to be called within ``seeded``.

    Args:
        config: What to train, and how.
        task: What to minimise.
        train_images: ``(n, 3, 64, 64)`` uint8, at least 2; augmented afresh in every epoch.
        generator: Of order and augmentation.
        device: Where to train.
        seed: Of the training; stored with its state.
        images_per_epoch: How many of the training images an epoch draws; all if not given.
        patience: End after so many epochs without a lower validation MSE; 0 for never.
        on_epoch: See ``train_autoencoder``.
        resume: See ``train_autoencoder``.

    Raises:
        DivergedError: If a metric becomes NaN or infinite; it holds the result so far.
    """
    model = build_model(config).to(device)
    train = to_float(train_images, device)
    n_images = len(train) if images_per_epoch is None else min(images_per_epoch, len(train))
    batches = batch_bounds(n_images, config.batch_size)
    images = torch.empty_like(train[:n_images], memory_format=model.layout)  # of an epoch
    optimizer = build_optimizer(config, task.parameters(model))
    scheduler = build_scheduler(
        optimizer, config.schedule, config.learning_rate, config.epoch * len(batches)
    )
    state_bytes = 4 * 4 * count_parameters(model)  # weights, the best ones, Adam's two means
    curve: list[Metrics] = []
    best_weights = {name: value.clone() for name, value in model.state_dict().items()}
    if resume is not None and resume.state is not None:
        _restore(resume.state, model, optimizer, scheduler, generator)
        curve += resume.state.curve  # type: ignore[arg-type]  # of the same task
        best_weights = {n: w.to(device) for n, w in resume.state.best_weights.items()}
    best = min(curve, key=lambda metrics: metrics.validation_mse, default=None)

    def state() -> TrainState:
        return TrainState(
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

    def result() -> TrainResult[Metrics]:
        model.load_state_dict(best_weights)
        model.eval()
        return TrainResult(model=model, curve=tuple(curve), best=best)

    seconds = curve[-1].seconds if curve else 0.0
    for epoch in range(len(curve), config.epoch):
        if patience and best is not None and epoch - 1 - best.epoch >= patience:
            break
        started = time.perf_counter()
        order = torch.randperm(len(train), generator=generator)[:n_images]
        augment(train, generator, order=order, out=images)
        rows = order.to(device)
        sums: Tensor | float = 0.0
        model.train()
        for start, stop in batches:
            loss, metrics_of_batch = task.step(model, images[start:stop], rows[start:stop])
            model.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            sums = sums + metrics_of_batch * (stop - start)
        assert isinstance(sums, Tensor)  # there is at least one batch
        values = task.evaluate(model, sums / n_images)
        seconds += time.perf_counter() - started
        metrics = task.metrics(epoch=epoch, seconds=seconds, **values)
        curve.append(metrics)
        if not all(math.isfinite(value) for value in values.values()):
            raise DivergedError(
                f"Training diverged in epoch {epoch + 1}: train MSE {metrics.train_mse}, "
                f"validation MSE {metrics.validation_mse}.",
                result(),
            )
        if best is None or metrics.validation_mse < best.validation_mse:
            best = metrics
            for name, value in model.state_dict().items():
                best_weights[name].copy_(value)
        try:
            if on_epoch is not None and on_epoch(metrics):
                break
        except BaseException:
            if resume is not None:
                resume.save(state())
            raise
        if resume is not None and epoch + 1 < config.epoch:
            resume.offer(state, n_bytes=state_bytes)
    return result()


def suspended_result(config: AutoencoderConfig, state: TrainState) -> TrainResult[EpochMetrics]:
    """Return what a training has reached whose state was kept."""
    model = build_model(config)
    model.load_state_dict(state.best_weights)
    model.eval()
    best = min(state.curve, key=lambda metrics: metrics.validation_mse)
    return TrainResult(model=model, curve=state.curve, best=best)


def to_float(images: Tensor, device: torch.device) -> Tensor:
    """Turn uint8 images into float32 in [0, 1] on ``device``."""
    return images.to(device).float().div_(255)


def batch_bounds(n: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut ``n`` images into batches ``[start, stop)``, the last one smaller where need be.

    A single image left over joins the batch before it: batch statistics of one image mean
    nothing, and convolutions of one image take a slower path.
    """
    starts = list(range(0, n, batch_size))
    if n % batch_size == 1 and len(starts) > 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n], strict=True))


def build_optimizer(
    config: AutoencoderConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """Return Adam, as one fused operation over all parameters."""
    return torch.optim.Adam(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )


def build_scheduler(
    optimizer: torch.optim.Optimizer, schedule: Schedule, learning_rate: float, n_steps: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """Return the learning-rate schedule over ``n_steps`` optimizer steps, None if constant.

    Source: one-cycle after Smith and Topin, https://arxiv.org/abs/1708.07120; cosine after
    Loshchilov and Hutter, https://arxiv.org/abs/1608.03983; both as torch implements them.
    """
    match schedule:
        case "constant":
            return None
        case "one_cycle":
            return torch.optim.lr_scheduler.OneCycleLR(
                optimizer, max_lr=learning_rate, total_steps=n_steps
            )
        case "cosine":
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=n_steps)


def _restore(
    state: TrainState,
    model: Autoencoder,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None,
    generator: torch.Generator,
) -> None:
    """Bring back the state of a training."""
    model.load_state_dict(state.weights)
    optimizer.load_state_dict(state.optimizer)
    if scheduler is not None and state.scheduler is not None:
        scheduler.load_state_dict(state.scheduler)
    generator.set_state(state.generator)
    torch.set_rng_state(state.random)
