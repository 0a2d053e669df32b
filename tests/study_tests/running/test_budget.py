"""The budget of a study: how many trials it still owes, and which ones."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from search_spaces import SPACES
from search_spaces.designs import design_points
from storage import attrs, queue
from storage.queue import Cause, Empty
from storage.rdb import open_storage
from storage.records import Progress, count, finished_trials
from study.analysis.remaining import grid_trainings, trainings_left
from study.running.budget import acknowledge, design_point, exhausted, n_points, request
from study.settings import StudySettings
from tests.study_tests.studies import claim, space_of, start_design

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL

GRID = {"auto_encoder": "CNN", "epoch": 2, "batch_size": 16, "learning_rate": 0.01}
"""Leaves weight decay and batch normalization: a grid of eight points."""

ENDS = {"C": COMPLETE, "P": PRUNED, "F": FAIL, "X": FAIL}


@pytest.fixture
def study(url: str) -> optuna.Study:
    """An empty study."""
    return optuna.create_study(storage=open_storage(url, create=True, write=True))


def end(study: optuna.Study, *states: TrialState, failure: str | None = None) -> None:
    """Claim a trial for each state, and end it so; what failed is not queued again."""
    for state in states:
        claimed = claim(study)
        if state == FAIL:
            queue.fail(study, claimed._trial_id, failure, Cause.CONFIGURATION)
        else:
            study.tell(claimed, 0.5 if state == COMPLETE else None, state=state)


def drawn_for(
    study: optuna.Study, settings: StudySettings
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the parameters and attributes that the design has for each trial."""
    space = space_of(settings)
    return [design_point(study, settings, space, trial) for trial in study.get_trials()]


REQUESTS = [
    # An open request is completed or extended, and what failed does not count.
    ("D 3>3 CPF 3>3 C done 3>3 3>3 1>3 4>4", "0 1 2 3"),
    # One that was acknowledged is followed by more; only what the latest one asked is compared.
    ("D 4>4 CCC !3 4>4 C !4 5>9 5>9 1>9 4>9 5>9 6>10 6>10 5>10 9>13 6>13", "0 1 2 3"),
    # So many in all count those of earlier runs, however often they are asked for.
    ("D 4=4 4=4 CCPF 4=4 C done !4 3=4 6=6 CC done", "0 1 2 3 4 5 6"),
]
DESIGNS = [
    # A grid gives each of its points once, and no more than it has.
    ("D 5>5 CCCCC D 20>20 CCC exhausted D exhausted D", "0 1 2 3 4 5 6 7"),
    # Each run first queues points again that only failed, as often as it takes.
    ("D 5>5 C FF C D FF D FF D FF D CCC done", "0 1 2 3 1<1 2<2 1<4 2<5 1<6 2<7 1<8 2<9 4"),
    # That does not matter once the point waits, runs, or has been trained.
    ("D 1>1 F D D R D P D", "0 0<0"),
    # Others take the place of what diverged, which is never tried again, as long as there are any.
    (
        "D 2>2 XXXXXXXX over D*1 X D*1 left FFFFFFF exhausted left",
        "0 1 2 3 4 5 6 7 0*1 1*1 2*1 3*1 4*1 5*1 6*1 7*1",
    ),
    # A replicate begins the design anew, and repeats only failures of its own.
    ("D 9>9 CF D*1 FC D*1 CC D CC", "0 1 0*1 1*1 0*1<2 2*1 1<1 2"),
    # It takes the place of what another one lacks, behind trials that have begun or wait.
    ("D 9>9 C R D*1 2*1>4 D 1>3", "0 1"),
    # It is another request, also where the first one was never acknowledged.
    ("D 2>2 CC D*1 2*1>4 2*1>4 CC 2*1>4 !4 2*1>6", "0 1 0*1 1*1"),
]


