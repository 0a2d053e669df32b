"""Strips of reconstructions, and the way back from one to its columns."""

import io
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import MultitaskMetrics
from emoji_ae.dataset import load_dataset
from emoji_ae.drawing.learning_curve import learning_curve_png
from emoji_ae.drawing.strips import N_COLOURS, lay_out, pick, rank, reconstructions_png, strip_png
from emoji_ae.images import encode_png
from study.report.pictures import ERROR_COLOUR, cut_strip
from tests.emoji_ae_tests.reference import initial_model


def pixels(png: bytes) -> np.ndarray:
    """Return the values of a picture as ``(height, width, 3)`` float64 in [0, 1]."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"), dtype=float) / 255


def test_pick_and_rank() -> None:
    """All of few images are shown, of many the middle ones; ranks keep the order of the rows."""
    for n, n_shown, picked in ((0, 3, []), (2, 6, [0, 1]), (34, 1, [17]), (12, 3, [2, 6, 10])):
        assert pick(n, n_shown) == picked
    ends, three = ["lowest", "highest"], ["lowest", "median", "highest"]
    for errors, rows, roles in (
        ([0.5], [0], ["lowest"]),
        ([0.5, 0.1], [1, 0], ends),
        ([0.5, 0.1, 0.3], [1, 2, 0], three),
        ([0.2, 0.2, 0.2, 0.2], [0, 1, 3], three),
        ([6, 5, 4, 3, 2, 1, 0], [6, 3, 0], three),
    ):
        ranked = [*zip(rows, roles, strict=True)]
        assert rank(np.array(errors, dtype=np.float32)) == ranked


def test_strip_can_be_cut(tiny_data: Path) -> None:
    """All that was drawn comes back; a picture of an older version shows nothing."""
    assert cut_strip(encode_png(np.zeros((3, 134, 200), np.uint8))) == ()
    images, texts = load_dataset(tiny_data).images[:9], [*"abcdefghi"]
    texts[1::3] = ["nerd face", 'face "quoted"', "gesicht mit ü <b>"]  # the samples
    originals = images.permute(0, 2, 3, 1).numpy() / np.float32(255)
    for seed in (0, 1):  # samples are the same for two models
        model = initial_model(AutoencoderConfig(), seed).eval()
        png = reconstructions_png(model, images, texts)
        with torch.no_grad():
            outputs = model(images.float() / 255).permute(0, 2, 3, 1).numpy()
        errors = np.square(outputs - originals).mean(axis=(1, 2, 3), dtype=np.float64)
        by_error = np.argsort(errors).tolist()
        shown = [1, 4, 7, by_error[0], by_error[4], by_error[8]]
        roles = [*["sample"] * 3, "lowest", "median", "highest"]

        pictures = cut_strip(png)
        assert [picture.role for picture in pictures] == roles
        assert [picture.text for picture in pictures] == [texts[row] for row in shown]
        for picture, row in zip(pictures, shown, strict=True):
            original = pixels(picture.original)
            assert np.abs(original - originals[row]).mean() < 0.03
            assert len(np.unique(original.reshape(-1, 3), axis=0)) <= N_COLOURS
            reconstruction = pixels(picture.reconstruction)
            assert np.abs(reconstruction - outputs[row]).mean() < 0.03
            assert picture.mse == pytest.approx(errors[row], rel=1e-5)
            levels = np.abs(originals[row] - outputs[row]).mean(axis=2, keepdims=True) / 0.5
            expected = 1 + np.clip(levels, 0, 1) * (np.array(ERROR_COLOUR) / 255 - 1)
            assert np.abs(pixels(picture.error_map) - expected).mean() < 0.03


def test_pictures_and_curves_of_a_trial_are_small(tiny_data: Path) -> None:
    """Even noise, in every image, and the longest curve of the notebook take 60 kB at most."""
    values = {field.name: 0.123456789 for field in fields(MultitaskMetrics)}
    metrics = MultitaskMetrics(**values | {"epoch": 0})  # type: ignore[arg-type]
    curve = [replace(metrics, epoch=epoch) for epoch in range(200)]
    images = load_dataset(tiny_data).images.numpy()
    noise = np.random.default_rng(0).random(images.shape, dtype=np.float32)
    pictures = strip_png(images, noise, noise[:, 0, 0, 0], ["face"] * len(images))
    sizes = [len(pictures), len(learning_curve_png(curve, str)), 130 * len(curve)]
    assert sum(sizes) <= 60_000, sizes


def test_strip() -> None:
    """Images stand above their reconstructions, two white pixels around each, levels rounded."""
    images, others = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 64, 64), np.uint8)
    for n, shift in ((1, -0.4), (3, 0.4)):
        made = ((others[:n] + np.float32(shift)) / 255).clip(0, 1).astype(np.float32)
        strip = lay_out(images[:n], made).transpose(2, 0, 1)
        expected = np.full((3, 2 * 66 + 2, n * 66 + 2), 255, np.uint8)
        for row, pictures in enumerate((images[:n], others[:n])):
            for column, picture in enumerate(pictures):
                top, left = row * 66 + 2, column * 66 + 2
                expected[:, top : top + 64, left : left + 64] = picture
        assert strip.dtype == np.uint8
        assert np.array_equal(strip, expected)
