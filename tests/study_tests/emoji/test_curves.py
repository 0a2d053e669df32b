"""Curves as the tables that trials store."""

import io
import math
from dataclasses import asdict, astuple, fields
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.curve import EpochMetrics, MultitaskMetrics, metrics_from_dict
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
def curves(draw: st.DrawFn, min_size: int = 0) -> list[EpochMetrics]:
    """Draw epochs from the first on: some that do not classify, and then some that do."""
    n = draw(st.integers(min_size, 12))
    n_plain = draw(st.integers(0, n))
    curve: list[EpochMetrics] = []
    for epoch in range(n):
        kind, names = EpochMetrics, NAMES[1:3]
        if epoch >= n_plain:
            kind, names = MultitaskMetrics, names + CLASSIFICATION
        values: dict[str, Any] = {name: draw(NUMBERS) for name in names}
        curve.append(kind(epoch=epoch, seconds=draw(TIMES), **values))
    return curve


def row(epoch: int, first: float, **changes: float) -> MultitaskMetrics:
    """Return metrics that are all different, counted on from the first."""
    names = [*NAMES[1:], *CLASSIFICATION]
    values: dict[str, Any] = {name: first + i for i, name in enumerate(names)}
    return MultitaskMetrics(epoch=epoch, **(values | changes))


def same(found: float, expected: float) -> bool:
    """Say whether two numbers are equal, or both NaN."""
    return found == expected or (math.isnan(expected) and math.isnan(found))


def assert_same_curve(back: tuple[EpochMetrics, ...], curve: list[EpochMetrics]) -> None:
    """Compare all metrics: exactly, but for the time, which is no number of single precision."""
    assert [type(metrics) for metrics in back] == [type(metrics) for metrics in curve]
    for found, expected in zip(back, curve, strict=True):
        assert type(found.epoch) is int
        for name, value in asdict(expected).items():
            if name == "seconds":
                assert found.seconds == pytest.approx(value, rel=1e-6, abs=1e-37)
            else:
                assert same(getattr(found, name), value), name


@given(curve=curves())
def test_round_trip(curve: list[EpochMetrics]) -> None:
    """Every number of single precision comes back as it was, in metrics of its class."""
    assert_same_curve(curve_from_csv(curve_to_csv(curve)), curve)


@given(value=st.floats(width=32))
def test_single_precision_survives(value: float) -> None:
    """Any number of single precision is the same number afterwards, in every column."""
    curve = [row(0, 1.0, **dict.fromkeys([*NAMES[1:], *CLASSIFICATION], value))]
    (back,) = curve_from_csv(curve_to_csv(curve))
    assert all(same(found, value) for found in astuple(back)[1:])
    assert len(astuple(back)) == 11


@given(curve=curves(min_size=1))
def test_what_was_read_is_written_as_it_was(curve: list[EpochMetrics]) -> None:
    """Nothing is lost any more when a curve is copied again, as answered trials do."""
    content = curve_to_csv(curve_from_csv(curve_to_csv(curve)))
    assert curve_to_csv(curve_from_csv(content)) == content


@given(curve=curves(min_size=1))
def test_pandas_reads_it(curve: list[EpochMetrics]) -> None:
    """The table means the same to others: whole epochs and plain numbers, one row per epoch."""
    table = pd.read_csv(io.BytesIO(curve_to_csv(curve)))
    multitask = isinstance(curve[-1], MultitaskMetrics)
    assert list(table.columns) == (NAMES + CLASSIFICATION if multitask else NAMES)
    assert table["epoch"].tolist() == list(range(len(curve)))
    for name in table.columns[1:]:
        found = [float(value) for value in table[name]]
        expected = [getattr(metrics, name, math.nan) for metrics in curve]
        for value, other in zip(found, expected, strict=True):
            assert same(value, other) or math.isclose(value, other, rel_tol=1e-6), name


def test_names() -> None:
    """The columns have the metrics' names, in their order."""
    assert [field.name for field in fields(EpochMetrics)] == NAMES
    assert [field.name for field in fields(MultitaskMetrics)] == NAMES + CLASSIFICATION
    plain = EpochMetrics(epoch=0, train_mse=1, validation_mse=2, seconds=3)
    for curve, names in (([plain], NAMES), ([row(0, 1)], NAMES + CLASSIFICATION)):
        assert curve_to_csv(curve).decode().splitlines()[0].split(",") == names
    assert curve_from_csv(curve_to_csv([])) == ()


def test_lines() -> None:
    """A line is an epoch, with nine digits at most and no more than are needed."""
    curve = [
        EpochMetrics(epoch=0, train_mse=0.25, validation_mse=1 / 30, seconds=1234.567891),
        EpochMetrics(epoch=1, train_mse=math.nan, validation_mse=math.inf, seconds=2000.0),
    ]
    assert curve_to_csv(curve).decode().splitlines()[1:] == [
        "0,0.25,0.0333333333,1234.56789",
        "1,nan,inf,2000",
    ]


def test_lines_of_a_mixed_curve() -> None:
    """An epoch that does not classify leaves the cells of the classification empty."""
    plain = EpochMetrics(epoch=0, train_mse=0.25, validation_mse=0.5, seconds=1.0)
    curve = [plain, row(1, 10), row(2, 0.5)]
    assert curve_to_csv(curve).decode().splitlines()[1:] == [
        "0,0.25,0.5,1,,,,,,,",
        "1,10,11,12,13,14,15,16,17,18,19",
        "2,0.5,1.5,2.5,3.5,4.5,5.5,6.5,7.5,8.5,9.5",
    ]
    assert curve_from_csv(curve_to_csv(curve)) == tuple(curve)


def test_zero_is_a_number() -> None:
    """A metric of 0 is written and read, not taken for an empty cell."""
    curve = [row(0, 1.0, **dict.fromkeys([*NAMES[1:], *CLASSIFICATION], 0.0))]
    assert curve_to_csv(curve).decode().splitlines()[1] == ",".join(["0"] * 11)
    assert curve_from_csv(curve_to_csv(curve)) == tuple(curve)


@given(curve=curves())
def test_metrics_from_names(curve: list[EpochMetrics]) -> None:
    """Metrics as a mapping of names are those of their class again."""
    back = [metrics_from_dict(asdict(metrics)) for metrics in curve]
    for found, expected in zip(back, curve, strict=True):
        assert type(found) is type(expected)
        assert all(map(same, astuple(found), astuple(expected)))


@pytest.mark.parametrize("name", [*NAMES, *CLASSIFICATION])
def test_metrics_from_missing_names(name: str) -> None:
    """A metric that is missing or unknown is an error, of either class."""
    values = asdict(row(0, 1))
    del values[name]
    with pytest.raises(TypeError, match="argument"):
        metrics_from_dict(values)
    plain = {name: 1 for name in NAMES}
    with pytest.raises(TypeError, match="argument"):
        metrics_from_dict(plain | {f"{name}_": 1})


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
        b"epoch,train_mse,validation_mse,seconds,validation_accuracy\n0,1,2,3,4\n",
        b"epoch,train_mse,validation_mse,seconds,train_accuracy\n0,1,2,3,4\n",
        curve_to_csv([row(0, 1.0)]).rsplit(b",", 1)[0] + b"\n",
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=[
        *("few columns", "many columns", "few values", "many values", "text", "no head"),
        *("part of multitask", "other part of multitask", "cut multitask", "binary"),
    ],
)
def test_something_else(content: bytes) -> None:
    """What is no curve is refused."""
    with pytest.raises((ValueError, TypeError)):
        curve_from_csv(content)
