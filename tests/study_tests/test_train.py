"""The final training: what is written, and that it repeats a trial."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch

from emoji_ae.checkpoint import load_checkpoint
from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import load_dataset
from emoji_ae.errors import DivergedError
from emoji_ae.splits import split_dataset
from emoji_ae.train import EpochMetrics, reconstruction_errors, to_float
from storage import attrs, queue
from storage.rdb import open_storage
from study.budget import top_up
from study.data import load_study_data
from study.errors import StudyError
from study.gallery import cut_strip
from study.objectives import AutoencoderObjective
from study.runner import run_trial
from study.settings import StudySettings
from study.train import FinalMetrics, train_final
from study.workers import open_study

CPU = torch.device("cpu")
CONFIG = AutoencoderConfig(epoch=3, batch_size=16)
FILES = {"checkpoint.pt", "learning_curve.png", "metrics.json", "reconstructions.png"}


def go_on(_: EpochMetrics) -> bool:
    """Never stop."""
    return False


def train(
    data: Path,
    out: Path,
    *,
    config: AutoencoderConfig = CONFIG,
    seed: int = 1,
    fingerprint: str | None = None,
) -> FinalMetrics:
    """Train on the CPU with the default split."""
    return train_final(
        config,
        seed=seed,
        data=data,
        split="group",
        data_seed=42,
        expected_fingerprint=fingerprint,
        device=CPU,
        out=out,
        on_epoch=go_on,
    )


def test_files(tmp_path: Path, tiny_data: Path) -> None:
    """Checkpoint, pictures and metrics are written, and they agree with each other."""
    metrics = train(tiny_data, tmp_path / "new" / "out")
    out = tmp_path / "new" / "out"
    assert {path.name for path in out.iterdir()} == FILES
    stored = json.loads((out / "metrics.json").read_text())
    assert stored["config"] == CONFIG.to_dict()
    assert stored["seed"] == 1
    assert stored["validation_mse"] == metrics.validation_mse
    assert stored["test_mse"] == metrics.test_mse
    assert stored["epochs"] == metrics.epochs == 3

    checkpoint = load_checkpoint(out / "checkpoint.pt")
    assert checkpoint.config == CONFIG
    best = checkpoint.curve[metrics.best_epoch - 1]
    assert best.validation_mse == metrics.validation_mse
    assert metrics.validation_mse == min(m.validation_mse for m in checkpoint.curve)
    dataset = load_dataset(tiny_data)
    split = split_dataset(dataset, seed=42)
    for rows, expected in (
        (split.validation, metrics.validation_mse),
        (split.test, metrics.test_mse),
    ):
        images = to_float(dataset.images[list(rows)], CPU)
        error = reconstruction_errors(checkpoint.model, images).mean().item()
        assert error == pytest.approx(expected, rel=1e-5)
    assert metrics.parameter_count == sum(p.numel() for p in checkpoint.model.parameters())

    pictures = cut_strip((out / "reconstructions.png").read_bytes())
    assert {picture.text for picture in pictures} <= {dataset.texts[i] for i in split.test}
    assert len(pictures) == 8


def test_repeats_a_trial(tmp_path: Path, url: str, settings: StudySettings) -> None:
    """With a trial's configuration and seed, its validation error comes out exactly."""
    study = open_study(open_storage(url, create=True, write=True), "study", settings)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    top_up(study, settings, 1)
    claimed = queue.claim(study)
    assert claimed is not None
    assert settings.data is not None
    data = load_study_data(Path(settings.data), split="group", seed=42)
    objective = AutoencoderObjective(
        settings=settings, data=data, artifacts=tmp_path / "artifacts", device=CPU
    )
    run_trial(study, claimed, objective, threading.Event())
    (trial,) = study.get_trials()
    metrics = train(
        Path(settings.data),
        tmp_path / "out",
        config=settings.search_space.to_config(trial.params),
        seed=trial.user_attrs[attrs.SEED],
        fingerprint=settings.data_fingerprint,
    )
    assert metrics.validation_mse == trial.value
    assert metrics.parameter_count == trial.user_attrs[attrs.PARAMETER_COUNT]


def test_seed_decides(tmp_path: Path, tiny_data: Path) -> None:
    """The same seed gives the same errors, another one others."""
    first, again, other = (
        train(tiny_data, tmp_path / str(i), seed=seed) for i, seed in enumerate((1, 1, 2))
    )
    assert (first.validation_mse, first.test_mse) == (again.validation_mse, again.test_mse)
    assert first.test_mse != other.test_mse


def test_other_data(tmp_path: Path, tiny_data: Path) -> None:
    """Data that are not the study's are refused before anything is written."""
    with pytest.raises(StudyError, match=r"made with other data .* give its file with --data\."):
        train(tiny_data, tmp_path / "out", fingerprint="other")
    assert not (tmp_path / "out").exists()


def test_folder_below_a_file(tmp_path: Path, tiny_data: Path) -> None:
    """A folder that cannot be written is found out before the training."""
    (tmp_path / "file").touch()
    epochs: list[EpochMetrics] = []

    def on_epoch(metrics: EpochMetrics) -> bool:
        epochs.append(metrics)
        return False

    with pytest.raises(OSError, match="file"):
        train_final(
            CONFIG,
            seed=0,
            data=tiny_data,
            split="group",
            data_seed=42,
            expected_fingerprint=None,
            device=CPU,
            out=tmp_path / "file" / "out",
            on_epoch=on_epoch,
        )
    assert epochs == []


def test_diverged(tmp_path: Path, tiny_data: Path) -> None:
    """A training that diverges leaves no checkpoint, and no metrics of an earlier one."""
    train(tiny_data, tmp_path, config=replace(CONFIG, epoch=1))
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(DivergedError, match="Training diverged in epoch"):
        train(tiny_data, tmp_path, config=replace(CONFIG, learning_rate=1e30))
    assert json.loads((tmp_path / "metrics.json").read_text()) == {}
    assert not (tmp_path / "checkpoint.pt").exists()
