"""Numbers that stand in the sentences of documents, made anew from the kept trials.

``python -m benchmarks.sentences`` prints them in the order of the sentences; the tables are those
of ``benchmarks.tables``. ``tests/test_results.py`` compares both with what stands there.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState, create_trial
from scipy import stats

from benchmarks.kept import (
    RESULTS,
    interval_cell,
    mean_cell,
    percent,
    points,
    read,
    share,
    to_study_record,
)
from benchmarks.observations import TOP, difference, effects, families_among_the_best
from benchmarks.tables import by_arm, error_pairs
from search_spaces import get_space
from storage.attrs import VALIDATION_ACCURACY
from storage.records import StudyRecord
from study.analysis import NEAR
from study.analysis.confirmation import estimate, relative_difference
from study.analysis.experiment import sign_tests
from study.analysis.fidelity import get_fidelity
from study.analysis.importance import get_importances
from study.formats import format_label


def saved(name: str) -> str:
    """Return how much of a grid was trained, and how much the notebook had trained."""
    trials = read(RESULTS / f"{name}.parquet")
    own = trials[trials["reused_from"].isna()]
    return (
        f"{len(trials):,} configurations are {len(own)} trainings and "
        f"{own['epochs_run'].sum():,} epochs, where the notebook trained {trials['epoch'].sum():,}"
    )


def pruned(name: str) -> str:
    """Return how much of a search was pruned, and what that left to train."""
    finished = _finished(name)
    n_pruned = int((finished["state"] == TrialState.PRUNED.name).sum())
    return (
        f"{n_pruned} of {len(finished)} trials were pruned, and {finished['epochs_run'].sum():,} "
        f"of {finished['epoch'].sum():,} epochs trained"
    )


def change(
    name: str, arm: str, baseline: str, *, of: str | None = None, column: str = "value"
) -> str:
    """Return by how much the error of a configuration differs from another's, pair by pair.

    Args:
        name: Of the file that holds it, without the ending.
        arm: Name of the configuration.
        baseline: Name of the one to compare with.
        of: File that holds the baseline, if it is another one.
        column: Which error.
    """
    pairs = error_pairs(by_arm(of or name)[baseline], by_arm(name)[arm], column)
    lower = sum(after < before for before, after in pairs)
    return _changed(*relative_difference(pairs), n=len(pairs), lower=lower)


def error(name: str, arm: str, column: str = "value", digits: int = 5) -> str:
    """Return the mean error, or accuracy, of a confirmed configuration with its interval.

    Args:
        name: Of the confirmation's file, without the ending.
        arm: Name of the configuration.
        column: Which error.
        digits: Behind the point.
    """
    values = by_arm(name)[arm][column].tolist()
    return f"{mean_cell(estimate(values), digits)[:-1]}, n = {len(values)})"


def effect(parameter: str, after: str, family: str = "CNN") -> str:
    """Return what a value of a parameter of the grid does in place of the next smaller one."""
    trials = read(RESULTS / "grid-autoencoder.parquet")
    members = trials[
        (trials["auto_encoder"] == family) & (trials["epoch"] == trials["epoch"].max())
    ]
    (found,) = (e for e in effects(members, "autoencoder", parameter) if e.after == after)
    return _changed(found.change, found.low, found.high, n=found.n, lower=found.lower)


def accuracy_change(name: str, arm: str, baseline: str) -> str:
    """Return how the validation accuracy differs, with its 95 % t interval, pair by pair."""
    pairs = error_pairs(by_arm(name)[baseline], by_arm(name)[arm], VALIDATION_ACCURACY)
    differences = [after - before for before, after in pairs]
    found = difference(differences)
    assert found is not None  # of eight or thirty pairs
    higher, (p_value,) = sum(change > 0 for change in differences), sign_tests([pairs])
    detail = f"n = {len(pairs)}, higher with {higher}, sign test p = {p_value:.2f}"
    return f"{points(found)[:-1]}, {detail})"


def promised(name: str, search: str, n: int = 5) -> str:
    """Return by how much errors exceed, with fresh seeds and splits, what the search measured.

    Args:
        name: Of the confirmation's file.
        search: Of the search's file.
        n: Confirmed configurations, those with the lowest errors in the search.
    """
    measured = read(RESULTS / f"{search}.parquet").set_index("number")["value"].sort_values()
    found = {arm: own["value"].mean() for arm, own in by_arm(name).items()}
    best = [(value, found[f"trial {i}"]) for i, value in measured.items() if f"trial {i}" in found]
    excess = [mean / value - 1 for value, mean in best[:n]]
    return (
        f"{percent(median(excess))} (median of {n}, {percent(min(excess))} to "
        f"{percent(max(excess))})"
    )


def alike(name: str) -> str:
    """Return how many trials of a search share what its sampler came to prefer."""
    trials = _finished(name)
    return (
        f"of {len(trials)} trials {int(trials['variational'].sum())} have variational latents, "
        f"{int((trials['activation'] == 'silu').sum())} SiLU, "
        f"{int((trials['normalization'] == 'group').sum())} group normalisation"
    )


def near(name: str) -> str:
    """Return the smallest and the fastest complete trial whose error is near the lowest one."""
    trials = read(RESULTS / f"{name}.parquet").set_index("number")
    close = trials[trials["value"] <= (1 + NEAR) * trials["value"].min()]
    within = f"within {share(NEAR)} of the winner"
    if len(close) == 1:
        return f"No other of the {len(trials)} complete trials is {within}"
    smallest = close["parameter_count"].idxmin()
    fastest = close["training_seconds"].idxmin()
    which = "the smallest and fastest" if smallest == fastest else "the smallest"
    found = (
        f"Of the {len(close)} complete trials {within} {which} is trial {smallest} with "
        f"{close['parameter_count'].min():,} weights"
    )
    return found if smallest == fastest else f"{found}, the fastest trial {fastest}"


def most_accurate(name: str = "grid-multitask", n_images: int = 34) -> str:
    """Return how many validation images the trainings of a grid classify at most."""
    trials = read(RESULTS / f"{name}.parquet")
    accuracies = trials.loc[trials["reused_from"].isna(), VALIDATION_ACCURACY]
    right = (accuracies * n_images).round().astype(int)
    assert right.max() < n_images
    return (
        f"None of the {len(right)} trainings classifies all {n_images} validation images, "
        f"{int((right == right.max()).sum())} classify {right.max()}"
    )


def leaking() -> str:
    """Return what the accuracies of the leakage experiment range over."""
    arms = by_arm("leakage")
    groups, random = (arms[arm][VALIDATION_ACCURACY] for arm in ("group split", "random split"))
    perfect = stats.binomtest(int((random == 1).sum()), len(random))
    of_all = perfect.proportion_ci(0.95, method="wilson")
    return (
        f"between {share(groups.min())} and {share(groups.max())} depending on seed and split, "
        f"and {perfect.k} of {perfect.n} trainings with a random split classifies all of the "
        f"validation images ({share(of_all.low)} to {share(of_all.high)})"
    )


def among_the_best() -> str:
    """Return how many of the grid's best trials are convolutional."""
    best = families_among_the_best(read(RESULTS / "grid-autoencoder.parquet"))
    return f"{best['CNN']} of the best {TOP}"


