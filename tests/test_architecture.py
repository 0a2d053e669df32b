"""The directions in which the code may import, and where certain things may live at all."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import WHOLE

ROOT = Path(__file__).parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("emoji_ae", "search_spaces", "storage", "study")
    for path in sorted((ROOT / package).rglob("*.py"))
}

FORBIDDEN = {
    "emoji_ae": {"optuna"},
    "emoji_ae.config": {"torch", "numpy"},
    "emoji_ae.curve": {"torch"},
    "emoji_ae.labels": {"torch", "numpy"},
    "emoji_ae.expression": {"torch", "numpy", "PIL"},
    "emoji_ae.recipes": {"torch", "numpy", "PIL", "emoji_ae.latent"},
    "emoji_ae.classification": {"emoji_ae.models", "emoji_ae.loop"},
    "emoji_ae.images": {"torch"},
    "emoji_ae.loop": {
        *("emoji_ae.tasks", "emoji_ae.training", "emoji_ae.evaluation", "emoji_ae.augment"),
        *("emoji_ae.classification", "emoji_ae.labels", "emoji_ae.splits"),
    },
    "emoji_ae.tasks": {"emoji_ae.loop", "emoji_ae.training", "emoji_ae.splits"},
    "emoji_ae.training": {"emoji_ae.splits", "emoji_ae.checkpoint"},
    "study.analysis.experiment": {"optuna", "storage.rdb", "storage.artifacts"},
    "study.analysis.confirmation": {"optuna.study", "study.experiment"},
    "study.analysis.ablation": {"optuna", "study.experiment"},
    "study.dashboard.notes": {"optuna.study", "storage.annotations", "study.figures"},
    "study.dashboard.graphs": {"optuna", "storage.annotations"},
    "study.experiment": {"optuna"},
    "study.followups.arms": {"storage.rdb", "study.running.coordinator", "study.report"},
    "study.kinds": {"optuna", "storage"},
    "study.running.objective": {"study.running.worker", "study.running.coordinator"},
    "study.running.refresher": {"study.analysis", "study.figures", "study.report"},
    "study.running.supervisor": {"optuna", "study.running.worker", "study.running.coordinator"},
    "study.running.attempt": {"optuna", "study.running.supervisor", "study.running.coordinator"},
    "study.running.worker": {"study.analysis", "study.running.coordinator"},
    "study.terminal.signals": {"optuna"},
}
"""What a package or module, and everything below it, must not import.

Which package, and which room of ``study``, may import which is held by import-linter, and which
modules may import a library, or torch, at all below.
"""

ONLY_IN: dict[str, set[str]] = {
    "plotly": {
        *("study.figures.comparisons", "study.emoji.figures", "study.figures.parameters"),
        *("study.figures.search", "study.figures.style"),
    },
    "jinja2": {"study.report.page"},
    "click": {
        *("study.cli", "study.commands.ask", "study.commands.completion"),
        "study.commands.options",
    },
    "optuna_dashboard": {"storage.internals", "study.dashboard.app"},
    "bottle": {"study.dashboard.app"},
    "sklearn": {"emoji_ae.splits", "study.analysis.surrogate"},
    "statsmodels": {
        *("study.analysis.confirmation", "study.analysis.paired", "study.analysis.rise")
    },
    "sqlalchemy": {
        *("storage.internals", "storage.operations", "storage.outages", "storage.rdb"),
        "storage.names",
        *("storage.reading", "storage.urls", "storage.bulk", "storage.schema", "storage.sources"),
    },
    "joblib": {
        *("study.commands.train", "study.emoji.compose", "study.report.processes"),
        *("study.running.cluster", "study.running.threads"),
    },
    "distributed": {"study.running.cluster"},
    "grpc": {"storage.served"},
    "torchvision": {"emoji_ae.drawing.strips"},  # a second to import, unless something has trained
}
"""The only modules that may import a library."""

TREES = {module: ast.parse(path.read_text()) for module, path in MODULES.items()}


def imports(module: str, *, at_load: bool = False) -> Iterator[str]:
    """Yield the full names that ``module`` imports, only those at load time if asked."""
    for node in TREES[module].body if at_load else ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, parent: str) -> bool:
    """Say whether ``name`` is ``parent`` or lies in it."""
    return name == parent or name.startswith(f"{parent}.")


ALL = {(module, name) for module in MODULES for name in imports(module)}
"""Each module with each name that it imports."""


def attributes() -> Iterator[tuple[str, ast.Attribute]]:
    """Yield each attribute that is looked up, with the module that does."""
    for module, tree in TREES.items():
        yield from ((module, n) for n in ast.walk(tree) if isinstance(n, ast.Attribute))


def test_packages_import_in_one_direction() -> None:
    """No package or module imports what lies above it, not even lazily."""
    for owner in FORBIDDEN:
        assert any(is_below(module, owner) for module in MODULES), owner
    wrong = {
        (module, name)
        for module, name in ALL
        for owner, forbidden in FORBIDDEN.items()
        if is_below(module, owner) and any(is_below(name, other) for other in forbidden)
    }
    assert wrong == set()


def test_some_things_are_asked_for_in_one_place() -> None:
    """The test split, a trainer's ``test`` and ``suggest_...`` each have their known callers."""
    askers = [(m, ast.unparse(n.value)) for m, n in attributes() if n.attr == "test"]
    readers = {module for module, owner in askers if owner.endswith("split")}
    callers = {module for module, owner in askers if owner.endswith("trainer")}
    assert readers == {"emoji_ae.splits", "study.emoji.trainer"}
    assert callers == {"study.commands.train", "study.followups.testing"}
    callers = {module for module, node in attributes() if node.attr.startswith("suggest_")}
    assert callers == {"search_spaces.base"}


