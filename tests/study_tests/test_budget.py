"""The budget of a study: how many trials it still owes, and which ones."""

from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search_spaces import SearchSpaceError
from storage import attrs, queue
from storage.retry import MAX_RETRIES
from study.budget import count, failed_points, request, request_all, top_up
from study.experiments import PAIRED, Arm, Experiment
from study.settings import StudySettings

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL

GRID = {"auto_encoder": "CNN", "epoch": 2, "batch_size": 16, "learning_rate": 0.01}
"""Leaves weight decay and batch normalization: a grid of eight points."""

N_GRID = 8


@pytest.fixture
def study() -> optuna.Study:
    """An empty study."""
    return optuna.create_study()


def end(study: optuna.Study, *states: TrialState, failure: str | None = None) -> None:
    """Claim one waiting trial for each state, and end it so."""
    for state in states:
        claimed = queue.claim(study)
        assert claimed is not None
        trial = queue.start(study, claimed)
        if failure is not None:
            trial.set_user_attr(attrs.FAILURE, failure)
        study.tell(trial, 0.5 if state == COMPLETE else None, state=state)


def user_attrs(study: optuna.Study, name: str) -> list[Any]:
    """Return an attribute of every trial."""
    return [trial.user_attrs.get(name) for trial in study.get_trials()]


def fixed_params(study: optuna.Study) -> list[dict[str, Any]]:
    """Return the parameters that each trial was queued with."""
    return [trial.system_attrs["fixed_params"] for trial in study.get_trials()]


def test_count(study: optuna.Study, settings: StudySettings) -> None:
    """Trials are counted by state; complete and pruned ones are finished."""
    top_up(study, settings, 10)
    end(study, COMPLETE, COMPLETE, COMPLETE, PRUNED, PRUNED, FAIL)
    queue.claim(study)
    progress = count(study.get_trials())
    assert (progress.complete, progress.pruned, progress.failed) == (3, 2, 1)
    assert (progress.running, progress.waiting) == (1, 3)
    assert progress.finished == 5


def test_new_request_adds(study: optuna.Study, settings: StudySettings) -> None:
    """Every request after a finished one adds its trials."""
    assert request(study, 3) == 3
    top_up(study, settings, 3)
    end(study, COMPLETE, PRUNED, COMPLETE)
    assert request(study, 2) == 5
    top_up(study, settings, 5)
    end(study, COMPLETE, COMPLETE)
    assert request(study, 3) == 8


@pytest.mark.parametrize(
    ("again", "target"), [(10, 10), (1, 10), (6, 10), (9, 10), (11, 11), (15, 15)]
)
def test_interrupted_request(
    study: optuna.Study, settings: StudySettings, again: int, target: int
) -> None:
    """The same or a smaller request completes an interrupted one, a larger one extends it."""
    assert request(study, 10) == 10
    top_up(study, settings, 10)
    end(study, COMPLETE, COMPLETE, COMPLETE, COMPLETE)
    assert request(study, again) == target
    assert request(study, again) == target


def test_extended_request_is_remembered(study: optuna.Study, settings: StudySettings) -> None:
    """After an extension, the extended request is what counts as interrupted."""
    request(study, 4)
    top_up(study, settings, 4)
    end(study, COMPLETE)
    assert request(study, 6) == 6
    assert request(study, 5) == 6
    assert request(study, 4) == 6
    assert request(study, 7) == 7


def test_second_request_interrupted(study: optuna.Study, settings: StudySettings) -> None:
    """Only what the latest request asked for is compared, not the whole target."""
    request(study, 5)
    top_up(study, settings, 5)
    end(study, *[COMPLETE] * 5)
    assert request(study, 3) == 8
    assert request(study, 3) == 8
    assert request(study, 2) == 8
    assert request(study, 5) == 10


def test_failed_trials_do_not_count(study: optuna.Study, settings: StudySettings) -> None:
    """A failed trial leaves a request unfinished."""
    request(study, 2)
    top_up(study, settings, 2)
    end(study, COMPLETE, FAIL)
    assert request(study, 2) == 2
    assert top_up(study, settings, 2) == 1


