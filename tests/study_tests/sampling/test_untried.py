"""Points that were tried are not suggested again, as long as there are others."""

from collections.abc import Sequence
from itertools import cycle

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from search_spaces import SearchSpace
from search_spaces.base import Parameter
from storage import attrs
from study.sampling.names import make_sampler, suggest_untried
from tests.servers import at_once, opened

N_STARTUP = 10
"""Trials that adaptive samplers draw independently."""


@pytest.mark.parametrize(
    # The Gaussian process only models parameters that every point has.
    ("name", "branches", "state"),
    [
        ("tpe", {"b": ("x", "y"), "c": ("z",)}, TrialState.PRUNED),
        ("tpe", {"b": ("x", "y"), "c": ("z",)}, TrialState.RUNNING),
        ("gp", {"b": ("x", "y")}, TrialState.COMPLETE),
    ],
)
def test_no_point_twice(name: str, branches: dict[str, Sequence[str]], state: TrialState) -> None:
    """Behind the first trials each one has a new point, until all have been tried."""
    study, tried = optuna.create_study(), set()
    n_points = sum(4 ** len(own) for own in branches.values())
    for n in range(N_STARTUP + n_points):
        study.sampler = make_sampler(name, seed=n, params={})
        trial = study.ask()
        branch = trial.suggest_categorical("branch", [*branches])
        trial.suggest_categorical("fixed", ["so"])
        point = (branch, *(trial.suggest_int(own, 1, 4) for own in branches[branch]))
        assert n < N_STARTUP or point not in tried or len(tried) == n_points
        tried.add(point)
        end = TrialState.COMPLETE if n < N_STARTUP else state
        trial.report(sum(point[1:]), step=0)
        if end.is_finished():
            study.tell(trial, sum(point[1:]) if end == TrialState.COMPLETE else None, state=end)
    assert len(tried) == n_points


def test_numbers_of_a_step_are_equal() -> None:
    """What the Gaussian process calls 0.8999999999999999 and 0.29999999999999993 are no others."""
    study, found = optuna.create_study(), set()
    for n in range(N_STARTUP + 8):
        study.sampler = make_sampler("gp", seed=n, params={})
        trial = study.ask()
        found.add(trial.suggest_float("x", 0.0, 1.5, step=0.3))
        study.tell(trial, (trial.params["x"] - 0.2) ** 2)
    assert found == {min(0.3 * k, 1.5) for k in range(6)}


def small_space(n_choices: int, n_numbers: int) -> SearchSpace:
    """Return a space of few points, in which some parameters depend on another."""
    b = {"branch": ("b",)}
    choice, numbers = CategoricalDistribution([*range(n_choices)]), IntDistribution(1, n_numbers)
    parameters = (
        Parameter(name="branch", distribution=CategoricalDistribution(["a", "b"])),
        Parameter(name="fixed", distribution=CategoricalDistribution([1, 2])),
        Parameter(name="choice", distribution=choice, when=b),
        Parameter(name="number", distribution=numbers, when=b),
    )
    return SearchSpace(name="small", parameters=parameters)


def suggest_new(study: optuna.Study, space: SearchSpace, **user_attrs: int) -> optuna.Trial:
    """Begin a trial as a worker does; return it with its point."""
    frozen = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=user_attrs)
    key = study._storage.create_new_trial(study._study_id, template_trial=frozen)
    study.sampler = make_sampler("tpe", seed=key, params={})
    trial, params = suggest_untried(optuna.Trial(study, key), space, {"fixed": 1}, seed=key)
    assert params == trial.params == study._storage.get_trial(key).params
    return trial


def test_every_trial_has_a_new_point(url: str) -> None:
    """From the first one on, whether the others run or how they ended, until all were tried."""
    space = small_space(2, 3)
    whole = list(space.grid({"fixed": 1}))
    with opened(url, create=True, write=True) as storage:
        study = optuna.create_study(storage=storage)
        found = []
        for end, _ in zip(cycle(TrialState), whole, strict=False):
            trial = suggest_new(study, space)
            found.append(trial.params)
            if end == TrialState.COMPLETE:
                study.tell(trial, 0.5)
            elif end.is_finished():
                study.tell(trial, state=end)
        assert sorted(map(str, found)) == sorted(map(str, whole))
        assert suggest_new(study, space).params in whole  # there is nothing new
        assert suggest_new(study, space, **{attrs.REPLICATE: 1}).params in whole


# Python's own silence of warnings is one for all threads.
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_workers_that_choose_at_one_moment(url: str) -> None:
    """Workers that know nothing of each other's choices yet do not store the same one."""
    space = small_space(3, 3)
    with opened(url, create=True, write=True) as storage:
        study = optuna.create_study(storage=storage)

        def choose(storage: BaseStorage) -> None:
            suggest_new(optuna.load_study(study_name=study.study_name, storage=storage), space)

        at_once(url, *[[choose] * 5] * 2)
        points = [tuple(trial.params.items()) for trial in study.get_trials()]
    assert len(set(points)) == len(points) == 10
