"""Numbers that stand in the sentences of documents, made anew from the kept trials.

``python -m benchmarks.sentences`` prints them in the order of the sentences; the tables are those
of ``benchmarks.tables``. ``tests/test_results.py`` compares both with what stands there.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import TrialState, create_trial
from scipy import stats

from benchmarks.explaining import shares_of
from benchmarks.kept import (
    ACCURACY,
    ERROR,
    RESULTS,
    error_difference,
    interval_cell,
    mean_cell,
    percent,
    points,
    read,
    share,
    to_study_record,
)
from benchmarks.observations import TOP, effects, families_among_the_best
from benchmarks.replay import read_grid
from benchmarks.tables import by_arm, mean_of, path_of, value_pairs
from emoji_ae.splits import Split
from search_spaces import SPACES
from storage.attrs import BASELINE, VALIDATION_ACCURACY
from storage.records import StudyRecord
from study.analysis import NEAR
from study.analysis.correlation import Coefficient
from study.analysis.estimates import Interval, by_split
from study.analysis.fidelity import get_fidelity
from study.analysis.metric_pairs import get_metric_pairs
from study.analysis.paired import (
    SIGNIFICANT,
    Difference,
    Pairs,
    compare,
    compare_all,
    detectable,
)
from study.emoji import AUTOENCODER
from study.exchange.read_results import read_results
from study.formats import format_coefficient
from study.running.opening import load_here
from study.settings import default_settings


def constant() -> str:
    """Return what the mean training image scores, and how many of a grid are no better."""
    _, data = load_here(
        AUTOENCODER, default_settings(AUTOENCODER), "cpu", study="grid-autoencoder", stored=False
    )
    level = data.facts()[BASELINE]
    trials = read(RESULTS / "grid-autoencoder.parquet")
    assert set(trials["data_fingerprint"]) == {data.fingerprint}
    once = trials[trials["epoch"] == trials["epoch"].max()]
    bad = once.assign(bad=once[ERROR.name] >= level).groupby("auto_encoder")["bad"]
    n, n_bad = bad.count(), bad.sum()
    return (
        f"{level:.5f}: {n_bad['CNN']} of the {n['CNN']} convolutional trainings and "
        f"{n_bad['linear']} of the {n['linear']} fully connected ones are no better"
    )


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
    pairs = value_pairs(by_arm(of or name)[baseline], by_arm(name)[arm], column)
    found = error_difference(pairs)
    return _changed(found.mean or 0.0, found.interval, n=found.n_pairs, lower=found.n_below)


def error(name: str, arm: str, column: str = "value", digits: int = 5) -> str:
    """Return the mean error, or accuracy, of a confirmed configuration with its interval.

    Args:
        name: Of the confirmation's file, without the ending.
        arm: Name of the configuration.
        column: Which error.
        digits: Behind the point.
    """
    own = by_arm(name)[arm]
    return f"{mean_cell(mean_of(own, column), digits)[:-1]}, n = {len(own)})"


def effect(
    parameter: str, after: str, family: str = "CNN", **where: tuple[bool | float, ...]
) -> str:
    """Return what a value of a parameter of the grid does in place of the next smaller one.

    Args:
        after: The value.
        **where: Values of other parameters, to which the twins are limited.
    """
    trials = read(RESULTS / "grid-autoencoder.parquet")
    members = trials[
        (trials["auto_encoder"] == family) & (trials["epoch"] == trials["epoch"].max())
    ]
    for name, values in where.items():
        members = members[members[name].isin(values)]
    (found,) = (e for e in effects(members, "autoencoder", parameter) if e.after == after)
    return _changed(found.change, found.interval, n=found.n, lower=found.lower)


def gain(
    name: str,
    arm: str,
    baseline: str,
    column: str = VALIDATION_ACCURACY,
    *,
    image: float | None = None,
    on_these: bool = False,
) -> str:
    """Return how an accuracy or a number of latents differs, pair by pair, and its t interval.

    Args:
        name: Of the file that holds it, without the ending.
        arm: Name of the configuration.
        baseline: Name of the one to compare with.
        column: Which number.
        image: The share of one image, if pairs that differ by less are to count as equal: arms
            with validation sets of different sizes differ without one more image being right.
        on_these: Whether to speak of other splits of the same images alone, so that what splits
            share is no matter.
    """
    pairs = value_pairs(by_arm(name)[baseline], by_arm(name)[arm], column)
    pairs = replace(pairs, sides=()) if on_these else pairs
    found = compare(pairs, ACCURACY, "plain")
    assert found.p_value is not None  # of five or more pairs
    counted = f"higher with {found.n_above}"
    if image is not None:
        told = [
            a > b for b, a in zip(pairs.before, pairs.after, strict=True) if abs(a - b) >= image
        ]
        counted = f"higher with {sum(told)} of the {len(told)} that differ by an image"
    return f"{_points(found)[:-1]}, n = {found.n_pairs}, {counted}, p = {found.p_value:.3f})"


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


def unchosen(
    name: str, search: str, kind: str = "autoencoder", column: str = "value"
) -> tuple[float, float]:
    """Return what a grid had measured of the default, which nothing has chosen, and its mean.

    Args:
        name: Of the confirmation's file.
        search: Of the grid's file.
        kind: Kind of study.
        column: Error or accuracy.
    """
    own = by_arm(name)["default"]
    trials = read(RESULTS / f"{search}.parquet")
    for parameter in SPACES[kind]["notebook"].parameters:
        if parameter.name in own:
            trials = trials[trials[parameter.name] == own[parameter.name].iloc[0]]
    (measured,) = trials[column]
    return float(measured), float(own[column].mean())


def risen(name: str, search: str, kind: str = "autoencoder") -> str:
    """Return by how much the default's error exceeds what a grid had measured of it."""
    measured, mean = unchosen(name, search, kind)
    return f"{percent(mean / measured - 1)}, from {measured:.5f}"


