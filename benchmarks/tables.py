"""Tables of ``docs/``, made anew from the trials that are kept in ``docs/results``.

``python -m benchmarks.tables`` prints all of them. ``tests/test_results.py`` compares them with
what stands in the documents.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import pandas as pd

from benchmarks.kept import (
    ACCURACY,
    ERROR,
    RESULTS,
    error_difference,
    interval_cell,
    markdown,
    mean_cell,
    percent,
    read,
)
from benchmarks.observations import (
    TOP,
    all_effects,
    effect_table,
    families_among_the_best,
)
from emoji_ae.config import AutoencoderConfig
from study.analysis.estimates import Estimate, estimate
from study.analysis.front import non_dominated
from study.analysis.paired import Difference, Pairs, compare_all, judged_on
from study.emoji import LATENT_METRICS


def by_arm(name: str) -> dict[str, pd.DataFrame]:
    """Return the trials of each arm of an experiment or a confirmation, by their pairs.

    Args:
        name: Of its file, without the ending.
    """
    found = read(RESULTS / f"{name}.parquet").groupby("arm", sort=False)
    return {str(arm): own.set_index("pair") for arm, own in found}


def winner(name: str) -> tuple[str, pd.DataFrame]:
    """Return the arm with the lowest mean validation MSE, and its trials."""
    return min(by_arm(name).items(), key=lambda item: float(item[1]["value"].mean()))


def value_pairs(first: pd.DataFrame, second: pd.DataFrame, column: str) -> Pairs:
    """Return the errors, or other numbers, of two arms in the pairs that both finished.

    All confirmations of equal data and seeds train on the same splits from the same seeds, so
    arms of different ones are pairs as well.

    Args:
        first: Trials of an arm, by their pairs.
        column: Which number. What was measured on test images needs no splits, which share these.

    Raises:
        ValueError: If the arms have other seeds.
    """
    columns = [column, "seed", "sides"]
    both = first[columns].merge(second[columns], on="pair", suffixes=("", "_2"))
    if not (both["seed"] == both["seed_2"]).all():
        raise ValueError("Arms with other seeds are no pairs.")
    return Pairs(
        before=tuple(both[column]),
        after=tuple(both[f"{column}_2"]),
        sides=()
        if column.startswith("test_")
        else judged_on(both["sides"].tolist(), both["sides_2"].tolist()),
    )


def mean_of(own: pd.DataFrame, column: str) -> Estimate | None:
    """Return the mean of a number of an arm, corrected where it is of splits that overlap."""
    metric = ACCURACY if "accuracy" in column else ERROR
    sides = [] if column.startswith("test_") else own["sides"].tolist()
    return estimate(own[column].tolist(), metric, sides=sides)


def latent_space() -> list[str]:
    """Return the table of the experiment on latents: means with 95 % t intervals."""
    names = [metric.name for metric in LATENT_METRICS]
    rows = []
    for arm, own in by_arm("latent-space").items():
        found = [mean_of(own, name) for name in ["value", *names]]
        cells = [mean_cell(e, 5 if i == 0 else 3) for i, e in enumerate(found)]
        rows.append([arm, str(len(own)), *cells])
    head = ["arm", "n", "validation MSE", *("AUC", "analogies", "smoothness", "probe", "variance")]
    return markdown(head, rows)


def confirmed(name: str) -> list[str]:
    """Return the table of a confirmation: means with 95 % t intervals, on both splits.

    Args:
        name: Of its file, without the ending.
    """
    arms = by_arm(name)
    classified = any("test_accuracy" in own for own in arms.values())
    rows = []
    for arm, own in arms.items():
        cells = [_mean(own, "value"), _mean(own, "test_mse")]
        if classified:
            cells += [_mean(own, "validation_accuracy"), _mean(own, "test_accuracy")]
        size = int(own["parameter_count"].iloc[0])
        seconds = float(own["training_seconds"].mean())
        cells += [f"{size:,}", f"{seconds:.0f}"]
        rows.append((own["value"].mean(), [arm, str(len(own)), *cells]))
    head = ["configuration", "n", "validation MSE", "test MSE"]
    head += ["validation accuracy", "test accuracy"] if classified else []
    return markdown([*head, "weights", "seconds"], [cells for _, cells in sorted(rows)])


def compared(name: str) -> list[str]:
    """Return the table of a paired experiment: every arm beside the first one.

    The p-values are those of the experiment's report, adjusted for all arms.

    Args:
        name: Of its file, without the ending.
    """
    arms = by_arm(name)
    first = next(iter(arms))
    pairs = {arm: value_pairs(arms[first], own, "value") for arm, own in arms.items()}
    del pairs[first]
    found = compare_all(pairs, ERROR, "ratio")
    rows = []
    for arm, own in arms.items():
        against = ["–"] * 4
        if arm != first:
            against = [*_change_cells(found[arm]), f"{found[arm].p_value:.3f}"]
        accuracy = _mean(own.dropna(subset="validation_accuracy"), "validation_accuracy")
        rows.append([arm, str(len(own)), _mean(own, "value"), *against, accuracy])
    head = ["arm", "n", "validation MSE", f"against {first}", "95 % interval", "lower in"]
    return markdown([*head, "adjusted p", "accuracy"], rows)


def path_of(arms: Iterable[str]) -> list[str]:
    """Return the arms of an ablation that lead from the default to the winner, in their order."""
    return [arm for arm in arms if arm == "default" or arm.startswith("then ")]


def ablated(name: str) -> list[str]:
    """Return the table of an ablation: each step of the path beside the one before.

    Behind it stands what was varied around the winner, beside the winner.

    Args:
        name: Of its file, without the ending.
    """
    arms = by_arm(name)
    path = path_of(arms)
    before = dict(zip(path[1:], path, strict=False))
    before |= {arm: path[-1] for arm in arms if arm not in path}
    rows = []
    for arm, own in arms.items():
        against = ["–"] * 3
        if arm in before:
            pairs = value_pairs(arms[before[arm]], own, "value")
            against = _change_cells(error_difference(pairs))
        step = arm if arm in path else f"winner with {arm}"
        rows.append([step, str(len(own)), f"{own['value'].mean():.5f}", *against])
    head = ["step", "n", "validation MSE", "against the one before", "95 % interval", "lower in"]
    return markdown(head, rows)


def families() -> list[str]:
    """Return the table of the grid's families: their best trials, and their share of the best."""
    trials = read(RESULTS / "grid-autoencoder.parquet")
    among = families_among_the_best(trials)
    rows = []
    for family, own in trials.groupby("auto_encoder"):
        cells = [f"{value:.5f}" for value in own["value"].quantile([0, 0.5, 1])]
        rows.append([str(family), str(len(own)), *cells, str(among.get(str(family), 0))])
    head = ["family", "n", "lowest MSE", "median", "highest", f"among the best {TOP}"]
    return markdown(head, rows)


