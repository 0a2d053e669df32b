"""Trainings that are interrupted and go on."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics
from emoji_ae.resume import ResumeFile
from emoji_ae.training import TrainResult
from tests.emoji_ae_tests.reference import train_autoencoder

SEED = 3
CONFIGS = [
    AutoencoderConfig(epoch=5, batch_size=8, learning_rate=1e-3),
    AutoencoderConfig(
        epoch=5, batch_size=8, learning_rate=1e-3, schedule="one_cycle", normalization="batch"
    ),
    AutoencoderConfig(
        epoch=5, batch_size=8, learning_rate=1e-2, schedule="cosine", normalization="group"
    ),
]


class Interrupted(Exception):
    """Stands for whatever ends a training from outside."""


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Random images; what they show does not matter here."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (20, 3, 64, 64), dtype=torch.uint8, generator=generator)


def resume_file(path: Path, config: AutoencoderConfig, **changes: object) -> ResumeFile:
    """Return the resume file of a training of ``config``."""
    arguments: dict[str, object] = {
        "identity": config.identity(),
        "seed": SEED,
        "max_epochs": config.epoch,
    }
    return ResumeFile(path, **(arguments | changes))  # type: ignore[arg-type]


def train(
    config: AutoencoderConfig, images: Tensor, path: Path | None, stop_after: int | None = None
) -> TrainResult:
    """Train, and be interrupted after an epoch if asked."""

    def on_epoch(metrics: EpochMetrics) -> bool:
        if metrics.epoch == stop_after:
            raise Interrupted
        return False

    resume = None if path is None else resume_file(path, config)
    return train_autoencoder(
        config, images[:14], images[14:], seed=SEED, on_epoch=on_epoch, resume=resume
    )


def errors(result: TrainResult) -> list[tuple[int, float, float]]:
    """Return the curve without its times."""
    return [(m.epoch, m.train_mse, m.validation_mse) for m in result.curve]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.schedule)
def test_an_interrupted_training_ends_like_an_uninterrupted_one(
    config: AutoencoderConfig, images: Tensor, tmp_path: Path
) -> None:
    """Interrupted twice, a training has the same curve and weights bit for bit."""
    whole = train(config, images, None)
    path = tmp_path / "state.pt"

    for stop_after in (0, 2):
        with pytest.raises(Interrupted):
            train(config, images, path, stop_after)
    resumed = train(config, images, path)

    assert errors(resumed) == errors(whole)
    assert resumed.best is not None
    assert whole.best is not None
    assert resumed.best.epoch == whole.best.epoch
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], weight), name


def test_a_resumed_training_runs_only_what_is_missing(images: Tensor, tmp_path: Path) -> None:
    """The hook sees the epochs after the stored ones, and no other."""
    config, path = CONFIGS[0], tmp_path / "state.pt"
    with pytest.raises(Interrupted):
        train(config, images, path, stop_after=1)
    seen = []

    train_autoencoder(
        config,
        images[:14],
        images[14:],
        seed=SEED,
        on_epoch=lambda metrics: seen.append(metrics.epoch) is not None,
        resume=resume_file(path, config),
    )

    assert seen == [2, 3, 4]


@pytest.mark.parametrize(
    "changes", [{"seed": SEED + 1}, {"identity": "another"}, {"max_epochs": 2}], ids=str
)
def test_a_state_that_does_not_fit_is_not_used(
    changes: dict[str, object], images: Tensor, tmp_path: Path
) -> None:
    """A state of another training, or of too late an epoch, counts as none."""
    path = tmp_path / "state.pt"
    with pytest.raises(Interrupted):
        train(CONFIGS[0], images, path, stop_after=1)

    assert resume_file(path, CONFIGS[0]).state is not None
    assert resume_file(path, CONFIGS[0], **changes).state is None


@pytest.mark.parametrize("content", [b"", b"not a state", b"PK\x03\x04 damaged"], ids=repr)
def test_a_damaged_file_only_costs_time(content: bytes, images: Tensor, tmp_path: Path) -> None:
    """A training whose file is damaged starts afresh and ends as ever."""
    path = tmp_path / "state.pt"
    path.write_bytes(content)

    assert errors(train(CONFIGS[0], images, path)) == errors(train(CONFIGS[0], images, None))


def test_a_truncated_state_counts_as_none(images: Tensor, tmp_path: Path) -> None:
    """Half a state is no state."""
    path = tmp_path / "state.pt"
    with pytest.raises(Interrupted):
        train(CONFIGS[0], images, path, stop_after=1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    assert resume_file(path, CONFIGS[0]).state is None
