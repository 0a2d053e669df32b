"""The final training: what is written, and that it repeats a trial."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FrozenTrial

from emoji_ae.checkpoint import load_checkpoint
from emoji_ae.classification import count_classes
from emoji_ae.config import AutoencoderConfig, Strategy, multitask_config
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.drawing.strips import N_RANKED, N_SAMPLES
from emoji_ae.evaluation import reconstruction_errors, to_float
from emoji_ae.labels import CLASSES
from emoji_ae.models import MultitaskAutoencoder
from emoji_ae.splits import Split, split_dataset
from storage import attrs
from storage.rdb import open_storage
from study import emoji
from study.commands.train import Final, train_final
from study.emoji.data import StudyData
from study.emoji.trainer import EmojiTrainer
from study.kinds import DivergedError, Step
from study.report.pictures import cut_strip
from study.running.choosing import Chosen
from study.running.worker import run_trial
from study.settings import StudySettings
from tests.emoji_ae_tests.reference import with_fields
from tests.study_tests.studies import claim_point, objective_of, open_study, space_of

CPU = torch.device("cpu")
CONFIG = AutoencoderConfig(epoch=3, batch_size=16)
FILES = {"checkpoint.pt", "learning_curve.png", "metrics.json", "reconstructions.png"}
MULTITASK = multitask_config(
    epoch=3, batch_size=8, learning_rate=0.01, width=8, latent_channels=16, patience=20
)
STRATEGIES: list[Strategy] = ["joint", "sequential", "branched"]


@pytest.fixture(scope="module")
def dataset(tiny_data: Path) -> EmojiDataset:
    """The tiny data set."""
    return load_dataset(tiny_data)


def train(
    dataset: EmojiDataset,
    out: Path,
    *,
    config: AutoencoderConfig = CONFIG,
    seed: int = 1,
    split: Split | None = None,
    on_epoch: Callable[[int], object] = str,
    until: int | None = None,
) -> Final | None:
    """Train on the CPU, with the default split if none is given.

    Args:
        dataset: All images.
        out: The folder to write.
        config: What to train.
        seed: Of the training.
        split: Of the images.
        on_epoch: Called with the number of every epoch, from 0.
        until: The epoch with which the training is interrupted.
    """
    kind = emoji.MULTITASK if config.classification else emoji.AUTOENCODER
    epochs: list[int] = []

    def show(numbers: Step) -> None:
        epochs.append(len(epochs))
        on_epoch(epochs[-1])

    return train_final(
        Chosen(label="model", kind=kind, config=config, n_steps=config.epoch, seed=seed),
        EmojiTrainer(),
        StudyData(dataset, split or split_dataset(dataset, seed=42)),
        device="cpu",
        out=out,
        show=show,
        stop_requested=lambda: epochs[-1] == until,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Return all that is in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files(tmp_path: Path, dataset: EmojiDataset) -> None:
    """Checkpoint, pictures and metrics are written, and they agree with each other."""
    split = split_dataset(dataset, method="random", seed=7)
    metrics = train(dataset, tmp_path / "new" / "out", split=split)
    out = tmp_path / "new" / "out"
    assert {path.name for path in out.iterdir()} == FILES
    stored = json.loads((out / "metrics.json").read_text())
    assert stored["config"] == CONFIG.to_dict()
    assert stored["seed"] == 1
    assert stored["validation_mse"] == metrics.best["validation_mse"]
    assert stored["test_mse"] == metrics.test["mse"]
    assert stored["epochs"] == metrics.n_steps == 3

    checkpoint = load_checkpoint(out / "checkpoint.pt")
    assert (checkpoint.config, checkpoint.seed) == (CONFIG, 1)
    assert checkpoint.data_fingerprint == StudyData(dataset, split).fingerprint
    best = checkpoint.curve[metrics.best_step - 1]
    assert best.validation_mse == metrics.best["validation_mse"]
    assert best.validation_mse == min(m.validation_mse for m in checkpoint.curve)
    for rows, expected in (
        (split.validation, metrics.best["validation_mse"]),
        (split.test, metrics.test["mse"]),
    ):
        images = to_float(dataset.images[list(rows)], CPU)
        error = reconstruction_errors(checkpoint.model, images).mean().item()
        assert error == pytest.approx(expected, rel=1e-5)
    assert metrics.facts["parameter_count"] == sum(
        p.numel() for p in checkpoint.model.parameters()
    )

    pictures = cut_strip((out / "reconstructions.png").read_bytes())
    assert {picture.text for picture in pictures} <= {dataset.texts[i] for i in split.test}
    assert len(pictures) == N_SAMPLES + 3 * N_RANKED


def train_twice(
    folder: Path, url: str, settings: StudySettings, dataset: EmojiDataset
) -> tuple[FrozenTrial, Final]:
    """Run a trial, and train its configuration with its seed again to ``folder / "out"``."""
    study = open_study(open_storage(url, create=True, write=True), "study", settings)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    trial = claim_point(study, {})
    objective = objective_of(settings, folder / "artifacts")
    run_trial(study, trial, objective, threading.Event())
    (ended,) = study.get_trials()
    metrics = train(
        dataset,
        folder / "out",
        config=space_of(settings).to_config(ended.params),
        seed=ended.user_attrs[attrs.SEED],
        split=Split.from_sides(settings.sides),
    )
    return ended, metrics


def test_repeats_a_trial(
    tmp_path: Path, url: str, settings: StudySettings, dataset: EmojiDataset
) -> None:
    """With a trial's configuration and seed, its validation error comes out exactly."""
    trial, metrics = train_twice(tmp_path, url, settings, dataset)
    assert metrics.best["validation_mse"] == trial.value
    assert metrics.facts["parameter_count"] == trial.user_attrs[attrs.PARAMETER_COUNT]


