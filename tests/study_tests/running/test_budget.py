"""The budget of a study: how many trials it still owes, and which ones."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState

from search_spaces import SPACES, SearchSpaceError
from search_spaces.designs import design_points
from storage import attrs, queue
from storage.queue import Cause, Empty
from storage.rdb import open_storage
from storage.records import count, finished_trials
from study.analysis.remaining import grid_trainings, trainings_left
from study.experiment import PAIRED, Arm, Experiment
from study.running.budget import (
    acknowledge,
    design_point,
    exhausted,
    n_points,
    request,
)
from study.settings import StudySettings
from tests.study_tests.studies import space_of, start_design

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL

GRID = {"auto_encoder": "CNN", "epoch": 2, "batch_size": 16, "learning_rate": 0.01}
"""Leaves weight decay and batch normalization: a grid of eight points."""

N_GRID = 8

DIVERGED = f"{attrs.DIVERGED}: Training diverged in epoch 1"


@pytest.fixture
def study(url: str) -> optuna.Study:
    """An empty study."""
    return optuna.create_study(storage=open_storage(url, create=True, write=True))


@pytest.fixture
def grid(settings: StudySettings) -> StudySettings:
    """Settings of a grid of eight points."""
    return replace(settings, sampler="grid", fixed=GRID)


def claim(study: optuna.Study) -> FrozenTrial:
    """Claim the next trial, of which there must be one."""
    claimed = queue.claim(study)
    assert isinstance(claimed, FrozenTrial), claimed
    return claimed


def end(study: optuna.Study, *states: TrialState, failure: str | None = None) -> None:
    """Claim a trial for each state, and end it so; what failed is not queued again."""
    for state in states:
        claimed = claim(study)
        if state == FAIL:
            queue.fail(study, claimed._trial_id, failure, Cause.CONFIGURATION)
        else:
            study.tell(claimed.number, 0.5 if state == COMPLETE else None, state=state)


def user_attrs(study: optuna.Study, name: str) -> list[Any]:
    """Return an attribute of every trial."""
    return [trial.user_attrs.get(name) for trial in study.get_trials()]


def drawn_for(
    study: optuna.Study, settings: StudySettings
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the parameters and attributes that the design has for each trial."""
    space = space_of(settings)
    return [design_point(study, settings, space, trial) for trial in study.get_trials()]


def points(study: optuna.Study, settings: StudySettings) -> list[dict[str, Any]]:
    """Return the parameters that the design has for each trial."""
    return [params for params, _ in drawn_for(study, settings)]


def test_count(study: optuna.Study, settings: StudySettings) -> None:
    """Trials are counted by state; complete and pruned ones are finished."""
    start_design(study, settings)
    request(study, 10)
    end(study, COMPLETE, COMPLETE, COMPLETE, PRUNED, PRUNED, FAIL)
    claim(study)
    for _ in range(3):
        study.enqueue_trial({})
    progress = count(study.get_trials())
    assert (progress.complete, progress.pruned, progress.failed) == (3, 2, 1)
    assert (progress.running, progress.waiting) == (1, 3)
    assert progress.finished == finished_trials(study) == 5


