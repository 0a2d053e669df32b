"""Twins of a grid: known effects come out, and nothing else does."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.observations import all_effects, effects
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
    assert (first.before, first.after, first.lower) == ("16", "32", 0)
    assert first.low < 0.5 < first.high
    assert first.change == pytest.approx(0.5, abs=0.05)
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

    Only the effect of the length itself is measured on both lengths of training.
    """
    frame = grid("autoencoder", batch_size={32: 1.5})
    assert effects(frame, "autoencoder", "batch_size")[0].n == 480 // 3
    odd = frame.index[(frame["batch_size"] == 32) & (frame["learning_rate"] == 0.1)]
    without = effects(frame.drop(odd), "autoencoder", "batch_size")[0]
    assert without.n == 480 // 3 * 3 // 4
    (normalized,) = effects(frame, "autoencoder", "batch_normalization")
    assert normalized.n == 192 // 2
    found = {e.parameter: e.n for e in all_effects(frame, "autoencoder") if e.before != "32"}
    assert found["epoch"] == 480 // 2
    assert found["batch_size"] == 240 // 3


def test_multitask_grid() -> None:
    """What is answered from another training does not count.

    A classifier of one layer has no dropout, so its three points are one observation.
    """
    whole = grid("multitask", batch_size={32: 1.5})
    reused = (whole["classification_layer_num"] == 1) & (whole["dropout"] > 0)
    origin = np.where(reused | (whole["epoch"] < 200), 0.0, np.nan)
    answered = all_effects(whole.assign(reused_from=origin), "multitask")
    counts = {e.parameter: e.n for e in answered if e.before != "0.001"}
    assert counts["batch_size"] == 756 // 2
    assert counts["epoch"] == 756
    assert counts["dropout"] == 972 // 3 * 2 // 3