def test_seed_decides(tmp_path: Path, dataset: EmojiDataset) -> None:
    """The same seed gives the same errors, another one others."""
    first, again, other = (
        train(dataset, tmp_path / str(i), seed=seed) for i, seed in enumerate((1, 1, 2))
    )
    assert (first.best["validation_mse"], first.test["mse"]) == (
        again.best["validation_mse"],
        again.test["mse"],
    )
    assert first.test["mse"] != other.test["mse"]


def test_split_decides(tmp_path: Path, dataset: EmojiDataset) -> None:
    """The given split trains, chooses and judges, not one that is drawn anew."""
    split = split_dataset(dataset, seed=42)
    swapped = replace(split, validation=split.test, test=split.validation)
    one_epoch = replace(CONFIG, epoch=1)
    first = train(dataset, tmp_path / "first", config=one_epoch, split=split)
    other = train(dataset, tmp_path / "other", config=one_epoch, split=swapped)
    assert first.best["validation_mse"] == pytest.approx(other.test["mse"], rel=1e-5)
    assert first.test["mse"] == pytest.approx(other.best["validation_mse"], rel=1e-5)
    assert first.test["mse"] != pytest.approx(first.best["validation_mse"], rel=1e-3)


def test_other_data(tmp_path: Path, url: str, settings: StudySettings, other_data: Path) -> None:
    """The command refuses data that are not the study's before anything is written."""
    study = open_study(open_storage(url, create=True, write=True), "study", settings)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    trial = claim_point(study, {})
    space_of(settings).suggest(trial, settings.fixed)
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


@pytest.mark.parametrize("out", ["file/out", "out"])
def test_what_cannot_be_written(tmp_path: Path, dataset: EmojiDataset, out: str) -> None:
    """A folder or a file that cannot be written is found out before the training."""
    (tmp_path / "file").touch()
    (tmp_path / "out" / "checkpoint.pt").mkdir(parents=True)
    epochs: list[int] = []
    with pytest.raises(OSError, match=out):
        train(dataset, tmp_path / out, on_epoch=epochs.append)
    assert epochs == []


def test_diverged(tmp_path: Path, dataset: EmojiDataset) -> None:
    """A training that diverges leaves nothing, and an earlier model as it was."""
    for expected in (set(), FILES):
        before = contents(tmp_path)
        assert set(before) == expected
        with pytest.raises(DivergedError, match="Training diverged in epoch"):
            train(dataset, tmp_path, config=replace(CONFIG, learning_rate=1e30))
        assert contents(tmp_path) == before
        train(dataset, tmp_path, config=replace(CONFIG, epoch=1))


def test_earlier_model_is_whole_until_the_end(tmp_path: Path, dataset: EmojiDataset) -> None:
    """While another training runs, the folder holds the earlier model as it was, then the new."""
    train(dataset, tmp_path, config=replace(CONFIG, epoch=1))
    before = contents(tmp_path)

    def on_epoch(_: int) -> None:
        assert contents(tmp_path) == before

    train(dataset, tmp_path, seed=2, on_epoch=on_epoch)
    after = contents(tmp_path)
    assert set(after) == FILES
    assert all(after[name] != before[name] for name in FILES)


@pytest.mark.parametrize("kind", ["autoencoder", *STRATEGIES])
def test_interrupted(tmp_path: Path, dataset: EmojiDataset, kind: str) -> None:
    """The best epoch so far is kept, and nothing is measured on or drawn of test images."""
    config = CONFIG if kind == "autoencoder" else with_fields(MULTITASK, strategy=kind)
    split = split_dataset(dataset, seed=42)
    metrics = train(dataset, tmp_path, config=config, until=1)
    whole = train(dataset, tmp_path / "whole", config=replace(config, epoch=2))

    assert metrics is not None
    assert whole is not None
    assert (metrics.interrupted, metrics.n_steps, whole.interrupted) == (True, 2, False)
    assert (metrics.best["validation_mse"], metrics.best_step) == (
        whole.best["validation_mse"],
        whole.best_step,
    )
    assert metrics.test == {}
    stored = json.loads((tmp_path / "metrics.json").read_text())
    assert (stored["interrupted"], stored["epochs"], stored["config"]["epoch"]) == (True, 2, 3)
    checkpoint = load_checkpoint(tmp_path / "checkpoint.pt")
    assert len(checkpoint.curve) == 2
    images = to_float(dataset.images[list(split.validation)], CPU)
    error = reconstruction_errors(checkpoint.model, images).mean().item()
    assert error == metrics.best["validation_mse"]
    pictures = cut_strip((tmp_path / "reconstructions.png").read_bytes())
    assert {p.text for p in pictures} <= {dataset.texts[i] for i in split.validation}


