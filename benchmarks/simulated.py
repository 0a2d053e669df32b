"""Studies with a known truth: real samplers and pruners on learning curves that are made up.

The error of a training falls from that of a constant image to its own level. The learning rate
matters most and has its optimum inside of its range (a decade below it, a training takes 1.8
times the epochs); width, normalisation and batch size matter
less, weight decay and activation little, all others not at all. Every fault has a dial.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, Literal

import numpy as np
import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import TrialState

from search_spaces import SPACES, Scalar, is_number
from storage import attrs
from storage.records import StudyRecord, TrialRecord, to_record
from study.emoji import AUTOENCODER
from study.sampling.names import make_pruner, make_sampler
from study.seeds import sampler_seed
from study.settings import default_settings

NEEDED = 60
"""Epochs after which a training with the best learning rate is within 1 % of its level."""

FIRST, LEVEL = 0.2, 0.006
"""Error before the first epoch, and the level of the best training there is."""

START = datetime(2025, 1, 1, tzinfo=UTC)

FIXED: Mapping[str, Scalar] = {
    **{"auto_encoder": "CNN", "epoch": NEEDED, "schedule": "constant"},
    **{"variational": False, "extra_images": True},
}

OPTIMA = {
    # Its place (logarithm to the base 10), and what a decade away costs at first, in log units.
    "learning_rate": (-2.3, 0.7),
    "width": (1.5, 2.0),
    "batch_size": (1.35, 0.5),
    "weight_decay": (-5.0, 0.01),
}
CHOICES: Mapping[tuple[str, Scalar], float] = {
    ("normalization", "batch"): -0.2,
    ("batch_normalization", True): -0.2,
    ("activation", "silu"): -0.05,
}
"""What a normalisation or an activation gains, in log units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainings:
    """How trainings go, and what is wrong with them.

    Args:
        noise: Scatter of the error between epochs, in log units.
        seed_noise: Scatter of the level between seeds, in log units.
        collapsed, diverged: Share of the trainings that learn nothing, or end as failures.
        outside: Decades by which the best learning rate lies above its range; None for inside.
        length: Share of the epochs they need that they get.
        rise: What the validation error rises to in the second half, in shares of its level.
        blind: Share of a training in which its error tells nothing of its end.
    """

    noise: float = 0.03
    seed_noise: float = 0.05
    collapsed: float = 0.0
    diverged: float = 0.0
    outside: float | None = None
    length: float = 1.0
    rise: float = 1.0
    blind: float = 0.0

    def curve(self, params: Mapping[str, Scalar], rng: np.random.Generator) -> np.ndarray:
        """Return the validation error of every epoch."""
        epochs = np.arange(1, round(self.length * NEEDED) + 1) / NEEDED
        noise = np.exp(self.noise * rng.standard_normal(len(epochs)))
        rate = _decade(params["learning_rate"]) - self._best_rate
        speed = 10 ** (0.25 * min(max(rate, -2.0), 0.0))
        level = LEVEL * math.exp(self._surface(params) + self.seed_noise * rng.standard_normal())
        if rng.random() < self.collapsed:
            return FIRST * noise
        fallen = np.exp(-8 * speed * epochs**0.7)
        values = level + max(FIRST - level, 0.0) * fallen
        values = values * (1 + (self.rise - 1) * np.clip(2 * epochs - 1, 0, None))
        blind = math.exp(rng.standard_normal())
        return np.where(epochs <= self.blind, FIRST * blind * (0.3 + fallen), values) * noise

    @property
    def _best_rate(self) -> float:
        return OPTIMA["learning_rate"][0] if self.outside is None else -1.0 + self.outside

    def _surface(self, params: Mapping[str, Scalar]) -> float:
        found = sum(CHOICES.get(item, 0.0) for item in params.items())
        for name, (best, cost) in OPTIMA.items():
            if name not in params:
                continue
            best = self._best_rate if name == "learning_rate" else best
            far = _decade(params[name]) - best
            found += 3 * (1 - math.exp(-cost * far**2 / 3))  # nothing is worse than collapsed
        return found


def simulate(
    trainings: Trainings,
    *,
    n_trials: int,
    seed: int,
    sampler: str = "tpe",
    pruner: str = "none",
) -> StudyRecord:
    """Run a study of the autoencoders' space, in memory, with our samplers and pruners.

    Args:
        sampler: One of ours; ``grid`` runs the notebook's grid of CNNs once, whatever
            ``n_trials``.
    """
    space_name = "notebook" if sampler == "grid" else "extended"
    space = SPACES["autoencoder"][space_name]
    fixed = {p.name: FIXED[p.name] for p in space.parameters if p.name in FIXED}
    points: Iterator[dict[str, Scalar]] = cycle([{}])
    if sampler == "grid":
        grid = list(space.grid(fixed))
        n_trials, points = len(grid), iter(grid)
    n_epochs = round(trainings.length * NEEDED)

    def suggest(study: optuna.Study, number: int) -> tuple[optuna.Trial, dict[str, Scalar]]:
        study.sampler = make_sampler(sampler, seed=sampler_seed(seed, number), params=next(points))
        trial = study.ask()
        return trial, space.suggest(trial, fixed)

    study = _new_study(seed, make_pruner(pruner, max_steps=n_epochs), "minimize")
    found = _run(study, trainings, suggest, n_trials=n_trials, seed=seed, sign=1.0)
    settings = replace(
        default_settings(AUTOENCODER),
        space=space_name,
        sampler=sampler,
        pruner=pruner,
        seed=seed,
        fixed=fixed,
    )
    own: dict[str, Any] = {attrs.SETTINGS: settings.to_dict()}
    return replace(_record(study, found, ours=True), user_attrs=own)


