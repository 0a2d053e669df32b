"""A program that trains, resumes, saves and loads, and fails unless all bits are equal.

Kernels are chosen when a process first needs them, so each choice of them needs a process.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from emoji_ae.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from emoji_ae.config import AutoencoderConfig, multitask_config
from emoji_ae.curve import EpochMetrics
from emoji_ae.dataset import LabelledImages
from emoji_ae.evaluation import reconstruct, reconstruction_errors
from emoji_ae.latent import encode
from emoji_ae.models import Autoencoder
from emoji_ae.resume import ResumeFile
from emoji_ae.training import TrainResult, suspended_result, train_model
from tests.emoji_ae_tests.reference import with_fields

CPU = torch.device("cpu")
SMALL = AutoencoderConfig(
    width=4, depth=3, latent_channels=8, normalization="batch", epoch=2, batch_size=5
)
CONFIGS = (
    SMALL,
    with_fields(SMALL, normalization="group", kl_weight=0.01),
    multitask_config(width=4, depth=3, latent_channels=8, epoch=2, batch_size=5, patience=9),
)


class Interrupted(Exception):
    """Stands for whatever ends a training from outside."""


def train(
    config: AutoencoderConfig,
    data: LabelledImages,
    path: Path | None = None,
    *,
    stop: bool = False,
) -> TrainResult:
    """Train, be interrupted after an epoch if asked, and go on from a file that there is."""

    def on_epoch(_: EpochMetrics) -> bool:
        if stop:
            raise Interrupted
        return False

    return train_model(
        config,
        LabelledImages(images=data.images[:10], labels=data.labels[:10]),
        LabelledImages(images=data.images[10:], labels=data.labels[10:]),
        seed=3,
        device=CPU,
        on_epoch=on_epoch,
        resume=path and state_of(config, path),
    )


def state_of(config: AutoencoderConfig, path: Path) -> ResumeFile:
    """Return what is kept of an interrupted training."""
    return ResumeFile(path, identity=config.identity(), seed=3, max_epochs=config.epoch)


def require_equal(one: Autoencoder, other: Autoencoder, images: Tensor) -> None:
    """Check weights, where they lie, and all that is made of images, in any layout."""
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    for name, weight in mine.items():
        assert torch.equal(weight, theirs[name]), name
        assert weight.stride() == theirs[name].stride(), name
    for results in zip(results_of(one, images), results_of(other, images), strict=True):
        assert torch.equal(*results)


def results_of(model: Autoencoder, images: Tensor) -> Iterator[Tensor]:
    """Yield what is made of images: pictures, errors, latents, and pictures of those."""
    yield reconstruct(model, images)
    space = encode(model, images, ["face"] * len(images))
    yield space.latents
    yield space.decode(space.latents.contiguous())
    floats = images / 255
    errors = reconstruction_errors(model, floats)
    other = reconstruction_errors(model, floats.contiguous(memory_format=torch.channels_last))
    assert torch.equal(errors, other)
    yield errors


def main(folder: Path) -> None:
    """Try every configuration."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (16, 3, 64, 64), dtype=torch.uint8, generator=generator)
    data = LabelledImages(images=images, labels=torch.arange(16) % 4)
    for config in CONFIGS:
        result = train(config, data)
        errors = [metrics.validation_mse for metrics in result.curve]
        state, model = folder / "state.pt", folder / "model.pt"
        for again in (False, True):
            try:
                other = train(config, data, state, stop=not again)
            except Interrupted:
                continue
        assert [metrics.validation_mse for metrics in other.curve] == errors
        require_equal(other.model, result.model, images)

        kept = state_of(config, state).state
        assert kept is not None
        shorter = train(with_fields(config, epoch=1), data)
        require_equal(suspended_result(config, kept).model, shorter.model, images)

        checkpoint = Checkpoint(
            model=result.model, config=config, seed=3, data_fingerprint="", curve=result.curve
        )
        save_checkpoint(checkpoint, model)
        loaded = load_checkpoint(model).model
        require_equal(loaded, result.model, images)
        assert result.best is not None
        best = reconstruction_errors(loaded, images[10:] / 255).mean().item()
        assert best == result.best.validation_mse
        state.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
