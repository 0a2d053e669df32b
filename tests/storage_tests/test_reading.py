"""Reading by columns: what comes out is what Optuna reads, trial by trial, field by field."""

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial

from storage.internals import key_of, trial_key
from storage.rdb import open_storage
from storage.records import load_study_record
from tests.conftest import new_url
from tests.servers import close_storage, opened
from tests.study_tests.foreign import make_study

KINDS = ("sqlite", "postgresql")


def fields(trials: Iterator[FrozenTrial] | list[FrozenTrial]) -> list[str]:
    """Return all that trials hold as texts, in which what is not a number equals itself."""
    return [
        repr({name: in_order(value) for name, value in sorted(vars(trial).items())})
        for trial in trials
    ]


def in_order(value: object) -> object:
    """Return a mapping by its keys, for Optuna promises no order of attributes and reports."""
    items = value.items() if isinstance(value, dict) else None
    return value if items is None else sorted(items, key=lambda item: str(item[0]))


@contextmanager
def closing_later(url: str) -> Iterator[RDBStorage]:
    """Open a database as Optuna does; close its connections at the end of the block."""
    storage = RDBStorage(url, skip_table_creation=True)
    try:
        yield storage
    finally:
        close_storage(storage)


def check_equal(url: str, first: int, n_studies: int) -> None:
    """Compare what both read of random studies: of whole ones, of single trials, and later on."""
    with opened(url, create=True, write=True) as storage, closing_later(url) as optunas:
        studies = [make_study(storage, seed) for seed in range(first, first + n_studies)]
        for study in studies:
            key = key_of(study)
            theirs = optunas.get_all_trials(key, deepcopy=False)
            assert fields(storage.get_all_trials(key, deepcopy=False)) == fields(theirs)
            with opened(url) as anew:
                assert fields(anew.get_all_trials(key)) == fields(theirs)
            ours = (storage.get_trial(trial_key(trial)) for trial in theirs)
            assert fields(ours) == fields(theirs)
            check_later(storage, optunas, study)


def check_later(storage: BaseStorage, optunas: RDBStorage, study: optuna.Study) -> None:
    """Compare what both read of a study that was read before and goes on."""
    key, before = key_of(study), load_study_record(storage, study.study_name)
    number = storage.get_trial(storage.create_new_trial(key)).number
    for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING])[:2]:
        storage.set_trial_state_values(trial_key(trial), optuna.trial.TrialState.FAIL)
    storage.create_new_trial(key)
    theirs = optunas.get_all_trials(key, deepcopy=False)
    assert len(theirs) == number + 2
    assert fields(storage.get_all_trials(key)) == fields(theirs)
    later = load_study_record(storage, study.study_name, known=before)
    assert repr(later) == repr(load_study_record(storage, study.study_name))
    whole = load_study_record(storage, study.study_name)
    short = load_study_record(storage, study.study_name, finished_reports=False)
    for trial, same in zip(short.trials, whole.trials, strict=True):
        kept = {} if trial.state.is_finished() else same.intermediate_values
        assert repr(trial.intermediate_values) == repr(kept)


@pytest.mark.parametrize("kind", KINDS)
def test_as_optuna_reads(kind: str, request: pytest.FixtureRequest) -> None:
    """Thirty studies of all that Optuna stores, seldom seen things among it."""
    check_equal(new_url(kind, request), 0, 15)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_as_optuna_reads(kind: str, request: pytest.FixtureRequest) -> None:
    """A thousand of them."""
    check_equal(new_url(kind, request), 100, 500)


def test_unknown_trial(url: str) -> None:
    """A key that no trial has is a KeyError, as Optuna's is."""
    storage = open_storage(url, create=True, write=True)
    with pytest.raises(KeyError, match="Record does not exist"):
        storage.get_trial(1)
