"""What is equal bit for bit is so on every processor: torch's kernels are chosen by it."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

pytestmark = pytest.mark.whole

OLDEST = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
OLDER = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""Processors, for those who have a newer one; elsewhere without effect."""
EACH_ALONE = [{name: value} for kinds in (OLDEST, OLDER) for name, value in kinds.items()]
RESUMED = ("tests/emoji_ae_tests/test_training.py", "-k interrupted and (branched or variational)")

CLAIMS = [
    "tests/emoji_ae_tests",
    *(f"tests/study_tests/commands/test_{name}.py" for name in ("train", "confirm")),
    *(f"tests/study_tests/running/test_{name}.py" for name in ("objective", "reuse", "worker")),
    *(f"tests/study_tests/emoji/test_{name}.py" for name in ("compose", "pictures")),
    *("tests/study_tests/analysis/test_latents.py", "tests/study_tests/test_experiment.py"),
]
"""Tests of whatever trains, resumes, loads and evaluates."""


@pytest.mark.parametrize(
    ("kernels", "tests"),
    [(OLDEST, RESUMED), *(pytest.param(k, CLAIMS, marks=pytest.mark.slow) for k in EACH_ALONE)],
    ids=["resumed", *map(str, EACH_ALONE)],
)
def test_all_tests_of_equality_hold(kernels: dict[str, str], tests: Sequence[str]) -> None:
    """Tests of all that trains, resumes and loads pass under each kind of kernels."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        env=os.environ | kernels,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-3000:]
