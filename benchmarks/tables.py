"""Tables of ``docs/``, made anew from the trials that are kept in ``docs/results``.

``python -m benchmarks.tables`` prints all of them. ``tests/test_results.py`` compares them with
what stands in the documents.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from study.analysis import LATENT_METRICS
from study.analysis.confirmation import Estimate, estimate

RESULTS = Path(__file__).parent.parent / "docs" / "results"


def latent_space() -> list[str]:
    """Return the table of the experiment on latents: means with 95 % t intervals."""
    trials = pd.read_parquet(RESULTS / "latent-space.parquet")
    names = [str(metric.name) for metric in LATENT_METRICS]
    rows = []
    for arm, own in trials[trials["state"] == "COMPLETE"].groupby("arm", sort=False):
        found = [estimate(own[name].tolist()) for name in ["value", *names]]
        cells = [_cell(e, 5 if i == 0 else 3) for i, e in enumerate(found)]
        rows.append([str(arm), str(len(own)), *cells])
    head = ["arm", "n", "validation MSE", *("AUC", "analogies", "smoothness", "probe", "variance")]
    return markdown(head, rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def _cell(found: Estimate | None, digits: int) -> str:
    if found is None or found.low is None or found.high is None:
        return "–"
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


TABLES: Mapping[str, tuple[Callable[[], list[str]], ...]] = {"latent.md": (latent_space,)}
"""The tables of each document, in their order."""

if __name__ == "__main__":
    for name, tables in TABLES.items():
        for table in tables:
            sys.stdout.write("\n".join([f"docs/{name}:", "", *table(), "", ""]))
