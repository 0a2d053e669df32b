"""Read-only records: what of a trial is taken over, and which trial is the best."""

import math
import warnings
from dataclasses import replace

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from storage import attrs
from storage.errors import StorageError, UnknownStudyError
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record, only_study, study_names
from tests.study_tests.synthetic import SETTINGS, trial
from tests.study_tests.synthetic import study as made_up

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING
"""Settings by which a study is one of this package."""


def read(study: optuna.Study) -> StudyRecord:
    """Return the record of a study."""
    return load_study_record(study._storage, study.study_name)


def test_contents(url: str) -> None:
    """Every trial is taken over in its order, whatever its state, once and for all."""
    open_storage(url, create=True)
    storage = optuna.storages.RDBStorage(url)  # as Optuna alone would open it
    study = optuna.create_study(storage=storage, study_name="faces")
    study.set_user_attr("settings", SETTINGS)
    study.set_user_attr("target_trials", 5)
    study.set_user_attr("experiment", "baseline")
    for state, value in ((COMPLETE, 0.25), (PRUNED, None), (FAIL, None), (None, None)):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.report(0.75, step=1)
        trial.report(0.5, step=0)
        trial.set_user_attr("seed", trial.number)
        trial.set_user_attr("worker", [1])
        if state is not None:
            study.tell(trial, value, state=state)
    study.enqueue_trial({"x": 0.5}, user_attrs={"design_index": 3})
    record = read(study)
    assert (record.name, record.directions) == ("faces", ("minimize",))
    assert record.user_attrs == {"settings": SETTINGS, "target_trials": 5}
    assert record.other_attrs == {"experiment": "baseline"}
    assert [trial.number for trial in record.trials] == [0, 1, 2, 3, 4]
    assert [t.state for t in record.trials] == [COMPLETE, PRUNED, FAIL, RUNNING, WAITING]
    assert [trial.finished for trial in record.trials] == [True, True, False, False, False]
    assert study.get_trials()[1].values == [0.75]  # a pruned trial's last report is no value
    assert [trial.value for trial in record.trials] == [0.25, None, None, None, None]
    for trial, frozen in zip(record.trials[:4], study.get_trials(), strict=False):
        assert (trial.trial_id, trial.params) == (frozen._trial_id, frozen.params)
        assert trial.distributions == {"x": FloatDistribution(0, 1)}
        assert list(trial.intermediate_values.items()) == [(0, 0.5), (1, 0.75)]
        assert (trial.user_attrs, trial.other_attrs) == ({"seed": trial.number}, {"worker": [1]})
    complete, *_, running, waiting = record.trials
    assert (waiting.params, waiting.started, waiting.duration_s) == ({}, None, None)
    assert waiting.user_attrs == {"design_index": 3}
    assert complete.duration_s == (complete.completed - complete.started).total_seconds()
    assert (running.started is None, running.duration_s) == (False, None)
    study.tell(3, 0.1)
    assert record.trials[3].state == RUNNING
    later = load_study_record(study._storage, "faces", known=record)
    assert later == read(study)
    assert later.trials[3].value == 0.1
    # With other settings than ours, the names are another's.
    study.set_user_attr("settings", {"kind": "x"})
    foreign = read(study)
    assert (foreign.user_attrs, foreign.trials[0].user_attrs) == ({}, {})
    assert foreign.trials[0].other_attrs == {"seed": 0, "worker": [1]}


def test_several_objectives(url: str) -> None:
    """All values are taken over, their names, and which trials break a constraint of Optuna's."""
    storage = open_storage(url, create=True, write=True)
    study = optuna.create_study(storage=storage, directions=["minimize", "maximize"])
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["loss", "score"])
    for values, lack in (((0.0, math.inf), 0.0), ((-1.5, 2.0), 0.5)):
        study.add_trial(optuna.trial.create_trial(values=values, constraints={"memory": lack}))
    assert (record := read(study)).metric_names == ("loss", "score")
    assert [t.values for t in record.trials] == [(0.0, math.inf), (-1.5, 2.0)]
    assert [t.constraints for t in record.trials] == [{"memory": 0.0}, {"memory": 0.5}]
    assert [t.feasible for t in record.trials] == [True, False]
    study.set_user_attr(attrs.SETTINGS, SETTINGS)
    assert [t.user_attrs for t in read(study).trials] == [{}, {attrs.INFEASIBLE: True}]


def test_choices_are_scalars(url: str) -> None:
    """A choice that Optuna warns of, and keeps as JSON does, is read as its text, in silence."""
    open_storage(url, create=True)
    study = optuna.create_study(storage=optuna.storages.RDBStorage(url))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        study.ask({"layers": CategoricalDistribution([(8, 8), None])})
    (trial,) = load_study_record(open_storage(url), study.study_name).trials
    assert trial.distributions == {"layers": CategoricalDistribution(["[8, 8]", None])}
    assert trial.params["layers"] in ("[8, 8]", None)


def test_best() -> None:
    """The best value of complete trials that keep the constraint wins, the first of equals."""
    others = [trial(3, state=state, curve=(0.0, 9.0)) for state in (PRUNED, FAIL)]
    for direction, values, infeasible, best in (
        ("minimize", [0.3, 0.1, 0.2], (), 1),
        ("maximize", [0.3, 0.1, 0.2], (), 0),
        ("minimize", [0.3, 0.1, 0.1], (), 1),
        ("maximize", [math.inf, -2.0, 0.0], (), 0),
        ("minimize", [math.nan, 0.0, -math.inf], (), 2),
        ("minimize", [0.3, 0.1, 0.2], (1,), 2),
        ("minimize", [0.3, 0.1, 0.2], (0, 1, 2), None),
    ):
        complete = [
            trial(number, value=value, attrs={attrs.INFEASIBLE: number in infeasible})
            for number, value in enumerate(values)
        ]
        record = replace(made_up(*complete, *others), directions=(direction, "maximize"))
        assert (None if record.best is None else record.best.number) == best
        assert record.complete == tuple(complete)


def test_unknown_study(url: str) -> None:
    """An unknown name, or none, is answered with the known ones, in a line without quotes."""
    storage = open_storage(url, create=True, write=True)
    with pytest.raises(UnknownStudyError, match=r"'x' in this storage; it holds: none\.$"):
        load_study_record(storage, "x")
    optuna.create_study(storage=storage, study_name="zebra")
    assert only_study(storage) == "zebra"
    optuna.create_study(storage=storage, study_name="ant")
    with pytest.raises(UnknownStudyError, match=r"^Name one .*; the storage holds: zebra, ant\.$"):
        only_study(storage)
    assert study_names(storage) == ["zebra", "ant"]
    with pytest.raises(StorageError, match=r"^There is no study .*; it holds: zebra, ant\.$"):
        load_study_record(storage, "x")
