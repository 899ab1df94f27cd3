"""Whether Ray still answers: a thread asks, so that no call of the engine can wait for ever unnoticed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ASK_S = 2.0
SILENT_S = 10.0
_PARTS = ("raylet", "gcs_server")


class Watch:
    """Asks for the nodes every :data:`ASK_S`; ``lost`` says in words why nothing can go on ("" if it can)."""

    def __init__(self, address: str, ask: Callable[[], list[dict[str, Any]]]) -> None:
        self._address, self._ask = address, ask
        self.lost = ""
        self._nodes = ask()
        self._heard = time.monotonic()
        below = {} if address else _children("self")
        self._own = {pid: name for pid, name in below.items() if name in _PARTS}
        self._agents = {pid: name for part in self._own for pid, name in _children(part).items()}
        self._stop = threading.Event()
        for target in (self._asks, self._looks):
            threading.Thread(target=target, name="ray-watch", daemon=True).start()

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that were alive a moment ago."""
        return self._nodes

    def refresh(self) -> None:
        """Ask now."""
        if not self.lost:
            self._nodes = self._ask()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def end_own(self) -> None:
        """End the parts of Ray that this process started and that live on without the others."""
        for pid, name in (*self._own.items(), *self._agents.items()):
            if _name(pid) == name:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _asks(self) -> None:
        while not self._stop.wait(ASK_S):
            try:
                self._nodes = self._ask()
            except Exception:  # whatever Ray raises for a cluster that is gone: the silence is judged
                continue
            self._heard = time.monotonic()

    def _looks(self) -> None:
        while not self._stop.wait(0.5):
            dead = [name for pid, name in self._own.items() if not _lives(pid)]
            if dead:
                self.lost = f"Ray's {dead[0]} on this machine died"
            elif time.monotonic() - self._heard > SILENT_S:
                where = f"the Ray cluster at {self._address}" if self._address else "Ray on this machine"
                self.lost = f"{where} has not answered for {SILENT_S:.0f} s"
            elif not self._nodes:
                self.lost = "every node of the cluster is gone"
            else:
                continue
            return


def _children(pid: int | str) -> dict[int, str]:
    """The processes that a process started, by id, with their names."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found |= {int(child): _name(int(child)) for child in task.read_text().split()}
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
