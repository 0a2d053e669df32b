"""Progress for people: what is said, and where."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState, create_trial

from storage import attrs
from storage.rdb import open_storage
from storage.records import TrialRecord, to_record
from study.terminal.progress import describe, eta, progress_line, step_bar
from tests.study_tests.synthetic import VALIDATION_MSE


def trial(
    state: TrialState,
    *,
    seconds: float = 0.0,
    value: float | None = None,
    now: datetime | None = None,
    **own: int,
) -> TrialRecord:
    """Return a trial that took, or has been running for, some seconds."""
    made = create_trial(state=state, value=value, user_attrs=own)
    now = now or datetime.now(UTC)
    return to_record(made, (now - timedelta(seconds=seconds), now))


def test_nothing_yet() -> None:
    """Without a finished trial there is nothing to estimate from."""
    assert describe([], target=5, n_workers=2) == "0 pruned · 0 failed · ETA …"
    running = [trial(TrialState.RUNNING, seconds=50)]
    assert describe(running, target=5, n_workers=2) == "0 pruned · 0 failed · ETA …"


def test_counts_and_best() -> None:
    """The best value is that of a complete trial, never a pruned one's."""
    trials = [
        trial(TrialState.COMPLETE, seconds=60, value=0.25),
        trial(TrialState.COMPLETE, seconds=60, value=0.125),
        trial(TrialState.PRUNED, seconds=60, value=0.001),
        trial(TrialState.FAIL, seconds=1),
    ]
    text = describe(trials, target=3, n_workers=2)
    assert text == "1 pruned · 1 failed · best 0.12500"


def test_best_of_two_objectives() -> None:
    """With two objectives, the best value is that of the first."""
    trials = [
        to_record(create_trial(state=TrialState.COMPLETE, values=values))
        for values in ([0.25, 0.1], [0.5, 0.9])
    ]
    assert describe(trials, target=2, n_workers=1) == "0 pruned · 0 failed · best 0.25000"


def test_best_of_a_constraint() -> None:
    """With a constraint, the best value is that of a trial that keeps it; none without one."""
    low, high = (
        to_record(
            create_trial(
                state=TrialState.COMPLETE,
                value=value,
                user_attrs=own,
                system_attrs={"constraints": [lack]},
            )
        )
        for value, own, lack in ((0.25, {attrs.INFEASIBLE: True}, 0.1), (0.5, {}, -0.1))
    )
    text = describe([low, high], target=2, n_workers=1)
    assert text == "0 pruned · 0 failed · best 0.50000"
    assert describe([low], target=1, n_workers=1) == "0 pruned · 0 failed"


@pytest.mark.parametrize(
    ("target", "n_workers", "said"),
    [(3, 1, "1 min 0 s"), (12, 1, "10 min 0 s"), (12, 2, "5 min 0 s"), (242, 2, "2 h 0 min")],
)
def test_description_ends_with_the_eta(target: int, n_workers: int, said: str) -> None:
    """What remains takes as long as what was, shared by the workers."""
    trials = [
        trial(TrialState.COMPLETE, seconds=80, value=0.5),
        trial(TrialState.PRUNED, seconds=40),
    ]
    assert describe(trials, target=target, n_workers=n_workers).endswith(f"ETA {said}")


def test_eta_counts_what_has_begun() -> None:
    """A trial that has been running for half its time needs only the other half."""
    trials = [
        trial(TrialState.COMPLETE, seconds=7200, value=0.5),
        trial(TrialState.RUNNING, seconds=3600),
    ]
    text = describe(trials, target=2, n_workers=1)
    assert text.endswith("ETA 1 h 0 min") or "ETA 59 min" in text  # time goes on meanwhile
    trials[1] = trial(TrialState.RUNNING, seconds=9000)
    assert describe(trials, target=2, n_workers=1).endswith("ETA 0.0 s")


def test_eta_of_a_grid_counts_trainings() -> None:
    """Points that are answered from another's training take no time, before and after now."""
    trials = [
        trial(TrialState.COMPLETE, seconds=s, value=0.5, **{attrs.DESIGN_INDEX: index}, **own)
        for index, (s, own) in enumerate(
            [(60, {}), (0, {attrs.REUSED_FROM: 0}), (0, {attrs.REUSED_FROM: 0}), (80, {})]
        )
    ]
    trainings = ["a", "a", "a", "b", "c", "c", "b", "d"]
    text = describe(trials, target=8, n_workers=1, trainings=trainings)
    assert text.endswith("ETA 2 min 20 s")  # of c and d


