"""The consoles that commands print on. Nothing stored anywhere steers the terminal or is taken for markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from harness.guard import printable


class PlainConsole(Console):
    """A console that prints text as text: its own styles are the only escapes that reach the terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, cleaned; rich's own controls stay."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


console = PlainConsole()
pipe = PlainConsole(width=140)  # a pipe or a file has no right edge to wrap at
stderr = PlainConsole(stderr=True, soft_wrap=True)