def against_the_grid(
    names: Sequence[str], grid: str = "grid-autoencoder-confirmation"
) -> list[str]:
    """Return the table of test errors of searches' winners as shares of the grid's winner's.

    They are compared pair by pair: ratio of the geometric means with its 95 % t interval on
    logarithms. A winner is what has the lowest mean validation MSE.

    Args:
        names: Of the files of confirmations.
    """
    _, reference = winner(grid)
    rows = []
    for name in names:
        arm, own = winner(name)
        found = error_difference(value_pairs(reference, own, "test_mse"))
        ratio, low, high = (1 + end for end in (found.mean or 0.0, *(found.interval or (0, 0))))
        search = name.removesuffix("-confirmation")
        cells = [str(found.n_pairs), f"{ratio:.3f}", f"{low:.3f} to {high:.3f}"]
        rows.append([f"{search}, {arm}", *cells, str(found.n_below)])
    return markdown(["winner", "n", "test MSE / the grid's", "95 % interval", "lower in"], rows)


def front(name: str, cost: str) -> list[str]:
    """Return the table of a search's trials that no other beats in both error and cost.

    Args:
        name: Of the file of the search's trials, without the ending.
        cost: ``latent`` (numbers in it), ``parameter_count`` or ``training_seconds``.
    """
    points = []
    for row in read(RESULTS / f"{name}.parquet").to_dict("records"):
        given = {key: row[key] for key in ("auto_encoder", "depth", "latent_channels")}
        points.append({**row, "latent": AutoencoderConfig(**given).latent_size})
    kept = non_dominated([(row["value"], row[cost]) for row in points])
    rows = [
        [
            f"trial {row['number']}",
            f"{row['value']:.5f}",
            f"{row['latent']:,}",
            f"{row['parameter_count']:,}",
            f"{row['training_seconds']:.0f}",
        ]
        for row in sorted((points[i] for i in kept), key=lambda row: float(row[cost]))
    ]
    return markdown(["trial", "validation MSE", "latent", "weights", "seconds"], rows)


