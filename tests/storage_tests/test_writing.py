"""Attributes and values of running trials, several in one transaction."""

import math

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError

from storage.writing import Reports, suggesting, write_trial

VALUES = {0: 0.5, 1: 0.25, 2: math.inf, 3: -math.inf, 4: math.nan, 5: 1e-300}
ATTRS = {"text": "Ü <b>", "number": 0.1, "flag": True, "list": [1, 2], "large": 2**62}


def new_trial(study: optuna.Study) -> optuna.Trial:
    """Return a running trial."""
    return optuna.Trial(study, study._storage.create_new_trial(study._study_id))


def stored(study: optuna.Study) -> FrozenTrial:
    """Return the first trial as it is stored."""
    return study.get_trials()[0]


def test_what_is_written_is_what_optuna_reads(study: optuna.Study) -> None:
    """Parameters of every kind, attributes, which may be replaced, and values of any size."""
    trial = new_trial(study)
    with suggesting(trial):
        params = {
            "log": trial.suggest_float("log", 1e-5, 1, log=True),
            "step": trial.suggest_float("step", 0, 1, step=0.25),
            "int": trial.suggest_int("int", 2, 64, log=True),
            "kind": trial.suggest_categorical("kind", ["a", 1, 0.5, True, None]),
        }
    write_trial(trial, user_attrs={"text": "old", "number": 0.1})
    write_trial(trial, user_attrs=ATTRS, intermediate_values=VALUES)
    found = stored(study)
    assert (found.params, found.user_attrs) == (params, ATTRS)
    assert found.distributions == trial.distributions
    assert found.intermediate_values == pytest.approx(VALUES, rel=0, abs=0, nan_ok=True)


def test_everything_or_nothing(study: optuna.Study) -> None:
    """A value in the way keeps it all out, in memory too, as does the end of the trial."""
    trial = new_trial(study)
    own = trial._cached_frozen_trial
    write_trial(trial, user_attrs={"b": 2}, intermediate_values={1: 0.5})
    with pytest.raises((IntegrityError, StorageInternalError), match=r"(?i)unique"):
        write_trial(trial, user_attrs={"a": 1}, intermediate_values={0: 0.25, 1: 0.125})
    assert (own.user_attrs, own.intermediate_values) == ({"b": 2}, {1: 0.5})

    def suggest_late() -> None:
        with suggesting(trial):
            trial.suggest_float("x", 0, 1)
            study.tell(trial.number, 0.5)

    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        suggest_late()
    with pytest.raises(UpdateFinishedTrialError, match="has already finished"):
        write_trial(trial, user_attrs={"late": 1}, intermediate_values={0: 1.0})
    found = stored(study)
    assert (found.params, found.user_attrs, found.intermediate_values) == ({}, {"b": 2}, {1: 0.5})


def test_reports(study: optuna.Study) -> None:
    """The first value is stored at once, others by ``flush``; the pruner sees those that wait."""
    study.pruner = optuna.pruners.ThresholdPruner(upper=1.0)
    trial = new_trial(study)
    reports = Reports(trial)
    values = {step: 0.5 / (step + 1) for step in range(100)}
    for step, value in values.items():
        reports.add(value, step=step)
        assert step or stored(study).intermediate_values == {0: 0.5}
    assert not trial.should_prune()
    for _ in range(2):
        reports.flush()
    assert stored(study).intermediate_values == values
    reports.add(2.0, step=100)
    assert trial.should_prune()


def test_parameters_are_stored_at_the_end(study: optuna.Study) -> None:
    """Of a block, that is, or at an error in it; those that a trial was enqueued with hold."""
    study.enqueue_trial({"x": 0.25, "kind": "b"})
    study._storage.set_trial_state_values(stored(study)._trial_id, TrialState.RUNNING)
    trial = optuna.Trial(study, stored(study)._trial_id)

    def body() -> None:
        with suggesting(trial):
            for _ in range(2):
                assert trial.suggest_float("x", 0, 1) == 0.25
            assert trial.suggest_categorical("kind", ["a", "b"]) == "b"
            y = trial.suggest_float("y", 0, 1)
            assert trial.suggest_float("y", 0, 1) == y
            assert stored(study).params == {}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()
    assert set(stored(study).params) == {"x", "kind", "y"}
    trial.suggest_float("z", 0, 1)
    assert stored(study).params == trial.params
