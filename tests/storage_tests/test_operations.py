"""Two commands at one moment: what a study stores about itself holds what both asked for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from storage import attrs, operations
from storage.served import perform
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


def test_two_requests(database: str) -> None:
    """Of two requests the larger one remains, whoever comes first, with its own target."""
    with opened(database, create=True, write=True) as storage:
        for n in range(N_ROUNDS):
            study = optuna.create_study(storage=storage, study_name=f"s{n}")

            def ask(n_trials: int, study_id: int = study._study_id) -> Callable[..., Any]:
                arguments = {"n_trials": n_trials, "in_all": False, "replicate": 0}
                return lambda opened: perform(
                    opened, operations.request, study_id=study_id, **arguments
                )

            targets = at_once(database, ask(5), ask(20))
            assert targets[1] == 20
            assert study.user_attrs[attrs.TARGET] == study.user_attrs[attrs.REQUEST] == 20


def test_two_designs(database: str) -> None:
    """Two runs that begin at once queue a failed point of a grid once."""
    failed = {attrs.DESIGN_INDEX: 0, attrs.FAILURE: "OSError: disk full"}
    with opened(database, create=True, write=True) as storage:
        for n in range(N_ROUNDS):
            study = optuna.create_study(storage=storage, study_name=f"s{n}")
            study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL, user_attrs=failed))
            arguments = {"study_id": study._study_id, "replicate": 0, "end": 8}
            start = [lambda opened, own=arguments: perform(opened, operations.start_design, **own)]
            at_once(database, *start * 2)
            assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]
            assert study.trials[1].user_attrs == {attrs.DESIGN_INDEX: 0, attrs.RETRY_OF: 0}


def test_two_creations(database: str) -> None:
    """Of two that create a study one does, with its attributes and its first trials."""
    created = {
        "directions": ["MINIMIZE", "MAXIMIZE"],
        "metrics": ["error", "accuracy"],
        "waiting": [({"x": 0.5}, {"mark": 1})],
    }
    with opened(database, create=True, write=True) as storage:
        for n in range(N_ROUNDS):

            def create(who: int, name: str = f"s{n}") -> Callable[..., Any]:
                return lambda opened: perform(
                    opened, operations.create_study, name=name, user_attrs={"by": who}, **created
                )

            answers = at_once(database, create(0), create(1))
            assert sorted(answers) == [False, True]
            study = optuna.load_study(study_name=f"s{n}", storage=storage)
            assert study.user_attrs == {"by": answers.index(True)}
            assert study.directions == [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
            assert study.metric_names == ["error", "accuracy"]
            (trial,) = study.trials
            assert (trial.state, trial.user_attrs) == (TrialState.WAITING, {"mark": 1})
            assert trial.system_attrs == {operations.FIXED_PARAMS: {"x": 0.5}}


def test_two_experiments(database: str) -> None:
    """Of two that extend an experiment the one with more pairs remains; arms never change."""

    def experiment(n_pairs: int, arm: str = "a") -> dict[str, Any]:
        sides = {"group": ["tvx"] * n_pairs}
        return {"name": "e", "arms": [{"name": arm, "params": {}}], "sides": sides}

    with ExitStack() as stack:
        storage = stack.enter_context(opened(database, create=True, write=True))
        study = optuna.create_study(storage=storage)

        def extend(*given: Any) -> Callable[..., Any]:
            return lambda opened: perform(
                opened,
                operations.extend_experiment,
                study_id=study._study_id,
                experiment=experiment(*given),
            )

        for n in range(1, N_ROUNDS):
            stored = at_once(database, extend(n), extend(2 * n))
            assert stored[1] == study.user_attrs[attrs.EXPERIMENT] == experiment(2 * n)
        assert extend(99, "b")(storage) == experiment(2 * n)
