"""The state of studies for a terminal, or a pipe."""

import io

from optuna.trial import TrialState
from rich.console import Console

from storage.records import StudyRecord
from study.status import status_lines, study_table
from tests.study_tests.synthetic import MARKUP, SETTINGS, planted, study, trial


def shown(record: StudyRecord, *, width: int = 120) -> str:
    """Return a study's status as a terminal of some width shows it."""
    console = Console(file=io.StringIO(), width=width)
    for part in status_lines(record):
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


def test_target() -> None:
    """What was asked for is shown beside what is finished."""
    done = trial(0, value=0.5, params={"epoch": 20})
    record = StudyRecord(
        name="s", directions=("minimize",), user_attrs={"target_trials": 7}, trials=(done,)
    )
    assert "1 of 7 trials" in shown(record)


def test_running() -> None:
    """A running trial is shown with its worker, its epoch from 1 and its last error."""
    running = trial(
        3,
        state=TrialState.RUNNING,
        params={"epoch": 20},
        curve=(0.5, 0.25),
        attrs={"worker": "host:[42]"},
    )
    fresh = trial(4, state=TrialState.RUNNING)
    rows = [line.split() for line in shown(study(running, fresh)).splitlines()]
    assert ["3", "host:[42]", "2", "0.25000"] in rows
    assert ["4", "—", "—", "—"] in rows


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
