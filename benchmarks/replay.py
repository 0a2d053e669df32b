"""How many epochs a search needs for what the whole grid of the notebook found.

Every configuration of the notebook's space was trained once, so that any search of this space can
be replayed on the stored curves, many times with other seeds, without training anything. An epoch
that was trained before is not trained again: what is pruned is resumed, and a configuration that
is suggested again costs nothing, as in this package.

``python -m benchmarks.replay`` prints the table. Source of the method: tabular benchmarks, such
as Ying et al., "NAS-Bench-101", ICML 2019, arXiv:1902.09635.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from scipy import stats

from benchmarks.kept import RESULTS, markdown, read
from search_spaces import SPACES, Scalar, SearchSpace
from study.running.trial_run import PRUNER_CHECKS
from study.sampling.names import make_pruner, make_sampler
from study.seeds import sampler_seed

MAX_EPOCHS = 200
"""Length of the longest trainings of the space."""

ETA = 3
"""Of each rung of successive halving, one in so many goes on."""

RUNGS = (7, 22, 66, 200)
"""Epochs at which successive halving compares: 200 / 3**3, rounded, and so on."""

BRACKET = ETA ** (len(RUNGS) - 1) * 3
"""Configurations that a bracket of successive halving begins with; three are trained fully."""

GIVE_UP = 1000
"""Trials after which a search that finds nothing ends."""

SEEDS = range(30, 130)
"""Of the published searches. Those from 0 to 29 chose the default pruner, so they flatter it."""

Point = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The stored curves of a space's longest trainings.

    Args:
        space: The notebook's.
        curves: Validation MSE by epoch of each point, best so far.
    """

    space: SearchSpace
    curves: Mapping[Point, np.ndarray]

    @property
    def fixed(self) -> dict[str, Scalar]:
        """The parameters that all points have alike."""
        first, *others = map(set, self.curves)
        return dict(first.intersection(*others))

    def reaching(self, target: float) -> str:
        """Say how many of the trainings reach an error."""
        n = sum(bool(curve[-1] <= target) for curve in self.curves.values())
        return f"{n} of the {len(self.curves)} trainings reach"


class Budget:
    """Counts the epochs that a search trains, and notices when it has reached a target.

    Args:
        target: Validation MSE that is to be reached.

    Attributes:
        epochs: Trained so far.
        reached: Epochs that had been trained when the target was reached, None before.
    """

    def __init__(self, grid: Grid, target: float) -> None:
        self._grid = grid
        self._target = target
        self._trained: dict[Point, int] = {}
        self.epochs = 0
        self.reached: int | None = None

    def train(self, point: Point, epochs: int) -> np.ndarray:
        """Train a configuration up to some epochs; return its lowest errors so far."""
        curve = self._grid.curves[point]
        before = self._trained.get(point, 0)
        found = np.flatnonzero(curve[before:epochs] <= self._target)
        if self.reached is None and len(found):
            self.reached = self.epochs + int(found[0]) + 1
        self.epochs += max(0, epochs - before)
        self._trained[point] = max(before, epochs)
        return curve[:epochs]


def read_grid(path: Path, kind: str) -> Grid:
    """Read the trials of a grid, as ``emoji-study export --curves`` writes them.

    Args:
        path: Parquet file.
        kind: Kind of study.
    """
    space = SPACES[kind]["notebook"]
    trials = read(path)
    whole = trials[trials["epoch"] == MAX_EPOCHS]
    curves = {}
    for row in whole.to_dict("records"):
        names = [p.name for p in space.parameters if not pd.isna(row.get(p.name))]
        point = {name: row[name] for name in names}
        curves[_frozen(point)] = np.minimum.accumulate(np.asarray(row["curve"], dtype=float))
    return Grid(space=space, curves=curves)


def one_epoch(grid: Grid, budget: Budget, seed: int) -> None:
    """Train all for one epoch, then the best ones of these fully, one after the other.

    Source: Egele, Guyon, Sun, Balaprakash, "Is One Epoch All You Need For Multi-Fidelity
        Hyperparameter Optimization?", ESANN 2023, arXiv:2307.15422.
    """
    points = _shuffled(grid, seed)
    first = [float(budget.train(point, 1)[-1]) for point in points]
    for i in np.argsort(first, kind="stable"):
        budget.train(points[i], MAX_EPOCHS)
        if budget.reached is not None:
            return


def random_search(grid: Grid, budget: Budget, seed: int) -> None:
    """Train configurations in random order."""
    for point in _shuffled(grid, seed):
        budget.train(point, MAX_EPOCHS)
        if budget.reached is not None:
            return


