"""The directions in which the code may import, and where certain things may live at all."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("emoji_ae", "search_spaces", "storage", "study")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}

FORBIDDEN = {
    "emoji_ae": {
        *("optuna", "sqlalchemy", "plotly", "jinja2", "typer", "search_spaces", "storage"),
        "study",
    },
    "emoji_ae.config": {"torch", "numpy"},
    "emoji_ae.curve": {"torch"},
    "emoji_ae.labels": {"torch", "numpy"},
    "emoji_ae.expression": {"torch", "numpy", "PIL"},
    "emoji_ae.recipes": {"torch", "numpy", "PIL", "emoji_ae.latent"},
    "emoji_ae.classification": {"emoji_ae.models", "emoji_ae.loop"},
    "emoji_ae.drawing.strips": {"torch"},
    "emoji_ae.drawing.captions": {"torch"},
    "emoji_ae.loop": {
        *("emoji_ae.tasks", "emoji_ae.training", "emoji_ae.evaluation", "emoji_ae.augment"),
        *("emoji_ae.classification", "emoji_ae.labels", "emoji_ae.splits"),
    },
    "emoji_ae.tasks": {"emoji_ae.loop", "emoji_ae.training", "emoji_ae.splits"},
    "emoji_ae.training": {"emoji_ae.splits", "emoji_ae.checkpoint"},
    "search_spaces": {"torch", "torchvision", "sqlalchemy", "storage", "study"},
    "storage": {"torch", "torchvision", "emoji_ae", "search_spaces", "study"},
    "study.analysis": {"torch", "plotly", "jinja2", "emoji_ae", "sqlalchemy", "study.figures"},
    "study.analysis.experiment": {
        *("optuna", "joblib", "storage.rdb", "storage.artifacts", "study.experiment"),
        *("study.commands.experiment", "study.commands.run", "study.report"),
    },
    "study.analysis.confirmation": {"optuna.study", "study.experiment", "study.followups.arms"},
    "study.analysis.ablation": {"optuna", "study.experiment", "study.followups.arms"},
    "study.figures": {"torch", "jinja2", "sqlalchemy", "study.report"},
    "study.report": {
        "torch",
        "sqlalchemy",
        "study.commands.run",
        "study.running.coordinator",
        "study.running.worker",
    },
    "study.dashboard": {
        *(
            "torch",
            "sqlalchemy",
            "typer",
            "study.commands.run",
            "study.running.coordinator",
            "study.running.worker",
        ),
        *("study.report", "study.commands.dashboard"),
    },
    "study.dashboard.notes": {"optuna.study", "storage.annotations", "study.figures"},
    "study.dashboard.graphs": {"optuna", "storage.annotations"},
    "study.running.refresher": {"plotly", "study.analysis", "study.figures", "study.report"},
    "study.dashboard.retention": {"torch", "sqlalchemy", "study.commands.run", "study.report"},
    "study.commands.dashboard": {"typer", "study.cli", "study.commands.run"},
    "study.settings": {"torch", "study.emoji.data", "study.experiment"},
    "study.followups.arms": {
        *("torch", "sqlalchemy", "emoji_ae.dataset", "emoji_ae.splits", "study.emoji.data"),
        *("study.commands.run", "study.running.coordinator", "study.report", "storage.rdb"),
    },
    "study.commands.confirm": {"typer", "study.cli", "study.report"},
    "study.terminal.followups": {"torch", "sqlalchemy", "study.commands.run"},
    "study.experiment": {
        *(
            "torch",
            "optuna",
            "emoji_ae.dataset",
            "emoji_ae.splits",
            "study.emoji.data",
            "study.running.budget",
        ),
        *("study.running.coordinator", "study.commands.run", "study.analysis"),
    },
    "study.running.budget": {
        "torch",
        "emoji_ae",
        "study.emoji.data",
        "study.running.coordinator",
        "study.commands.run",
    },
    "study.running.objective": {
        "study.running.worker",
        "study.running.coordinator",
        "study.commands.run",
        "study.experiment",
    },
    "study.running.worker": {
        "study.running.coordinator",
        "study.commands.run",
        "study.analysis",
        "study.experiment",
    },
    "study.running.coordinator": {
        *("study.commands.run", "study.commands.experiment", "study.analysis", "study.report"),
    },
    "study.running.supervisor": {
        "torch",
        "optuna",
        "sqlalchemy",
        "study.running.worker",
        "study.running.coordinator",
    },
    "study.running.attempt": {
        "torch",
        "optuna",
        "sqlalchemy",
        "study.running.supervisor",
        "study.running.coordinator",
    },
    "study.signals": {"torch", "optuna", "sqlalchemy"},
    "study.commands.run": {"typer", "study.cli", "study.commands.experiment", "study.experiment"},
    "study.commands.experiment": {"typer", "study.cli"},
}
"""What a package or module, and everything below it, must never import."""

ONLY_IN: dict[str, set[str]] = {
    "plotly": {
        *("study.figures.comparisons", "study.emoji.figures", "study.figures.parameters"),
        *("study.figures.search", "study.figures.studies", "study.figures.style"),
    },
    "jinja2": {"study.report.page"},
    "typer": {"study.cli"},
    "optuna_dashboard": {"storage.internals", "study.dashboard.app"},
    "bottle": {"study.dashboard.app"},
    "sklearn": {"emoji_ae.splits", "study.analysis.surrogate"},
    "sqlalchemy": {
        *("storage.internals", "storage.operations", "storage.outages", "storage.rdb"),
        "storage.urls",
    },
    "joblib": {
        "study.running.cluster",
        "study.commands.run",
        "study.emoji.compose",
        "study.report.processes",
    },
    "distributed": {"study.running.cluster"},
    "grpc": {"storage.served"},
    "torchvision": set(),  # two seconds to import; the reference of tests and benchmarks only
}
"""The only modules that may import a library."""


def imports(module: str, *, at_load: bool = False) -> Iterator[str]:
    """Yield the full names that ``module`` imports, only those at load time if asked."""
    tree = ast.parse(MODULES[module].read_text())
    nodes: list[ast.AST] = list(ast.walk(tree))
    if at_load:
        nodes = list(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, parent: str) -> bool:
    """Say whether ``name`` is ``parent`` or lies in it."""
    return name == parent or name.startswith(f"{parent}.")


@pytest.mark.parametrize("owner", FORBIDDEN)
def test_packages_import_in_one_direction(owner: str) -> None:
    """No package or module imports what lies above it, not even lazily."""
    members = [module for module in MODULES if is_below(module, owner)]
    wrong = {
        (module, name)
        for module in members
        for name in imports(module)
        for forbidden in FORBIDDEN[owner]
        if is_below(name, forbidden)
    }

    assert members
    assert wrong == set()


def test_the_test_split_is_read_in_one_module() -> None:
    """Nothing but the final evaluation reads the test images of a split."""
    readers = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr == "test"
        and ast.unparse(node.value).endswith("split")
    }
    assert readers == {"emoji_ae.splits", "study.commands.train"}


@pytest.mark.parametrize("library", ONLY_IN)
def test_libraries_stay_in_their_module(library: str) -> None:
    """A library with one job is imported in one place."""
    users = {m for m in MODULES for name in imports(m) if is_below(name, library)}

    assert users == ONLY_IN[library]


def test_spaces_see_only_configurations() -> None:
    """``search_spaces`` uses nothing of ``emoji_ae`` but configurations and errors."""
    used = {
        name
        for module in MODULES
        if is_below(module, "search_spaces")
        for name in imports(module)
        if is_below(name, "emoji_ae")
    }

    assert {".".join(name.split(".")[:2]) for name in used} == {
        "emoji_ae.config",
        "emoji_ae.errors",
    }


def test_parameters_are_suggested_in_one_place() -> None:
    """Every call of ``suggest_...`` is in ``search_spaces``."""
    callers = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr.startswith("suggest_")
    }

    assert callers == {"search_spaces.base"}


def test_there_is_no_import_cycle() -> None:
    """Modules can be put in an order in which each imports only earlier ones."""
    graph = {
        module: {name for name in imports(module, at_load=True) if name in MODULES} - {module}
        for module in MODULES
    }

    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_holds(module: str) -> None:
    """Every module opens with a docstring."""
    assert ast.get_docstring(ast.parse(MODULES[module].read_text()))


def test_help_needs_nothing_slow() -> None:
    """The command line starts without torch, Optuna, pandas or plotly."""
    script = (
        "import sys, study.cli; "
        "print([m for m in ('torch', 'optuna', 'pandas', 'plotly', 'scipy') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_what_is_light_needs_no_torch() -> None:
    """What is only decided, counted or compared loads neither torch nor scikit-learn."""
    script = (
        "import sys, study.experiment, study.analysis.experiment, study.settings, "
        "study.running.budget, study.running.job, study.seeds, storage.records; "
        "print([m for m in ('torch', 'sklearn', 'plotly', 'pyarrow') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_import_changes_nothing() -> None:
    """Importing the packages touches neither the random state nor the number of threads."""
    script = (
        "import torch; state, threads = torch.get_rng_state(), torch.get_num_threads()\n"
        "import emoji_ae.training, search_spaces, storage.rdb\n"
        "import study.commands.run, study.commands.experiment, study.running.worker\n"
        "print(bool((state == torch.get_rng_state()).all()), threads == torch.get_num_threads())"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert (done.stdout.strip(), done.stderr) == ("True True", "")
