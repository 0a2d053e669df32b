"""The trainer against the mathematics alone, and against the plain loop."""

import io
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import joblib
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import Figure, median, paired_ratios, require_close
from benchmarks.plain_loop import train_plainly
from emoji_ae.augment import augment
from emoji_ae.config import AutoencoderConfig, multitask_config
from emoji_ae.evaluation import reconstruction_errors, to_float
from emoji_ae.loop import batch_bounds
from emoji_ae.models import build_model, memory_format
from emoji_ae.seeding import seeded
from emoji_ae.tasks import Labels
from emoji_ae.training import train_classifier, train_model
from study.emoji.data import StudyData
from study.emoji.trainer import EmojiTrainer
from study.kinds import Source
from study.running.supervisor import ALLOCATOR

SEED = 0
CPU = torch.device("cpu")


@contextmanager
def two_processes() -> Iterator[joblib.Parallel]:
    """Start two processes as ``emoji-study run`` starts its workers, one thread each."""
    before = {name: os.environ.get(name) for name in ALLOCATOR}
    os.environ.update(ALLOCATOR)  # for the processes that are started now
    try:
        with joblib.parallel_config(backend="loky", n_jobs=2, inner_max_num_threads=1):
            yield joblib.Parallel()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def trainer_over_mathematics(data: StudyData) -> Figure:
    """CNN, one thread: what data, augmentation, metrics and bookkeeping add."""
    config = AutoencoderConfig(epoch=8, batch_size=16, learning_rate=1e-3)
    with two_processes() as parallel:
        (ratios,) = parallel([joblib.delayed(_over_mathematics)(config, data)])
    return Figure(
        name="CNN trainer epoch / mathematics of the epoch",
        value=median(ratios),
        bar=1.12,
        stretch=1.05,
        at_most=True,
        ratios=ratios,
        conditions=f"1 thread, batch {config.batch_size}, {config.epoch} epochs a side",
    )


def _over_mathematics(config: AutoencoderConfig, data: StudyData) -> list[float]:
    """Return the ratios of one process, after a check that both sides compute the same."""
    torch.set_num_threads(1)
    staged = stage(config, data)
    ours = train_model(config, data.train, data.validation, seed=SEED)
    _, bare_mse = mathematics(config, staged, data)
    require_close(
        ours.curve[-1].validation_mse, bare_mse, tolerance=1e-4, what="trainer and mathematics"
    )
    return paired_ratios(
        partial(trainer_epoch_s, config, data),
        lambda: mathematics(config, staged, data)[0],
        pairs=15,
    )


def workers_over_plain_loop(
    data: StudyData,
    *,
    pixels: int,
    epochs: int,
    pairs: int,
    bar: float,
    stretch: float,
    once: bool = False,
) -> Figure:
    """CNN: two one-thread processes at work together against the plain loop with two threads.

    Either side's time holds the start of its training, whose share falls with the epochs. With
    ``once`` the plain loop decodes its files once, as the original notebook did.
    """
    config = AutoencoderConfig(epoch=epochs, batch_size=16, learning_rate=1e-3)
    train, validation = (encode(side.images, pixels) for side in (data.train, data.validation))
    gate(config, data, train, validation)

    def plain() -> float:
        torch.set_num_threads(2)
        return train_plainly(config, train, validation, seed=SEED, once=once)[0]

    with two_processes() as parallel:

        def two_workers() -> float:
            seconds = parallel(joblib.delayed(timed_worker)(config, data) for _ in range(2))
            return float(max(seconds)) / 2  # two trainings in that time

        ratios = paired_ratios(plain, two_workers, pairs=pairs)
    return Figure(
        name=f"CNN, {baseline(once)} / two workers, {pixels} px sources",
        value=median(ratios),
        bar=bar,
        stretch=stretch,
        at_most=False,
        ratios=ratios,
        conditions=f"seconds per epoch of {epochs}; plain loop 2 threads, workers 1 thread each, "
        "batch 16",
    )


