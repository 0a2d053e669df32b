"""Beginning a search with the best points of an older study."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from search_spaces import Scalar
from search_spaces.autoencoder import EXTENDED, NOTEBOOK
from storage.records import StudyRecord
from study.running.warm_start import began_with, best_points, fitting
from study.sampling.names import make_sampler
from study.seeds import sampler_seed
from tests.study_tests.synthetic import study as record_of
from tests.study_tests.synthetic import trial

POINT: dict[str, Scalar] = {
    "epoch": 200,
    "auto_encoder": "CNN",
    "batch_size": 16,
    "learning_rate": 0.01,
    "weight_decay": 1e-05,
    "batch_normalization": False,
}


@pytest.mark.parametrize(("n_trials", "n_points"), [(1, 1), (59, 1), (60, 2), (150, 5)])
def test_one_of_thirty_trials(n_trials: int, n_points: int) -> None:
    """One of thirty trials, and at least one, is an older point: the best, best first."""
    trials = [
        trial(i, value=value, params=POINT | {"learning_rate": rate})
        for i, (value, rate) in enumerate([(0.5, 1e-4), (0.1, 1e-3), (0.3, 1e-2), (0.2, 1e-1)])
    ]
    found = best_points(record_of(*trials), NOTEBOOK, {}, n_trials=n_trials)
    best = [(1, 1e-3), (3, 1e-1), (2, 1e-2), (0, 1e-4)][:n_points]
    assert found == [
        (POINT | {"learning_rate": rate}, {"warm_start": f"study, trial {number}"})
        for number, rate in best
    ]


def test_equal_points_count_once() -> None:
    """A point trained several times is one; pruned ones, and those of other spaces, are none."""
    trials = (
        trial(0, value=0.1, params=POINT),
        trial(1, value=0.2, params=POINT),
        trial(2, value=0.3, params=POINT | {"batch_size": 32}),
        trial(3, state=TrialState.PRUNED, params=POINT | {"batch_size": 64}),
    )
    found = best_points(record_of(*trials), NOTEBOOK, {}, n_trials=100)
    assert [point["batch_size"] for point, _ in found] == [16, 32]
    other = record_of(trial(0, value=0.1, params={"dropout": 0.5}))
    assert best_points(other, NOTEBOOK, {}, n_trials=100) == []


def test_other_space() -> None:
    """Only what the new space has, allows and does not fix is taken over."""
    assert fitting(POINT, NOTEBOOK, {}) == POINT
    assert fitting(POINT, EXTENDED, {"epoch": 20}) == {
        "auto_encoder": "CNN",
        "batch_size": 16,
        "learning_rate": 0.01,
        "weight_decay": 1e-05,
    }
    too_large = POINT | {"batch_size": 128, "learning_rate": 7.0}
    assert set(fitting(too_large, EXTENDED, {})) == {"auto_encoder", "epoch", "weight_decay"}
    # A parameter of another branch than the fixed one is left out.
    assert "batch_normalization" not in fitting(POINT, NOTEBOOK, {"auto_encoder": "linear"})
    assert "batch_normalization" in fitting(POINT, NOTEBOOK, {"auto_encoder": "CNN"})


def test_a_study_that_began_so() -> None:
    """A study knows of which other one it had its first points, though not of namesakes."""
    own = {"warm_start": "old, trial 3"}
    began = record_of(trial(0, value=0.1, params=POINT, attrs=own), trial(1, value=0.2))
    assert began_with(began, "old")
    assert not began_with(began, "ol")
    assert not began_with(record_of(trial(0, value=0.1)), "old")


def error(params: Mapping[str, Scalar]) -> float:
    """Return the error of a made-up training: best at rates of 0.01, a CNN, most other choices."""

    def off(name: str, best: float, base: float) -> float:
        return float(abs(np.log(float(params[name]) / best)) / np.log(base))

    value = 0.01 * 10 ** (
        0.5 * off("learning_rate", 1e-2, 10) ** 2 + 0.02 * off("weight_decay", 1e-6, 10) ** 2
    )
    value *= (1.3 if params["activation"] == "relu" else 1) * (
        1.3 if params["schedule"] == "constant" else 1
    )
    if params["auto_encoder"] == "linear":
        return float(2 * value * (1 + 0.1 * off("bottleneck_dim", 128, 2)))
    value *= (1 + 0.2 * off("width", 32, 2)) * (1 + 0.1 * off("latent_channels", 128, 2))
    return float(value * (1.3 if params["normalization"] == "none" else 1))


def older(seed: int, *, misleading: bool) -> StudyRecord:
    """Return 200 random trials with their errors; if misleading, the best has the largest."""
    rng = np.random.default_rng(1000 + seed)
    points = [EXTENDED.at(rng.random(len(EXTENDED.parameters)), {}) for _ in range(200)]
    sign = -1 if misleading else 1
    template = trial(0)
    return record_of(
        *(
            replace(template, number=i, values=(sign * error(p),), params=p)
            for i, p in enumerate(points)
        )
    )


def trials_until(source: StudyRecord | None, seed: int, level: float, *, n_trials: int) -> int:
    """Return how many trials of a search it takes to get below an error, at most ``n_trials``."""
    study = optuna.create_study()
    if source is not None:
        for params, _ in best_points(source, EXTENDED, {}, n_trials=n_trials):
            study.enqueue_trial(params)
    for i in range(n_trials):
        study.sampler = make_sampler("tpe", seed=sampler_seed(seed, i), params={})
        live = study.ask()
        value = error(EXTENDED.suggest(live, {}))
        study.tell(live, value)
        if value <= level:
            return i + 1
    return n_trials


@pytest.mark.slow
def test_a_misleading_study_costs_little_and_a_good_one_helps() -> None:
    """Over 160 searches, a misleading prior takes at most a fifth more trials, a good one half."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for level in (0.0129, 0.0161):
        cold, misled, guided = (
            np.mean([trials_until(s(seed), seed, level, n_trials=60) for seed in range(160)])
            for s in (
                lambda _: None,
                lambda seed: older(seed, misleading=True),
                lambda seed: older(seed, misleading=False),
            )
        )
        assert misled <= 1.2 * cold, (level, misled, cold)
        assert guided <= 0.5 * cold, (level, guided, cold)
