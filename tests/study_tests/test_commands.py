"""What the commands do, without the command line; one worker, two epochs, tiny data."""

from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from search_spaces import SearchSpaceError
from storage import attrs
from storage.errors import UnknownStudyError
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record
from study.budget import Progress
from study.commands import RunRequest, describe_outcome, find_trial, run_request
from study.errors import StudyError
from study.workers import RunOutcome
from tests.study_tests.synthetic import SETTINGS, planted, study, trial

CNN = {"auto_encoder": "CNN", "epoch": "1", "batch_size": "16"}


def run(url: str, **changes: Any) -> tuple[RunOutcome, list[str]]:
    """Run a study; return what was said, too."""
    said: list[str] = []
    request = {"kind": "autoencoder", "url": url, "threads": 1, "assignments": {}, **changes}
    return run_request(RunRequest(**request), say=said.append), said


def test_run_and_continue(url: str, tmp_path: Path, tiny_data: Path, other_data: Path) -> None:
    """A study keeps its settings, so that a second run need not repeat any of them."""
    outcome, said = run(
        url, data=tiny_data, study="s", n_trials=1, sampler="qmc", seed=3, assignments=CNN
    )
    assert outcome.progress.finished == outcome.target == 1
    # Other programs may be busy, of which a warning tells.
    said = [line for line in said if not line.startswith("Warning: other programs")]
    assert said[0].startswith(f"Study s in {url}: autoencoder, notebook space, qmc sampler, ")
    assert "median pruner; 24 training and 8 validation images; 1 workers with 1 thr" in said[0]
    assert said[1].startswith("1 of 1 trials finished: 1 complete, 0 pruned, 0 failed. Best val")
    outcome, _ = run(url, study="s", n_trials=2)
    assert outcome.progress.finished == outcome.target == 3
    record = load_study_record(open_storage(url), "s")
    settings = record.user_attrs[attrs.SETTINGS]
    assert (settings["sampler"], settings["seed"]) == ("qmc", 3)
    assert {side: settings["sides"].count(side) for side in "tvx"} == {"t": 24, "v": 8, "x": 8}
    assert settings["fixed"] == {"auto_encoder": "CNN", "epoch": 1, "batch_size": 16}
    assert [t.user_attrs[attrs.DESIGN_INDEX] for t in record.trials] == [0, 1, 2]
    assert (tmp_path / "artifacts").is_dir()

    for changes, message in (
        ({"sampler": "tpe"}, "has sampler 'qmc', but got 'tpe'"),
        ({"pruner": "none"}, "has pruner 'median', but got 'none'"),
        ({"space": "extended"}, "has space 'notebook', but got 'extended'"),
        ({"seed": 4}, "has seed 3, but got 4"),
        ({"data_seed": 1}, "has data_seed 42, but got 1"),
        ({"split": "random"}, "has split 'group', but got 'random'"),
        ({"assignments": {"epoch": "2"}}, "has fixed .*, but got {'epoch': 2}"),
        ({"data": other_data}, "'s' was made with other data .* give its file with --data"),
    ):
        with pytest.raises(StudyError, match=message):
            run(url, study="s", n_trials=1, **changes)
    assert len(load_study_record(open_storage(url), "s").trials) == 3


def test_grid_is_completed(url: str, tiny_data: Path) -> None:
    """Without a number, a grid runs as a whole; then there is no more to do."""
    fixed = {**CNN, "learning_rate": "0.01", "weight_decay": "0.001"}
    outcome, _ = run(url, data=tiny_data, sampler="grid", assignments=fixed)
    assert outcome.progress.finished == outcome.target == 2
    record = load_study_record(open_storage(url), "autoencoder-notebook")
    assert record.user_attrs[attrs.SETTINGS]["pruner"] == "none"
    outcome, said = run(url, n_trials=5)
    assert (outcome.progress.finished, outcome.target) == (2, 7)
    assert said[-1].endswith("No more to do: the grid has no more points.")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"kind": "x"}, SearchSpaceError, "`kind` must be one of autoencoder"),
        ({"space": "x"}, SearchSpaceError, "`space` must be one of notebook, extended"),
        ({"sampler": "x"}, StudyError, "`sampler` must be one of grid, "),
        ({"pruner": "x"}, StudyError, "`pruner` must be one of median, "),
        ({"split": "x"}, StudyError, "`split` must be one of group, random, but got 'x'"),
        (
            {"assignments": {"x": "1"}},
            SearchSpaceError,
            "no parameter 'x'; it has: epoch,",
        ),
        ({"sampler": "grid", "space": "extended"}, SearchSpaceError, "has no grid"),
    ],
)
def test_refused_before_anything_is_created(
    url: str, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A request that makes no sense leaves no database."""
    with pytest.raises(error, match=message):
        run(url, **changes)
    assert list(tmp_path.iterdir()) == []


def test_find_trial() -> None:
    """A trial is found by its number or as the best."""
    record = planted(30)
    assert find_trial(record, "7").number == 7
    best = find_trial(record, "best")
    assert best.value == min(t.value for t in record.complete if t.value is not None)


@pytest.mark.parametrize("which", ["30", "99", "-1", "1.5", "x", "", "Best"])
def test_no_such_trial(which: str) -> None:
    """Anything else is refused with the number of trials."""
    with pytest.raises(UnknownStudyError, match=r"has no trial '.*'; it has 30, counted from 0"):
        find_trial(planted(30), which)


def test_no_such_trial_in_strange_digits() -> None:
    """A digit that is no number is refused like any other text."""
    with pytest.raises(UnknownStudyError, match="has no trial"):
        find_trial(planted(30), "²")


def test_trial_without_parameters() -> None:
    """A trial that never started, and a best trial where none is complete, are refused."""
    waiting = study(trial(0, state=TrialState.WAITING))
    with pytest.raises(UnknownStudyError, match="Trial 0 of study 'study' has not started"):
        find_trial(waiting, "0")
    with pytest.raises(UnknownStudyError, match="'study' has no complete trial yet"):
        find_trial(waiting, "best")


def outcome(*, target: int, interrupted: bool = False, **counts: int) -> RunOutcome:
    """Return an outcome with these counts."""
    states = dict.fromkeys(("complete", "pruned", "failed", "running", "waiting"), 0)
    return RunOutcome(
        progress=Progress(**{**states, **counts}), target=target, interrupted=interrupted
    )


def record(sampler: str) -> StudyRecord:
    """Return a study of a sampler, with one trial."""
    settings = {**SETTINGS, "sampler": sampler}
    return study(trial(0, value=0.25, params={"epoch": 20}), settings=settings)


def test_describe_outcome() -> None:
    """The end of a run is said with its counts, its best trial, and why it was not more."""
    best = " Best validation MSE 0.25000 (trial 0)."
    assert (
        describe_outcome(record("tpe"), outcome(target=3, complete=2, pruned=1))
        == "3 of 3 trials finished: 2 complete, 1 pruned, 0 failed." + best
    )
    assert describe_outcome(record("grid"), outcome(target=3, complete=2)).endswith(
        "No more to do: the grid has no more points."
    )
    assert describe_outcome(record("tpe"), outcome(target=3, complete=2, failed=1)).endswith(
        "No more to do: the rest failed, see `status`."
    )
    interrupted = outcome(target=3, complete=2, waiting=1, interrupted=True)
    assert describe_outcome(record("tpe"), interrupted).endswith(best)
    empty = study(settings=SETTINGS)
    assert describe_outcome(empty, outcome(target=1, interrupted=True)).endswith("0 failed.")
