"""Studies that were run elsewhere: stored whole or not at all, wherever the database is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from storage import attrs
from storage.errors import StorageAccessError
from storage.importing import insert_study
from storage.records import load_study_record, study_names
from tests.servers import opened

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


TRIALS = [trial(0.5, rate=1e-3, kind=True), trial(None), trial(1e-300, size=64, kind="linear")]


def test_all_is_kept(place: str) -> None:
    """A study reads like what was given, in its order, and as of now."""
    began = datetime.now(UTC)
    with opened(place, create=True, write=True) as storage:
        insert_study(storage, "old", TRIALS, user_attrs={"from": "afar"}, metric="error")
    with opened(place) as storage:
        record = load_study_record(storage, "old")
        names = storage.get_all_studies()[0].system_attrs
    assert record.user_attrs == {"from": "afar"}
    assert record.directions == ("minimize",)
    assert names == {"study:metric_names": ["error"]}
    assert [t.number for t in record.trials] == [0, 1, 2]
    for stored, given in zip(record.trials, TRIALS, strict=True):
        assert (stored.state, stored.value, stored.params) == (
            given.state,
            given.value,
            given.params,
        )
        assert (stored.distributions, stored.user_attrs) == (given.distributions, given.user_attrs)
        for moment in (stored.started, stored.completed):
            assert moment is not None
            assert began - timedelta(seconds=1) < moment < datetime.now(UTC)


def test_a_name_that_is_taken(place: str) -> None:
    """A study of that name stays as it is, which is said in one line."""
    with opened(place, create=True, write=True) as storage:
        insert_study(storage, "old", TRIALS, user_attrs={}, metric="error")
        before = load_study_record(storage, "old")
        with pytest.raises(StorageAccessError, match=r"^There is a study named 'old' already\.$"):
            insert_study(storage, "old", TRIALS[:1], user_attrs={"new": 1}, metric="other")
        assert load_study_record(storage, "old") == before


def test_all_or_nothing(place: str) -> None:
    """A study of which one value cannot be stored is not stored at all."""
    wrong = trial(0.5)
    wrong.values = [0.5, "high"]  # type: ignore[list-item]
    with opened(place, create=True, write=True) as storage:
        with pytest.raises(StorageInternalError):
            insert_study(storage, "old", [*TRIALS, wrong], user_attrs={}, metric="error")
        assert study_names(storage) == []


def test_a_large_table(place: str) -> None:
    """More than gRPC takes by default, which are four million bytes."""
    large = [trial(0.5, size=2)] * 50
    for given in large:
        given.user_attrs["curve"] = "x" * 100_000
    with opened(place, create=True, write=True) as storage:
        insert_study(storage, "old", large, user_attrs={}, metric="error")
        assert len(load_study_record(storage, "old").complete) == len(large)


def test_there_must_be_a_database() -> None:
    """What a process has in memory is no database."""
    with pytest.raises(StorageAccessError, match="need a database, which a InMemoryStorage"):
        insert_study(InMemoryStorage(), "old", TRIALS, user_attrs={}, metric="error")
