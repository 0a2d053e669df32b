"""When which worker ran which trial: rows, spans, utilisation, bounds, and their chart."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.trial import TrialState

from storage.records import TrialRecord
from study.analysis import kind_of
from study.analysis.comparison import get_comparison
from study.analysis.incumbents import get_incumbents
from study.analysis.spent import get_spent
from study.analysis.timeline import get_timeline
from study.figures.search import plot_timeline
from study.figures.style import FAMILY_COLORS
from tests.study_tests.synthetic import SETTINGS, START, study, trial

A, B = "a/cd34:8", "b/ab12:7"


def ran(
    number: int, start: float, end: float | None, *, worker: str | None = B, **more: Any
) -> TrialRecord:
    """Return a trial that ran from one second of the study to another."""
    return trial(
        number,
        value=None if "state" in more else 0.1,
        params={"auto_encoder": "CNN"},
        attrs={} if worker is None else {"worker": worker},
        started=START + timedelta(seconds=start),
        completed=None if end is None else START + timedelta(seconds=end),
        **more,
    )


SMALL = study(
    ran(0, 10, 20),
    ran(1, 5, 15, worker=A),
    ran(2, 26, 30, state=TrialState.PRUNED),
    ran(3, 15, None, worker=A, state=TrialState.RUNNING),
    ran(4, 30, 31, worker=None, state=TrialState.FAIL),
    trial(5, state=TrialState.WAITING),
    settings=SETTINGS,
)
"""Two workers on two hosts, one that is not known, one trial still running."""


def test_workers_by_their_first_start() -> None:
    """Rows are in the order of first starts; each worker is judged from its own first start."""
    info = get_timeline(SMALL)
    found = [(w.label, w.start, w.end, w.n_trials, w.busy_seconds) for w in info.workers]
    assert found == [
        *(("worker 1 (a)", 0, 26, 2, 26), ("worker 2 (b)", 5, 25, 2, 14)),
        ("unknown worker", 25, 26, 1, 1),
    ]
    assert [worker.longest_gap for worker in info.workers] == [0, 6, 0]
    assert [(span.trial.number, span.worker, span.start, span.end) for span in info.spans] == [
        *((1, 0, 0, 10), (0, 1, 5, 15), (3, 0, 10, 26), (2, 1, 21, 25), (4, 2, 25, 26))
    ]
    assert (info.n_workers, info.n_spans, info.thinned) == (3, 5, False)
    assert info.spent.wall_seconds == 26
    assert [worker.utilisation for worker in info.workers] == [1, pytest.approx(0.7), 1]
    assert info.spent.utilisation == pytest.approx((26 + 14 + 1) / (26 + 20 + 1))
    assert info.longest_gap is info.workers[1]
    # Imported, waiting and lost trials have no place in time, and no time has no share.
    imported, waiting = trial(0, value=0.1), trial(1, state=TrialState.WAITING)
    failed = trial(2, state=TrialState.FAIL, started=START)
    info = get_timeline(study(imported, waiting, failed))
    assert (info.workers, info.spans, info.longest_gap) == ((), (), None)
    other = ran(1, 7, 6, worker="other/ab12:9")
    info = get_timeline(study(ran(0, 5, 5), other, settings=SETTINGS))
    assert [worker.utilisation for worker in info.workers] == [None, None]
    assert [(span.start, span.end) for span in info.spans] == [(0, 0), (2, 2)]
    assert info.spent.utilisation is None


def test_many_trials_and_workers_are_bounded_and_numbers_count_all() -> None:
    """The first 40 workers and 1,500 of their trials are shown, spread over the whole time."""
    trials = (ran(i, i // 50, i // 50 + 0.5, worker=f"n/ab12:{i % 50}") for i in range(5000))
    info = get_timeline(study(*trials, settings=SETTINGS))
    assert (info.n_workers, info.n_spans, info.workers[0].n_trials) == (50, 5000, 100)
    assert (len(info.workers), len(info.spans), info.thinned) == (40, 1500, True)
    assert {span.worker for span in info.spans} == set(range(40))
    starts = [span.start for span in info.spans]
    assert starts == sorted(starts)
    assert max(np.diff(starts)) <= 1
    assert info.spent.utilisation == pytest.approx(50 / 99.5)


def test_chart_draws_a_line_per_trial_in_the_row_of_its_worker() -> None:
    """Lines end in gaps, carry their trial's number, look like their state, and name the host."""
    figure = plot_timeline(get_timeline(SMALL), kind_of(SMALL))
    found = {trace.name: trace for trace in figure.data}
    assert list(found) == ["CNN complete", "CNN running", "CNN pruned", "failed"]
    complete = found["CNN complete"]
    assert complete.x == (0, 10, None, 5, 15, None)
    assert complete.y == (*["worker 1<br>a"] * 2, None, *["worker 2<br>b"] * 2, None)
    assert complete.customdata == (1, 1, None, 0, 0, None)
    assert (complete.meta["trials"], complete.line.color) == (True, FAMILY_COLORS[0])
    assert found["CNN pruned"].line.dash == "dot"
    rows = ["worker 1<br>a", "worker 2<br>b", "unknown worker"]
    assert list(figure.layout.yaxis.categoryarray) == rows
    for seconds, unit, end in ((100, "s", 100), (600, "min", 10), (36_000, "h", 10)):
        long = ran(1, 1, 2, worker=f"{'long.' * 20}/ab12:1")
        record = study(ran(0, 0, seconds, worker="<b>x:1"), long, settings=SETTINGS)
        figure = plot_timeline(get_timeline(record), kind_of(record))
        assert figure.layout.xaxis.title.text == f"time since the first start ({unit})"
        assert figure.data[0].x[1] == end
        first, second = figure.layout.yaxis.categoryarray
        assert (first, len(second) < 40) == ("worker 1<br>&lt;b&gt;x", True)


