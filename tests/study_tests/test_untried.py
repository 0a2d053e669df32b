"""Points that were tried are not suggested again, as long as there are others."""

from collections.abc import Sequence
from itertools import product

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from study.samplers import make_sampler

N_STARTUP = 10
"""Trials that adaptive samplers draw independently."""

BRANCHES = {"b": ("x", "y"), "c": ("z",)}
N_VALUES = 4


Point = tuple[str, tuple[int, ...]]


def suggest(trial: optuna.Trial, branches: Sequence[str] = tuple(BRANCHES)) -> Point:
    """Suggest a point of a space of few points; one parameter has a single value."""
    branch = trial.suggest_categorical("branch", branches)
    trial.suggest_categorical("fixed", ["so"])
    return branch, tuple(trial.suggest_int(name, 1, N_VALUES) for name in BRANCHES[branch])


def value(point: Point) -> float:
    """Return an error that an adaptive sampler soon finds the lowest of."""
    branch, numbers = point
    return sum(numbers) + (10 if branch == "c" else 0)


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED])
@pytest.mark.parametrize(
    # The Gaussian process only models parameters that every point has.
    ("name", "branches"),
    [("tpe", ("b", "c")), ("tpe", ("b",)), ("gp", ("b",))],
)
def test_no_point_twice(name: str, branches: Sequence[str], state: TrialState) -> None:
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
        point = suggest(trial, branches)
        assert len(points) < N_STARTUP or point not in points
        trial.report(value(point), step=0)
        # Some must be complete for the Gaussian process to begin.
        own = TrialState.COMPLETE if len(points) < N_STARTUP else state
        study.tell(trial, value(point) if own == TrialState.COMPLETE else None, state=own)
        points.append(point)
    assert set(points) == whole
    suggest(study.ask(), branches)


def test_points_of_running_trials_count() -> None:
    """A worker does not begin what another one is training."""
    study = optuna.create_study()
    for number in range(N_STARTUP):
        study.sampler = make_sampler("tpe", seed=number, params={})
        trial = study.ask()
        study.tell(trial, value(suggest(trial)))
    points = {tuple(trial.params.values()) for trial in study.get_trials()}
    for number in range(5):
        study.sampler = make_sampler("tpe", seed=0, params={})
        trial = study.ask()
        suggest(trial)
        assert tuple(trial.params.values()) not in points, number
        points.add(tuple(trial.params.values()))


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
