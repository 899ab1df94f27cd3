"""What `harness data convert` does: find inputs, map over them, show progress, print the summary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.cli.console import console
from harness.errors import HarnessError
from harness.events import convert, sources

LINE_S = 15.0


def run(kind: Literal["odg", "video"], source: Path, out: Path, workers: int = 0) -> None:
    """Convert a folder. `workers` 1 is this process, 0 one a core, through Ray. Raises HarnessError."""
    if workers < 0:
        raise HarnessError(f"--workers {workers}: expected 0 (one a core) or more.")
    items = sources.image_items(source) if kind == "odg" else sources.clip_items(source)
    work = convert.OdgWork() if kind == "odg" else convert.VideoWork()
    with _progress() as progress:
        summary = convert.convert(items, work, out, mapper=mapper(workers), progress=progress)
    console.print(str(summary), soft_wrap=True)


def mapper(workers: int) -> convert.Mapper:
    """The plain mapper for one worker, else Ray with so many processors (0: all)."""
    if workers == 1:
        return convert.here
    from harness.engine.mapping import ray_map  # a second or two, and none of it for one worker
    from harness.studyfile.values import ClusterSpec

    return partial(ray_map, ClusterSpec(cpus=workers or None, gpus=0))


@contextmanager
def _progress() -> Iterator[convert.Progress]:
    """A bar with rate and remaining time on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        yield _lines()
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[bad]} bad"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("convert", total=None, bad=0)
        yield lambda done, total, bad: bar.update(task, completed=done, total=total, bad=bad)


def _lines() -> convert.Progress:
    begun = said = time.monotonic()

    def progress(done: int, total: int, bad: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= LINE_S:
            said = now
            rate = done / (now - begun)
            console.print(f"{done}/{total} files, {bad} bad, {rate:.0f} a second", soft_wrap=True)

    return progress
