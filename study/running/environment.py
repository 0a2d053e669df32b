"""What a trial runs on, in words that are stored with it."""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence


def describe_environment(distributions: Sequence[str] = ()) -> str:
    """Return versions of Python and Optuna, the system, and the number of cores.

    Args:
        distributions: Of which the versions are told as well.
    """
    versions = ", ".join(f"{name} {_version(name)}" for name in (*distributions, "optuna"))
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"Python {platform.python_version()}, {versions}, {system}"


def _version(distribution: str) -> str:
    """Return what a module says of itself, where it has been imported: it may tell its build."""
    told = getattr(sys.modules.get(distribution), "__version__", None)
    return str(told or importlib.metadata.version(distribution))
