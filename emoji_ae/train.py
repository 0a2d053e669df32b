"""Training of one autoencoder, from images to the weights of its best epoch.

Knows nothing of search: a hook after every epoch is its only way out.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emoji_ae.augment import augment
from emoji_ae.config import AutoencoderConfig, Schedule
from emoji_ae.curve import EpochMetrics
from emoji_ae.errors import DataError, DivergedError
from emoji_ae.models import Autoencoder, build_model, count_parameters, memory_format
from emoji_ae.resume import ResumeFile, TrainState
from emoji_ae.seeding import seeded


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """A finished, stopped or diverged training.

    Args:
        model: In evaluation mode, with the weights of the epoch with the lowest validation error.
        curve: Every epoch that was run, in order.
        best: The epoch whose weights were kept; None if not even the first was finite.
    """

    model: Autoencoder
    curve: tuple[EpochMetrics, ...]
    best: EpochMetrics | None


def train_autoencoder(
    config: AutoencoderConfig,
    train_images: Tensor,
    validation_images: Tensor,
    *,
    seed: int,
    device: torch.device | None = None,
    on_epoch: Callable[[EpochMetrics], bool] | None = None,
    resume: ResumeFile | None = None,
) -> TrainResult:
    """Train an autoencoder with Adam on the mean squared error of its reconstructions.

    The result is a function of the arguments, and on one machine the same bit for bit whenever
    torch runs with the same number of threads, however often the training was resumed.

    Args:
        config: What to train, and how.
        train_images: ``(n, 3, 64, 64)`` uint8, at least 2; augmented afresh in every epoch.
        validation_images: ``(m, 3, 64, 64)`` uint8, at least 1; never augmented.
        seed: Decides initial weights, order of images and augmentation.
        device: Where to train; the CPU unless given.
        on_epoch: Called after every epoch that was not resumed. Training stops early when it
            returns True, and is suspended when it raises.
        resume: Where the state is kept now and then, and before an error of ``on_epoch`` is
            passed on. A state that it holds already is gone on from.

    Returns:
        The model of the best epoch and the whole curve.

    Raises:
        DataError: If there are too few images.
        DivergedError: If an error becomes NaN or infinite; it holds the result so far.
    """
    if len(train_images) < 2 or len(validation_images) < 1:
        raise DataError(
            "Training needs at least 2 training and 1 validation images, but got "
            f"{len(train_images)} and {len(validation_images)}."
        )
    device = device or torch.device("cpu")
    with seeded(seed, device) as generator:
        layout = memory_format(config)
        train = to_float(train_images, device)
        validation = to_float(validation_images, device).contiguous(memory_format=layout)
        batches = batch_bounds(len(train), config.batch_size)
        images = torch.empty_like(train, memory_format=layout)  # of an epoch
        model = build_model(config).to(device).to(memory_format=layout)
        optimizer = torch.optim.Adam(
            model.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        scheduler = build_scheduler(
            optimizer, config.schedule, config.learning_rate, config.epoch * len(batches)
        )
        state_bytes = 4 * 4 * count_parameters(model)  # weights, the best ones, Adam's two means
        curve: list[EpochMetrics] = []
        best_weights = {name: value.clone() for name, value in model.state_dict().items()}
        if resume is not None and resume.state is not None:
            _restore(resume.state, model, optimizer, scheduler, generator)
            curve += resume.state.curve
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

        seconds = curve[-1].seconds if curve else 0.0
        for epoch in range(len(curve), config.epoch):
            started = time.perf_counter()
            order = torch.randperm(len(train), generator=generator)
            augment(train, generator, order=order, out=images)
            total = torch.zeros((), device=device)
            model.train()
            for start, stop in batches:
                batch = images[start:stop]
                loss = nn.functional.mse_loss(model(batch), batch)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                total += loss.detach() * (stop - start)
            validation_mse = reconstruction_errors(model, validation).mean().item()
            train_mse = total.item() / len(train)
            seconds += time.perf_counter() - started
            metrics = EpochMetrics(
                epoch=epoch, train_mse=train_mse, validation_mse=validation_mse, seconds=seconds
            )
            curve.append(metrics)
            if not math.isfinite(metrics.train_mse + metrics.validation_mse):
                raise DivergedError(
                    f"Training diverged in epoch {epoch + 1}: train MSE {metrics.train_mse}, "
                    f"validation MSE {metrics.validation_mse}.",
                    _result(model, best_weights, curve, best),
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
    return _result(model, best_weights, curve, best)


def suspended_result(config: AutoencoderConfig, state: TrainState) -> TrainResult:
    """Return what a training has reached whose state was kept."""
    best = min(state.curve, key=lambda metrics: metrics.validation_mse)
    return _result(build_model(config), state.best_weights, list(state.curve), best)


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


def reconstruction_errors(model: Autoencoder, images: Tensor) -> Tensor:
    """Return each image's mean squared error, in evaluation mode.

    Args:
        model: Left in evaluation mode.
        images: ``(n, 3, 64, 64)`` float32 in [0, 1] on the model's device.

    Returns:
        ``(n,)`` float32.
    """
    model.eval()
    with torch.no_grad():
        errors: Tensor = (model(images) - images).square().mean(dim=(1, 2, 3))
    return errors


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


def _result(
    model: Autoencoder,
    best_weights: dict[str, Tensor],
    curve: list[EpochMetrics],
    best: EpochMetrics | None,
) -> TrainResult:
    model.load_state_dict(best_weights)
    model.eval()
    return TrainResult(model=model, curve=tuple(curve), best=best)