@pytest.mark.parametrize(
    ("sampler", "steps", "trials"),
    [*(("random", *row) for row in REQUESTS), *(("grid", *row) for row in DESIGNS)],
)
def test_requests_and_designs(
    study: optuna.Study, settings: StudySettings, sampler: str, steps: str, trials: str
) -> None:
    """A study wants as many trials as were asked for, of the points that its design has next.

    ``D*1``: a run starts, of replicate 1. ``3>5``: when it asks for 3 trials, the target is 5;
    ``3=5``: in all. ``!5``: it has told of these. Trials end as complete, pruned, failed or
    diverged (``X``), or the next one is begun (``R``). A trial ``1*2<0`` has point 1 of replicate
    2, as a retry of trial 0.
    """
    design = replace(settings, sampler=sampler, fixed=GRID)
    for step in steps.split():
        word, replicate = step.partition(">")[0].partition("*")[::2]
        sign = next((sign for sign in "!>=" if sign in step), "")
        if word == "D":
            start_design(study, design, replicate=int(replicate or 0))
        elif sign == "!":
            acknowledge(study, int(step[1:]))
        elif sign:
            asked = int(word.partition("=")[0])
            more = {"in_all": sign == "=", "replicate": int(replicate or 0)}
            assert request(study, asked, **more) == int(step.partition(sign)[2]), step
        elif step in ("over", "left"):
            assert exhausted(study) == (step == "over")
        elif step in ("done", "exhausted"):
            assert queue.claim(study) is Empty[step.upper()]
        elif step == "R":
            claim(study)
        elif study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(study.get_trials()[-1].number, state=ENDS[step])
        else:
            for letter in step:
                why = f"{attrs.DIVERGED}: NaN" if letter == "X" else "disk full"
                end(study, ENDS[letter], failure=why)
    found = []
    for trial in study.get_trials():
        own = trial.user_attrs
        marks = {"*": own.get(attrs.REPLICATE), "<": own.get(attrs.RETRY_OF)}
        told = (f"{mark}{value}" for mark, value in marks.items() if value is not None)
        found.append(f"{own[attrs.DESIGN_INDEX]}{''.join(told)}")
    assert " ".join(found) == trials


def test_count(study: optuna.Study, settings: StudySettings) -> None:
    """Trials are counted by state; complete and pruned ones are finished."""
    start_design(study, settings)
    request(study, 10)
    end(study, COMPLETE, COMPLETE, COMPLETE, PRUNED, PRUNED, FAIL)
    claim(study)
    study.enqueue_trial({})
    found = Progress(complete=3, pruned=2, failed=1, running=1, waiting=1)
    assert (count(study.get_trials()), finished_trials(study)) == (found, 5)


def test_count_in_outages(study: optuna.Study, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("sampler", ["qmc", "gp", "grid"])
def test_points_of_a_design(study: optuna.Study, settings: StudySettings, sampler: str) -> None:
    """In whatever pieces, a design goes on where it was; what was enqueued by hand is no part."""
    design = replace(settings, sampler=sampler, fixed=GRID if sampler == "grid" else {"epoch": 2})
    space = space_of(design)
    assert n_points(study, design, space) == (8 if sampler == "grid" else None)
    for states in ((COMPLETE, PRUNED, COMPLETE), (FAIL, COMPLETE), (COMPLETE, COMPLETE)):
        start_design(study, design)
        request(study, 9, in_all=True)
        end(study, *states)
    by_design = [params for params, _ in drawn_for(study, design)]
    if sampler == "gp":  # which learns
        assert by_design == [{}] * 7
        return
    drawn = list(islice(design_points(sampler, space, design.fixed, seed=0, start=0), 8))
    indices = [trial.user_attrs[attrs.DESIGN_INDEX] for trial in study.get_trials()]
    assert by_design == [drawn[i] for i in indices]
    assert all(params["epoch"] == 2 for params in by_design)
    again = [params for params, _ in drawn_for(study, replace(design, seed=1))]
    assert (again == by_design) == (sampler == "grid")
    study.enqueue_trial({"learning_rate": 0.01})
    end(study, COMPLETE, COMPLETE)
    by_hand, last = drawn_for(study, design)[7:]
    assert (by_hand, last) == (({}, {}), (drawn[max(indices) + 1], {}))


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
