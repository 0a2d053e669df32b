"""From a template and its data to one HTML file: the only module that knows jinja2.

Must not know what any page says.
"""

import base64
import re
import shlex
from collections.abc import Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from study.analysis import word_for
from study.figures import plotly_js
from study.formats import (
    format_accuracy,
    format_change,
    format_coefficient,
    format_count,
    format_duration,
    format_label,
    format_measured,
    format_mse,
    format_p_value,
    format_percent,
    format_sampler,
    format_state,
    format_value,
    plural,
    with_article,
)

MAX_ROWS = 500
"""Longest table of a page."""

_TEMPLATES = Path(__file__).parent / "templates"

_NUMBER_WITH_EXPONENT = re.compile(r"\d[\d.]*e-\d+")


def render_page(
    template: str,
    *,
    title: str,
    contents: Iterable[tuple[str, str]],
    figures: Mapping[str, str],
    report_data: str | None = None,
    **data: Any,
) -> str:
    """Turn data into a page.

    Args:
        template: File name of a template that extends ``base.html.jinja``.
        title: Of the browser's window.
        contents: Id and heading of each section, in the order of the page.
        figures: Charts as plotly's JSON, by the names of their places.
        report_data: What the page keeps so that it can be rebuilt, as base64.
        **data: What the template shows.

    Returns:
        A complete HTML document that needs no network; the same for the same arguments.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            contents=list(contents),
            figures={key: safe_in_script(text) for key, text in figures.items()},
            plotly_js=Markup(plotly_js()),
            max_rows=MAX_ROWS,
            report_data=report_data,
            **data,
        )
    )


def safe_in_script(json: str) -> Markup:
    """Make JSON safe inside a script element, where ``</script>`` and ``<!--`` have a meaning."""
    return Markup(json.replace("<", "\\u003c"))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "mse": format_mse,
        "measure": format_measured,
        "short": attrgetter("short_label"),
        "word": word_for,
        "plural": plural,
        "article": with_article,
        "accuracy": format_accuracy,
        "coefficient": format_coefficient,
        "p_value": format_p_value,
        "value": format_value,
        "count": format_count,
        "duration": format_duration,
        "percent": format_percent,
        "change": format_change,
        "capitalise": _capitalise,
        "state": format_state,
        "label": format_label,
        "sampler": format_sampler,
        "nowrap": _keep_numbers_whole,
        "png": _data_uri,
        "quote": shlex.quote,
    }
    return environment


def _capitalise(text: str) -> str:
    """Begin with a capital and leave the rest, acronyms included, as it is."""
    return text[:1].upper() + text[1:]


def _keep_numbers_whole(text: str) -> Markup:
    """Escape a text and keep numbers such as 1e-3 from being broken at their hyphen."""
    return Markup(
        _NUMBER_WITH_EXPONENT.sub(r'<span class="nowrap">\g<0></span>', str(escape(text)))
    )


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
