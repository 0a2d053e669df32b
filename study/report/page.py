"""From templates and their data to one HTML file: the only module that knows jinja2."""

import base64
import functools
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

import jinja2
from markupsafe import Markup, escape

from study import formats
from study.analysis import word_for
from study.figures import plotly_js

MAX_ROWS = 500  # of a table

_FORMATS = (
    *("accuracy", "change", "coefficient", "count", "duration", "label", "mse", "p_value"),
    *("percent", "sampler", "state", "value"),
)
"""Filters that are called like the function ``format_...`` of ``study.formats``."""

_NUMBER_WITH_EXPONENT = re.compile(r"\d[\d.]*e-\d+")


class Figure(Protocol):
    """A figure of plotly."""

    def to_json(self) -> str | None:
        """Return it as plotly's JSON."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a page.

    Args:
        name: Of its template; links lead to it.
        heading: In the table of contents.
        data: What its template shows beside what the page gives to all of them.
        figures: By the names of their places.
        methods: That judged or resampled trials for it, and their settings.
    """

    name: str
    heading: str
    data: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    methods: Sequence[tuple[str, str]] = ()


def render_page(
    page: str,
    *,
    title: str,
    sections: Iterable[Section],
    report_data: str | None = None,
    **data: Any,
) -> str:
    """Turn data into a page.

    Args:
        page: Name of its template and of the folder with those of its sections.
        report_data: What the page keeps so that it can be rebuilt, as base64.
        **data: What all templates may show.

    Returns:
        A complete HTML document that needs no network; the same for the same arguments.
    """
    environment = _environment()
    data |= {"max_rows": MAX_ROWS}
    texts = []
    for section in sections:
        figures = {key: safe_in_script(str(f.to_json())) for key, f in section.figures.items()}
        template = environment.get_template(f"{page}/{section.name}.html.jinja")
        texts.append((section, Markup(template.render(data, figures=figures, **section.data))))
    return environment.get_template(f"{page}.html.jinja").render(
        data,
        title=title,
        sections=texts,
        plotly_js=Markup(plotly_js()) if any(s.figures for s, _ in texts) else None,
        report_data=report_data,
    )


def safe_in_script(json: str) -> Markup:
    """Make JSON safe inside a script element, where ``</script>`` and ``<!--`` have a meaning."""
    return Markup(json.replace("<", "\\u003c"))


@functools.cache  # compiling the templates takes longer than a small page
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
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
        # A capital at the beginning; the rest, acronyms included, stays as it is.
        "capitalise": lambda text: text[:1].upper() + text[1:],
        "nowrap": _keep_numbers_whole,
        "png": lambda png: f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}",
        "quote": shlex.quote,
    }
    return environment


def _keep_numbers_whole(text: str) -> Markup:
    """Escape a text and keep numbers such as 1e-3 from being broken at their hyphen."""
    return Markup(
        _NUMBER_WITH_EXPONENT.sub(r'<span class="nowrap">\g<0></span>', str(escape(text)))
    )
