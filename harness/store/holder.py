"""Who holds a lock: read from whatever stands in its file, and whether that process is still alive."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from harness.guard import one_line

SIZE = 1024  # bytes of a lock file; written in one go, so that no reader meets half of it
_TEXT = 200


@dataclass(frozen=True, slots=True)
class Holder:
    """A process. ``machine`` tells hosts, their boots and containers apart, ``started`` pids used again."""

    host: str
    pid: int
    machine: str = ""
    started: str = ""
    token: str = ""
    beat: int = 0

    def __str__(self) -> str:
        return f"pid {self.pid} on {one_line(self.host)[:60]}"

    def content(self) -> bytes:
        """What is written into the lock: JSON, padded to :data:`SIZE`."""
        return json.dumps(asdict(self)).encode().ljust(SIZE - 1) + b"\n"

    def alive(self) -> bool | None:
        """Whether the process lives; None if that cannot be said from here."""
        if self.machine != machine() and not (not self.machine and self.host == socket.gethostname()):
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):
            pass
        now = started(self.pid)
        if not now:  # ended and not yet waited for; without /proc nobody can say
            return False if Path("/proc/self/stat").exists() else None
        return now == self.started if self.started else None


def this(token: str, beat: int) -> Holder:
    """This process."""
    pid = os.getpid()
    return Holder(socket.gethostname(), pid, machine(), started(pid), token, beat)


def parse(data: bytes) -> Holder | None:
    """The holder that a lock file names; None if it is empty or names nobody."""
    try:
        found = json.loads(data[:SIZE].decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    host, pid = found.get("host"), found.get("pid")
    if not isinstance(host, str) or isinstance(pid, bool) or not isinstance(pid, int) or not 0 < pid < 2**31:
        return None
    machine, started, token = (str(found.get(name, ""))[:_TEXT] for name in ("machine", "started", "token"))
    return Holder(host[:_TEXT], pid, machine, started, token)


@cache
def machine() -> str:
    """The host, its boot and the process name space: where a pid means one process."""
    known = [socket.gethostname()]
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        known.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(known)


def started(pid: int) -> str:
    """When a process of this machine started, in the kernel's ticks; "" if it is gone or nobody can say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
