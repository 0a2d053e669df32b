"""Whether this code trains, reads and says what another commit does, bit for bit, on this machine.

``python -m benchmarks.same REF`` checks out REF beside this tree and lets both work with the same
interpreter and the same packages: no stored value of another processor has a part in it. It
prints what was compared, and ends with 1 if anything differs. Of either tree it knows only its
commands and what they write, so it imports nothing of them.
"""

import argparse
import base64
import gzip
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent

SEARCH = ("--sampler", "random", "--pruner", "none", "--trials", "3", "--epochs", "3")
SMALL = ("--set", "batch_size=64")
CNN = ("--set", "auto_encoder=CNN")
RUNS: Mapping[str, tuple[str, ...]] = {
    "a-notebook": ("run", "autoencoder", *SEARCH, *SMALL),
    "a-extended": ("run", "autoencoder", "--space", "extended", *SEARCH, *SMALL, *CNN),
    "m-notebook": ("run", "multitask", *SEARCH, *SMALL),
    "m-extended": ("run", "multitask", "--space", "extended", *SEARCH, *SMALL, *CNN),
    "auxiliary": ("experiment", "auxiliary-task", "--pairs", "1", "--epochs", "3", *SMALL),
}
"""What trains, by the study's name."""

LONG = (
    *("run", "autoencoder", "--space", "extended", "--sampler", "random", "--pruner", "none"),
    *("--threads", "1", "--trials", "1", "--epochs", "150", *SMALL, *CNN),
    *("--set", "width=8", "--set", "depth=3"),
)
"""A training that is killed in the middle."""

SAME_LAYOUT = "d76ecca"
"""Before this commit loaded models had another layout than trained ones, so what they reach on
the test data ends in other bits."""

FIRST_WORDS = ("seed", "validation_mse", "best_epoch", "data_fingerprint", "arm", "pair")
"""Attributes of trials that are compared, beside the numbers."""

RESTATED: frozenset[str] = frozenset(
    {
        "+0 % (+0 % to +0 %, n = 8, lower with 0)",
        "+0.053 (+0.019 to +0.087, n = 30, higher with 20, sign test p = 0.10)",
        "+15 % (+6 % to +24 %, n = 32, lower with 8)",
        "+18 % (+6 % to +30 %, n = 32, lower with 7)",
        "+22 % (−2 % to +52 %, n = 24, lower with 11)",
        "50 of the best 50",
        "after 1 0.34, 0.25 to 0.43; after 7 0.60, 0.53 to 0.65; after 23 0.82, 0.78 to 0.86; n = 480",  # noqa: E501
        "and 0.00050 with latents",
        "finds 0.00098 at the notebook's latent size",
        "has 0.0086; the best of its whole grid has 0.0056",
        "has 86 % of the valid",
        "has 94 % of the test images and an error of 0.0108",
    }
)
"""Lines of ``benchmarks.sentences`` of d682b2e that were taken back or restated on purpose."""

N_BEFORE = 10
"""Epochs that it has at least reported then."""

LIMIT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A checkout, and the folder that its commands run in.

    Args:
        code: Root of the checkout.
        folder: Where its commands run.
    """

    code: Path
    folder: Path

    def start(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        """Start a module of the checkout with the packages of this interpreter."""
        env = {**os.environ, "PYTHONPATH": str(self.code), "PYTHONSAFEPATH": "1"}
        env["OMP_NUM_THREADS"] = "1"
        return subprocess.Popen(
            [sys.executable, "-m", *args],
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *args: str) -> str:
        """Run a module to its end; return what it printed.

        Raises:
            RuntimeError: It failed.
        """
        with self.start(*args) as process:
            out, err = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{self.code}: {args} ended with {process.returncode}: {err}")
        return out


@contextmanager
def checked_out(ref: str, folder: Path) -> Iterator[Path]:
    """Check a commit out beside this tree, and remove it at the end."""
    code = folder / "code"
    subprocess.run(
        ["git", "-C", HERE, "worktree", "add", "--quiet", "--detach", code, ref], check=True
    )
    try:
        yield code
    finally:
        subprocess.run(["git", "-C", HERE, "worktree", "remove", "--force", code], check=True)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do independent works at the same time, each of which keeps one core busy."""
    with ThreadPoolExecutor() as pool:
        return [work.result() for work in [pool.submit(work) for work in works]]