@pytest.mark.parametrize(
    ("durations_s", "begun_s", "remaining", "n_workers", "said"),
    [
        ([], [], 5, 2, "ETA …"),
        ([], [50.0], 5, 2, "ETA …"),
        ([60.0], [], 1, 1, "ETA 1 min 0 s"),
        ([40.0, 80.0], [], 10, 1, "ETA 10 min 0 s"),
        ([40.0, 80.0], [], 10, 2, "ETA 5 min 0 s"),
        ([7200.0], [], 24, 1, "ETA 48 h 0 min"),
        ([60.0], [20.0], 2, 1, "ETA 1 min 40 s"),
        ([60.0], [20.0, 40.0], 4, 2, "ETA 1 min 30 s"),
        ([60.0], [900.0], 2, 1, "ETA 1 min 0 s"),
        ([60.0], [900.0], 1, 1, "ETA 0.0 s"),
        ([60.0], [900.0, 900.0, 900.0], 1, 3, "ETA 0.0 s"),
        ([0.0], [], 9, 1, "ETA 0.0 s"),
    ],
)
def test_eta(
    durations_s: list[float], begun_s: list[float], remaining: int, n_workers: int, said: str
) -> None:
    """What remains takes the mean of what was, less what has begun, shared by the workers.

    A trial that has taken longer than the mean is about to end, and saves no other's time.
    """
    now = datetime(2026, 5, 1, tzinfo=UTC)
    trials = [
        *(trial(TrialState.COMPLETE, seconds=s, value=0.5, now=now) for s in durations_s),
        *(trial(TrialState.RUNNING, seconds=s, now=now) for s in begun_s),
    ]
    assert eta(trials, [], remaining=remaining, n_workers=n_workers, now=now) == said


def test_progress_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file gets a plain last line on standard error, and nothing on standard output."""
    storage = open_storage(url, create=True)
    optuna.create_study(storage=storage, study_name="s")
    study = optuna.load_study(study_name="s", storage=open_storage(url))
    capsys.readouterr()
    with progress_line(study, target=3, n_workers=1):
        pass
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err == "s: 0/3 0 pruned · 0 failed · ETA …\n"


def test_other_lines(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Other messages go between the lines as they are, however long, and are no markup."""
    study = optuna.create_study(storage=open_storage(url, create=True), study_name="s")
    capsys.readouterr()
    line = "A worker died [red]by[/red] SIGKILL; " + 30 * "word " + "1.5 s."
    with progress_line(study, target=3, n_workers=1) as say:
        say(line)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.splitlines() == [line, "s: 0/3 0 pruned · 0 failed · ETA …"]


def test_progress_line_in_an_outage(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is locked, the line is left out; a damaged database is an error."""
    optuna.create_study(storage=open_storage(url, create=True), study_name="s")
    monkeypatch.setattr("storage.rdb._SQLITE_TIMEOUT_S", 0)
    study = optuna.load_study(study_name="s", storage=open_storage(url, write=True))
    capsys.readouterr()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with progress_line(study, target=3, n_workers=1):
            pass
        assert capsys.readouterr().err == ""
        connection.rollback()
        connection.execute("DROP TABLE trials")
        connection.commit()
    with (
        pytest.raises(StorageInternalError, match="commit"),
        progress_line(study, target=3, n_workers=1),
    ):
        pass


def test_progress_line_after_an_error(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An error in the block passes through, and the line still ends."""
    storage = open_storage(url, create=True)
    study = optuna.create_study(storage=storage, study_name="s")
    capsys.readouterr()
    with (
        pytest.raises(ZeroDivisionError, match="division"),
        progress_line(study, target=3, n_workers=1),
    ):
        _ = 1 / 0
    assert capsys.readouterr().err.startswith("s: 0/3 ")


def test_step_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """A file sees nothing of a training's bar."""
    with step_bar(2, VALIDATION_MSE, title="t") as on_step:
        for _ in range(2):
            on_step({"validation_mse": 0.1})
    assert capsys.readouterr().out == ""
