"""Twins of a grid: known effects come out, and nothing else does."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.observations import effects
from search_spaces import SPACES


def grid(kind: str, **factors: dict[Any, float]) -> pd.DataFrame:
    """Return a whole grid whose errors are products of factors of the values, and some noise."""
    rng = np.random.default_rng(0)
    rows = []
    for point in SPACES[kind]["notebook"].grid({}):
        error = math.exp(rng.normal(0, 0.05))
        for name, of_value in factors.items():
            error *= of_value.get(point.get(name), 1.0)
        rows.append({**point, "value": error, "state": "COMPLETE"})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("kind", ["autoencoder", "multitask"])
def test_known_effects(kind: str) -> None:
    """A factor of a value is found within its interval, and other parameters have none."""
    frame = grid(kind, batch_size={32: 1.5}, learning_rate={1e-3: 0.25})
    if kind == "autoencoder":
        frame = frame[frame["auto_encoder"] == "CNN"]
    first = effects(frame, kind, "batch_size")[0]
    assert (first.before, first.after) == ("16", "32")
    assert first.interval.low < 0.5 < first.interval.high
    assert first.change == pytest.approx(0.5, abs=0.05)
    assert first.lower == 0
    rates = effects(frame, kind, "learning_rate")
    assert [(e.before, e.after) for e in rates[:2]] == [("0.0001", "0.001"), ("0.001", "0.01")]
    assert rates[0].change == pytest.approx(-0.75, abs=0.03)
    assert rates[0].lower == rates[0].n == len(frame) // frame["learning_rate"].nunique()
    assert rates[1].change == pytest.approx(3.0, abs=0.3)
    (normalized,) = effects(frame, kind, "batch_normalization")
    assert (normalized.before, normalized.after) == ("False", "True")
    assert abs(normalized.change) < 0.05
