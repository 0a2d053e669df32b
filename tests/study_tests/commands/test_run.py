"""What ``run``, ``worker`` and ``demo`` do; one worker, few steps, tiny data."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import joblib
import pytest
from optuna.trial import TrialState

from storage import attrs
from storage.errors import UnknownStudyError
from storage.records import Progress, StudyRecord
from study.commands import demo
from study.running.choosing import find_trial
from study.running.coordinator import RunOutcome, describe_outcome
from study.running.threads import oversubscription
from tests.conftest import Cli, Wait
from tests.study_tests.asking import command, url_of
from tests.study_tests.studies import ask, stored
from tests.study_tests.synthetic import SETTINGS, planted, study, trial


def test_run_and_continue(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study keeps its settings, so that a second run need not repeat any of them."""
    folder, run = toy.parent, f"run {toy}:TOY --study s"
    more = "--sampler qmc --seed 3 --max-retries 1 --set rounds=4 --set rate=0.5"
    assert command(folder, f"{run} --trials 1 {more}") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (
        f"Study s in {url_of(folder)}: toy, line space, QMC sampler, median pruner; its data; "
        "1 worker with 1 thread each."
    )
    assert said[1].startswith("1 of 1 trials finished: 1 complete, 0 pruned, 0 failed. Best dist")
    assert said[2] == f"Next: emoji-study report --storage {url_of(folder)} --study s"
    assert command(folder, f"{run} --trials 2") == 0
    out, err = capsys.readouterr()
    assert "\n3 of 3 trials finished: " in out
    assert "threads, and now" not in err
    record = stored(folder, "s")
    settings = record.user_attrs[attrs.SETTINGS]
    assert (settings["sampler"], settings["seed"]) == ("qmc", 3)
    assert settings["fixed"] == {"rate": 0.5, "rounds": 4}
    assert [t.user_attrs[attrs.DESIGN_INDEX] for t in record.trials] == [0, 1, 2]
    assert record.user_attrs[attrs.MAX_RETRIES] == 1
    assert (folder / "artifacts").is_dir()

    # Threads are counted before the start; results depend on their number.
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        two = "UPDATE trial_user_attributes SET value_json = '2' WHERE key = 'threads'"
        connection.execute(two)
    n = joblib.cpu_count() + 1
    assert command(folder, f"{run} --total 3 --workers {n} --max-retries 0") == 0
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"Warning: {n} threads of all workers on {n - 1} cores ")
    assert "were trained with 2 threads, and now there are 1 for each worker" in second
    assert stored(folder, "s").user_attrs[attrs.MAX_RETRIES] == 0


