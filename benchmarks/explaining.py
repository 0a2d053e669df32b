"""How near the shares of PED-ANOVA of a pruned search come to those of the whole grid.

Searches of the notebook's space are replayed on the stored curves of the grid (see
``benchmarks.replay``), and explained twice: by their complete trials alone, and as the report
does, by pruned ones as well. How far the shares are from those of the whole grid is half the sum
of their absolute differences: 0 if equal, 1 if they have nothing in common.

``python -m benchmarks.explaining`` prints the table.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.kept import RESULTS, markdown, mean_cell, to_study_record
from benchmarks.replay import MAX_EPOCHS, Budget, Grid, read_grid, run_search
from storage.records import StudyRecord
from study.analysis.estimates import estimate
from study.analysis.ped_anova import get_ped_anova

SEARCHES = (
    ("random", "none", 60),
    ("random", "median", 60),
    ("random", "halving", 100),
    ("tpe", "median", 60),
    ("tpe", "halving", 40),
    ("tpe", "halving", 100),
)
"""Sampler, pruner and number of trials."""

_NO_TARGET = -1.0
"""An error that no training reaches."""


def shares_of(grid: Grid) -> dict[str, float]:
    """Return the importances of the whole grid."""
    budget = Budget(grid, _NO_TARGET)
    n_points = len(grid.curves)
    return _shares(
        to_study_record(run_search(grid, budget, "random", "none", seed=0, n_trials=n_points))
    )


def distances(
    grid: Grid,
    expected: Mapping[str, float],
    sampler: str,
    pruner: str,
    n_trials: int,
    *,
    seeds: Iterable[int],
) -> dict[str, list[float]]:
    """Return, for each seed, the epochs, the complete trials, and the distances to the grid.

    Args:
        expected: Shares of the whole grid.

    Returns:
        ``epochs``, ``complete``, ``alone`` (complete trials alone; without those of searches with
        too few of them) and ``with pruned``.
    """
    found: dict[str, list[float]] = {
        name: [] for name in ("epochs", "complete", "alone", "with pruned")
    }
    for seed in seeds:
        budget = Budget(grid, _NO_TARGET)
        record = to_study_record(
            run_search(grid, budget, sampler, pruner, seed=seed, n_trials=n_trials)
        )
        found["epochs"].append(budget.epochs)
        found["complete"].append(len(record.complete))
        found["with pruned"].append(_distance(expected, _shares(record)))
        alone = _shares(replace(record, trials=record.complete))
        if alone:
            found["alone"].append(_distance(expected, alone))
    return found


def row(search: tuple[str, str, int], found: Mapping[str, list[float]]) -> list[str]:
    """Return the cells of a search: medians, and means with 95 % t intervals."""
    sampler, pruner, n_trials = search
    alone = found["alone"]
    return [
        f"{sampler}, {pruner}",
        str(n_trials),
        f"{np.median(found['epochs']):,.0f}",
        f"{np.median(found['complete']):.0f}",
        str(len(found["epochs"])),
        mean_cell(estimate(alone), 2) if len(alone) == len(found["epochs"]) else "too few",
        mean_cell(estimate(found["with pruned"]), 2),
    ]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of the table."""
    head = ["sampler, pruner", "trials", "epochs", "complete", "n"]
    return markdown([*head, "distance, complete trials alone", "distance, with pruned ones"], rows)


def _shares(record: StudyRecord) -> dict[str, float]:
    return {p.name: p.share for p in get_ped_anova(record).parameters}


def _distance(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    return sum(abs(a.get(name, 0.0) - b.get(name, 0.0)) for name in {*a, *b}) / 2


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    given = parser.parse_args()
    grid = read_grid(RESULTS / "grid-autoencoder.parquet", "autoencoder")
    expected = shares_of(grid)
    seeds = range(given.seeds)
    rows = [row(search, distances(grid, expected, *search, seeds=seeds)) for search in SEARCHES]
    sys.stdout.write(
        f"{len(grid.curves)} trainings of {MAX_EPOCHS} epochs.\n\n" + "\n".join(table(rows)) + "\n"
    )


if __name__ == "__main__":
    main()
