"""The final training: what is written, and that it repeats a trial."""

import json
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch

from emoji_ae.checkpoint import load_checkpoint
from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.errors import DivergedError
from emoji_ae.loop import to_float
from emoji_ae.splits import Split, split_dataset
from emoji_ae.train import reconstruction_errors
from storage import attrs, queue
from storage.rdb import open_storage
from study.budget import top_up
from study.data import stored_split, study_data
from study.gallery import cut_strip
from study.objectives import TrainingObjective
from study.runner import run_trial
from study.settings import StudySettings
from study.train import FinalMetrics, train_final
from study.workers import open_study

CPU = torch.device("cpu")
CONFIG = AutoencoderConfig(epoch=3, batch_size=16)
FILES = {"checkpoint.pt", "learning_curve.png", "metrics.json", "reconstructions.png"}


@pytest.fixture(scope="module")
def dataset(tiny_data: Path) -> EmojiDataset:
    """The tiny data set."""
    return load_dataset(tiny_data)


def go_on(_: EpochMetrics) -> bool:
    """Never stop."""
    return False


def train(
    dataset: EmojiDataset,
    out: Path,
    *,
    config: AutoencoderConfig = CONFIG,
    seed: int = 1,
    split: Split | None = None,
) -> FinalMetrics:
    """Train on the CPU, with the default split if none is given."""
    return train_final(
        config,
        seed=seed,
        dataset=dataset,
        split=split or split_dataset(dataset, seed=42),
        device=CPU,
        out=out,
        on_epoch=go_on,
    )


def test_files(tmp_path: Path, dataset: EmojiDataset) -> None:
    """Checkpoint, pictures and metrics are written, and they agree with each other."""
    split = split_dataset(dataset, method="random", seed=7)
    metrics = train(dataset, tmp_path / "new" / "out", split=split)
    out = tmp_path / "new" / "out"
    assert {path.name for path in out.iterdir()} == FILES
    stored = json.loads((out / "metrics.json").read_text())
    assert stored["config"] == CONFIG.to_dict()
    assert stored["seed"] == 1
    assert stored["validation_mse"] == metrics.validation_mse
    assert stored["test_mse"] == metrics.test_mse
    assert stored["epochs"] == metrics.epochs == 3

    checkpoint = load_checkpoint(out / "checkpoint.pt")
    assert (checkpoint.config, checkpoint.seed) == (CONFIG, 1)
    assert checkpoint.data_fingerprint == study_data(dataset, split).fingerprint
    best = checkpoint.curve[metrics.best_epoch - 1]
    assert best.validation_mse == metrics.validation_mse
    assert metrics.validation_mse == min(m.validation_mse for m in checkpoint.curve)
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


def test_repeats_a_trial(
    tmp_path: Path, url: str, settings: StudySettings, dataset: EmojiDataset
) -> None:
    """With a trial's configuration and seed, its validation error comes out exactly."""
    study = open_study(open_storage(url, create=True, write=True), "study", settings)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    top_up(study, settings, 1)
    claimed = queue.claim(study)
    assert claimed is not None
    split = stored_split(settings, dataset, study="study")
    objective = TrainingObjective(
        settings=settings,
        data=study_data(dataset, split),
        artifacts=tmp_path / "artifacts",
        device=CPU,
    )
    run_trial(study, claimed, objective, threading.Event())
    (trial,) = study.get_trials()
    metrics = train(
        dataset,
        tmp_path / "out",
        config=settings.search_space.to_config(trial.params),
        seed=trial.user_attrs[attrs.SEED],
        split=split,
    )
    assert metrics.validation_mse == trial.value
    assert metrics.parameter_count == trial.user_attrs[attrs.PARAMETER_COUNT]


def test_seed_decides(tmp_path: Path, dataset: EmojiDataset) -> None:
    """The same seed gives the same errors, another one others."""
    first, again, other = (
        train(dataset, tmp_path / str(i), seed=seed) for i, seed in enumerate((1, 1, 2))
    )
    assert (first.validation_mse, first.test_mse) == (again.validation_mse, again.test_mse)
    assert first.test_mse != other.test_mse


def test_split_decides(tmp_path: Path, dataset: EmojiDataset) -> None:
    """The given split trains, chooses and judges, not one that is drawn anew."""
    split = split_dataset(dataset, seed=42)
    swapped = replace(split, validation=split.test, test=split.validation)
    one_epoch = replace(CONFIG, epoch=1)
    first = train(dataset, tmp_path / "first", config=one_epoch, split=split)
    other = train(dataset, tmp_path / "other", config=one_epoch, split=swapped)
    assert first.validation_mse == pytest.approx(other.test_mse, rel=1e-5)
    assert first.test_mse == pytest.approx(other.validation_mse, rel=1e-5)
    assert first.test_mse != pytest.approx(first.validation_mse, rel=1e-3)


def test_other_data(tmp_path: Path, url: str, settings: StudySettings, other_data: Path) -> None:
    """The command refuses data that are not the study's before anything is written."""
    study = open_study(open_storage(url, create=True, write=True), "study", settings)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    queue.enqueue(study, {}, {})
    claimed = queue.claim(study)
    assert claimed is not None
    trial = queue.start(study, claimed)
    settings.search_space.suggest(trial, settings.fixed)
    study.tell(trial, 0.5)
    ended = subprocess.run(
        [
            Path(sys.executable).with_name("emoji-study"),
            *("train", "--storage", url, "--study", "study", "--trial", "0", "--threads", "1"),
            *("--data", other_data, "--out", tmp_path / "out"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(
        rf"Error: Study 'study' was made with other data \(fingerprint "
        rf"{settings.data_fingerprint}, here [0-9a-f]{{16}}-[0-9a-f]{{8}}\); "
        r"give its file with --data\.\n",
        ended.stderr,
    )
    assert not (tmp_path / "out").exists()


def test_folder_below_a_file(tmp_path: Path, dataset: EmojiDataset) -> None:
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
            dataset=dataset,
            split=split_dataset(dataset, seed=42),
            device=CPU,
            out=tmp_path / "file" / "out",
            on_epoch=on_epoch,
        )
    assert epochs == []


def test_diverged(tmp_path: Path, dataset: EmojiDataset) -> None:
    """A training that diverges leaves no checkpoint, and no metrics of an earlier one."""
    train(dataset, tmp_path, config=replace(CONFIG, epoch=1))
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(DivergedError, match="Training diverged in epoch"):
        train(dataset, tmp_path, config=replace(CONFIG, learning_rate=1e30))
    assert json.loads((tmp_path / "metrics.json").read_text()) == {}
    assert not (tmp_path / "checkpoint.pt").exists()
