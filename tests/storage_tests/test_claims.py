"""Many processes that claim from one study: every trial goes to exactly one of them."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from storage import attrs
from tests.servers import opened

N_PROCESSES, N_TRIALS = 4, 1000

WORKER = """
import sys
import optuna
from storage import queue
from storage.rdb import open_storage

optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.load_study(study_name="study", storage=open_storage(sys.argv[1], write=True))
sys.stdin.readline()  # all at the same time
while (claimed := queue.claim(study)) is not queue.Empty.DONE:
    if isinstance(claimed, queue.Empty):
        continue
    sys.stdout.write(f"{claimed.number}\\n")
    study.tell(claimed.number, 0.0)
"""


def claimed_numbers(url: str) -> list[int]:
    """Let several processes work through a study; return what each of them claimed, in a row."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(N_PROCESSES)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * N_PROCESSES
    assert sum(bool(output) for output in outputs) > 1, "one process did it all"
    return [int(number) for output in outputs for number in output]


@pytest.mark.slow
def test_enqueued_trials(tmp_path: Path) -> None:
    """A thousand enqueued trials on SQLite are each claimed once, by four processes."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with opened(url, create=True, write=True) as storage:
        study = optuna.create_study(study_name="study", storage=storage)
        study.set_user_attr(attrs.TARGET, N_TRIALS)
        for _ in range(N_TRIALS):
            study.enqueue_trial({})
    assert sorted(claimed_numbers(url)) == list(range(N_TRIALS))


def test_new_trials(place: str) -> None:
    """Of a design's points each is given out once, and no more of them than are wanted."""
    with opened(place, create=True, write=True) as storage:
        study = optuna.create_study(study_name="study", storage=storage)
        study.set_user_attr(attrs.TARGET, 150)
        study.set_user_attr(attrs.DESIGN, {"next": 0, "end": None, "replicate": 0})
        assert sorted(claimed_numbers(place)) == list(range(150))
        trials = study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 150
    assert sorted(trial.user_attrs[attrs.DESIGN_INDEX] for trial in trials) == list(range(150))
