"""What a worker does between two trainings, as its study grows: TPE, halving, untried points.

What Optuna's sampler takes for its points on the same trials in memory is not counted, for that
grows with them whatever the storage does.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from benchmarks.measure import Figure, median
from search_spaces import Parameter, SearchSpace
from storage import attrs
from storage.bulk import insert_trials, pack_trial
from storage.internals import database_of, key_of, live_trial, transaction
from storage.rdb import open_storage
from study.kind_info import KindInfo
from study.kinds import Data, Finished, Kind, Trainer
from study.metrics import Metric
from study.running import budget
from study.running.coordinator import open_study
from study.running.objective import TrainingObjective
from study.running.worker import claims, run_trial
from study.sampling.names import make_pruner, make_sampler
from study.seeds import sampler_seed
from study.settings import StudySettings, default_settings

SMALL, LARGE, N_TIMED = 200, 5000, 20
N_STEPS = 50
STUDY = "between"

_DEEP = {"model": ("deep",)}
SPACE = SearchSpace(
    name="made-up",
    parameters=(
        Parameter(name="model", distribution=CategoricalDistribution(["deep", "flat"])),
        Parameter(name="layers", distribution=IntDistribution(1, 8), when=_DEEP),
        Parameter(name="rate", distribution=FloatDistribution(1e-5, 1e-1, log=True)),
        Parameter(name="decay", distribution=FloatDistribution(1e-6, 1e-2, log=True)),
        Parameter(name="dropout", distribution=FloatDistribution(0.0, 0.6)),
        Parameter(name="width", distribution=IntDistribution(8, 512, log=True)),
        Parameter(name="batch", distribution=CategoricalDistribution([16, 32, 64])),
        Parameter(name="epoch", distribution=CategoricalDistribution([N_STEPS])),
    ),
)


class Nothing(Data):
    """No data."""

    @property
    def fingerprint(self) -> str:
        return "nothing"


class AtOnce(Trainer):
    """Trains in no time, and notes the CPU seconds at which trainings begin and end."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.ended: list[float] = []

    def load(self, source: Any, sides: Any) -> Data:
        return Nothing()

    def train(self, config: Any, data: Any, run: Any) -> Finished:
        self.began.append(time.process_time())
        level = _level(config)
        steps: list[dict[str, float]] = []
        while len(steps) < N_STEPS:
            steps.append({"loss": level + 1 / (len(steps) + 1)})
            if run.step(steps[-1]):
                break
        self.ended.append(time.process_time())
        return Finished(
            steps=steps, best=steps[-1], best_step=len(steps) - 1, write=lambda path: path.touch()
        )

    def test(self, model: Any, data: Any, *, device: str) -> dict[str, float]:
        raise NotImplementedError


KIND = Kind(
    name="made-up",
    spaces={"made-up": SPACE},
    metrics=(Metric(name="loss", label="loss", low=0),),
    trainer=AtOnce,
    fidelity="epoch",
)


def figures() -> Iterator[Figure]:
    """Measure everything of this module."""
    seconds = {n: _seconds(n) for n in (SMALL, LARGE)}
    own = {n: max(0.0, median(between) - sampler) for n, (between, sampler) in seconds.items()}
    yield Figure(
        name=f"CPU seconds between two trainings, at trial {LARGE:,} / at trial {SMALL}",
        value=own[LARGE] / own[SMALL],
        bar=2.0,
        stretch=1.2,
        at_most=True,
        ratios=[own[LARGE] / own[SMALL]],
        conditions=(
            f"TPE, halving, untried points; median of {N_TIMED}; the sampler's own seconds on the "
            f"same trials in memory ({seconds[SMALL][1]:.3f}, {seconds[LARGE][1]:.3f}) taken off "
            f"({median(seconds[SMALL][0]):.3f}, {median(seconds[LARGE][0]):.3f})"
        ),
    )
    yield Figure(
        name=f"longest pause between two trainings at trial {LARGE:,}, CPU seconds",
        value=max(seconds[LARGE][0]),
        bar=1.0,
        stretch=0.5,
        at_most=True,
        ratios=seconds[LARGE][0],
        conditions=f"the same {N_TIMED} trials, one process",
    )


