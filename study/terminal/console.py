"""Rich's console, which shows stored texts as they are."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from study.terminal.screen import printable


class Screen(Console):
    """A console that obeys no text: no emoji codes, and no escape sequences but its own.

    Whoever prints a text escapes what looks like markup.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, emoji=False)

    def render_str(self, text: str, **how: Any) -> Text:
        """Return a text with its style, measured as it will be shown."""
        return super().render_str(printable(text), **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield what is shown of a renderable."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)