def test_interrupted_at_its_borders(tmp_path: Path, dataset: EmojiDataset) -> None:
    """By the end of the first epoch nothing is kept; after the last, nothing is interrupted."""
    train(dataset, tmp_path, config=replace(CONFIG, epoch=1))
    before = contents(tmp_path)
    assert train(dataset, tmp_path, seed=2, until=0) is None
    assert contents(tmp_path) == before

    metrics = train(dataset, tmp_path, seed=2, until=2)
    assert metrics is not None
    assert (metrics.interrupted, metrics.n_steps) == (False, 3)
    assert "mse" in metrics.test


def confusion_of(model: object, dataset: EmojiDataset, rows: tuple[int, ...]) -> np.ndarray:
    """Count images by class and by the class that a model predicts, one by one."""
    assert isinstance(model, MultitaskAutoencoder)
    counts = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)
    for row in rows:
        with torch.no_grad():
            _, logits = model.forward_tasks(to_float(dataset.images[[row]], CPU))
        counts[dataset.labels[row], logits.argmax()] += 1
    return counts


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_classification(tmp_path: Path, dataset: EmojiDataset, strategy: Strategy) -> None:
    """A multitask model is also judged by its classes, on the test images and on no others."""
    split = split_dataset(dataset, seed=42)
    config = with_fields(MULTITASK, strategy=strategy)
    metrics = train(dataset, tmp_path, config=config, split=split)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    checkpoint = load_checkpoint(tmp_path / "checkpoint.pt")
    assert checkpoint.config == config
    expected = confusion_of(checkpoint.model, dataset, split.test)
    assert expected.sum() == len(split.test) == 8
    counts = count_classes(dataset.labels[list(split.test)]).numpy()
    assert expected.sum(axis=1).tolist() == counts.tolist()
    recalls = expected.diagonal()[counts > 0] / counts[counts > 0]

    assert np.array(metrics.test["confusion"]).tolist() == expected.tolist()
    assert metrics.test["accuracy"] == expected.trace() / len(split.test)
    assert metrics.test["balanced_accuracy"] == pytest.approx(recalls.mean(), rel=1e-6)
    stored = json.loads((tmp_path / "metrics.json").read_text())
    assert stored["test_confusion"] == expected.tolist()
    assert stored["test_accuracy"] == metrics.test["accuracy"]
    assert stored["test_balanced_accuracy"] == metrics.test["balanced_accuracy"]
    assert stored["config"] == config.to_dict()
    images = to_float(dataset.images[list(split.test)], CPU)
    error = reconstruction_errors(checkpoint.model, images).mean().item()
    assert metrics.test["mse"] == pytest.approx(error, rel=1e-5)


def test_autoencoders_do_not_classify(tmp_path: Path, dataset: EmojiDataset) -> None:
    """An autoencoder alone has no accuracy, which is not the same as one of 0."""
    metrics = train(dataset, tmp_path, config=replace(CONFIG, epoch=1))
    stored = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics.test) == ["mse"]
    for name in ("test_accuracy", "test_balanced_accuracy", "test_confusion"):
        assert stored.get(name) is None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_repeats_a_multitask_trial(
    tmp_path: Path, url: str, multitask: StudySettings, dataset: EmojiDataset, strategy: Strategy
) -> None:
    """With a trial's configuration and seed, its weights come out, the classifier's as well."""
    fixed = {
        **{name: getattr(MULTITASK, name) for name in ("epoch", "batch_size", "learning_rate")},
        **{"width": 8, "latent_channels": 16, "strategy": strategy},
        **{"auto_encoder": "CNN", "auxiliary_task": True, "depth": 4},
    }
    settings = replace(multitask, space="extended", fixed=fixed)
    trial, metrics = train_twice(tmp_path, url, settings, dataset)
    assert metrics.best["validation_mse"] == trial.value
    assert metrics.facts["parameter_count"] == trial.user_attrs[attrs.PARAMETER_COUNT]
    assert metrics.best_step == trial.user_attrs[attrs.BEST_EPOCH]
    model = load_checkpoint(tmp_path / "out" / "checkpoint.pt").model
    split = Split.from_sides(settings.sides)
    confusion = confusion_of(model, dataset, split.validation)
    assert confusion.tolist() == trial.user_attrs[attrs.CONFUSION]