def test_libraries_stay_in_their_module() -> None:
    """A library with one job is imported in one place; one room of ``study`` needs torch."""
    users = {
        library: {module for module, name in ALL if is_below(name, library)}
        for library in (*ONLY_IN, "torch")
    }
    of_torch = users.pop("torch")
    assert {m for m in of_torch if not m.startswith(("emoji_ae.", "study.emoji."))} == set()
    assert users == ONLY_IN


def test_spaces_see_only_configurations() -> None:
    """``search_spaces`` uses nothing of ``emoji_ae`` but configurations and errors."""
    used = {name for m, name in ALL if is_below(m, "search_spaces") and is_below(name, "emoji_ae")}
    seen = {".".join(name.split(".")[:2]) for name in used}
    assert seen == {"emoji_ae.config", "emoji_ae.errors"}


def test_there_is_no_import_cycle() -> None:
    """Modules, each with a docstring, have an order in which each imports only earlier ones."""
    graph = {
        module: {name for name in imports(module, at_load=True) if name in MODULES} - {module}
        for module in MODULES
    }
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)
    assert [module for module, tree in TREES.items() if not ast.get_docstring(tree)] == []


def said(script: str) -> str:
    """Return what a new process prints that runs a script; errors or warnings it has none."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("modules", "slow"),
    [
        # What only shows help or is decided, counted or compared.
        ("study.cli", ("torch", "optuna", "pandas", "plotly", "scipy")),
        (
            "study.emoji, study.kind_sources, study.settings, study.analysis.experiment, "
            "study.running.budget, study.running.job, study.seeds, storage.records",
            ("torch", "sklearn", "plotly", "pyarrow"),
        ),
        # What only waits for a worker.
        (
            "study.running.supervisor, study.running.attempt, study.terminal.signals",
            ("torch", "optuna", "sqlalchemy", "numpy"),
        ),
    ],
)
def test_what_is_light_needs_nothing_slow(modules: str, slow: tuple[str, ...]) -> None:
    """What trains, draws or computes is not loaded before it is needed."""
    assert said(f"import sys, {modules}; print([m for m in {slow} if m in sys.modules])") == "[]"


@pytest.mark.parametrize(
    ("line", "slow"),
    [
        ("run autoencoder --device foo", ("torch", "optuna", "pandas", "sqlalchemy")),
        ("run autoencoder --space foo", ("torch", "sklearn", "plotly")),
        ("run foo", ("torch", "sklearn", "plotly")),
    ],
)
def test_wrong_names_are_refused_before_anything_slow(line: str, slow: tuple[str, ...]) -> None:
    """They end with code 2 before what trains is imported, and mostly before all else."""
    script = (
        "import contextlib, io, sys; from study.cli import main\n"
        f"sys.argv = ['emoji-study', *{line.split()}]\n"
        "try:\n"
        "    with contextlib.redirect_stderr(io.StringIO()): main()\n"
        f"except SystemExit as ended: print(ended.code, [m for m in {slow} if m in sys.modules])"
    )
    assert said(script) == "2 []"


@pytest.mark.whole
def test_import_changes_nothing() -> None:
    """Importing the packages touches neither the random state nor the number of threads."""
    script = (
        "import torch; state, threads = torch.get_rng_state(), torch.get_num_threads()\n"
        "import emoji_ae.training, search_spaces, storage.rdb\n"
        "import study.commands.run, study.emoji.trainer, study.running.worker\n"
        "print(bool((state == torch.get_rng_state()).all()), threads == torch.get_num_threads())"
    )
    assert said(script) == "True True"


def test_what_is_left_out_of_the_fast_tests_is_imported_somewhere() -> None:
    """A name that was changed would let trainings into the fast tests."""
    imported = {
        alias.asname or alias.name
        for path in Path(__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported >= WHOLE