def train(tree: Tree, data: Path) -> None:
    """Do all trainings of ``RUNS`` in one database, confirm one of them and train one for good."""
    shared = ("--storage", "sqlite:///study.db")
    for name, args in RUNS.items():
        tree.run("study", *args, "--study", name, *shared, "--threads", "1", "--data", str(data))
    tree.run(
        *("study", "confirm", "--study", "a-extended", "--top", "1", "--seeds", "1"),
        *(*shared, "--threads", "1"),
    )
    tree.run("study", "train", "--study", "m-extended", "--trial", "0", *shared, "--out", "best")


def kill_in_the_middle(tree: Tree, data: Path) -> int:
    """Kill a training when its state is on disk; return the epochs that it has reported."""
    args = (*LONG, "--study", "long", "--storage", "sqlite:///long.db", "--data", str(data))
    with tree.start("study", *args, start_new_session=True) as process:
        deadline = time.monotonic() + LIMIT_S
        while not (
            any((tree.folder / "artifacts").glob("unfinished/*.pt"))
            and n_reported(tree.folder / "long.db") >= N_BEFORE
        ):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline, "no state was kept"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    age(tree.folder / "long.db")
    return n_reported(tree.folder / "long.db")


def age(database: Path) -> None:
    """Let an hour pass since the last heartbeats, as if what was killed is gone on with later.

    A commit whose workers have no name by which this tree knows that they ended would else have
    it wait for the grace period. Nothing that is compared depends on heartbeats.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        beats = connection.execute(
            "UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-1 hour')"
        )
    assert beats.rowcount == 1, "the killed trial has no heartbeat"


def n_reported(database: Path) -> int:
    """Return how many values the trials of a database have reported."""
    with closing(sqlite3.connect(database)) as connection:
        (n,) = connection.execute("SELECT COUNT(*) FROM trial_intermediate_values").fetchone()
    return int(n)


def finish(tree: Tree, data: Path) -> None:
    """Begin a training, or go on with it where it was killed."""
    args = (*LONG, "--study", "long", "--storage", "sqlite:///long.db", "--data", str(data))
    tree.run("study", *args)


def trials(database: Path) -> dict[str, Any]:
    """Return what a database says of each finished trial, by study and point of the design."""
    found: dict[str, Any] = {}
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT study_name, trial_id, number, state FROM trials JOIN studies USING (study_id) "
            "WHERE state IN ('COMPLETE', 'PRUNED')"
        ).fetchall()
        for name, trial_id, number, state in rows:

            def of(table: str, columns: str, key: int = trial_id) -> list[Any]:
                query = f"SELECT {columns} FROM {table} WHERE trial_id = ? ORDER BY 1"
                return connection.execute(query, (key,)).fetchall()

            own = {
                key: json.loads(text)
                for key, text in of("trial_user_attributes", "key, value_json")
            }
            index = own.get("design_index", number)
            found[f"{name} {index}"] = {
                "state": state,
                "params": of("trial_params", "param_name, param_value"),
                "values": of("trial_values", "objective, value"),
                "curve": of("trial_intermediate_values", "step, intermediate_value"),
                **{word: own.get(word) for word in FIRST_WORDS},
            }
        for name, text in connection.execute(
            "SELECT study_name, value_json FROM study_user_attributes JOIN studies "
            "USING (study_id) WHERE key = 'test_results'"
        ):
            found[f"{name} test"] = json.loads(text)
    return found


def holds(code: Path, commit: str) -> bool:
    """Return whether a checkout is of a commit or a later one."""
    asked = ["git", "-C", str(code), "merge-base", "--is-ancestor", commit, "HEAD"]
    return subprocess.run(asked, stderr=subprocess.DEVNULL).returncode == 0


def six_digits(found: Mapping[str, Any]) -> dict[str, Any]:
    """Shorten what a study's models reached on the test data."""
    return {
        what: {
            number: {metric: f"{value:.6g}" for metric, value in measured.items()}
            for number, measured in own.items()
        }
        if what.endswith(" test")
        else own
        for what, own in found.items()
    }