def test_grid(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a number a grid runs as a whole; a replicate trains it again with other seeds."""
    folder, run = toy.parent, f"run {toy}:TOY --study s"
    assert command(folder, f"{run} --space few --sampler grid --set rate=0.5 --set rounds=3") == 0
    assert "\n2 of 2 trials finished: " in capsys.readouterr().out
    assert stored(folder, "s").user_attrs[attrs.SETTINGS]["pruner"] == "none"
    assert command(folder, f"{run} --trials 5") == 0
    said = capsys.readouterr().out.splitlines()[-2]
    assert said.startswith("2 of 7 trials finished: ")
    assert said.endswith("No more to do: the grid has no more points.")
    for _ in range(2):
        assert command(folder, f"{run} --replicate 1") == 0
        assert len(stored(folder, "s").trials) == 4
    trials = stored(folder, "s").trials
    points = [(t.user_attrs[attrs.REPLICATE], t.user_attrs[attrs.DESIGN_INDEX]) for t in trials]
    assert points == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert trials[2].params == trials[0].params
    assert len({t.user_attrs[attrs.SEED] for t in trials}) == 4
    assert all(attrs.REUSED_FROM not in t.user_attrs for t in trials)


@pytest.mark.whole
def test_two_replicates_at_one_moment(toy: Path, wait_until: Wait) -> None:
    """Of two commands, the one whose replicate lacks trials says so, and may be repeated."""
    folder, slow = toy.parent, toy.with_name("data") / "slow"
    slow.parent.mkdir()
    slow.touch()
    run = f"run {toy}:TOY --study s --data {slow.parent} --pruner none"
    first = f"{run} --replicate 1 --trials 400 --threads 1 --storage {url_of(folder)}"
    with subprocess.Popen(
        [sys.executable, "-m", "study", *first.split()], stderr=subprocess.PIPE, text=True
    ) as overtaken:
        wait_until(lambda: "COMPLETE" in str(ask(folder, "SELECT state FROM trials")))
        assert command(folder, f"{run} --replicate 2 --trials 2") == 0
        said = overtaken.communicate()[1].splitlines()[-1]
    assert overtaken.returncode == 1
    assert said.startswith("Error: Replicate 2 was asked for meanwhile, by another command, so ")
    replicates = [trial.user_attrs[attrs.REPLICATE] for trial in stored(folder, "s").complete]
    assert replicates.count(2) >= 2
    assert replicates.count(1) < 400


def infeasible(n_trials: int) -> StudyRecord:
    """Return a study with a constraint that no trial keeps."""
    settings = {**SETTINGS, "kind": "multitask", "min_accuracy": 0.75}
    broken = {attrs.INFEASIBLE: True, attrs.VALIDATION_ACCURACY: 0.5}
    trials = [trial(i, value=0.25, params={"epoch": 20}, attrs=broken) for i in range(n_trials)]
    return study(*trials, settings=settings)


def test_find_trial() -> None:
    """A trial is found by its number or as the best; anything else is refused with a reason."""
    record = planted(30)
    assert find_trial(record, "7").number == 7
    best = find_trial(record, "best")
    assert best.value == min(t.value for t in record.complete if t.value is not None)
    for which in ("30", "-1", "1.5", "x", "", "Best", "²"):
        message = r"has no trial '.*'; it has 30, counted from 0"
        with pytest.raises(UnknownStudyError, match=message):
            find_trial(record, which)
    waiting = study(trial(0, state=TrialState.WAITING))
    with pytest.raises(UnknownStudyError, match="Trial 0 of study 'study' has not started"):
        find_trial(waiting, "0")
    with pytest.raises(UnknownStudyError, match="'study' has no complete trial yet"):
        find_trial(waiting, "best")
    assert find_trial(infeasible(3), "1").number == 1
    with pytest.raises(UnknownStudyError, match="accuracy") as seen:
        find_trial(infeasible(3), "best")
    assert "no complete trial" not in str(seen.value)


def outcome(
    *, target: int, interrupted: bool = False, exhausted: bool = False, **counts: int
) -> RunOutcome:
    """Return an outcome with these counts."""
    states = dict.fromkeys(("complete", "pruned", "failed", "running", "waiting"), 0)
    return RunOutcome(
        progress=Progress(**{**states, **counts}),
        target=target,
        interrupted=interrupted,
        exhausted=exhausted,
    )


def test_describe_outcome() -> None:
    """The end of a run is said with its counts, its best trial, and why it was not more."""
    record, grid = (
        study(trial(0, value=0.25, params={"epoch": 20}), settings={**SETTINGS, "sampler": name})
        for name in ("tpe", "grid")
    )
    best = " Best validation MSE 0.2500 (trial 0)."
    assert (
        describe_outcome(record, outcome(target=3, complete=2, pruned=1))
        == "3 of 3 trials finished: 2 complete, 1 pruned, 0 failed." + best
    )
    exhausted = outcome(target=3, complete=2, exhausted=True)
    assert describe_outcome(grid, exhausted).endswith("the grid has no more points.")
    said = describe_outcome(record, outcome(target=3, complete=2, failed=1))
    assert said.endswith("No more to do: the rest failed, see `status`.")
    for left in ({"waiting": 1}, {"running": 1}):  # somebody else ended the workers
        said = describe_outcome(record, outcome(target=3, complete=2, failed=1, **left))
        rest = " The rest waits, as the workers were ended; the same command continues."
        assert said.endswith(rest)
    interrupted = outcome(target=3, complete=2, waiting=1, interrupted=True)
    assert describe_outcome(record, interrupted).endswith(best)
    # Where no trial keeps the constraint, that is said, and how high it is.
    said = describe_outcome(infeasible(3), outcome(target=3, complete=3))
    assert said.startswith("3 of 3 trials finished: 3 complete, 0 pruned, 0 failed. ")
    assert "Best" not in said
    assert re.search("accuracy", said)
    assert re.search(r"0\.75|75 ?%", said)


@pytest.mark.parametrize(
    ("cores", "threads", "busy", "warning"),
    [
        (2, 2, 0.5, None),
        (2, 1, 1.5, None),
        (2, 4, 9.0, "^4 threads of all workers on 2 cores slow each other down many times; take "),
        (1, 2, 0.0, "^2 threads of all workers on 1 cores .* take fewer --workers or --threads.$"),
        (2, 2, 0.6, "^other programs kept about 0.60 of 2 cores busy in the last minute, so tri"),
        (2, 2, 11.7, "^other programs kept all of 2 cores busy .* or take fewer --workers or --t"),
    ],
)
def test_oversubscription(cores: int, threads: int, busy: float, warning: str | None) -> None:
    """More threads than free cores are warned of once, with half a core's tolerance."""
    warnings = list(oversubscription(cores, threads, busy=busy))
    assert len(warnings) == (warning is not None)
    assert all(re.search(str(warning), text) for text in warnings)


@pytest.mark.whole
def test_demo(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes the whole way, says what it does, and ends with one next step."""
    monkeypatch.setattr(demo, "TRIALS", 2)
    monkeypatch.setattr(demo, "EPOCHS", 1)
    code, out, _ = cli("demo", "--out", "here", "--workers", "1")
    assert (code, out.count("Next: ")) == (0, 1)
    assert "2 of 2 trials finished" in out
    assert all(Path("here", name).exists() for name in ("study.db", "report.html", "best"))
