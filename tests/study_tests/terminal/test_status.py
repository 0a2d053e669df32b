"""The state of studies for a terminal, or a pipe."""

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from optuna.trial import TrialState
from rich.console import Console, RenderableType

from storage import attrs
from storage.errors import StorageAccessError, StorageUnreachableError
from storage.records import BestTrial, StudyRecord, StudySummary, count
from study.formats import format_number
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
    out = io.StringIO()
    for part in parts:
        Console(file=out, width=width).print(part)
    return out.getvalue()


def shown(record: StudyRecord, *, width: int = 120, silent_s: Mapping | None = None) -> str:
    """Return a study's status at noon, its words apart by one space."""
    text = printed(*status_lines(record, silent_s, now=NOW), width=width)
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def listed(*records: StudyRecord, width: int = 120) -> list[list[str]]:
    """Return the words of each row of the table of studies."""
    table = study_table(list(map(summary, records)))
    head, *rows = (line.split() for line in printed(table, width=width).splitlines())
    assert head[:8] == ["study", "kind", "space", "done", "failed", "running", "waiting", "best"]
    return rows


def summary(record: StudyRecord) -> StudySummary:
    """Return what a storage tells of a study that it lists."""
    best = record.best if len(record.directions) == 1 else None
    return StudySummary(
        study_id=1,
        name=record.name,
        directions=record.directions,
        metric_names=record.metric_names,
        user_attrs=record.user_attrs,
        progress=count(record.trials),
        best=best and BestTrial(values=best.values, user_attrs=best.user_attrs),
    )


def test_counts_and_names() -> None:
    """Counts, best value and failures of a study are shown; names and messages as they are."""
    text = shown(PLANTED, width=200)
    for part in ("planted", "34 complete", "4 pruned", "2 failed", f"Trial 39 failed: {MARKUP}"):
        assert part in text
    assert format_number(PLANTED.best.value) in text
    assert "accuracy" not in text
    lost = study(trial(0, state=TrialState.FAIL), settings=SETTINGS)
    assert "Trial 0 failed: its worker died" in shown(lost)
    noted = replace(lost.trials[0], other_attrs={"error": "loss is\nnan", "n": 1})
    text = shown(replace(lost, user_attrs={}, trials=(noted,)))
    assert "Trial 0 failed; Optuna stores no reasons." in text
    assert text.endswith("Trial 0: error: loss is nan")
    record = study(trial(0, value=0.5), name="[red]s[/red]", settings=SETTINGS)
    foreign = study(DONE, name="foreign")  # of plain Optuna
    for one in (record, foreign):
        assert one.name in shown(one)
    rows = listed(record, foreign, study(name="empty", settings=SETTINGS))
    assert [row[0] for row in rows] == ["[red]s[/red]", "foreign", "empty"]
    assert [row[-1] for row in rows] == ["0.5000", "0.5000", "—"]
    assert listed(PLANTED)[0][1:7] == ["autoencoder", "extended", "38", "2", "0", "0"]


def test_eta() -> None:
    """It follows from mean, begun trials and workers; a grid's second half takes no time."""
    minute = {"started": NOW - timedelta(seconds=60), "completed": NOW}
    ends = [trial(i, value=0.5, attrs={"design_index": i}, **minute) for i in (0, 1)]
    settings = {**SETTINGS, "space": "notebook", "sampler": "grid", "fixed": {}}
    record = study(*ends, trial(2, state=TrialState.RUNNING, started=NOW), settings=settings)
    record = replace(record, user_attrs={**record.user_attrs, "target_trials": 480})
    text = shown(record, width=200)
    assert "2 of 480 trials" in text
    assert "1 running, 0 waiting; ETA 3 h 58 min, 60 trials/h" in text  # 238 of 240 trainings
    assert "ETA" not in shown(replace(record, user_attrs={"target_trials": 2}))
    random = {**settings, "sampler": "random"}
    record = replace(record, user_attrs={"settings": random, "target_trials": 5})
    assert "ETA 3 min 0 s" in shown(record)


def test_workers() -> None:
    """A running trial is shown with its worker, epoch from 1, speed, error and heartbeat."""
    own = {"worker": "host:[42]", "resumed_epochs": 1}
    fast = trial(
        3,
        state=TrialState.RUNNING,
        params={"epoch": 20},
        curve=(0.75, 0.5, 0.25),
        attrs=own,
        started=NOW - timedelta(seconds=4),
    )
    done = trial(0, value=0.5, attrs=own)
    record = study(done, fast, trial(4, state=TrialState.RUNNING), settings=SETTINGS)
    rows = shown(record, silent_s={fast.trial_id: 7.4}).splitlines()
    assert "3 host:[42] 1 3 of 20 0.500 0.2500 7.4 s ago" in rows
    assert "4 — 0 — — — —" in rows
    others = shown(replace(record, user_attrs={}), silent_s={fast.trial_id: 7.4}).splitlines()
    assert "3 4.0 s 0.2500 at step 2, sign of life 7.4 s ago" in others
    assert "4 — —" in others


