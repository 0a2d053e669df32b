"""Measures every figure, prints it against its bar, and writes ``benchmarks/results.json``."""

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib

from benchmarks.measure import Figure
from storage.files import write_bytes

RESULTS = Path(__file__).parent / "results.json"

PARTS = ("training", "studies", "storage", "reading", "between", "analysis", "dashboard")
"""Modules, which are imported when they are measured: a process that is started for the analyses
imports this one first."""


def main() -> None:
    """Measure the parts that are named on the command line, all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    names = parser.parse_args().parts or list(PARTS)
    for name in names:
        if name not in PARTS:
            parser.error(f"PART must be one of {', '.join(PARTS)}, but got {name!r}")
    figures = []
    for name in names:
        for figure in import_module(f"benchmarks.{name}").figures():
            figures.append(figure)
            mark = "ok  " if figure.passed else "MISS"
            sign = "<=" if figure.at_most else ">="
            sys.stdout.write(
                f"{mark} {figure.value:7.3f} ({sign} {figure.bar}, stretch {figure.stretch})  "
                f"{figure.name}  [{figure.conditions}; {min(figure.ratios):.3f} to "
                f"{max(figure.ratios):.3f}, n = {len(figure.ratios)}]\n"
            )
            sys.stdout.flush()
    write_bytes(RESULTS, (json.dumps(_merged(figures), indent=1) + "\n").encode())


def _merged(figures: Sequence[Figure]) -> dict[str, Any]:
    """Return the results with the measured figures, and the kept ones that were not measured."""
    kept = json.loads(RESULTS.read_text())["figures"] if RESULTS.exists() else []
    by_name = {figure["name"]: figure for figure in kept}
    by_name |= {figure.name: asdict(figure) | {"passed": figure.passed} for figure in figures}
    return {
        "machine": platform.machine(),
        "cores": joblib.cpu_count(),
        "torch": version("torch"),
        "figures": list(by_name.values()),
    }


if __name__ == "__main__":
    main()