def all_right(n_images: int = 35) -> str:
    """Return what a test with no error says of the accuracy."""
    low = stats.binomtest(n_images, n_images).proportion_ci(0.95, method="wilson").low
    return (
        f"{n_images} of {n_images} correct images only say that the accuracy is above {share(low)}"
    )


def record(name: str, space: str) -> StudyRecord:
    """Return the trials of a file of autoencoders as the analysis sees them.

    Args:
        name: Of the file, without the ending; exported with ``--curves``.
        space: Name of the search space.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=name)
    for row in _finished(name).to_dict("records"):
        state = TrialState[row["state"]]
        given: dict[str, Any] = {
            p.name: p.distribution
            for p in get_space("autoencoder", space).parameters
            if not pd.isna(row.get(p.name))
        }
        study.add_trial(
            create_trial(
                state=state,
                value=row["value"] if state == TrialState.COMPLETE else None,
                params={
                    key: known.to_external_repr(known.to_internal_repr(row[key]))
                    for key, known in given.items()
                },
                distributions=given,
                intermediate_values=dict(enumerate(map(float, row["curve"]))),
            )
        )
    return to_study_record(study)


def fidelity(name: str, epochs: Sequence[int]) -> str:
    """Return how well the order of a grid's trials after some epochs tells the final one."""
    info = get_fidelity(record(name, "notebook"))
    found = {point.epoch: point for point in info.points}
    parts = [
        f"after {epoch} {found[epoch].spearman:.2f}, {found[epoch].low:.2f} to "
        f"{found[epoch].high:.2f}"
        for epoch in epochs
    ]
    return f"{'; '.join(parts)}; n = {info.n_complete}"


