"""One entrance to all trainings."""

from pathlib import Path
from typing import Any

import pytest
import torch

from emoji_ae.config import AutoencoderConfig, multitask_config
from emoji_ae.curve import EpochMetrics, MultitaskMetrics
from emoji_ae.dataset import LabelledImages
from emoji_ae.errors import DataError
from emoji_ae.models import Autoencoder, MultitaskAutoencoder
from emoji_ae.resume import ResumeFile
from emoji_ae.training import TrainResult, train_model
from tests.emoji_ae_tests.reference import pictures

CPU = torch.device("cpu")
TRAIN = LabelledImages(images=pictures(6, seed=0), labels=torch.tensor([0, 1, 2, 3, 3, 3]))
VALIDATION = LabelledImages(images=pictures(3, seed=1), labels=torch.tensor([0, 1, 3]))
SMALL: dict[str, Any] = {"width": 3, "depth": 3, "latent_channels": 4, "batch_size": 3}
CONFIGS = [
    AutoencoderConfig(**SMALL, epoch=3),
    multitask_config(**SMALL, epoch=3),
    multitask_config(**SMALL, epoch=3, strategy="sequential", classification_layer_num=2),
]


def comparable(result: TrainResult) -> list[tuple[int, float, float]]:
    """Return a curve without its times."""
    return [(m.epoch, m.train_mse, m.validation_mse) for m in result.curve]


@pytest.mark.parametrize("config", CONFIGS)
def test_kind_of_configuration_decides(config: AutoencoderConfig) -> None:
    """A configuration with a classifier gives a model and a result that classify, and no other."""
    result = train_model(config, TRAIN, VALIDATION, seed=4)
    classifies = config.classification is not None
    assert type(result.model) is (MultitaskAutoencoder if classifies else Autoencoder)
    assert isinstance(result.best, MultitaskMetrics) == classifies
    assert (result.confusion is not None) == classifies
    assert bool(result.classifier_curve) == (config.to_dict().get("strategy") == "sequential")


@pytest.mark.parametrize("config", CONFIGS)
def test_hook_and_state_are_passed_on(config: AutoencoderConfig, tmp_path: Path) -> None:
    """The hook can interrupt any training after its first epoch, and stop it after the next."""
    seen = []

    def on_epoch(metrics: EpochMetrics) -> bool:
        seen.append(metrics.epoch)
        if metrics.epoch == 0:
            raise KeyError
        return True

    def go_on() -> TrainResult:
        resume = ResumeFile(
            tmp_path / "state.pt", identity=config.identity(), seed=4, max_epochs=3
        )
        return train_model(
            config, TRAIN, VALIDATION, seed=4, device=CPU, on_epoch=on_epoch, resume=resume
        )

    with pytest.raises(KeyError):
        go_on()
    assert comparable(go_on()) == comparable(train_model(config, TRAIN, VALIDATION, seed=4))[:2]
    assert seen == [0, 1]


@pytest.mark.parametrize("config", CONFIGS)
def test_too_few_images(config: AutoencoderConfig) -> None:
    """No kind is trained without images to judge by."""
    nothing = LabelledImages(images=VALIDATION.images[:0], labels=VALIDATION.labels[:0])
    with pytest.raises(DataError, match=r"but got 6 and 0\.$"):
        train_model(config, TRAIN, nothing, seed=0, device=CPU)
