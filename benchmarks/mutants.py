"""Which faults the tests would see: ``python -m benchmarks.mutants study/analysis/verdict.py``.

A mutant is a module with one small fault, such as ``<`` for ``<=``. A module's score is how many
of a sample of its mutants make a test fail. Each sampled mutant stands in a line of its own, so
that long lines do not weigh more; annotations and options of dataclasses have none. The tests of
a module are those of its package's files that import it.

The mutants are those of Cosmic Ray (https://cosmic-ray.readthedocs.io). Its own runs start a
process a mutant; these fork one that has imported the libraries, and see the same faults, also in
the processes that tests start, for the fault is written into a copy of the tree.
"""

import argparse
import ast
import functools
import importlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cosmic_ray.plugins
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).parent.parent
IMPORTED = (
    *("optuna", "pandas", "plotly.graph_objects", "pyarrow.parquet", "scipy.stats"),
    *("sklearn.ensemble", "sqlalchemy.orm", "jinja2", "rich.live", "joblib"),
)
"""Libraries that most tests need; imported once, before the forks."""

LIMIT_S = 60.0
"""Beside ten times what the tests take without a fault: a mutant may loop for ever."""


@dataclass(frozen=True)
class Mutant:
    """A fault: its operator, which of the operator's places it is, and the line of that."""

    operator: str
    occurrence: int
    line: int

    def write(self, text: str) -> str:
        """Return the text of the module with this fault."""
        mutated = mutate_code(
            text, cosmic_ray.plugins.get_operator(self.operator)(), self.occurrence
        )
        assert mutated is not None
        return str(mutated)


def mutants(text: str) -> Iterator[Mutant]:
    """Yield all mutants of a module but those in lines that only say what things are."""
    silent = {line for span in declarations(text) for line in range(span[0], span[1] + 1)}
    nodes = list(ast_nodes(get_ast(text)))
    for name in sorted(cosmic_ray.plugins.operator_names()):
        if "Variable" in name or re.search("Eq_Is(Not)?$", name):
            continue  # need names of variables; are seen by Python, which warns of them
        operator = cosmic_ray.plugins.get_operator(name)()
        places = (place for node in nodes for place in operator.mutation_positions(node))
        for occurrence, ((line, _), _) in enumerate(places):
            if line not in silent:
                yield Mutant(name, occurrence, line)


def declarations(text: str) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of each annotation, and of options of dataclasses.

    No result depends on them: such options as ``frozen`` and ``slots`` forbid.
    """
    for node in ast.walk(ast.parse(text)):
        found = [getattr(node, "returns", None)]
        if isinstance(node, ast.ClassDef):
            found += node.decorator_list
        if isinstance(node, ast.arg) or (isinstance(node, ast.AnnAssign) and not node.value):
            found.append(node.annotation)
        for declared in filter(None, found):
            yield declared.lineno, declared.end_lineno or declared.lineno


def sample(text: str, n: int, seed: int) -> list[Mutant]:
    """Return ``n`` mutants, each of another line as long as there are lines."""
    drawn = random.Random(seed)
    rest = list(mutants(text))
    drawn.shuffle(rest)
    chosen: list[Mutant] = []
    while rest and len(chosen) < n:
        firsts = {mutant.line: mutant for mutant in reversed(rest)}
        chosen += drawn.sample(
            sorted(firsts.values(), key=lambda mutant: mutant.line), len(firsts)
        )
        rest = [mutant for mutant in rest if firsts[mutant.line] is not mutant]
    return sorted(chosen[:n], key=lambda mutant: mutant.line)


def tests_of(root: Path, module: str) -> list[str]:
    """Return the test files of a module's package that import it, its own one first."""
    name = module.removesuffix(".py").replace("/", ".")
    package, _, own = name.rpartition(".")
    room, *rest = Path(module).parent.parts
    folder = Path("tests", f"{room}_tests", *rest)
    exported = {getattr(node, "name", own) for node in ast.parse((root / module).read_text()).body}
    found = []
    for path in sorted((root / folder).glob("test_*.py")):
        imported = [
            n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)
        ]
        names = {alias.name for node in imported if node.module == package for alias in node.names}
        if names & exported or name in {node.module for node in imported}:
            found.append(str(folder / path.name))
    return sorted(found, key=lambda test: Path(test).stem != f"test_{own}")


