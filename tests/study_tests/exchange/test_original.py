"""The original study's best autoencoder, trained by this program as its users do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BEST = [
    *("auto_encoder=CNN", "batch_size=16", "learning_rate=0.01", "weight_decay=1e-5"),
    *("batch_normalization=false", "epoch=200"),
]


@pytest.mark.slow
def test_best_configuration(tmp_path: Path) -> None:
    """It reaches the original's quality on the test split, which no choice has seen."""
    command = [Path(sys.executable).with_name("emoji-study"), "train", "--out", "best"]
    command += [word for assigned in BEST for word in ("--set", assigned)]
    subprocess.run(command, cwd=tmp_path, check=True)
    metrics = json.loads((tmp_path / "best" / "metrics.json").read_text())
    assert metrics["epochs"] == 200
    assert metrics["config"]["normalization"] == "none"
    assert metrics["test_mse"] <= 0.018
