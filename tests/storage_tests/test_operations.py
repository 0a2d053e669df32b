"""What workers do to a study: the same on a file, on a server, and behind gRPC.

Also by several of them at one moment: then a study holds what all of them asked for.
"""

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from storage import attrs, operations, queue
from storage.internals import key_of, live_trial, storage_of, trial_key
from storage.records import load_study_record
from storage.served import perform
from storage.writing import Reports, suggesting, write_trial
from tests.servers import opened

N_ROUNDS = 8
"""Races that are run; of one that is not held together by a transaction most go wrong."""


def at_once(url: str, *commands: Callable[[BaseStorage], Any]) -> list[Any]:
    """Run commands at one moment, each with connections of its own; return what they return."""
    barrier = Barrier(len(commands))

    def run(command: Callable[[BaseStorage], Any]) -> Any:
        with opened(url, write=True) as storage:
            storage.get_all_studies()  # connected
            barrier.wait()
            return command(storage)

    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(run, commands))


@pytest.fixture
def study(place: str) -> Iterator[optuna.Study]:
    """A study that wants ten trials of an endless design."""
    with opened(place, create=True, write=True) as storage:
        study = optuna.create_study(storage=storage, study_name="study")
        study.set_user_attr(attrs.TARGET, 10)
        perform(storage, operations.start_design, study_id=key_of(study), replicate=0, end=None)
        yield study


def claim(study: optuna.Study) -> optuna.Trial:
    """Claim a trial, of which there must be one."""
    claimed = queue.claim(study)
    assert isinstance(claimed, FrozenTrial), claimed
    return live_trial(study, claimed)


def test_the_contract_holds_for_all() -> None:
    """Every operation can be asked for by its name, and takes a database first of all."""
    for name, operation in operations.OPERATIONS.items():
        assert getattr(operations, name) is operation
        assert next(iter(inspect.signature(operation).parameters)) == "backend"


def test_a_trial_from_claim_to_end(study: optuna.Study, place: str) -> None:
    """Others read of a trial all that was claimed, written and finished."""
    trial = claim(study)
    with suggesting(trial):
        assert trial.suggest_float("x", 0, 1) == trial.params["x"]
    write_trial(trial, user_attrs={"text": "Ü", "list": [1, 2]}, intermediate_values={0: 0.5})
    reports = Reports(trial)
    for step, value in ((1, 0.25), (2, float("inf"))):
        reports.add(value, step=step)
    reports.flush()
    study.tell(trial, 0.25)
    with opened(place) as storage:
        (stored,) = load_study_record(storage, "study").trials
    assert (stored.state, stored.value, stored.params) == (
        TrialState.COMPLETE,
        0.25,
        trial.params,
    )
    assert stored.intermediate_values == {0: 0.5, 1: 0.25, 2: float("inf")}
    assert stored.user_attrs == {
        "text": "Ü",
        "list": [1, 2],
        attrs.DESIGN_INDEX: 0,
        attrs.WORKER: queue.worker_id(),
    }


def test_failures(study: optuna.Study) -> None:
    """A trial is failed once, and queued again as long as its cause allows that."""
    first = trial_key(claim(study))
    assert queue.fail(study, first, "disk full", queue.Cause.ERROR)
    assert not queue.fail(study, first, "again", queue.Cause.ERROR)
    second = claim(study)
    assert second.user_attrs[attrs.RETRY_OF] == 0
    assert queue.fail(study, trial_key(second), None, queue.Cause.CONFIGURATION)
    failed = study.get_trials()
    assert [trial.state for trial in failed] == [TrialState.FAIL] * 2
    assert failed[0].user_attrs[attrs.FAILURE] == "disk full"


def test_the_end_of_a_budget(study: optuna.Study) -> None:
    """Why there is nothing to claim is told."""
    study.set_user_attr(attrs.TARGET, 1)
    mine = claim(study)
    arguments = {"study_id": key_of(study), "worker": "elsewhere:1"}
    assert perform(storage_of(study), operations.claim, **arguments) == operations.Empty.BUSY
    study.tell(mine, 0.5)
    assert queue.claim(study) is queue.Empty.DONE


def test_heartbeats(study: optuna.Study) -> None:
    """A claim is a heartbeat, and each later one ends a silence; whoever is not silent lives."""
    trial = claim(study)
    trial.set_user_attr(attrs.WORKER, "elsewhere:1")
    time.sleep(1.1)  # servers of databases count whole seconds
    (before,) = queue.silences(storage_of(study), key_of(study)).items()
    perform(storage_of(study), operations.beat, trial_id=trial_key(trial))
    (after,) = queue.silences(storage_of(study), key_of(study)).items()
    assert before[0] == after[0] == trial_key(trial)
    assert 0 <= after[1] < before[1] < queue.GRACE_PERIOD_S
    assert queue.reap(study) == 0


