"""What is equal bit for bit is so on every processor: torch's kernels are chosen by it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.whole

OLDEST = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
OLDER = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""Processors, for those who have a newer one; elsewhere without effect."""
EACH_ALONE = [{name: value} for kinds in (OLDEST, OLDER) for name, value in kinds.items()]

CLAIMS = [
    "tests/emoji_ae_tests",
    *(f"tests/study_tests/commands/test_{name}.py" for name in ("train", "confirm")),
    *(f"tests/study_tests/running/test_{name}.py" for name in ("objective", "reuse", "worker")),
    *(f"tests/study_tests/emoji/test_{name}.py" for name in ("compose", "pictures")),
    *("tests/study_tests/analysis/test_latents.py", "tests/study_tests/test_experiment.py"),
]
"""Tests of whatever trains, resumes, loads and evaluates."""


def test_trained_resumed_and_loaded_models_are_equal(tmp_path: Path) -> None:
    """Under the oldest kernels, models and what is made of them are equal to the last bit."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.emoji_ae_tests.kernels", tmp_path],
        env=os.environ | OLDEST,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (ended.stderr, ended.returncode) == ("", 0)


@pytest.mark.slow
@pytest.mark.parametrize("kernels", EACH_ALONE, ids=str)
def test_all_tests_of_equality_hold(kernels: dict[str, str]) -> None:
    """Under each kind of kernels, the tests of all that trains, resumes and evaluates pass."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CLAIMS],
        env=os.environ | kernels,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-3000:]