def simulate_other(trainings: Trainings, *, n_trials: int, seed: int) -> StudyRecord:
    """Run a study as another program would: Optuna's TPE and median pruner, maximised."""
    ranges = SPACES["autoencoder"]["extended"]

    def suggest(study: optuna.Study, number: int) -> tuple[optuna.Trial, dict[str, Scalar]]:
        study.sampler = optuna.samplers.TPESampler(seed=sampler_seed(seed, number))
        trial = study.ask()
        return trial, ranges.suggest(trial, FIXED)

    study = _new_study(seed, MedianPruner(), "maximize")
    found = _run(study, trainings, suggest, n_trials=n_trials, seed=seed, sign=-1.0)
    return _record(study, found, ours=False)


def simulate_steep(*, n_trials: int, seed: int, sampler: str) -> StudyRecord:
    """Run a study of a rate whose optimum lies a tenth of its range inside, and of four dead ones.

    At the near end the value is worse by three standard deviations of its noise.
    """

    def value(trial: optuna.Trial) -> float:
        rate = math.log10(trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True))
        return 5 + 4 * (rate + 4.6) ** 2

    return _simulate_values(value, noise=0.2, n_trials=n_trials, seed=seed, sampler=sampler)


def simulate_alike(*, n_trials: int, seed: int, sampler: str) -> StudyRecord:
    """Run a study of four settings that matter alike, and of four dead ones.

    Their optima lie at three tenths of the ranges. A sampler that learns moves all eight at once.
    """

    def value(trial: optuna.Trial) -> float:
        return sum((trial.suggest_float(f"live_{i}", 0, 1) - 0.3) ** 2 for i in range(4))

    return _simulate_values(value, noise=0.02, n_trials=n_trials, seed=seed, sampler=sampler)


def _simulate_values(
    value: Callable[[optuna.Trial], float],
    *,
    noise: float,
    n_trials: int,
    seed: int,
    sampler: str,
) -> StudyRecord:
    """Run a study of single values, in which four settings do nothing."""
    study = _new_study(seed, NopPruner(), "minimize")
    rng = np.random.default_rng(seed)
    for number in range(n_trials):
        study.sampler = make_sampler(sampler, seed=sampler_seed(seed, number), params={})
        trial = study.ask()
        own = value(trial)
        for i in range(4):
            trial.suggest_float(f"dead_{i}", 0, 1)
        study.tell(trial, own + noise * rng.standard_normal())
    return _record(study, [1] * n_trials, ours=False)


def _decade(value: Scalar) -> float:
    assert is_number(value)
    return math.log10(value)


def _new_study(
    seed: int, pruner: BasePruner, direction: Literal["minimize", "maximize"]
) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Hyperband deals its brackets by the name.
    return optuna.create_study(study_name=f"simulated {seed}", pruner=pruner, direction=direction)


def _run(
    study: optuna.Study,
    trainings: Trainings,
    suggest: Callable[[optuna.Study, int], tuple[optuna.Trial, dict[str, Scalar]]],
    *,
    n_trials: int,
    seed: int,
    sign: float,
) -> list[int]:
    """Run all trials, one after the other; return the epochs of each."""
    rng = np.random.default_rng(seed)
    lengths = []
    for number in range(n_trials):
        trial, params = suggest(study, number)
        curve = sign * trainings.curve(params, rng)
        if rng.random() < trainings.diverged:
            trial.set_user_attr(attrs.FAILURE, f"{attrs.DIVERGED}: validation MSE is NaN")
            study.tell(trial, state=TrialState.FAIL)
            lengths.append(1)
            continue
        for epoch, value in enumerate(curve.tolist()):
            trial.report(value, epoch)
            if epoch + 1 < len(curve) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            trial.set_user_attr(attrs.LAST_VALIDATION_MSE, float(curve[-1]))
            trial.set_user_attr(attrs.LAST_TRAIN_MSE, float(0.9 * curve.min()))
            study.tell(trial, sign * float((sign * curve).min()))
        lengths.append(epoch + 1)
    return lengths


def _record(study: optuna.Study, lengths: list[int], *, ours: bool) -> StudyRecord:
    """Return a study as the analysis sees it; two workers share the trials, a second an epoch."""
    free = [START, START]
    trials: list[TrialRecord] = []
    for trial, n in zip(study.get_trials(deepcopy=False), lengths, strict=True):
        worker = int(np.argmin([t.timestamp() for t in free]))
        started = free[worker]
        free[worker] = completed = started + timedelta(seconds=n)
        own = {"worker": f"host:{worker}", "epochs_run": n, "training_seconds": float(n)}
        record = to_record(trial, ours=ours)
        more = {**record.user_attrs, **own, "seed": trial.number} if ours else {}
        trials.append(replace(record, started=started, completed=completed, user_attrs=more))
    return StudyRecord(
        name=study.study_name,
        directions=(study.direction.name.lower(),),
        user_attrs={},
        trials=tuple(trials),
    )
