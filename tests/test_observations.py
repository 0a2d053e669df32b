"""Twins of a grid: known effects come out, and nothing else does."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.observations import (
    all_effects,
    effects,
)
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
    assert first.low is not None
    assert first.high is not None
    assert first.low < 0.5 < first.high
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


def test_only_twins_are_compared() -> None:
    """A configuration without a twin, or with one of the other architecture, does not count.

    Short trainings are no second observation but of the effect of the length itself, and neither
    is what is answered from another one: a classifier of one layer has no dropout.
    """
    frame = grid("autoencoder", batch_size={32: 2.0})
    assert effects(frame, "autoencoder", "batch_size")[0].n == 480 // 3
    odd = frame.index[(frame["batch_size"] == 32) & (frame["learning_rate"] == 0.1)]
    assert effects(frame.drop(odd), "autoencoder", "batch_size")[0].n == 480 // 3 * 3 // 4
    (normalized,) = effects(frame, "autoencoder", "batch_normalization")
    assert normalized.n == 192 // 2
    found = {e.parameter: e.n for e in all_effects(frame, "autoencoder") if e.before != "32"}
    assert found["epoch"] == 480 // 2
    assert found["batch_size"] == 240 // 3
    frame = grid("multitask", batch_size={32: 1.5})
    reused = (frame["classification_layer_num"] == 1) & (frame["dropout"] > 0)
    frame["reused_from"] = np.where(reused | (frame["epoch"] < 200), 0.0, np.nan)
    found = {e.parameter: e.n for e in all_effects(frame, "multitask") if e.before != "0.001"}
    assert found["batch_size"] == 756 // 2
    assert found["epoch"] == 756
    assert found["dropout"] == 972 // 3 * 2 // 3