class Failed:
    """Collects the tests that fail."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.n_passed = 0

    def pytest_configure(self) -> None:
        """Of a property that fails no smaller example is looked for."""
        import hypothesis

        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("unshrunk", hypothesis.settings(phases=phases))
        hypothesis.settings.load_profile("unshrunk")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that failed, in whatever phase."""
        if report.failed:
            self.names.append(report.nodeid)
        self.n_passed += report.passed and report.when == "call"


def forked(work: Callable[[], object], limit: float) -> object | None:
    """Return what a fork of this process gives; None if it died or took longer than the limit."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            signal.alarm(int(limit) + 1)
            with open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), 1)
                os.dup2(nothing.fileno(), 2)
            with os.fdopen(writer, "w") as out:
                json.dump(work(), out)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return json.loads(text) if text else None


def run_tests(folder: Path, tests: list[str], *, first: bool) -> dict[str, object]:
    """Return the failed tests of a tree, or only the first; run in a fork."""
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    sys.path.insert(0, str(folder))
    failed = Failed()
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}", *["-x"] * first]
    code = pytest.main([*options, *tests], plugins=[failed])
    return {"code": int(code), "failed": failed.names, "n_passed": failed.n_passed}


def judge(root: Path, module: str, n: int, seed: int, *, first: bool, n_processes: int) -> str:
    """Return what the tests say of a module's mutants."""
    if not (root / module).is_file():
        raise SystemExit(f"Error: there is no module {module} in {root}.")
    text = (root / module).read_text()
    tests = tests_of(root, module)
    if not tests:
        raise SystemExit(f"Error: no test of its own package imports {module}.")
    with tempfile.TemporaryDirectory() as parent:
        folders = [Path(parent) / str(i) for i in range(n_processes)]
        for folder in folders:
            shutil.copytree(root, folder, ignore=shutil.ignore_patterns(".*", "runs"))
        start = time.perf_counter()
        whole = forked(functools.partial(run_tests, folders[0], tests, first=False), 3600)
        seconds = time.perf_counter() - start
        if not isinstance(whole, dict) or whole["code"]:
            failed = whole["failed"] if isinstance(whole, dict) else "the run itself"
            raise SystemExit(f"Error: {module}: without a fault fails {failed}")
        free = list(folders)

        def try_one(mutant: Mutant) -> list[str]:
            folder = free.pop()
            try:
                (folder / module).write_text(mutant.write(text))
                work = functools.partial(run_tests, folder, tests, first=first)
                ended = forked(work, 10 * seconds + LIMIT_S)
                if not isinstance(ended, dict):
                    return ["(no end)"]
                return ended["failed"] or ["(collection)"] * bool(ended["code"])
            finally:
                (folder / module).write_text(text)
                free.append(folder)

        chosen = sample(text, n, seed)
        with ThreadPoolExecutor(n_processes) as pool:
            failures = list(pool.map(try_one, chosen))
    seen = [failed for failed in failures if failed]
    lines = [
        f"{module}: {len(seen)} of {len(chosen)} mutants make a test fail "
        f"({whole['n_passed']} tests of {len(tests)} files, {seconds:.0f} s; seed {seed})"
    ]
    for mutant, failed in zip(chosen, failures, strict=True):
        if not failed:
            old = text.splitlines()[mutant.line - 1].strip()
            new = mutant.write(text).splitlines()[mutant.line - 1].strip()
            lines.append(f"  {mutant.line}: {old}  ->  {new}")
    if not first:
        alone = {failed[0] for failed in seen if len(failed) == 1}
        lines += ["  Tests that saw a mutant alone:", *(f"    {name}" for name in sorted(alone))]
    return "\n".join(lines)


def main() -> None:
    """Judge the modules that were asked for, one after the other."""
    parser = argparse.ArgumentParser(
        description="How many faults of a module the tests see.",
        epilog="Example: python -m benchmarks.mutants study/analysis/verdict.py storage/queue.py",
    )
    parser.add_argument("modules", nargs="+", help="files of modules, such as storage/queue.py")
    parser.add_argument("--mutants", type=int, default=40, help="mutants a module (40)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample (0)")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout (this one)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at once (cores)")
    parser.add_argument(
        "--alone",
        action="store_true",
        help="run all tests of each mutant; name those that see one alone",
    )
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in IMPORTED:
        importlib.import_module(name)
    for module in asked.modules:
        said = judge(
            asked.root.resolve(),
            module,
            asked.mutants,
            asked.seed,
            first=not asked.alone,
            n_processes=asked.processes,
        )
        sys.stdout.write(said + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
