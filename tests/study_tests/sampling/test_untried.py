"""Points that were tried are not suggested again, as long as there are others."""

import threading
from collections.abc import Sequence
from itertools import product

import optuna
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from search_spaces import SearchSpace
from search_spaces.base import Parameter
from storage import attrs
from study.sampling.names import make_sampler, suggest_untried
from tests.servers import opened

N_STARTUP = 10
"""Trials that adaptive samplers draw independently."""

BRANCHES = {"b": ("x", "y"), "c": ("z",)}
N_VALUES = 4

Point = tuple[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database for all tests."""
    return f"sqlite:///{tmp_path_factory.mktemp('untried') / 'study.db'}"


def suggest(trial: optuna.Trial, branches: Sequence[str]) -> Point:
    """Suggest a point of a space of few points; one parameter has a single value."""
    branch = trial.suggest_categorical("branch", branches)
    trial.suggest_categorical("fixed", ["so"])
    return branch, tuple(trial.suggest_int(name, 1, N_VALUES) for name in BRANCHES[branch])


@pytest.mark.parametrize(
    # The Gaussian process only models parameters that every point has.
    ("name", "branches", "state"),
    [
        ("tpe", "bc", TrialState.COMPLETE),
        ("tpe", "bc", TrialState.PRUNED),
        ("tpe", "bc", TrialState.RUNNING),
        ("gp", "b", TrialState.COMPLETE),
    ],
)
def test_no_point_twice(name: str, branches: str, state: TrialState) -> None:
    """Behind the first trials each one has a new point, until all have been tried."""
    whole = {
        (branch, numbers)
        for branch in branches
        for numbers in product(range(1, N_VALUES + 1), repeat=len(BRANCHES[branch]))
    }
    study = optuna.create_study()
    points: list[Point] = []
    while len(set(points)) < len(whole):
        assert len(points) < N_STARTUP + len(whole)
        study.sampler = make_sampler(name, seed=len(points), params={})
        trial = study.ask()
        branch, numbers = point = suggest(trial, [*branches])
        assert len(points) < N_STARTUP or point not in points
        value = sum(numbers) + (10 if branch == "c" else 0)
        trial.report(value, step=0)
        if len(points) < N_STARTUP or state == TrialState.COMPLETE:
            study.tell(trial, value)
        elif state.is_finished():
            study.tell(trial, state=state)
        points.append(point)
    assert set(points) == whole
    suggest(study.ask(), [*branches])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_continuous_spaces_are_searched_as_ever() -> None:
    """Where no point comes twice, the other sampler's suggestions are taken."""

    def searched(*, wrapped: bool) -> list[dict[str, float]]:
        study = optuna.create_study()
        for seed in range(20):
            study.sampler = (
                make_sampler("tpe", seed=seed, params={})
                if wrapped
                else TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
            )
            trial = study.ask()
            study.tell(trial, abs(trial.suggest_float("x", -1, 1) - 0.3))
        return [trial.params for trial in study.get_trials()]

    assert searched(wrapped=True) == searched(wrapped=False)


def small_space(n_choices: int, n_numbers: int) -> SearchSpace:
    """Return a space of few points, in which some parameters depend on another."""
    choices = {"branch": ["a", "b"], "fixed": [1, 2], "choice": [*range(n_choices)]}
    branch, fixed, choice = (
        Parameter(
            name=name,
            distribution=CategoricalDistribution(own),
            when={"branch": ("b",)} if name == "choice" else {},
        )
        for name, own in choices.items()
    )
    number = Parameter(
        name="number", distribution=IntDistribution(1, n_numbers), when={"branch": ("b",)}
    )
    return SearchSpace(name="small", parameters=(branch, fixed, choice, number))


def suggest_new(study: optuna.Study, space: SearchSpace, **user_attrs: int) -> optuna.Trial:
    """Begin a trial as a worker does; return it with its point."""
    frozen = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=user_attrs)
    trial_id = study._storage.create_new_trial(study._study_id, template_trial=frozen)
    study.sampler = make_sampler("tpe", seed=trial_id, params={})
    trial, params = suggest_untried(
        optuna.Trial(study, trial_id), space, {"fixed": 1}, seed=trial_id
    )
    assert params == trial.params == study._storage.get_trial(trial_id).params
    return trial


@pytest.mark.whole
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    ends=st.lists(st.sampled_from(TrialState), min_size=10, max_size=10),
)
@hypothesis_settings(max_examples=8)
def test_every_trial_has_a_new_point(
    url: str, sizes: tuple[int, int], ends: list[TrialState]
) -> None:
    """From the first one on, whether the others run or how they ended, until all were tried."""
    space = small_space(*sizes)
    whole = list(space.grid({"fixed": 1}))
    with opened(url, create=True, write=True) as storage:
        study = optuna.create_study(storage=storage)
        found = []
        for end, _ in zip(ends, whole, strict=False):
            trial = suggest_new(study, space)
            found.append(trial.params)
            if end == TrialState.COMPLETE:
                study.tell(trial, 0.5)
            elif end.is_finished():
                study.tell(trial, state=end)
        assert sorted(map(str, found)) == sorted(map(str, whole))
        assert suggest_new(study, space).params in whole  # there is nothing new
        assert suggest_new(study, space, **{attrs.REPLICATE: 1}).params in whole


def test_workers_that_choose_at_one_moment(url: str) -> None:
    """Workers that know nothing of each other's choices yet do not store the same one."""
    space = small_space(3, 3)
    together = threading.Barrier(5)
    with opened(url, create=True, write=True) as storage:
        study = optuna.create_study(storage=storage)

        def work() -> None:
            with opened(url, write=True) as storage:
                own = optuna.load_study(study_name=study.study_name, storage=storage)
                for _ in range(2):
                    together.wait()
                    suggest_new(own, space)

        workers = [threading.Thread(target=work) for _ in range(5)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        points = [tuple(trial.params.items()) for trial in study.get_trials()]
    assert len(set(points)) == len(points) == 10
