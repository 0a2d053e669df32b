"""Confirmations and ablations as tables for a terminal."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from study.analysis.ablation import Ablated, AblationInfo
from study.analysis.confirmation import ConfirmationInfo
from study.analysis.estimates import Estimate
from study.analysis.paired import Difference
from study.formats import MISSING, format_change, format_measured, format_value
from study.metrics import Metric


def confirmation_tables(info: ConfirmationInfo) -> Iterator[Table]:
    """Yield one row per configuration, best first, and marks of those tied with the best.

    "to default" is the difference from it. A second metric has a table of its own: with it, 80
    columns would be too few.
    """
    table = _table(
        *("configuration", "search", "mean", "to default", "95 % interval", "wins", "test")
    )
    for c in info.confirmed:
        table.add_row(
            "=" if c.tied else "",
            escape(c.name) + _failed(c.n_failed),
            format_measured(c.search_value, info.objective),
            _mean(c.validation, info.objective),
            *_difference(c.difference),
            MISSING if c.difference is None else f"{c.n_wins} of {c.difference.n_pairs}",
            _mean(c.test, info.objective),
        )
    yield table
    second = info.second
    if second is not None and any(c.accuracy is not None for c in info.confirmed):
        table = _table("configuration", second.label, second.test_label)
        for c in info.confirmed:
            table.add_row(
                "", escape(c.name), _mean(c.accuracy, second), _mean(c.test_accuracy, second)
            )
        yield table


def ablation_tables(info: AblationInfo) -> Iterator[Table]:
    """Yield the path, and the sweeps around its end."""
    numbers = ["mean", "change", "95 % interval", *(["surrogate"] if info.guided else [])]
    path = _table("path", *numbers)
    for found in info.path:
        path.add_row(*_ablated(found, guided=info.guided))
    yield path
    if info.sweeps:
        sweep = _table("instead of", *numbers)
        for parameter in info.sweeps:
            label = f"{parameter.parameter} {format_value(parameter.value)}"
            sweep.add_row("", escape(label))
            for found in parameter.others:
                sweep.add_row(*_ablated(found, guided=info.guided, indent="  "))
        yield sweep


def _table(what: str, *numbers: str) -> Table:
    table = Table("", box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column(what)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _ablated(found: Ablated, *, guided: bool, indent: str = "") -> list[str]:
    mark = "+" if found.better else "\N{MINUS SIGN}" if found.worse else ""
    return [
        mark,
        indent + escape(found.name) + _failed(found.n_failed),
        _mean(found.validation, found.objective),
        *_difference(found.difference),
        *([format_change(found.expected_difference)] if guided else []),
    ]


def _failed(n_failed: int) -> str:
    return f" ({n_failed} failed)" if n_failed else ""


def _mean(found: Estimate | None, metric: Metric) -> str:
    return format_measured(None if found is None else found.mean, metric)


def _difference(found: Difference | None) -> tuple[str, str]:
    if found is None or found.interval is None:
        return format_change(None if found is None else found.mean), MISSING
    return format_change(found.mean), found.interval.written(format_change)
