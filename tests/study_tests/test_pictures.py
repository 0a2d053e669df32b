"""Pictures of trainings, and the way back from a trial's picture into the report."""

import io
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from optuna.artifacts import FileSystemArtifactStore
from PIL import Image

from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.models import Autoencoder, build_model
from storage import attrs
from storage.artifacts import open_artifacts, save_artifacts
from storage.rdb import open_storage
from storage.records import load_study_record
from study.gallery import best_pictures, cut_strip
from study.pictures import learning_curve_png, pick, reconstructions_png
from tests.study_tests.studies import claim_point

TEXTS = ["nerd face", 'face "quoted"', "gesicht mit ü <b>"]


@pytest.fixture(scope="module")
def dataset(tiny_data: Path) -> EmojiDataset:
    """Real images."""
    return load_dataset(tiny_data)


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    """An untrained model, which is enough for pictures."""
    torch.manual_seed(0)
    return build_model(AutoencoderConfig()).eval()


def pixels(png: bytes) -> np.ndarray:
    """Return the values of a picture as ``(height, width, 3)`` float64 in [0, 1]."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"), dtype=float) / 255


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, [0]),
        (2, [0, 1]),
        (8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (15, [0, 2, 4, 6, 8, 10, 12, 14]),
    ],
)
def test_pick(n: int, expected: list[int]) -> None:
    """All of few images are shown, of many as many as fit, from the first to the last."""
    assert pick(n) == expected


@pytest.mark.parametrize("n", range(8, 200, 7))
def test_pick_many(n: int) -> None:
    """Whatever the number, eight different images are shown."""
    chosen = pick(n)
    assert len(set(chosen)) == 8
    assert (chosen[0], chosen[-1]) == (0, n - 1)


def test_strip_can_be_cut(dataset: EmojiDataset, model: Autoencoder) -> None:
    """What was drawn comes back: texts, originals, reconstructions and their errors."""
    images = dataset.images[:3]
    png = reconstructions_png(model, images, TEXTS)
    with torch.no_grad():
        outputs = model(images.float() / 255)
    pictures = cut_strip(png)
    assert [picture.text for picture in pictures] == TEXTS
    for picture, image, output in zip(pictures, images, outputs, strict=True):
        original = pixels(picture.original)
        assert np.array_equal(original, image.permute(1, 2, 0).numpy() / 255)
        shown = pixels(picture.reconstruction)
        assert np.allclose(shown, output.permute(1, 2, 0).numpy(), atol=1 / 255)
        assert picture.mse == pytest.approx(np.square(original - shown).mean())


def test_strip_without_texts() -> None:
    """A picture that tells nothing about its contents shows nothing."""
    buffer = io.BytesIO()
    Image.new("RGB", (200, 134)).save(buffer, "PNG")
    assert cut_strip(buffer.getvalue()) == ()


def test_learning_curve() -> None:
    """The learning curve is a PNG, also of a single epoch."""
    for n_epochs in (1, 5):
        curve = [
            EpochMetrics(epoch=i, train_mse=0.2 / (i + 1), validation_mse=0.1, seconds=1.0)
            for i in range(n_epochs)
        ]
        image = pixels(learning_curve_png(curve, title="A <title>"))
        assert image.shape == (480, 840, 3)
        assert image.std() > 0.05


@pytest.fixture
def store(tmp_path: Path) -> FileSystemArtifactStore:
    """An empty artifact store."""
    return open_artifacts(tmp_path / "artifacts")


def finish(study: optuna.Study, value: float, store: FileSystemArtifactStore, png: bytes) -> None:
    """Add a complete trial with a picture, if there is one."""
    trial = claim_point(study, {})
    if png:
        save_artifacts(store, trial, {attrs.RECONSTRUCTIONS_FILE: png})
    study.tell(trial, value)


def test_best_pictures(
    url: str, store: FileSystemArtifactStore, dataset: EmojiDataset, model: Autoencoder
) -> None:
    """The report shows the pictures of the best trial; none where there are none."""
    storage = open_storage(url, create=True, write=True)
    study = optuna.create_study(storage=storage, study_name="s")
    assert best_pictures(load_study_record(storage, "s"), storage, store) is None
    finish(study, 0.3, store, b"")
    assert best_pictures(load_study_record(storage, "s"), storage, store) is None
    finish(study, 0.1, store, reconstructions_png(model, dataset.images[:1], ["best"]))
    finish(study, 0.2, store, reconstructions_png(model, dataset.images[:1], ["other"]))
    pictures = best_pictures(load_study_record(storage, "s"), storage, store)
    assert pictures is not None
    assert [item.text for item in pictures.items] == ["best"]
    assert pictures.caption.endswith("by trial 1")
