"""The sections of a study's page, each a module beside its template, in the page's order.

A module says in ``section`` what its template shows of a study: a ``Section``, why there is
nothing to show, or None where the question does not arise. Installed packages bring more of them
as entry points of the group ``emoji_study.sections``; such a module names its group in ``GROUP``.
A module that has a ``graph`` as well says in it what the dashboard shows: a ``Graph``, or None.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from study.report.findings import Findings
from study.report.page import Failure, Graph, Group, Missing, Part, Section
from study.report.sections import (
    ablation,
    best_configuration,
    branches,
    confirmation,
    correlations,
    cost,
    distribution,
    expected_best,
    experiment,
    failures,
    families,
    fidelity,
    history,
    hypervolume,
    importance,
    isolation,
    key_numbers,
    learning_curves,
    metrics,
    pair,
    parallel,
    pictures,
    reproduce,
    tables,
    timeline,
    trade_off,
    trial_files,
    trials,
)

ENTRY_POINTS = "emoji_study.sections"


class SectionModule(Protocol):
    """A module of a section."""

    HEADING: str
    __file__: str | None

    def section(self, found: Findings) -> Section | Missing | None:
        """Return what the section shows of a study."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a reader, and the modules whose sections answer it."""

    heading: str
    modules: tuple[SectionModule, ...]


SEARCH: Mapping[str, Question] = {
    "holds": Question("Does it hold?", (confirmation,)),
    "mattered": Question(
        "What mattered?",
        (isolation, pair, families, branches, ablation, parallel, importance, correlations),
    ),
    "search": Question(
        "How did the search go?",
        (history, hypervolume, learning_curves, distribution, expected_best, fidelity),
    ),
    "models": Question(
        "What are the models like?",
        (best_configuration, pictures, trial_files, trade_off, metrics, cost),
    ),
    "all": Question("All trials", (trials, failures)),
    "again": Question("How to do it again", (reproduce, key_numbers, timeline, tables)),
}
"""The page of a search, by the names of its questions."""

FOLLOWUP: Mapping[str, Question] = {
    "holds": Question("What was found?", (experiment, confirmation, ablation)),
    "models": Question("What are the models like?", (pictures, trial_files)),
    "all": SEARCH["all"],
    "again": Question("How to do it again", (reproduce, key_numbers, timeline)),
}
"""The page of an experiment, of a confirmation or of an ablation."""


def groups_of(found: Findings) -> list[Group]:
    """Return all sections of a study in the page's order; one that fails says why."""
    questions = SEARCH if found.search else FOLLOWUP
    modules = {name: [*question.modules] for name, question in questions.items()}
    for module in _brought():
        if found.search or module.GROUP in ("holds", "all", "again"):
            modules.setdefault(module.GROUP, []).append(module)
    # Other processes may still be at what mattered, so that comes last.
    flat = [module for some in modules.values() for module in some]
    parts = {
        id(module): _part(module, found)
        for module in sorted(flat, key=lambda module: module in (importance, isolation, pair))
    }
    answered = {
        name: [part for module in modules[name] if (part := parts[id(module)]) is not None]
        for name in questions
    }
    headings = {name: question.heading for name, question in questions.items()}
    if not found.ours:  # there need be no models
        headings["models"] = "What are the best trials like?"
    return [
        Group(name=name, heading=headings[name], parts=some)
        for name, some in answered.items()
        if some
    ]


def graphs_of(found: Findings) -> dict[str, Graph | None]:
    """Return the charts of a study for the dashboard, None where there is nothing to show yet."""
    modules = {_name(m): m for q in SEARCH.values() for m in q.modules}
    modules |= {_name(module): module for module in _brought()}
    offered = {name: getattr(module, "graph", None) for name, module in modules.items()}
    return {name: graph(found) for name, graph in offered.items() if graph is not None}


def _brought() -> Iterator[Any]:
    """Yield the modules that installed packages bring, this one's own kinds among them."""
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        yield import_module(point.value)


def _name(module: SectionModule) -> str:
    return Path(str(module.__file__)).stem.replace("_", "-")


def _part(module: SectionModule, found: Findings) -> Part | None:
    name, place = _name(module), Path(str(module.__file__))
    try:
        content = module.section(found)
    except Exception as error:  # whatever is wrong with one section, the page is for the others
        return Part(name=name, heading=module.HEADING, content=Failure.of(error))
    if content is None:
        return None
    heading = content.heading or module.HEADING
    return Part(name=name, heading=heading, content=content, template=place.with_suffix(""))
