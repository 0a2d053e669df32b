"""Processes that create a database at one moment, and claim from one study at another."""

import json
from contextlib import ExitStack

import optuna
import pytest
from optuna.trial import TrialState

from storage import attrs
from tests.servers import next_line, opened, process

WORKER = """
import json, sys
import optuna
from storage import operations, queue
from storage.rdb import open_storage
from storage.served import perform

def wait():
    print(flush=True)
    sys.stdin.readline()  # all at the same time

optuna.logging.set_verbosity(optuna.logging.WARNING)
wait()
storage = open_storage(sys.argv[1], create=True, write=True)
perform(storage, operations.create_study, **json.loads(sys.argv[2]))
study = optuna.load_study(study_name="study", storage=storage)
wait()
numbers = []
while (claimed := queue.claim(study)) is not queue.Empty.DONE:
    if not isinstance(claimed, queue.Empty):
        numbers.append(claimed.number)
        study.tell(claimed.number, 0.0)
        if len(numbers) == 1:
            wait()  # until each has one: no schedule lets one do it all
print(*numbers)
"""

PLACES = ["sqlite", *(pytest.param(p, marks=pytest.mark.slow) for p in ("postgresql", "grpc"))]


@pytest.mark.whole
@pytest.mark.parametrize(
    ("n_processes", "n_enqueued", "n_new"),
    [(2, 25, 25), pytest.param(4, 1000, 150, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_processes(place: str, n_processes: int, n_enqueued: int, n_new: int) -> None:
    """The database is whole, the study is there once, each wanted trial is claimed by one."""
    created = {
        "name": "study",
        "directions": ["MINIMIZE"],
        "metrics": ["error"],
        "user_attrs": {
            attrs.TARGET: n_enqueued + n_new,
            attrs.DESIGN: {"next": 0, "end": None, "replicate": 0},
        },
        "waiting": [[{}, {}]] * n_enqueued,
    }
    with ExitStack() as stack:
        workers = [
            stack.enter_context(process(WORKER, place, json.dumps(created)))
            for _ in range(n_processes)
        ]
        for _ in range(3):
            for worker in workers:
                assert next_line(worker) == ""
                assert worker.poll() is None
            for worker in workers:
                worker.stdin.write("\n")
                worker.stdin.flush()
        outputs = [worker.communicate()[0].split() for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * n_processes
    with opened(place) as storage:
        trials = optuna.load_study(study_name="study", storage=storage).get_trials()
    numbers = sorted(int(number) for output in outputs for number in output)
    assert numbers == list(range(n_enqueued + n_new))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * len(numbers)
    indices = [t.user_attrs[attrs.DESIGN_INDEX] for t in trials[n_enqueued:]]
    assert sorted(indices) == list(range(n_new))
