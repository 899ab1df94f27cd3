"""The command in a process group of its own, watched and hit from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from harness.store.results import ResultStore
from tests.conftest import STUDY, TOY

REPOSITORY = Path(__file__).parents[2]


def write_study(folder: Path, *, trials: int = 4, epochs: int = 6, fixed: str = "pause_s: 0.3") -> Path:
    """Two cells of slow search trials, a checkpoint an epoch."""
    text = STUDY.format(plugin=TOY, trials=trials, epochs=epochs, pruner="none")
    text = text.replace("{top: 2, seeds: 1}", "{seeds: 0}").replace("final: {seeds: 2}", "final: {seeds: 0}")
    text = text.replace("checkpoint_every: 2", "checkpoint_every: 1")
    path = folder / "toy.yaml"
    path.write_text(text.replace("batch_size: 8", f"batch_size: 8, {fixed}"))
    return path


@contextmanager
def command(*arguments: object, cwd: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """``harness ARGUMENTS`` in ``cwd``; whatever it started is ended afterwards."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )
    try:
        yield process
    finally:
        for pid in (process.pid, *tree(process.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.communicate()


def tree(pid: int) -> list[int]:
    """All descendants of a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *tree(child)]
    return found


def named(pid: int, name: str) -> list[int]:
    """Descendants whose command line holds a name."""
    found = []
    for child in tree(pid):
        try:
            line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if name in line:
            found.append(child)
    return found


def epochs_seen(root: Path) -> int:
    """Checkpoints are written an epoch: how many trials have one."""
    return len(list((root / "checkpoints" / "toy").glob("*.pt")))


def wait(ready: Callable[[], object], process: subprocess.Popen[str], seconds: float = 120.0) -> None:
    """Wait for something while a process runs."""
    until = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def states(root: Path) -> dict[tuple[str, str], int]:
    """How many rows by state and reason."""
    rows = ResultStore(root).trials("toy")
    return {
        (str(state), str(why)): int(n) for (state, why), n in rows.groupby(["state", "reason"]).size().items()
    }