def test_top_up_adaptive(study: optuna.Study, settings: StudySettings) -> None:
    """For an adaptive sampler, trials wait without parameters; only what lacks is queued."""
    tpe = replace(settings, sampler="tpe")
    assert top_up(study, tpe, 4) == 4
    assert fixed_params(study) == [{}] * 4
    assert user_attrs(study, attrs.DESIGN_INDEX) == [None] * 4
    end(study, COMPLETE, FAIL)
    queue.claim(study)
    assert top_up(study, tpe, 4) == 1
    assert top_up(study, tpe, 4) == 0
    assert top_up(study, tpe, 3) == 0
    progress = count(study.get_trials())
    assert (progress.running, progress.waiting) == (1, 2)


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_top_up_endless_design(study: optuna.Study, settings: StudySettings, sampler: str) -> None:
    """A design goes on where it was, whether asked for at once or piece by piece."""
    design = replace(settings, sampler=sampler)
    assert top_up(study, design, 3) == 3
    end(study, COMPLETE, PRUNED, COMPLETE)
    assert top_up(study, design, 4) == 1
    end(study, FAIL)
    assert top_up(study, design, 6) == 3
    assert user_attrs(study, attrs.DESIGN_INDEX) == list(range(7))
    at_once = optuna.create_study()
    top_up(at_once, design, 7)
    assert fixed_params(study) == fixed_params(at_once)
    assert all(params["epoch"] == 2 for params in fixed_params(study))
    other_seed = optuna.create_study()
    top_up(other_seed, replace(design, seed=1), 7)
    assert fixed_params(other_seed) != fixed_params(at_once)


def test_grid_ends(study: optuna.Study, settings: StudySettings) -> None:
    """A grid gives each of its points once, and no more than it has."""
    grid = replace(settings, sampler="grid", fixed=GRID)
    assert top_up(study, grid, 5) == 5
    end(study, *[COMPLETE] * 5)
    assert top_up(study, grid, 20) == N_GRID - 5
    assert top_up(study, grid, 20) == 0
    assert user_attrs(study, attrs.DESIGN_INDEX) == list(range(N_GRID))
    points = {tuple(sorted(params.items())) for params in fixed_params(study)}
    assert points == {tuple(sorted(p.items())) for p in grid.search_space.grid(GRID)}
    assert len(points) == N_GRID
    end(study, *[COMPLETE] * (N_GRID - 5))
    assert top_up(study, grid, 20) == 0


def test_continuous_space_has_no_grid(study: optuna.Study, settings: StudySettings) -> None:
    """A grid over a continuous range is refused, and queues nothing."""
    with pytest.raises(SearchSpaceError, match="extended space has no grid: `learning_rate`"):
        top_up(study, replace(settings, sampler="grid", space="extended"), 5)
    assert study.get_trials() == []


def test_failed_grid_points_are_retried(study: optuna.Study, settings: StudySettings) -> None:
    """A point of a grid that only failed is queued again, before new ones, up to a limit."""
    grid = replace(settings, sampler="grid", fixed=GRID)
    top_up(study, grid, 3)
    end(study, COMPLETE)
    end(study, FAIL, failure="OSError: disk full")
    end(study, COMPLETE)
    assert top_up(study, grid, 4) == 2
    assert user_attrs(study, attrs.DESIGN_INDEX) == [0, 1, 2, 1, 3]
    assert user_attrs(study, attrs.RETRY_OF) == [None, None, None, 1, None]
    assert fixed_params(study)[3] == fixed_params(study)[1]
    end(study, FAIL)
    end(study, COMPLETE)
    for _ in range(10):
        if top_up(study, grid, 4) == 0:
            break
        end(study, FAIL)
    attempts = [index for index in user_attrs(study, attrs.DESIGN_INDEX) if index == 1]
    assert len(attempts) == 1 + MAX_RETRIES


def test_given_up_points_make_room(study: optuna.Study, settings: StudySettings) -> None:
    """Where points are given up, others take their place as long as there are any."""
    grid = replace(settings, sampler="grid", fixed=GRID)
    while top_up(study, grid, 2):
        end(study, *[FAIL] * count(study.get_trials()).waiting)
    assert sorted(user_attrs(study, attrs.DESIGN_INDEX)) == sorted(
        list(range(N_GRID)) * (1 + MAX_RETRIES)
    )


def test_solved_points_are_not_retried(study: optuna.Study, settings: StudySettings) -> None:
    """A failure does not matter once the point has been trained, or is waiting."""
    grid = replace(settings, sampler="grid", fixed=GRID)
    top_up(study, grid, 1)
    end(study, FAIL)
    assert [trial.number for trial in failed_points(study.get_trials())] == [0]
    top_up(study, grid, 1)
    assert failed_points(study.get_trials()) == []
    end(study, PRUNED)
    assert failed_points(study.get_trials()) == []


