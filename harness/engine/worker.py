"""What runs on a node: a worker that holds attempts, and what the driver asks of the machine it is on.

Imports nothing heavy: a node is told its environment before torch is imported.
"""

from __future__ import annotations

import mmap
import os
import resource
import signal
import struct
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.engine.conversation import Message, Session

if TYPE_CHECKING:
    from harness.train.task import Task

BATCH_S = 0.05  # epochs shorter than this are reported together
SAMPLE_S = 0.2
FORWARDED = ("HARNESS_DATA", "HARNESS_CACHE", "OMP_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says of itself before its first attempt."""

    pid: int
    host: str
    oom_kills: int


class Worker:
    """An actor: attempts one after another in a process that is kept warm."""

    def __init__(self, environment: dict[str, str], logical_gpus: bool) -> None:
        os.environ.update({name: value for name, value in environment.items() if name not in os.environ})
        self._logical_gpus = logical_gpus
        self._session = Session(BATCH_S)

    def hello(self) -> Hello:
        """Import what attempts need. Raises what is wrong with this node."""
        import socket

        import harness.train.attempt  # noqa: F401 - its absence is this node's fault, not a trial's

        threading.Thread(target=_sample_peak, name="peak", daemon=True).start()
        return Hello(os.getpid(), socket.gethostname(), oom_kills())

    def begin(self, task: Task) -> Message:
        """The first epochs of an attempt."""
        return self._session.begin(replace(task, logical_gpus=self._logical_gpus))

    def go_on(self) -> Message:
        """The next epochs."""
        return self._session.send(True)

    def stop(self) -> None:
        """The attempt is pruned: write its checkpoint."""
        self._session.stop()


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a node says of a process: whether it is stopped, its peak, and kills for memory so far."""

    stopped: bool
    peak_mib: float
    oom_kills: int


def inspect(pid: int) -> Inspection:
    """Look at a worker's process from beside it; one that is stopped (SIGSTOP) is ended."""
    stopped = False
    with suppress(OSError):
        stopped = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    if stopped:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    path = _peak_file(pid)
    try:
        (peak,) = struct.unpack("d", path.read_bytes()[:8])
    except (OSError, struct.error):
        peak = 0.0
    if not Path(f"/proc/{pid}").exists():
        with suppress(OSError):
            path.unlink()
    return Inspection(stopped, peak, oom_kills())


def oom_kills() -> int:
    """How many processes of this machine the kernel has killed for memory since it started."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _peak_file(pid: int) -> Path:
    return Path(tempfile.gettempdir()) / f"harness-{os.getuid()}-peak-{pid}"


def _sample_peak() -> None:
    """Keep this process's peak memory where it is found after a SIGKILL."""
    for old in Path(tempfile.gettempdir()).glob(f"harness-{os.getuid()}-peak-*"):
        if not Path(f"/proc/{old.name.rpartition('-')[2]}").exists():
            old.unlink(missing_ok=True)
    path = _peak_file(os.getpid())
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, 8)
    with mmap.mmap(descriptor, 8) as shared:
        os.close(descriptor)
        while True:
            shared[:8] = struct.pack("d", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            time.sleep(SAMPLE_S)


def forwarded() -> dict[str, Any]:
    """The variables that workers need; none is secret, and none goes through Ray's runtime_env."""
    return {name: os.environ[name] for name in FORWARDED if name in os.environ}
