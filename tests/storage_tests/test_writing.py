"""Attributes and values of running trials, several in one transaction."""

import math
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from storage.rdb import open_storage
from storage.writing import Reports, write_trial

VALUES = {0: 0.5, 1: 0.25, 2: math.inf, 3: -math.inf, 4: math.nan, 5: 1e-300}
ATTRS = {"text": "Ü <b>", "number": 0.1, "flag": True, "list": [1, 2], "large": 2**62}


@pytest.fixture(params=["sqlite", "memory"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    """A study in a database, and one in a storage that is not a database."""
    if request.param == "memory":
        return optuna.create_study(storage=InMemoryStorage())
    url = f"sqlite:///{tmp_path / 'study.db'}"
    storage = open_storage(url, create=True, write=True)
    return optuna.create_study(storage=storage)


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
