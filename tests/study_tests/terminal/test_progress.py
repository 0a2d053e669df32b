"""Progress for people: what is said, and where."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from storage import attrs
from storage.records import TrialRecord
from study.metrics import Metric
from study.terminal.progress import describe, eta, progress_line, step_bar
from tests.servers import opened
from tests.study_tests.synthetic import SETTINGS, study
from tests.study_tests.synthetic import trial as record

LOW = Metric(name="loss", label="loss")
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def trial(state: TrialState, seconds: float = 0.0, *own: float, **more: int) -> TrialRecord:
    """Return a trial that took, or has been running for, some seconds; maybe with a value."""
    return record(
        0,
        state=state,
        value=own[0] if own else None,
        attrs=more,
        started=NOW - timedelta(seconds=seconds),
        completed=NOW if state.is_finished() else None,
    )


def test_description() -> None:
    """Counts, the best that keeps the constraint, and the ETA; answered points take no time."""
    told = study(
        trial(TrialState.COMPLETE, 60, 0.25),
        trial(TrialState.COMPLETE, 60, 0.125),
        trial(TrialState.COMPLETE, 60, 0.01, **{attrs.INFEASIBLE: True}),
        trial(TrialState.PRUNED, 60, 0.001),
        trial(TrialState.FAIL, 1),
    )
    said = "1 pruned · 1 failed · best 0.1250"
    assert describe(told, target=4, n_workers=2) == said
    end = " · ETA 5 min 0 s, 120 trials/h"
    assert describe(told, target=14, n_workers=2) == said + end
    short = describe(told, target=5, n_workers=2)
    assert short == f"{said} · ETA 30.0 s, 120 trials/h"
    assert describe(study(told.trials[2]), target=1, n_workers=1) == "0 pruned · 0 failed"
    best = describe(replace(told, directions=("maximize",)), target=4, n_workers=2)
    assert best == "1 pruned · 1 failed · best 0.2500"
    again = {attrs.REUSED_FROM: 0}  # a point that is answered from another's training
    ended = enumerate([(60, {}), (0, again), (0, again), (80, {})])
    trials = [
        trial(TrialState.COMPLETE, seconds, 0.5, **{attrs.DESIGN_INDEX: index}, **own)
        for index, (seconds, own) in ended
    ]
    text = describe(study(*trials), target=8, n_workers=1, trainings=list("aaabccbd"))
    assert text.endswith("ETA 2 min 20 s, 51 trials/h")  # of c and d


def test_eta() -> None:
    """The mean of what was, less what has begun but never below none, shared by the workers."""
    for durations_s, begun_s, remaining, n_workers, said in (
        ([], [50.0], 5, 2, "ETA …"),
        ([40.0, 80.0], [], 10, 2, "ETA 5 min 0 s, 120 trials/h"),
        ([7200.0], [], 24, 1, "ETA 48 h 0 min, 0.50 trials/h"),
        ([60.0], [20.0, 40.0], 4, 2, "ETA 1 min 30 s, 120 trials/h"),
        ([60.0], [900.0], 2, 1, "ETA 1 min 0 s, 60 trials/h"),
        ([60.0], [900.0, 900.0, 900.0], 1, 3, "ETA 0.0 s, 180 trials/h"),
    ):
        trials = [trial(TrialState.COMPLETE, seconds, 0.5) for seconds in durations_s]
        trials += [trial(TrialState.RUNNING, seconds) for seconds in begun_s]
        assert eta(trials, [], remaining=remaining, n_workers=n_workers, now=NOW) == said


BEST = "best 0.1250 · ETA 0.0 s"


def test_progress_line(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file gets a last line, at an error too; while the database is locked, none."""
    monkeypatch.setattr("storage.rdb._SQLITE_TIMEOUT_S", 0)
    line = "A worker died [red]by[/red] SIGKILL; " + 30 * "word " + "1.5 s."
    path = url.removeprefix("sqlite:///")
    with opened(url, create=True, write=True) as storage, closing(sqlite3.connect(path)) as other:
        study = optuna.create_study(storage=storage, study_name="s")
        study.add_trial(optuna.trial.create_trial(value=0.125))
        study.set_user_attr(attrs.SETTINGS, SETTINGS)
        study.set_user_attr(attrs.TARGET, 3)  # another command has asked for more
        capsys.readouterr()

        def show() -> None:
            with progress_line(study, target=1, n_workers=1) as say:
                say(line)
                raise ZeroDivisionError

        for statement, expected, last in (
            ("SELECT 1", ZeroDivisionError, f"s: 1/3 0 pruned · 0 failed · {BEST}\n"),
            ("BEGIN IMMEDIATE", ZeroDivisionError, ""),
            ("DROP TABLE trials", StorageInternalError, ""),
        ):
            other.executescript(statement)
            with pytest.raises(expected):
                show()
            assert capsys.readouterr() == ("", f"{line}\n{last}")


def test_terminal(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal gets lines that are drawn anew in place, with names as they are."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with step_bar(3, replace(LOW, label="[b]loss[/b]"), title="[i]it[/i]") as show:
        for told in ({}, {"loss": 0.5}):
            show(told)
    with opened(url, create=True, write=True) as storage:
        study = optuna.create_study(storage=storage, study_name="[s]")
        study.add_trial(optuna.trial.create_trial(value=0.125))
        with progress_line(study, target=3, n_workers=1):
            pass
    said = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", capsys.readouterr().err)
    bar, line = (part.rpartition("\r")[2].split() for part in said.strip().split("\n")[:2])
    assert (bar[0], " ".join(bar[2:5])) == ("[i]it[/i]", "2/3 [b]loss[/b] 0.5000")
    assert (line[0], " ".join(line[2:])) == ("[s]", f"1/3 0 pruned · 0 failed · {BEST}")
