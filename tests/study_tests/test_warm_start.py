"""Beginning a search with the best points of an older study."""

import optuna
import pytest
from optuna.trial import TrialState

from search_spaces import Scalar, get_space
from study.warm_start import enqueue_best, fitting
from tests.study_tests.synthetic import study as record_of
from tests.study_tests.synthetic import trial

NOTEBOOK, EXTENDED = get_space("autoencoder", "notebook"), get_space("autoencoder", "extended")

POINT: dict[str, Scalar] = {
    "epoch": 200,
    "auto_encoder": "CNN",
    "batch_size": 16,
    "learning_rate": 0.01,
    "weight_decay": 1e-05,
    "batch_normalization": False,
}


def queued(study: optuna.Study) -> list[dict[str, object]]:
    """Return the parameters of the waiting trials."""
    waiting = study.get_trials(states=(TrialState.WAITING,))
    return [dict(t.system_attrs["fixed_params"]) for t in waiting]


@pytest.mark.parametrize(("n_trials", "n_points"), [(1, 1), (19, 1), (20, 2), (50, 5)])
def test_a_tenth_of_the_trials(n_trials: int, n_points: int) -> None:
    """At most a tenth of the trials, and at least one, are older points: the best, best first."""
    trials = [
        trial(i, value=value, params=POINT | {"learning_rate": rate})
        for i, (value, rate) in enumerate([(0.5, 1e-4), (0.1, 1e-3), (0.3, 1e-2), (0.2, 1e-1)])
    ]
    study = optuna.create_study()
    found = enqueue_best(study, record_of(*trials), NOTEBOOK, {}, n_trials=n_trials)
    assert found == min(n_points, len(trials))
    rates = [point["learning_rate"] for point in queued(study)]
    assert rates == [1e-3, 1e-1, 1e-2, 1e-4][:found]
    origins = [t.user_attrs["warm_start"] for t in study.trials]
    assert origins == [f"study, trial {i}" for i in (1, 3, 2, 0)][:found]


def test_equal_points_count_once() -> None:
    """A point that was trained several times is one point; failed and pruned ones are none."""
    trials = (
        trial(0, value=0.1, params=POINT),
        trial(1, value=0.2, params=POINT),
        trial(2, value=0.3, params=POINT | {"batch_size": 32}),
        trial(3, state=TrialState.PRUNED, params=POINT | {"batch_size": 64}),
    )
    study = optuna.create_study()
    assert enqueue_best(study, record_of(*trials), NOTEBOOK, {}, n_trials=100) == 2
    assert [point["batch_size"] for point in queued(study)] == [16, 32]


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


def test_conditions() -> None:
    """A parameter of another branch than the fixed one is left out."""
    assert "batch_normalization" not in fitting(POINT, NOTEBOOK, {"auto_encoder": "linear"})
    assert "batch_normalization" in fitting(POINT, NOTEBOOK, {"auto_encoder": "CNN"})


def test_nothing_fits() -> None:
    """A study of other parameters gives no points."""
    other = record_of(trial(0, value=0.1, params={"dropout": 0.5}))
    study = optuna.create_study()
    assert enqueue_best(study, other, NOTEBOOK, {}, n_trials=100) == 0
    assert not study.trials
