"""The picture of a training's course: readable, small, and there whatever the numbers are."""

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from emoji_ae.curve import EpochMetrics
from emoji_ae.drawing.learning_curve import SIZE, TRAINING, VALIDATION, learning_curve_png

# Inside the axes.
INSIDE = (slice(46, 254), slice(68, 463))


def curve_of(train: Sequence[float], validation: Sequence[float]) -> list[EpochMetrics]:
    """Return the curve of these errors."""
    return [
        EpochMetrics(epoch=i, train_mse=t, validation_mse=v, seconds=float(i))
        for i, (t, v) in enumerate(zip(train, validation, strict=True))
    ]


def pixels(png: bytes) -> npt.NDArray[np.int_]:
    """Return what is inside the axes, ``(height, width, 3)``."""
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.size) == ("PNG", SIZE)
        return np.asarray(image.convert("RGB"), dtype=int)[INSIDE]


def rows_of(image: npt.NDArray[np.int_], color: str) -> dict[int, float]:
    """Return the mean row of each column's pixels that nearly have a colour."""
    near = np.abs(image - ImageColor.getrgb(color)[:3]).max(axis=2) < 80
    return {int(x): float(np.flatnonzero(near[:, x]).mean()) for x in near.any(0).nonzero()[0]}


def test_lines_follow_the_errors() -> None:
    """Errors that fall by a constant factor make straight lines, the lower one below."""
    train = [0.2 * 0.97**i for i in range(100)]
    image = pixels(learning_curve_png(curve_of(train, [0.5 * error for error in train]), str))
    for color in (TRAINING, VALIDATION):
        rows = rows_of(image, color)
        left, middle, right = (rows[x] for x in (40, 185, 330))
        assert left < middle < right
        assert middle == pytest.approx((left + right) / 2, abs=2.5)
    assert rows_of(image, TRAINING)[200] < rows_of(image, VALIDATION)[200] - 10


def test_the_lowest_error_is_marked() -> None:
    """A dot stands at the epoch whose weights are kept, and for a training of one epoch."""
    validation = [0.1] * 101
    validation[50] = 0.05
    image = pixels(learning_curve_png(curve_of([0.2] * 101, validation), str))
    dot = image[-15:, 190:204]
    assert (np.abs(dot - ImageColor.getrgb(VALIDATION)[:3]).max(axis=2) < 80).sum() > 20
    image = pixels(learning_curve_png(curve_of([0.2], [0.1]), str))
    assert rows_of(image, TRAINING)
    assert rows_of(image, VALIDATION)


errors = st.floats(1e-6, 1e3) | st.sampled_from([math.nan, math.inf, 0.0])


@given(st.lists(st.tuples(errors, errors), min_size=1, max_size=300))
@settings(max_examples=25)
def test_every_curve_has_a_small_picture(values: list[tuple[float, float]]) -> None:
    """Diverged, constant, long or short: there is a picture, of at most 20 kB."""
    png = learning_curve_png(curve_of(*zip(*values, strict=True)), str)
    assert pixels(png).shape == (208, 395, 3)
    assert len(png) <= 20_000
