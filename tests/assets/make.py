"""Makes what this version stores, for tests of later ones: ``python tests/assets/make.py DIR``.

A database of two searches, a confirmation and imported results with their files; another one
whose training was killed in the middle; a page of the report without its script for charts;
tables; checkpoints. Everything is of the embedded images, so it names no path.
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

SMALL = (
    *("--space", "extended", "--sampler", "random", "--pruner", "none", "--threads", "1"),
    *("--set", "auto_encoder=CNN", "--set", "width=8", "--set", "depth=2"),
    *("--set", "latent_channels=16", "--set", "batch_size=64", "--set", "normalization=batch"),
)
SEARCH = ("--epochs", "3", "--trials", "3")
STORAGE = ("--storage", "sqlite:///study.db")
LONG = (
    *("run", "autoencoder", *SMALL, "--study", "long", "--storage", "sqlite:///long.db"),
    *("--epochs", "100", "--trials", "1", "--pictures", "none"),
)
CSV = """auto_encoder,bottleneck_dim,epoch,batch_size,learning_rate,weight_decay,\
batch_normalization,error_rate
CNN,512,200,16,0.01,1e-05,False,0.015
linear,512,100,32,0.001,0.0001,False,0.08
"""


def main() -> None:
    """Make everything in the folder that is named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)

    def run(*args: str) -> None:
        subprocess.run([sys.executable, "-P", "-m", "study", *args], cwd=folder, check=True)

    (folder / "results.csv").write_text(CSV)
    run("run", "autoencoder", *SMALL, *SEARCH, "--study", "search", *STORAGE)
    kept = ("--pictures", "none")
    run("run", "multitask", *SMALL, *SEARCH, "--study", "classes", *STORAGE, *kept)
    run("confirm", "--study", "search", "--top", "1", "--seeds", "1", *STORAGE, "--threads", "1")
    run("import-csv", "results.csv", "--study", "imported", *STORAGE)
    for name in ("search", "classes"):
        run("train", "--study", name, "--trial", "0", *STORAGE, "--out", name)
        run("export", "--study", name, *STORAGE, "--out", f"{name}.parquet", "--curves")
    run("export", "--study", "search", *STORAGE, "--out", "search.csv")
    run("report", "--study", "search", *STORAGE, "--out", "page.html")
    page = folder / "page.html"
    charts = re.compile(r'(<script type="text/plain" id="plotly">)[^<]*(?:<(?!/script>)[^<]*)*')
    page.write_text(charts.sub(r"\1", page.read_text()))
    shutil.rmtree(folder / "runs", ignore_errors=True)

    long = [sys.executable, "-P", "-m", "study", *LONG]
    with subprocess.Popen(long, cwd=folder, start_new_session=True) as killed:
        while not any(folder.glob("artifacts/unfinished/*.pt")) or n_reported(folder) < 20:
            assert killed.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        os.killpg(killed.pid, signal.SIGKILL)
    with closing(sqlite3.connect(folder / "long.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # one file in place of three


def n_reported(folder: Path) -> int:
    """Return how many epochs the long training has reported."""
    with closing(sqlite3.connect(folder / "long.db")) as connection:
        (n,) = connection.execute("SELECT COUNT(*) FROM trial_intermediate_values").fetchone()
    return int(n)


if __name__ == "__main__":
    main()
