"""Curves as the tables that trials store."""

import math
from dataclasses import asdict, astuple, fields, replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from emoji_ae.curve import EpochMetrics, MultitaskMetrics
from study.emoji.trainer import metrics_of
from study.running.reuse import read_curves, write_curves

NAMES = [field.name for field in fields(MultitaskMetrics)]
NUMBERS = st.floats(width=32) | st.floats(0, 1, width=32)
"""Any of single precision, NaN and infinities among them, and often those that errors have."""
TIMES = st.floats(0, 1e7)


def curve_to_csv(curve: list[EpochMetrics] | tuple[EpochMetrics, ...]) -> bytes:
    """Write a curve as a trial stores it."""
    return write_curves([asdict(metrics) for metrics in curve])


def curve_from_csv(content: bytes) -> tuple[EpochMetrics, ...]:
    """Read what a trial stored, as the emoji's trainer does."""
    return tuple(metrics_of(read_curves(content)))


@st.composite
def curves(draw: st.DrawFn) -> list[EpochMetrics]:
    """Draw epochs from the first on: some that do not classify, and then some that do."""
    n = draw(st.integers(0, 12))
    n_plain = draw(st.integers(0, n))
    curve = []
    for epoch in range(n):
        n_others = 0 if epoch < n_plain else len(NAMES) - 4
        others = (draw(NUMBERS) for _ in range(n_others))
        curve.append(row(epoch, draw(NUMBERS), draw(NUMBERS), draw(TIMES), *others))
    return curve


def row(*values: float) -> EpochMetrics:
    """Return metrics of these values, in the order of the columns."""
    kind = EpochMetrics if len(values) == 4 else MultitaskMetrics
    return kind(**dict(zip(NAMES, values, strict=False)))  # type: ignore[arg-type]


@given(curve=curves())
@examples(max_examples=30)
def test_round_trip(curve: list[EpochMetrics]) -> None:
    """Every number of single precision comes back in metrics of its class."""
    content = curve_to_csv(curve)
    back = curve_from_csv(content)
    assert [type(metrics) for metrics in back] == [type(metrics) for metrics in curve]
    for found, expected in zip(back, curve, strict=True):
        assert type(found.epoch) is int
        assert found.seconds == pytest.approx(expected.seconds, rel=1e-6, abs=1e-37)
        exactly = pytest.approx(astuple(expected), rel=0, abs=0, nan_ok=True)
        assert astuple(replace(found, seconds=expected.seconds)) == exactly
    again = curve_to_csv(back)
    assert curve_to_csv(curve_from_csv(again)) == again  # nothing is lost any more


def test_lines() -> None:
    """The columns are the metrics, a line an epoch of nine digits at most and empty cells."""
    assert curve_from_csv(curve_to_csv([])) == ()
    curve = [row(0, 0.25, 1 / 30, 1234.567891), row(1, math.nan, math.inf, 2000.0)]
    assert curve_to_csv(curve).decode().splitlines() == [
        "epoch,train_mse,validation_mse,seconds",
        "0,0.25,0.0333333333,1234.56789",
        "1,nan,inf,2000",
    ]
    both = [row(0, 0.25, 0.5, 1.0), row(*range(1, 12))]
    assert curve_to_csv(both).decode().splitlines() == [
        "epoch,train_mse,validation_mse,seconds,train_cross_entropy,train_total,train_accuracy,"
        "validation_cross_entropy,validation_total,validation_accuracy,"
        "validation_balanced_accuracy",
        "0,0.25,0.5,1,,,,,,,",
        "1,2,3,4,5,6,7,8,9,10,11",
    ]


def test_something_else() -> None:
    """What is no curve is refused."""
    head = b"epoch,train_mse,validation_mse,seconds"
    for content in (
        b"epoch,train_mse,validation_mse\n0,1,2\n",
        head + b",more\n0,1,2,3,4\n",
        head + b"\n0,1,2\n",
        head + b"\n0,1,2,3,4\n",
        head + b"\n0,1,2,x\n",
        head + b",validation_accuracy\n0,1,2,3,4\n",  # a part of what classifies
        b"\x89PNG\r\n\x1a\n",
    ):
        with pytest.raises((ValueError, TypeError)):
            curve_from_csv(content)