def successive_halving(grid: Grid, budget: Budget, seed: int) -> None:
    """Train random configurations a little, the best third of them more, and so on.

    Source: Jamieson, Talwalkar, AISTATS 2016, arXiv:1502.07943.
    """
    points = _shuffled(grid, seed)
    for start in range(0, len(points), BRACKET):
        kept = points[start : start + BRACKET]
        for rung in RUNGS:
            errors = [float(budget.train(point, rung)[-1]) for point in kept]
            if budget.reached is not None:
                return
            order = np.argsort(errors, kind="stable")
            kept = [kept[i] for i in order[: max(1, len(kept) // ETA)]]


def optuna_search(sampler: str, pruner: str) -> Callable[[Grid, Budget, int], None]:
    """Return a search with a sampler and a pruner of this package, one trial at a time."""

    def search(grid: Grid, budget: Budget, seed: int) -> None:
        run_search(grid, budget, sampler, pruner, seed=seed, n_trials=GIVE_UP)

    return search


def run_search(
    grid: Grid, budget: Budget, sampler: str, pruner: str, *, seed: int, n_trials: int
) -> optuna.Study:
    """Return a study that ends with the target, or with so many trials.

    Args:
        sampler: ``tpe``, or ``random`` for the grid's points in random order, each once.
        n_trials: At most.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=f"replay {seed}",  # by which Hyperband deals its brackets
        pruner=make_pruner(pruner, max_steps=MAX_EPOCHS),
    )
    order = iter(_shuffled(grid, seed))
    for number in range(n_trials if sampler == "tpe" else min(n_trials, len(grid.curves))):
        params: Mapping[str, Scalar] = {} if sampler == "tpe" else dict(next(order))
        study.sampler = make_sampler(sampler, seed=sampler_seed(seed, number), params=params)
        trial = study.ask()
        point = _frozen(grid.space.suggest(trial, grid.fixed))
        _run(study, trial, grid.curves[point], point, budget)
        if budget.reached is not None:
            break
    return study


SEARCHES: Mapping[str, Callable[[Grid, Budget, int], None]] = {
    "random": random_search,
    "one epoch, then the best": one_epoch,
    "random, successive halving": successive_halving,
    "TPE": optuna_search("tpe", "none"),
    "TPE, median pruner": optuna_search("tpe", "median"),
    "TPE, Hyperband": optuna_search("tpe", "hyperband"),
    "TPE, successive halving (Optuna)": optuna_search("tpe", "halving"),
    "random, Hyperband": optuna_search("random", "hyperband"),
    "random, successive halving (Optuna)": optuna_search("random", "halving"),
}
CHEAP = ("random", "one epoch, then the best", "random, successive halving")
"""Searches that are replayed within a second."""


def confirmed_best(path: Path) -> float:
    """Return the lowest mean validation MSE of a confirmation, as ``export`` wrote it."""
    return float(read(path).groupby("arm")["value"].mean().min())


def replay(
    grid: Grid, target: float, *, seeds: Sequence[int], names: Sequence[str] = tuple(SEARCHES)
) -> dict[str, list[int | None]]:
    """Return the epochs that each search needs for a target, seed by seed; None for never."""
    found: dict[str, list[int | None]] = {}
    for name in names:
        for seed in seeds:
            budget = Budget(grid, target)
            SEARCHES[name](grid, budget, seed)
            found.setdefault(name, []).append(budget.reached)
    return found


def table(grid: Grid, found: Mapping[str, Sequence[int | None]]) -> list[str]:
    """Return the lines of a table: epochs, and by how much the grid needs more."""
    whole = MAX_EPOCHS * len(grid.curves)
    rows = []
    for name, epochs in found.items():
        values = np.asarray([math.inf if value is None else value for value in epochs], float)
        low, middle, high = _median(values)
        ratio = f"1/{whole / middle:.0f}" if math.isfinite(middle) else "never"
        failed = sum(value is None for value in epochs)
        cells = (name, len(epochs), f"{middle:.0f}", f"{low:.0f} to {high:.0f}", ratio, failed)
        rows.append(list(map(str, cells)))
    head = ["search", "n", "epochs (median)", "95 % interval", "of the grid", "never"]
    return markdown(head, rows)


def _median(values: np.ndarray) -> tuple[float, float, float]:
    """Return the median between the ends of its exact 95 % interval, from order statistics.

    Source: Conover, "Practical Nonparametric Statistics", 3rd edition, 1999, section 3.2.
    """
    ordered = np.sort(values)
    n = len(ordered)
    rank = int(stats.binom.ppf(0.025, n, 0.5))
    low = ordered[max(rank - 1, 0)]
    high = ordered[min(n - rank, n - 1)]
    return float(low), float(np.median(ordered)), float(high)


def _run(
    study: optuna.Study,
    trial: optuna.Trial,
    curve: np.ndarray,
    point: Point,
    budget: Budget,
) -> None:
    """Train a trial until it is pruned or done."""
    interval = MAX_EPOCHS // PRUNER_CHECKS
    for epoch in range(MAX_EPOCHS):
        budget.train(point, epoch + 1)
        if budget.reached is not None:
            return
        trial.report(float(curve[epoch]), epoch)
        asked = (epoch + 1) % interval == 0 and epoch + 1 < MAX_EPOCHS
        if asked and trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return
    study.tell(trial, float(curve[-1]))


def _shuffled(grid: Grid, seed: int) -> list[Point]:
    points = list(grid.curves)
    return [points[i] for i in np.random.default_rng(seed).permutation(len(points))]


def _frozen(params: Mapping[str, Any]) -> Point:
    """Return a point by its parameters' names, numbers and truth values as Python has them."""
    return tuple(
        (name, value.item() if isinstance(value, np.generic) else value)
        for name, value in sorted(params.items())
    )


def main() -> None:
    """Print the table of one grid."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--grid", type=Path, default=RESULTS / "grid-autoencoder.parquet")
    parser.add_argument("--kind", default="autoencoder")
    parser.add_argument(
        "--target", type=float, help="validation MSE; the lowest confirmed one if not given"
    )
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many")
    parser.add_argument("--first-seed", type=int, default=SEEDS.start)
    given = parser.parse_args()
    grid = read_grid(given.grid, given.kind)
    target = given.target
    if target is None:
        target = confirmed_best(given.grid.with_stem(f"{given.grid.stem}-confirmation"))
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    lines = table(grid, replay(grid, target, seeds=seeds))
    sys.stdout.write(
        f"Epochs to a validation MSE of {target:.5f}, which {grid.reaching(target)}; each has "
        f"{MAX_EPOCHS} epochs.\n\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    main()
