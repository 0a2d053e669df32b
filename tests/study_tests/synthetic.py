"""Studies whose answers are known, built in code from a seed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from storage.records import Scalar, StudyRecord, TrialRecord

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "auto_encoder": CategoricalDistribution(("CNN", "linear")),
    "epoch": IntDistribution(20, 20),
    "batch_size": CategoricalDistribution((16, 32, 64)),
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "weight_decay": FloatDistribution(1e-5, 1e-2, log=True),
    "batch_normalization": CategoricalDistribution((True, False)),
    "bottleneck_dim": CategoricalDistribution((16, 32, 64)),
}

SETTINGS = {
    "kind": "autoencoder",
    "space": "extended",
    "sampler": "tpe",
    "pruner": "median",
    "seed": 0,
    "fixed": {"epoch": 20},
    "data": None,
    "data_fingerprint": "0123456789abcdef",
    "split": "group",
    "data_seed": 42,
    "sides": "ttvtx" * 35,
    "code_version": "0.1.0",
}

MARKUP = "<b>loss</b> became NaN </script><script>alert('x')</script> & more"
"""A failure message that would break a page that does not escape it."""

START = datetime(2025, 1, 1, 12, 0, 0)


def trial(
    number: int,
    *,
    state: TrialState = TrialState.COMPLETE,
    value: float | None = None,
    params: Mapping[str, Scalar] | None = None,
    curve: tuple[float, ...] = (),
    attrs: Mapping[str, Any] | None = None,
    started: datetime | None = None,
    completed: datetime | None = None,
) -> TrialRecord:
    """Return one trial; its distributions follow from the names of its parameters."""
    params = params or {}
    return TrialRecord(
        number=number,
        trial_id=number + 1,
        state=state,
        value=value,
        params=params,
        distributions={name: DISTRIBUTIONS[name] for name in params},
        intermediate_values=dict(enumerate(curve)),
        user_attrs=attrs or {},
        started=started,
        completed=completed,
    )


def study(
    *trials: TrialRecord, name: str = "study", settings: Mapping[str, Any] | None = None
) -> StudyRecord:
    """Return a study of these trials."""
    return StudyRecord(
        name=name,
        directions=("minimize",),
        user_attrs={} if settings is None else {"settings": settings},
        trials=trials,
    )


def planted(n_trials: int = 120, *, seed: int = 0) -> StudyRecord:
    """Return a study in which learning rate and family matter and weight decay does not.

    Every eighth trial is pruned after 5 to 10 of 20 epochs and every twentieth fails with
    markup in its message. Linear models are worse by 0.05; ``log10(learning_rate)`` is best at
    -2; two workers run for a minute per trial.
    """
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(n_trials):
        params: dict[str, Scalar] = {
            "auto_encoder": str(rng.choice(["CNN", "linear"])),
            "epoch": 20,
            "batch_size": int(rng.choice([16, 32, 64])),
            "learning_rate": float(10 ** rng.uniform(-4, -1)),
            "weight_decay": float(10 ** rng.uniform(-5, -2)),
        }
        if params["auto_encoder"] == "CNN":
            params["batch_normalization"] = bool(rng.integers(2))
        else:
            params["bottleneck_dim"] = int(rng.choice([16, 32, 64]))
        distance = np.log10(params["learning_rate"]) + 2
        value = 0.015 + 0.02 * distance**2 + 0.05 * (params["auto_encoder"] == "linear")
        value = float(value + rng.uniform(0, 0.002))
        state = TrialState.COMPLETE
        epochs = 20
        if number % 20 == 19:
            state, epochs = TrialState.FAIL, 3
        elif number % 8 == 7:
            state, epochs = TrialState.PRUNED, int(rng.integers(5, 11))
        decay = np.exp(-np.arange(20) / 4)
        curve = value + 0.2 * (decay - decay[-1]) + rng.uniform(0, 0.001, size=20) * decay
        curve[-1] = value
        started = START + timedelta(minutes=number // 2)
        attrs: dict[str, Any] = {
            "seed": 1000 + number,
            "worker": f"host:{number % 2}",
            "device": "cpu",
            "threads": 1,
            "code_version": "0.1.0",
            "data_fingerprint": "0123456789abcdef",
            "epochs_run": epochs,
            "training_seconds": 50.0 * epochs / 20,
            "parameter_count": 200_000 if params["auto_encoder"] == "CNN" else 25_000_000,
            "best_epoch": epochs,
        }
        if state == TrialState.FAIL:
            attrs["failure"] = MARKUP
        trials.append(
            trial(
                number,
                state=state,
                value=value if state == TrialState.COMPLETE else None,
                params=params,
                curve=tuple(float(v) for v in curve[:epochs]),
                attrs=attrs,
                started=started,
                completed=started + timedelta(minutes=1),
            )
        )
    return study(*trials, name="planted", settings=SETTINGS)