def test_watch_ends_with_the_study() -> None:
    """Watching goes on until the target is reached, through an outage, but no other error."""
    first = study(DONE, settings=SETTINGS)
    first = replace(first, user_attrs={**first.user_attrs, "target_trials": 2})
    last = replace(first, trials=(DONE, replace(DONE, number=1)))
    looks = iter([first, StorageUnreachableError("gone"), last, StorageAccessError("damaged")])

    def read() -> tuple[StudyRecord, dict[int, float]]:
        look = next(looks)
        if isinstance(look, Exception):
            raise look
        return look, {}

    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system=None)
    watch(read, interval_s=0.0, console=console)
    said = r"1 of 2 trials.*The storage is away: gone.*2 of 2 trials"
    assert re.search(said, out.getvalue(), re.DOTALL)
    with pytest.raises(StorageAccessError, match="damaged"):
        watch(read, interval_s=0.0, console=console)
    piped = Console(file=(out := io.StringIO()), width=120)
    watch(lambda: (last, {}), interval_s=0.0, console=piped)
    assert out.getvalue().endswith(" \n")


def test_best_first() -> None:
    """The five best come best first, what is fixed once; of a front, the others are counted."""
    params = {"batch_size": 16, "learning_rate": 0.001, "epoch": 20}
    values = enumerate([0.5, 0.2, 0.4, 0.1, 0.3, 0.6])
    trials = [trial(i, value=value, params=params) for i, value in values]
    text = shown(study(*trials, settings=SETTINGS | {"fixed": {"epoch": 20}}))
    found = re.findall(r"^(\d) 0\..* batch size 16, learning rate 1e-3$", text, re.MULTILINE)
    assert (found, text.count("epoch 20"), "Fixed: epoch 20\n" in text) == ([*"31420"], 1, True)
    front = [replace(trial(i), values=(float(i), -float(i))) for i in range(8)]
    both = replace(study(*front), directions=("minimize", "minimize"))
    assert shown(both).endswith("\nand 3 more")


def test_accuracy() -> None:
    """It is shown if any study has one; who breaks the constraint is never the best."""
    twin = trial(4, value=0.5, attrs={**GOOD.user_attrs, "reused_from": 3})
    rows = shown(multitask(POOR, GOOD, twin)).splitlines()
    assert "best trial validation MSE accuracy best epoch settings" in rows
    assert "1 complete trial breaks the constraint" in rows
    assert "1 complete trial breaks the constraint, so none is the best" in shown(multitask(POOR))
    best = [row for row in rows if row[:3] in ("1 0", "3 0", "4 0")]
    assert best == ["3 0.5000 80.0 % —"]
    assert "constraint" not in shown(multitask(GOOD))
    settings = {**MULTITASK_SETTINGS, "space": "notebook", "pareto": True}
    pareto = multitask(POOR, GOOD, name="multitask-notebook", settings=settings)
    rows = listed(multitask(POOR, GOOD), pareto, PLANTED)
    assert [row[-3:] for row in rows[:2]] == [["0.5000", "80.0", "%"], ["2", "objectives", "—"]]
    assert "1 trial that no other beats in all objectives" in shown(pareto)
    assert rows[2][-1] == "—"
    assert listed(pareto, width=80)[0][0] == "multitask-notebook"


def test_words_of_another_kind() -> None:
    """Columns are called what the study says of its kind."""
    share = Metric(name="validation_share", label="validation share", low=0, high=1)
    score = Metric(name="score", label="score", direction="maximize", place=0)
    info = KindInfo(name="own", metrics=(score, share), fidelity="passes")
    running = trial(2, state=TrialState.RUNNING, curve=(0.5, 0.75), started=NOW)
    ended = [trial(i, value=0.25 + i, attrs={"validation_share": 0.5}) for i in (0, 1)]
    made = study(
        *ended,
        replace(running, params={"passes": 20}),
        settings={**SETTINGS, "kind": "own", "fixed": {}},
    )
    own = {**made.user_attrs, attrs.KIND: info.to_dict()}
    record = replace(made, directions=("maximize",), user_attrs=own)
    for line in (
        "running trial worker trials done passes passes/s score heartbeat\n2 — 2 2 of 20",
        "best trial score share best passes settings\n1 1.250 50.0 % —",
    ):
        assert line in shown(record)
    assert listed(record)[0][-2:] == ["50.0", "%"]
