"""A program that trains, resumes, saves and loads, and fails unless all bits are equal.

Kernels are chosen when a process first needs them, so each choice of them needs a process.
"""

import sys
from functools import partial
from pathlib import Path

import pytest
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
from tests.emoji_ae_tests.reference import pictures, with_fields

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
    resume: ResumeFile | None = None,
    *,
    stop: bool = False,
) -> TrainResult:
    """Train, be interrupted after an epoch if asked, and go on from a state that there is."""

    def on_epoch(_: EpochMetrics) -> bool:
        if stop:
            raise Interrupted
        return False

    return train_model(
        config,
        LabelledImages(images=data.images[:10], labels=data.labels[:10]),
        LabelledImages(images=data.images[10:], labels=data.labels[10:]),
        seed=3,
        on_epoch=on_epoch,
        resume=resume,
    )


def require_equal(one: Autoencoder, other: Autoencoder, images: Tensor) -> None:
    """Check weights, where they lie, and all that is made of images, in any layout."""
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    for name, weight in mine.items():
        assert torch.equal(weight, theirs[name]), name
        assert weight.stride() == theirs[name].stride(), name
    assert all(map(torch.equal, results_of(one, images), results_of(other, images)))


def results_of(model: Autoencoder, images: Tensor) -> list[Tensor]:
    """Return what is made of images: pictures, errors, latents, and pictures of those."""
    space = encode(model, images, ["face"] * len(images))
    floats = images / 255
    errors = reconstruction_errors(model, floats)
    other = reconstruction_errors(model, floats.contiguous(memory_format=torch.channels_last))
    assert torch.equal(errors, other)
    decoded = space.decode(space.latents.contiguous())
    return [reconstruct(model, images), errors, space.latents, decoded]


def main(folder: Path) -> None:
    """Try every configuration."""
    images = pictures(16, seed=0)
    data = LabelledImages(images=images, labels=torch.arange(16) % 4)
    for config in CONFIGS:
        result = train(config, data)
        errors = [metrics.validation_mse for metrics in result.curve]
        state, model = folder / "state.pt", folder / "model.pt"
        resume = partial(
            ResumeFile, state, identity=config.identity(), seed=3, max_epochs=config.epoch
        )
        with pytest.raises(Interrupted):
            train(config, data, resume(), stop=True)
        other = train(config, data, resume())
        assert [metrics.validation_mse for metrics in other.curve] == errors
        require_equal(other.model, result.model, images)

        kept = resume().state
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
