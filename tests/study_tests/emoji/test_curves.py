"""Curves as the tables that trials store."""

import math
from dataclasses import asdict, astuple, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from emoji_ae.curve import EpochMetrics, MultitaskMetrics
from study.emoji.trainer import metrics_of
from study.running.reuse import read_curves, write_curves

NAMES = ["epoch", "train_mse", "validation_mse", "seconds"]
CLASSIFICATION = [
    "train_cross_entropy",
    "train_total",
    "train_accuracy",
    "validation_cross_entropy",
    "validation_total",
    "validation_accuracy",
    "validation_balanced_accuracy",
]
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
    curve: list[EpochMetrics] = []
    for epoch in range(n):
        kind, names = EpochMetrics, NAMES[1:3]
        if epoch >= n_plain:
            kind, names = MultitaskMetrics, names + CLASSIFICATION
        values: dict[str, Any] = {name: draw(NUMBERS) for name in names}
        curve.append(kind(epoch=epoch, seconds=draw(TIMES), **values))
    return curve


def row(epoch: int, first: float) -> MultitaskMetrics:
    """Return metrics that are all different, counted on from the first."""
    names = [*NAMES[1:], *CLASSIFICATION]
    values: dict[str, Any] = {name: first + i for i, name in enumerate(names)}
    return MultitaskMetrics(epoch=epoch, **values)


def same(found: float, expected: float) -> bool:
    """Say whether two numbers are equal, or both NaN."""
    return found == expected or (math.isnan(expected) and math.isnan(found))


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
        assert all(map(same, astuple(replace(found, seconds=expected.seconds)), astuple(expected)))
    again = curve_to_csv(back)
    assert curve_to_csv(curve_from_csv(again)) == again  # nothing is lost any more


def test_lines() -> None:
    """The columns are the metrics, a line an epoch of nine digits at most and empty cells."""
    assert [field.name for field in fields(EpochMetrics)] == NAMES
    assert [field.name for field in fields(MultitaskMetrics)] == NAMES + CLASSIFICATION
    assert curve_from_csv(curve_to_csv([])) == ()
    curve: list[EpochMetrics] = [
        EpochMetrics(epoch=0, train_mse=0.25, validation_mse=1 / 30, seconds=1234.567891),
        EpochMetrics(epoch=1, train_mse=math.nan, validation_mse=math.inf, seconds=2000.0),
    ]
    assert curve_to_csv(curve).decode().splitlines() == [
        ",".join(NAMES),
        "0,0.25,0.0333333333,1234.56789",
        "1,nan,inf,2000",
    ]
    plain = EpochMetrics(epoch=0, train_mse=0.25, validation_mse=0.5, seconds=1.0)
    assert curve_to_csv([plain, row(1, 10), row(2, 0.5)]).decode().splitlines() == [
        ",".join(NAMES + CLASSIFICATION),
        "0,0.25,0.5,1,,,,,,,",
        "1,10,11,12,13,14,15,16,17,18,19",
        "2,0.5,1.5,2.5,3.5,4.5,5.5,6.5,7.5,8.5,9.5",
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