def rose(number: int, name: str, search: str) -> str:
    """Return by how much a confirmed trial's error differs from what a search had measured."""
    measured = read(RESULTS / f"{search}.parquet").set_index("number")["value"][number]
    (own,) = (own for arm, own in by_arm(name).items() if arm.endswith(f"trial {number}"))
    return f"trial {number} by {percent(own['value'].mean() / measured - 1)}"


def shares_alike() -> str:
    """Return how far equal shares of all settings are from those of all trainings of the grid."""
    shares = shares_of(read_grid(RESULTS / "grid-autoencoder.parquet", "autoencoder"))
    distance = sum(abs(share - 1 / len(shares)) for share in shares.values()) / 2
    return f"shares that are all equal are at {distance:.2f}"


def fallen(name: str, search: str) -> str:
    """Return how the default's accuracy differs from what a grid had measured of it."""
    measured, mean = unchosen(name, search, "multitask", VALIDATION_ACCURACY)
    return f"falls from {measured:.3f} to {mean:.3f}"


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


def sizes(arm: str) -> str:
    """Return how many images the splits of an arm of the leakage experiment have."""
    splits = map(Split.from_sides, by_arm("leakage")[arm]["sides"])
    (found,) = {(len(s.train), len(s.validation), len(s.test)) for s in splits}
    return "{} training, {} validation and {} test images".format(*found)


def left_of_the_cost() -> str:
    """Return what branches leave of what training both tasks jointly costs."""
    none, joint, branched = (
        _mean("auxiliary-task", arm, "value")
        for arm in ("lambda 0", "joint, lambda 0.1", "branched, lambda 0.1")
    )
    return f"leave {share((branched - none) / (joint - none))} of what joint training costs"


def untouched() -> str:
    """Return in how many pairs a classifier on frozen latents leaves the error as it is."""
    arms = by_arm("auxiliary-task")
    pairs = value_pairs(arms["lambda 0"], arms["sequential"], "value")
    equal = sum(b == a for b, a in zip(pairs.before, pairs.after, strict=True))
    return f"bit for bit in {equal} of {len(pairs)} pairs"


def told() -> str:
    """Return the arms whose latents are told from the improved model's, in either number."""
    tables = (compare_all(_from_improved(column), ACCURACY, "plain") for column in LATENT)
    names = [arm for found in tables for arm, one in found.items() if one.told]
    return f"In either {', '.join(names) or 'no arm'} is told from the improved one"


def could_be_told(column: str) -> str:
    """Return which difference from the improved model's eight pairs would mostly have told.

    Args:
        column: The number of the latents.
    """
    samples = _from_improved(column)
    sizes = []
    for pairs in samples.values():
        differences = [a - b for b, a in zip(pairs.before, pairs.after, strict=True)]
        units, overlap = by_split(differences, pairs.sides)
        level = SIGNIFICANT / len(samples)
        sizes.append(stdev(units) * detectable(len(units), level, overlap))
    return f"from about {median(sizes):.3f} on"