def figures(folder: Path) -> dict[str, Any]:
    """Return the figures of a final training, all but its time."""
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    found.pop("training_seconds")
    return found


def page_data(page: Path) -> list[Any]:
    """Return the trials that a page holds: number, value, parameters, reported values."""
    element = re.search(rb'id="report-data">([^<]*)<', page.read_bytes())
    assert element is not None
    values = json.loads(gzip.decompress(base64.b64decode(element[1])))
    keys = ("number", "value", "params", "intermediate_values")
    return [
        {key: trial[key] for key in keys if key in trial}
        for study in values["studies"]
        for trial in study["trials"]
    ]


class Comparison:
    """Counts what is equal, and tells what is not."""

    def __init__(self) -> None:
        self.differ = 0

    def compare(self, what: str, theirs: Any, ours: Any) -> None:
        """Compare two values, which are said if they differ."""
        same = theirs == ours and bool(theirs)
        self.differ += not same
        sys.stdout.write(f"{'same  ' if same else 'DIFFER'} {what}\n")
        if not same:
            sys.stdout.write(f"  there: {str(theirs)[:300]}\n  here:  {str(ours)[:300]}\n")
        sys.stdout.flush()


def main() -> None:
    """Compare this tree with a commit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same", description=__doc__)
    parser.add_argument("ref", help="commit to compare with")
    ref = parser.parse_args().ref
    found = Comparison()
    root = Path(tempfile.mkdtemp(prefix="same-"))
    try:
        with checked_out(ref, root) as code:
            for name in ("there", "here", "over"):
                (root / name).mkdir()
            compare(
                found,
                Tree(code=code, folder=root / "there"),
                Tree(code=HERE, folder=root / "here"),
                Tree(code=code, folder=root / "over"),
            )
    finally:
        shutil.rmtree(root)
    sys.exit(f"{found.differ} of these differ." if found.differ else 0)


def compare(found: Comparison, there: Tree, here: Tree, over: Tree) -> None:
    """Let both trees work, and compare.

    Args:
        found: Takes what is compared.
        there: The commit.
        here: This tree.
        over: The commit, whose training is killed and finished by this tree.
    """
    data = there.folder.parent / "faces.parquet"
    here.run("study", "data", "build", "--out", str(data))
    at_once(*(partial(train, tree, data) for tree in (there, here)))
    theirs, ours = (trials(tree.folder / "study.db") for tree in (there, here))
    if not holds(there.code, SAME_LAYOUT):
        theirs, ours = six_digits(theirs), six_digits(ours)
    for what in sorted(theirs.keys() | ours.keys()):
        found.compare(what, theirs.get(what), ours.get(what))
    theirs, ours = (figures(tree.folder / "best") for tree in (there, here))
    known = {name: value for name, value in theirs.items() if value is not None}
    found.compare("train", known, {name: ours.get(name) for name in known})

    _, n_before = at_once(partial(finish, there, data), partial(kill_in_the_middle, over, data))
    finish(Tree(code=here.code, folder=over.folder), data)
    long, resumed = (trials(tree.folder / "long.db") for tree in (there, over))
    n_all = len(next(iter(long.values()))["curve"])
    assert n_before < n_all, "the training was not killed in the middle"
    found.compare(f"killed after {n_before} of {n_all} epochs and finished here", long, resumed)

    shared = ("--storage", "sqlite:///study.db", "--study", "a-extended")
    there.run("study", "report", *shared, "--out", "old.html")
    old = there.folder / "old.html"
    here.run("study", "report", "--from", str(old), "--out", "new.html")
    found.compare("report --from a page", page_data(old), page_data(here.folder / "new.html"))

    for module in ("tables", "sentences"):
        name = f"benchmarks.{module}"
        before, now = (
            set(printed.splitlines())
            for printed in at_once(
                *(partial(replace(tree, folder=tree.code).run, name) for tree in (there, here))
            )
        )
        gone = sorted(before - now - RESTATED)
        found.compare(f"{len(before)} lines of {name}", ["none gone"], gone or ["none gone"])


if __name__ == "__main__":
    main()