def share_of_multiplication(data: StudyData) -> Figure:
    """CNN, one thread: floating-point operations a second of a training over a product's."""
    config = AutoencoderConfig(epoch=8, batch_size=16, learning_rate=1e-3)
    with two_processes() as parallel:
        (found,) = parallel([joblib.delayed(_shares_of_multiplication)(config, data)])
    flops, ratios = found
    return Figure(
        name="CNN training, share of one core's matrix multiplication",
        value=median(ratios),
        bar=0.4,
        stretch=0.55,
        at_most=False,
        ratios=ratios,
        conditions=f"1 thread, {flops / 1e9:.1f} GFLOP an epoch; float32, 1,024 x 1,024",
    )


def _shares_of_multiplication(
    config: AutoencoderConfig, data: StudyData
) -> tuple[float, list[float]]:
    """Return the operations of an epoch, and the ratios of one process."""
    torch.set_num_threads(1)
    model, n = build_model(config), len(data.train.images)
    images = to_float(data.train.images[:1], CPU)
    with FlopCounterMode(display=False) as counter:
        nn.functional.mse_loss(model(images), images).backward()  # type: ignore[no-untyped-call]
    per_image = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    flops = n * per_image + len(data.validation.images) * counter.get_total_flops()
    size = 1024
    a = torch.randn(size, size)

    def product() -> float:
        started = time.perf_counter()
        for _ in range(20):
            a @ a
        return (time.perf_counter() - started) / 20 / (2 * size**3)

    return flops, paired_ratios(product, lambda: trainer_epoch_s(config, data) / flops)


def baseline(once: bool) -> str:
    """Return what a plain loop is called."""
    return "the original's loop" if once else "plain loop"


def linear_over_plain_loop(data: StudyData) -> Figure:
    """Linear model: one worker against the plain loop with equal threads and batch."""
    config = AutoencoderConfig(auto_encoder="linear", epoch=3, batch_size=16, learning_rate=1e-3)
    train, validation = (encode(side.images, 72) for side in (data.train, data.validation))
    gate(config, data, train, validation)
    torch.set_num_threads(1)
    with two_processes() as parallel:

        def one_worker() -> float:
            (seconds,) = parallel([joblib.delayed(timed_worker)(config, data)])
            return float(seconds)

        ratios = paired_ratios(
            lambda: train_plainly(config, train, validation, seed=SEED)[0], one_worker
        )
    return Figure(
        name="linear, plain loop / trainer, 72 px sources",
        value=median(ratios),
        bar=2.0,
        stretch=3.0,
        at_most=False,
        ratios=ratios,
        conditions="seconds per epoch; 1 thread, batch 16",
    )


def joint_over_classifier(data: StudyData) -> Figure:
    """Multitask, one thread: an epoch of all of it over one of a classifier of frozen latents."""
    with two_processes() as parallel:
        (ratios,) = parallel([joblib.delayed(_joint_over_classifier)(data)])
    return Figure(
        name="joint epoch / epoch of a classifier on cached latents",
        value=median(ratios),
        bar=50,
        stretch=100,
        at_most=False,
        ratios=ratios,
        conditions="1 thread, batch 16, the notebook's best multitask configuration",
    )


def _joint_over_classifier(data: StudyData) -> list[float]:
    """Return the ratios of one process: 8 joint epochs over 400 of the classifier, a side."""
    torch.set_num_threads(1)
    config = multitask_config(epoch=8)
    train, validation = (to_float(side.images, CPU) for side in (data.train, data.validation))
    labels = Labels(train=data.train.labels, validation=data.validation.labels, weights=None)
    trained = train_model(config, data.train, data.validation, seed=SEED)
    alone = replace(config, epoch=400)

    def joint() -> float:
        result = train_model(config, data.train, data.validation, seed=SEED)
        return result.curve[-1].seconds / len(result.curve)

    def classifier() -> float:
        curve = train_classifier(
            alone, trained, train, validation, labels, seed=SEED
        ).classifier_curve
        return (curve[-1].seconds - trained.curve[-1].seconds) / len(curve)

    return paired_ratios(joint, classifier)


