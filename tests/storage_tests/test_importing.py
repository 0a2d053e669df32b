"""Studies that were run elsewhere: stored whole or not at all, wherever the database is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any
from uuid import uuid4

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from storage import attrs
from storage.errors import StorageAccessError
from storage.importing import insert_study
from storage.records import StudyRecord, TrialRecord, load_study_record, study_names
from tests.servers import opened

RANGES = {
    "rate": FloatDistribution(1e-5, 1.0, log=True),
    "size": IntDistribution(2, 64),
    "kind": CategoricalDistribution(["linear", 16, 0.5, True]),
}
NARROW = {"size": IntDistribution(0, 3)}
BEGAN = datetime(2025, 10, 26, 0, 30, 0, 123456, tzinfo=UTC)  # an hour of which is two in Europe


def trial(number: int, state: str, *values: float, **params: Any) -> TrialRecord:
    """Return a trial of another program, which took a second."""
    return TrialRecord(
        number=number,
        trial_id=number,
        state=TrialState[state],
        values=values,
        params=params,
        distributions={name: RANGES[name] for name in params},
        intermediate_values={},
        user_attrs={},
        other_attrs={attrs.SEED: "none", "text": "Ü", "list": [1, {"2": None}]},
        started=BEGAN,
        completed=BEGAN + timedelta(seconds=1),
    )


TRIALS = (
    replace(trial(0, "COMPLETE", 0.5, -inf, rate=1e-3, kind=True), constraints={"0": -1.0}),
    replace(trial(1, "PRUNED", size=7), intermediate_values={10: inf, 2000: -0.5}),
    replace(trial(2, "COMPLETE", 1e-300, 7.0, kind=16), constraints={"a": 0.5, "0": 0.0}),
    replace(trial(3, "RUNNING", size=3), completed=None, distributions=NARROW),
    replace(trial(4, "WAITING"), started=None, completed=None),
    replace(trial(5, "FAIL"), started=None, completed=None),
)
FOREIGN = StudyRecord(
    name="",
    directions=("minimize", "maximize"),
    user_attrs={},
    other_attrs={"from": "afar"},
    metric_names=("error", "gain"),
    trials=TRIALS,
)


def test_all_is_kept(shared_storage: BaseStorage, shared_place: str) -> None:
    """A study reads like what was given, times and ranges of each trial too; its name is taken."""
    given = replace(FOREIGN, name=str(uuid4()))
    insert_study(shared_storage, given)
    with opened(shared_place) as storage:
        record = load_study_record(storage, given.name)
        names = optuna.load_study(study_name=given.name, storage=storage).metric_names
    assert names == list(given.metric_names)
    keys = [found.trial_id for found in record.trials]
    wanted = (replace(t, trial_id=key) for t, key in zip(given.trials, keys, strict=True))
    assert record == replace(given, trials=tuple(wanted))
    taken = rf"^There is a study named '{given.name}' already\.$"
    with pytest.raises(StorageAccessError, match=taken):
        insert_study(shared_storage, replace(given, trials=()))
    assert load_study_record(shared_storage, given.name) == record


def test_all_or_nothing(shared_storage: BaseStorage) -> None:
    """A study with a value that cannot be stored is not stored at all; a large one is."""
    wrong: Any = ("high", 0.5)
    before = study_names(shared_storage)
    trials = (*TRIALS, replace(trial(6, "COMPLETE"), values=wrong))
    with pytest.raises(StorageInternalError):
        insert_study(shared_storage, replace(FOREIGN, name="wrong", trials=trials))
    assert study_names(shared_storage) == before
    large = replace(trial(0, "COMPLETE", 0.5, 1.0), other_attrs={"curve": "x" * 100_000})
    trials = tuple(replace(large, number=i) for i in range(50))
    insert_study(shared_storage, replace(FOREIGN, name="large", trials=trials))
    assert len(load_study_record(shared_storage, "large").complete) == 50
