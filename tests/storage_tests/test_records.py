"""Read-only records: what of a trial is taken over, and which trial is the best."""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from storage import attrs
from storage.errors import StorageError, UnknownStudyError
from storage.rdb import open_storage
from storage.records import TrialRecord, load_study_record, study_names


@pytest.fixture
def storage(url: str) -> BaseStorage:
    """A new database, as Optuna alone would open it."""
    open_storage(url, create=True)
    return optuna.storages.RDBStorage(url)


@pytest.fixture
def study(storage: BaseStorage) -> optuna.Study:
    """A study with one trial in every state: complete, pruned, failed, running and waiting."""
    study = optuna.create_study(storage=storage, study_name="faces")
    study.set_user_attr("target_trials", 5)
    for state, value in (
        (TrialState.COMPLETE, 0.25),
        (TrialState.PRUNED, None),
        (TrialState.FAIL, None),
        (None, None),
    ):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.report(0.75, step=1)
        trial.report(0.5, step=0)
        trial.set_user_attr("seed", trial.number)
        if state is not None:
            study.tell(trial, value, state=state)
    study.enqueue_trial({"x": 0.5}, user_attrs={"design_index": 3})
    return study


def test_states(study: optuna.Study, storage: BaseStorage) -> None:
    """Every trial is taken over in its order, whatever its state; two kinds are finished."""
    record = load_study_record(storage, "faces")
    assert (record.name, record.directions) == ("faces", ("minimize",))
    assert record.user_attrs == {"target_trials": 5}
    assert [trial.number for trial in record.trials] == [0, 1, 2, 3, 4]
    assert [trial.state for trial in record.trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.RUNNING,
        TrialState.WAITING,
    ]
    assert [trial.finished for trial in record.trials] == [True, True, False, False, False]
    assert record.complete == record.trials[:1]


def test_only_complete_trials_have_a_value(study: optuna.Study, storage: BaseStorage) -> None:
    """A pruned trial's last report is no value: Optuna's would be 0.75."""
    assert study.get_trials()[1].values == [0.75]
    record = load_study_record(storage, "faces")
    assert [trial.value for trial in record.trials] == [0.25, None, None, None, None]


def test_contents(study: optuna.Study, storage: BaseStorage) -> None:
    """Parameters, their ranges, reports by step, attributes and the database's key are kept."""
    record = load_study_record(storage, "faces")
    for trial, frozen in zip(record.trials[:4], study.get_trials(), strict=False):
        assert trial.trial_id == frozen._trial_id
        assert trial.params == frozen.params
        assert trial.distributions == {"x": FloatDistribution(0, 1)}
        assert list(trial.intermediate_values.items()) == [(0, 0.5), (1, 0.75)]
        assert trial.user_attrs == {"seed": trial.number}
    waiting = record.trials[4]
    assert (waiting.params, waiting.started, waiting.duration_s) == ({}, None, None)
    assert waiting.user_attrs == {"design_index": 3}


def test_duration(study: optuna.Study, storage: BaseStorage) -> None:
    """Only what has ended has a duration."""
    complete, *_, running, _ = load_study_record(storage, "faces").trials
    assert complete.started is not None
    assert complete.completed is not None
    assert complete.duration_s == (complete.completed - complete.started).total_seconds()
    assert running.started is not None
    assert running.duration_s is None
    start = datetime(2025, 1, 1, tzinfo=UTC)
    timed = TrialRecord(
        number=0,
        trial_id=1,
        state=TrialState.COMPLETE,
        value=0.5,
        params={},
        distributions={},
        intermediate_values={},
        user_attrs={},
        started=start,
        completed=start + timedelta(minutes=2),
    )
    assert timed.duration_s == 120


@pytest.mark.parametrize(
    ("direction", "values", "best"),
    [
        ("minimize", [0.3, 0.1, 0.2], 1),
        ("maximize", [0.3, 0.1, 0.2], 0),
        ("minimize", [0.3, 0.1, 0.1], 1),
        ("maximize", [0.2, 0.3, 0.3], 1),
    ],
)
def test_best(storage: BaseStorage, direction: str, values: list[float], best: int) -> None:
    """The best value wins, in the study's direction; the earlier trial where two are equal."""
    study = optuna.create_study(storage=storage, study_name="s", direction=direction)
    for value in values:
        study.tell(study.ask(), value)
    record = load_study_record(storage, "s")
    assert record.best is not None
    assert record.best.number == best


@pytest.mark.parametrize(
    ("infeasible", "best"), [((), 1), ((1,), 2), ((1, 2), 0), ((0, 2), 1), ((0, 1, 2), None)]
)
def test_best_is_feasible(
    storage: BaseStorage, infeasible: tuple[int, ...], best: int | None
) -> None:
    """A trial that breaks the constraint is never the best, however low its value is."""
    study = optuna.create_study(storage=storage, study_name="s")
    for number, value in enumerate([0.3, 0.1, 0.2]):
        trial = study.ask()
        if number in infeasible:
            trial.set_user_attr(attrs.INFEASIBLE, True)
        study.tell(trial, value)
    record = load_study_record(storage, "s")
    assert [t.feasible for t in record.trials] == [n not in infeasible for n in range(3)]
    assert (None if record.best is None else record.best.number) == best
    assert len(record.complete) == 3


def test_two_objectives(storage: BaseStorage) -> None:
    """The first of two values is a trial's value, and decides which trial is the best."""
    study = optuna.create_study(
        storage=storage, study_name="s", directions=["minimize", "maximize"]
    )
    for values in ((0.3, 0.9), (0.1, 0.2), (0.2, 0.5), (0.1, 0.8)):
        study.tell(study.ask(), values)
    record = load_study_record(storage, "s")
    assert record.directions == ("minimize", "maximize")
    assert [trial.value for trial in record.trials] == [0.3, 0.1, 0.2, 0.1]
    assert record.best is not None
    assert record.best.number == 1


def test_no_best(storage: BaseStorage) -> None:
    """Without a complete trial nothing is best, not even the lowest pruned one."""
    study = optuna.create_study(storage=storage, study_name="s")
    trial = study.ask()
    trial.report(0.1, step=0)
    study.tell(trial, state=TrialState.PRUNED)
    assert load_study_record(storage, "s").best is None


def test_unknown_study(storage: BaseStorage) -> None:
    """An unknown name is answered with the known ones, in a line without quotes around it."""
    with pytest.raises(UnknownStudyError, match=r"'x' in this storage; it holds: none\.$"):
        load_study_record(storage, "x")
    for name in ("zebra", "ant"):
        optuna.create_study(storage=storage, study_name=name)
    assert study_names(storage) == ["zebra", "ant"]
    with pytest.raises(StorageError, match=r"^There is no study .*; it holds: zebra, ant\.$"):
        load_study_record(storage, "x")


def test_records_are_snapshots(study: optuna.Study, storage: BaseStorage) -> None:
    """A record does not follow the database, and cannot be changed."""
    record = load_study_record(storage, "faces")
    study.tell(3, 0.1)
    study.set_user_attr("target_trials", 9)
    assert record.trials[3].state == TrialState.RUNNING
    assert record.user_attrs == {"target_trials": 5}
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        record.trials[0].value = 0.0  # type: ignore[misc]
    assert load_study_record(storage, "faces").trials[3].value == 0.1
