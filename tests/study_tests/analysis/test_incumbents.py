"""Trials that were the best so far, in the order in which they ended."""

import math
from datetime import timedelta
from typing import Any

import pytest
from optuna.trial import TrialState

from study.analysis.incumbents import get_incumbents
from tests.study_tests.pages import render_report
from tests.study_tests.report.test_report import Page, plain
from tests.study_tests.synthetic import SETTINGS, START, study, trial


def ran(number: int, minutes: tuple[int, int], epochs: int, seconds: float, **more: Any) -> Any:
    """Return a trial that ran between these minutes of the study."""
    started, completed = (START + timedelta(minutes=minute) for minute in minutes)
    attrs = {"epochs_run": epochs, "training_seconds": seconds}
    return trial(number, attrs=attrs, started=started, completed=completed, **more)


EVIL = "<b>x</b>"
FIRST = {"learning_rate": 0.01, "dropout": 0.5, "auto_encoder": EVIL}
SECOND = {"learning_rate": 0.01, "batch_size": 32, "auto_encoder": "CNN"}


def test_the_order_of_ends_decides() -> None:
    """The trial that ended first was the best first, with what had been spent until then."""
    record = study(
        ran(0, (0, 5), 20, 100.0, value=0.2, params=FIRST),
        ran(1, (0, 1), 10, 50.0, value=0.4, params=SECOND),
        ran(2, (2, 3), 1, 5.0, state=TrialState.PRUNED, curve=(0.1,)),
        ran(3, (10, 12), 20, 90.0, value=0.2),
        ran(4, (12, 13), 9, 30.0, state=TrialState.FAIL),
        settings={**SETTINGS, "space": ""},
    )
    info = get_incumbents(record)
    first, second = info.incumbents
    assert (first.number, first.value, first.change, first.changes) == (1, 0.4, None, {})
    assert (first.n_finished, first.epochs_run, first.training_seconds) == (1, 10, 50.0)
    assert (second.number, second.value, second.change) == (0, 0.2, pytest.approx(-0.5))
    assert (second.n_finished, second.epochs_run, second.training_seconds) == (3, 31, 155.0)
    assert (first.wall_seconds, second.wall_seconds) == (60, 300)
    assert list(second.changes.items()) == [
        ("dropout", (None, 0.5)),
        ("auto_encoder", ("CNN", EVIL)),
        ("batch_size", (32, None)),
    ]
    assert (info.n_finished, info.n_since) == (4, 1)
    assert (info.epochs_run, info.share_since) == (60, 29 / 60)
    # The section holds these numbers, and markup of a choice is text.
    page = Page(render_report(record))
    text = plain(page.text("history"))
    for words in (
        "2 trials were the best so far when they ended, the last of them trial 0",
        "1 of 4 trials finished after it without an improvement, 48 % of all epochs.",
        *("dropout – → 0.5", "batch size 32 → –", f"auto encoder CNN → {EVIL}"),
    ):
        assert words in text
    assert "00.2000\N{MINUS SIGN}50.0 %3312 min 35 s5 min 0 s" in text.replace("  ", " ")
    assert "b" not in [tag for tag, _ in page.tags]


def test_trials_that_are_no_candidates_are_passed_over() -> None:
    """Pruned, infeasible, unfinished trials and errors that are no numbers are never the best."""
    trials = (
        trial(0, value=math.nan),
        trial(1, value=0.1, attrs={"infeasible": True}),
        trial(2, state=TrialState.PRUNED, curve=(0.1,)),
        trial(3, state=TrialState.RUNNING, curve=(0.1,)),
    )
    info = get_incumbents(study(*trials))
    assert info.incumbents == ()
    assert (info.n_finished, info.n_since, info.epochs_run, info.share_since) == (3, 3, 1, 1.0)
    info = get_incumbents(study())
    assert (info.incumbents, info.n_since, info.share_since) == ((), 0, None)
    # Without times, as of imported trials, numbers are the order.
    values = [0.5, 0.7, 0.5, 0.3, 0.4]
    info = get_incumbents(study(*(trial(i, value=value) for i, value in enumerate(values))))
    assert [(i.number, i.wall_seconds) for i in info.incumbents] == [(0, None), (3, None)]
