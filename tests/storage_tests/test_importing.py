"""Studies that were run elsewhere: stored whole or not at all, wherever the database is."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from storage import attrs
from storage.errors import StorageAccessError
from storage.importing import insert_study
from storage.records import load_study_record, study_names
from tests.servers import opened
from tests.storage_tests.test_records import OURS

RANGES = {
    "rate": FloatDistribution(1e-5, 1.0, log=True),
    "size": IntDistribution(2, 64),
    "kind": CategoricalDistribution(["linear", 16, 0.5, True]),
}


def trial(value: float | None, **params: Any) -> FrozenTrial:
    """Return a trial that has ended, in a failure if it has no value."""
    return create_trial(
        state=TrialState.FAIL if value is None else TrialState.COMPLETE,
        value=value,
        params=params,
        distributions={name: RANGES[name] for name in params},
        user_attrs={attrs.MEASURED_ON: "test", "text": "Ü", "list": [1, 2]},
    )


ERROR = {"error": "minimize"}
TRIALS = [trial(0.5, rate=1e-3, kind=True), trial(None), trial(1e-300, size=64, kind="linear")]


def test_all_is_kept(shared_storage: BaseStorage, shared_place: str) -> None:
    """A study reads like what was given, in its order, as of now; its name is taken then."""
    began, name, own = datetime.now(UTC), str(uuid4()), {attrs.SETTINGS: OURS, "from": "afar"}
    insert_study(shared_storage, name, TRIALS, user_attrs=own, objectives=ERROR)
    with opened(shared_place) as storage:
        record = load_study_record(storage, name)
        assert optuna.load_study(study_name=name, storage=storage).metric_names == ["error"]
    assert (record.user_attrs, record.directions) == (own, ("minimize",))
    assert [t.number for t in record.trials] == [0, 1, 2]
    for stored, given in zip(record.trials, TRIALS, strict=True):
        for field in ("state", "value", "params", "distributions", "user_attrs"):
            assert getattr(stored, field) == getattr(given, field)
        for moment in (stored.started, stored.completed):
            assert began - timedelta(seconds=1) < moment < datetime.now(UTC)
    with pytest.raises(StorageAccessError, match=rf"^There is a study named '{name}' already\.$"):
        insert_study(shared_storage, name, TRIALS[:1], user_attrs={"new": 1}, objectives=ERROR)
    assert load_study_record(shared_storage, name) == record


def test_all_or_nothing(shared_storage: BaseStorage) -> None:
    """A study of which one value cannot be stored is not stored at all; a large one is.

    That is more than gRPC takes by default, which are four million bytes.
    """
    wrong, before = trial(0.5), study_names(shared_storage)
    wrong.values = [0.5, "high"]  # type: ignore[list-item]
    with pytest.raises(StorageInternalError):
        insert_study(shared_storage, "wrong", [*TRIALS, wrong], user_attrs={}, objectives=ERROR)
    assert study_names(shared_storage) == before
    large = [trial(0.5, size=2)] * 50
    large[0].user_attrs["curve"] = "x" * 100_000
    insert_study(shared_storage, "large", large, user_attrs={}, objectives=ERROR)
    assert len(load_study_record(shared_storage, "large").complete) == 50