def _from_improved(column: str) -> dict[str, Pairs]:
    arms = by_arm("latent-space")
    improved = arms.pop("improved")
    return {arm: value_pairs(improved, own, column) for arm, own in arms.items()}


def _points(found: Difference) -> str:
    """Write a difference of accuracies, or of numbers of latents, with its interval."""
    low, high = found.interval or (0.0, 0.0)
    return points((low, found.mean or 0.0, high))


def farther() -> str:
    """Return how the extended winner's error, as a share of the grid's, differs on Twitter's."""
    at_home, there = (
        [math.log(after / before) for before, after in zip(of.before, of.after, strict=True)]
        for grid, search in (
            (GRID, EXTENDED),
            ("grid-autoencoder-on-twitter", "autoencoder-extended-on-twitter"),
        )
        for of in [value_pairs(by_arm(grid)["trial 9"], by_arm(search)["trial 96"], "test_mse")]
    )
    interval = stats.ttest_ind(there, at_home, equal_var=False).confidence_interval(0.95)
    change, low, high = map(math.expm1, (fmean(there) - fmean(at_home), *interval))
    n, ends = f"n = {len(there)} and {len(at_home)}", interval_cell(Interval(low, high))
    return f"{percent(change)} ({ends}, {n}, Welch's t interval on logarithms)"


def steps_told(name: str = "equal-latents-path") -> str:
    """Return the adjusted p-values of the steps of an ablation; those of 1 are left out."""
    arms = by_arm(name)
    steps = {
        after.removeprefix("then "): value_pairs(arms[before], arms[after], "value")
        for before, after in pairwise(path_of(arms))
    }
    found = {
        step: one.p_value
        for step, one in compare_all(steps, ERROR, "ratio").items()
        if one.p_value
    }
    below = sorted((p_value, step) for step, p_value in found.items() if p_value < 1)
    listed = ", ".join(f"{step} {p_value:.3f}" for p_value, step in below)
    return f"{listed}, the other {len(found) - len(below)} 1"


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
    trials = read(RESULTS / "grid-autoencoder.parquet")
    best = trials.nsmallest(TOP, "value", keep="first")
    trainings = best["reused_from"].fillna(best["number"]).nunique()
    of_all = families_among_the_best(trials)["CNN"]
    of_own = families_among_the_best(trials[trials["reused_from"].isna()])["CNN"]
    return (
        f"{of_all} of the best {TOP} configurations, which are {trainings} trainings, and "
        f"{of_own} of the best {TOP} trainings"
    )


def all_right(n_images: int = 35) -> str:
    """Return what a test with no error says of the accuracy."""
    low = stats.binomtest(n_images, n_images).proportion_ci(0.95, method="wilson").low
    return (
        f"{n_images} of {n_images} correct images only say that the accuracy is above {share(low)}"
    )


