"""Progress for people: what is said, and where."""

from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from emoji_ae.curve import EpochMetrics
from storage import attrs
from storage.rdb import open_storage
from study.progress import describe, epoch_bar, progress_line


def trial(state: TrialState, *, seconds: float = 0.0, value: float | None = None) -> FrozenTrial:
    """Return a trial that took, or has been running for, some seconds."""
    made = create_trial(state=state, value=value)
    now = datetime.now()
    made.datetime_start = now - timedelta(seconds=seconds)
    made.datetime_complete = now if state.is_finished() else None
    return made


def test_nothing_yet() -> None:
    """Without a finished trial there is nothing to estimate from."""
    assert describe([], target=5, n_workers=2) == "0 pruned · 0 failed · ETA …"
    running = [trial(TrialState.RUNNING, seconds=50)]
    assert describe(running, target=5, n_workers=2) == "0 pruned · 0 failed · ETA …"


def test_counts_and_best() -> None:
    """The best value is that of a complete trial, never a pruned one's."""
    trials = [
        trial(TrialState.COMPLETE, seconds=60, value=0.25),
        trial(TrialState.COMPLETE, seconds=60, value=0.125),
        trial(TrialState.PRUNED, seconds=60, value=0.001),
        trial(TrialState.FAIL, seconds=1),
    ]
    text = describe(trials, target=3, n_workers=2)
    assert text == "1 pruned · 1 failed · best 0.12500"


def test_best_of_two_objectives() -> None:
    """With two objectives, the best value is that of the first."""
    trials = [
        create_trial(state=TrialState.COMPLETE, values=[0.25, 0.1]),
        create_trial(state=TrialState.COMPLETE, values=[0.5, 0.9]),
    ]
    assert describe(trials, target=2, n_workers=1) == "0 pruned · 0 failed · best 0.25000"


def test_best_of_a_constraint() -> None:
    """With a constraint, the best value is that of a trial that keeps it; none without one."""
    low, high = (
        create_trial(
            state=TrialState.COMPLETE,
            value=value,
            user_attrs=own,
            system_attrs={"constraints:validation_accuracy": lack},
        )
        for value, own, lack in ((0.25, {attrs.INFEASIBLE: True}, 0.1), (0.5, {}, -0.1))
    )
    text = describe([low, high], target=2, n_workers=1)
    assert text == "0 pruned · 0 failed · best 0.50000"
    assert describe([low], target=1, n_workers=1) == "0 pruned · 0 failed"


@pytest.mark.parametrize(
    ("target", "n_workers", "eta"),
    [(3, 1, "1:00"), (12, 1, "10:00"), (12, 2, "5:00"), (242, 2, "2:00:00")],
)
def test_eta(target: int, n_workers: int, eta: str) -> None:
    """What remains takes as long as what was, shared by the workers."""
    trials = [
        trial(TrialState.COMPLETE, seconds=80, value=0.5),
        trial(TrialState.PRUNED, seconds=40),
    ]
    assert describe(trials, target=target, n_workers=n_workers).endswith(f"ETA {eta}")


def test_eta_counts_what_has_begun() -> None:
    """A trial that has been running for half its time needs only the other half."""
    trials = [
        trial(TrialState.COMPLETE, seconds=7200, value=0.5),
        trial(TrialState.RUNNING, seconds=3600),
    ]
    text = describe(trials, target=2, n_workers=1)
    assert text.endswith("ETA 1:00:00") or "ETA 59:" in text  # time goes on meanwhile
    trials[1] = trial(TrialState.RUNNING, seconds=9000)
    assert describe(trials, target=2, n_workers=1).endswith("ETA 0:00")


def test_progress_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file gets a plain last line on standard error, and nothing on standard output."""
    storage = open_storage(url, create=True)
    optuna.create_study(storage=storage, study_name="s")
    study = optuna.load_study(study_name="s", storage=open_storage(url))
    capsys.readouterr()
    with progress_line(study, target=3, n_workers=1):
        pass
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err == "s: 0/3 0 pruned · 0 failed · ETA …\n"


def test_progress_line_after_an_error(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An error in the block passes through, and the line still ends."""
    storage = open_storage(url, create=True)
    study = optuna.create_study(storage=storage, study_name="s")
    capsys.readouterr()
    with (
        pytest.raises(ZeroDivisionError, match="division"),
        progress_line(study, target=3, n_workers=1),
    ):
        _ = 1 / 0
    assert capsys.readouterr().err.startswith("s: 0/3 ")


def test_epoch_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """The hook of a training's bar never stops it, and a file sees nothing of it."""
    with epoch_bar(2, title="t") as on_epoch:
        for epoch in range(2):
            metrics = EpochMetrics(epoch=epoch, train_mse=0.1, validation_mse=0.1, seconds=1.0)
            assert on_epoch(metrics) is False
    assert capsys.readouterr().out == ""