def test_ended_trials(study: optuna.Study) -> None:
    """Writing to a trial that has ended, or a heartbeat of it, is an error and stores nothing."""
    trial = claim(study)
    study.tell(trial, 0.5)
    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        write_trial(trial, user_attrs={"late": 1})
    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        perform(storage_of(study), operations.beat, trial_id=trial_key(trial))
    assert "late" not in study.get_trials()[0].user_attrs


def test_unknown_keys(study: optuna.Study) -> None:
    """A trial or a study that does not exist is a KeyError, as Optuna's storages have it."""
    storage = storage_of(study)
    with pytest.raises(KeyError):
        perform(storage, operations.write, trial_id=99, user_attrs={"late": 1})
    with pytest.raises(KeyError):
        perform(storage, operations.claim, study_id=99, worker="elsewhere:1")


def test_several_workers(study: optuna.Study, place: str) -> None:
    """Workers that claim at one moment never get the same trial, and no more than are wanted."""

    def work(number: int, storage: BaseStorage) -> list[int]:
        claimed = []
        own = {"study_id": key_of(study), "worker": f"host:{number}"}
        while isinstance(trial_id := perform(storage, operations.claim, **own), int):
            claimed.append(trial_id)
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
        return claimed

    claimed = at_once(place, *(functools.partial(work, number) for number in range(4)))
    assert len({trial_id for one in claimed for trial_id in one}) == sum(map(len, claimed)) == 10
    indices = [trial.user_attrs[attrs.DESIGN_INDEX] for trial in study.get_trials()]
    assert indices == list(range(10))


def test_two_requests(place: str) -> None:
    """Of two requests the larger one remains, whoever comes first, with its own target."""
    with opened(place, create=True, write=True) as storage:
        for n in range(N_ROUNDS):
            study = optuna.create_study(storage=storage, study_name=f"s{n}")

            def ask(n_trials: int, study_id: int = key_of(study)) -> Callable[..., Any]:
                arguments = {"n_trials": n_trials, "in_all": False, "replicate": 0}
                return lambda opened: perform(
                    opened, operations.request, study_id=study_id, **arguments
                )

            targets = at_once(place, ask(5), ask(20))
            assert targets[1] == 20
            assert study.user_attrs[attrs.TARGET] == study.user_attrs[attrs.REQUEST] == 20


def test_two_designs(place: str) -> None:
    """Two runs that begin at once queue a failed point of a grid once."""
    failed = {attrs.DESIGN_INDEX: 0, attrs.FAILURE: "OSError: disk full"}
    with opened(place, create=True, write=True) as storage:
        for n in range(N_ROUNDS):
            study = optuna.create_study(storage=storage, study_name=f"s{n}")
            study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL, user_attrs=failed))
            arguments = {"study_id": key_of(study), "replicate": 0, "end": 8}
            start = [lambda opened, own=arguments: perform(opened, operations.start_design, **own)]
            at_once(place, *start * 2)
            assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]
            assert study.trials[1].user_attrs == {attrs.DESIGN_INDEX: 0, attrs.RETRY_OF: 0}


def test_two_creations(place: str) -> None:
    """Of two that create a study one does, with its attributes and its first trials."""
    created = {
        "directions": ["MINIMIZE", "MAXIMIZE"],
        "metrics": ["error", "accuracy"],
        "waiting": [({"x": 0.5}, {"mark": 1})],
    }
    with opened(place, create=True, write=True) as storage:
        for n in range(N_ROUNDS):

            def create(who: int, name: str = f"s{n}") -> Callable[..., Any]:
                return lambda opened: perform(
                    opened, operations.create_study, name=name, user_attrs={"by": who}, **created
                )

            answers = at_once(place, create(0), create(1))
            assert sorted(answers) == [False, True]
            study = optuna.load_study(study_name=f"s{n}", storage=storage)
            assert study.user_attrs == {"by": answers.index(True)}
            assert study.directions == [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
            assert study.metric_names == ["error", "accuracy"]
            (trial,) = study.trials
            assert (trial.state, trial.user_attrs) == (TrialState.WAITING, {"mark": 1})
            assert trial.system_attrs == {operations.FIXED_PARAMS: {"x": 0.5}}


def test_two_experiments(place: str) -> None:
    """Of two that extend an experiment the one with more pairs remains; arms never change."""

    def experiment(n_pairs: int, arm: str = "a") -> dict[str, Any]:
        sides = {"group": ["tvx"] * n_pairs}
        return {"name": "e", "arms": [{"name": arm, "params": {}}], "sides": sides}

    with ExitStack() as stack:
        storage = stack.enter_context(opened(place, create=True, write=True))
        study = optuna.create_study(storage=storage)

        def extend(*given: Any) -> Callable[..., Any]:
            return lambda opened: perform(
                opened,
                operations.extend_experiment,
                study_id=key_of(study),
                experiment=experiment(*given),
            )

        for n in range(1, N_ROUNDS):
            stored = at_once(place, extend(n), extend(2 * n))
            assert stored[1] == study.user_attrs[attrs.EXPERIMENT] == experiment(2 * n)
        assert extend(99, "b")(storage) == experiment(2 * n)
