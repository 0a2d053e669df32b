"""Pictures of trainings, and the way back from a trial's picture into the report."""

import io
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import MultitaskMetrics, curve_to_csv
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.drawing.learning_curve import learning_curve_png
from emoji_ae.loop import to_float
from emoji_ae.models import Autoencoder, build_model
from emoji_ae.train import reconstruction_errors
from storage import attrs
from storage.artifacts import ArtifactFolder, open_artifacts, save_artifacts
from storage.rdb import open_storage
from storage.records import load_study_record
from study.emoji.pictures import ERROR_COLOUR, best_pictures, cut_strip, error_map
from study.pictures import N_COLOURS, pick, rank, reconstructions_png
from study.report import Pictures
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


def error_levels(original: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Return how blue each pixel of an error map must be, ``(height, width)`` in [0, 1]."""
    total = sum(np.abs(original[..., c] - reconstruction[..., c]) for c in range(3))
    return np.clip(total / 3 / 0.5, 0, 1)


@pytest.mark.parametrize(
    ("n", "count", "expected"),
    [
        (0, 3, []),
        (1, 1, [0]),
        (2, 6, [0, 1]),
        (34, 1, [17]),
        (6, 6, [0, 1, 2, 3, 4, 5]),
        (12, 3, [2, 6, 10]),
    ],
)
def test_pick(n: int, count: int, expected: list[int]) -> None:
    """All of few images are shown, of many the middle ones of equal parts."""
    assert pick(n, count) == expected


@given(n=st.integers(1, 300), count=st.integers(1, 9))
def test_picked_rows_are_evenly_spaced(n: int, count: int) -> None:
    """Whatever the number, as many as asked for are different, and their gaps differ by one."""
    rows = pick(n, count)
    assert len(rows) == min(n, count)
    gaps = np.diff([rows[-1] - n, *rows])
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1
    assert (rows[0] >= 0, rows[-1] < n) == (True, True)


@pytest.mark.parametrize(
    ("errors", "count", "expected"),
    [
        ([0.5], 1, [(0, "lowest")]),
        ([0.5, 0.1], 1, [(1, "lowest"), (0, "highest")]),
        ([0.5, 0.1, 0.3], 2, [(1, "lowest"), (2, "median"), (0, "highest")]),
        ([0.2, 0.2, 0.2, 0.2], 1, [(0, "lowest"), (1, "median"), (3, "highest")]),
        (
            [6, 5, 4, 3, 2, 1, 0],
            2,
            [
                *((6, "lowest"), (5, "lowest"), (4, "median")),
                *((3, "median"), (1, "highest"), (0, "highest")),
            ],
        ),
    ],
)
def test_rank(errors: list[float], count: int, expected: list[tuple[int, str]]) -> None:
    """The lowest, the middle and the highest are found, equal ones in the order of the rows."""
    assert rank(np.array(errors, dtype=np.float32), count) == expected


@given(
    errors=st.lists(st.integers(0, 9).map(float), min_size=1, max_size=40),
    count=st.integers(1, 3),
)
def test_ranks_agree_with_sorting(errors: list[float], count: int) -> None:
    """Roles hold the ends and the middle of the sorted rows, and no row is shown twice."""
    found = rank(np.array(errors), count)
    rows = [row for row, _ in found]
    by_error = sorted(range(len(errors)), key=lambda row: (errors[row], row))
    assert (
        len(set(rows)) == len(rows) == min(len(errors), 3 * min(count, max(1, len(errors) // 3)))
    )
    assert [by_error.index(row) for row in rows] == sorted(by_error.index(row) for row in rows)
    of = {role: [row for row, r in found if r == role] for role in ("lowest", "median", "highest")}
    assert of["lowest"] == by_error[: len(of["lowest"])]
    assert of["highest"] == by_error[len(errors) - len(of["highest"]) :]
    if len(errors) >= 3:
        assert len(of["lowest"]) == len(of["median"]) == len(of["highest"])
        assert np.median(errors) >= errors[of["median"][0]]
        assert np.median(errors) <= errors[by_error[by_error.index(of["median"][-1]) + 1]]


def test_strip_can_be_cut(dataset: EmojiDataset, model: Autoencoder) -> None:
    """What was drawn comes back: texts, roles, originals, reconstructions and exact errors."""
    images = dataset.images[:9]
    texts = [*TEXTS, *dataset.texts[3:9]]
    png = reconstructions_png(model, images, texts)
    with torch.no_grad():
        outputs = model(images.float() / 255).permute(0, 2, 3, 1).numpy()
    originals = images.permute(0, 2, 3, 1).numpy() / np.float32(255)
    errors = np.square(outputs - originals).mean(axis=(1, 2, 3), dtype=np.float64)
    by_error = np.argsort(errors).tolist()

    pictures = cut_strip(png)
    shown = [1, 4, 7, by_error[0], by_error[4], by_error[8]]
    roles = [*["sample"] * 3, "lowest", "median", "highest"]
    assert [picture.role for picture in pictures] == roles
    assert [picture.text for picture in pictures] == [texts[row] for row in shown]
    for picture, row in zip(pictures, shown, strict=True):
        original = pixels(picture.original)
        assert np.abs(original - originals[row]).mean() < 0.03
        assert len(np.unique(original.reshape(-1, 3), axis=0)) <= N_COLOURS
        reconstruction = pixels(picture.reconstruction)
        assert np.abs(reconstruction - outputs[row]).mean() < 0.03
        assert picture.mse == pytest.approx(errors[row], rel=1e-5)
        levels = error_levels(originals[row], outputs[row])[..., None]
        expected = 1 + levels * (np.array(ERROR_COLOUR) / 255 - 1)
        assert np.abs(pixels(picture.error_map) - expected).mean() < 0.03


def test_pictures_and_curves_of_a_trial_are_small(dataset: EmojiDataset) -> None:
    """Even noise, in every image, and the longest curve of the notebook take 60 kB at most."""

    class Noise(Autoencoder):
        def __init__(self) -> None:
            super().__init__(encoder=nn.Linear(1, 1), decoder=nn.Identity())

        def forward(self, images: Tensor) -> Tensor:
            return torch.rand(images.shape, generator=torch.Generator().manual_seed(0))

    values = {field.name: 0.123456789 for field in fields(MultitaskMetrics)}
    metrics = MultitaskMetrics(**values | {"epoch": 0})  # type: ignore[arg-type]
    curve = [replace(metrics, epoch=epoch) for epoch in range(200)]
    pictures = reconstructions_png(Noise(), dataset.images, dataset.texts)
    sizes = [len(pictures), len(learning_curve_png(curve)), len(curve_to_csv(curve))]
    assert sum(sizes) <= 60_000, sizes


def test_metadata(dataset: EmojiDataset, model: Autoencoder) -> None:
    """Each column's text, role and error are in the PNG, in words that JSON can hold."""
    png = reconstructions_png(model, dataset.images[:3], TEXTS)
    errors = reconstruction_errors(model, to_float(dataset.images[:3], torch.device("cpu")))
    order = errors.argsort().tolist()
    with Image.open(io.BytesIO(png)) as image:
        assert (image.width, image.height) == (6 * 66 + 2, 2 * 66 + 2)
        columns = json.loads(image.info[attrs.PICTURES_ENTRY])
    roles = (*["sample"] * 3, "lowest", "median", "highest")
    assert columns == [
        {"text": TEXTS[row], "role": role, "mse": errors[row].item()}
        for row, role in zip((0, 1, 2, *order), roles, strict=True)
    ]


def test_one_image(dataset: EmojiDataset, model: Autoencoder) -> None:
    """A split of one image shows it as the fixed one and as the one with the lowest error."""
    pictures = cut_strip(reconstructions_png(model, dataset.images[:1], ["only"]))
    assert [(picture.text, picture.role) for picture in pictures] == [
        ("only", "sample"),
        ("only", "lowest"),
    ]
    assert pictures[0].original == pictures[1].original
    assert pictures[0].mse == pictures[1].mse


def test_models_share_the_fixed_image(dataset: EmojiDataset, model: Autoencoder) -> None:
    """The fixed image is the same for two models, and each makes something else of it."""
    torch.manual_seed(1)
    other = build_model(AutoencoderConfig()).eval()
    images = dataset.images[:9]
    mine, theirs = (
        cut_strip(reconstructions_png(drawer, images, dataset.texts[:9]))[0]
        for drawer in (model, other)
    )
    assert (mine.role, mine.text) == (theirs.role, theirs.text) == ("sample", dataset.texts[1])
    assert np.abs(pixels(mine.original) - pixels(theirs.original)).mean() < 0.03
    assert mine.reconstruction != theirs.reconstruction


def test_error_map() -> None:
    """Equal pixels are white, and half of the full difference is half-way to the full colour."""
    original = Image.new("RGB", (4, 1), (0, 0, 0))
    reconstruction = original.copy()
    for x, colour in enumerate([(0, 0, 0), (192, 0, 0), (255, 128, 0), (255, 255, 255)]):
        reconstruction.putpixel((x, 0), colour)
    found = np.asarray(error_map(original, reconstruction))[0].tolist()
    assert found[0] == [255, 255, 255]
    half = [255 + (64 / 127.5) * (c - 255) for c in ERROR_COLOUR]
    assert found[1] == pytest.approx(half, abs=1.5)
    assert found[2] == found[3] == list(ERROR_COLOUR)
    assert error_map(reconstruction, original) == error_map(original, reconstruction)


def test_strip_without_columns() -> None:
    """A picture that tells nothing about its columns, as of older versions, shows nothing."""
    buffer = io.BytesIO()
    metadata = PngImagePlugin.PngInfo()
    metadata.add_text("texts", json.dumps(TEXTS))
    Image.new("RGB", (200, 134)).save(buffer, "PNG", pnginfo=metadata)
    assert cut_strip(buffer.getvalue()) == ()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactFolder:
    """An empty artifact store."""
    return open_artifacts(tmp_path / "artifacts")


@pytest.fixture
def stored(url: str) -> optuna.Study:
    """An empty study in a file."""
    return optuna.create_study(
        storage=open_storage(url, create=True, write=True), study_name="study"
    )


@pytest.fixture(scope="module")
def strips(dataset: EmojiDataset) -> list[bytes]:
    """Pictures of nine images by five models."""
    found = []
    for seed in range(5):
        torch.manual_seed(seed)
        drawer = build_model(AutoencoderConfig())
        found.append(reconstructions_png(drawer, dataset.images[:9], dataset.texts[:9]))
    return found


def finish(
    study: optuna.Study,
    value: float,
    store: ArtifactFolder,
    png: bytes | None,
    user_attrs: Mapping[str, Any] | None = None,
) -> None:
    """Add a complete trial with a picture, if there is one."""
    trial = claim_point(study, {}, user_attrs)
    if png is not None:
        save_artifacts(store, trial, {attrs.RECONSTRUCTIONS_FILE: png})
    study.tell(trial, value)


def show(study: optuna.Study, store: ArtifactFolder) -> Pictures | None:
    """Return the pictures for the report of a study as it is stored."""
    storage = study._storage
    return best_pictures(load_study_record(storage, study.study_name), storage, store)


def captions(pictures: Pictures | None) -> list[str]:
    """Return what is said about the trials that draw the fixed images."""
    assert pictures is not None
    return [trial.caption for trial in pictures.trials]


def test_best_median_and_worst(
    stored: optuna.Study, store: ArtifactFolder, strips: list[bytes]
) -> None:
    """The ranked pictures are the best trial's, and all three draw the fixed images."""
    for value, png in zip((0.3, 0.1, 0.5, 0.2, 0.4), strips, strict=True):
        finish(stored, value, store, png)
    pictures = show(stored, store)
    assert pictures is not None
    best = cut_strip(strips[1])
    samples = [picture for picture in best if picture.role == attrs.SAMPLE]
    assert pictures.caption == "trial 1, validation MSE 0.1000"
    assert pictures.drawn_by == 1
    assert pictures.ranked == best[len(samples) :]
    assert pictures.full_difference == 0.5
    assert pictures.texts == tuple(picture.text for picture in samples)
    assert pictures.originals == tuple(picture.original for picture in samples)
    assert pictures.n_trials == 5
    assert captions(pictures) == [
        "best: trial 1, validation MSE 0.1000",
        "median: trial 0, validation MSE 0.3000",
        "worst: trial 2, validation MSE 0.5000",
    ]
    for trial, number in zip(pictures.trials, (1, 0, 2), strict=True):
        drawn = cut_strip(strips[number])[: len(samples)]
        assert trial.drawn_by == number
        assert trial.reconstructions == tuple(picture.reconstruction for picture in drawn)
        assert trial.errors == tuple(picture.mse for picture in drawn)


def test_few_trials(stored: optuna.Study, store: ArtifactFolder, strips: list[bytes]) -> None:
    """No trial is shown twice; without a best trial or its pictures there is nothing."""
    assert show(stored, store) is None
    finish(stored, 0.9, store, None)
    assert show(stored, store) is None
    finish(stored, 0.3, store, strips[0])
    assert captions(show(stored, store)) == ["best: trial 1, validation MSE 0.3000"]
    finish(stored, 0.2, store, strips[1])
    assert captions(show(stored, store)) == [
        "best: trial 2, validation MSE 0.2000",
        "worst: trial 1, validation MSE 0.3000",
    ]
    finish(stored, 0.1, store, None)
    assert show(stored, store) is None


def test_nearest_pictures_stand_in(
    stored: optuna.Study, store: ArtifactFolder, strips: list[bytes]
) -> None:
    """Where the median or the worst has no pictures, the nearest trial that has is shown."""
    with_pictures = {0: 0, 3: 1, 5: 2}
    for number in range(7):
        i = with_pictures.get(number)
        finish(stored, 0.1 * (number + 1), store, None if i is None else strips[i])
    pictures = show(stored, store)
    assert pictures is not None
    assert [trial.drawn_by for trial in pictures.trials] == [0, 3, 5]
    assert pictures.n_trials == 7


def test_only_comparable_trials_are_shown(
    stored: optuna.Study, store: ArtifactFolder, strips: list[bytes]
) -> None:
    """Trials that break the constraint or have another split are none of the three."""
    finish(stored, 0.2, store, strips[0], {attrs.SIDES: "ttv"})
    finish(stored, 0.1, store, strips[1], {attrs.INFEASIBLE: True, attrs.SIDES: "ttv"})
    finish(stored, 0.9, store, strips[2], {attrs.SIDES: "tvt"})
    finish(stored, 0.4, store, strips[3], {attrs.SIDES: "ttv"})
    stored.tell(claim_point(stored, {}), state=TrialState.FAIL)
    pictures = show(stored, store)
    assert pictures is not None
    assert [trial.drawn_by for trial in pictures.trials] == [0, 3]
    assert pictures.n_trials == 2


def test_pictures_of_other_images_are_left_out(
    dataset: EmojiDataset,
    stored: optuna.Study,
    store: ArtifactFolder,
    strips: list[bytes],
) -> None:
    """A trial that drew other fixed images, or fewer, does not stand beside the best."""
    torch.manual_seed(9)
    few = reconstructions_png(build_model(AutoencoderConfig()), dataset.images[:2], TEXTS[:2])
    finish(stored, 0.1, store, strips[0])
    finish(stored, 0.3, store, few)
    assert captions(show(stored, store)) == ["best: trial 0, validation MSE 0.1000"]
    finish(stored, 0.2, store, strips[1])
    assert captions(show(stored, store)) == [
        "best: trial 0, validation MSE 0.1000",
        "worst: trial 2, validation MSE 0.2000",
    ]


def test_reused_pictures_name_their_trial(
    stored: optuna.Study, store: ArtifactFolder, strips: list[bytes]
) -> None:
    """A trial that was answered by another one says who drew its pictures."""
    finish(stored, 0.2, store, strips[0])
    finish(stored, 0.1, store, strips[0], {attrs.REUSED_FROM: 0})
    pictures = show(stored, store)
    assert pictures is not None
    expected = "trial 1, validation MSE 0.1000, drawn by trial 0, whose training it shares"
    assert (pictures.caption, pictures.drawn_by) == (expected, 0)
    assert captions(pictures)[0] == f"best: {expected}"
    assert pictures.ranked == cut_strip(strips[0])[-3:]


def test_no_pictures_are_shown_twice(
    stored: optuna.Study, store: ArtifactFolder, strips: list[bytes]
) -> None:
    """Trials that were answered by a shown one are none of the three."""
    finish(stored, 0.1, store, strips[0])
    for value in (0.1, 0.1, 0.2):
        finish(stored, value, store, strips[0], {attrs.REUSED_FROM: 0})
    assert captions(show(stored, store)) == ["best: trial 0, validation MSE 0.1000"]
    finish(stored, 0.15, store, strips[1])
    assert captions(show(stored, store)) == [
        "best: trial 0, validation MSE 0.1000",
        "worst: trial 4, validation MSE 0.1500",
    ]
