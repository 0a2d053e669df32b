"""Many processes that claim from one study: every trial goes to exactly one of them."""

import subprocess
import sys

import optuna
import pytest
from optuna.trial import TrialState

from storage import attrs
from tests.servers import opened

WORKER = """
import sys
import optuna
from storage import queue
from storage.rdb import open_storage

optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.load_study(study_name="study", storage=open_storage(sys.argv[1], write=True))
print("ready", flush=True)
sys.stdin.readline()  # all at the same time
while (claimed := queue.claim(study)) is not queue.Empty.DONE:
    if isinstance(claimed, queue.Empty):
        continue
    sys.stdout.write(f"{claimed.number}\\n")
    study.tell(claimed.number, 0.0)
"""

PLACES = ["sqlite", *(pytest.param(p, marks=pytest.mark.slow) for p in ("postgresql", "grpc"))]


@pytest.mark.whole
@pytest.mark.parametrize(
    ("n_processes", "n_enqueued", "n_new"),
    [(2, 40, 40), pytest.param(4, 1000, 150, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_processes(place: str, n_processes: int, n_enqueued: int, n_new: int) -> None:
    """Enqueued trials and points of a design are each claimed once, and no more than wanted."""
    with opened(place, create=True, write=True) as storage:
        study = optuna.create_study(study_name="study", storage=storage)
        study.set_user_attr(attrs.TARGET, n_enqueued + n_new)
        study.set_user_attr(attrs.DESIGN, {"next": 0, "end": None, "replicate": 0})
        for _ in range(n_enqueued):
            study.enqueue_trial({})
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, place],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(n_processes)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        outputs = [process.communicate()[0].split() for process in processes]
        trials = study.get_trials()
    assert [process.returncode for process in processes] == [0] * n_processes
    assert sum(bool(output) for output in outputs) > 1, "one process did it all"
    numbers = sorted(int(number) for output in outputs for number in output)
    assert numbers == list(range(n_enqueued + n_new))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * len(numbers)
    indices = [t.user_attrs[attrs.DESIGN_INDEX] for t in trials[n_enqueued:]]
    assert sorted(indices) == list(range(n_new))
