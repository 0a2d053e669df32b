"""Attributes and values of running trials, several in one transaction."""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from sqlalchemy.exc import IntegrityError

from storage.errors import StorageAccessError
from storage.writing import Reports, suggesting, write_trial
from tests.servers import opened

VALUES = {0: 0.5, 1: 0.25, 2: math.inf, 3: -math.inf, 4: math.nan, 5: 1e-300}
ATTRS = {"text": "Ü <b>", "number": 0.1, "flag": True, "list": [1, 2], "large": 2**62}


@pytest.fixture
def study(place: str) -> Iterator[optuna.Study]:
    """A study in a new database."""
    with opened(place, create=True, write=True) as storage:
        yield optuna.create_study(storage=storage)


def new_trial(study: optuna.Study) -> optuna.Trial:
    """Return a running trial."""
    return optuna.Trial(study, study._storage.create_new_trial(study._study_id))


def same(a: dict[int, float], b: dict[int, float]) -> bool:
    """Compare values, NaN equal to itself."""
    return a.keys() == b.keys() and all(
        a[step] == b[step] or (math.isnan(a[step]) and math.isnan(b[step])) for step in a
    )


def test_what_is_written_reads_like_what_optuna_writes(study: optuna.Study) -> None:
    """A trial written at once equals one written value by value, special values included."""
    ours, theirs = new_trial(study), new_trial(study)

    write_trial(ours, user_attrs=ATTRS, intermediate_values=VALUES)
    for name, value in ATTRS.items():
        theirs.set_user_attr(name, value)
    for step, value in VALUES.items():
        theirs.report(value, step=step)

    first, second = study.get_trials()
    assert first.user_attrs == second.user_attrs == ATTRS
    assert same(first.intermediate_values, VALUES)
    assert same(second.intermediate_values, VALUES)


def test_everything_or_nothing(study: optuna.Study) -> None:
    """What is written at once is written as a whole: a value that is in the way keeps it all out.

    Whatever was not stored, the trial's own copy of itself does not claim either.
    """
    trial = new_trial(study)
    write_trial(trial, intermediate_values={1: 0.5})

    with pytest.raises((IntegrityError, StorageInternalError), match=r"(?i)unique"):
        write_trial(trial, user_attrs={"a": 1}, intermediate_values={0: 0.25, 1: 0.125})

    for seen in (study.get_trials()[0], trial._cached_frozen_trial):
        assert seen.user_attrs == {}
        assert seen.intermediate_values == {1: 0.5}


def test_there_must_be_a_database() -> None:
    """A storage that is none, which workers could not share, is refused in one line."""
    trial = new_trial(optuna.create_study(storage=InMemoryStorage()))
    with pytest.raises(StorageAccessError, match=r"^Workers need a database, which a InMem.*\.$"):
        write_trial(trial, user_attrs={"a": 1})


def test_attributes_are_replaced(study: optuna.Study) -> None:
    """A name that exists gets the new value."""
    trial = new_trial(study)

    write_trial(trial, user_attrs={"a": 1, "b": 2})
    write_trial(trial, user_attrs={"b": 3})

    assert study.get_trials()[0].user_attrs == {"a": 1, "b": 3}


def test_a_finished_trial_is_not_changed(study: optuna.Study) -> None:
    """Writing to a trial that has ended is an error, and writes nothing."""
    trial = new_trial(study)
    study.tell(trial, 1.0)

    with pytest.raises(UpdateFinishedTrialError, match="has already finished"):
        write_trial(trial, user_attrs={"late": 1}, intermediate_values={0: 1.0})

    assert study.get_trials()[0].user_attrs == {}
    assert study.get_trials()[0].intermediate_values == {}


def test_reports_are_complete_after_a_flush(study: optuna.Study) -> None:
    """The first value is stored at once, the others at the latest by ``flush``."""
    trial = new_trial(study)
    reports = Reports(trial)

    reports.add(0.5, step=0)
    assert study.get_trials()[0].intermediate_values == {0: 0.5}
    for step in range(1, 100):
        reports.add(0.5 / step, step=step)
    reports.flush()
    reports.flush()

    stored = study.get_trials()[0].intermediate_values
    assert stored == {0: 0.5} | {step: 0.5 / step for step in range(1, 100)}


