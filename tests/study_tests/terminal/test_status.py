"""The state of studies for a terminal, or a pipe."""

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from optuna.trial import TrialState
from rich.console import Console

from storage import attrs
from storage.errors import StorageAccessError, StorageUnreachableError
from storage.records import StudyRecord
from study.kind_info import KindInfo
from study.metrics import Metric
from study.terminal.status import status_lines, study_table, watch
from tests.study_tests.synthetic import (
    MARKUP,
    MULTITASK_SETTINGS,
    SETTINGS,
    classified,
    multitask,
    planted,
    study,
    trial,
)

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def shown(
    record: StudyRecord, *, width: int = 120, silent_s: Mapping[int, float] | None = None
) -> str:
    """Return a study's status at noon as a terminal of some width shows it."""
    console = Console(file=io.StringIO(), width=width)
    for part in status_lines(record, silent_s, now=NOW):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def listed(*records: StudyRecord, width: int = 120) -> list[list[str]]:
    """Return the words of each row of the table of studies."""
    console = Console(file=io.StringIO(), width=width)
    console.print(study_table(records))
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()[1:]]


def test_counts() -> None:
    """Counts, best value and failures of a study are shown."""
    record = planted(40)
    text = shown(record, width=200)
    assert record.best is not None
    assert f"{record.best.value:.5f}" in text
    assert "planted" in text
    assert "34 complete" in text
    assert "4 pruned" in text
    assert "2 failed" in text
    assert f"Trial 39 failed: {MARKUP}" in text


def test_eta_of_a_grid_counts_trainings() -> None:
    """The second half of a grid of two lengths is answered from the first, in no time."""
    settings = {"kind": "autoencoder", "space": "notebook", "sampler": "grid", "fixed": {}}
    ends = [
        trial(i, value=0.5, started=NOW - timedelta(seconds=60), completed=NOW) for i in (0, 1)
    ]
    done = [replace(t, user_attrs={"design_index": t.number}) for t in ends]
    running = trial(2, state=TrialState.RUNNING, started=NOW)
    record = StudyRecord(
        name="s",
        directions=("minimize",),
        user_attrs={"target_trials": 480, "settings": settings},
        trials=(*done, running),
    )
    assert "ETA 3 h 58 min" in shown(record, width=200)  # 238 of 240 trainings


def test_target() -> None:
    """What was asked for is shown beside what is finished."""
    done = trial(0, value=0.5, params={"epoch": 20})
    record = StudyRecord(
        name="s", directions=("minimize",), user_attrs={"target_trials": 7}, trials=(done,)
    )
    assert "1 of 7 trials" in shown(record)


def test_workers() -> None:
    """A running trial is shown with its worker, epoch from 1, speed, error and heartbeat.

    Epochs that an earlier attempt trained do not make the worker faster.
    """
    fast = trial(
        3,
        state=TrialState.RUNNING,
        params={"epoch": 20},
        curve=(0.75, 0.5, 0.25),
        attrs={"worker": "host:[42]", "resumed_epochs": 1},
        started=NOW - timedelta(seconds=4),
    )
    fresh = trial(4, state=TrialState.RUNNING)
    done = trial(0, value=0.5, attrs={"worker": "host:[42]"})
    rows = [
        line.split()
        for line in shown(
            study(done, fast, fresh, settings=SETTINGS), silent_s={fast.trial_id: 7.4}
        ).splitlines()
    ]
    assert [*["3", "host:[42]", "1", "3", "of", "20", "0.50", "0.25000", "7", "s", "ago"]] in rows
    assert ["4", "—", "0", "—", "—", "—", "—"] in rows


def test_eta() -> None:
    """The rest of the time follows from the mean duration, what has begun, and the workers."""
    done = trial(0, value=0.5, started=NOW - timedelta(seconds=70), completed=NOW)
    running = [
        trial(i, state=TrialState.RUNNING, started=NOW - timedelta(seconds=10)) for i in (1, 2)
    ]
    record = StudyRecord(
        name="s",
        directions=("minimize",),
        user_attrs={"target_trials": 5},
        trials=(done, *running),
    )
    assert "2 running, 0 waiting; ETA 2 min 10 s" in shown(record)  # (4 * 70 - 20) s / 2
    ended = replace(record, user_attrs={"target_trials": 1})
    assert "ETA" not in shown(ended)