def test_a_study_has_one_cost() -> None:
    """What a training went on from counts once; totals, incumbents and comparisons agree."""
    clocks = ((10, 20, None, 0), (30, 50, 0, 10), (20, 40, 9, 5))
    names = ("epochs_run", "training_seconds", "retry_of", "resumed_epochs")
    own = [dict(zip(names, n, strict=True)) for n in clocks]
    trials = (replace(ran(i, i, i + 1), values=(-i,), user_attrs=a) for i, a in enumerate(own))
    record, other = study(*trials), replace(SMALL, name="small")
    spent, last = get_spent(record), get_incumbents(record).incumbents[-1]
    assert (spent.steps, spent.training_seconds) == (10 + 20 + 15, 20.0 + 30.0 + 30.0)
    assert (last.epochs_run, last.training_seconds) == (spent.steps, spent.training_seconds)
    side = get_comparison([record, other], n_resamples=20, n_bootstrap=5).studies[0]
    assert side.summary.spent == get_timeline(record).spent == spent


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 2)), min_size=1))
@examples(max_examples=50)
def test_busy_seconds_are_those_of_the_union(times: list[tuple[int, int, int]]) -> None:
    """Whole seconds that some trial of a worker covers, counted one by one."""
    trials = (ran(i, s, s + d, worker=f"n/ab12:{w}") for i, (s, d, w) in enumerate(times))
    record = study(*trials, settings=SETTINGS)
    covered = {(w, second) for s, d, w in times for second in range(s, s + d)}
    assert sum(w.busy_seconds for w in get_timeline(record).workers) == len(covered)
    ran_s = (spent := get_spent(record)).wall_seconds - spent.pause_seconds
    assert ran_s == len({second for _, second in covered})
    # Another program stores no workers; then no two trials of a row ran at the same time.
    rows = get_timeline(replace(record, user_attrs={})).workers
    assert sum(row.busy_seconds for row in rows) == sum(d for _, d, _ in times)
    assert len(rows) <= max(1, spent.n_at_once) + sum(d == 0 for _, d, _ in times)