def importances(name: str, n: int) -> str:
    """Return the parameters that a search finds most important."""
    info = get_importances(record(name, "extended"))
    parts = [
        f"{format_label(p.name)} {p.share:.2f} ({p.low:.2f} to {p.high:.2f})"
        for p in info.parameters[:n]
    ]
    others = max(p.share for p in info.parameters[n:])
    return f"{', '.join(parts)}; all others at most {others:.2f}; n = {info.n_trials}"


def _finished(name: str) -> pd.DataFrame:
    """Return the complete and the pruned trials of a file."""
    trials = pd.read_parquet(RESULTS / f"{name}.parquet")
    return trials[trials["state"].isin([TrialState.COMPLETE.name, TrialState.PRUNED.name])]


def _changed(change: float, low: float | None, high: float | None, *, n: int, lower: int) -> str:
    """Write by how much an error changes, behind it what that rests on."""
    return f"{percent(change)} ({interval_cell(low, high)}, n = {n}, lower with {lower})"


def _mean(name: str, arm: str, column: str = "test_mse") -> float:
    return float(by_arm(name)[arm][column].mean())


GRID = "grid-autoencoder-confirmation"
EQUAL = "equal-latents-confirmation"
MULTITASK = "grid-multitask-confirmation"

FIGURES: Mapping[str, tuple[Callable[[], str], ...]] = {
    "docs/results.md": (
        partial(saved, "grid-autoencoder"),
        partial(saved, "grid-multitask"),
        partial(change, GRID, "trial 9", "default"),
        partial(promised, GRID, "grid-autoencoder"),
        partial(fidelity, "grid-autoencoder", [1, 7, 23]),
        partial(pruned, "autoencoder-extended"),
        partial(near, "autoencoder-extended"),
        partial(importances, "autoencoder-extended", 4),
        partial(pruned, "equal-latents"),
        partial(importances, "equal-latents", 5),
        partial(alike, "equal-latents"),
        partial(near, "equal-latents"),
        partial(change, "equal-latents-small", "trial 25", "trial 96", of=EQUAL),
        partial(change, "equal-latents-small", "trial 14", "trial 96", of=EQUAL),
        partial(change, "equal-latents-small", "trial 14", "trial 9", of=GRID, column="test_mse"),
        partial(change, "grid-autoencoder-on-twitter", "trial 9", "default"),
        partial(change, GRID, "trial 9", "default"),
        partial(change, MULTITASK, "trial 167", "default"),
        partial(promised, MULTITASK, "grid-multitask"),
        most_accurate,
        partial(accuracy_change, "auxiliary-task", "sequential", "joint, lambda 0.1"),
        partial(accuracy_change, "leakage", "random split", "group split"),
        partial(error, "leakage", "group split", VALIDATION_ACCURACY, 3),
        leaking,
        all_right,
        partial(error, GRID, "default", "test_mse"),
        partial(error, GRID, "trial 9", "test_mse"),
        among_the_best,
        partial(error, GRID, "trial 9", "test_mse"),
        partial(error, "grid-autoencoder-linear", "trial 97", "test_mse"),
        partial(effect, "batch_size", "32"),
        partial(effect, "batch_size", "64"),
        partial(effect, "learning_rate", "0.001"),
        partial(effect, "learning_rate", "0.01"),
        partial(effect, "learning_rate", "0.1"),
        partial(effect, "weight_decay", "0.0001"),
        partial(effect, "weight_decay", "0.0001", "linear"),
        partial(effect, "batch_normalization", "True"),
        partial(change, "auxiliary-task", "joint, lambda 0.1", "lambda 0"),
        partial(change, "auxiliary-task", "branched, lambda 0.1", "lambda 0"),
        partial(change, "auxiliary-task", "sequential", "lambda 0"),
    ),
    "README.md": (
        lambda: (
            f"has {_mean(GRID, 'default'):.4f}; the best of its whole grid has "
            f"{_mean(GRID, 'trial 9'):.4f}"
        ),
        lambda: f"finds {_mean(EQUAL, 'trial 96'):.5f} at the notebook's latent size",
        lambda: f"and {_mean('autoencoder-extended-confirmation', 'trial 96'):.5f} with latents",
        lambda: f"has {share(_mean('leakage', 'group split', VALIDATION_ACCURACY))} of the valid",
        lambda: (
            f"has {share(_mean(MULTITASK, 'trial 167', 'test_accuracy'))} of the test images "
            f"and an error of {_mean(MULTITASK, 'trial 167'):.4f}"
        ),
    ),
}
"""What stands in each document, in the order of its sentences; twice if it stands there twice."""

if __name__ == "__main__":
    for name, figures in FIGURES.items():
        sys.stdout.write("\n".join([f"{name}:", *(figure() for figure in figures), "", ""]))
