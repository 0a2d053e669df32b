"""Curves as the tables that trials store."""

import io
import math
from dataclasses import fields

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.curve import EpochMetrics, curve_from_csv, curve_to_csv

NAMES = ["epoch", "train_mse", "validation_mse", "seconds"]
VALUES = NAMES[1:]
NUMBERS = st.floats() | st.floats(0, 1)
"""Any, NaN and infinities among them, and often those that errors have."""


@st.composite
def curves(draw: st.DrawFn) -> list[EpochMetrics]:
    """Draw the metrics of any number of epochs, from the first on."""
    rows = draw(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=30))
    return [
        EpochMetrics(epoch=epoch, train_mse=train, validation_mse=validation, seconds=seconds)
        for epoch, (train, validation, seconds) in enumerate(rows)
    ]


def same(found: float, expected: float) -> bool:
    """Say whether two numbers agree in their first digits, or are both NaN."""
    if math.isnan(expected):
        return math.isnan(found)
    return math.isclose(found, expected, rel_tol=1e-6)


@given(curve=curves())
def test_round_trip(curve: list[EpochMetrics]) -> None:
    """All metrics come back, whatever they are: epochs exactly, values with seven digits."""
    back = curve_from_csv(curve_to_csv(curve))
    assert [metrics.epoch for metrics in back] == list(range(len(curve)))
    for found, expected in zip(back, curve, strict=True):
        assert type(found.epoch) is int
        for name in VALUES:
            assert same(getattr(found, name), getattr(expected, name)), name


@given(curve=curves())
def test_what_was_read_is_written_as_it_was(curve: list[EpochMetrics]) -> None:
    """Nothing is lost any more when a curve is copied again, as answered trials do."""
    content = curve_to_csv(curve)
    assert curve_to_csv(curve_from_csv(content)) == content


@given(curve=curves())
def test_pandas_reads_it(curve: list[EpochMetrics]) -> None:
    """The table means the same to others: whole epochs and plain numbers, one row per epoch."""
    table = pd.read_csv(io.BytesIO(curve_to_csv(curve)))
    assert list(table.columns) == NAMES
    assert table["epoch"].tolist() == list(range(len(curve)))
    for name in VALUES:
        found = [float(value) for value in table[name]]
        expected = [getattr(metrics, name) for metrics in curve]
        assert all(map(same, found, expected)), name


def test_names() -> None:
    """The columns have the metrics' names, in their order, also where there is no epoch."""
    assert [field.name for field in fields(EpochMetrics)] == NAMES
    assert curve_to_csv([]) == b"epoch,train_mse,validation_mse,seconds\n"
    assert curve_from_csv(curve_to_csv([])) == ()


def test_lines() -> None:
    """A line is an epoch, with seven digits at most and no more than are needed."""
    curve = [
        EpochMetrics(epoch=0, train_mse=0.25, validation_mse=1 / 30, seconds=1234.56789),
        EpochMetrics(epoch=1, train_mse=math.nan, validation_mse=math.inf, seconds=2000.0),
    ]
    assert curve_to_csv(curve).decode().splitlines()[1:] == [
        "0,0.25,0.03333333,1234.568",
        "1,nan,inf,2000",
    ]


@pytest.mark.parametrize("n_epochs", [1, 1000])
def test_long_curves(n_epochs: int) -> None:
    """Epochs stay whole numbers, however many there are."""
    curve = [
        EpochMetrics(epoch=epoch, train_mse=0.5, validation_mse=0.25, seconds=epoch / 8)
        for epoch in range(n_epochs)
    ]
    assert curve_from_csv(curve_to_csv(curve)) == tuple(curve)


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,train_mse,validation_mse\n0,1,2\n",
        b"epoch,train_mse,validation_mse,seconds,more\n0,1,2,3,4\n",
        b"epoch,train_mse,validation_mse,seconds\n0,1,2\n",
        b"epoch,train_mse,validation_mse,seconds\n0,1,2,3,4\n",
        b"epoch,train_mse,validation_mse,seconds\n0,1,2,x\n",
        b"0,1,2,3\n1,1,2,3\n",
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=["few columns", "many columns", "few values", "many values", "text", "no head", "binary"],
)
def test_something_else(content: bytes) -> None:
    """What is no curve is refused."""
    with pytest.raises((ValueError, TypeError)):
        curve_from_csv(content)