def record(name: str, space: str) -> StudyRecord:
    """Return the trials of a file of autoencoders as the analysis sees them, each training once.

    Args:
        name: Of the file, without the ending; exported with ``--curves``.
        space: Name of the search space.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=name)
    trials = _finished(name)
    if "reused_from" in trials:
        trials = trials[trials["reused_from"].isna()]
    for row in trials.to_dict("records"):
        state = TrialState[row["state"]]
        given: dict[str, Any] = {
            p.name: p.distribution
            for p in SPACES["autoencoder"][space].parameters
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
    found = {point.step: point for point in info.points}
    parts = [
        f"after {epoch} {found[epoch].spearman:.2f}, "
        f"{(found[epoch].interval or Interval(math.nan, math.nan)).written('{:.2f}'.format)}"
        for epoch in epochs
    ]
    return f"{'; '.join(parts)}; n = {info.n_complete}"


def _finished(name: str) -> pd.DataFrame:
    """Return the complete and the pruned trials of a file."""
    trials = pd.read_parquet(RESULTS / f"{name}.parquet")
    return trials[trials["state"].isin([TrialState.COMPLETE.name, TrialState.PRUNED.name])]


def _changed(change: float, interval: Interval | None, *, n: int, lower: int) -> str:
    """Write by how much an error changes, behind it what that rests on."""
    return f"{percent(change)} ({interval_cell(interval)}, n = {n}, lower with {lower})"


def _mean(name: str, arm: str, column: str = "test_mse") -> float:
    return float(by_arm(name)[arm][column].mean())


def _rise(text: str) -> str:
    """Return the change that a text begins with, without its sign."""
    return text[1:].partition("%")[0] + "%"


def together(where: str) -> str:
    """Return the correlation of error and accuracy over the multitask grid, each training once.

    Args:
        where: "all" trials, "within" equal batch normalisation, or one of its two values.
    """
    found = read_results(RESULTS / "grid-multitask.parquet", name="grid-multitask")
    pair = next(
        pair
        for pair in get_metric_pairs(found)
        if (pair.first.name, pair.second.name) == (ERROR.name, VALIDATION_ACCURACY)
    )
    assert pair.parameter == "batch_normalization"
    pearson, spearman, n = {
        "all": (pair.pearson, pair.spearman, len(pair.points)),
        "within": (pair.within_pearson, pair.within_spearman, len(pair.points)),
        **{level.words: (level.pearson, level.spearman, level.n_trials) for level in pair.levels},
    }[where]
    told = ", ".join(
        f"{name} {_coefficient(c)}" for name, c in (("Pearson", pearson), ("rank", spearman))
    )
    return f"{told}, n = {n}"


def together_with_batch_normalization() -> str:
    """Return the rank correlation of error and accuracy with it, other settings held equal.

    First within each learning rate, then of what the main effects of all settings leave.
    """
    trials = read(RESULTS / "grid-multitask.parquet")
    trials = trials[trials["batch_normalization"].astype(bool) & trials["reused_from"].isna()]
    settings = list(SPACES["multitask"]["notebook"].parameters)
    names = [p.name for p in settings if trials[p.name].nunique() > 1]
    told = []
    for held in (["learning_rate"], names):
        levels = pd.get_dummies(trials[held].astype(str), drop_first=True, dtype=float)
        x = np.column_stack([np.ones(len(trials)), levels])
        ranks = trials[[ERROR.name, VALIDATION_ACCURACY]].rank().to_numpy()
        left = ranks - x @ np.linalg.lstsq(x, ranks)[0]
        r = float(np.corrcoef(left.T)[0, 1])
        free = len(trials) - x.shape[1] - 1
        p = 2 * float(stats.t.sf(abs(r) * math.sqrt(free / (1 - r * r)), free))
        told.append((format_coefficient(r), f"p = {p:.2g}"))
    (rate, p_rate), (rest, p_rest) = told
    return (
        f"where the learning rate is equal as well, the rank correlation is {rate} ({p_rate}), "
        f"and of what the main effects of all settings leave, {rest} ({p_rest})"
    )


def _coefficient(found: Coefficient) -> str:
    text = f"{format_coefficient(found.value)}"
    if found.interval is None:
        return text
    return f"{text} ({found.interval.written(format_coefficient)})"


LATENT = ("latent_attribute_auc", "latent_analogy_rank")
GRID = "grid-autoencoder-confirmation"
EXTENDED = "autoencoder-extended-confirmation"
EQUAL = "equal-latents-confirmation"
MULTITASK = "grid-multitask-confirmation"

FIGURES: Mapping[str, tuple[Callable[[], str], ...]] = {
    "docs/results.md": (
        partial(sizes, "group split"),
        constant,
        partial(saved, "grid-autoencoder"),
        partial(saved, "grid-multitask"),
        partial(change, GRID, "trial 9", "default"),
        partial(change, GRID, "trial 9", "trial 11"),
        partial(promised, GRID, "grid-autoencoder"),
        partial(risen, GRID, "grid-autoencoder"),
        partial(rose, 36, GRID, "grid-autoencoder"),
        partial(rose, 97, "grid-autoencoder-linear", "grid-autoencoder"),
        shares_alike,
        partial(effect, "batch_size", "32", learning_rate=(0.0001,)),
        partial(effect, "batch_size", "32", learning_rate=(0.01,)),
        partial(effect, "learning_rate", "0.1", "linear", weight_decay=(0.01,)),
        partial(effect, "learning_rate", "0.1", "linear", weight_decay=(1e-5, 1e-4, 1e-3)),
        partial(fidelity, "grid-autoencoder", [1, 7, 21]),
        partial(pruned, "autoencoder-extended"),
        partial(near, "autoencoder-extended"),
        partial(pruned, "equal-latents"),
        partial(change, EQUAL, "trial 96", "trial 100"),
        partial(change, EQUAL, "trial 96", "trial 61"),
        partial(alike, "equal-latents"),
        partial(error, "latent-space", "improved"),
        steps_told,
        partial(near, "equal-latents"),
        partial(change, "equal-latents-small", "trial 25", "trial 96", of=EQUAL),
        partial(change, "equal-latents-small", "trial 14", "trial 96", of=EQUAL),
        partial(change, "equal-latents-small", "trial 14", "trial 9", of=GRID, column="test_mse"),
        partial(change, "grid-autoencoder-on-twitter", "trial 9", "default"),
        partial(change, GRID, "trial 9", "default"),
        farther,
        partial(change, MULTITASK, "trial 167", "default"),
        partial(change, MULTITASK, "trial 167", "trial 168"),
        partial(change, MULTITASK, "trial 167", "trial 227"),
        partial(gain, MULTITASK, "trial 167", "default", "test_accuracy"),
        partial(promised, MULTITASK, "grid-multitask"),
        partial(risen, MULTITASK, "grid-multitask", "multitask"),
        partial(rose, 694, MULTITASK, "grid-multitask"),
        partial(together, "all"),
        partial(together, "within"),
        partial(together, "off"),
        partial(together, "on"),
        together_with_batch_normalization,
        most_accurate,
        partial(fallen, MULTITASK, "grid-multitask"),
        untouched,
        partial(gain, "auxiliary-task", "sequential", "joint, lambda 0.1"),
        left_of_the_cost,
        partial(change, "auxiliary-task", "branched, lambda 0.1", "lambda 0"),
        partial(gain, "leakage", "random split", "group split", image=1 / 36, on_these=True),
        partial(gain, "leakage", "random split", "group split", image=1 / 36),
        partial(sizes, "group split"),
        partial(sizes, "random split"),
        partial(error, "leakage", "group split", VALIDATION_ACCURACY, 3),
        leaking,
        all_right,
        partial(error, GRID, "default", "test_mse"),
        partial(error, GRID, "trial 9", "test_mse"),
        among_the_best,
        partial(error, GRID, "trial 9", "test_mse"),
        partial(error, "grid-autoencoder-linear", "trial 97", "test_mse"),
        partial(effect, "batch_size", "32", learning_rate=(0.0001,)),
        partial(effect, "batch_size", "32", learning_rate=(0.01,)),
        partial(effect, "batch_size", "64", learning_rate=(0.0001,)),
        partial(effect, "batch_size", "64", learning_rate=(0.01,)),
        partial(effect, "learning_rate", "0.001"),
        partial(
            effect,
            "learning_rate",
            "0.01",
            batch_normalization=(False,),
            weight_decay=(1e-5, 1e-4),
        ),
        partial(effect, "learning_rate", "0.01", batch_normalization=(True,)),
        partial(effect, "learning_rate", "0.1"),
        partial(effect, "weight_decay", "0.0001"),
        partial(effect, "weight_decay", "0.0001", "linear"),
        partial(effect, "weight_decay", "0.01", "linear", learning_rate=(0.1,)),
        partial(effect, "batch_normalization", "True"),
        partial(together, "off"),
        partial(together, "on"),
        partial(change, "auxiliary-task", "joint, lambda 0.1", "lambda 0"),
        partial(change, "auxiliary-task", "branched, lambda 0.1", "lambda 0"),
    ),
    "docs/latent.md": (
        partial(change, "latent-space", "extra images", "improved"),
        partial(gain, "latent-space", "improved", "notebook", "latent_attribute_auc"),
        partial(gain, "latent-space", "improved", "notebook", "latent_analogy_rank"),
        told,
        *(partial(could_be_told, column) for column in LATENT),
    ),
    "README.md": (
        lambda: (
            f"has a test MSE of {_mean(GRID, 'default'):.4f}, the best of its whole grid "
            f"{_mean(GRID, 'trial 9'):.4f}"
        ),
        lambda: f"find {_mean(EXTENDED, 'trial 96'):.5f} with latents",
        lambda: f"{_mean(EQUAL, 'trial 96'):.5f} at the notebook's latent size",
        lambda: f"rise by {_rise(promised(GRID, 'grid-autoencoder'))}",
        lambda: f"rises by {_rise(risen(GRID, 'grid-autoencoder'))}",
        lambda: f"the best of the multitask grid has {_mean(MULTITASK, 'trial 167'):.4f}",
        lambda: (
            f"classifies {100 * _mean(MULTITASK, 'default', 'test_accuracy'):.1f} % of the test "
            "images, the best of the multitask grid "
            f"{100 * _mean(MULTITASK, 'trial 167', 'test_accuracy'):.1f} %"
        ),
    ),
}
"""What stands in each document, in the order of its sentences; twice if it stands there twice."""

if __name__ == "__main__":
    for name, figures in FIGURES.items():
        sys.stdout.write("\n".join([f"{name}:", *(figure() for figure in figures), "", ""]))