def test_diverged_points_are_not_retried(study: optuna.Study, settings: StudySettings) -> None:
    """A training that diverged would do so again, so the next point takes its place."""
    grid = replace(settings, sampler="grid", fixed=GRID)
    top_up(study, grid, 1)
    end(study, FAIL, failure=f"{attrs.DIVERGED}: Training diverged in epoch 1")
    assert top_up(study, grid, 1) == 1
    assert user_attrs(study, attrs.DESIGN_INDEX) == [0, 1]


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_endless_designs_do_not_retry(
    study: optuna.Study, settings: StudySettings, sampler: str
) -> None:
    """Another point of an endless design is as good as a failed one."""
    design = replace(settings, sampler=sampler)
    top_up(study, design, 2)
    end(study, FAIL, COMPLETE)
    assert top_up(study, design, 2) == 1
    assert user_attrs(study, attrs.DESIGN_INDEX) == [0, 1, 2]


def test_request_all(study: optuna.Study, settings: StudySettings) -> None:
    """A request for so many in all counts those of earlier runs, however often it is made."""
    for _ in range(2):
        assert request_all(study, 4) == 4
        assert study.user_attrs[attrs.TARGET] == 4
    top_up(study, settings, 4)
    end(study, COMPLETE, COMPLETE, PRUNED, FAIL)
    assert request_all(study, 4) == 4
    assert top_up(study, settings, 4) == 1
    assert request_all(study, 6) == 6
    assert top_up(study, settings, 6) == 2


PAIRS = Experiment(
    name="e",
    question="Which?",
    arms=(
        Arm(name="a", params={"learning_rate": 1e-3}),
        Arm(name="b", params={"learning_rate": 1e-2}, split="random"),
    ),
    sides={"group": ("tvx", "vtx", "xtv"), "random": ("ttx", "xxv", "vvt")},
)


@pytest.fixture
def paired(study: optuna.Study, settings: StudySettings) -> StudySettings:
    """Settings of an experiment of three pairs of two arms, which the study holds."""
    study.set_user_attr(attrs.EXPERIMENT, PAIRS.to_dict())
    return replace(settings, sampler=PAIRED)


def test_top_up_experiment(study: optuna.Study, paired: StudySettings) -> None:
    """The arms are queued pair by pair, each once, with what belongs to their pair."""
    assert top_up(study, paired, 4) == 4
    assert fixed_params(study) == [{"learning_rate": rate} for rate in (1e-3, 1e-2)] * 2
    end(study, *[COMPLETE] * 4)
    assert top_up(study, paired, 6) == 2
    assert top_up(study, paired, 6) == 0
    assert top_up(study, paired, 99) == 0
    assert user_attrs(study, attrs.DESIGN_INDEX) == list(range(6))
    assert user_attrs(study, attrs.PAIR) == [0, 0, 1, 1, 2, 2]
    assert user_attrs(study, attrs.ARM) == ["a", "b"] * 3
    assert user_attrs(study, attrs.SIDES) == ["tvx", "ttx", "vtx", "xxv", "xtv", "vvt"]


def test_more_pairs(study: optuna.Study, paired: StudySettings) -> None:
    """Pairs that are added to an experiment follow those that it has."""
    study.set_user_attr(attrs.EXPERIMENT, cut(PAIRS, 1).to_dict())
    assert top_up(study, paired, 6) == 2
    end(study, COMPLETE, COMPLETE)
    study.set_user_attr(attrs.EXPERIMENT, PAIRS.to_dict())
    assert top_up(study, paired, 6) == 4
    assert user_attrs(study, attrs.PAIR) == [0, 0, 1, 1, 2, 2]
    assert user_attrs(study, attrs.DESIGN_INDEX) == list(range(6))


def cut(experiment: Experiment, n_pairs: int) -> Experiment:
    """Return the first pairs of an experiment."""
    sides = {method: letters[:n_pairs] for method, letters in experiment.sides.items()}
    return replace(experiment, sides=sides)


def test_failed_arms_are_retried(study: optuna.Study, paired: StudySettings) -> None:
    """An arm that failed is queued again in its pair, up to a limit; one that diverged is not."""
    assert top_up(study, paired, 6) == 6
    end(study, COMPLETE, COMPLETE, COMPLETE)
    end(study, FAIL, failure="OSError: disk full")
    end(study, FAIL, failure=f"{attrs.DIVERGED}: Training diverged in epoch 1")
    end(study, COMPLETE)
    for number, retry_of in ((6, 3), (7, 6)):
        assert top_up(study, paired, 6) == 1
        again, before = study.get_trials()[number], study.get_trials()[3]
        assert again.user_attrs == {
            attrs.DESIGN_INDEX: 3,
            attrs.RETRY_OF: retry_of,
            attrs.PAIR: 1,
            attrs.ARM: "b",
            attrs.SIDES: "xxv",
        }
        assert again.system_attrs["fixed_params"] == before.system_attrs["fixed_params"]
        end(study, FAIL)
    assert top_up(study, paired, 6) == 0
    assert len(study.get_trials()) == 6 + MAX_RETRIES
