"""From templates and their data to one HTML file: the only module that knows jinja2."""

import base64
import functools
import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol, Self

import jinja2
from jinja2.runtime import Context
from markupsafe import Markup, escape

from study import formats
from study.analysis import word_for
from study.figures.style import plotly_js
from study.metrics import Metric
from study.shell import quote
from study.wording import OURS, Wording

MAX_ROWS = 200  # of a table

_MAX_FAILURE = 300
_DATA = Markup("<report-data>")  # a mark that no text of a study can hold
_TEMPLATES = Path(__file__).parent / "templates"

_FORMATS = (
    *("accuracy", "change", "coefficient", "count", "duration", "number", "p_value"),
    *("percent", "sampler", "state"),
)
"""Filters that are called like the function ``format_...`` of ``study.formats``."""

_NUMBER_WITH_EXPONENT = re.compile(r"\d[\d.]*e-\d+")


class Figure(Protocol):
    """A figure of plotly."""

    layout: Any

    def to_json(self) -> str | None:
        """Return it as plotly's JSON."""


@dataclass(frozen=True, slots=True)
class Section:
    """What a section shows.

    Args:
        data: What its template shows beside what the page gives to all of them.
        figures: By the names of their places.
        methods: That judged or resampled trials for it, and their settings.
        heading: None for that of its module.
        folded: What it answers, for one that is closed at first; empty for one that is open.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    methods: Sequence[tuple[str, str]] = ()
    heading: str | None = None
    folded: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """The chart with which a section stands in the dashboard, of few points.

    Args:
        notes: Lines below the title, for what must be known to read it.
    """

    title: str
    figure: Any
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a section has nothing to show, and the command that changes that, if there is one.

    Args:
        why: The rest of a sentence that begins with the heading, without its full stop.
    """

    why: str
    command: str | None = None
    heading: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a section could not be made."""

    failure: str

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Tell an error in a line."""
        return cls(f"{type(error).__name__}: {' '.join(str(error).split())}"[:_MAX_FAILURE])


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A section in its place.

    Args:
        name: What links lead to.
    """

    name: str
    heading: str
    content: Section | Missing | Failure
    template: Path | None = None

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing to show, for a reason that is none of the program's."""
        return isinstance(self.content, Missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Sections that answer one question; one without a heading holds one section alone."""

    name: str
    heading: str | None
    parts: Sequence[Part]


def render_page(
    page: str,
    *,
    title: str,
    groups: Sequence[Group],
    words: Mapping[str, Any],
    report_data: Callable[[str], str] | None = None,
) -> str:
    """Turn data into a page.

    Args:
        report_data: What a page keeps so that it can be rebuilt, as base64, given its other text.

    Returns:
        A complete HTML document that needs no network; the same for the same arguments.
    """
    environment = _environment()
    parts = [part for group in groups for part in group.parts]
    methods = [m for p in parts if isinstance(p.content, Section) for m in p.content.methods]
    words = {**words, "max_rows": MAX_ROWS, "methods": methods}
    texts = {part.name: _text(environment, part, words) for part in parts}
    failures = {name: text.failure for name, text in texts.items() if isinstance(text, Failure)}
    figured = any(isinstance(p.content, Section) and p.content.figures for p in parts)
    text = environment.get_template(f"{page}.html.jinja").render(
        words,
        title=title,
        groups=groups,
        texts=texts,
        failures=failures,
        plotly_js=_packed_plotly() if figured else None,
        report_data=None if report_data is None else _DATA,
    )
    return text if report_data is None else text.replace(_DATA, report_data(text))


def chart_key(section: str, metric: Metric) -> str:
    """Name the chart of a section; that of the objective is named like the section."""
    return section if metric.objective else f"{section}-{metric.name}"


def _text(
    environment: jinja2.Environment, part: Part, words: Mapping[str, Any]
) -> Markup | Failure:
    """Return the inside of a section, or why it could not be made."""
    section = part.content
    if not isinstance(section, Section):
        return section if isinstance(section, Failure) else Markup()
    try:
        figures = {key: safe_in_script(str(f.to_json())) for key, f in section.figures.items()}
        heights = {key: int(f.layout.height) for key, f in section.figures.items()}
        template = environment.get_template(f"{part.template}.html.jinja")
        return Markup(template.render(words, figures=figures, heights=heights, **section.data))
    except Exception as error:  # whatever is wrong with one section, the page is for the others
        return Failure.of(error)


def flat(folder: str, *sections: tuple[str, str, Section]) -> list[Group]:
    """Return sections that stand by themselves, each under its name and its heading."""
    parts = [
        Part(name=name, heading=heading, content=section, template=Path(f"{folder}/{name}"))
        for name, heading, section in sections
    ]
    return [Group(name="", heading=None, parts=parts)]


@functools.cache
def _packed_plotly() -> str:
    """Return what draws the charts, compressed, as base64."""
    packed = gzip.compress(plotly_js().encode(), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def safe_in_script(json: str) -> Markup:
    """Make JSON safe inside a script element, where ``</script>`` and ``<!--`` have a meaning."""
    return Markup(json.replace("<", "\\u003c"))


@functools.cache  # compiling the templates takes longer than a small page
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {name: getattr(formats, f"format_{name}") for name in _FORMATS} | {
        "measure": formats.format_measured,
        "short": attrgetter("short_label"),
        "word": word_for,
        "plural": formats.plural,
        "article": formats.with_article,
        "capitalise": formats.capitalised,
        "counted": formats.counted,
        "label": _label,
        "value": _value,
        "begin": jinja2.pass_context(lambda context, text: _wording(context).begin(text)),
        "heading": jinja2.pass_context(lambda context, text: _wording(context).heading(text)),
        "nowrap": _keep_numbers_whole,
        "png": lambda png: f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}",
        "quote": quote,
    }
    return environment


def _wording(context: Context) -> Wording:
    """Return how the page's study writes settings."""
    found = context.get("wording", OURS)
    assert isinstance(found, Wording)
    return found


@jinja2.pass_context
def _label(context: Context, name: str) -> str:
    return _wording(context).label(name)


@jinja2.pass_context
def _value(context: Context, value: object, name: str | None = None) -> str:
    """Write a value of the setting of a name, or any other."""
    return formats.format_value(value) if name is None else _wording(context).value(value, name)


def _source(name: str) -> tuple[str, str, Callable[[], bool]] | None:
    """Read a template: of this folder by its name, any other by its whole path."""
    path = _TEMPLATES / name
    return (path.read_text(encoding="utf-8"), str(path), lambda: True) if path.exists() else None


def _keep_numbers_whole(text: str) -> Markup:
    """Escape a text and keep numbers such as 1e-3 from being broken at their hyphen."""
    return Markup(
        _NUMBER_WITH_EXPONENT.sub(r'<span class="nowrap">\g<0></span>', str(escape(text)))
    )
