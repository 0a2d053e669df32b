"""Figures of the code's shape: ``python -m benchmarks.house`` (``make map``).

What only gets fewer: imports of the model outside of its room, questions after a kind's name,
private names of Optuna, circles.
"""

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("emoji_ae", "search_spaces", "storage", "study")
TEMPLATES = (".jinja", ".js", ".css")
ROOM = "study/emoji/"

KINDS = re.compile(
    r"multitask(?!_)\b|is_multitask|\"autoencoder\"|'autoencoder'|== ['\"]multitask", re.IGNORECASE
)
PRIVATE = re.compile(
    r"from optuna[\w.]*\._|\._(study_id|trial_id|storage|backend|base_path|cached_frozen_trial"
    r"|channel|contains|get_prepared_new_trial|set_trial_param_without_commit"
    r"|set_trial_attr_without_commit|build_frozen_trial_from_trial_model)\b"
)


def files(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Yield the path, from the root, and the text of each file of the product."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in suffixes:
                yield str(path.relative_to(ROOT)), path.read_text()


def imported(text: str) -> set[str]:
    """Return the modules that a file imports, lazily too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module(path: str) -> str:
    """Return the name of the module in a file."""
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def circles(modules: dict[str, set[str]]) -> int:
    """Return whether modules import each other in a circle, as 0 or 1."""
    graph = {name: names & modules.keys() - {name} for name, names in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return 1
    return 0


def main() -> None:
    """Print the figures."""
    python = dict(files(".py"))
    templates = dict(files(*TEMPLATES))
    modules = {module(path): imported(text) for path, text in python.items()}
    model = {
        path: sum(name.startswith("emoji_ae.") for name in modules[module(path)])
        for path in python
        if path.startswith("study/") and not path.startswith(ROOM)
    }
    outside = {
        path: text
        for path, text in {**python, **templates}.items()
        if path.startswith(("study/", "storage/")) and not path.startswith(ROOM)
    }
    branches = re.compile(r"\b(if|elif|case|match|and|or)\b.*")
    rows = {
        "modules flat in study/": sum(
            path.count("/") == 1 and path.startswith("study/") and "__init__" not in path
            for path in python
        ),
        "files of study/ outside study/emoji/ that import emoji_ae": sum(
            map(bool, model.values())
        ),
        "circles of imports, lazy ones counted": circles(modules),
        "branches on a kind's name outside study/emoji/": sum(
            bool(branches.search(line) and KINDS.search(line))
            for text in outside.values()
            for line in text.splitlines()
        ),
        "files with private names of Optuna": sum(
            bool(PRIVATE.search(text)) for path, text in python.items()
        ),
        'places that say "validation MSE" outside study/emoji/': sum(
            len(re.findall("validation MSE", text, re.IGNORECASE)) for text in outside.values()
        ),
        "lines of Python": sum(text.count("\n") for text in python.values()),
        "lines of templates and scripts": sum(text.count("\n") for text in templates.values()),
    }
    for name, value in rows.items():
        sys.stdout.write(f"{value:7,}  {name}\n")


if __name__ == "__main__":
    main()
