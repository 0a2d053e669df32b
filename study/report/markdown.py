"""A page as Markdown: the same words and tables, its pictures as files beside it, no charts."""

import base64
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bs4 import BeautifulSoup, Tag
from markdownify import MarkdownConverter

from study.terminal.screen import printable

_LEFT_OUT = (
    "nav, script, style, svg, button, .anchor, .still, .chart, .skip, #trials-app, "
    "#trials-fallback, #filter-bar, #drawer, noscript, .ruler, .legend, .on-page"
)
"""What is of the page alone, such as the words on how to use a chart or to read it."""
_DATA = re.compile(r"data:image/png;base64,(.*)")
_MARKUP = re.compile(r"([\\`\[\]|])")  # beside what the library escapes
_GAPS = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkdownPage:
    """The text, and its pictures by the names of their files."""

    text: str
    pictures: Mapping[str, bytes]


class _Converter(MarkdownConverter):
    """Definitions become lines of a list, commands blocks."""

    def escape(self, text: str, parent_tags: Any) -> str:
        """Escape what Markdown, or HTML within it, would take for markup."""
        marked = _MARKUP.sub(r"\\\1", text or "")
        escaped = super().escape(marked, parent_tags)  # type: ignore[misc]  # its types lack it
        return html.escape(str(escaped), quote=False)

    def convert_dt(self, _: Tag, text: str, *args: Any, **kwargs: Any) -> str:
        return f"\n- **{text.strip()}**: "

    def convert_dd(self, element: Tag, text: str, *args: Any, **kwargs: Any) -> str:
        alone = len(element.find_next_siblings("dd") + element.find_previous_siblings("dd")) == 0
        return text.strip() if alone else f"\n  - {text.strip()}"

    def convert_small(self, _: Tag, text: str, *args: Any, **kwargs: Any) -> str:
        return f" ({text.strip()})"

    def convert_summary(self, _: Tag, text: str, *args: Any, **kwargs: Any) -> str:
        return f"\n\n{text.strip()}\n\n"

    def convert_div(self, element: Tag, text: str, *args: Any, **kwargs: Any) -> str:
        if "command" in (element.get("class") or ()):
            return f"\n\n```\n{element.get_text().strip()}\n```\n\n"
        return text


def to_markdown(page: str, *, name: str | None) -> MarkdownPage:
    """Turn a page into Markdown.

    Args:
        name: What the files of pictures begin with; None for a text without any.
    """
    soup = BeautifulSoup(page, "html.parser")
    for element in soup.select(_LEFT_OUT):
        element.decompose()
    for section in soup.find_all("section"):
        heading = section.find(["h2", "h3", "summary"])
        if heading and heading.get_text(strip=True) == section.get_text(strip=True):
            section.decompose()  # it was a chart
    pictures: dict[str, bytes] = {}
    for image in soup.find_all("img"):
        found = _DATA.match(str(image["src"]))
        if name is None or found is None:
            image.replace_with(f"[{image['alt']}]")
            continue
        file = f"{name}-{len(pictures) + 1}.png"
        pictures[file] = base64.b64decode(found[1])
        image["src"], image["alt"] = file, html.escape(str(image["alt"]))
    parts = [part for part in (soup.header, soup.main, soup.footer) if part is not None]
    converter = _Converter(
        heading_style="ATX", bullets="-", keep_inline_images_in=["td", "th", "li"]
    )
    text = "\n\n".join(converter.convert_soup(part).strip() for part in parts)
    return MarkdownPage(text=printable(_GAPS.sub("\n\n", text)) + "\n", pictures=pictures)