def test_watch_ends_with_the_study() -> None:
    """Watching reads again and again until the target is reached, through an outage too."""
    done = trial(0, value=0.5, params={"epoch": 20})
    open_study = StudyRecord(
        name="watched", directions=("minimize",), user_attrs={"target_trials": 2}, trials=(done,)
    )
    looks = [
        open_study,
        StorageUnreachableError("gone for a moment"),
        replace(open_study, trials=(done, replace(done, number=1))),
    ]
    left = iter(looks)

    def read() -> tuple[StudyRecord, dict[int, float]]:
        look = next(left)
        if isinstance(look, Exception):
            raise look
        return look, {}

    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    watch(read, interval_s=0.0, console=console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert next(left, None) is None
    positions = [
        text.index(part)
        for part in ("1 of 2 trials", "The storage is away: gone for a moment", "2 of 2 trials")
    ]
    assert positions == sorted(positions)


def test_watch_passes_on_other_errors() -> None:
    """An error that will not go away ends the watching."""

    def read() -> tuple[StudyRecord, dict[int, float]]:
        raise StorageAccessError("damaged")

    with pytest.raises(StorageAccessError, match="damaged"):
        watch(read, interval_s=0.0, console=Console(file=io.StringIO()))


def test_best_first() -> None:
    """The five best trials are listed, best first, with all their parameters."""
    values = [0.5, 0.2, 0.4, 0.1, 0.3, 0.6, 0.7]
    trials = [
        trial(i, value=value, params={"batch_size": 16, "learning_rate": 0.01})
        for i, value in enumerate(values)
    ]
    text = shown(study(*trials))
    rows = [line.split() for line in text.splitlines() if "batch_size=16" in line]
    assert [int(row[0]) for row in rows] == [3, 1, 4, 2, 0]
    assert [row[1] for row in rows] == ["0.10000", "0.20000", "0.30000", "0.40000", "0.50000"]
    assert "learning_rate=0.01" in text


def test_dead_worker() -> None:
    """A failure without a reason is that of a dead worker."""
    failed = trial(0, state=TrialState.FAIL)
    assert "Trial 0 failed: its worker died" in shown(study(failed))


def test_markup_is_text() -> None:
    """Names that look like the terminal library's markup are shown as they are."""
    record = study(trial(0, value=0.5), name="[red]s[/red]", settings=SETTINGS)
    assert "[red]s[/red]" in shown(record)
    assert listed(record)[0][0] == "[red]s[/red]"


def test_foreign_study() -> None:
    """A study of plain Optuna is shown as far as it is understood."""
    record = study(trial(0, value=0.5, params={"epoch": 20}), name="foreign")
    assert "foreign" in shown(record)
    assert listed(record)[0][0] == "foreign"
    assert "—" in listed(record)[0]


def test_list() -> None:
    """Each study is one row, with its best value."""
    rows = listed(planted(40), study(name="empty", settings=SETTINGS))
    best = planted(40).best
    assert best is not None
    assert rows[0][0] == "planted"
    assert rows[0][-1] == f"{best.value:.5f}"
    assert (rows[1][0], rows[1][-1]) == ("empty", "—")


def test_names_are_whole_in_a_pipe() -> None:
    """In 80 columns, which a pipe has, a study's name can still be read and copied."""
    record = StudyRecord(
        name="autoencoder-notebook",
        directions=("minimize",),
        user_attrs={"settings": {**SETTINGS, "space": "notebook"}},
        trials=planted(40).trials,
    )
    assert listed(record, width=80)[0][0] == "autoencoder-notebook"


GOOD = trial(3, value=0.5, attrs=classified((2, 18, 4, 8), min_accuracy=0.7))
POOR = trial(1, value=0.1, attrs=classified((1, 12, 3, 6), min_accuracy=0.7))


def test_accuracy_of_the_best_trials() -> None:
    """Trials that classify show their accuracy, and those that break the constraint come last."""
    rows = [line.split() for line in shown(multitask(POOR, GOOD)).splitlines()]
    assert ["best", "validation", "MSE", "accuracy", "constraint", "epoch", "parameters"] in rows
    best = [row for row in rows if row[0] in ("1", "3")]
    assert best == [
        ["3", "0.50000", "80.0", "%", "kept", "—"],
        ["1", "0.10000", "55.0", "%", "broken", "—"],
    ]


def test_the_best_are_different_trainings() -> None:
    """A training that answered other points as well is shown once."""
    twin = trial(4, value=0.5, attrs={**GOOD.user_attrs, "reused_from": 3})
    rows = [line.split() for line in shown(multitask(POOR, GOOD, twin)).splitlines()]
    assert [row[0] for row in rows if row[1].startswith("0.")] == ["3", "1"]


def test_columns_are_there_only_where_they_tell_something() -> None:
    """Without an accuracy there is no such column, without a broken constraint no mark."""
    assert "accuracy" not in shown(planted(40))
    text = shown(multitask(GOOD))
    assert "accuracy" in text
    assert "constraint" not in text
    assert listed(planted(40), multitask())[0][-1] != "—"


def test_list_with_accuracy() -> None:
    """The accuracy of the best feasible trial stands behind its error."""
    rows = listed(multitask(POOR, GOOD), planted(40))
    assert rows[0][-3:] == ["0.50000", "80.0", "%"]
    assert rows[1][-1] == "—"


def test_names_beside_accuracies_are_whole_in_a_pipe() -> None:
    """The column for accuracy does not break the names."""
    settings = {**MULTITASK_SETTINGS, "space": "notebook"}
    record = multitask(GOOD, name="multitask-notebook", settings=settings)
    assert listed(record, width=80)[0][0] == "multitask-notebook"


def test_two_objectives() -> None:
    """A study with two objectives, in whatever state, is listed and shown."""
    settings = {**MULTITASK_SETTINGS, "pareto": True}
    running = trial(4, state=TrialState.RUNNING)
    record = multitask(POOR, GOOD, running, settings=settings)
    assert listed(record)[0][-3:] == ["0.50000", "80.0", "%"]
    assert "1 running" in shown(record)


def test_words_of_another_kind() -> None:
    """Columns are called what the study says of its kind."""
    metrics = (
        Metric(name="score", label="score", direction="maximize", objective=True),
        Metric(name="validation_share", label="validation share", low=0, high=1),
    )
    info = KindInfo(name="own", metrics=metrics, fidelity="passes")
    running = trial(2, state=TrialState.RUNNING, curve=(0.5, 0.75), started=NOW)
    ended = [trial(i, value=0.25 + i, attrs={"validation_share": 0.5}) for i in (0, 1)]
    record = StudyRecord(
        name="s",
        directions=("maximize",),
        user_attrs={attrs.KIND: info.to_dict(), attrs.SETTINGS: {"kind": "own"}},
        trials=(*ended, replace(running, params={"passes": 20})),
    )
    lines = shown(record).splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert "running worker done passes passes/s score heartbeat" in words
    assert any("2 of 20" in line for line in words)
    assert "best score share passes parameters" in words
    assert next(line for line in words if line.startswith("1 1.25000")) == "1 1.25000 50.0 % —"
    assert listed(record)[0][-2:] == ["50.0", "%"]