def observed(family: str) -> list[str]:
    """Return the table of what each parameter of the grid of autoencoders does within a family."""
    trials = read(RESULTS / "grid-autoencoder.parquet")
    members = trials[trials["auto_encoder"] == family]
    return effect_table(all_effects(members, "autoencoder"))


def larger_steps(before: float = 0.001, after: float = 0.01) -> list[str]:
    """Return the table of what one step of the learning rate does, twin by twin, of CNNs.

    The effect changes its sign with the other parameters, so no mean stands for it.

    Args:
        before: The smaller learning rate.
        after: The larger one.
    """
    trials = read(RESULTS / "grid-autoencoder.parquet")
    members = trials[
        (trials["auto_encoder"] == "CNN") & (trials["epoch"] == trials["epoch"].max())
    ]
    others = ["batch_normalization", "weight_decay", "batch_size"]
    lower, higher = (
        members[members["learning_rate"] == rate].set_index(others)["value"]
        for rate in (before, after)
    )
    changes = (higher / lower - 1).unstack()
    rows = [
        [str(normalized), f"{decay:g}", *map(percent, own)]
        for (normalized, decay), own in zip(changes.index, changes.to_numpy(), strict=True)
    ]
    sizes = [f"{others[-1]} {size}" for size in changes.columns]
    return markdown([*others[:-1], *sizes], rows)


def observed_multitask() -> list[str]:
    """Return the table of what each parameter of the multitask grid does."""
    return effect_table(all_effects(read(RESULTS / "grid-multitask.parquet"), "multitask"))


def _change_cells(found: Difference) -> list[str]:
    """Write by how much errors change, with its interval, and in how many pairs they fall."""
    change = percent(found.mean or 0.0)
    return [change, interval_cell(found.interval), str(found.n_below)]


def _mean(own: pd.DataFrame, column: str) -> str:
    """Write the mean of errors or accuracies."""
    return mean_cell(mean_of(own, column), 3 if "accuracy" in column else 5)


TABLES: Mapping[str, tuple[Callable[[], list[str]], ...]] = {
    "latent.md": (latent_space,),
    "results.md": (
        families,
        partial(confirmed, "grid-autoencoder-confirmation"),
        partial(confirmed, "grid-autoencoder-linear"),
        partial(observed, "CNN"),
        larger_steps,
        partial(observed, "linear"),
        partial(confirmed, "autoencoder-extended-confirmation"),
        partial(front, "autoencoder-extended", "latent"),
        partial(confirmed, "equal-latents-confirmation"),
        partial(
            against_the_grid, ["autoencoder-extended-confirmation", "equal-latents-confirmation"]
        ),
        partial(ablated, "equal-latents-path"),
        partial(front, "equal-latents", "parameter_count"),
        partial(front, "equal-latents", "training_seconds"),
        partial(confirmed, "equal-latents-small"),
        partial(confirmed, "grid-autoencoder-on-twitter"),
        partial(confirmed, "autoencoder-extended-on-twitter"),
        partial(
            against_the_grid, ["autoencoder-extended-on-twitter"], "grid-autoencoder-on-twitter"
        ),
        partial(confirmed, "grid-multitask-confirmation"),
        partial(against_the_grid, ["grid-multitask-confirmation"]),
        partial(confirmed, "grid-multitask-accurate"),
        observed_multitask,
        partial(compared, "auxiliary-task"),
        partial(compared, "leakage"),
    ),
}
"""The tables of each document, in their order."""

if __name__ == "__main__":
    for name, tables in TABLES.items():
        for table in tables:
            sys.stdout.write("\n".join([f"docs/{name}:", "", *table(), "", ""]))