def trainer_epoch_s(config: AutoencoderConfig, data: StudyData) -> float:
    """Train; return wall seconds per epoch, start and end of the training included."""
    started = time.perf_counter()
    train_model(config, data.train, data.validation, seed=SEED)
    return (time.perf_counter() - started) / config.epoch


def timed_worker(config: AutoencoderConfig, data: StudyData) -> float:
    """The same in a process of its own."""
    torch.set_num_threads(1)
    return trainer_epoch_s(config, data)


def stage(config: AutoencoderConfig, data: StudyData) -> list[torch.Tensor]:
    """Return the augmented images of every epoch, in the order in which the trainer sees them."""
    train = to_float(data.train.images, CPU)
    with seeded(SEED, CPU) as generator:
        return [
            augment(
                train,
                generator,
                order=torch.randperm(len(train), generator=generator),
                out=torch.empty_like(train, memory_format=memory_format(config)),
            )
            for _ in range(config.epoch)
        ]


def mathematics(
    config: AutoencoderConfig, staged: Sequence[torch.Tensor], data: StudyData
) -> tuple[float, float]:
    """Train on staged images: forward, backward, optimizer and one validation forward an epoch.

    Returns:
        Seconds per epoch, and the last validation MSE.
    """
    layout = memory_format(config)
    validation = to_float(data.validation.images, CPU).contiguous(memory_format=layout)
    batches = batch_bounds(len(data.train.images), config.batch_size)
    with seeded(SEED, CPU):
        model = build_model(config).to(memory_format=layout)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    errors = torch.empty(0)
    started = time.perf_counter()
    for images in staged:
        model.train()
        for start, stop in batches:
            batch = images[start:stop]
            loss = nn.functional.mse_loss(model(batch), batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        errors = reconstruction_errors(model, validation)
    return (time.perf_counter() - started) / len(staged), errors.mean().item()


def gate(
    config: AutoencoderConfig,
    data: StudyData,
    train: Sequence[bytes],
    validation: Sequence[bytes],
) -> None:
    """Refuse the comparison unless plain loop and trainer learn alike.

    They draw other random numbers, so the errors after a short training are compared, as means
    over three seeds, with a tolerance of 15 %.
    """
    torch.set_num_threads(2)
    longer = AutoencoderConfig.from_dict(
        config.to_dict() | {"epoch": 25 if config.auto_encoder == "CNN" else 4}
    )
    plain, ours = [], []
    for seed in range(3):
        plain.append(train_plainly(longer, train, validation, seed=seed)[1])
        result = train_model(longer, data.train, data.validation, seed=seed)
        ours.append(result.curve[-1].validation_mse)
    require_close(
        sum(plain) / 3, sum(ours) / 3, tolerance=0.15, what=f"{config.auto_encoder}, plain loop"
    )


def encode(images: torch.Tensor, pixels: int) -> list[bytes]:
    """Return images as PNG files of ``pixels`` height and width."""
    files = []
    for image in images:
        buffer = io.BytesIO()
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        picture.resize((pixels, pixels), Image.Resampling.BICUBIC).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files


def default_data() -> StudyData:
    """Return the embedded images with the default split."""
    return EmojiTrainer().load(Source(split="group"), None)


def figures() -> Iterator[Figure]:
    """Measure everything of this module."""
    data = default_data()
    yield trainer_over_mathematics(data)
    yield workers_over_plain_loop(data, pixels=72, epochs=16, pairs=25, bar=3.0, stretch=3.4)
    yield workers_over_plain_loop(data, pixels=512, epochs=6, pairs=5, bar=6.0, stretch=7.0)
    for pixels, epochs, pairs, bar in ((72, 16, 7, 1.8), (512, 6, 5, 3.0)):
        sizes = {"pixels": pixels, "epochs": epochs, "pairs": pairs}
        yield workers_over_plain_loop(data, **sizes, bar=bar, stretch=1.5 * bar, once=True)
    yield share_of_multiplication(data)
    yield linear_over_plain_loop(data)
    yield joint_over_classifier(data)
