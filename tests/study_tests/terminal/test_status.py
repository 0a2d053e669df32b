"""The state of studies for a terminal, or a pipe."""

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from optuna.trial import TrialState
from rich.console import Console, RenderableType

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
PLANTED = planted(40)
DONE = trial(0, value=0.5, params={"epoch": 20})
GOOD = trial(3, value=0.5, attrs=classified((2, 18, 4, 8), min_accuracy=0.7))
POOR = trial(1, value=0.1, attrs=classified((1, 12, 3, 6), min_accuracy=0.7))


def printed(*parts: RenderableType, width: int) -> str:
    """Return what a terminal of some width shows of parts."""
    console = Console(file=io.StringIO(), width=width)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def shown(
    record: StudyRecord, *, width: int = 120, silent_s: Mapping[int, float] | None = None
) -> str:
    """Return a study's status at noon, its words apart by one space."""
    text = printed(*status_lines(record, silent_s, now=NOW), width=width)
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def listed(*records: StudyRecord, width: int = 120) -> list[list[str]]:
    """Return the words of each row of the table of studies."""
    return [line.split() for line in printed(study_table(records), width=width).splitlines()[1:]]


def test_counts_and_names() -> None:
    """Counts, best value and failures of a study are shown; names and messages as they are."""
    text = shown(PLANTED, width=200)
    for part in ("planted", "34 complete", "4 pruned", "2 failed", f"Trial 39 failed: {MARKUP}"):
        assert part in text
    assert f"{PLANTED.best.value:.5f}" in text
    assert "accuracy" not in text
    assert "Trial 0 failed: its worker died" in shown(study(trial(0, state=TrialState.FAIL)))
    record = study(trial(0, value=0.5), name="[red]s[/red]", settings=SETTINGS)
    foreign = study(DONE, name="foreign")  # of plain Optuna
    assert "[red]s[/red]" in shown(record)
    assert "foreign" in shown(foreign)
    rows = listed(record, foreign, PLANTED, study(name="empty", settings=SETTINGS))
    assert [row[0] for row in rows] == ["[red]s[/red]", "foreign", "planted", "empty"]
    assert [row[-1] for row in rows] == ["0.50000", "0.50000", f"{PLANTED.best.value:.5f}", "—"]
    assert "—" in rows[1][1:]


def test_eta() -> None:
    """The rest of the time follows from the mean duration, what has begun, and the workers.

    The second half of a grid of two lengths is answered from the first, in no time.
    """
    done = trial(0, value=0.5, started=NOW - timedelta(seconds=70), completed=NOW)
    begun = {"state": TrialState.RUNNING, "started": NOW - timedelta(seconds=10)}
    record = replace(
        study(done, trial(1, **begun), trial(2, **begun)), user_attrs={"target_trials": 5}
    )
    assert "1 of 5 trials" in shown(record)
    assert "2 running, 0 waiting; ETA 2 min 10 s" in shown(record)  # (4 * 70 - 20) s / 2
    assert "ETA" not in shown(replace(record, user_attrs={"target_trials": 1}))
    settings = {"kind": "autoencoder", "space": "notebook", "sampler": "grid", "fixed": {}}
    minute = {"started": NOW - timedelta(seconds=60), "completed": NOW}
    ends = [trial(i, value=0.5, attrs={"design_index": i}, **minute) for i in (0, 1)]
    record = study(*ends, trial(2, state=TrialState.RUNNING, started=NOW), settings=settings)
    record = replace(record, user_attrs={**record.user_attrs, "target_trials": 480})
    assert "ETA 3 h 58 min" in shown(record, width=200)  # 238 of 240 trainings


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
    done = trial(0, value=0.5, attrs={"worker": "host:[42]"})
    record = study(done, fast, trial(4, state=TrialState.RUNNING), settings=SETTINGS)
    rows = shown(record, silent_s={fast.trial_id: 7.4}).splitlines()
    assert "3 host:[42] 1 3 of 20 0.50 0.25000 7 s ago" in rows
    assert "4 — 0 — — — —" in rows


def test_watch_ends_with_the_study() -> None:
    """Watching goes on until the target is reached, through an outage, but no other error."""
    first = replace(study(DONE), user_attrs={"target_trials": 2})
    last = replace(first, trials=(DONE, replace(DONE, number=1)))
    away, damaged = StorageUnreachableError("gone for a moment"), StorageAccessError("damaged")
    looks = iter([first, away, last, damaged])

    def read() -> tuple[StudyRecord, dict[int, float]]:
        look = next(looks)
        if isinstance(look, Exception):
            raise look
        return look, {}

    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    watch(read, interval_s=0.0, console=console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    parts = ("1 of 2 trials", "The storage is away: gone for a moment", "2 of 2 trials")
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)
    with pytest.raises(StorageAccessError, match="damaged"):
        watch(read, interval_s=0.0, console=console)


def test_best_first() -> None:
    """The five best trials are listed, best first, with all their parameters."""
    params = {"batch_size": 16, "learning_rate": 0.01}
    values = [0.5, 0.2, 0.4, 0.1, 0.3, 0.6, 0.7]
    text = shown(study(*(trial(i, value=v, params=params) for i, v in enumerate(values))))
    rows = [line for line in text.splitlines() if "batch_size=16, learning_rate=0.01" in line]
    assert [row.partition(" —")[0] for row in rows] == [
        *("3 0.10000", "1 0.20000", "4 0.30000", "2 0.40000", "0 0.50000")
    ]


def test_names_are_whole_in_a_pipe() -> None:
    """In 80 columns, which a pipe has, a study's name can still be read and copied."""
    own = {"settings": {**SETTINGS, "space": "notebook"}}
    record = replace(PLANTED, name="autoencoder-notebook", user_attrs=own)
    assert listed(record, width=80)[0][0] == "autoencoder-notebook"
    settings = {**MULTITASK_SETTINGS, "space": "notebook"}
    record = multitask(GOOD, name="multitask-notebook", settings=settings)
    assert listed(record, width=80)[0][0] == "multitask-notebook"


def test_accuracy() -> None:
    """It is shown if any study has one; trials that break the constraint come last.

    Trainings that are the same are listed once, and a study may have two objectives.
    """
    twin = trial(4, value=0.5, attrs={**GOOD.user_attrs, "reused_from": 3})
    rows = shown(multitask(POOR, GOOD, twin)).splitlines()
    assert "best validation MSE accuracy constraint epoch parameters" in rows
    best = [row for row in rows if row[:3] in ("1 0", "3 0", "4 0")]
    assert best == ["3 0.50000 80.0 % kept —", "1 0.10000 55.0 % broken —"]
    text = shown(multitask(GOOD))
    assert "accuracy" in text
    assert "constraint" not in text
    settings = {**MULTITASK_SETTINGS, "pareto": True}
    pareto = multitask(POOR, GOOD, trial(4, state=TrialState.RUNNING), settings=settings)
    assert "1 running" in shown(pareto)
    assert listed(PLANTED, multitask())[0][-1] != "—"
    rows = listed(multitask(POOR, GOOD), pareto, PLANTED)
    assert rows[0][-3:] == rows[1][-3:] == ["0.50000", "80.0", "%"]
    assert rows[2][-1] == "—"


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
    assert "running worker done passes passes/s score heartbeat" in lines
    assert any("2 of 20" in line for line in lines)
    assert "best score share passes parameters" in lines
    assert "1 1.25000 50.0 % —" in lines
    assert listed(record)[0][-2:] == ["50.0", "%"]
