"""Trials that were the best so far, in the order in which they ended."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from storage.records import StudyRecord
from study.analysis.history import get_history, get_summary
from study.analysis.incumbents import ChangedParameter, get_incumbents
from tests.study_tests.pages import render_report
from tests.study_tests.report.test_report import Page, plain
from tests.study_tests.synthetic import START, planted, study, trial

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def overtaken() -> StudyRecord:
    """A study whose second trial ends before the first; the third repeats the first's error."""
    return study(
        trial(
            0,
            value=0.2,
            params={"learning_rate": 0.01, "dropout": 0.5},
            attrs={"epochs_run": 20, "training_seconds": 100.0},
            started=START,
            completed=START + 5 * MINUTE,
        ),
        trial(
            1,
            value=0.4,
            params={"learning_rate": 0.01, "batch_size": 32},
            attrs={"epochs_run": 10, "training_seconds": 50.0},
            started=START,
            completed=START + MINUTE,
        ),
        trial(
            2,
            state=TrialState.PRUNED,
            curve=(0.1,),
            attrs={"epochs_run": 1, "training_seconds": 5.0},
            started=START + 2 * MINUTE,
            completed=START + 3 * MINUTE,
        ),
        trial(
            3,
            value=0.2,
            attrs={"epochs_run": 20, "training_seconds": 90.0},
            started=START + 10 * MINUTE,
            completed=START + 12 * MINUTE,
        ),
        trial(
            4,
            state=TrialState.FAIL,
            attrs={"epochs_run": 9, "training_seconds": 30.0},
            started=START + 12 * MINUTE,
            completed=START + 13 * MINUTE,
        ),
        settings={"kind": "autoencoder"},
    )


def test_the_order_of_ends_decides(overtaken: StudyRecord) -> None:
    """The trial that ended first was the best first, with what had been spent until then."""
    info = get_incumbents(overtaken)
    first, second = info.incumbents
    assert (first.number, first.value, first.change, first.changes) == (1, 0.4, None, ())
    assert (first.n_finished, first.epochs_run, first.training_seconds) == (1, 10, 50.0)
    assert first.wall_seconds == 60
    assert (second.number, second.value) == (0, 0.2)
    assert second.change == pytest.approx(-0.5)
    assert (second.n_finished, second.epochs_run, second.training_seconds) == (3, 31, 155.0)
    assert second.wall_seconds == 300


def test_what_changed_is_named(overtaken: StudyRecord) -> None:
    """Parameters that one of the two lacks count, equal ones do not."""
    assert get_incumbents(overtaken).incumbents[1].changes == (
        ChangedParameter(name="dropout", before=None, after=0.5),
        ChangedParameter(name="batch_size", before=32, after=None),
    )


def test_time_without_an_improvement_counts_failed_epochs(overtaken: StudyRecord) -> None:
    """An equal error is none; failed trials are no finished ones, but their epochs are spent."""
    info = get_incumbents(overtaken)
    assert (info.n_finished, info.n_since) == (4, 1)
    assert (info.epochs_run, info.share_since) == (60, 29 / 60)


def test_totals_are_those_of_the_summary() -> None:
    """The last incumbent and the rest make up the whole study."""
    record = planted()
    info, summary = get_incumbents(record), get_summary(record)
    assert summary.best is not None
    assert info.incumbents[-1].number == summary.best.number
    assert info.epochs_run == summary.epochs_run
    assert info.incumbents[-1].n_finished + info.n_since == 114
    assert [i.wall_seconds for i in info.incumbents] == sorted(
        i.wall_seconds or 0 for i in info.incumbents
    )


def test_trials_that_are_no_candidates_are_passed_over() -> None:
    """Pruned, infeasible, unfinished trials and errors that are no numbers are never the best."""
    info = get_incumbents(
        study(
            trial(0, value=math.nan),
            trial(1, value=math.inf),
            trial(2, value=0.1, attrs={"infeasible": True}),
            trial(3, state=TrialState.PRUNED, curve=(0.1,)),
            trial(4, state=TrialState.RUNNING, curve=(0.1,)),
            trial(5, state=TrialState.WAITING),
        )
    )
    assert info.incumbents == ()
    assert (info.n_finished, info.n_since, info.epochs_run, info.share_since) == (4, 4, 1, 1.0)


def test_an_empty_study_has_no_shares() -> None:
    """Without an epoch there is no share of epochs."""
    info = get_incumbents(study())
    assert (info.incumbents, info.n_since, info.share_since) == ((), 0, None)


@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=30))
def test_without_times_numbers_are_the_order(values: list[float]) -> None:
    """Imported trials come by number, so their incumbents are those of the history."""
    record = study(*(trial(i, value=value) for i, value in enumerate(values)))
    info = get_incumbents(record)
    assert [i.number for i in info.incumbents] == [
        p.number for p in get_history(record).incumbents
    ]
    assert all(i.wall_seconds is None for i in info.incumbents)
    found = [i.value for i in info.incumbents]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)


def test_the_section_says_since_when_nothing_improved(overtaken: StudyRecord) -> None:
    """Sentence and table hold the numbers of the analysis."""
    text = plain(Page(render_report(overtaken)).text("incumbents"))
    assert "2 trials were the best so far when they ended, the last of them trial 0" in text
    assert "1 of 4 trials finished after it without an improvement, 48 % of all epochs." in text
    assert "00.2000\N{MINUS SIGN}50.0 %3312 min 35 s5 min 0 s" in text.replace("  ", " ")
    assert "dropout – → 0.5, batch size 32 → –" in text


def test_markup_in_changed_values_is_text() -> None:
    """A choice may hold anything."""
    evil = "<b>x</b>"
    record = study(
        trial(0, value=0.2, params={"auto_encoder": "CNN"}),
        trial(1, value=0.1, params={"auto_encoder": evil}),
    )
    page = Page(render_report(record))
    assert f"auto encoder CNN → {evil}" in page.text("incumbents")
    assert "b" not in [tag for tag, _ in page.tags]
