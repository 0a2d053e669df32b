"""What workers do to a study: the same on a file, on a server, and behind gRPC.

Also by several of them at one moment: then a study holds what all of them asked for.
"""

import functools
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState, create_trial

from storage import attrs, operations
from storage.errors import StorageAccessError
from storage.internals import key_of, storage_of
from storage.records import count, load_summaries
from storage.served import perform
from storage.values import Arm, Experiment
from tests.servers import at_once
from tests.study_tests.synthetic import SETTINGS

N_ROUNDS = 4
"""Races that are run; of one that is not held together by a transaction most go wrong."""


def asking(operation: Callable[..., Any], **arguments: Any) -> Callable[[BaseStorage], Any]:
    """Return a command for ``at_once``."""
    return lambda storage: perform(storage, operation, **arguments)


@pytest.fixture
def study(shared_storage: BaseStorage) -> optuna.Study:
    """A study that wants ten trials of an endless design."""
    study = optuna.create_study(storage=shared_storage)
    study.set_user_attr(attrs.TARGET, 10)
    perform(shared_storage, operations.start_design, study_id=key_of(study), replicate=0, end=None)
    return study


def test_unknown_keys(shared_storage: BaseStorage) -> None:
    """A trial or study that does not exist is a KeyError; what is in memory is no database."""
    with pytest.raises(KeyError):
        perform(shared_storage, operations.write, trial_id=9999, user_attrs={"late": 1})
    with pytest.raises(KeyError):
        perform(shared_storage, operations.claim, study_id=9999, worker="elsewhere:1")
    with pytest.raises(StorageAccessError, match=r"^This needs a database, .* is not\.$"):
        perform(InMemoryStorage(), operations.claim, study_id=0, worker="elsewhere:1")


def test_overview(shared_storage: BaseStorage) -> None:
    """A list tells of studies without their trials; the best is one that keeps the constraint."""
    study = optuna.create_study(storage=shared_storage, direction="maximize")
    study.set_user_attr(attrs.SETTINGS, SETTINGS)
    for value, own in ((0.1, {}), (0.3, {attrs.INFEASIBLE: True}), (0.2, {})):
        study.add_trial(create_trial(value=value, user_attrs=own))
    study.enqueue_trial({})
    (found,) = (s for s in load_summaries(shared_storage) if s.study_id == key_of(study))
    assert (found.user_attrs, found.best.values) == (study.user_attrs, (0.2,))
    assert found.progress == count(study.trials)


def test_several_workers(study: optuna.Study, shared_place: str) -> None:
    """Workers that claim at one moment never get the same trial, and no more than are wanted."""

    def work(number: int, storage: BaseStorage) -> list[int]:
        claimed = []
        own = {"study_id": key_of(study), "worker": f"host:{number}"}
        while isinstance(trial_id := perform(storage, operations.claim, **own), int):
            claimed.append(trial_id)
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
        return claimed

    (claimed,) = at_once(shared_place, [functools.partial(work, n) for n in range(4)])
    assert len({trial_id for one in claimed for trial_id in one}) == sum(map(len, claimed)) == 10
    indices = [trial.user_attrs[attrs.DESIGN_INDEX] for trial in study.get_trials()]
    assert indices == list(range(10))


def test_two_requests_and_designs(shared_storage: BaseStorage, shared_place: str) -> None:
    """Of two requests the larger one remains; a failed point of a grid is queued once."""
    failed = {attrs.DESIGN_INDEX: 0, attrs.FAILURE: "OSError: disk full"}
    studies = [optuna.create_study(storage=shared_storage) for _ in range(N_ROUNDS)]
    rounds = []
    for study in studies:
        study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL, user_attrs=failed))
        own = {"study_id": key_of(study), "replicate": 0}
        ask = functools.partial(asking, operations.request, in_all=False, **own)
        rounds.append([ask(n_trials=5), ask(n_trials=20)])
        rounds.append([asking(operations.start_design, end=8, **own)] * 2)
    targets = at_once(shared_place, *rounds)[::2]
    assert [larger for _, larger in targets] == [20] * N_ROUNDS
    for study in studies:
        assert study.user_attrs[attrs.TARGET] == study.user_attrs[attrs.REQUEST] == 20
        assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]
        assert study.trials[1].user_attrs == {attrs.DESIGN_INDEX: 0, attrs.RETRY_OF: 0}


def test_two_creations(shared_storage: BaseStorage, shared_place: str) -> None:
    """Of two that create a study one does, with its attributes and its first trials."""
    created = {"directions": ["MINIMIZE", "MAXIMIZE"], "metrics": ["error", "accuracy"]}
    created["waiting"] = [({"x": 0.5}, {"mark": 1})]
    create = functools.partial(asking, operations.create_study, **created)
    names = [str(uuid4()) for _ in range(N_ROUNDS)]
    rounds = [[create(name=name, user_attrs={"by": who}) for who in (0, 1)] for name in names]
    for name, answers in zip(names, at_once(shared_place, *rounds), strict=True):
        assert sorted(answers) == [False, True]
        study = optuna.load_study(study_name=name, storage=shared_storage)
        assert study.user_attrs == {"by": answers.index(True)}
        assert [direction.name for direction in study.directions] == created["directions"]
        assert study.metric_names == created["metrics"]
        (trial,) = study.trials
        assert (trial.state, trial.user_attrs) == (TrialState.WAITING, {"mark": 1})
        assert trial.system_attrs == {operations.FIXED_PARAMS: {"x": 0.5}}


def test_two_experiments(study: optuna.Study, shared_place: str) -> None:
    """The one with more pairs remains; neither arms nor splits of stored pairs ever change."""

    def experiment_of(n_pairs: int, arm: str = "a", split: str = "tvx") -> Experiment:
        sides = {"group": (split,) * n_pairs}
        return Experiment(name="e", question="", arms=(Arm(name=arm, params={}),), sides=sides)

    def extend(*own: Any) -> Callable[[BaseStorage], Any]:
        experiment = experiment_of(*own).to_dict()
        return asking(operations.extend_experiment, study_id=key_of(study), experiment=experiment)

    sizes = range(1, 1 + N_ROUNDS)
    answers = at_once(shared_place, *([extend(n), extend(2 * n)] for n in sizes))
    for n, (_, stored) in zip(sizes, answers, strict=True):
        assert attrs.EXPERIMENT.read(stored) == experiment_of(2 * n)
    assert attrs.EXPERIMENT.of(study) == experiment_of(2 * N_ROUNDS)
    for other in ((99, "b"), (99, "a", "xvt")):
        stored = attrs.EXPERIMENT.read(extend(*other)(storage_of(study)))
        assert stored == experiment_of(2 * N_ROUNDS)
        assert not experiment_of(*other).goes_with(stored)