def test_count_in_an_outage(
    study: optuna.Study, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials of a database that is locked have no number for now; of a damaged one, never."""
    monkeypatch.setattr("storage.rdb._SQLITE_TIMEOUT_S", 0)
    study = optuna.load_study(study_name=study.study_name, storage=open_storage(url, write=True))
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert finished_trials(study) is None
        connection.rollback()
        assert finished_trials(study) == 0
        connection.execute("DROP TABLE trials")
        connection.commit()
    with pytest.raises(StorageInternalError, match="commit"):
        finished_trials(study)


def test_requests(study: optuna.Study, settings: StudySettings) -> None:
    """An open request is completed or extended; one that was acknowledged is followed by more."""
    start_design(study, settings)
    assert request(study, 3) == 3
    end(study, COMPLETE, PRUNED, FAIL)  # what failed does not count
    assert request(study, 3) == 3
    end(study, COMPLETE)
    assert queue.claim(study) is Empty.DONE
    assert [request(study, n) for n in (3, 3, 1)] == [3, 3, 3]  # answered, not made again
    assert request(study, 4) == 4
    acknowledge(study, 3)  # by a command that knows only of three
    assert request(study, 4) == 4
    end(study, COMPLETE)
    acknowledge(study, 4)
    # Only what the latest request asked for is compared, as it was extended.
    for again, target in ((5, 9), (1, 9), (4, 9), (5, 9), (6, 10), (5, 10), (9, 13), (6, 13)):
        assert [request(study, again) for _ in range(2)] == [target, target], again
    end(study, *[COMPLETE] * 9)
    assert queue.claim(study) is Empty.DONE


def test_request_of_an_earlier_version(study: optuna.Study, settings: StudySettings) -> None:
    """Without a word of who was told, a request is open until its trials are finished."""
    start_design(study, settings)
    study.set_user_attr(attrs.TARGET, 2)
    study.set_user_attr(attrs.REQUEST, 2)
    end(study, COMPLETE)
    assert request(study, 2) == 2
    end(study, COMPLETE)
    study.set_user_attr(attrs.TARGET, 5)  # an older program asked for three more
    study.set_user_attr(attrs.REQUEST, 3)
    end(study, COMPLETE, COMPLETE, COMPLETE)
    assert request(study, 3) == 8


def test_request_for_another_replicate(study: optuna.Study, grid: StudySettings) -> None:
    """A replicate is another request, also where the first one was never acknowledged."""
    start_design(study, grid)
    assert request(study, 2) == 2
    end(study, COMPLETE, COMPLETE)
    start_design(study, grid, replicate=1)
    assert [request(study, 2, replicate=1) for _ in range(2)] == [4, 4]
    end(study, COMPLETE, COMPLETE)
    assert request(study, 2, replicate=1) == 4
    acknowledge(study, 4)
    assert request(study, 2, replicate=1) == 6


def test_request_in_all(study: optuna.Study, settings: StudySettings) -> None:
    """A request for so many in all counts those of earlier runs, however often it is made."""
    start_design(study, settings)
    for _ in range(2):
        assert request(study, 4, in_all=True) == 4
        assert study.user_attrs[attrs.TARGET] == study.user_attrs[attrs.REQUEST] == 4
    end(study, COMPLETE, COMPLETE, PRUNED, FAIL)
    assert request(study, 4, in_all=True) == 4
    end(study, COMPLETE)
    assert queue.claim(study) is Empty.DONE
    acknowledge(study, 4)
    assert request(study, 3, in_all=True) == 4
    assert request(study, 6, in_all=True) == 6
    end(study, COMPLETE, COMPLETE)
    assert queue.claim(study) is Empty.DONE


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "gp"])
def test_endless_design(study: optuna.Study, settings: StudySettings, sampler: str) -> None:
    """A design goes on where it was, in whatever pieces it is asked for, and repeats nothing.

    What was enqueued by hand has no point of it.
    """
    design = replace(settings, sampler=sampler)
    assert n_points(study, design, space_of(design)) is None
    for states in ((COMPLETE, PRUNED, COMPLETE), (FAIL, COMPLETE), (COMPLETE, COMPLETE)):
        start_design(study, design)
        request(study, 9, in_all=True)
        end(study, *states)
    assert user_attrs(study, attrs.DESIGN_INDEX) == list(range(7))
    assert user_attrs(study, attrs.RETRY_OF) == [None] * 7
    if sampler in ("tpe", "gp"):  # which learn
        assert points(study, design) == [{}] * 7
        return
    drawn = design_points(sampler, space_of(design), design.fixed, seed=0, start=0)
    assert points(study, design) == list(islice(drawn, 7))
    assert all(params["epoch"] == 2 for params in points(study, design))
    assert points(study, replace(design, seed=1)) != points(study, design)
    study.enqueue_trial({"learning_rate": 0.01})
    end(study, COMPLETE, COMPLETE)
    assert user_attrs(study, attrs.DESIGN_INDEX)[7:] == [None, 7]
    by_hand, by_design = drawn_for(study, design)[7:]
    assert by_hand == ({}, {})
    assert by_design[0]["epoch"] == 2


def test_grid_ends(study: optuna.Study, grid: StudySettings) -> None:
    """A grid gives each of its points once, and no more than it has."""
    assert n_points(study, grid, space_of(grid)) == N_GRID
    start_design(study, grid)
    request(study, 5)
    end(study, *[COMPLETE] * 5)
    start_design(study, grid)
    request(study, 20)
    end(study, *[COMPLETE] * (N_GRID - 5))
    for _ in range(2):
        assert queue.claim(study) is Empty.EXHAUSTED
        start_design(study, grid)
    assert user_attrs(study, attrs.DESIGN_INDEX) == list(range(N_GRID))
    assert points(study, grid) == list(space_of(grid).grid(GRID))
    assert len({tuple(sorted(params.items())) for params in points(study, grid)}) == N_GRID


def test_continuous_space_has_no_grid(study: optuna.Study, settings: StudySettings) -> None:
    """A grid over a continuous range is refused, and queues nothing."""
    with pytest.raises(SearchSpaceError, match="extended space has no grid: `learning_rate`"):
        start_design(study, replace(settings, sampler="grid", space="extended"))
    assert study.get_trials() == []
    assert attrs.DESIGN not in study.user_attrs


def test_failed_grid_points_are_retried(study: optuna.Study, grid: StudySettings) -> None:
    """Each run first queues points again that only failed, as often as it takes."""
    start_design(study, grid)
    request(study, 5)
    end(study, COMPLETE)
    end(study, FAIL, FAIL, failure="OSError: disk full")
    end(study, COMPLETE)
    for first in (1, 4, 6):  # the last trial of a point is what is repeated
        start_design(study, grid)
        *_, one, two = study.get_trials()
        assert [(t.state, t.params) for t in (one, two)] == [(TrialState.WAITING, {})] * 2
        assert one.user_attrs == {attrs.DESIGN_INDEX: 1, attrs.RETRY_OF: first}
        assert two.user_attrs == {attrs.DESIGN_INDEX: 2, attrs.RETRY_OF: first + 1}
        end(study, FAIL, FAIL, failure="OSError: disk full")
    start_design(study, grid)
    end(study, COMPLETE, COMPLETE, COMPLETE)
    assert user_attrs(study, attrs.DESIGN_INDEX) == [0, 1, 2, 3, *[1, 2] * 4, 4]
    assert points(study, grid)[1] == points(study, grid)[10]
    assert queue.claim(study) is Empty.DONE


def test_solved_points_are_not_retried(study: optuna.Study, grid: StudySettings) -> None:
    """A failure does not matter once the point has been trained, runs, or is waiting."""
    start_design(study, grid)
    request(study, 1)
    end(study, FAIL)
    for _ in range(2):
        start_design(study, grid)
        assert len(study.get_trials()) == 2
    running = claim(study)
    start_design(study, grid)
    study.tell(running.number, state=PRUNED)
    start_design(study, grid)
    assert len(study.get_trials()) == 2


def test_given_up_points_make_room(study: optuna.Study, grid: StudySettings) -> None:
    """Others take their place as long as there are any; what diverged is never tried again."""
    start_design(study, grid)
    request(study, 2)
    end(study, *[FAIL] * N_GRID, failure=DIVERGED)
    assert exhausted(study)
    start_design(study, grid, replicate=1)
    end(study, FAIL, failure=DIVERGED)
    start_design(study, grid, replicate=1)
    assert not exhausted(study)  # the next points take their place
    end(study, *[FAIL] * (N_GRID - 1))
    assert queue.claim(study) is Empty.EXHAUSTED
    assert not exhausted(study)  # those that did not diverge may be tried again
    assert user_attrs(study, attrs.DESIGN_INDEX) == [*range(N_GRID)] * 2


def test_replicates(study: optuna.Study, grid: StudySettings) -> None:
    """A replicate begins the design anew, and repeats only failures of its own."""
    start_design(study, grid)
    request(study, 9)
    end(study, COMPLETE, FAIL)
    start_design(study, grid, replicate=1)
    end(study, FAIL, COMPLETE)
    assert user_attrs(study, attrs.DESIGN_INDEX) == [0, 1, 0, 1]
    assert user_attrs(study, attrs.REPLICATE) == [None, None, 1, 1]
    start_design(study, grid, replicate=1)
    end(study, COMPLETE, COMPLETE)
    start_design(study, grid)
    end(study, COMPLETE, COMPLETE)
    assert user_attrs(study, attrs.DESIGN_INDEX)[4:] == [0, 2, 1, 2]
    assert user_attrs(study, attrs.REPLICATE)[4:] == [1, 1, None, None]
    assert user_attrs(study, attrs.RETRY_OF)[4:] == [2, None, 1, None]


PAIRS = Experiment(
    name="e",
    question="Which?",
    arms=(
        Arm(name="a", params={"learning_rate": 1e-3}, split="group"),
        Arm(name="b", params={"learning_rate": 1e-2}, split="random"),
    ),
    sides={"group": ("tvx", "vtx", "xtv"), "random": ("ttx", "xxv", "vvt")},
)


@pytest.fixture
def paired(study: optuna.Study, settings: StudySettings) -> StudySettings:
    """Settings of an experiment of three pairs of two arms, which the study holds."""
    study.set_user_attr(attrs.EXPERIMENT, PAIRS.to_dict())
    return replace(settings, sampler=PAIRED)


def test_experiment(study: optuna.Study, paired: StudySettings) -> None:
    """The arms are claimed pair by pair, each once, also of pairs that are added later."""
    one_pair = replace(PAIRS, sides={method: own[:1] for method, own in PAIRS.sides.items()})
    study.set_user_attr(attrs.EXPERIMENT, one_pair.to_dict())
    start_design(study, paired)
    assert request(study, 99, in_all=True) == 99
    end(study, COMPLETE, COMPLETE)
    assert queue.claim(study) is Empty.EXHAUSTED
    study.set_user_attr(attrs.EXPERIMENT, PAIRS.to_dict())
    assert n_points(study, paired, space_of(paired)) == len(PAIRS) == 6
    start_design(study, paired)
    end(study, *[COMPLETE] * 4)
    assert queue.claim(study) is Empty.EXHAUSTED
    assert user_attrs(study, attrs.DESIGN_INDEX) == list(range(6))
    own = drawn_for(study, paired)
    assert [params for params, _ in own] == [{"learning_rate": rate} for rate in (1e-3, 1e-2)] * 3
    assert [values[attrs.PAIR] for _, values in own] == [0, 0, 1, 1, 2, 2]
    assert [values[attrs.ARM] for _, values in own] == ["a", "b"] * 3
    sides = [values[attrs.SIDES] for _, values in own]
    assert sides == ["tvx", "ttx", "vtx", "xxv", "xtv", "vvt"]


def test_failed_arms_are_retried(study: optuna.Study, paired: StudySettings) -> None:
    """An arm that failed, by whatever, stays in its pair; one that diverged is not retried."""
    start_design(study, paired)
    request(study, 6, in_all=True)
    end(study, COMPLETE, COMPLETE, COMPLETE)
    expected = {"learning_rate": 1e-2}, {attrs.PAIR: 1, attrs.ARM: "b", attrs.SIDES: "xxv"}
    for cause in (Cause.DEATH, Cause.INTERRUPTION, Cause.ERROR, Cause.CONFIGURATION):
        trial = claim(study)
        assert design_point(study, paired, space_of(paired), trial) == expected
        queue.fail(study, trial._trial_id, None, cause)
    end(study, FAIL, failure=DIVERGED)
    end(study, COMPLETE)
    for retry_of in (6, 9, 10):
        start_design(study, paired)
        again = study.get_trials()[-1]
        assert {attrs.DESIGN_INDEX: 3, attrs.RETRY_OF: retry_of} == again.user_attrs
        assert design_point(study, paired, space_of(paired), again) == expected
        end(study, FAIL)
    assert queue.claim(study) is Empty.EXHAUSTED


def test_trainings_left() -> None:
    """A point that shares another's training needs none, and a new replicate needs all again."""
    # Half the epochs are the beginning of a training, and one layer has no dropout.
    for kind, n, n_trainings in (("autoencoder", 480, 240), ("multitask", 1944, 756)):
        names = grid_trainings(SPACES[kind]["notebook"], {})
        assert (len(names), len(set(names))) == (n, n_trainings)
    trainings = ["a", "b", "a", "c", "b"]

    def done(*indices: int, replicate: int = 0) -> list[dict[str, Any]]:
        return [{attrs.DESIGN_INDEX: i, attrs.REPLICATE: replicate} for i in indices]

    assert trainings_left(trainings, []) == 3
    assert trainings_left(trainings, [{}, *done(0)]) == 2
    assert trainings_left(trainings, done(0, 2)) == 2
    assert trainings_left(trainings, done(2, 3, 4)) == 0
    assert trainings_left(trainings, [*done(*range(5)), *done(1, replicate=1)]) == 2
