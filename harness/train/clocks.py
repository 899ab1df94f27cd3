"""Clocks that run one at a time, the device synchronised at both ends.

What is spent on timing alternatives (:mod:`harness.contracts.choices`) is preparation, whichever clock runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from harness.contracts.choices import working

NAMES = ("train", "eval", "prepare", "checkpoint")
WAIT = "data_wait"


class Clocks:
    """Cumulative seconds by name; inside ``train`` run ``train_cpu``, the process's CPU seconds, and
    ``data_wait``, the seconds in which training waited for a batch."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = dict.fromkeys((*NAMES, "train_cpu", WAIT, "wall"), 0.0)
        self._begun = time.perf_counter()
        self._wall_before = 0.0

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Count the time inside under ``name``."""
        self._synchronize()
        (start, cpu), begun = working(), time.perf_counter()
        try:
            yield
        finally:
            self._synchronize()
            now, cpu_now = working()
            self.seconds[name] += now - start
            self.seconds["prepare"] += time.perf_counter() - begun - (now - start)
            if name == "train":
                self.seconds["train_cpu"] += cpu_now - cpu

    def waited(self, begun: float) -> None:
        """A batch has come that was waited for since ``begun``, by ``time.perf_counter``."""
        self.seconds[WAIT] += time.perf_counter() - begun

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @property
    def wall(self) -> float:
        """Seconds of all attempts, what ran before a checkpoint included."""
        return self._wall_before + time.perf_counter() - self._begun

    def state(self) -> dict[str, float]:
        """The clocks for a checkpoint."""
        return {**self.seconds, "wall": self.wall}

    def restore(self, state: dict[str, float]) -> None:
        """Continue from a checkpoint."""
        self.seconds = {name: float(state[name]) for name in self.seconds}
        self._wall_before = float(state["wall"])
        self._begun = time.perf_counter()
