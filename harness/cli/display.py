"""Live progress of a running study: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

REFRESH_S = 0.5
LINE_S = 15.0


class Snapshot(Protocol):
    """What a display needs to know."""

    @property
    def finished(self) -> int:
        """Trials that have ended."""

    @property
    def planned(self) -> int:
        """Trials there will be."""

    @property
    def running(self) -> tuple[str, ...]:
        """What runs now, in words."""

    @property
    def failed(self) -> int:
        """Trials that failed."""

    @property
    def best(self) -> tuple[tuple[str, float], ...]:
        """The best value of each cell."""


@contextmanager
def watching(console: Console, name: str, snapshot: Callable[[], Snapshot]) -> Iterator[None]:
    """Show progress while inside."""
    begun, first = time.monotonic(), snapshot().finished
    stop = threading.Event()

    def rate() -> tuple[float, str]:
        now = snapshot()
        spent = max(time.monotonic() - begun, 1e-9)
        done = now.finished - first
        per_minute = 60 * done / spent
        left = max(now.planned - now.finished, 0) * spent / done if done else float("nan")
        return per_minute, "?" if left != left else clock(left)

    def picture() -> Group:
        now = snapshot()
        per_minute, left = rate()
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(name, style="bold"),
            ProgressBar(total=max(now.planned, 1), completed=now.finished, width=30),
            f"{now.finished}/{now.planned} trials",
            f"{per_minute:.1f}/min",
            f"left {left}",
            Text(f"{now.failed} failed", style="red") if now.failed else "",
        )
        cells = Table.grid(padding=(0, 2))
        for cell, value in now.best:
            cells.add_row("  best", cell, f"{value:.4g}")
        for task in now.running:
            cells.add_row("  runs", task, "")
        return Group(head, cells)

    def lines() -> None:
        said = -1
        while not stop.wait(LINE_S):
            now = snapshot()
            if now.finished != said:
                said = now.finished
                per_minute, left = rate()
                console.print(
                    f"{name}: {now.finished}/{now.planned} trials, {now.failed} failed, "
                    f"{per_minute:.1f} a minute, left {left}"
                )

    if console.is_terminal:
        with Live(get_renderable=picture, console=console, refresh_per_second=1 / REFRESH_S, transient=True):
            yield
        return
    thread = threading.Thread(target=lines, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def clock(seconds: float) -> str:
    """Seconds as a person says them.

    >>> clock(75), clock(7300)
    ('1:15', '2:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