def test_the_pruner_and_the_result_see_reported_values(study: optuna.Study) -> None:
    """Optuna's pruner and ``tell`` work on values that were written together."""
    study.pruner = optuna.pruners.ThresholdPruner(upper=1.0)
    trial = new_trial(study)

    write_trial(trial, intermediate_values={0: 0.5})
    assert not trial.should_prune()
    write_trial(trial, intermediate_values={1: 2.0, 2: 3.0})
    assert trial.should_prune()
    study.tell(trial, state=TrialState.PRUNED)

    assert study.get_trials()[0].value == 3.0


def test_the_pruner_sees_reports_before_they_are_stored(study: optuna.Study) -> None:
    """A report counts for the pruner at once, even while it waits to be written."""
    study.pruner = optuna.pruners.ThresholdPruner(upper=1.0)
    trial = new_trial(study)
    reports = Reports(trial)

    reports.add(0.5, step=0)
    assert not trial.should_prune()
    reports.add(2.0, step=1)

    assert trial.should_prune()


def suggest_all(trial: optuna.Trial) -> dict[str, Any]:
    """Suggest a parameter of every kind."""
    return {
        "float": trial.suggest_float("float", 0, 1),
        "log": trial.suggest_float("log", 1e-5, 1, log=True),
        "step": trial.suggest_float("step", 0, 1, step=0.25),
        "int": trial.suggest_int("int", 2, 64, log=True),
        "kind": trial.suggest_categorical("kind", ["a", 1, 0.5, True, None]),
    }


def test_parameters_read_like_those_that_optuna_writes(study: optuna.Study) -> None:
    """Parameters that are stored together equal those that Optuna stores one by one."""
    trials = []
    for together in (True, False):
        study.sampler = optuna.samplers.RandomSampler(seed=1)
        trial = new_trial(study)
        with suggesting(trial) if together else nullcontext():
            params = suggest_all(trial)
        assert trial.params == params
        trials.append(trial)
    ours, theirs = study.get_trials()
    assert ours.params == theirs.params == trials[0].params
    assert ours.distributions == theirs.distributions == trials[0].distributions


def test_parameters_are_stored_at_the_end(study: optuna.Study) -> None:
    """Nothing is stored before the end of the block; an error in it keeps what was suggested."""
    trial = new_trial(study)

    def body() -> None:
        with suggesting(trial):
            x = trial.suggest_float("x", 0, 1)
            assert trial.suggest_float("x", 0, 1) == x
            assert study.get_trials()[0].params == {}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()
    assert study.get_trials()[0].params == trial.params
    assert set(trial.params) == {"x"}
    trial.suggest_float("y", 0, 1)
    assert study.get_trials()[0].params == trial.params


def test_enqueued_parameters(study: optuna.Study) -> None:
    """Values that a trial was enqueued with are what is suggested and stored."""
    study.enqueue_trial({"x": 0.25, "kind": "b"})
    study._storage.set_trial_state_values(study.get_trials()[0]._trial_id, TrialState.RUNNING)
    trial = optuna.Trial(study, study.get_trials()[0]._trial_id)
    with suggesting(trial):
        assert trial.suggest_float("x", 0, 1) == 0.25
        assert trial.suggest_categorical("kind", ["a", "b"]) == "b"
    assert study.get_trials()[0].params == {"x": 0.25, "kind": "b"}


def test_parameters_of_a_finished_trial(study: optuna.Study) -> None:
    """A trial that has ended meanwhile takes no parameters either."""
    trial = new_trial(study)

    def body() -> None:
        with suggesting(trial):
            trial.suggest_float("x", 0, 1)
            study.tell(trial.number, 0.5)

    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        body()
    assert study.get_trials()[0].params == {}
