"""The first page of the dashboard: all studies, what they came to, and where to read on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from storage import attrs
from storage.records import StudySummary
from study.formats import format_measured, format_settings
from study.kind_info import objective_of
from study.report.page import render_page


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A study of the list.

    Args:
        what: It searches, or repeats.
        best, metric: The best value, and of what; a dash without one, as with several objectives.
        follows: Whether it stands under the search that it follows.
    """

    summary: StudySummary
    what: str
    best: str
    metric: str
    follows: bool


def render_studies(summaries: Sequence[StudySummary], *, read_only: bool) -> str:
    """Turn studies into the page that lists them."""
    words = {"rows": rows(summaries), "read_only": read_only}
    template = str(Path(__file__).with_name("studies"))
    return render_page(template, title="Studies", groups=[], words=words)


def rows(summaries: Sequence[StudySummary]) -> list[Row]:
    """Return the latest study first, each with those that follow it below."""
    names = {summary.name for summary in summaries}
    experiments = {summary.name: attrs.EXPERIMENT.of(summary) for summary in summaries}
    followed = {name: made.follows if made else "" for name, made in experiments.items()}
    first = [s for s in reversed(summaries) if followed[s.name] not in names]
    return [
        row
        for search in first
        for row in (
            _row(search, follows=False),
            *(_row(s, follows=True) for s in summaries if followed[s.name] == search.name),
        )
    ]


def _row(summary: StudySummary, *, follows: bool) -> Row:
    experiment, settings = attrs.EXPERIMENT.of(summary), attrs.SETTINGS.of(summary)
    what = format_settings(settings)
    if experiment is not None and settings is not None:
        what = f"{experiment.name}, {settings.kind}"
    n_objectives, best = len(summary.directions), summary.best
    metric = objective_of(summary)
    value = None if best is None else metric.of(best)
    return Row(
        summary=summary,
        what=what,
        best=format_measured(value, metric),
        metric=f"{n_objectives} objectives" if n_objectives > 1 else metric.label,
        follows=follows,
    )
