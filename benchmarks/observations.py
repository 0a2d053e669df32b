"""What the notebook observed of its grids, asked of the whole grid of this package.

Every configuration of a grid has a twin that differs in one parameter alone. So what a value of a
parameter does is the ratio of errors of such twins, and no correlation is needed. Twins that have
other parameters in common are alike, so the interval is over groups of them: those with equal
values of the two other parameters that matter most to the ratio. ``python -m
benchmarks.observations`` prints the tables.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from benchmarks.kept import (
    RESULTS,
    error_difference,
    interval_cell,
    markdown,
    percent,
    points,
    read,
)
from search_spaces import SPACES
from storage.attrs import VALIDATION_ACCURACY
from study.analysis.estimates import Interval, mean_interval
from study.analysis.paired import Pairs

TOP = 50
"""Best configurations of which the notebook counted the families."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What changing one parameter does to twins that are alike in all others.

    Args:
        before: The smaller value.
        after: The next larger one.
        n: Pairs of twins.
        groups: Of twins that are alike, over which the intervals are.
        lower: Pairs in which the larger value has the lower error.
        change: Ratio of the geometric means of the errors minus 1.
        interval: Its 95 % t interval, None with too few groups.
        least: Change of the twins with the lowest ratio.
        most: Change of those with the highest.
        accuracy: Mean difference of the validation accuracies between the ends of its 95 % t
            interval, as low, mean, high; None where trials do not classify or are too few.
    """

    parameter: str
    before: str
    after: str
    n: int
    groups: int
    lower: int
    change: float
    interval: Interval | None
    least: float
    most: float
    accuracy: tuple[float, float, float] | None


def effects(trials: pd.DataFrame, kind: str, parameter: str) -> list[Effect]:
    """Compare each value of a parameter with the next larger one, twin by twin.

    Args:
        trials: Complete trials of a grid.
        kind: Kind of study.
    """
    others = [
        p.name
        for p in SPACES[kind]["notebook"].parameters
        if p.name != parameter and p.name in trials
    ]
    rows: dict[Any, dict[tuple[Any, ...], dict[Any, Any]]] = {}
    for row in trials[trials[parameter].notna()].to_dict("records"):
        twin = tuple(None if pd.isna(row[name]) else row[name] for name in others)
        rows.setdefault(row[parameter], {})[twin] = row
    classified = VALIDATION_ACCURACY in trials
    found = []
    for before, after in pairwise(sorted(rows)):
        keys = [t for t in rows[before] if t in rows[after]]
        if not keys:
            continue
        twins = [(rows[before][t], rows[after][t]) for t in keys]
        logs = [math.log(a["value"] / b["value"]) for b, a in twins]
        group_of = groups(keys, logs)
        ratios = [math.exp(mean) for mean in means(logs, group_of)]
        change = error_difference(Pairs(before=(1.0,) * len(ratios), after=tuple(ratios)))
        found.append(
            Effect(
                parameter=parameter,
                before=_text(before),
                after=_text(after),
                n=len(keys),
                groups=len(ratios),
                lower=sum(log < 0 for log in logs),
                change=change.mean or 0.0,
                interval=change.interval,
                least=math.expm1(min(logs)),
                most=math.expm1(max(logs)),
                accuracy=difference(
                    means(
                        [a[VALIDATION_ACCURACY] - b[VALIDATION_ACCURACY] for b, a in twins],
                        group_of,
                    )
                )
                if classified
                else None,
            )
        )
    return found


def groups(keys: Sequence[tuple[Any, ...]], values: Sequence[float]) -> list[tuple[Any, ...]]:
    """Return the group of each of some values: its key without all but the two that matter most.

    A part of the keys matters by the share of the values' variance between its own values.
    """
    mean = fmean(values)

    def between(part: int) -> float:
        own: dict[Any, list[float]] = {}
        for key, value in zip(keys, values, strict=True):
            own.setdefault(key[part], []).append(value)
        return sum(len(found) * (fmean(found) - mean) ** 2 for found in own.values())

    most = sorted(range(len(keys[0])), key=between, reverse=True)[:2]
    return [tuple(key[part] for part in most) for key in keys]


def means(values: Sequence[float], group_of: Sequence[tuple[Any, ...]]) -> list[float]:
    """Return the mean of the values of each group."""
    found: dict[Any, list[float]] = {}
    for value, group in zip(values, group_of, strict=True):
        found.setdefault(group, []).append(value)
    return list(map(fmean, found.values()))


def all_effects(members: pd.DataFrame, kind: str) -> list[Effect]:
    """Return the effects of all parameters that vary among trials of one family.

    A short training is the beginning of the long one, so its error is no second observation of
    the other parameters' effects; nor is what was answered from another training because a
    parameter has no effect there, as dropout in a classifier of one layer.
    """
    long = members["epoch"] == members["epoch"].max()
    if "reused_from" in members:
        kept = ~long | members["reused_from"].isna()
        members, long = members[kept], long[kept]
    varying = [
        p.name
        for p in SPACES[kind]["notebook"].parameters
        if p.name in members and members[p.name].nunique() > 1
    ]
    longest = members[long]
    return [
        effect
        for name in varying
        for effect in effects(members if name == "epoch" else longest, kind, name)
    ]


def effect_table(found: Sequence[Effect]) -> list[str]:
    """Return the lines of a table of effects, on the accuracy as well where trials classify."""
    classified = any(e.accuracy is not None for e in found)
    rows = [
        [
            e.parameter,
            f"{e.before} → {e.after}",
            str(e.n),
            str(e.groups),
            percent(e.change),
            interval_cell(e.interval),
            f"{percent(e.least)} to {percent(e.most)}",
            str(e.lower),
            *(["–" if e.accuracy is None else points(e.accuracy)] if classified else []),
        ]
        for e in found
    ]
    head = ["parameter", "change", "n", "groups", "error", "95 % interval", "twins", "lower in"]
    return markdown([*head, *(["accuracy"] if classified else [])], rows)


def families_among_the_best(trials: pd.DataFrame, n: int = TOP) -> dict[str, int]:
    """Return how many of the best trials each architecture has."""
    best = trials.nsmallest(n, "value", keep="first")
    counted = best["auto_encoder"].value_counts()
    return {str(name): int(count) for name, count in counted.items()}


def difference(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Return the mean of differences between the ends of its interval, None with too few."""
    interval = mean_interval(values)
    return None if interval is None else (interval[0], fmean(values), interval[1])


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Print the tables of one grid."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--grid", type=Path, default=RESULTS / "grid-autoencoder.parquet")
    parser.add_argument("--kind", default="autoencoder")
    given = parser.parse_args()
    trials = read(given.grid)
    families = trials.groupby(trials.get("auto_encoder", pd.Series("CNN", index=trials.index)))
    found = {str(family): all_effects(own, given.kind) for family, own in families}
    lines = []
    if "auto_encoder" in trials:
        lines.append(f"Of the best {TOP}: {families_among_the_best(trials)}.")
    for family, own in found.items():
        lines += ["", f"{family}:", "", *effect_table(own)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
