"""What a trial runs on, in words that are stored with it."""

import os
import platform

import optuna
import torch


def describe_environment() -> str:
    """Return versions of Python, torch and Optuna, the system, and the number of cores."""
    versions = f"torch {torch.__version__}, optuna {optuna.__version__}"
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"Python {platform.python_version()}, {versions}, {system}"
