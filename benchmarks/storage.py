"""What the database costs a trial: as a study grows, and as more workers share it.

``python -m benchmarks.storage [URL]`` prints the table of ``docs/distributed.md``.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.trial import TrialState, create_trial

from benchmarks.measure import Figure, median, paired_ratios
from benchmarks.studies import STUDY, run
from storage import attrs, queue
from storage.internals import live_trial
from storage.rdb import open_storage
from storage.writing import suggesting, write_trial
from study.analysis.spent import training_seconds

N_EPOCHS = 50
N_PARAMS = 8


def overhead_of_old_studies() -> Figure:
    """Seconds per trial outside training in a study of 2,000 trials over those in one of 200."""
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        fill(Path(small), 200)
        fill(Path(large), 2000)
        ratios = paired_ratios(lambda: overhead_s(Path(large)), lambda: overhead_s(Path(small)))
    return Figure(
        name="time outside training per trial, at trial 2,000 / at trial 200",
        value=median(ratios),
        bar=1.5,
        stretch=1.1,
        at_most=True,
        ratios=ratios,
        conditions="CNN trials of 1 epoch, random sampler, SQLite, 1 worker with 1 thread",
    )


def fill(folder: Path, n_trials: int) -> None:
    """Create a study that has ``n_trials`` finished trials of 50 epochs, all but one made up."""
    run(folder, "--sampler", "random", "--epochs", "1", trials=1)
    storage = open_storage(f"sqlite:///{folder / 'study.db'}", write=True)
    study = optuna.load_study(study_name=STUDY, storage=storage)
    (real,) = study.get_trials()
    kept = {name: value for name, value in real.user_attrs.items() if name != attrs.DESIGN_INDEX}
    study.add_trials(
        create_trial(
            state=TrialState.COMPLETE,
            value=1.0,
            params=real.params,
            distributions=real.distributions,
            user_attrs=kept | {attrs.SEED: i},
            intermediate_values=dict.fromkeys(range(N_EPOCHS), 1.0),
        )
        for i in range(n_trials - 1)
    )


def overhead_s(folder: Path, n_trials: int = 10) -> float:
    """Run trials; return the seconds of each, from first start to last end, without training."""
    before = len(run_record(folder))
    trials = run(folder, "--epochs", "1", trials=n_trials).trials[before:]
    starts = [trial.started for trial in trials if trial.started is not None]
    ends = [trial.completed for trial in trials if trial.completed is not None]
    training = sum(map(training_seconds, trials))
    return ((max(ends) - min(starts)).total_seconds() - training) / len(trials)


def run_record(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """Return the trials of the study in a folder."""
    storage = open_storage(f"sqlite:///{folder / 'study.db'}")
    return optuna.load_study(study_name=STUDY, storage=storage).get_trials(deepcopy=False)


def figures() -> Iterator[Figure]:
    """Measure everything of this module."""
    yield overhead_of_old_studies()


def work_without_training(url: str) -> None:
    """Do all that a worker does to the database, and nothing else, until a study is done."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=STUDY, storage=open_storage(url, write=True))
    study.sampler = optuna.samplers.RandomSampler()
    sys.stdin.readline()  # all start at the same time
    while (claimed := queue.claim(study)) is not queue.Empty.DONE:
        if isinstance(claimed, queue.Empty):
            continue
        trial = live_trial(study, claimed)
        with suggesting(trial):
            for i in range(N_PARAMS):
                trial.suggest_float(f"parameter {i}", 0, 1)
        write_trial(trial, user_attrs={f"at the start {i}": i for i in range(6)})
        for epoch in range(0, N_EPOCHS, 10):  # as if ten epochs took a second
            write_trial(trial, intermediate_values=dict.fromkeys(range(epoch, epoch + 10), 1.0))
        write_trial(trial, user_attrs={f"at the end {i}": i for i in range(10)})
        study.tell(trial, 1.0)


def trials_per_s(url: str, *, n_processes: int, n_trials: int = 200) -> float:
    """Return how many trials a second the database can take from several processes."""
    storage = open_storage(url, create=True, write=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=STUDY)
    study.set_user_attr(attrs.TARGET, n_trials)
    study.set_user_attr(attrs.DESIGN, {"next": 0, "end": None, "replicate": 0})
    code = "import sys; from benchmarks.storage import work_without_training as work; "
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", f"{code}work(sys.argv[1])", url],
            stdin=subprocess.PIPE,
            text=True,
        )
        for _ in range(n_processes)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    while not study.get_trials(deepcopy=False):  # they are importing
        time.sleep(0.01)
    started = time.perf_counter()
    for process in processes:
        process.communicate()
    seconds = time.perf_counter() - started
    optuna.delete_study(storage=storage, study_name=STUDY)
    return n_trials / seconds


def main() -> None:
    """Print how many trials a second a database can take."""
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/study.db"
        sys.stdout.write("processes  trials/s  ms per trial\n")
        for n_processes in (1, 2, 4, 8):
            rate = trials_per_s(url, n_processes=n_processes)
            sys.stdout.write(f"{n_processes:9}  {rate:8.1f}  {1000 / rate:12.1f}\n")


if __name__ == "__main__":
    main()
