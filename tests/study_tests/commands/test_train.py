"""The final training: what is written, and that it repeats a trial."""

import json
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

from emoji_ae.checkpoint import load_checkpoint
from emoji_ae.classification import count_classes
from emoji_ae.config import AutoencoderConfig, multitask_config
from emoji_ae.dataset import EmojiDataset
from emoji_ae.drawing.strips import N_SAMPLES
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
from study.kinds import EXAMPLES, DivergedError, Step
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
    """Train on the CPU until an epoch from 0, with the default split if none is given."""
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
    errors = metrics.test[EXAMPLES]
    mean = sum(n * error for n, error in errors) / sum(n for n, _ in errors)
    assert mean == pytest.approx(metrics.test["mse"])
    assert list(metrics.test) == ["mse", EXAMPLES]  # no accuracy, which is not one of 0
    for name in ("test_accuracy", "test_balanced_accuracy", "test_confusion", "test_examples"):
        assert stored.get(name) is None

    checkpoint = load_checkpoint(out / "checkpoint.pt")
    assert (checkpoint.config, checkpoint.seed) == (CONFIG, 1)
    assert checkpoint.data_fingerprint == StudyData(dataset, split).fingerprint
    best = checkpoint.curve[metrics.best_step - 1]
    assert best.validation_mse == metrics.best["validation_mse"]
    assert best.validation_mse == min(m.validation_mse for m in checkpoint.curve)
    judged, tested = metrics.best["validation_mse"], metrics.test["mse"]
    for rows, expected in ((split.validation, judged), (split.test, tested)):
        images = to_float(dataset.images[list(rows)], CPU)
        error = reconstruction_errors(checkpoint.model, images).mean().item()
        assert error == pytest.approx(expected, rel=1e-5)
    n_weights = sum(weights.numel() for weights in checkpoint.model.parameters())
    assert metrics.facts["parameter_count"] == n_weights

    pictures = cut_strip((out / "reconstructions.png").read_bytes())
    assert {picture.text for picture in pictures} <= {dataset.texts[i] for i in split.test}
    assert len(pictures) == N_SAMPLES + 3


@pytest.mark.parametrize("kind", ["autoencoder", "branched"])
def test_repeats_a_trial(
    tmp_path: Path, url: str, settings: StudySettings, dataset: EmojiDataset, kind: str
) -> None:
    """With a trial's configuration and seed, its weights come out, the classifier's as well."""
    if kind != "autoencoder":
        fixed = {
            **{name: getattr(MULTITASK, name) for name in ("epoch", "batch_size")},
            **{"learning_rate": 0.01, "width": 8, "latent_channels": 16, "depth": 4},
            **{"auto_encoder": "CNN", "auxiliary_task": True, "strategy": kind},
        }
        settings = replace(settings, kind="multitask", space="extended", fixed=fixed)
    study = open_study(open_storage(url, create=True, write=True), "study", settings)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    trial = claim_point(study, {})
    run_trial(study, trial, objective_of(settings, tmp_path / "artifacts"), threading.Event())
    (ended,) = study.get_trials()
    config, split = space_of(settings).to_config(ended.params), Split.from_sides(settings.sides)
    seed = ended.user_attrs[attrs.SEED]
    metrics = train(dataset, tmp_path / "out", config=config, seed=seed, split=split)
    assert metrics.best["validation_mse"] == ended.value
    assert metrics.facts["parameter_count"] == ended.user_attrs[attrs.PARAMETER_COUNT]
    assert metrics.best_step == ended.user_attrs[attrs.BEST_EPOCH]
    if kind != "autoencoder":
        model = load_checkpoint(tmp_path / "out" / "checkpoint.pt").model
        confusion = confusion_of(model, dataset, split.validation)
        assert confusion.tolist() == ended.user_attrs[attrs.CONFUSION]


def test_earlier_model_is_whole_until_the_end(tmp_path: Path, dataset: EmojiDataset) -> None:
    """While another training runs, or if it ends with nothing, the folder is as it was."""
    short = replace(CONFIG, epoch=1)
    for expected in (set(), FILES):
        before = contents(tmp_path)
        assert set(before) == expected
        with pytest.raises(DivergedError, match="Training diverged in epoch"):
            train(dataset, tmp_path, config=replace(CONFIG, learning_rate=1e30))
        assert contents(tmp_path) == before
        train(dataset, tmp_path, config=short)
    before = contents(tmp_path)
    assert train(dataset, tmp_path, seed=2, until=0) is None
    assert contents(tmp_path) == before

    def on_epoch(_: int) -> None:
        assert contents(tmp_path) == before

    metrics = train(dataset, tmp_path, seed=2, on_epoch=on_epoch, until=2)
    assert (metrics.interrupted, metrics.n_steps) == (False, 3)  # after the last epoch
    assert "mse" in metrics.test
    after = contents(tmp_path)
    assert set(after) == FILES
    assert all(after[name] != before[name] for name in FILES)


@pytest.mark.parametrize("kind", ["autoencoder", "sequential"])
def test_interrupted(tmp_path: Path, dataset: EmojiDataset, kind: str) -> None:
    """The best epoch so far is kept, and nothing is measured on or drawn of test images."""
    config = CONFIG if kind == "autoencoder" else with_fields(MULTITASK, strategy=kind)
    split = split_dataset(dataset, seed=42)
    metrics = train(dataset, tmp_path, config=config, until=1)
    whole = train(dataset, tmp_path / "whole", config=replace(config, epoch=2))

    assert (metrics.interrupted, metrics.n_steps, whole.interrupted) == (True, 2, False)
    best = whole.best["validation_mse"], whole.best_step
    assert (metrics.best["validation_mse"], metrics.best_step) == best
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


def confusion_of(model: object, dataset: EmojiDataset, rows: tuple[int, ...]) -> np.ndarray:
    """Count images by class and by the class that a model predicts, one by one."""
    assert isinstance(model, MultitaskAutoencoder)
    counts = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)
    for row in rows:
        with torch.no_grad():
            _, logits = model.forward_tasks(to_float(dataset.images[[row]], CPU))
        counts[dataset.labels[row], logits.argmax()] += 1
    return counts


def test_classification(tmp_path: Path, dataset: EmojiDataset) -> None:
    """A multitask model is also judged by its classes, on the test images and on no others."""
    split = split_dataset(dataset, seed=42)
    metrics = train(dataset, tmp_path, config=MULTITASK, split=split)
    model = load_checkpoint(tmp_path / "checkpoint.pt").model
    expected = confusion_of(model, dataset, split.test)
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


ORIGINAL = [
    *("auto_encoder=CNN", "batch_size=16", "learning_rate=0.01", "weight_decay=1e-5"),
    *("batch_normalization=false", "epoch=200"),
]


@pytest.mark.slow
def test_the_originals_best(tmp_path: Path) -> None:
    """It reaches the original's quality on the test split, which no choice has seen."""
    command = [Path(sys.executable).with_name("emoji-study"), "train", "--out", "best"]
    command += [word for assigned in ORIGINAL for word in ("--set", assigned)]
    subprocess.run(command, cwd=tmp_path, check=True)
    metrics = json.loads((tmp_path / "best" / "metrics.json").read_text())
    assert metrics["epochs"] == 200
    assert metrics["config"]["normalization"] == "none"
    assert metrics["test_mse"] <= 0.018
