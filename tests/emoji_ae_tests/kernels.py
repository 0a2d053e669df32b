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
from emoji_ae.training import suspended_result, train_model
from tests.emoji_ae_tests.reference import pictures, with_fields

SMALL = AutoencoderConfig(
    width=4, depth=3, latent_channels=8, normalization="batch", epoch=2, batch_size=5
)
CONFIGS = (
    SMALL,
    with_fields(SMALL, normalization="group", kl_weight=0.01),
    multitask_config(width=4, depth=3, latent_channels=8, epoch=2, batch_size=5, patience=9),
)


def interrupt(_: EpochMetrics) -> bool:
    """Stand for whatever ends a training from outside."""
    raise KeyboardInterrupt


def results_of(model: Autoencoder, images: Tensor) -> list[Tensor]:
    """Return what is made of images: pictures, errors, latents, and pictures of those."""
    space = encode(model, images, ["face"] * len(images))
    floats = images / 255
    errors = reconstruction_errors(model, floats)
    other = reconstruction_errors(model, floats.contiguous(memory_format=torch.channels_last))
    assert torch.equal(errors, other)
    decoded = space.decode(space.latents.contiguous())
    return [reconstruct(model, images), errors, space.latents, decoded]


def require_equal(one: Autoencoder, other: Autoencoder, images: Tensor) -> None:
    """Check weights, where they lie, and all that is made of images, in any layout."""
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    for name, weight in mine.items():
        assert torch.equal(weight, theirs[name]), name
        assert weight.stride() == theirs[name].stride(), name
    assert all(map(torch.equal, results_of(one, images), results_of(other, images)))


def main(folder: Path) -> None:
    """Try every configuration."""
    images = pictures(16, seed=0)
    labels = torch.arange(16) % 4
    sides = [
        LabelledImages(images=images[rows], labels=labels[rows])
        for rows in (slice(10), slice(10, 16))
    ]
    for config in CONFIGS:
        train = partial(train_model, config, *sides, seed=3)
        result = train()
        errors = [metrics.validation_mse for metrics in result.curve]
        state, model = folder / "state.pt", folder / "model.pt"
        resume = partial(
            ResumeFile, state, identity=config.identity(), seed=3, max_epochs=config.epoch
        )
        with pytest.raises(KeyboardInterrupt):
            train(on_epoch=interrupt, resume=resume())
        other = train(resume=resume())
        assert [metrics.validation_mse for metrics in other.curve] == errors
        require_equal(other.model, result.model, images)

        kept = resume().state
        assert kept is not None
        shorter = train_model(with_fields(config, epoch=1), *sides, seed=3)
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
