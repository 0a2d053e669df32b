"""The learning curve of one training as a small PNG, drawn in milliseconds.

Every trial stores one, so it is drawn with Pillow: importing a library for charts takes longer
than some trainings, and one chart of it as long as two epochs.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from emoji_ae.curve import EpochMetrics
from emoji_ae.images import picture_png

SIZE = (480, 300)
TRAINING, VALIDATION = "#0072B2", "#D55E00"
"""Of the colours of Okabe and Ito, which the report's charts have as well."""

_FINER = 2
"""Lines are drawn so many times larger, which makes them smooth when the picture is reduced."""

_N_COLORS = 32
_TEXT, _GRID = "#404040", "#C4C4C4"
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 44, 464, 256
_MARGIN = 0.05
"""Free part of the axis of errors above and below the curves."""

_Place = tuple[float, float]


def learning_curve_png(curve: Sequence[EpochMetrics], write: Callable[[float], str]) -> bytes:
    """Draw the errors of at least one epoch on a logarithmic axis, with gaps if not finite.

    ``write`` writes the lowest one for people.
    """
    image = Image.new("RGB", (_FINER * SIZE[0], _FINER * SIZE[1]), "white")
    chart = _Chart(ImageDraw.Draw(image), curve)
    chart.draw_axes()
    chart.draw_line([m.train_mse for m in curve], TRAINING)
    chart.draw_line([m.validation_mse for m in curve], VALIDATION)
    chart.draw_words(write)
    return picture_png(image.reduce(_FINER).quantize(_N_COLORS, method=Image.Quantize.FASTOCTREE))


class _Chart:
    """The axes of a curve, and what is drawn into them."""

    def __init__(self, draw: ImageDraw.ImageDraw, curve: Sequence[EpochMetrics]) -> None:
        self._draw = draw
        self._curve = curve
        self._epochs = [metrics.epoch + 1 for metrics in curve]
        values = [e for m in curve for e in (m.train_mse, m.validation_mse) if _drawable(e)]
        low, high = (math.log10(end(values)) for end in (min, max)) if values else (-2.0, 0.0)
        room = _MARGIN * max(high - low, 0.2)
        self._low, self._high = low - room, high + room

    def draw_axes(self) -> None:
        for value in _log_ticks(self._low, self._high):
            y = self._y(value)
            self._line([(_LEFT, y), (_RIGHT, y)], _GRID)
            self._write((_LEFT - 6, y), f"{value:.3g}", "rm")
        for epoch in _whole_ticks(self._epochs[0], self._epochs[-1]):
            x = self._x(epoch)
            self._line([(x, _TOP), (x, _BOTTOM)], _GRID)
            self._write((x, _BOTTOM + 6), str(epoch), "mt")
        self._line([(_LEFT, _TOP), (_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)], _TEXT)
        self._write(((_LEFT + _RIGHT) / 2, SIZE[1] - 6), "epoch", "mb")

    def draw_line(self, values: Sequence[float], color: str) -> None:
        part: list[_Place] = []
        for epoch, value in zip([*self._epochs, 0], [*values, math.nan], strict=True):
            if _drawable(value):
                part.append((self._x(epoch), self._y(value)))
                continue
            if len(part) == 1:
                self._dot(*part[0], color, radius=2)
            self._line(part, color, width=1.5)
            part = []

    def draw_words(self, write: Callable[[float], str]) -> None:
        """Mark the epoch whose weights are kept, say its error, and name the lines."""
        sound = [m for m in self._curve if _drawable(m.validation_mse)]
        if sound:
            best = min(sound, key=lambda metrics: metrics.validation_mse)
            x, y = self._x(best.epoch + 1), self._y(best.validation_mse)
            self._dot(x, y, VALIDATION, radius=4)
            text = f"lowest {write(best.validation_mse)} in epoch {best.epoch + 1}"
            self._write((_LEFT, 8), f"reconstruction error (MSE), {text}", "lt")
        self._write((_LEFT, 26), "training (augmented)", "lt", TRAINING)
        self._write((_LEFT + 140, 26), "validation", "lt", VALIDATION)

    def _x(self, epoch: float) -> float:
        first, last = self._epochs[0], self._epochs[-1]
        share = (epoch - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (_RIGHT - _LEFT)

    def _y(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return _BOTTOM - share * (_BOTTOM - _TOP)

    def _line(self, points: Sequence[_Place], color: str, *, width: float = 1.0) -> None:
        finer = [(_FINER * x, _FINER * y) for x, y in points]
        self._draw.line(finer, fill=color, width=round(_FINER * width), joint="curve")

    def _dot(self, x: float, y: float, color: str, *, radius: float) -> None:
        corners = [(_FINER * (x + r), _FINER * (y + r)) for r in (-radius, radius)]
        self._draw.ellipse(corners, fill=color)

    def _write(self, place: _Place, text: str, anchor: str, color: str = _TEXT) -> None:
        x, y = place
        self._draw.text((_FINER * x, _FINER * y), text, fill=color, font=_font(), anchor=anchor)


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=_FINER * 12)


def _drawable(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _log_ticks(low: float, high: float) -> Iterator[float]:
    """Yield 1, 2 and 5 times powers of ten between two logarithms, over wide ranges powers."""
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    for power in range(math.floor(low), math.ceil(high)):
        for factor in factors:
            if low <= power + math.log10(factor) <= high:
                yield factor * 10.0**power


def _whole_ticks(first: int, last: int) -> list[int]:
    """Return about six round epochs between two."""
    step = next(s * 10**k for k in range(9) for s in (1, 2, 5) if (last - first) <= 6 * s * 10**k)
    return list(range(math.ceil(first / step) * step, last + 1, step))