def _seconds(n_trials: int) -> tuple[list[float], float]:
    """Return CPU seconds between trainings of a study so large, and those of its sampler alone."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        trainer = AtOnce()
        url = f"sqlite:///{folder}/study.db"
        settings = _settings()
        _fill(url, settings, n_trials)
        study = optuna.load_study(study_name=STUDY, storage=open_storage(url, write=True))
        study.pruner = make_pruner("halving", max_steps=N_STEPS)
        objective = TrainingObjective(
            settings=settings,
            kind=KIND,
            trainer=trainer,
            data=Nothing(),
            artifacts=Path(folder),
            device="cpu",
            threads=1,
            space=SPACE,
        )
        budget.request(study, N_TIMED + 1)
        budget.start_design(study, settings, SPACE)
        for claimed in claims(study, threading.Event(), Path(folder)):
            study.sampler = make_sampler("tpe", seed=sampler_seed(0, claimed.number), params={})
            run_trial(study, live_trial(study, claimed), objective, threading.Event())
        between = [b - a for a, b in zip(trainer.ended, trainer.began[1:], strict=False)]
        return between, _sampler_seconds(study)


def _settings() -> StudySettings:
    return replace(
        default_settings(KIND),
        space=SPACE.name,
        sampler="tpe",
        pruner="halving",
        data_fingerprint=Nothing().fingerprint,
    )


def _fill(url: str, settings: StudySettings, n_trials: int) -> None:
    """Create a study of random points, each trained as by a worker: halved, with reports."""
    storage = open_storage(url, create=True, write=True)
    study = open_study(storage, STUDY, settings, KindInfo.of_kind(KIND, SPACE), user_attrs={})
    rng = np.random.default_rng(0)
    now, ranges, trials = datetime.now(UTC), dict[str, int](), []
    for i in range(n_trials):
        params = SPACE.at(rng.random(len(SPACE.parameters)).tolist(), {})
        level = _level(params)
        n_steps = int(rng.choice([1, 3, 9, 27, N_STEPS], p=[0.4, 0.2, 0.1, 0.1, 0.2]))
        user_attrs: dict[str, Any] = {
            attrs.SEED: i,
            attrs.DESIGN_INDEX: i,
            attrs.REPLICATE: 0,
            attrs.DATA_FINGERPRINT: settings.data_fingerprint,
            attrs.EPOCHS_RUN: n_steps,
            attrs.WORKER: "elsewhere/0-0:1",
            attrs.ENVIRONMENT: "elsewhere",
        }
        rungs = {f"completed_rung_{k}": level + 1 / 3**k for k in range(4) if 3**k <= n_steps}
        trial = create_trial(
            state=TrialState.COMPLETE if n_steps == N_STEPS else TrialState.PRUNED,
            value=level + 1 / n_steps,
            params=params,
            distributions={p.name: p.distribution for p in SPACE.parameters if p.name in params},
            intermediate_values={k: level + 1 / (k + 1) for k in range(n_steps)},
            user_attrs=user_attrs,
            system_attrs=rungs,
        )
        trial.number = i
        trials.append(pack_trial(trial, ranges, (now, now)))
    database = database_of(storage)
    assert database is not None
    with transaction(database) as opened:
        insert_trials(opened.session, key_of(study), trials, list(ranges))


def _level(params: Mapping[str, Any]) -> float:
    distance = np.log10(params["rate"]) + 3
    return float(0.1 + 0.05 * distance**2 + params["dropout"] + 1e-3 * params["width"] ** 0.5)


def _sampler_seconds(stored: optuna.Study) -> float:
    """Return the CPU seconds that Optuna's TPE takes for a point on a study's trials in memory."""
    study = optuna.create_study()
    study.add_trials(t for t in stored.get_trials(deepcopy=False) if t.state.is_finished())
    taken = []
    for seed in range(N_TIMED):
        study.sampler = TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
        trial = study.ask()
        began = time.process_time()
        SPACE.suggest(trial, {})
        taken.append(time.process_time() - began)
        study.tell(trial, state=TrialState.FAIL)
    return median(taken)


def main() -> None:
    """Print the figures."""
    for figure in figures():
        sys.stdout.write(f"{figure.name}: {figure.value:.3g}\n  {figure.conditions}\n")


if __name__ == "__main__":
    main()
