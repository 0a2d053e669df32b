"""Measures every figure, prints it against its bar, and writes ``benchmarks/results.json``."""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import joblib
import torch

from benchmarks import studies, training
from benchmarks.measure import Figure
from emoji_ae.files import write_bytes

RESULTS = Path(__file__).parent / "results.json"

PARTS: dict[str, Callable[[], list[Figure]]] = {
    "training": training.figures,
    "studies": studies.figures,
}


def main() -> None:
    """Measure the parts that are named on the command line, all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    names = parser.parse_args().parts
    figures = []
    for name in names:
        for figure in PARTS[name]():
            figures.append(figure)
            mark = "ok  " if figure.passed else "MISS"
            sign = "<=" if figure.at_most else ">="
            sys.stdout.write(
                f"{mark} {figure.value:7.3f} ({sign} {figure.bar}, stretch {figure.stretch})  "
                f"{figure.name}  [{figure.conditions}; {min(figure.ratios):.3f} to "
                f"{max(figure.ratios):.3f}, n = {len(figure.ratios)}]\n"
            )
            sys.stdout.flush()
    if set(names) == set(PARTS):
        results = {
            "machine": platform.machine(),
            "cores": joblib.cpu_count(),
            "torch": torch.__version__,
            "figures": [asdict(figure) | {"passed": figure.passed} for figure in figures],
        }
        write_bytes(RESULTS, (json.dumps(results, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
